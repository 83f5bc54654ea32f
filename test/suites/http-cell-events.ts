// One cell's events as lines.
import { afterEach, describe, expect, test } from 'vitest';
import { cellDestroyed, cellStarted, commandCompleted, unique } from '../support/events.ts';
import { expectProblem } from '../support/http-client.ts';
import { LineStreamClient } from '../support/line-stream.ts';
import { STREAM } from '../support/nats-server.ts';
import type { Rig } from '../support/server-process.ts';
import { SUPERVISOR_RUN } from '../support/supervisor-run.ts';
import { until } from '../support/wait.ts';

export function cellEventsSuite(rig: () => Rig): void {
  const clients: LineStreamClient[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });
  const path = (id: string, query = '') => `/v1/cells/${encodeURIComponent(id)}/events${query}`;
  const open = async (id: string, query: string) => {
    const client = await LineStreamClient.open(rig().http, path(id, query));
    clients.push(client);
    expect(client.status).toBe(200);
    return client;
  };
  const lines = async (id: string, query = '') => {
    const { status, text } = await rig().http.get(path(id, query));
    expect(status, text).toBe(200);
    expect(text === '' || text.endsWith('\n')).toBe(true);
    return text.split('\n').slice(0, -1);
  };
  const note = (cellId: string, n: number) =>
    JSON.stringify({ type: 'dev.cellos.test.note', data: { cellId, n } });
  const numbers = (texts: readonly string[]) =>
    texts.map((text) => (JSON.parse(text) as { data: { n: number } }).data.n);

  describe('retained', () => {
    test('HTTP-80 a real supervisor’s run, byte for byte, also what came before it was started', async () => {
      const id = unique('cell');
      const mine = SUPERVISOR_RUN.map((text) => text.replaceAll('"cellId":"hello-spec"', `"cellId":"${id}"`));
      await rig().publish(...mine);
      const reply = await rig().http.get(path(id));
      expect(reply.headers).toMatchObject({
        'content-type': 'application/x-ndjson',
        'cache-control': 'no-store',
        'access-control-allow-origin': '*',
      });
      expect(await lines(id)).toEqual(mine.filter((text) => text.includes(`"${id}"`)));
      expect((await lines(id)).length).toBe(9);
    });

    test('HTTP-80 each event once and in order, among those of others, whatever their type and subject', async () => {
      const [id, other] = [unique('cell'), unique('cell')];
      const mine = [cellStarted(id), note(id, 1), commandCompleted(id), cellDestroyed(id), note(id, 2)];
      const [first, ...more] = mine;
      await rig().publish(
        first,
        cellStarted(other),
        { type: 'x', data: { cellId: [id] } },
        'no json',
        { type: 'x', cellId: id },
        { type: 'x', subject: id, data: { id } },
        ...more.slice(0, 2),
      );
      for (const event of more.slice(2)) await rig().broker.publish(event, 'cellos.events.elsewhere');
      await rig().whenApplied();
      expect((await lines(id)).map((text) => JSON.parse(text) as unknown)).toEqual(
        mine.map((event) => (typeof event === 'string' ? (JSON.parse(event) as unknown) : event)),
      );
      expect(await lines(other)).toHaveLength(1);
    });

    test('HTTP-80 LOG-7 an event of several lines is one, with its numbers as they are spelled', async () => {
      const id = unique('cell');
      await rig().publish(
        cellStarted(id),
        `{\n  "data": {"cellId": "${id}",\r\n "n": 1.0, "big": 12345678901234567890, "s": "a\\nb"}\n}\n`,
      );
      expect((await lines(id))[1]).toBe(
        `{   "data": {"cellId": "${id}",  "n": 1.0, "big": 12345678901234567890, "s": "a\\nb"} } `,
      );
    });

    test('HTTP-81 tail', async () => {
      const id = unique('cell');
      await rig().publish(cellStarted(id), ...Array.from({ length: 700 }, (_, n) => note(id, n)));
      expect(numbers(await lines(id, '?tail=3'))).toEqual([697, 698, 699]);
      expect(await lines(id, '?tail=0')).toEqual([]);
      expect(numbers((await lines(id)).slice(1))).toEqual(Array.from({ length: 700 }, (_, n) => n));
      for (const many of ['701', '702', '18446744073709551615']) {
        expect(await lines(id, `?tail=${many}`)).toEqual(await lines(id));
      }
    });

    test('HTTP-80 HTTP-10 ids of any kind', async () => {
      for (const id of [`${unique()}/a b?%`, `${unique()}é✓\u{1f600}`, `${unique()}"\\\n`]) {
        await rig().publish(cellStarted(id), note(id, 1));
        expect(numbers((await lines(id)).slice(1))).toEqual([1]);
      }
    });

    test('HTTP-80 what the log has deleted is not there', async () => {
      const id = unique('cell');
      const last = await rig().publish(cellStarted(id), note(id, 1), note(id, 2), note(id, 3));
      await (await rig().broker.manager()).streams.deleteMessage(STREAM, last - 1);
      expect(numbers((await lines(id)).slice(1))).toEqual([1, 3]);
    });

    test('HTTP-82 an unknown cell is a 404, a bad parameter a 400', async () => {
      const id = unique('cell');
      expectProblem(await rig().http.get(path('nobody"')), 'not-found', { names: ['nobody'] });
      await rig().publish(cellStarted(id));
      for (const [query, culprit] of [
        ['tail=-1', 'tail'],
        ['tail=x', 'tail'],
        ['tail=1&tail=1', 'tail'],
        ['follow=1', 'follow'],
        ['follow=yes', 'follow'],
      ] as const) {
        expectProblem(await rig().http.get(path(id, `?${query}`)), 'bad-request', { names: [culprit] });
      }
      expect(await lines(id, '?unknown=1&follow=false&tail=1')).toHaveLength(1);
      expectProblem(await rig().http.post(path(id), {}), 'method-not-allowed');
    });

    test('HTTP-4 HEAD has the headers alone, also of a stream', async () => {
      const id = unique('cell');
      await rig().publish(cellStarted(id));
      for (const query of ['', '?follow=true', '?tail=5']) {
        const { status, headers, text } = await rig().http.send('HEAD', path(id, query));
        expect([status, headers['content-type'], text]).toEqual([200, 'application/x-ndjson', '']);
      }
      expect((await rig().http.send('HEAD', path('nobody'))).status).toBe(404);
    });

    test('HTTP-61 min_cursor is waited for', async () => {
      const id = unique('cell');
      await rig().publish(cellStarted(id));
      const seq = (await rig().broker.lastSequence()) + 1;
      const waiting = lines(id, `?min_cursor=${seq}`);
      await rig().broker.publish(note(id, 1));
      expect(await waiting).toHaveLength(2);
    });
  });

  describe('followed', () => {
    test('HTTP-83 the past, then what comes, for as long as the client stays', async () => {
      const id = unique('cell');
      await rig().publish(cellStarted(id), note(id, 1));
      const [all, tail, none] = await Promise.all([
        open(id, '?follow=true'),
        open(id, '?follow=true&tail=1'),
        open(id, '?follow=true&tail=0'),
      ]);
      await all.whenLines(2);
      await tail.whenLines(1);
      await rig().publish(note(unique('other'), 7), note(id, 2), 'no json', note(id, 3));
      await all.whenLines(4);
      await tail.whenLines(3);
      await none.whenLines(2);
      expect(numbers(all.lines.slice(1))).toEqual([1, 2, 3]);
      expect(numbers(tail.lines)).toEqual([1, 2, 3]);
      expect(numbers(none.lines)).toEqual([2, 3]);
      expect(all.end).toBe('open');
    });

    test('HTTP-83 no gap and no repeat while events go on', async () => {
      const id = unique('cell');
      await rig().publish(cellStarted(id));
      const opened: LineStreamClient[] = [];
      for (let n = 0; n < 400; n++) {
        await rig().broker.publish(note(id, n));
        if (n % 80 === 40) opened.push(await open(id, '?follow=true'));
      }
      for (const client of opened) {
        await client.whenLines(401);
        expect(numbers(client.lines.slice(1))).toEqual(Array.from({ length: 400 }, (_, n) => n));
      }
    });

    test('HTTP-83 a client that leaves ends its session', async () => {
      const id = unique('cell');
      await rig().publish(cellStarted(id));
      const sessions = async () => {
        const { text } = await rig().http.get('/metrics');
        return Number(/^cellos_feed_sessions(?:\{[^}]*\})? (\d+)$/m.exec(text)?.[1]);
      };
      const before = await sessions();
      const client = await open(id, '?follow=true');
      await client.whenLines(1);
      await until(async () => (await sessions()) === before + 1, { what: 'the session' });
      client.close();
      // Some runtimes notice with what they send next.
      const isGone = async () => {
        await rig().broker.publish(note(id, 1));
        return (await sessions()) <= before;
      };
      await until(isGone, { what: 'the session to end' });
    });
  });
}
