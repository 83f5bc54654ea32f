import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { isServing, nextPhase, type Phase, type PhaseEvent } from '../src/lifecycle.ts';

const EVENTS = ['opened', 'caughtUp', 'reset', 'lost', 'overdue', 'stopped'] as const;

/** A row per phase, in the order of the events above. */
const TABLE: Readonly<Record<Phase, readonly [serving: boolean, ...next: Phase[]]>> = {
  starting: [false, 'replaying', 'live', 'replaying', 'starting', 'offline', 'stopped'],
  replaying: [false, 'replaying', 'live', 'replaying', 'starting', 'replaying', 'stopped'],
  live: [true, 'live', 'live', 'replaying', 'lost', 'live', 'stopped'],
  lost: [true, 'lost', 'live', 'replaying', 'lost', 'lost', 'stopped'],
  offline: [true, 'replaying', 'live', 'replaying', 'offline', 'offline', 'stopped'],
  stopped: [false, 'stopped', 'stopped', 'stopped', 'stopped', 'stopped', 'stopped'],
};

const PHASES = Object.keys(TABLE) as Phase[];
const phaseAfter = (events: readonly PhaseEvent[], from: Phase = 'starting') =>
  events.reduce<Phase>((phase, event) => nextPhase(phase, event), from);

describe('the table', () => {
  test.each(PHASES)('RUN-1 %s', (phase) => {
    const [serving, ...next] = TABLE[phase];
    expect(isServing(phase)).toBe(serving);
    expect(EVENTS.map((event) => nextPhase(phase, event))).toEqual(next);
  });
});

describe('what it promises', () => {
  const events = fc.array(fc.constantFrom(...EVENTS));
  const withoutStop = fc.array(fc.constantFrom(...EVENTS.filter((event) => event !== 'stopped')));

  test('RUN-1 nothing is answered before the view is complete or the broker is overdue', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom<PhaseEvent>('opened', 'reset', 'lost')), (before) => {
        expect(isServing(phaseAfter(before))).toBe(false);
      }),
    );
    expect(isServing(phaseAfter(['overdue']))).toBe(true);
    expect(isServing(phaseAfter(['opened', 'overdue']))).toBe(false);
    expect(isServing(phaseAfter(['opened', 'lost', 'overdue']))).toBe(true);
  });

  test('RUN-2 RUN-5 once live, losing the broker and finding it again is always answered', () => {
    const breaks = fc.array(fc.constantFrom<PhaseEvent>('opened', 'lost', 'caughtUp', 'overdue'));
    fc.assert(
      fc.property(breaks, (what) => {
        expect(isServing(phaseAfter(['opened', 'caughtUp', ...what]))).toBe(true);
      }),
    );
  });

  test('RUN-3 whatever happened, a view at the tail is live', () => {
    fc.assert(
      fc.property(withoutStop, (before) => {
        expect(phaseAfter([...before, 'caughtUp'])).toBe('live');
      }),
    );
  });

  test('RUN-8 another stream is read before anything is answered from it', () => {
    const meanwhile = fc.array(fc.constantFrom<PhaseEvent>('opened', 'overdue', 'reset'));
    fc.assert(
      fc.property(withoutStop, meanwhile, (before, after) => {
        expect(isServing(phaseAfter([...before, 'reset', ...after]))).toBe(false);
      }),
    );
  });

  test('RUN-7 stopped is the end', () => {
    fc.assert(
      fc.property(events, events, (before, after) => {
        expect(phaseAfter([...before, 'stopped', ...after])).toBe('stopped');
      }),
    );
  });
});
