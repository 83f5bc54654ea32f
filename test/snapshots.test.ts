// Records as clients see them: cells from events to records, and all texts against a naive rendering of the state.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { elementsOf, memberOf } from '../src/json-text.ts';
import type { Cell, Formation } from '../src/model.ts';
import { isLive } from '../src/formation-status.ts';
import type { ProjectionState } from '../src/projection.ts';
import { decodeUtf8, encodeUtf8 } from '../src/utf8.ts';
import { FORMATION_IDS, stream } from './support/arbitraries.ts';
import { cellEvent, COMPLETED, DESTROYED, formationEvent, given, STARTED, View } from './support/given.ts';

const [ID, OTHER_ID] = FORMATION_IDS;
const T1 = '2026-11-20T19:33:26.210477484+00:00';
const T2 = '2026-11-20T19:33:27Z';
const at = (time: string) => ({ time });

const RECORD = {
  id: 'a',
  spec_id: 'spec',
  run_id: null,
  state: 'pending',
  status: 'pending',
  formation_id: null,
  started_at: null,
  destroyed_at: null,
  outcome: null,
  exit_code: null,
  created_at: null,
  finished_at: null,
};

describe('cells', () => {
  test('PRJ-30 PRJ-39 started', () => {
    given()
      .when(cellEvent(STARTED, 'a', { runId: 'r' }, at(T1)))
      .thenView((view) => {
        const running = { state: 'running', status: 'running', started_at: T1, created_at: T1, run_id: 'r' };
        expect(view.cell('a')).toEqual({ ...RECORD, ...running });
      });
  });

  test('PRJ-31 PRJ-38 completed gives the exit code and leaves the state', () => {
    given()
      .when(cellEvent(COMPLETED, 'a', { exitCode: -9 }, at(T1)))
      .thenView((view) => expect(view.cell('a')).toEqual({ ...RECORD, exit_code: -9, created_at: T1 }));
    given(cellEvent(STARTED, 'a'))
      .when(cellEvent(COMPLETED, 'a', { exitCode: 0 }))
      .thenView((view) => expect(view.cell('a')).toMatchObject({ state: 'running', exit_code: 0 }));
  });

  test('PRJ-32 PRJ-39 destroyed', () => {
    given(cellEvent(STARTED, 'a', {}, at(T1)))
      .when(cellEvent(DESTROYED, 'a', { outcome: 'failed' }, at(T2)))
      .thenView((view) => {
        expect(view.cell('a')).toEqual({
          ...RECORD,
          state: 'destroyed',
          status: 'destroyed',
          outcome: 'failed',
          created_at: T1,
          started_at: T1,
          destroyed_at: T2,
          finished_at: T2,
        });
      });
    given()
      .when(cellEvent(DESTROYED, 'a'))
      .thenView((view) =>
        expect(view.cell('a')).toEqual({ ...RECORD, state: 'destroyed', status: 'destroyed' }),
      );
  });

  test('PRJ-33 the empty key is a key', () => {
    given()
      .when(cellEvent(STARTED, ''))
      .thenView((view) => expect(view.cell('')).toMatchObject({ id: '', state: 'running' }));
  });

  test('PRJ-34 the first specId stays, unless it was empty', () => {
    given(cellEvent(STARTED, 'a', { specId: '' }))
      .when(cellEvent(COMPLETED, 'a', { specId: 'one' }), cellEvent(COMPLETED, 'a', { specId: 'two' }))
      .thenView((view) => expect(view.cell('a')).toMatchObject({ spec_id: 'one' }));
  });

  test('PRJ-35 run and formation are filled in once', () => {
    given(cellEvent(STARTED, 'a'))
      .when(
        cellEvent(COMPLETED, 'a', { runId: 'one', correlation: { formationId: ID } }),
        cellEvent(COMPLETED, 'a', { runId: 'two', formationId: OTHER_ID }),
      )
      .thenView((view) => expect(view.cell('a')).toMatchObject({ run_id: 'one', formation_id: ID }));
  });

  test('PRJ-36 what is of the wrong type changes nothing', () => {
    given(cellEvent(STARTED, 'a', {}, at(T1)), cellEvent(COMPLETED, 'a', { exitCode: 3 }))
      .when(
        cellEvent(STARTED, 'a', {}, { time: null }),
        cellEvent(STARTED, 'a', {}, { time: 7 }),
        cellEvent(COMPLETED, 'a', { exitCode: 1.5 }),
        cellEvent(COMPLETED, 'a', { exitCode: '4' }),
      )
      .thenView((view) =>
        expect(view.cell('a')).toMatchObject({ started_at: T1, exit_code: 3, state: 'running' }),
      );
  });

  test('PRJ-36 an exit code beyond 2^53 is shown as it was spelled', () => {
    const data = '{"cellId":"a","specId":"s","exitCode":9223372036854775807}';
    given()
      .when(`{"type":"${COMPLETED}","data":${data}}`)
      .thenView((view) => {
        const cells = decodeUtf8(view.snapshots.cells()) as string;
        expect(cells).toContain('"exit_code":9223372036854775807,');
      });
  });

  test.each([
    ['started', STARTED],
    ['completed', COMPLETED],
    ['destroyed', DESTROYED],
  ])('PRJ-37 destroyed is the end: %s changes nothing', (_what, type) => {
    const before = [cellEvent(STARTED, 'a', {}, at(T1)), cellEvent(DESTROYED, 'a', {}, at(T1))];
    const late = cellEvent(type, 'a', { runId: 'r', exitCode: 1, outcome: 'x', formationId: ID }, at(T2));
    given(...before)
      .when(late)
      .thenView((view, [outcome]) => {
        expect(view.cell('a')).toEqual(new View().apply(...before).cell('a'));
        expect(outcome).toMatchObject({ changed: false, warning: expect.any(String) });
        expect(view.state.cursor).toBe(3);
      });
  });
});

function bytewise(a: string, b: string): number {
  const [left, right] = [encodeUtf8(a), encodeUtf8(b)];
  for (const [position, byte] of left.entries()) {
    const other = right[position];
    if (other === undefined) return 1;
    if (byte !== other) return byte - other;
  }
  return left.length - right.length;
}

const byBytes = (a: { id: string }, b: { id: string }) => bytewise(a.id, b.id);

function naiveCell(cell: Cell): unknown {
  return {
    id: cell.id,
    spec_id: cell.specId,
    run_id: cell.runId,
    state: cell.state,
    status: cell.state,
    formation_id: cell.formationId,
    started_at: cell.startedAt,
    destroyed_at: cell.destroyedAt,
    outcome: cell.outcome,
    exit_code: cell.exitCode === null ? null : Number(cell.exitCode),
    created_at: cell.createdAt,
    finished_at: cell.destroyedAt,
  };
}

function naiveStatus(formation: Formation): string {
  if (formation.phase === 'COMPLETED') return 'SUCCEEDED';
  if (!isLive(formation)) return formation.phase;
  return formation.phase === 'PENDING' ? 'PENDING' : 'RUNNING';
}

function naiveFormation(state: ProjectionState, formation: Formation): unknown {
  const record: Record<string, unknown> = {
    id: formation.id,
    name: formation.name,
    status: naiveStatus(formation),
    phase: formation.phase,
    document: JSON.parse(formation.document) as unknown,
    created_at: formation.createdAt,
    updated_at: formation.updatedAt,
    cells: [...state.cells.values()]
      .filter((cell) => cell.formationId === formation.id)
      .sort(byBytes)
      .map(naiveCell),
  };
  if (formation.reason !== null) record['reason'] = formation.reason;
  if (formation.failedCells !== null) record['failed_cells'] = formation.failedCells;
  return record;
}

function expectNaive({ state, snapshots }: View): void {
  const formations = [...state.formations.values()].sort(byBytes);
  const cells = [...state.cells.values()].sort(byBytes);
  expect(JSON.parse(decodeUtf8(snapshots.formations('e')) as string)).toEqual({
    formations: formations.map((formation) => naiveFormation(state, formation)),
    cursor: state.cursor,
    epoch: 'e',
  });
  expect(JSON.parse(decodeUtf8(snapshots.cells()) as string)).toEqual(cells.map(naiveCell));
  for (const formation of formations) {
    const text = snapshots.formation(formation);
    expect(memberOf(text, 'document')).toBe(formation.document);
    expect(JSON.parse(text)).toEqual(naiveFormation(state, formation));
    expect(JSON.parse(text)).not.toHaveProperty('state');
  }
  for (const cell of cells) expect(memberOf(snapshots.cell(cell), 'exit_code')).toBe(cell.exitCode ?? 'null');
}

describe('texts', () => {
  test('PRJ-21 PRJ-39 equal a naive rendering, whenever they are asked for', () => {
    fc.assert(
      fc.property(stream, (events) => {
        const view = new View();
        expectNaive(view);
        for (const event of events) expectNaive(view.apply(event));
      }),
      { numRuns: 60 },
    );
  });

  test('HTTP-21 HTTP-30 of a thousand records in lists of several chunks', () => {
    const view = new View();
    const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
    const order = (n: number) => (n * 7919) % 1000;
    for (let n = 0; n < 1000; n++) {
      view.apply(formationEvent('created', { formationId: id(order(n)), name: `f${n}` }));
      view.apply(cellEvent(STARTED, `c${order(n)}`, { formationId: id(order(n)) }));
    }
    expectNaive(view);
    // The first and the last of a chunk, and one inside.
    for (const n of [0, 127, 128, 500, 999]) {
      view.apply(
        formationEvent('running', { formationId: id(n) }),
        cellEvent(COMPLETED, `c${n}`, { exitCode: n }),
      );
      expectNaive(view);
    }
    view.apply(cellEvent(STARTED, '', {}), formationEvent('created', { formationId: ID }));
    expectNaive(view);
  });

  test('HTTP-31 HTTP-32 HTTP-33 selections: filters first, then the limit, in order', () => {
    fc.assert(
      fc.property(
        stream,
        fc.constantFrom(undefined, 'pending', 'running', 'destroyed'),
        fc.constantFrom(undefined, null, ...FORMATION_IDS),
        fc.constantFrom(undefined, 0, 1, 2, 1000),
        (events, state, formation, limit) => {
          const view = new View().apply(...events);
          const expected = [...view.state.cells.values()]
            .filter((cell) => state === undefined || cell.state === state)
            .filter(
              (cell) => formation === undefined || (formation !== null && cell.formationId === formation),
            )
            .sort(byBytes)
            .slice(0, limit)
            .map(naiveCell);
          const { text } = view.snapshots.selectedCells(
            {
              ...(state === undefined ? {} : { state: state as Cell['state'] }),
              ...(formation === undefined ? {} : { formation }),
            },
            limit === undefined ? null : { list: 'cells', filters: [], limit, place: null },
            'epoch',
          );
          expect(JSON.parse(text)).toEqual(expected);
          expect(elementsOf(text)).toHaveLength(expected.length);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('LOG-13 the epoch is shown, null without a broker', () => {
    const { snapshots } = new View();
    expect(decodeUtf8(snapshots.formations(null))).toBe('{"formations":[],"cursor":0,"epoch":null}');
    expect(JSON.parse(decodeUtf8(snapshots.formations('"\n')) as string)).toMatchObject({ epoch: '"\n' });
    expect(decodeUtf8(snapshots.cells())).toBe('[]');
  });

  test('LOG-7 names and ids of any text come back as they were published', () => {
    const odd = '"\\\n\u2028😀\u0000';
    given()
      .when(
        formationEvent('failed', { formationId: ID, name: odd, reason: odd, failedCellIds: [odd, '\ud800'] }),
        cellEvent(STARTED, odd, { formationId: ID, specId: odd, runId: '\udc00' }, at(odd)),
      )
      .thenView((view) => {
        expectNaive(view);
        expect(view.formation(ID)).toMatchObject({ name: odd, reason: odd, failed_cells: [odd, '\ud800'] });
        expect(view.cell(odd)).toMatchObject({ spec_id: odd, run_id: '\udc00', started_at: odd });
      });
  });
});
