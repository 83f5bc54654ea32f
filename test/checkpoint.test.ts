// What is saved is what is restored, whatever comes between.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parseBlock } from '../src/checkpoint-blocks.ts';
import { decodeEntry } from '../src/cloudevents.ts';
import { toFact } from '../src/facts.ts';
import type { CellFact, Fact, FormationPhase } from '../src/model.ts';
import type { LogAnchor } from '../src/ports.ts';
import { holderOf, initialState, type ProjectionState } from '../src/projection.ts';
import { anyString, eventPayload, uselessPayload } from './support/arbitraries.ts';
import { entryOf } from './support/given.ts';
import {
  anchorOf,
  applyAll,
  formation,
  MemoryCheckpointStore,
  openCheckpoint,
  restored,
  save,
  shown,
} from './support/memory-checkpoint-store.ts';

const hostileId = fc.oneof(
  fc.constantFrom('', '__proto__', 'constructor', '\ud800', '\udc00', '\u0000', '"', 'a', 'b'),
  anyString,
);
const text = fc.option(anyString);
const document = fc.oneof(
  anyString.map((value) => JSON.stringify(value)),
  anyString,
  fc.constantFrom('null', '{"n":1.0}', 'x'.repeat(100_000), `[${'{"a":"\u00e4"},'.repeat(9000)}1]`),
);

const formationFact: fc.Arbitrary<Fact> = fc
  .record({
    id: hostileId,
    name: fc.oneof(fc.constantFrom('', 'alpha', 'beta', '__proto__'), anyString),
    phase: fc.constantFrom<FormationPhase>('PENDING', 'RUNNING', 'DEGRADED', 'COMPLETED', 'FAILED'),
    reason: text,
    failedCells: fc.option(fc.array(anyString, { maxLength: 3 })),
    time: text,
    document: fc.option(document),
  })
  .map(({ document: spelled, ...more }) => formation(more.id, { ...more, document: () => spelled }));

const cellFact: fc.Arbitrary<CellFact> = fc.record({
  kind: fc.constant<'cell'>('cell'),
  effect: fc.constantFrom<CellFact['effect']>('started', 'completed', 'destroyed'),
  id: hostileId,
  specId: anyString,
  runId: text,
  formationId: fc.option(hostileId),
  exitCode: fc.option(fc.constantFrom('0', '-1', '9223372036854775807')),
  outcome: text,
  time: text,
});

const eventFact = fc
  .oneof(eventPayload, uselessPayload)
  .map((payload) => toFact(decodeEntry(entryOf(1, payload))));

const steps = fc.array(
  fc.record({
    facts: fc.array(fc.oneof(formationFact, cellFact, eventFact), { maxLength: 6 }),
    action: fc.constantFrom('save', 'save', 'refused', 'unacknowledged', 'restart', 'reset', 'nothing'),
    timestamp: fc.option(fc.record({ seq: fc.nat(), nanos: fc.constantFrom('0', '1763667206210477484') })),
  }),
  { maxLength: 12 },
);

/** Fails unless every block is there for a record that no younger one holds, and none holds a record twice. */
function expectTidy(store: MemoryCheckpointStore): void {
  const seen = new Set<string>();
  for (const [block, spelled] of [...store.blocks].sort(([a], [b]) => b - a)) {
    const { formations, cells } = parseBlock(spelled, block);
    const ids = [...formations.map(({ id }) => `f${id}`), ...cells.map(({ id }) => `c${id}`)];
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.every((id) => seen.has(id))).toBe(false);
    for (const id of ids) seen.add(id);
  }
}

describe('a view that is saved and restored', () => {
  test('CKP-1 is as if it had never been interrupted, whatever comes between', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (plan) => {
        const store = new MemoryCheckpointStore();
        const history: Fact[] = [];
        const whole = initialState();
        let { checkpoint } = openCheckpoint(store);
        let state = initialState();
        /** What the store must hold. */
        let saved: LogAnchor | null = null;
        for (const { facts, action, timestamp } of plan) {
          history.push(...facts);
          applyAll(state, facts);
          expect(shown(applyAll(whole, facts))).toEqual(shown(state));
          const anchor = anchorOf(state, timestamp);
          switch (action) {
            case 'save':
              if ((await checkpoint.save(state, anchor)).bytes > 0) saved = anchor;
              expectTidy(store);
              break;
            case 'refused':
            case 'unacknowledged': {
              const before = store.commits.length;
              store.faults.commit = action;
              await checkpoint.save(state, anchor).catch(() => {});
              delete store.faults.commit;
              if (store.commits.length > before) saved = anchor;
              break;
            }
            case 'restart': {
              const { checkpoint: next, warnings } = openCheckpoint(store);
              checkpoint = next;
              const result = await checkpoint.restore();
              expect(warnings).toEqual([]);
              expect(result?.anchor ?? null).toEqual(saved);
              state = result?.state ?? initialState();
              expect(shown(state)).toEqual(shown(applyAll(initialState(), history.slice(0, state.cursor))));
              applyAll(state, history.slice(state.cursor));
              break;
            }
            case 'reset':
              await checkpoint.reset();
              break;
          }
          expect(shown(state)).toEqual(shown(whole));
        }
      }),
      { numRuns: 300 },
    );
  });

  test('CKP-1 the holders of a name are in order, whatever order they were saved in', async () => {
    const store = new MemoryCheckpointStore();
    const { checkpoint } = openCheckpoint(store);
    const ids = ['a', 'b', 'c', 'd', 'e'];
    const state = initialState();
    for (const id of ids) applyAll(state, [formation(id, { name: 'same' })]);
    await save(checkpoint, state);
    for (const id of ['d', 'b', 'e']) {
      applyAll(state, [formation(id, { name: 'same', phase: id === 'e' ? 'FAILED' : 'RUNNING' })]);
      await save(checkpoint, state);
    }
    const again = (await restored(store)) as ProjectionState;
    expect(again.names.get('same')?.all.map(({ id }) => id)).toEqual(ids);
    expect([...again.formations.keys()]).toEqual(ids);
    expect(holderOf(again, 'same')?.id).toBe('d');
    applyAll(again, [formation('d', { name: 'same', phase: 'FAILED' })]);
    expect(holderOf(again, 'same')?.id).toBe('c');
  });

  test('CKP-1 a name that many hold costs about as much as many names', async () => {
    const time = async (name: (at: number) => string) => {
      const store = new MemoryCheckpointStore();
      const { checkpoint } = openCheckpoint(store);
      const state = initialState();
      for (let at = 0; at < 30_000; at++) applyAll(state, [formation(`f${at}`, { name: name(at) })]);
      await save(checkpoint, state);
      const start = performance.now();
      await restored(store);
      return performance.now() - start;
    };
    await time((at) => `f${at}`);
    const [different, same] = [await time((at) => `f${at}`), await time(() => 'same')];
    expect(same).toBeLessThan(10 * different + 100);
  });

  test('CKP-1 an empty view, and one that begins at the tail', async () => {
    const store = new MemoryCheckpointStore();
    const { checkpoint } = openCheckpoint(store);
    expect(await restored(store)).toBeNull();
    const state = initialState(41);
    await save(checkpoint, state);
    expect((await restored(store))?.cursor).toBe(41);
    applyAll(state, [formation('a')]);
    await save(checkpoint, state);
    expect((await restored(store))?.formations.get('a')).toMatchObject({ firstSeq: 42, version: 42 });
  });
});
