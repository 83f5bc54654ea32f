import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  decodeEntry,
  type FormationEvent,
  formationEventText,
  formationSubject,
  frameText,
  parseTraceparent,
} from '../src/cloudevents.ts';
import { toFact } from '../src/facts.ts';
import { memberOf } from '../src/json-text.ts';
import type { FormationPhase } from '../src/model.ts';
import { evolve, initialState } from '../src/projection.ts';
import {
  anyString,
  canonical,
  deepText,
  eventPayload,
  FORMATION_IDS,
  jsonText,
  objectText,
  uselessPayload,
} from './support/arbitraries.ts';
import { COMPLETED, DESTROYED, entryOf, FORMATION, type Payload, STARTED, View } from './support/given.ts';
import { SUPERVISOR_RUN } from './support/supervisor-run.ts';

const [ID] = FORMATION_IDS;
const PHASES = ['PENDING', 'LAUNCHING', 'RUNNING', 'DEGRADED', 'COMPLETED', 'FAILED', 'CANCELLED'] as const;

const EVENT: FormationEvent = {
  eventId: '0e0e7f6c-3b0e-4a3a-8c3e-6a5d1f5e0001',
  operator: 'bearer-token-operator',
  time: new Date(Date.UTC(2026, 10, 20, 19, 33, 26)),
  traceparent: null,
  phase: 'PENDING',
  formationId: ID,
  formationName: 'demo',
  cellCount: 2,
  failedCellIds: [],
  reason: null,
  document: '{"name":"demo","x":1.0}',
  mark: null,
};

describe('decoding', () => {
  test('LOG-7 keeps the text beside the value', () => {
    fc.assert(
      fc.property(jsonText, ({ text }) => {
        const entry = decodeEntry(entryOf(7, text, 's'));
        expect([entry.seq, entry.subject, entry.text]).toEqual([7, 's', text]);
        expect(canonical(entry.event)).toBe(canonical(JSON.parse(text)));
      }),
    );
  });

  test('PRJ-3 what is not UTF-8 JSON has no text', () => {
    for (const payload of ['', '{', '\ufeff{}', 'NaN', Uint8Array.of(0x22, 0xff, 0x22)]) {
      expect(decodeEntry(entryOf(7, payload))).toMatchObject({ seq: 7, text: null, event: undefined });
    }
  });

  test('PRJ-4 no bytes make it throw', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const { text, event } = decodeEntry(entryOf(1, bytes));
        expect(text === null).toBe(event === undefined);
      }),
      { numRuns: 500 },
    );
  });
});

describe('nothing throws', () => {
  const total = (payload: Payload, seq: number) => {
    const state = initialState(seq - 1);
    const entry = decodeEntry(entryOf(seq, payload));
    const fact = toFact(entry);
    const outcome = evolve(state, seq, fact);
    expect(state.cursor).toBe(seq);
    expect(typeof outcome.changed).toBe('boolean');
    // Asked for at any time, also by an event that finds its record.
    if (fact.kind === 'formation') JSON.parse(fact.document(true) ?? 'null');
  };
  const seq = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
  /** An event whose type is known and whose members may be anything. */
  const wild = fc
    .tuple(fc.constantFrom(STARTED, COMPLETED, DESTROYED, `${FORMATION}created`), jsonText, anyString)
    .map(([type, data, time]) => `{"type":"${type}","data":${data.text},"time":${JSON.stringify(time)}}`);
  const half = fc
    .tuple(fc.constantFrom(STARTED, COMPLETED, DESTROYED, `${FORMATION}failed`), jsonText, jsonText, jsonText)
    .map(
      ([type, a, b, c]) =>
        `{"type":"${type}","data":{"cellId":"a","specId":"s","formationId":"${ID}","exitCode":${a.text},` +
        `"document":${b.text},"failedCellIds":${c.text},"correlation":${a.text}}}`,
    );

  test.each<[string, fc.Arbitrary<Payload>]>([
    ['bytes', fc.uint8Array({ maxLength: 64 })],
    ['JSON', jsonText.map(({ text }) => text)],
    ['values', fc.jsonValue().map((value) => JSON.stringify(value))],
    ['nesting', deepText],
    ['events', eventPayload],
    ['useless events', uselessPayload],
    ['events with any data', wild],
    ['events with any members', half],
  ])('PRJ-4 on any %s', (_what, payload) => {
    fc.assert(fc.property(payload, seq, total), { numRuns: 300 });
  });

  test('PRJ-4 on nesting that no stack would hold', () => {
    const deep = `${'['.repeat(300_000)}${']'.repeat(300_000)}`;
    for (const type of [STARTED, COMPLETED, `${FORMATION}created`]) {
      total(`{"type":"${type}","subject":"${ID}","data":${deep}}`, 1);
      total(
        `{"type":"${type}","data":{"cellId":"a","specId":"s","formationId":"${ID}","document":${deep}}}`,
        1,
      );
    }
    total(deep, 1);
    total('['.repeat(300_000), 1);
  });
});

describe('frames', () => {
  test('FEED-1 LOG-7 show the payload as it was published', () => {
    for (const line of SUPERVISOR_RUN) {
      expect(frameText(12, line)).toBe(`{"seq":12,"event":${line}}`);
    }
    fc.assert(
      fc.property(jsonText, fc.integer({ min: 1 }), ({ text }, seq) => {
        const frame = frameText(seq, text);
        expect(memberOf(frame, 'event')).toBe(text.trim());
        expect(JSON.parse(frame)).toHaveProperty('seq', seq);
      }),
    );
  });
});

describe('events of our own', () => {
  test('OUT-1 subject and type end with the phase', () => {
    const segments = ['created', 'launching', 'running', 'degraded', 'completed', 'failed', 'cancelled'];
    for (const [at, phase] of PHASES.entries()) {
      expect(formationSubject(ID, phase)).toBe(`cellos.events.formations.${ID}.${segments[at]}`);
      expect(memberOf(formationEventText({ ...EVENT, phase }), 'type')).toBe(`"${FORMATION}${segments[at]}"`);
    }
  });

  test('OUT-2 OUT-4 OUT-5 the envelope', () => {
    expect(JSON.parse(formationEventText(EVENT))).toEqual({
      specversion: '1.0',
      id: EVENT.eventId,
      source: 'principal://operator/bearer-token-operator',
      type: `${FORMATION}created`,
      datacontenttype: 'application/json',
      data: {
        formationId: ID,
        formationName: 'demo',
        cellCount: 2,
        failedCellIds: [],
        document: {
          name: 'demo',
          x: 1,
        },
      },
      time: '2026-11-20T19:33:26.000Z',
      traceparent: null,
    });
  });

  test('OUT-5 the document is spelled as it was admitted', () => {
    fc.assert(
      fc.property(objectText, ({ dense }) => {
        const text = formationEventText({ ...EVENT, document: dense });
        expect(memberOf(memberOf(text, 'data') ?? '', 'document')).toBe(dense);
      }),
    );
  });

  test('OUT-4 reason and document only when there is one', () => {
    const data = (more: Partial<FormationEvent>) =>
      (JSON.parse(formationEventText({ ...EVENT, ...more })) as { data: object }).data;
    expect(Object.keys(data({ document: null }))).toEqual([
      'formationId',
      'formationName',
      'cellCount',
      'failedCellIds',
    ]);
    expect(data({ document: null, reason: 'deleted by operator', failedCellIds: ['a', '"'] })).toMatchObject({
      reason: 'deleted by operator',
      failedCellIds: ['a', '"'],
    });
  });

  test('OUT-2 a traceparent of a later version may hold anything behind its four fields', () => {
    const traceparent = `01-${'a'.repeat(32)}-${'b'.repeat(16)}-01-"\\`;
    expect(parseTraceparent(traceparent)).toBe(traceparent);
    expect(JSON.parse(formationEventText({ ...EVENT, traceparent }))).toMatchObject({ traceparent });
  });

  test('OUT-2 the operator is percent-encoded, whatever it is', () => {
    const source = (operator: string) =>
      (JSON.parse(formationEventText({ ...EVENT, operator })) as { source: string }).source;
    expect(source('a b/ä?#%')).toBe('principal://operator/a%20b%2F%C3%A4%3F%23%25');
    fc.assert(
      fc.property(anyString, (operator) => {
        expect(source(operator)).toMatch(/^principal:\/\/operator\/([\w.!~*'()-]|%[0-9A-F]{2})*$/);
      }),
    );
  });

  test('OUT-5 projecting them restores what was written', () => {
    const phase = fc.constantFrom<FormationPhase>(...PHASES);
    fc.assert(
      fc.property(phase, anyString, anyString, fc.array(anyString), objectText, (...parts) => {
        const [to, formationName, reason, failedCellIds, { dense }] = parts;
        const what = { phase: to, formationName, reason: reason || null, failedCellIds, document: dense };
        const view = new View().apply(formationEventText({ ...EVENT, ...what }));
        const formation = view.state.formations.get(ID);
        expect(view.outcomes).toEqual([{ changed: true, effect: 'applied', warning: null }]);
        expect(formation).toMatchObject({
          name: formationName,
          phase: to,
          reason: reason || null,
          document: dense,
        });
        expect(formation?.failedCells ?? []).toEqual(failedCellIds);
        expect(formation?.createdAt).toBe('2026-11-20T19:33:26.000Z');
      }),
    );
  });
});

describe('traceparent', () => {
  const TRACE = '0af7651916cd43dd8448eb211c80319c';
  const PARENT = 'b7ad6b7169203331';

  test.each([
    `00-${TRACE}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-00`,
    `00-${TRACE}-${PARENT}-ff`,
    `01-${TRACE}-${PARENT}-01`,
    `cc-${TRACE}-${PARENT}-01-what-the-future-will-be`,
    `fe-${TRACE}-${PARENT}-01-`,
  ])('OUT-3 valid: %s', (value) => {
    expect(parseTraceparent(value)).toBe(value);
  });

  test.each([
    null,
    '',
    `ff-${TRACE}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-01-`,
    `00-${TRACE}-${PARENT}-01-x`,
    `01-${TRACE}-${PARENT}-01x`,
    `00-${'0'.repeat(32)}-${PARENT}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${PARENT}-01`,
    `0-${TRACE}-${PARENT}-01`,
    `00-${TRACE.slice(1)}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-1`,
    `00-${TRACE}-${PARENT}`,
    `00-${TRACE}-${PARENT}-0g`,
    ` 00-${TRACE}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-01\n`,
    `00-${TRACE}-${PARENT}-01, 00-${TRACE}-${PARENT}-01`,
    `00_${TRACE}_${PARENT}_01`,
  ])('OUT-3 not valid: %j', (value) => {
    expect(parseTraceparent(value)).toBeNull();
  });
});
