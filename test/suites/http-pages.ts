// Both lists in pages over HTTP: walked while records are written, tokens that are refused, headers of a page.
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { cellDestroyed, cellStarted, flatDocument, formationEvent, unique } from '../support/events.ts';
import { expectCors, expectProblem, listOf } from '../support/http-client.ts';
import type { Rig } from '../support/server-process.ts';

interface Page {
  readonly ids: string[];
  /** The address of the next page; null on the last. */
  readonly next: string | null;
}

const idsOf = (records: unknown) => (records as { id: string }[]).map(({ id }) => id);
const tokenOf = (path: string) => new URL(path, 'http://server').searchParams.get('continue') as string;
/** The token with something in it changed, as a client must not do. */
const retold = (token: string, change: Record<string, unknown>) =>
  Buffer.from(
    JSON.stringify({ ...(JSON.parse(Buffer.from(token, 'base64url').toString()) as object), ...change }),
  ).toString('base64url');

export function pagesSuite(rig: () => Rig): void {
  const get = (path: string, headers: Record<string, string> = {}) => rig().http.get(path, { headers });

  async function cellsPage(path: string): Promise<Page> {
    const reply = await get(path);
    expect(reply.status, reply.text).toBe(200);
    expectCors(reply);
    const { link } = reply.headers;
    if (link === undefined) return { ids: idsOf(JSON.parse(reply.text)), next: null };
    const next = /^<(\/v1\/cells\?[!-;=?-~]+)>; rel="next"$/.exec(String(link))?.[1];
    expect(next, String(link)).toBeTypeOf('string');
    return { ids: idsOf(JSON.parse(reply.text)), next: next as string };
  }

  async function formationsPage(path: string): Promise<Page> {
    const reply = await get(path);
    expect(reply.status, reply.text).toBe(200);
    expect(reply.headers['link']).toBeUndefined();
    const body = JSON.parse(reply.text) as Record<string, unknown>;
    const token = body['continue'] as string | undefined;
    const keys = ['formations', 'cursor', 'epoch', ...(token === undefined ? [] : ['continue'])];
    expect(Object.keys(body)).toEqual(keys);
    const limit = new URL(path, 'http://server').searchParams.get('limit') as string;
    const next = token === undefined ? null : `/v1/formations?limit=${limit}&continue=${token}`;
    return { ids: idsOf(body['formations']), next };
  }

  /** All pages from `path` on; `between` happens before each next one. */
  async function walk(
    page: (path: string) => Promise<Page>,
    path: string,
    between = async () => {},
  ): Promise<string[][]> {
    const pages: string[][] = [];
    for (let next: string | null = path; next !== null;) {
      const read: Page = await page(next);
      pages.push(read.ids);
      if (pages.length > 500) throw new Error('the walk does not end');
      next = read.next;
      if (next !== null) await between();
    }
    return pages;
  }

  const bytewise = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

  test('HTTP-63 the pages of the cells of a formation', async () => {
    const formationId = randomUUID();
    const mark = unique('page');
    const ids = ['', '0', '1', '~', 'é', '\u{1f600}', '"', 'x y&z=1'].map((end) => mark + end).sort(bytewise);
    await rig().publish(...ids.map((id) => cellStarted(id, { formationId })));
    const path = `/v1/cells?formation=${formationId.toUpperCase()}`;
    expect(await walk(cellsPage, `${path}&limit=3`)).toEqual([
      ids.slice(0, 3),
      ids.slice(3, 6),
      ids.slice(6),
    ]);
    expect(await walk(cellsPage, `${path}&limit=8`)).toEqual([ids]);
    expect(await walk(cellsPage, `${path}&limit=0`)).toEqual([[]]);
    expect(await walk(cellsPage, `${path}&continue=`)).toEqual([ids]);
    await rig().publish(...ids.slice(0, 7).map((id) => cellDestroyed(id)));
    const running = await walk(cellsPage, `${path}&state=RUNNING&limit=1`);
    const destroyed = await walk(cellsPage, `${path}&state=destroyed&limit=4`);
    expect([running, destroyed]).toEqual([[ids.slice(7)], [ids.slice(0, 4), ids.slice(4, 7)]]);
  });

  test('HTTP-63 HTTP-33 a limit above 1000 is one of 1000, and the next page has the rest', async () => {
    const formationId = randomUUID();
    await rig().publish(...Array.from({ length: 1003 }, () => cellStarted(unique('many'), { formationId })));
    const pages = await walk(cellsPage, `/v1/cells?formation=${formationId}&limit=5000`);
    expect(pages.map(({ length }) => length)).toEqual([1000, 3]);
    const first = await cellsPage(`/v1/cells?formation=${formationId}&limit=2`);
    const rest = await cellsPage(
      `/v1/cells?formation=${formationId}&continue=${tokenOf(first.next as string)}`,
    );
    expect([rest.ids.length, rest.next]).toEqual([1001, null]);
  });

  test('HTTP-65 cells written meanwhile: all that were there come once and in order', async () => {
    const mark = unique('walk');
    const there = Array.from({ length: 30 }, (_, n) => `${mark}-${String(n * 2).padStart(2, '0')}`);
    await rig().publish(...there.map((id) => cellStarted(id)));
    let page = 0;
    const seen = (
      await walk(cellsPage, '/v1/cells?limit=90', async () => {
        const n = 1 + 2 * (page++ % 30);
        await rig().publish(
          cellStarted(`${mark}-${String(n).padStart(2, '0')}`),
          cellDestroyed(there[page % 30] as string),
          cellStarted(unique('0')),
          cellStarted(unique('~')),
        );
      })
    ).flat();
    expect(page).toBeGreaterThan(0);
    expect(seen).toEqual([...new Set(seen)].sort(bytewise));
    expect(seen).toEqual(expect.arrayContaining(there));
  });

  test('HTTP-65 formations written meanwhile: all that were there come once and in order', async () => {
    const create = async () => {
      const reply = await rig().http.post('/v1/formations', flatDocument(unique()));
      expect(reply.status, reply.text).toBe(201);
      return (JSON.parse(reply.text) as { id: string }).id;
    };
    const own = await Promise.all(Array.from({ length: 12 }, create));
    const there = idsOf((await rig().snapshot()).formations);
    let page = 0;
    const path = `/v1/formations?limit=${Math.ceil(there.length / 8)}&unknown=1`;
    const pages = await walk(formationsPage, path, async () => {
      await create();
      await rig().publish(formationEvent('failed', { formationId: own[page++ % own.length] as string }));
    });
    const seen = pages.flat();
    expect(page).toBeGreaterThan(5);
    expect(seen).toEqual([...new Set(seen)].sort());
    expect(seen).toEqual(expect.arrayContaining(there));
  });

  test('HTTP-65 a name stands for one formation on all pages', async () => {
    const name = unique();
    const [first, second] = [randomUUID(), randomUUID()];
    const ids = Array.from({ length: 4 }, (_, n) => `${name}-${n}`);
    await rig().publish(
      formationEvent('created', { formationId: first, formationName: name }),
      ...ids.map((id) => cellStarted(id, { formationId: first })),
    );
    const pages = await walk(cellsPage, `/v1/cells?formation=${name}&limit=2`, async () => {
      await rig().publish(
        formationEvent('created', { formationId: second, formationName: name }),
        cellStarted(unique('other'), { formationId: second }),
      );
    });
    expect(pages).toEqual([ids.slice(0, 2), ids.slice(2)]);
  });

  test('HTTP-66 ids of any length', async () => {
    const formationId = randomUUID();
    const ids = Array.from({ length: 5 }, (_, n) => `${unique('long').padEnd(20_000 + n, 'ä')}${n}`).sort(
      bytewise,
    );
    await rig().publish(...ids.map((id) => cellStarted(id, { formationId })));
    const pages = await walk(cellsPage, `/v1/cells?formation=${formationId}&limit=1`);
    expect(pages.flat().map((id) => id.slice(-30))).toEqual(ids.map((id) => id.slice(-30)));
  });

  describe('tokens', () => {
    const tokens = async () => {
      const formationId = randomUUID();
      await rig().publish(
        ...[1, 2].map((n) => cellStarted(unique(`t${n}`), { formationId })),
        ...[1, 2].map(() => formationEvent('created', { formationId: randomUUID() })),
      );
      const of = `formation=${formationId}`;
      const cells = await cellsPage(`/v1/cells?${of}&limit=1`);
      const formations = await formationsPage('/v1/formations?limit=1');
      return { of, cells: tokenOf(cells.next as string), formations: tokenOf(formations.next as string) };
    };

    test('HTTP-64 of another list, of other filters, given twice, or none: 400', async () => {
      const { of, cells, formations } = await tokens();
      const names = ['continue'];
      for (const path of [
        `/v1/cells?${of}&continue=${formations}`,
        `/v1/formations?continue=${cells}`,
        `/v1/cells?continue=${cells}`,
        `/v1/cells?${of}&state=running&continue=${cells}`,
        `/v1/cells?formation=${randomUUID()}&continue=${cells}`,
        `/v1/formations?continue=${formations}&continue=${formations}`,
        `/v1/cells?${of}&continue=${cells}&continue=${cells}`,
        `/v1/cells?${of}&continue=${retold(cells, { v: 2 })}`,
        ...['x', 'null', '%00', `${formations}%20`, 'A'.repeat(5000)].flatMap((text) => [
          `/v1/formations?continue=${text}`,
          `/v1/cells?continue=${text}`,
        ]),
      ])
        expectProblem(await get(path), 'bad-request', { names });
      for (const limit of ['', '-1', 'x', '18446744073709551616'])
        expectProblem(await get(`/v1/formations?limit=${limit}`), 'bad-request', { names: ['limit'] });
      expectProblem(await get('/v1/formations?limit=1&limit=1'), 'bad-request', { names: ['limit'] });
      expectProblem(await get('/v1/formations?continue=%ff'), 'bad-request', { names });
      expectProblem(await get('/v1/cells?continue=%ff'), 'bad-request');
    });

    test('HTTP-64 of another incarnation of the log: 410 with the present epoch', async () => {
      const { of, cells, formations } = await tokens();
      const { epoch } = await rig().snapshot();
      for (const path of [
        `/v1/cells?${of}&continue=${retold(cells, { epoch: 'another' })}`,
        `/v1/formations?limit=5&continue=${retold(formations, { epoch: null })}`,
      ])
        expect(expectProblem(await get(path), 'ws/epoch-changed', { names: ['continue'] })['epoch']).toBe(
          epoch,
        );
    });
  });

  test('HTTP-4 HTTP-60 HTTP-62 headers of a page, for GET and HEAD, and 304', async () => {
    const formationId = randomUUID();
    await rig().publish(
      ...[1, 2, 3].map((n) => cellStarted(unique(`h${n}`), { formationId })),
      ...[1, 2].map(() => formationEvent('created', { formationId: randomUUID() })),
    );
    const first = await cellsPage(`/v1/cells?formation=${formationId}&limit=1`);
    const token = (await formationsPage('/v1/formations?limit=1')).next as string;
    for (const path of [`/v1/cells?formation=${formationId}&limit=1`, first.next as string, token]) {
      const reply = await get(path);
      const head = await rig().http.send('HEAD', path);
      expect([head.status, head.text]).toEqual([200, '']);
      for (const name of ['link', 'etag', 'cellos-cursor', 'content-type'])
        expect(head.headers[name], name).toEqual(reply.headers[name]);
      expect(listOf(reply.headers['access-control-expose-headers'])).toContain('link');
      const tag = reply.headers.etag as string;
      expect((await get(path, { 'if-none-match': tag })).status).toBe(304);
      await rig().publish(
        cellStarted(unique('h'), { formationId }),
        formationEvent('created', { formationId: randomUUID() }),
      );
      expect((await get(path, { 'if-none-match': tag })).status).toBe(200);
    }
  });
}
