// What events of the past are about once signatures count.
import { beforeAll, describe, expect, test } from 'vitest';

import { decodeEntry } from '../src/cloudevents.ts';
import { EntryReader } from '../src/entry-reader.ts';
import { NO_TOPIC, topicOf } from '../src/event-topic.ts';
import type { EventTopic } from '../src/model.ts';
import { pastTopic } from '../src/past-topic.ts';
import { initialState } from '../src/projection.ts';
import { cellEvent, entryOf, STARTED } from './support/given.ts';
import { SIGNING_KEY, signaturesOf, signed, signedAsBefore, VERIFY_KEYS } from './support/signing.ts';

const CELL = { cell: 'c', formation: null };
const EVENT = cellEvent(STARTED, 'c');
const open = new EntryReader();
let verifying: EntryReader;
let strict: EntryReader;
let good: string;
let bad: string;

beforeAll(async () => {
  const keys = { CELLOS_EVENT_VERIFY_KEYS: VERIFY_KEYS };
  const signing = { CELLOS_EVENT_REQUIRE_SIGNED: '1', CELLOS_EVENT_SIGNING_KEY: SIGNING_KEY };
  verifying = new EntryReader(await signaturesOf(keys));
  strict = new EntryReader(await signaturesOf({ ...keys, ...signing }));
  good = await signed(EVENT);
  bad = (await signed(cellEvent(STARTED, 'other'))).replace('"other"', '"c"');
});

/** Of an entry at 7 in a view that has noted it, or has not. */
function topicAt7(
  payload: object | string,
  reader: EntryReader,
  { floor = 0, cursor = 7, isNoted = false, noted = CELL as EventTopic },
) {
  const state = initialState();
  state.index.startAt(floor);
  state.cursor = cursor;
  if (isNoted) state.index.note(7, noted, state.cells);
  const entry = entryOf(7, payload);
  return pastTopic({ reader, state }, entry, decodeEntry(entry));
}

describe('SIG-8 the topic of a past event', () => {
  test('is read from it when everything is believed', () => {
    for (const payload of [EVENT, good, bad]) expect(topicAt7(payload, open, {})).toEqual(CELL);
  });

  test('is what the index has noted, without another look at the signature', () => {
    for (const payload of [EVENT, good, bad]) {
      for (const reader of [verifying, strict]) {
        expect(topicAt7(payload, reader, { isNoted: true })).toEqual(CELL);
        expect(topicAt7(payload, reader, {})).toBe(NO_TOPIC);
      }
    }
  });

  test.each([
    ['below the index', { floor: 7 }],
    ['beyond the view', { cursor: 6 }],
  ])('is verified %s', async (_, view) => {
    expect(await topicAt7(good, verifying, view)).toEqual(CELL);
    expect(await topicAt7(bad, verifying, view)).toEqual(NO_TOPIC);
    expect(await topicAt7(EVENT, verifying, view)).toEqual(CELL);
    expect(await topicAt7(good, strict, view)).toEqual(CELL);
    expect(await topicAt7(EVENT, strict, view)).toEqual(NO_TOPIC);
  });

  test('names no formation where the signature does not reach', async () => {
    const id = '11111111-2222-4333-8444-555555555555';
    const type = 'dev.cellos.events.cell.formation.v1.running';
    const forged = (await signedAsBefore({ type, data: { cellId: 'c' } })).replace(
      '"event":{',
      `"event":{"subject":"${id}",`,
    );
    expect(await topicAt7(forged, verifying, { floor: 7 })).toEqual(CELL);
    expect(topicAt7(forged, verifying, { isNoted: true })).toEqual(CELL);
    const covered = await signed({ type, subject: id, data: { cellId: 'c' } });
    const both = { cell: 'c', formation: id };
    expect(topicAt7(covered, verifying, { isNoted: true, noted: both })).toEqual(both);
  });

  test('is none where there is nothing to be about', () => {
    expect(topicAt7({ type: 'x' }, verifying, {})).toBe(NO_TOPIC);
    expect(topicOf(undefined)).toBe(NO_TOPIC);
  });
});
