// Formation events as they show over HTTP. The reducer's own rules in full are tests of src/.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  FORMATION,
  LEGACY_FORMATION,
  STARTED,
  cellStarted,
  flatDocument,
  formationEvent,
  supervisorRun,
  unique,
} from '../support/events.ts';
import { expectProblem } from '../support/http-client.ts';
import type { Rig } from '../support/server-process.ts';
import { until } from '../support/wait.ts';

type Row = Record<string, unknown>;

export function projectionSuite(rig: () => Rig): void {
  const formation = (id: string) => rig().http.read<Row>(`/v1/formations/${id}`);

  test.each([
    ['created', 'PENDING', 'PENDING'],
    ['launching', 'RUNNING', 'LAUNCHING'],
    ['running', 'RUNNING', 'RUNNING'],
    ['degraded', 'RUNNING', 'DEGRADED'],
    ['completed', 'SUCCEEDED', 'COMPLETED'],
    ['failed', 'FAILED', 'FAILED'],
    ['cancelled', 'CANCELLED', 'CANCELLED'],
  ])('PRJ-10 PRJ-11 PRJ-14 %s shows as %s, %s, also as the first event', async (suffix, status, phase) => {
    for (const prefix of [FORMATION, LEGACY_FORMATION]) {
      const formationId = randomUUID();
      await rig().publish({ type: prefix + suffix, data: { formationId } });
      expect(await formation(formationId)).toEqual({
        id: formationId,
        name: '',
        status,
        phase,
        document: { formationId },
        created_at: null,
        updated_at: null,
        cells: [],
      });
    }
  });

  test('PRJ-1 PRJ-11 other types and phases are ignored, whatever the subject', async () => {
    const formationId = randomUUID();
    const data = { formationId, name: 'renamed' };
    const before = await rig().broker.lastSequence();
    const types = [
      `${FORMATION}Running`,
      `${FORMATION}running.x`,
      `${FORMATION}unknown`,
      FORMATION,
      `x${FORMATION}running`,
      FORMATION.toUpperCase() + 'RUNNING',
      'dev.cellos.events.cell.formation.v2.running',
    ];
    await rig().broker.publishAll(
      types.map((type) => ({ type, data })),
      `cellos.events.formations.${formationId}.running`,
    );
    await rig().whenApplied();
    expectProblem(await rig().http.get(`/v1/formations/${formationId}`), 'not-found');
    expect((await rig().snapshot()).cursor).toBe(before + types.length);
    await rig().broker.publish({ type: `${FORMATION}failed`, data }, 'cellos.events.somewhere.else');
    await rig().whenApplied();
    expect(await formation(formationId)).toMatchObject({ status: 'FAILED', name: 'renamed' });
  });

  test('PRJ-12 the id is found in three places, in any spelling', async () => {
    const ids = Array.from({ length: 6 }, () => randomUUID());
    const [a, b, c, d, e, f] = ids as [string, string, string, string, string, string];
    await rig().publish(
      {
        type: `${FORMATION}created`,
        data: { formationId: a.toUpperCase(), formation_id: randomUUID() },
        subject: 'x',
      },
      { type: `${FORMATION}created`, data: { formation_id: `{${b}}` }, subject: randomUUID() },
      { type: `${FORMATION}created`, data: {}, subject: `urn:uuid:${c}` },
      { type: `${FORMATION}created`, subject: d.replaceAll('-', '') },
      { type: `${FORMATION}created`, data: null, subject: e },
      { type: `${FORMATION}created`, data: { formationId: null, formation_id: f } },
    );
    for (const id of ids) expect((await formation(id))['id']).toBe(id);
    expect((await formation(d))['document']).toBeNull();
    expect((await formation(e))['document']).toBeNull();
  });

  test('PRJ-12 PRJ-3 what names no valid id is skipped, with a WARN', async () => {
    const before = (await rig().snapshot()).formations.length;
    const warned = rig().server.warnings;
    const last = await rig().publish(
      { type: `${FORMATION}created`, data: {} },
      { type: `${FORMATION}created`, data: { formationId: 'no-uuid' } },
      { type: `${FORMATION}created`, subject: 'formations/7' },
      'not json',
      '',
    );
    const { formations, cursor } = await rig().snapshot();
    expect([formations.length, cursor]).toEqual([before, last]);
    await until(() => rig().server.warnings >= warned + 5, { what: 'five WARNs' });
  });

  test('PRJ-13 a name overwrites, an empty one does not', async () => {
    const id = randomUUID();
    const named = async (data: Row) => {
      await rig().publish(formationEvent('running', { formationId: id, ...data }));
      return (await formation(id))['name'];
    };
    expect(await named({})).toBe('');
    expect(await named({ name: 'first' })).toBe('first');
    expect(await named({ formationName: 'second', name: 'x' })).toBe('second');
    expect(await named({ formationName: '' })).toBe('second');
    expect(await named({ name: '' })).toBe('second');
    expect(await named({})).toBe('second');
  });

  test('PRJ-15 the document is the one that came last, else the data of the first event', async () => {
    const [id, other] = [randomUUID(), randomUUID()];
    await rig().publish(
      formationEvent('created', { formationId: id, extra: 1 }),
      formationEvent('running', { formationId: id, extra: 2 }),
      formationEvent('created', { formationId: other, document: { version: 1 } }),
    );
    expect((await formation(id))['document']).toEqual({ formationId: id, extra: 1 });
    expect((await formation(other))['document']).toEqual({ version: 1 });
    await rig().publish(
      formationEvent('running', { formationId: id, document: { late: true } }),
      formationEvent('running', { formationId: other, document: { version: 2 } }),
      formationEvent('failed', { formationId: other }),
    );
    expect((await formation(id))['document']).toEqual({ late: true });
    expect((await formation(other))['document']).toEqual({ version: 2 });
  });

  test('PRJ-15 LOG-7 numbers of a document keep their spelling and size', async () => {
    const id = randomUUID();
    const document = '{"b":1.0,"a":1e3,"big":18446744073709551616,"10":1,"9":2}';
    await rig().publish(
      `{"type":"${FORMATION}created","data":{"formationId":"${id}","document":${document}}}`,
    );
    const { text } = await rig().http.get(`/v1/formations/${id}`);
    for (const piece of ['"b":1.0', '"a":1e3', '"big":18446744073709551616']) expect(text).toContain(piece);
  });

  test('PRJ-17 PRJ-18 PRJ-19 the last event decides', async () => {
    const formationId = randomUUID();
    const [first, second] = ['2026-11-20T19:33:26.210477484+00:00', '2026-11-20T20:00:00+02:00'];
    await rig().publish(
      formationEvent('failed', { formationId, reason: 'r', failedCellIds: ['a'] }, { time: first }),
      formationEvent('running', { formationId, reason: '', failedCellIds: [] }, { time: second }),
    );
    expect(await formation(formationId)).toEqual({
      id: formationId,
      name: '',
      status: 'RUNNING',
      phase: 'RUNNING',
      document: expect.anything(),
      created_at: first,
      updated_at: second,
      cells: [],
    });
  });

  test('PRJ-19 PRJ-20 PRJ-21 HTTP-23 what clients show of a formation that runs, fails and is deleted', async () => {
    const name = unique();
    const submitted = await rig().http.post('/v1/formations', flatDocument(name));
    const { id } = JSON.parse(submitted.text) as { id: string };
    const [lead, worker] = [`${name}-lead`, `${name}-worker`];
    const correlation = { formationId: id };
    await rig().publish(
      ...supervisorRun(lead, { correlation }),
      cellStarted(worker, { correlation, runId: 'run' }, { time: 'T' }),
    );
    const degraded = { state: 'degraded', reason: 'worker is late', failed_cells: [worker] };
    expect((await rig().http.post(`/v1/formations/${id}/status`, degraded)).status).toBe(204);

    const record = await formation(id);
    const cells = await rig().http.read<Row[]>(`/v1/cells?formation=${name}`);
    expect(cells).toMatchObject([
      { id: lead, state: 'destroyed', formation_id: id, outcome: 'succeeded', exit_code: 0 },
      { id: worker, state: 'running', formation_id: id, run_id: 'run', created_at: 'T', started_at: 'T' },
    ]);
    for (const key of ['created_at', 'started_at', 'finished_at', 'destroyed_at', 'run_id', 'spec_id'])
      expect(cells[0]?.[key], key).toBeTypeOf('string');
    expect(record).toMatchObject({ name, status: 'RUNNING', phase: 'DEGRADED', cells });
    expect(record).toMatchObject({ reason: degraded.reason, failed_cells: [worker] });
    expect(Date.parse(record['updated_at'] as string)).toBeGreaterThanOrEqual(
      Date.parse(record['created_at'] as string),
    );
    // By every way that a client takes to it.
    expect(await formation(name)).toEqual(record);
    expect(await formation(`by-name/${name}`)).toEqual(record);
    expect((await rig().snapshot()).formations).toContainEqual(record);
    for (const cell of cells) expect(await rig().http.read(`/v1/cells/${cell['id']}`)).toEqual(cell);

    expect((await rig().http.send('DELETE', `/v1/formations/by-name/${name}`)).status).toBe(204);
    const { reason, failed_cells: _, ...kept } = record;
    const deleted = await formation(id);
    expect(reason).not.toBe(deleted['reason']);
    expect(deleted).toEqual({
      ...kept,
      status: 'FAILED',
      phase: 'FAILED',
      reason: 'deleted by operator',
      updated_at: expect.any(String),
    });
  });

  test('PRJ-3 PRJ-4 LOG-5 hostile payloads only move the cursor', async () => {
    const before = await rig().snapshot();
    const last = await rig().publish(
      new Uint8Array([0xff, 0xfe, 0x00]),
      '[',
      'null',
      '5',
      '"dev.cellos.events.cell.lifecycle.v1.started"',
      '[]',
      '{"type":null}',
      `{"type":["${STARTED}"]}`,
      `{"type":"${STARTED}","data":"x"}`,
      `{"type":"${STARTED}","data":{"cellId":{"__proto__":1},"specId":[]}}`,
      `{"__proto__":{"type":"${STARTED}","data":{"cellId":"polluted","specId":"s"}}}`,
      `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
      `{"type":"${FORMATION}created","subject":5}`,
    );
    const after = await rig().snapshot();
    expect(after.cursor).toBe(last);
    expect(after.formations).toEqual(before.formations);
    expectProblem(await rig().http.get('/v1/cells/polluted'), 'not-found');
    const id = unique('cell');
    await rig().publish(cellStarted(id));
    expect((await rig().http.read<Row>(`/v1/cells/${id}`))['state']).toBe('running');
  });
}
