import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { compileFilter, EVENT_SUBJECTS, isSubjectFilter, withinEvents } from '../src/subjects.ts';

/** NATS's own words: `*` is one token, a last `>` one or more. */
function matches([filter, ...filters]: readonly string[], [token, ...tokens]: readonly string[]): boolean {
  if (filter === undefined || token === undefined) return filter === undefined && token === undefined;
  if (filter === '>' && filters.length === 0) return true;
  return (filter === '*' || filter === token) && matches(filters, tokens);
}

const token = fc.constantFrom('cellos', 'events', 'formations', 'v1', 'a', 'a*', '>a', 'Cellos');
const subject = fc.array(token, { minLength: 1, maxLength: 5 }).map((tokens) => tokens.join('.'));
const filter = fc
  .tuple(fc.array(fc.oneof(token, fc.constant('*')), { maxLength: 5 }), fc.boolean())
  .filter(([tokens, open]) => open || tokens.length > 0)
  .map(([tokens, open]) => [...tokens, ...(open ? ['>'] : [])].join('.'));
const ourSubject = fc.oneof(
  subject,
  fc.array(token, { minLength: 1, maxLength: 3 }).map((tokens) => `cellos.events.${tokens.join('.')}`),
);

describe('filters', () => {
  test('FEED-5 match as NATS matches', () => {
    fc.assert(
      fc.property(filter, ourSubject, (text, name) => {
        expect(isSubjectFilter(text)).toBe(true);
        expect(compileFilter(text)(name)).toBe(matches(text.split('.'), name.split('.')));
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    ['>', 'cellos', true],
    ['cellos.>', 'cellos', false],
    ['cellos.>', 'cellos.events', true],
    ['cellos.>', 'cellosx.events', false],
    ['cellos.events.>', 'cellos.events.v1', true],
    ['cellos.events.v1', 'cellos.events.v1', true],
    ['cellos.events.v1', 'cellos.events.v10', false],
    ['cellos.events.v1', 'cellos.events.v1.x', false],
    ['cellos.events.*', 'cellos.events.v1', true],
    ['cellos.events.*', 'cellos.events', false],
    ['cellos.events.*', 'cellos.events.v1.x', false],
    ['*.*.>', 'cellos.events', false],
    ['*.*.>', 'cellos.events.v1', true],
    ['cellos.events.formations.*.failed', 'cellos.events.formations.id.failed', true],
    ['CELLOS.events.>', 'cellos.events.v1', false],
  ])('FEED-5 %s and %s: %s', (text, name, expected) => {
    expect(compileFilter(text)(name)).toBe(expected);
  });

  test('FEED-5 a star within a token stands for itself', () => {
    expect(isSubjectFilter('cellos.events.v*')).toBe(true);
    expect(compileFilter('cellos.events.v*')('cellos.events.v1')).toBe(false);
    expect(compileFilter('cellos.events.v*')('cellos.events.v*')).toBe(true);
  });

  test.each(['', '.', 'a.', '.a', 'a..b', '>.a', 'a.>.b', 'a b', ' a', 'a\t', 'a\r\nb', 'a.\u0000', '>.>'])(
    'FEED-6 %j is none',
    (text) => {
      expect(isSubjectFilter(text)).toBe(false);
    },
  );

  test('FEED-6 any text is either refused or compiled', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('.', '*', '>', 'a', ' ', '\n'), maxLength: 8 }),
        (text) => {
          const tokens = text.split('.');
          const valid =
            !/\s/.test(text) &&
            tokens.every((part, at) => part !== '' && (part !== '>' || at === tokens.length - 1));
          expect(isSubjectFilter(text)).toBe(valid);
          if (valid) expect(typeof compileFilter(text)('a.a')).toBe('boolean');
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('what the broker is asked for', () => {
  test('HTTP-47 selects the same of our subjects, and lies within them', () => {
    fc.assert(
      fc.property(filter, ourSubject, (text, name) => {
        const within = withinEvents(text);
        const ours = name.startsWith('cellos.events.');
        expect(within !== null && compileFilter(within)(name)).toBe(ours && compileFilter(text)(name));
        if (within !== null) {
          expect(isSubjectFilter(within)).toBe(true);
          expect(within.startsWith('cellos.events.')).toBe(true);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    ['>', EVENT_SUBJECTS],
    ['cellos.>', EVENT_SUBJECTS],
    ['*.>', EVENT_SUBJECTS],
    [EVENT_SUBJECTS, EVENT_SUBJECTS],
    ['*.*.v1', 'cellos.events.v1'],
    ['cellos', null],
    ['cellos.events', null],
    ['*.*', null],
    ['orders.>', null],
    ['cellos.orders.>', null],
  ])('FEED-6 of %s: %s', (text, within) => {
    expect(withinEvents(text)).toBe(within);
  });
});
