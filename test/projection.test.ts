import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { Fact, FormationPhase } from '../src/model.ts';
import { isLive, statusOf } from '../src/formation-status.ts';
import { advance, evolve, holderOf, initialState, liveHoldersOf } from '../src/projection.ts';
import { FORMATION_IDS, stream, uselessPayload } from './support/arbitraries.ts';
import { formationEvent, given, plain, View } from './support/given.ts';

const [ID, OTHER_ID, THIRD_ID] = FORMATION_IDS;
const T1 = '2026-11-20T19:33:26.210477484+00:00';
const T2 = '2026-11-20T19:33:27Z';

const created = (id: string, name: string, more = {}) =>
  formationEvent('created', { formationId: id, formationName: name, ...more }, { time: T1 });
const phase = (id: string, to: string, more = {}) =>
  formationEvent(to, { formationId: id, ...more }, { time: T2 });

describe('formations', () => {
  test.each([
    ['created', 'PENDING', 'PENDING', true],
    ['launching', 'RUNNING', 'LAUNCHING', true],
    ['running', 'RUNNING', 'RUNNING', true],
    ['degraded', 'RUNNING', 'DEGRADED', true],
    ['completed', 'SUCCEEDED', 'COMPLETED', false],
    ['failed', 'FAILED', 'FAILED', false],
    ['cancelled', 'CANCELLED', 'CANCELLED', false],
  ])('PRJ-11 %s shows as %s, %s', (to, status, shown, live) => {
    given(created(ID, 'demo'))
      .when(phase(ID, to))
      .thenView((view, [outcome]) => {
        expect(view.formation(ID)).toMatchObject({ status, phase: shown });
        expect(outcome).toEqual({ changed: true, effect: 'applied', warning: null });
        const formation = view.state.formations.get(ID);
        expect(formation && [statusOf(formation), isLive(formation)]).toEqual([status, live]);
      });
  });

  test('PRJ-14 an unknown id makes a record, whatever the phase', () => {
    given()
      .when(phase(ID, 'failed', { reason: 'why' }))
      .thenView((view) => {
        expect(view.formation(ID)).toEqual({
          id: ID,
          name: '',
          status: 'FAILED',
          phase: 'FAILED',
          reason: 'why',
          created_at: T2,
          updated_at: T2,
          document: { formationId: ID, reason: 'why' },
          cells: [],
        });
      });
  });

  test('PRJ-13 a name overwrites, an empty one does not', () => {
    given(created(ID, 'demo'))
      .when(phase(ID, 'running', { formationName: '' }), phase(ID, 'running'))
      .thenView((view) => {
        expect(view.formation(ID)).toMatchObject({ name: 'demo' });
        expect(holderOf(view.state, '')).toBeNull();
      });
    given(created(ID, 'demo'))
      .when(phase(ID, 'running', { name: 'other' }))
      .thenView((view) => {
        expect(view.formation(ID)).toMatchObject({ name: 'other' });
        expect(holderOf(view.state, 'demo')).toBeNull();
        expect(holderOf(view.state, 'other')?.id).toBe(ID);
      });
  });

  test('PRJ-15 a document stays until an event carries another', () => {
    const first = { name: 'demo' };
    given(created(ID, 'demo', { document: first }))
      .when(phase(ID, 'running', { cellCount: 2 }))
      .thenView((view) => expect(view.formation(ID)).toMatchObject({ document: first }));
    given(created(ID, 'demo', { document: first }))
      .when(phase(ID, 'running', { document: { name: 'new' } }))
      .thenView((view) => expect(view.formation(ID)).toMatchObject({ document: { name: 'new' } }));
    given()
      .when({ type: created(ID, '')['type'], subject: ID })
      .thenView((view) => expect(view.formation(ID)).toMatchObject({ document: null, created_at: null }));
  });

  test('PRJ-17 the last event wins, also after the end', () => {
    given(created(ID, 'demo'), phase(ID, 'completed'))
      .when(phase(ID, 'launching'))
      .thenView((view) =>
        expect(view.formation(ID)).toMatchObject({ status: 'RUNNING', phase: 'LAUNCHING' }),
      );
    given(created(ID, 'demo'), phase(ID, 'failed'))
      .when(created(ID, 'demo'))
      .thenView((view) => expect(view.formation(ID)).toMatchObject({ status: 'PENDING' }));
  });

  test('PRJ-18 reason and failed cells are those of the last event', () => {
    given(created(ID, 'demo'), phase(ID, 'degraded', { reason: 'slow', failedCellIds: ['b', 'a'] }))
      .when()
      .thenView((view) =>
        expect(view.formation(ID)).toMatchObject({ reason: 'slow', failed_cells: ['b', 'a'] }),
      );
    given(created(ID, 'demo'), phase(ID, 'degraded', { reason: 'slow', failedCellIds: ['a'] }))
      .when(phase(ID, 'running', { reason: '', failedCellIds: [] }))
      .thenView((view) => {
        expect(view.formation(ID)).not.toHaveProperty('reason');
        expect(view.formation(ID)).not.toHaveProperty('failed_cells');
      });
  });

  test('PRJ-19 times of the first and the last event, as spelled', () => {
    given(created(ID, 'demo'))
      .when(phase(ID, 'running'))
      .thenView((view) => expect(view.formation(ID)).toMatchObject({ created_at: T1, updated_at: T2 }));
  });
});

describe('holders of a name', () => {
  const holder = (view: View) => holderOf(view.state, 'demo')?.id ?? null;
  const both = [created(ID, 'demo'), created(OTHER_ID, 'demo')];

  test('PRJ-16 the newest live one', () => {
    given(...both)
      .when()
      .thenView((view) => {
        expect(holder(view)).toBe(OTHER_ID);
        expect(liveHoldersOf(view.state, 'demo').map(({ id }) => id)).toEqual([ID, OTHER_ID]);
      });
    given(...both)
      .when(phase(OTHER_ID, 'failed'))
      .thenView((view) => expect(holder(view)).toBe(ID));
  });

  test('PRJ-16 else the newest, by its first event', () => {
    given(...both)
      .when(phase(OTHER_ID, 'failed'), phase(ID, 'completed'))
      .thenView((view) => {
        expect(holder(view)).toBe(OTHER_ID);
        expect(liveHoldersOf(view.state, 'demo')).toEqual([]);
      });
  });

  test('PRJ-16 one that lives again holds it again', () => {
    given(...both, phase(OTHER_ID, 'failed'))
      .when(phase(OTHER_ID, 'running'))
      .thenView((view) => expect(holder(view)).toBe(OTHER_ID));
  });

  test('PRJ-16 a name that arrives later counts by the first event of its formation', () => {
    given(phase(ID, 'running'), created(OTHER_ID, 'demo'))
      .when(phase(ID, 'running', { name: 'demo' }))
      .thenView((view) => expect(holder(view)).toBe(OTHER_ID));
    given(created(ID, 'demo'), created(OTHER_ID, 'demo'), created(THIRD_ID, 'x'))
      .when(phase(OTHER_ID, 'running', { name: 'x' }))
      .thenView((view) => {
        expect(holder(view)).toBe(ID);
        expect(holderOf(view.state, 'x')?.id).toBe(THIRD_ID);
      });
  });

  test('PRJ-16 names that objects inherit have no holder', () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'unknown']) {
      expect(holderOf(initialState(), name)).toBeNull();
      expect(liveHoldersOf(initialState(), name)).toEqual([]);
    }
  });

  test('PRJ-16 holders equal a search through all formations', () => {
    fc.assert(
      fc.property(stream, (events) => {
        const { state } = new View().apply(...events);
        const youngestFirst = [...state.formations.values()].sort((a, b) => b.firstSeq - a.firstSeq);
        for (const name of ['alpha', 'beta', 'Alpha', 'unknown']) {
          const named = youngestFirst.filter((formation) => formation.name === name);
          expect(holderOf(state, name)).toBe(named.find(isLive) ?? named[0] ?? null);
          expect(liveHoldersOf(state, name)).toEqual(named.filter(isLive).toReversed());
        }
      }),
      { numRuns: 300 },
    );
  });

  test('PRJ-16 a name that many hold costs about as much as many names', () => {
    const many = 16_000;
    const fact = (at: number, name: string, to: FormationPhase): Fact => ({
      kind: 'formation',
      id: `f${at}`,
      name,
      phase: to,
      reason: null,
      failedCells: null,
      time: null,
      mark: null,
      document: () => '{}',
    });
    const time = (name: (at: number) => string) => {
      const state = initialState();
      for (let at = 0; at < many; at++) evolve(state, at + 1, fact(at, name(at), 'PENDING'));
      const start = performance.now();
      // Oldest first: the one that ends is always the farthest from the newest.
      for (let at = 0; at < many; at++) evolve(state, many + at + 1, fact(at, name(at), 'FAILED'));
      return performance.now() - start;
    };
    time((at) => `f${at}`);
    const [different, same] = [time((at) => `f${at}`), time(() => 'same')];
    expect(same).toBeLessThan(10 * different + 100);
  });
});

describe('any stream', () => {
  test('PRJ-5 replayed twice gives one state', () => {
    fc.assert(
      fc.property(stream, (events) => {
        const [first, second] = [new View().apply(...events), new View().apply(...events)];
        expect(plain(second.state)).toEqual(plain(first.state));
        expect(second.texts()).toEqual(first.texts());
        expect(second.outcomes).toEqual(first.outcomes);
      }),
      { numRuns: 200 },
    );
  });

  test('PRJ-5 split anywhere into replay and live, and read at any time, gives one state', () => {
    fc.assert(
      fc.property(stream, fc.nat({ max: 40 }), fc.array(fc.boolean()), (events, split, reads) => {
        const whole = new View().apply(...events);
        const parts = new View().apply(...events.slice(0, split));
        parts.texts();
        for (const [at, event] of events.slice(split).entries()) {
          parts.apply(event);
          // What was read before must not be shown after a change.
          if (reads[at] === true) parts.texts();
        }
        expect(plain(parts.state)).toEqual(plain(whole.state));
        expect(parts.texts()).toEqual(whole.texts());
        expect(parts.outcomes).toEqual(whole.outcomes);
      }),
      { numRuns: 300 },
    );
  });

  test('PRJ-4 what is ignored or malformed changes nothing but the cursor', () => {
    fc.assert(
      fc.property(stream, uselessPayload, (events, useless) => {
        const view = new View().apply(...events);
        const before = plain(view.state) as object;
        const texts = view.texts();
        view.apply(useless);
        expect(view.outcomes.at(-1)?.changed).toBe(false);
        expect(plain(view.state)).toEqual({ ...before, cursor: events.length + 1 });
        const cursor = `"cursor":${events.length},`;
        expect(view.texts()).toEqual(
          texts.map((text) => text.replace(cursor, `"cursor":${events.length + 1},`)),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('LOG-5 the cursor is the last sequence, and never goes back', () => {
    fc.assert(
      fc.property(stream, (events) => {
        expect(new View().apply(...events).state.cursor).toBe(events.length);
      }),
    );
    const state = initialState(7);
    advance(state, 5);
    expect(state.cursor).toBe(7);
    advance(state, 9);
    expect(state.cursor).toBe(9);
  });
});
