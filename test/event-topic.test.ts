// What an event is about.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { decodeEntry } from '../src/cloudevents.ts';
import { isWithin, topicOf } from '../src/event-topic.ts';
import { toFact } from '../src/facts.ts';
import type { Cell, EventScope } from '../src/model.ts';
import { eventPayload, uselessPayload } from './support/arbitraries.ts';
import { entryOf } from './support/given.ts';

const ID = 'a7571001-1a4f-5eb9-8df1-109cbbfa6692';
const OTHER = '1080a51a-d63d-581e-bdfa-10c06055ab8c';
const FORMATION = 'dev.cellos.events.cell.formation.v1.';

describe('the topic of an event', () => {
  test('IDX-4 is its cell, whatever its type, and the formation that it names', () => {
    const of = (type: unknown, data: unknown, more = {}) => topicOf({ type, data, ...more });
    const nothing = { cell: null, formation: null };
    expect(of('any', { cellId: 'c' })).toEqual({ cell: 'c', formation: null });
    expect(of('any', { cellId: '' })).toEqual({ cell: '', formation: null });
    expect(of(7, { cellId: 'c', formationId: ID.toUpperCase() })).toEqual({ cell: 'c', formation: ID });
    expect(of('any', { correlation: { formationId: ID } })).toEqual({ cell: null, formation: ID });
    expect(of('any', { formationId: 'no uuid', correlation: { formationId: ID } })).toEqual({
      cell: null,
      formation: ID,
    });
    for (const prefix of [FORMATION, 'io.cellos.formation.v1.']) {
      expect(of(`${prefix}created`, { formationId: ID })).toEqual({ cell: null, formation: ID });
      expect(of(`${prefix}whatever`, { formation_id: ID })).toEqual({ cell: null, formation: ID });
      expect(of(`${prefix}running`, {}, { subject: ID })).toEqual({ cell: null, formation: ID });
    }
    expect(of('any', {}, { subject: ID })).toEqual(nothing);
    expect(of('any', { formation_id: ID })).toEqual(nothing);
    expect(of('any', { cellId: 7 })).toEqual(nothing);
    for (const value of [undefined, null, 1, 'x', [], [{ data: { cellId: 'c' } }], {}]) {
      expect(topicOf(value)).toEqual(nothing);
    }
  });

  test('IDX-4 is the same with what the projection found already, for any payload', () => {
    fc.assert(
      fc.property(fc.oneof(eventPayload, uselessPayload), (payload) => {
        const decoded = decodeEntry(entryOf(1, payload));
        expect(topicOf(decoded.event, toFact(decoded))).toEqual(topicOf(decoded.event));
      }),
    );
  });

  test('IDX-5 a formation has its own events and those of its cells', () => {
    const cells = new Map([['c', { id: 'c', formationId: ID } as Cell]]);
    const scope = (kind: EventScope['kind'], id: string): EventScope => ({ kind, id });
    const early = { cell: 'c', formation: null };
    expect(isWithin(scope('formation', ID), early, cells)).toBe(true);
    expect(isWithin(scope('formation', OTHER), early, cells)).toBe(false);
    expect(isWithin(scope('formation', ID), early, new Map())).toBe(false);
    expect(isWithin(scope('formation', OTHER), { cell: 'c', formation: OTHER }, cells)).toBe(true);
    expect(isWithin(scope('cell', 'c'), early, cells)).toBe(true);
    expect(isWithin(scope('cell', ID), { cell: null, formation: ID }, cells)).toBe(false);
    expect(isWithin(scope('cell', 'c'), undefined, cells)).toBe(false);
  });
});
