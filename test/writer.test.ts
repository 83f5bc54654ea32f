// Writes on the in-memory log: what is published, who wins a name, and what an answer promises.
import { beforeEach, describe, expect, it } from 'vitest';

import { ControlPlane } from '../src/control-plane.ts';
import { type FormationDocument, parseDocument } from '../src/documents.ts';
import { type EntityTags, entityTag } from '../src/entity-tags.ts';
import { formationIdFor } from '../src/ids.ts';
import type { Formation } from '../src/model.ts';
import { ProblemError } from '../src/problems.ts';
import { Writer } from '../src/writer.ts';
import { flatDocument, formationEvent } from './support/events.ts';
import { ManualClock } from './support/manual-clock.ts';
import { MemoryEventLog } from './support/memory-event-log.ts';
import { silentLogger } from './support/system.ts';

const CONTEXT = { operator: 'ops/ä', traceparent: null, mark: null };
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
  let clock: ManualClock;

  beforeEach(async () => {
    log = new MemoryEventLog();
    clock = new ManualClock();
    controlPlane = new ControlPlane({ log, clock, logger: silentLogger });
    writer = new Writer(controlPlane, clock);
    controlPlane.start();
    await controlPlane.whenServing();
  });

  /** Another server on the same log. */
  const another = async (options: { skipReplay?: boolean }) => {
    const itsLog = log.another();
    const other = new ControlPlane({ log: itsLog, clock, logger: silentLogger, ...options });
    other.start();
    await other.whenServing();
    return { log: itsLog, controlPlane: other, writer: new Writer(other, clock) };
  };
  const formation = (id: string) => controlPlane.state.formations.get(id) as Formation;
  const create = async (name: string, by = writer) =>
    (await by.create(documentOf(name), CONTEXT)).formationId;
  const fail = (id: string, condition: EntityTags | null = null, by = writer, view = controlPlane) =>
    by.changePhase(
      () => view.state.formations.get(id) ?? notFound(id),
      () => FAIL,
      CONTEXT,
      condition,
    );
  const events = async () => {
    const { entries } = await log.read({ after: 0, limit: 1000, signal: AbortSignal.timeout(1000) });
    return entries.map(({ subject, payload }) => ({
      subject,
      event: JSON.parse(new TextDecoder().decode(payload)) as Record<string, unknown>,
    }));
  };

  it('OUT-1 OUT-2 OUT-4 OUT-5 publishes a created event with the document', async () => {
    const id = await create('web');
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
    const id = await create('web');
    expect(formation(id).name).toBe('web');
    await fail(id);
    expect(formation(id)).toMatchObject({ phase: 'FAILED', reason: 'over', failedCells: ['a'] });
  });

  it('OUT-8 publishes one event per change, also when nothing changes', async () => {
    const id = await create('web');
    await fail(id);
    await fail(id);
    const subjects = (await events()).map(({ subject }) => subject.split('.').at(-1));
    expect(subjects).toEqual(['created', 'failed', 'failed']);
    expect((await events())[2]?.event['data']).toMatchObject({ cellCount: 2 });
  });

  it('ADM-26 refuses a held name, frees it with its holder, and derives the next id from the last holder', async () => {
    const first = await create('web');
    expect(first).toBe(formationIdFor('web', null));
    await expect(create('web')).rejects.toMatchObject({
      status: 409,
      message: expect.stringContaining(first) as unknown,
    });
    await fail(first);
    expect(await create('web')).toBe(formationIdFor('web', first));
  });

  it('ADM-27 lets one of many simultaneous submissions through', async () => {
    const results = await Promise.allSettled(Array.from({ length: 32 }, () => create('web')));
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ status: 409 });
    expect(await events()).toHaveLength(1);
  });

  it('ADM-27 lets one of two servers through that know the same', async () => {
    const other = await another({});
    const results = await Promise.allSettled([create('web'), create('web', other.writer)]);
    expect(results.map((result) => result.status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(await events()).toHaveLength(1);
  });

  it('ADM-26 honours formations of other writers', async () => {
    log.append(formationEvent('running', { formationId: OTHER_ID, formationName: 'web' }));
    await expect(create('web')).rejects.toMatchObject({ status: 409 });
    log.append(formationEvent('completed', { formationId: OTHER_ID }));
    expect(await create('web')).toBe(formationIdFor('web', OTHER_ID));
  });

  it('ADM-26 steps over an id whose subject holds something else', async () => {
    const spent = formationIdFor('web', null);
    log.append({ type: 'of.another.kind' }, `cellos.events.formations.${spent}.created`);
    expect(await create('web')).toBe(formationIdFor('web', spent));
  });

  it('ADM-27 counts a name as held when the view began behind its holder', async () => {
    const first = await create('web');
    const late = await another({ skipReplay: true });
    await expect(create('web', late.writer)).rejects.toMatchObject({
      status: 409,
      message: expect.stringContaining(first) as unknown,
    });
  });

  it('OUT-7 answers 503 at once when the log is away, and the view stays', async () => {
    log.disconnect();
    await expect(create('web')).rejects.toMatchObject({
      status: 503,
      code: 'service-unavailable',
      options: { headers: { 'retry-after': '1' } },
    });
    expect(controlPlane.state.formations.size).toBe(0);
  });

  describe('doubt', () => {
    it('OUT-11 a lost acknowledgement is found out by reading the log: an answer, and one event', async () => {
      const first = await create('first');
      log.fault = 'unacknowledged';
      const id = await create('web');
      expect(formation(id).name).toBe('web');
      await fail(id);
      expect(await events()).toHaveLength(3);
      log.fault = null;
      await expect(create('web')).resolves.not.toBe(id);
      expect(formation(first).phase).toBe('PENDING');
    });

    it('OUT-11 OUT-7 what the log does not hold is sent again, and in the end answered with 503', async () => {
      log.fault = 'lost';
      const [result] = await Promise.all([
        create('web').catch((error: unknown) => error),
        (async () => {
          await clock.advance(1000);
          log.fault = null;
          await clock.advance(1000);
        })(),
      ]);
      expect(result).toBe(formationIdFor('web', null));
      expect(await events()).toHaveLength(1);
      log.fault = 'lost';
      const refused = expect(create('other')).rejects.toMatchObject({
        status: 503,
        message: expect.stringContaining('may have been made') as unknown,
      });
      await clock.advance(4999);
      await refused;
      expect(await events()).toHaveLength(1);
    });

    it('OUT-11 a connection that is lost in the middle is waited for', async () => {
      log.fault = 'unacknowledged';
      const publish = log.publish.bind(log);
      log.publish = (...what) => {
        const published = publish(...what);
        log.disconnect();
        return published;
      };
      const creating = create('web');
      await clock.advance(300);
      log.publish = publish;
      log.connect();
      await clock.advance(1000);
      expect(await creating).toBe(formationIdFor('web', null));
      expect(await events()).toHaveLength(1);
    });

    it('OUT-13 a full log is a 507 that may be tried again', async () => {
      log.fault = 'full';
      await expect(create('web')).rejects.toMatchObject({
        status: 507,
        code: 'event-store-full',
        options: { headers: { 'retry-after': '1' } },
      });
      expect(controlPlane.state.formations.size).toBe(0);
    });
  });

  describe('a request that is repeated', () => {
    const mark = { key: 'key', request: 'body' };
    const repeat = (by = writer, name = 'web', request = 'body') =>
      by.create(documentOf(name), { ...CONTEXT, mark: { ...mark, request } });

    it('OUT-15 is answered as the first time, whatever has happened since', async () => {
      const first = await repeat();
      expect(first).toEqual({ formationId: formationIdFor('web', null), seq: 1, isReplayed: false });
      expect((await events())[0]?.event).toMatchObject({ idempotencykey: 'key', requestdigest: 'body' });
      expect(await repeat()).toEqual({ ...first, isReplayed: true });
      await fail(first.formationId);
      await create('web');
      expect(await repeat()).toEqual({ ...first, isReplayed: true });
      expect(await events()).toHaveLength(3);
    });

    it('OUT-15 also at the same moment', async () => {
      const results = await Promise.all(Array.from({ length: 10 }, () => repeat()));
      expect(results.filter(({ isReplayed }) => !isReplayed)).toHaveLength(1);
      expect(new Set(results.map(({ seq }) => seq))).toEqual(new Set([1]));
      expect(await events()).toHaveLength(1);
    });

    it('OUT-15 by a server whose view has not got it yet, or began behind it', async () => {
      const first = await repeat();
      const behind = await another({});
      behind.log.pause();
      expect(await repeat(behind.writer)).toEqual({ ...first, isReplayed: true });
      const late = await another({ skipReplay: true });
      expect(await repeat(late.writer)).toEqual({ ...first, isReplayed: true });
      await expect(repeat(late.writer, 'web', 'another')).rejects.toMatchObject({ status: 422 });
    });

    it('OUT-15 a DELETE or a status likewise', async () => {
      const id = await create('web');
      const context = { ...CONTEXT, mark };
      const end = (by = writer) =>
        by.changePhase(
          (state) => state.formations.get(id) ?? notFound(id),
          () => FAIL,
          context,
          null,
        );
      const first = await end();
      expect(first).toEqual({ formationId: id, seq: 2, isReplayed: false });
      expect(await end()).toEqual({ ...first, isReplayed: true });
      const late = await another({ skipReplay: true });
      late.controlPlane.state.formations.set(id, formation(id));
      expect(await end(late.writer)).toEqual({ ...first, isReplayed: true });
      expect(await events()).toHaveLength(2);
    });

    it('OUT-16 with another body is a 422, also at the same moment and with another name', async () => {
      const results = await Promise.allSettled([repeat(), repeat(writer, 'other', 'another')]);
      expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
      expect(results.find(({ status }) => status === 'rejected')).toMatchObject({
        reason: { status: 422, code: 'idempotency-key-reused' },
      });
      expect(await events()).toHaveLength(1);
      await expect(repeat(writer, 'third', 'third')).rejects.toMatchObject({ status: 422 });
    });

    it('OUT-17 an answer that wrote nothing is not remembered', async () => {
      const held = await create('web');
      await expect(repeat()).rejects.toMatchObject({ status: 409 });
      await fail(held);
      expect(await repeat()).toMatchObject({ isReplayed: false });
    });

    it('OUT-15 OUT-11 after a lost acknowledgement too', async () => {
      log.fault = 'unacknowledged';
      const first = await repeat();
      expect(first).toMatchObject({ seq: 1, isReplayed: false });
      log.fault = null;
      expect(await repeat()).toEqual({ ...first, isReplayed: true });
    });
  });

  describe('a write with a condition', () => {
    const tagOf = (id: string) => entityTag(controlPlane.edition, formation(id).version);

    it('OUT-18 is made when the record is still the one', async () => {
      const id = await create('web');
      const tag = tagOf(id);
      await create('other');
      await fail(id, [tag]);
      await expect(fail(id, [tag])).rejects.toMatchObject({
        status: 412,
        options: { headers: { etag: tagOf(id) } },
      });
      await fail(id, ['"something else"', tagOf(id)]);
      await fail(id, '*');
      expect(await events()).toHaveLength(5);
    });

    it('OUT-18 of two at the same moment one is made', async () => {
      const id = await create('web');
      const tag = tagOf(id);
      const results = await Promise.allSettled(Array.from({ length: 10 }, () => fail(id, [tag])));
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ status: 412 });
      }
      expect(await events()).toHaveLength(2);
    });

    it('OUT-18 is decided by the log: a server whose view is behind finds out', async () => {
      const id = await create('web');
      const behind = await another({});
      const old = tagOf(id);
      behind.log.pause();
      for (let n = 0; n < 5; n++) await fail(id);
      const attempt = fail(id, [old], behind.writer, behind.controlPlane);
      await Promise.resolve();
      behind.log.resume();
      await expect(attempt).rejects.toMatchObject({ status: 412 });
      // And the other way round: a tag that it has not reached is waited for.
      behind.log.pause();
      for (let n = 0; n < 5; n++) await fail(id);
      const current = fail(id, [tagOf(id)], behind.writer, behind.controlPlane);
      await Promise.resolve();
      behind.log.resume();
      expect(await current).toMatchObject({ isReplayed: false });
    });

    it('OUT-18 goes on while other things are written', async () => {
      const id = await create('web');
      const tag = tagOf(id);
      const publish = log.publish.bind(log);
      let busy = 5;
      log.publish = (...what) => {
        if (busy-- > 0) log.append({ type: 'something.else' });
        return publish(...what);
      };
      expect(await fail(id, [tag])).toMatchObject({ isReplayed: false });
      expect(busy).toBe(-1);
    });

    it('OUT-18 cannot be decided while the log is away', async () => {
      const id = await create('web');
      log.disconnect();
      await expect(fail(id, ['"old"'])).rejects.toMatchObject({ status: 503 });
      await expect(fail(id, [tagOf(id)])).rejects.toMatchObject({ status: 503 });
    });
  });

  it('OUT-19 a refusal is decided on a view that has all that the log had', async () => {
    const behind = await another({});
    behind.log.pause();
    for (let n = 0; n < 5; n++) log.append({ n });
    const id = await create('web');
    const ending = fail(id, null, behind.writer, behind.controlPlane);
    await Promise.resolve();
    behind.log.resume();
    expect(await ending).toMatchObject({ formationId: id });
    behind.log.pause();
    for (let n = 0; n < 5; n++) log.append({ n });
    const again = await create('web');
    await fail(again);
    const third = create('web', behind.writer);
    await Promise.resolve();
    behind.log.resume();
    expect(await third).toBe(formationIdFor('web', again));
  });
});

function notFound(id: string): never {
  throw new ProblemError('not-found', id);
}
