// Pages of lists: what requests may say, what tokens hold, and walks from the first page to the last while records are written.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { fromBase64url, toBase64url } from '../src/base64url.ts';
import { MAX_LIST_RECORDS, MAX_TOKEN_CHARACTERS, MAX_TOKEN_ID_CHARACTERS } from '../src/limits.ts';
import { nextToken, type PagedList, parsePage, requireEpoch } from '../src/list-pages.ts';
import type { Cell } from '../src/model.ts';
import { ProblemError } from '../src/problems.ts';
import { compareUtf8 } from '../src/text.ts';
import { anyString, eventPayload } from './support/arbitraries.ts';
import { cellEvent, COMPLETED, DESTROYED, formationEvent, STARTED, View } from './support/given.ts';

const CELLS: PagedList = { list: 'cells', filters: [null, null] };
const FORMATIONS: PagedList = { list: 'formations', filters: [] };
const OF_ONE: PagedList = { list: 'cells', filters: ['running', 'a-name'] };
const EPOCH = '2026-11-20T21:07:56.60298962Z';

function problemOf(work: () => unknown): ProblemError {
  try {
    work();
  } catch (error) {
    if (error instanceof ProblemError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('what a request says', () => {
  test('HTTP-63 neither limit nor token: the whole list; an empty token is none', () => {
    expect(parsePage(CELLS, {})).toBeNull();
    expect(parsePage(CELLS, { continue: '' })).toBeNull();
    expect(parsePage(CELLS, { limit: '7', continue: '' })).toEqual({ ...CELLS, limit: 7, place: null });
  });

  test.each([
    ['0', 0],
    ['1', 1],
    [String(MAX_LIST_RECORDS), MAX_LIST_RECORDS],
    [String(MAX_LIST_RECORDS + 1), MAX_LIST_RECORDS],
    ['18446744073709551615', MAX_LIST_RECORDS],
  ])('HTTP-33 HTTP-63 limit=%s', (text, limit) => {
    expect(parsePage(FORMATIONS, { limit: text })).toMatchObject({ limit });
  });

  test.each(['', '-1', '1.5', 'x', '1e3', ' 1', '18446744073709551616'])('HTTP-12 limit=%j', (limit) => {
    expect(problemOf(() => parsePage(FORMATIONS, { limit }))).toMatchObject({ code: 'bad-request' });
  });

  test('HTTP-64 a token is of its list, with its filters, in its epoch', () => {
    const token = nextToken(OF_ONE, { epoch: EPOCH, lastId: 'c', formation: 'f' });
    const page = parsePage(OF_ONE, { continue: token });
    expect(page).toMatchObject({ limit: undefined, place: { after: 'c', formation: 'f', epoch: EPOCH } });
    expect(() => requireEpoch(page?.place ?? null, EPOCH)).not.toThrow();
    expect(() => requireEpoch(null, EPOCH)).not.toThrow();

    for (const [other, name] of [
      [FORMATIONS, 'the list of cells'],
      [CELLS, 'other filters'],
      [{ ...OF_ONE, filters: ['running', null] }, 'other filters'],
      [{ ...OF_ONE, filters: [null, 'a-name'] }, 'other filters'],
    ] as const) {
      const problem = problemOf(() => parsePage(other, { continue: token }));
      expect(problem).toMatchObject({ code: 'bad-request', status: 400 });
      expect(problem.message).toContain('"continue"');
      expect(problem.message).toContain(name);
    }
    for (const epoch of ['another', null]) {
      const problem = problemOf(() => requireEpoch(page?.place ?? null, epoch));
      expect(problem).toMatchObject({ code: 'ws/epoch-changed', status: 410 });
      expect(problem.options.extensions).toEqual({ epoch });
    }
  });

  test('HTTP-64 a digest is for the beginning of a long id alone', () => {
    const token = nextToken(CELLS, { epoch: EPOCH, lastId: 'x'.repeat(MAX_TOKEN_ID_CHARACTERS + 1) });
    expect(parsePage(CELLS, { continue: token })?.place?.digest).toBeDefined();
    const text = new TextDecoder().decode(fromBase64url(token) ?? undefined);
    const forged = toBase64url(new TextEncoder().encode(text.replace(/x+/, '')));
    expect(problemOf(() => parsePage(CELLS, { continue: forged }))).toMatchObject({ code: 'bad-request' });
  });

  test('HTTP-64 what is no token is refused, whatever it is', () => {
    const token = nextToken(CELLS, { epoch: EPOCH, lastId: 'c' });
    const texts = (value: unknown) => btoa(JSON.stringify(value)).replaceAll('=', '');
    const content = JSON.parse(atob(token.replaceAll('-', '+').replaceAll('_', '/'))) as object;
    expect(parsePage(CELLS, { continue: texts(content) })?.place).toEqual(content);
    for (const text of [
      'x',
      '!',
      `${token}=`,
      ` ${token}`,
      token.slice(0, -2),
      texts(null),
      texts([]),
      texts({ ...content, v: 2 }),
      texts({ ...content, list: 'events' }),
      texts({ ...content, after: 7 }),
      texts({ ...content, more: true }),
      'A'.repeat(MAX_TOKEN_CHARACTERS + 1),
      '/w',
      'gICA',
    ]) {
      const problem = problemOf(() => parsePage(CELLS, { continue: text }));
      expect(problem, text).toMatchObject({ code: 'bad-request' });
      expect(problem.message).toBe('query parameter "continue" is no token of this server');
    }
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String()), (text) => {
        fc.pre(text !== '');
        expect(problemOf(() => parsePage(CELLS, { continue: text })).code).toBe('bad-request');
      }),
    );
  });

  test('HTTP-66 a token fits into a header, however long and odd the id', () => {
    const unit = ['a', '\u0000', '\u{1f600}', '\ud800', '\uffff', '"'];
    for (const each of unit) {
      for (const length of [1, MAX_TOKEN_ID_CHARACTERS - 1, MAX_TOKEN_ID_CHARACTERS, 100_000]) {
        const lastId = each.repeat(length);
        const token = nextToken(OF_ONE, { epoch: EPOCH, lastId, formation: crypto.randomUUID() });
        expect(token.length).toBeLessThanOrEqual(MAX_TOKEN_CHARACTERS);
        expect(token).toMatch(/^[\w-]+$/);
        const after = parsePage(OF_ONE, { continue: token })?.place?.after ?? '';
        expect(lastId.startsWith(after)).toBe(true);
        expect(after.length).toBe(Math.min(lastId.length, MAX_TOKEN_ID_CHARACTERS));
      }
    }
  });
});

/** One page as a request for it finds it. */
type Read = (query: { limit?: string; continue?: string }) => { ids: string[]; next: string | null };

interface Lists {
  readonly cells: Read;
  readonly formations: Read;
}

function listsOf(view: View, filter: { state?: Cell['state']; formation?: string } = {}): Lists {
  const idsOf = (records: unknown) => (records as { id: string }[]).map(({ id }) => id);
  const paged = { list: 'cells', filters: [filter.state ?? null, filter.formation ?? null] } as const;
  return {
    cells: (query) => {
      const { text, next } = view.snapshots.selectedCells(filter, parsePage(paged, query), EPOCH);
      return { ids: idsOf(JSON.parse(text)), next };
    },
    formations: (query) => {
      const page = parsePage(FORMATIONS, query);
      if (page === null) throw new Error('no page was asked for');
      const body = JSON.parse(view.snapshots.formationsPage(page, EPOCH)) as Record<string, unknown>;
      expect(body).toMatchObject({ cursor: view.state.cursor, epoch: EPOCH });
      return { ids: idsOf(body['formations']), next: (body['continue'] as string | undefined) ?? null };
    },
  };
}

/** The pages of a walk; `between` is what happens before each next one. */
function walk(read: Read, limits: readonly number[], between: (page: number) => void = () => {}): string[][] {
  const pages: string[][] = [];
  for (let token = ''; ;) {
    const limit = limits[pages.length % limits.length] as number;
    const { ids, next } = read({ limit: String(limit), continue: token });
    pages.push(ids);
    if (pages.length > 2000) throw new Error('the walk does not end');
    expect(ids.length).toBeLessThanOrEqual(limit);
    if (next === null) return pages;
    // A page that is not the last is full.
    expect(ids).toHaveLength(limit);
    token = next;
    between(pages.length);
  }
}

const uuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const long = 'l'.repeat(MAX_TOKEN_ID_CHARACTERS);

/** Short and long, odd, and such that begin with the same 256 characters. */
const cellId = fc.oneof(
  fc.nat({ max: 400 }).map(String),
  anyString,
  fc.nat({ max: 30 }).map((n) => `${long}${n}`),
  fc.constantFrom(long, `${long.slice(1)}\u{1f600}`, `${long.slice(1)}\u{1f600}x`, `${long.slice(1)}\ud83d`),
);
const event = fc.oneof(
  fc
    .tuple(fc.constantFrom(STARTED, COMPLETED, DESTROYED), cellId, fc.nat({ max: 3 }))
    .map(([type, id, of]) => cellEvent(type, id, of === 0 ? {} : { formationId: uuid(of) })),
  fc
    .tuple(fc.constantFrom('created', 'running', 'failed'), fc.nat({ max: 400 }))
    .map(([phase, n]) => formationEvent(phase, { formationId: uuid(n), name: `f${n % 5}` })),
  eventPayload,
);
const events = fc.array(event, { maxLength: 60 });
const limits = fc.array(fc.constantFrom(1, 2, 3, 10, 64, 1000), { minLength: 1, maxLength: 4 });

describe('walks', () => {
  test('HTTP-63 at rest the pages together are the list', () => {
    fc.assert(
      fc.property(
        events,
        limits,
        fc.constantFrom(undefined, 'running', 'destroyed'),
        (before, sizes, state) => {
          const view = new View().apply(...before);
          const { cells, formations } = listsOf(
            view,
            state === undefined ? {} : { state: state as 'running' },
          );
          const all = [...view.state.cells.values()]
            .filter((cell) => state === undefined || cell.state === state)
            .map(({ id }) => id);
          expect(walk(cells, sizes).flat()).toEqual(all.sort(compareUtf8));
          expect(walk(formations, sizes).flat()).toEqual([...view.state.formations.keys()].sort());
        },
      ),
      { numRuns: 150 },
    );
  });

  test.each(['cells', 'formations'] as const)(
    'HTTP-65 whatever is written meanwhile: every one of the %s that was there comes once, in order',
    (list) => {
      fc.assert(
        fc.property(events, limits, fc.array(events, { maxLength: 10 }), (before, sizes, meanwhile) => {
          const view = new View().apply(...before);
          const records = view.state[list];
          const there = [...records.keys()];
          const seen = walk(listsOf(view)[list], sizes, (page) =>
            view.apply(...(meanwhile[page - 1] ?? [])),
          ).flat();
          expect(new Set(seen).size).toBe(seen.length);
          expect(seen).toEqual(seen.toSorted(compareUtf8));
          expect(seen).toEqual(expect.arrayContaining(there));
          for (const id of seen) expect(records.has(id)).toBe(true);
        }),
        { numRuns: 150 },
      );
    },
  );

  test('HTTP-65 a record that comes behind the place is in a later page, one before it is not', () => {
    const view = new View().apply(...['b', 'd', 'f'].map((id) => cellEvent(STARTED, id)));
    const { cells } = listsOf(view);
    const first = cells({ limit: '2' });
    expect(first.ids).toEqual(['b', 'd']);
    view.apply(...['a', 'c', 'e', 'g'].map((id) => cellEvent(STARTED, id)));
    const token = first.next ?? '';
    expect(cells({ limit: '1000', continue: token })).toEqual({ ids: ['e', 'f', 'g'], next: null });
    // The rest at once, and the same token again.
    expect(cells({ continue: token }).ids).toEqual(['e', 'f', 'g']);
    expect(cells({ limit: '0', continue: token })).toEqual({ ids: [], next: null });
  });

  test('HTTP-65 a page that ends with the list is the last', () => {
    const view = new View().apply(...['a', 'b'].map((id) => cellEvent(STARTED, id)));
    expect(listsOf(view).cells({ limit: '2' })).toEqual({ ids: ['a', 'b'], next: null });
    // What is left does not pass the filter.
    view.apply(cellEvent(DESTROYED, 'b'));
    expect(listsOf(view, { state: 'running' }).cells({ limit: '1' })).toEqual({ ids: ['a'], next: null });
  });

  test('HTTP-66 ids that begin alike are told apart, also by a server that does not know the last one yet', () => {
    const ids = Array.from({ length: 5 }, (_, n) => `${long}${n}`);
    const started = ids.map((id) => cellEvent(STARTED, id));
    const { cells } = listsOf(new View().apply(...started));
    const pages = walk(cells, [2]);
    expect(pages).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
    const token = cells({ limit: '2' }).next ?? '';
    const behind = new View().apply(...started.filter((_, n) => n !== 1));
    // Rather one twice than one never.
    expect(listsOf(behind).cells({ limit: '9', continue: token }).ids).toEqual(ids.filter((_, n) => n !== 1));
  });
});
