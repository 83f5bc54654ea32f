import { describe, expect, test } from 'vitest';

import { decodeEntry } from '../src/cloudevents.ts';
import { toFact } from '../src/facts.ts';
import type { CellFact, Fact, FormationFact } from '../src/model.ts';
import { FORMATION_IDS, spellUuid } from './support/arbitraries.ts';
import {
  cellEvent,
  COMPLETED,
  DESTROYED,
  entryOf,
  FORMATION,
  formationEvent,
  given,
  LEGACY_FORMATION,
  type Payload,
  STARTED,
} from './support/given.ts';
import { SUPERVISOR_RUN } from './support/supervisor-run.ts';

const [ID, OTHER_ID] = FORMATION_IDS;
const factOf = (payload: Payload, subject?: string): Fact =>
  toFact(decodeEntry(entryOf(1, payload, subject)));
const formationFact = (payload: Payload) => factOf(payload) as FormationFact;
const cellFact = (payload: Payload) => factOf(payload) as CellFact;

describe('what an event is', () => {
  test('PRJ-1 the type alone decides, letter by letter, whatever the subject', () => {
    const started = cellEvent(STARTED, 'a');
    expect(factOf(started, 'cellos.events.formations.x.created').kind).toBe('cell');
    expect(factOf(started, 'anything').kind).toBe('cell');
    for (const type of [
      STARTED.toUpperCase(),
      `${STARTED} `,
      `x${STARTED}`,
      '',
      'constructor',
      '__proto__',
    ]) {
      expect(factOf({ ...started, type })).toEqual({ kind: 'none', warning: null });
    }
  });

  test('PRJ-3 what is not UTF-8 JSON is a warning, a value that is no event is not', () => {
    for (const payload of [
      '',
      ' ',
      '{',
      '{"type":}',
      '\ufeff{}',
      Uint8Array.of(0xff),
      Uint8Array.of(0x22, 0xc3, 0x22),
    ]) {
      expect(factOf(payload)).toMatchObject({ kind: 'none', warning: expect.any(String) });
    }
    for (const payload of ['null', '7', '"x"', '[]', '{}', '{"type":null}', '{"type":["x"]}']) {
      expect(factOf(payload)).toEqual({ kind: 'none', warning: null });
    }
  });

  test('PRJ-3 of repeated keys the last counts', () => {
    const text = `{"type":"x","type":"${STARTED}","data":{"cellId":"a"},"data":{"cellId":"b","cellId":"c","specId":"s"}}`;
    expect(factOf(text)).toMatchObject({ kind: 'cell', id: 'c' });
  });

  test('PRJ-3 keys may be spelled with escapes', () => {
    const text = `{"typ\\u0065":"${COMPLETED}","d\\u0061ta":{"cellId":"a","specId":"s","exitC\\u006fde":3}}`;
    expect(factOf(text)).toMatchObject({ kind: 'cell', id: 'a', exitCode: '3' });
  });

  test('PRJ-3 what an object inherits is not in the event', () => {
    expect(factOf('{"__proto__":{"type":"x"}}').kind).toBe('none');
    expect(factOf(`{"type":"${STARTED}","__proto__":{"data":{"cellId":"a","specId":"s"}}}`).kind).toBe(
      'none',
    );
    expect(factOf(`{"type":"${STARTED}","data":{"__proto__":{"cellId":"a","specId":"s"}}}`).kind).toBe(
      'none',
    );
    for (const phase of ['constructor', '__proto__', 'toString']) {
      expect(factOf(formationEvent(phase, { formationId: ID }))).toEqual({ kind: 'none', warning: null });
    }
  });
});

describe('formation events', () => {
  test('PRJ-10 both prefixes, PRJ-11 all phases', () => {
    const phases = ['created', 'launching', 'running', 'degraded', 'completed', 'failed', 'cancelled'];
    for (const prefix of [FORMATION, LEGACY_FORMATION]) {
      expect(
        phases.map((phase) => formationFact({ type: prefix + phase, data: { formationId: ID } }).phase),
      ).toEqual(['PENDING', 'LAUNCHING', 'RUNNING', 'DEGRADED', 'COMPLETED', 'FAILED', 'CANCELLED']);
    }
    for (const phase of ['', 'Created', 'created.', 'created.x', 'deleted', 'pending']) {
      expect(factOf(formationEvent(phase, { formationId: ID }))).toEqual({ kind: 'none', warning: null });
    }
  });

  test('PRJ-12 the id: formationId, else formation_id, else the subject of the event', () => {
    const id = (data: unknown, subject?: unknown) => factOf({ type: `${FORMATION}created`, data, subject });
    expect(id({ formationId: ID, formation_id: OTHER_ID }, OTHER_ID)).toMatchObject({ id: ID });
    expect(id({ formation_id: ID }, OTHER_ID)).toMatchObject({ id: ID });
    expect(id({}, ID)).toMatchObject({ id: ID });
    expect(id(null, ID)).toMatchObject({ id: ID });
    expect(id(undefined, ID)).toMatchObject({ id: ID });
    for (const spelling of [0, 1, 2, 3, 4]) {
      expect(id({ formationId: spellUuid(ID, spelling) })).toMatchObject({ id: ID });
    }
  });

  test('PRJ-12 without a valid id it is a warning', () => {
    for (const data of [
      {},
      { formationId: 'x' },
      { formationId: 7 },
      { formationId: '' },
      null,
      [],
      'x',
      [ID],
    ]) {
      expect(factOf({ type: `${FORMATION}created`, data })).toMatchObject({
        kind: 'none',
        warning: expect.any(String),
      });
    }
  });

  test('PRJ-13 the name: formationName, else name, else empty', () => {
    const name = (data: Record<string, unknown>) =>
      formationFact(formationEvent('created', { formationId: ID, ...data })).name;
    expect(name({ formationName: 'a', name: 'b' })).toBe('a');
    expect(name({ name: 'b' })).toBe('b');
    expect(name({ formationName: 7, name: 'b' })).toBe('b');
    expect(name({})).toBe('');
    expect(name({ name: ['b'] })).toBe('');
  });

  test('PRJ-18 reason and failed cells, when given and not empty', () => {
    const fact = (data: Record<string, unknown>) =>
      formationFact(formationEvent('failed', { formationId: ID, ...data }));
    expect(fact({ reason: 'why', failedCellIds: ['b', 'a'] })).toMatchObject({
      reason: 'why',
      failedCells: ['b', 'a'],
    });
    for (const nothing of [undefined, null, '', 7, [], {}]) {
      expect(fact({ reason: nothing, failedCellIds: nothing })).toMatchObject({
        reason: null,
        failedCells: null,
      });
    }
  });

  test('PRJ-15 the document is a slice of the payload', () => {
    const document = '{"10":1.0,"9":1e3,"n":18446744073709551616,"a":"\\u0061"}';
    const carrying = formationFact(
      `{"type":"${FORMATION}created","data":{"formationId":"${ID}","document":${document}}}`,
    );
    expect([carrying.document(true), carrying.document(false)]).toEqual([document, document]);
    const data = `{"formationId":"${ID}","cellCount":2.0}`;
    const other = formationFact(`{"type":"${FORMATION}created","data":${data}}`);
    expect([other.document(true), other.document(false)]).toEqual([data, null]);
    const none = formationFact(`{"type":"${FORMATION}created","subject":"${ID}"}`);
    expect([none.document(true) ?? 'null', none.document(false)]).toEqual(['null', null]);
  });
});

describe('cell events', () => {
  test('PRJ-33 the key is any string; without one it is ignored', () => {
    for (const id of ['', 'a', '\ud800', '__proto__', 'a/b', '😀']) {
      expect(cellFact(cellEvent(STARTED, id)).id).toBe(id);
    }
    for (const cellId of [undefined, null, 7, [], {}]) {
      expect(factOf({ type: STARTED, data: { cellId, specId: 's' } })).toEqual({
        kind: 'none',
        warning: null,
      });
    }
  });

  test('PRJ-34 without a specId it is a warning', () => {
    for (const specId of [undefined, null, 7, [], {}]) {
      expect(factOf(cellEvent(STARTED, 'a', { specId }))).toMatchObject({
        kind: 'none',
        warning: expect.any(String),
      });
    }
    expect(cellFact(cellEvent(STARTED, 'a', { specId: '' })).specId).toBe('');
  });

  const kept = '0 1 -1 137 2147483648 9007199254740993 9223372036854775807 -9223372036854775808';
  test.each(kept.split(' '))('PRJ-36 exit code %s is kept as spelled', (spelled) => {
    const text = `{"type":"${COMPLETED}","data":{"cellId":"a","specId":"s","exitCode": ${spelled} }}`;
    expect(cellFact(text).exitCode).toBe(spelled);
  });

  const absent = '1.5 1e400 "0" null true [0] {} 1e99 -0.5 9223372036854775808 -9223372036854775809';
  test.each(absent.split(' '))('PRJ-36 exit code %s is absent', (spelled) => {
    const text = `{"type":"${COMPLETED}","data":{"cellId":"a","specId":"s","exitCode":${spelled}}}`;
    expect(cellFact(text).exitCode).toBeNull();
  });

  test('PRJ-36 an exit code of a million digits costs no time', () => {
    const text = `{"type":"${COMPLETED}","data":{"cellId":"a","specId":"s","exitCode":${'9'.repeat(1_000_000)}}}`;
    const entry = decodeEntry(entryOf(1, text));
    // The best of five, because processors are shared.
    const times = Array.from({ length: 5 }, () => {
      const start = performance.now();
      expect(toFact(entry)).toMatchObject({ exitCode: null });
      return performance.now() - start;
    });
    // Turning the digits into a number takes more than 100 ms.
    expect(Math.min(...times)).toBeLessThan(50);
  });

  test('PRJ-40 the formation, at either place, when it is a UUID', () => {
    const formation = (data: Record<string, unknown>) => cellFact(cellEvent(STARTED, 'a', data)).formationId;
    expect(formation({ formationId: spellUuid(ID, 1) })).toBe(ID);
    expect(formation({ correlation: { formationId: spellUuid(ID, 3) } })).toBe(ID);
    expect(formation({ formationId: 'x', correlation: { formationId: ID } })).toBe(ID);
    expect(formation({ formationId: ID, correlation: { formationId: OTHER_ID } })).toBe(ID);
    for (const nothing of [undefined, null, 7, 'x', [ID]]) {
      expect(formation({ formationId: nothing, correlation: nothing })).toBeNull();
      expect(formation({ correlation: { formationId: nothing } })).toBeNull();
    }
  });

  test('PRJ-36 outcome, run and time count as strings only', () => {
    const fact = (data: object, time: unknown) =>
      cellFact({ ...cellEvent(DESTROYED, 'a', { ...data }), time });
    expect(fact({ outcome: 'failed', runId: 'r' }, 'soon')).toMatchObject({
      outcome: 'failed',
      runId: 'r',
      time: 'soon',
    });
    for (const value of [null, 7, [], {}, undefined]) {
      expect(fact({ outcome: value, runId: value }, value)).toMatchObject({
        outcome: null,
        runId: null,
        time: null,
      });
    }
  });
});

describe('a real run', () => {
  test('PRJ-41 is a destroyed cell with its outcome and exit code', () => {
    given()
      .when(...SUPERVISOR_RUN)
      .thenView((view, outcomes) => {
        expect(view.state.cursor).toBe(SUPERVISOR_RUN.length);
        expect(outcomes.filter(({ changed }) => changed)).toHaveLength(3);
        expect(outcomes.filter(({ warning }) => warning !== null)).toEqual([]);
        expect(view.state.formations.size).toBe(0);
        expect(view.cell('hello-spec')).toEqual({
          id: 'hello-spec',
          spec_id: 'hello-spec',
          run_id: 'run-local-001',
          state: 'destroyed',
          status: 'destroyed',
          formation_id: null,
          started_at: '2026-11-20T19:33:26.212779419+00:00',
          destroyed_at: '2026-11-20T19:33:26.214144356+00:00',
          outcome: 'succeeded',
          exit_code: 0,
          created_at: '2026-11-20T19:33:26.212779419+00:00',
          finished_at: '2026-11-20T19:33:26.214144356+00:00',
        });
      });
  });

  test('PRJ-41 published a second time it changes nothing: the cell is destroyed', () => {
    given(...SUPERVISOR_RUN)
      .when(...SUPERVISOR_RUN)
      .thenView((view, outcomes) => {
        expect(outcomes.every(({ changed }) => !changed)).toBe(true);
        expect(view.state.cursor).toBe(2 * SUPERVISOR_RUN.length);
        expect(view.cell('hello-spec')).toMatchObject({ state: 'destroyed', outcome: 'succeeded' });
      });
  });

  test('PRJ-20 cells arrive at a formation that is not known yet', () => {
    given(cellEvent(STARTED, 'b', { formationId: ID }), cellEvent(COMPLETED, 'a', { formationId: ID }))
      .when(formationEvent('created', { formationId: ID }), cellEvent(DESTROYED, 'c', { formationId: ID }))
      .thenView((view) => {
        const cells = view.formation(ID)?.['cells'] as { id: string; state: string }[];
        expect(cells.map(({ id, state }) => `${id} ${state}`)).toEqual([
          'a pending',
          'b running',
          'c destroyed',
        ]);
      });
  });
});
