// Reading one's own writes anywhere, and telling whether something has changed: cursors and entity tags.
import { describe, expect, test } from 'vitest';
import { cellStarted, flatDocument, unique } from '../support/events.ts';
import { expectProblem } from '../support/http-client.ts';
import type { Reply } from '../support/http-client.ts';
import type { Rig } from '../support/server-process.ts';
import { timed } from '../support/wait.ts';

export function validatorsSuite(rig: () => Rig): void {
  const get = (path: string, headers: Record<string, string> = {}) => rig().http.get(path, { headers });
  const last = () => rig().broker.lastSequence();
  const cursorOf = ({ headers }: Reply) => Number(headers['cellos-cursor']);
  const tagOf = ({ headers }: Reply) => headers.etag as string;

  async function created(): Promise<{ id: string; name: string; reply: Reply }> {
    const reply = await rig().http.post('/v1/formations', flatDocument(unique()));
    expect(reply.status, reply.text).toBe(201);
    return { ...(JSON.parse(reply.text) as { id: string; name: string }), reply };
  }
  const move = (id: string, headers: Record<string, string> = {}) =>
    rig().http.post(`/v1/formations/${id}/status`, { state: 'RUNNING' }, { headers });
  const remove = (path: string, headers: Record<string, string> = {}) =>
    rig().http.send('DELETE', `/v1/formations/${path}`, { headers });

  describe('Cellos-Cursor and min_cursor', () => {
    test('HTTP-60 a write tells the sequence of its event', async () => {
      const { id, name, reply } = await created();
      expect(cursorOf(reply)).toBe(await last());
      expect(cursorOf(await move(id))).toBe(await last());
      expect(cursorOf(await remove(id))).toBe(await last());
      expect(cursorOf(await remove(`by-name/${name}`))).toBe(await last());
    });

    const cell = unique('cell');
    const paths = (id: string, name: string) => [
      '/v1/formations',
      `/v1/formations/${id}`,
      `/v1/formations/${name}`,
      `/v1/formations/by-name/${name}`,
      '/v1/cells',
      '/v1/cells?limit=1',
      `/v1/cells/${cell}`,
    ];

    test('HTTP-60 what the view shows tells how far the view is', async () => {
      await rig().publish(cellStarted(cell));
      const { id, name } = await created();
      for (const path of paths(id, name)) {
        const reply = await get(path);
        expect([reply.status, cursorOf(reply)], path).toEqual([200, await last()]);
        expect((await rig().http.send('HEAD', path)).headers['cellos-cursor'], path).toBe(
          String(await last()),
        );
      }
    });

    test('HTTP-61 every GET waits for the sequence that it asks for', async () => {
      await rig().publish(cellStarted(cell));
      const { id, name } = await created();
      for (const path of [...paths(id, name), '/v1/events', '/v1/version']) {
        const next = (await last()) + 1;
        const waiting = timed(get(`${path}${path.includes('?') ? '&' : '?'}min_cursor=${next}`));
        await new Promise((resolve) => setTimeout(resolve, 100));
        await rig().broker.publish(cellStarted(unique('cell')));
        const { value, ms } = await waiting;
        expect(value.status, `${path}: ${value.text}`).toBe(200);
        expect(ms, path).toBeGreaterThan(80);
        expect(ms, path).toBeLessThan(2500);
        if (path !== '/v1/events' && path !== '/v1/version') {
          expect(cursorOf(value)).toBeGreaterThanOrEqual(next);
        }
      }
    });

    test('HTTP-61 at once when it is there, with 504 and the cursor after 3 s when it is not', async () => {
      const seq = await last();
      const there = await timed(get(`/v1/formations?min_cursor=${seq}`));
      expect([there.value.status, there.ms < 1000]).toEqual([200, true]);
      const absent = await timed(get('/v1/cells?min_cursor=18446744073709551615'));
      const problem = expectProblem(absent.value, 'cursor-timeout');
      expect(problem).toMatchObject({ status: 504, title: 'Cursor Timeout', cursor: await last() });
      expect(absent.ms).toBeGreaterThan(2800);
      expect(absent.ms).toBeLessThan(4500);
    });

    test.each(['x', '', '-1', '1.0', '18446744073709551616', '%ff'])('HTTP-61 not %j', async (text) => {
      for (const path of ['/v1/formations', '/v1/cells', '/v1/version']) {
        expectProblem(await get(`${path}?min_cursor=${text}`), 'bad-request');
      }
    });

    test('HTTP-61 given twice, and what is not known beside it', async () => {
      expectProblem(await get('/v1/formations?min_cursor=1&min_cursor=1'), 'bad-request');
      expectProblem(await get('/v1/cells?min_cursor=1&other=1'), 'bad-request');
      expectProblem(await get('/v1/cells?MIN_CURSOR=1'), 'bad-request');
      expect((await get('/v1/formations?min%5Fcursor=1&other=%ff')).status).toBe(200);
    });
  });

  describe('ETag', () => {
    test('HTTP-62 changes with the record, and with nothing else', async () => {
      const { id, name } = await created();
      const path = `/v1/formations/${id}`;
      const first = await get(path);
      expect(tagOf(first)).toMatch(/^"[^"]+"$/);
      await created();
      await rig().publish(cellStarted(unique('cell')));
      expect(tagOf(await get(path))).toBe(tagOf(first));
      expect(tagOf(await get(`/v1/formations/by-name/${name}`))).toBe(tagOf(first));
      await move(id);
      const second = await get(path);
      expect(tagOf(second)).not.toBe(tagOf(first));
      await rig().publish(cellStarted(unique('cell'), { formationId: id }));
      expect(tagOf(await get(path))).not.toBe(tagOf(second));
    });

    test('HTTP-62 what a client has already is a 304', async () => {
      const { id } = await created();
      const cell = unique('cell');
      await rig().publish(cellStarted(cell));
      for (const path of [`/v1/formations/${id}`, '/v1/formations', '/v1/cells', `/v1/cells/${cell}`]) {
        const first = await get(path);
        for (const condition of [
          tagOf(first),
          '*',
          `"other", ${tagOf(first)}`,
          `W/${tagOf(first).replace('W/', '')}`,
        ]) {
          const reply = await get(path, { 'if-none-match': condition });
          expect([reply.status, reply.text], `${path} ${condition}`).toEqual([304, '']);
          expect([tagOf(reply), cursorOf(reply)]).toEqual([tagOf(first), cursorOf(first)]);
          expect(reply.headers['access-control-allow-origin']).toBe('*');
        }
        for (const condition of ['"other"', 'nonsense', '"unfinished']) {
          expect((await get(path, { 'if-none-match': condition })).status, condition).toBe(200);
        }
        const head = await rig().http.send('HEAD', path, { headers: { 'if-none-match': tagOf(first) } });
        expect(head.status).toBe(304);
      }
    });

    test('HTTP-62 the list of formations stays what it is while other events pass', async () => {
      await created();
      const first = await get('/v1/formations');
      expect(tagOf(first)).toMatch(/^W\//);
      await rig().publish(cellStarted(unique('cell')));
      const later = await get('/v1/formations', { 'if-none-match': tagOf(first) });
      expect([later.status, cursorOf(later)]).toEqual([304, await last()]);
      await created();
      expect((await get('/v1/formations', { 'if-none-match': tagOf(first) })).status).toBe(200);
    });

    test('HTTP-62 a filtered list changes with whom a name stands for', async () => {
      const { id, name } = await created();
      await rig().publish(cellStarted(unique('cell'), { formationId: id }));
      const path = `/v1/cells?formation=${name}`;
      const first = await get(path);
      expect(JSON.parse(first.text)).toHaveLength(1);
      await remove(id);
      expect((await rig().http.post('/v1/formations', flatDocument(name))).status).toBe(201);
      const later = await get(path, { 'if-none-match': tagOf(first) });
      expect([later.status, later.text]).toEqual([200, '[]']);
    });
  });

  describe('If-Match', () => {
    test('OUT-18 a write is made while the record is still the one', async () => {
      const { id, name } = await created();
      const tag = async () => tagOf(await get(`/v1/formations/${id}`));
      const first = await tag();
      expect((await move(id, { 'if-match': first })).status).toBe(204);
      const seq = await last();
      for (const stale of [first, '"other"', `W/${await tag()}`]) {
        const refused = await move(id, { 'if-match': stale });
        expectProblem(refused, 'precondition-failed');
        expect(tagOf(refused)).toBe(await tag());
        expectProblem(await remove(id, { 'if-match': stale }), 'precondition-failed');
        expectProblem(await remove(`by-name/${name}`, { 'if-match': stale }), 'precondition-failed');
      }
      expect(await last()).toBe(seq);
      expect((await move(id, { 'if-match': `"other", ${await tag()}` })).status).toBe(204);
      expect((await remove(`by-name/${name}`, { 'if-match': await tag() })).status).toBe(204);
      expect((await remove(id, { 'if-match': '*' })).status).toBe(204);
      expectProblem(await move(crypto.randomUUID(), { 'if-match': '*' }), 'not-found');
    });

    test('OUT-18 of many with one tag one is made', async () => {
      const { id } = await created();
      const tag = tagOf(await get(`/v1/formations/${id}`));
      const seq = await last();
      const replies = await Promise.all(Array.from({ length: 10 }, () => move(id, { 'if-match': tag })));
      const statuses = replies.map(({ status }) => status).sort((a, b) => a - b);
      expect(statuses).toEqual([204, ...Array.from({ length: 9 }, () => 412)]);
      expect(await last()).toBe(seq + 1);
    });

    test('OUT-18 what is no condition is refused', async () => {
      const { id } = await created();
      for (const condition of [',', 'x', '"a" "b"', '"a', '*, "a"']) {
        expectProblem(await move(id, { 'if-match': condition }), 'bad-request');
        expectProblem(await remove(id, { 'if-match': condition }), 'bad-request');
      }
    });
  });
}
