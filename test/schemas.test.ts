// Bodies from outside: the status body's shape, and what the validation of documents costs.
import * as fc from 'fast-check';
import * as v from 'valibot';
import { afterAll, describe, expect, test } from 'vitest';

import { decide } from '../src/admission.ts';
import { parseDocument } from '../src/documents.ts';
import { MAX_BODY_BYTES } from '../src/limits.ts';
import { initialState } from '../src/projection.ts';
import { describeIssue, statusChange } from '../src/schemas.ts';

/** What is wrong with a status body, or null. */
function fault(value: unknown): string | null {
  const parsed = v.safeParse(statusChange, value);
  return parsed.success ? null : describeIssue(parsed.issues[0]);
}

describe('the status body', () => {
  test.each([
    { state: 'RUNNING' },
    { state: '' },
    { state: 'x', reason: null, failed_cells: null },
    { state: 'x', reason: '', failed_cells: [] },
    { state: 'x', reason: 'why', failed_cells: ['a', ''], extra: 7, id: null },
  ])('HTTP-27 %j', (value) => {
    expect(fault(value)).toBeNull();
  });

  test.each<[unknown, string]>([
    [[], 'the body'],
    [null, 'the body'],
    ['RUNNING', 'the body'],
    [7, 'the body'],
    [{}, 'state'],
    [{ state: null }, 'state'],
    [{ state: 7 }, 'state'],
    [{ state: ['RUNNING'] }, 'state'],
    [{ state: 'x', reason: 7 }, 'reason'],
    [{ state: 'x', failed_cells: 'a' }, 'failed_cells'],
    [{ state: 'x', failed_cells: {} }, 'failed_cells'],
    [{ state: 'x', failed_cells: ['a', null] }, 'failed_cells[1]'],
  ])('HTTP-28 not %j: %s', (value, culprit) => {
    expect(fault(value)?.startsWith(`${culprit} `)).toBe(true);
  });

  test('HTTP-28 HTTP-3 any value is taken or told of, without its control characters', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
        const told = fault(value);
        expect(told === null || (told.length < 300 && !/[\p{Cc}]/u.test(told))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

/** As many members as fit into a body. */
function documentOf(member: (at: number, of: number) => string, most = 100_000): string {
  const head = '{"name":"demo","coordinator":"m0","members":[';
  const members: string[] = [];
  const of = Math.min(most, Math.floor((MAX_BODY_BYTES - head.length) / (member(500, 1000).length + 3)));
  for (let at = 0; at < of; at++) members.push(member(at, of));
  return `${head}${members.join(',')}]}`;
}

const AUTHORITY = '"authority":{"secretRefs":["s"]}';
const cell = (at: number, by: number | null, more = `,${AUTHORITY}`) =>
  `{"id":"m${at}"${by === null ? '' : `,"authorizedBy":"m${by}"`}${more}}`;

const ADMITTED: Record<string, string> = {
  'a chain': documentOf((at) => cell(at, at === 0 ? null : at - 1)),
  'a chain from its end': documentOf((at, of) => cell(at === 0 ? 0 : of - at, at === 0 ? null : of - at - 1)),
  'one parent of all': documentOf((at) => cell(at, at === 0 ? null : 0)),
  'two members with hundreds of grants': documentOf((at) => {
    const rules = Array.from({ length: 500 }, (_, n) => `{"host":"h${n}","port":${n},"protocol":"tcp"}`);
    return cell(at, at === 0 ? null : 0, `,"authority":{"egressRules":[${rules.join(',')}]}`);
  }, 2),
};

const REFUSED: Record<string, string> = {
  'one long cycle': documentOf((at, of) => cell(at, at === 0 ? null : at === 1 ? of - 1 : at - 1)),
  'a chain into a cycle': documentOf((at, of) => cell(at, at === 0 ? null : at === of - 1 ? at - 2 : at + 1)),
  'hundreds of cycles': documentOf((at) => cell(at, at === 0 ? null : at)),
  'one id for all': documentOf((at) => cell(0, at, `,"n":${at},${AUTHORITY}`)),
  'parents that are no members': documentOf((at) => cell(at, at === 0 ? null : at + 5000)),
  'authority above the parent': documentOf((at) =>
    cell(at, at === 0 ? null : at - 1, `,${AUTHORITY.replace('"s"', `"s${at}"`)}`),
  ),
  'thousands of empty members': documentOf(() => '{}'),
  'thousands of numbers': documentOf(() => '7'),
  'thousands of wrong grants': documentOf(
    (at) => cell(at, null, `,"authority":{"secretRefs":[${'7,'.repeat(25_000)}7]}`),
    1,
  ),
  'a string of escapes': documentOf((at) => cell(at, null, `,"authorizedBy":"${'\\n'.repeat(32_000)}"`), 1),
  'nothing but nesting': `{"name":${'['.repeat(32_000)}${']'.repeat(32_000)}}`,
};

describe('what validation costs', () => {
  const measured: string[] = [];
  afterAll(() => console.log(measured.join('\n')));

  /** Milliseconds of the runs once warm, in order. */
  function timesOf(body: string): number[] {
    const times: number[] = [];
    for (let run = 0; run < 25; run++) {
      const start = performance.now();
      const parsed = parseDocument(body);
      if (parsed.ok) decide(parsed.document, initialState());
      if (run >= 8) times.push(performance.now() - start);
    }
    return times.sort((a, b) => a - b);
  }

  test.each(Object.entries({ ...ADMITTED, ...REFUSED }))('ADM-10 64 KiB of %s', (what, body) => {
    expect(body.length).toBeLessThanOrEqual(MAX_BODY_BYTES);
    const parsed = parseDocument(body);
    expect(parsed.ok && decide(parsed.document, initialState()).ok).toBe(what in ADMITTED);
    const times = timesOf(body);
    const [fastest, median] = [times[0] ?? 0, times[times.length >> 1] ?? 0];
    const members = parsed.ok ? parsed.document.members.length : 'no';
    measured.push(`${median.toFixed(2)} ms: ${body.length} bytes of ${what}, ${members} members`);
    // Processors are shared, so the median may hold somebody else's work; what is quadratic shows in every run.
    expect(fastest).toBeLessThan(25);
  });
});
