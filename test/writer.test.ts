// Writes on the in-memory log: what is published, who wins a name, and what an answer promises.
import { beforeEach, describe, expect, it } from 'vitest';

import { ControlPlane } from '../src/control-plane.ts';
import { type FormationDocument, parseDocument } from '../src/documents.ts';
import { formationIdFor } from '../src/ids.ts';
import type { Formation } from '../src/model.ts';
import { Writer } from '../src/writer.ts';
import { flatDocument, formationEvent } from './support/events.ts';
import { ManualClock } from './support/manual-clock.ts';
import { MemoryEventLog } from './support/memory-event-log.ts';
import { silentLogger } from './support/system.ts';

const CONTEXT = { operator: 'ops/ä', traceparent: null };
const FAIL = { phase: 'FAILED', reason: 'over', failedCellIds: ['a'] } as const;
const OTHER_ID = '0f8fad5b-d9cb-469f-a165-70867728950e';

const documentOf = (name: string): FormationDocument => {
  const parsed = parseDocument(JSON.stringify(flatDocument(name)));
  if (!parsed.ok) throw new Error(parsed.detail);
  return parsed.document;
};

describe('writer', () => {
  let log: MemoryEventLog;
  let controlPlane: ControlPlane;
  let writer: Writer;

  beforeEach(async () => {
    log = new MemoryEventLog();
    const clock = new ManualClock();
    controlPlane = new ControlPlane({ log, clock, logger: silentLogger });
    writer = new Writer(controlPlane, clock);
    controlPlane.start();
    await controlPlane.whenServing();
  });

  const formation = (id: string) => controlPlane.state.formations.get(id) as Formation;
  const events = async () => {
    const { entries } = await log.read({ after: 0, limit: 1000, signal: AbortSignal.timeout(1000) });
    return entries.map(({ subject, payload }) => ({
      subject,
      event: JSON.parse(new TextDecoder().decode(payload)) as Record<string, unknown>,
    }));
  };

  it('OUT-1 OUT-2 OUT-4 OUT-5 publishes a created event with the document', async () => {
    const id = await writer.create(documentOf('web'), CONTEXT);
    const [{ subject, event } = { subject: '', event: {} }] = await events();
    expect(subject).toBe(`cellos.events.formations.${id}.created`);
    expect(Object.keys(event)).toEqual([
      'specversion',
      'id',
      'source',
      'type',
      'datacontenttype',
      'data',
      'time',
      'traceparent',
    ]);
    expect(event).toMatchObject({
      specversion: '1.0',
      source: 'principal://operator/ops%2F%C3%A4',
      type: 'dev.cellos.events.cell.formation.v1.created',
      datacontenttype: 'application/json',
      time: '2026-11-20T12:00:00.000Z',
      traceparent: null,
      data: {
        formationId: id,
        formationName: 'web',
        cellCount: 2,
        failedCellIds: [],
        document: flatDocument('web'),
      },
    });
    expect(event['data']).not.toHaveProperty('reason');
  });

  it('OUT-6 is visible when it is answered', async () => {
    const id = await writer.create(documentOf('web'), CONTEXT);
    expect(formation(id).name).toBe('web');
    await writer.changePhase(formation(id), FAIL, CONTEXT);
    expect(formation(id)).toMatchObject({ phase: 'FAILED', reason: 'over', failedCells: ['a'] });
  });

  it('OUT-8 publishes one event per change, also when nothing changes', async () => {
    const id = await writer.create(documentOf('web'), CONTEXT);
    await writer.changePhase(formation(id), FAIL, CONTEXT);
    await writer.changePhase(formation(id), FAIL, CONTEXT);
    const subjects = (await events()).map(({ subject }) => subject.split('.').at(-1));
    expect(subjects).toEqual(['created', 'failed', 'failed']);
    expect((await events())[2]?.event['data']).toMatchObject({ cellCount: 2 });
  });

  it('ADM-26 refuses a held name, frees it with its holder, and derives the next id from the last holder', async () => {
    const first = await writer.create(documentOf('web'), CONTEXT);
    expect(first).toBe(formationIdFor('web', null));
    await expect(writer.create(documentOf('web'), CONTEXT)).rejects.toMatchObject({
      status: 409,
      message: expect.stringContaining(first) as unknown,
    });
    await writer.changePhase(formation(first), FAIL, CONTEXT);
    expect(await writer.create(documentOf('web'), CONTEXT)).toBe(formationIdFor('web', first));
  });

  it('ADM-27 lets one of many simultaneous submissions through', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 32 }, () => writer.create(documentOf('web'), CONTEXT)),
    );
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ status: 409 });
    expect(await events()).toHaveLength(1);
  });

  it('ADM-27 lets one of two servers through that know the same', async () => {
    const clock = new ManualClock();
    const other = new ControlPlane({ log: log.another(), clock, logger: silentLogger });
    other.start();
    await other.whenServing();
    const results = await Promise.allSettled([
      writer.create(documentOf('web'), CONTEXT),
      new Writer(other, clock).create(documentOf('web'), CONTEXT),
    ]);
    expect(results.map((result) => result.status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(await events()).toHaveLength(1);
  });

  it('ADM-26 honours formations of other writers', async () => {
    log.append(formationEvent('running', { formationId: OTHER_ID, formationName: 'web' }));
    await expect(writer.create(documentOf('web'), CONTEXT)).rejects.toMatchObject({ status: 409 });
    log.append(formationEvent('completed', { formationId: OTHER_ID }));
    expect(await writer.create(documentOf('web'), CONTEXT)).toBe(formationIdFor('web', OTHER_ID));
  });

  it('ADM-26 steps over an id whose subject holds something else', async () => {
    const spent = formationIdFor('web', null);
    log.append({ type: 'of.another.kind' }, `cellos.events.formations.${spent}.created`);
    expect(await writer.create(documentOf('web'), CONTEXT)).toBe(formationIdFor('web', spent));
  });

  it('ADM-27 counts a name as held when the view began behind its holder', async () => {
    const first = await writer.create(documentOf('web'), CONTEXT);
    const clock = new ManualClock();
    const late = new ControlPlane({ log: log.another(), clock, logger: silentLogger, skipReplay: true });
    late.start();
    await late.whenServing();
    await expect(new Writer(late, clock).create(documentOf('web'), CONTEXT)).rejects.toMatchObject({
      status: 409,
      message: expect.stringContaining(first) as unknown,
    });
  });

  it('OUT-7 answers 503 at once when the log is away, and the view stays', async () => {
    log.disconnect();
    await expect(writer.create(documentOf('web'), CONTEXT)).rejects.toMatchObject({
      status: 503,
      code: 'service-unavailable',
      options: { headers: { 'retry-after': '1' } },
    });
    expect(controlPlane.state.formations.size).toBe(0);
  });

  it('OUT-7 answers 503 within 5 s when the acknowledgement is lost, and the view follows the log', async () => {
    log.loseAcknowledgements = true;
    const start = performance.now();
    await expect(writer.create(documentOf('web'), CONTEXT)).rejects.toMatchObject({ status: 503 });
    expect(performance.now() - start).toBeLessThan(5000);
    expect(controlPlane.state.formations.size).toBe(1);
  });
});
