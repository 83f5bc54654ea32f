// Random inputs: JSON texts with their spelling under control, and events and documents that are valid or nearly so. Pools of
// ids and names are small, so that records meet.
import * as fc from 'fast-check';

import { COMPLETED, DESTROYED, FORMATION, LEGACY_FORMATION, type Payload, STARTED } from './given.ts';

/** A JSON text, the same without white space, how deep it is nested, and its members or elements. */
interface JsonText {
  readonly text: string;
  readonly dense: string;
  readonly depth: number;
  /** Key and value of an object's members in order, repeated keys included; null for anything else. */
  readonly members: readonly (readonly [key: string, value: JsonText])[] | null;
  readonly elements: readonly JsonText[] | null;
}

/** Keys that a careless object would inherit, that move, or that mean something here. */
const HOSTILE_KEYS = ['__proto__', 'constructor', 'toString', 'prototype', '', '10', '9', 'id', 'a', '\n'];

/** Any UTF-16 text, lone surrogates included. */
export const anyString = fc.string({
  unit: fc.oneof(
    fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
    fc.constantFrom('"', '\\', '/', '{', '}', '[', ']', ',', ':', 'a', '\u2028', '😀', '\ud800', '\udc00'),
  ),
  maxLength: 8,
});

const space = fc.constantFrom('', '', '', '', ' ', '\n', '\t', ' \r\n ');

/** Numbers whose spelling does not survive JSON.parse, among others. */
export const numberText = fc.constantFrom(
  '0',
  '-0',
  '1',
  '1.0',
  '1e3',
  '1E+3',
  '0.10',
  '-1.5e-7',
  '1e400',
  '9007199254740993',
  '9223372036854775808',
  '18446744073709551616',
  '123456789012345678901234567890',
);

/** The text as a literal, perhaps with every unit escaped. */
function literal(text: string, escaped: boolean): string {
  if (!escaped) return JSON.stringify(text);
  const units = Array.from({ length: text.length }, (_, at) => text.charCodeAt(at));
  return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`;
}

const stringText = fc.tuple(anyString, fc.boolean()).map(([text, escaped]) => literal(text, escaped));

function scalarOf(text: string): JsonText {
  return { text, dense: text, depth: 0, members: null, elements: null };
}

function deepest(values: readonly JsonText[]): number {
  return 1 + Math.max(0, ...values.map(({ depth }) => depth));
}

/**
 * No backslash: V8 of Node 24 compares the key that an object's shape expects next with the text before its escapes are
 * undone. After JSON.parse('{"\\"":0,"\\\\":0}') the second key of '{"\\"":0,"\\"":0}' is a backslash.
 */
const anyKey = anyString.map((text) => text.replaceAll('\\', ''));

const key = fc.tuple(fc.oneof(fc.constantFrom(...HOSTILE_KEYS), anyKey), fc.boolean());

const texts = fc.letrec<{ value: JsonText; object: JsonText; array: JsonText }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(fc.constantFrom('null', 'true', 'false'), numberText, stringText).map(scalarOf),
    tie('array'),
    tie('object'),
  ),
  array: fc
    .tuple(space, fc.array(fc.tuple(space, tie('value'), space), { maxLength: 5 }))
    .map(([inside, items]): JsonText => {
      const elements = items.map(([, value]) => value);
      return {
        text: `[${items.length === 0 ? inside : items.map(([a, value, b]) => a + value.text + b).join(',')}]`,
        dense: `[${elements.map(({ dense }) => dense).join(',')}]`,
        depth: deepest(elements),
        members: null,
        elements,
      };
    }),
  object: fc
    .tuple(space, fc.array(fc.tuple(space, key, space, space, tie('value'), space), { maxLength: 6 }))
    .map(([inside, items]): JsonText => {
      const members = items.map(([, [name], , , value]) => [name, value] as const);
      const member = items.map(
        ([a, [name, escaped], b, c, value, d]) => `${a}${literal(name, escaped)}${b}:${c}${value.text}${d}`,
      );
      const dense = items.map(([, [name, escaped], , , value]) => `${literal(name, escaped)}:${value.dense}`);
      return {
        text: `{${items.length === 0 ? inside : member.join(',')}}`,
        dense: `{${dense.join(',')}}`,
        depth: deepest(members.map(([, value]) => value)),
        members,
        elements: null,
      };
    }),
}));

/** Any JSON text, with white space around it. */
export const jsonText = fc
  .tuple(space, texts.value, space)
  .map(([before, value, after]) => Object.assign({}, value, { text: before + value.text + after }));

/** An object's text. */
export const objectText = texts.object;

/** Texts nested far deeper than a stack. */
export const deepText = fc
  .tuple(fc.constantFrom('[', '{"data":', '{"a":['), fc.integer({ min: 1000, max: 20_000 }))
  .map(([open, times]) => {
    const close = [...open.replaceAll(/[^[{]/g, '')]
      .map((bracket) => (bracket === '[' ? ']' : '}'))
      .toReversed();
    return `${open.repeat(times)}${open.endsWith(':') ? 'null' : ''}${close.join('').repeat(times)}`;
  });

export const FORMATION_IDS = [
  '6f1d0b0e-8f43-4c55-9d53-0e6f6f5f0001',
  '6f1d0b0e-8f43-4c55-9d53-0e6f6f5f0002',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
] as const;

/** A known UUID in any spelling that counts. */
const spelledUuid = fc
  .tuple(fc.constantFrom(...FORMATION_IDS), fc.nat({ max: 4 }))
  .map(([id, spelling]) => spellUuid(id, spelling));

/** 0: as it is, 1: upper case, 2: no hyphens, 3: braces, 4: urn. */
export function spellUuid(id: string, spelling: number): string {
  return [id, id.toUpperCase(), id.replaceAll('-', ''), `{${id}}`, `urn:uuid:${id}`][spelling] ?? id;
}

const time = fc.option(
  fc.constantFrom('2026-11-20T19:33:26.210477484+00:00', '2026-11-20T20:00:00Z', 'soon'),
);
const formationName = fc.constantFrom('', 'alpha', 'beta', 'Alpha');

/** Sometimes the right thing, sometimes anything. */
function mostly<Value>(valid: fc.Arbitrary<Value>): fc.Arbitrary<unknown> {
  return fc.oneof({ arbitrary: valid as fc.Arbitrary<unknown>, weight: 8 }, fc.jsonValue({ maxDepth: 2 }));
}

const formationPayload = fc.record(
  {
    type: fc
      .tuple(
        fc.constantFrom(FORMATION, LEGACY_FORMATION),
        fc.constantFrom(
          'created',
          'launching',
          'running',
          'degraded',
          'completed',
          'failed',
          'cancelled',
          'x',
        ),
      )
      .map((parts) => parts.join('')),
    subject: mostly(spelledUuid),
    data: mostly(
      fc.record(
        {
          formationId: mostly(spelledUuid),
          formation_id: mostly(spelledUuid),
          formationName: mostly(formationName),
          name: mostly(formationName),
          reason: mostly(fc.constantFrom('', 'because')),
          failedCellIds: mostly(fc.array(mostly(fc.constantFrom('a', 'b')), { maxLength: 3 })),
          document: mostly(fc.jsonValue({ maxDepth: 2 })),
        },
        { requiredKeys: ['formationId'] },
      ),
    ),
    time: mostly(time),
  },
  { requiredKeys: ['type', 'data'] },
);

const cellPayload = fc.record(
  {
    type: fc.constantFrom(STARTED, COMPLETED, DESTROYED),
    data: mostly(
      fc.record(
        {
          cellId: mostly(fc.constantFrom('a', 'b', 'ä', '\uffff', '😀', '')),
          specId: mostly(fc.constantFrom('', 'spec', 'other')),
          runId: mostly(fc.constantFrom('run-1', 'run-2')),
          exitCode: mostly(fc.constantFrom(0, 1, -9, 1.5, 1e21)),
          outcome: mostly(fc.constantFrom('succeeded', 'failed')),
          formationId: mostly(spelledUuid),
          correlation: mostly(fc.record({ formationId: mostly(spelledUuid) }, { requiredKeys: [] })),
        },
        { requiredKeys: ['cellId', 'specId'] },
      ),
    ),
    time: mostly(time),
  },
  { requiredKeys: ['type', 'data'] },
);

/** Events that mean something, or nearly so. */
export const eventPayload: fc.Arbitrary<Payload> = fc.oneof(formationPayload, cellPayload);

/** What the projection has to step over: ignored or malformed. */
export const uselessPayload: fc.Arbitrary<Payload> = fc.oneof(
  fc.uint8Array({ maxLength: 12 }).filter((bytes) => bytes[0] !== 0x7b),
  fc.constantFrom('', '{', 'nonsense', '[]', '{}', 'null', '"text"', '\ufeff{}', '{"type":7}', '{"data":{}}'),
  fc
    .constantFrom(FORMATION, `${FORMATION}Created`, `${FORMATION}constructor`, 'x.started', 'toString')
    .map((type) => ({ type, data: { formationId: FORMATION_IDS[0], cellId: 'a', specId: 'spec' } })),
  fc.constantFrom(undefined, null, 7, 'x', '', 'not-a-uuid', `${FORMATION_IDS[0]}0`).map((formationId) => ({
    type: `${FORMATION}failed`,
    data: { formationId, formationName: 'alpha' },
  })),
  fc
    .constantFrom(undefined, null, 7, ['a'])
    .map((cellId) => ({ type: DESTROYED, data: { cellId, specId: 's' } })),
  fc.constantFrom(undefined, null, 7).map((specId) => ({ type: DESTROYED, data: { cellId: 'a', specId } })),
);

/** A stream. */
export const stream: fc.Arbitrary<Payload[]> = fc.array(
  fc.oneof({ arbitrary: eventPayload, weight: 6 }, { arbitrary: uselessPayload, weight: 1 }),
  { maxLength: 40 },
);

/** A value with its keys in order at every level: equal texts mean equal JSON. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
}
