// The feed without a WebSocket: server-sent events, and pages that wait.
import { afterEach, describe, expect, test } from 'vitest';
import { cellStarted, unique } from '../support/events.ts';
import { EventStreamClient } from '../support/event-stream.ts';
import { expectProblem } from '../support/http-client.ts';
import type { Reply } from '../support/http-client.ts';
import { STREAM } from '../support/nats-server.ts';
import type { Rig } from '../support/server-process.ts';
import { timed, until } from '../support/wait.ts';

export function streamsSuite(rig: () => Rig): void {
  const clients: EventStreamClient[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });
  const open = async (query = '', headers: Record<string, string> = {}) => {
    const client = await EventStreamClient.open(rig().http, query, headers);
    clients.push(client);
    return client;
  };
  const last = () => rig().broker.lastSequence();
  const publish = (...payloads: unknown[]) => rig().broker.publishAll(payloads);
  const cell = () => cellStarted(unique('cell'));
  const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

  describe('GET /v1/events as a stream', () => {
    test('FEED-40 is live without since; id and data are the frame’s', async () => {
      const client = await open();
      expect(client.status).toBe(200);
      expect(client.headers).toMatchObject({
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'access-control-allow-origin': '*',
      });
      const seq = await publish('{ "b":1.0, "a":12345678901234567890 }');
      await client.whenSequence(seq);
      expect(client.events).toEqual([
        {
          id: String(seq),
          event: 'message',
          data: `{"seq":${seq},"event":{ "b":1.0, "a":12345678901234567890 }}`,
        },
      ]);
    });

    test('FEED-40 since, Last-Event-ID in its place, each event once and in order', async () => {
      const from = await publish(cell());
      const through = await publish(...Array.from({ length: 50 }, cell));
      const client = await open(`?since=${from}`);
      await client.whenSequence(through);
      const later = await publish(cell());
      await client.whenSequence(later);
      expect(client.sequences).toEqual(range(from + 1, later));
      client.expectFrames();
      const back = await open('?since=0', { 'last-event-id': String(later - 3) });
      await back.whenSequence(later);
      expect(back.sequences).toEqual([later - 2, later - 1, later]);
    });

    test('FEED-40 an event of several lines stays what it is', async () => {
      const client = await open();
      const text = '{\n  "a": 1,\r\n  "b": "x"\n}';
      const seq = await publish(text);
      await client.whenSequence(seq);
      // Line ends become line feeds; to JSON that is the same.
      expect(client.events[0]?.data).toBe(`{"seq":${seq},"event":${text.replaceAll('\r\n', '\n')}}`);
    });

    test('FEED-40 subject filters, and control frames for who asks', async () => {
      const client = await open('?subject=cellos.events.sse.*&control=true');
      await until(() => client.events.length === 1, { what: 'synced' });
      expect(client.events[0]).toEqual({
        id: String(await last()),
        event: 'synced',
        data: `{"synced":true,"seq":${await last()}}`,
      });
      await publish(cell());
      const seq = await rig().broker.publish(cell(), 'cellos.events.sse.one');
      await client.whenSequence(seq);
      expect(client.sequences).toEqual([seq]);
    });

    test('FEED-40 Accept has to name it; HEAD gets the headers', async () => {
      for (const accept of [
        '*/*',
        'text/*',
        'application/json',
        'text/event-streams',
        'text/event-stream;q=0',
      ]) {
        const reply = await rig().http.get('/v1/events?limit=1', { headers: { accept } });
        expect([reply.status, reply.headers['content-type']]).toEqual([200, 'application/json']);
      }
      for (const accept of ['application/json, text/event-stream;q=0.9', 'TEXT/EVENT-STREAM']) {
        expect((await open('', { accept })).headers['content-type']).toBe('text/event-stream');
      }
      const head = await rig().http.send('HEAD', '/v1/events', { headers: { accept: 'text/event-stream' } });
      expect([head.status, head.headers['content-type'], head.text]).toEqual([200, 'text/event-stream', '']);
    });

    test('FEED-40 what is wrong is refused before it opens', async () => {
      const ask = (query: string, headers = {}) =>
        rig().http.get(`/v1/events${query}`, { headers: { accept: 'text/event-stream', ...headers } });
      for (const query of [
        '?since=x',
        '?since=1&since=1',
        '?control=1',
        '?subject=a..b',
        '?subject=%20',
        '?snapshot=cells',
      ]) {
        expectProblem(await ask(query), 'bad-request');
      }
      expectProblem(await ask('', { 'last-event-id': 'x' }), 'bad-request');
      const stranger = { headers: { accept: 'text/event-stream' }, authorization: null };
      expectProblem(await rig().http.get('/v1/events', stranger), 'unauthorized');
      const problem = expectProblem(await ask('?epoch=another'), 'ws/epoch-changed');
      expect(problem).toMatchObject({ status: 410, latest_seq: await last() });
    });

    test('FEED-40 a client that leaves is forgotten, one that does not read harms nobody', async () => {
      const slow = await open();
      slow.pause();
      const other = await open();
      const payload = { pad: 'x'.repeat(200_000) };
      const from = await last();
      const through = await publish(...Array.from({ length: 40 }, () => payload));
      await other.whenSequence(through);
      expect(other.sequences).toEqual(range(from + 1, through));
      slow.resume();
      await slow.whenSequence(through);
      expect(slow.sequences).toEqual(range(from + 1, through));
    });
  });

  describe('GET /v1/events that waits', () => {
    const poll = (query: string) => timed(rig().http.get(`/v1/events?${query}`));
    const eventsOf = ({ text }: Reply) =>
      JSON.parse(text) as { events: { seq: number; event: unknown }[]; cursor: number; epoch: string };

    test('FEED-41 answers with what comes, as soon as it comes', async () => {
      const from = await last();
      const waiting = poll(`since=${from}&wait=20`);
      await new Promise((resolve) => setTimeout(resolve, 300));
      const event = { type: 'dev.test', data: { at: 1 } };
      const seq = await publish(event);
      const { value, ms } = await waiting;
      const page = eventsOf(value);
      expect(page).toMatchObject({ events: [{ seq, event }], cursor: seq });
      expect(Object.keys(page)).toEqual(['events', 'cursor', 'epoch']);
      expect(ms).toBeGreaterThan(250);
      expect(ms).toBeLessThan(3000);
    });

    test('FEED-41 at once when something is there, and when the time is over with nothing', async () => {
      const seq = await publish(cell());
      const there = await poll(`since=${seq - 1}&wait=30`);
      expect(eventsOf(there.value).events.map((each) => each.seq)).toEqual([seq]);
      expect(there.ms).toBeLessThan(1000);
      const nothing = await poll(`since=${seq}&wait=1`);
      expect(eventsOf(nothing.value)).toMatchObject({ events: [], cursor: seq });
      expect(nothing.ms).toBeGreaterThan(900);
      expect(nothing.ms).toBeLessThan(3000);
    });

    test('FEED-41 filters, and its cursor passes what they leave out', async () => {
      const from = await last();
      const waiting = poll(`since=${from}&wait=20&subject=cellos.events.poll`);
      await new Promise((resolve) => setTimeout(resolve, 100));
      await publish(cell(), cell());
      const seq = await rig().broker.publish(cell(), 'cellos.events.poll');
      expect(eventsOf((await waiting).value).events.map((each) => each.seq)).toEqual([seq]);
      const over = poll(`since=${seq}&wait=1&subject=cellos.events.poll`);
      await new Promise((resolve) => setTimeout(resolve, 100));
      const passed = await publish(cell(), cell());
      expect(eventsOf((await over).value)).toMatchObject({ events: [], cursor: passed });
    });

    test('FEED-41 polling again and again gets everything once', async () => {
      const from = await last();
      const publishing = (async () => {
        for (let n = 0; n < 60; n++) await publish(cell());
        return last();
      })();
      const seen: number[] = [];
      let cursor = from;
      while (seen.length < 60) {
        const page = eventsOf((await poll(`since=${cursor}&wait=5&limit=7`)).value);
        expect(page.events.length).toBeLessThanOrEqual(7);
        seen.push(...page.events.map((each) => each.seq));
        ({ cursor } = page);
      }
      expect(seen).toEqual(range(from + 1, await publishing));
    });

    test('FEED-41 a since beyond the tail is waited for', async () => {
      const from = await last();
      const waiting = poll(`since=${from + 2}&wait=20`);
      await new Promise((resolve) => setTimeout(resolve, 100));
      await publish(cell(), cell(), cell());
      expect(eventsOf((await waiting).value).events.map((each) => each.seq)).toEqual([from + 3]);
      const never = await poll(`since=18446744073709551615&wait=1`);
      expect(eventsOf(never.value)).toMatchObject({ events: [], cursor: from + 3 });
    });

    test.each(['-1', 'x', '1.5', ''])('FEED-41 not %j', async (wait) => {
      expectProblem((await poll(`wait=${wait}`)).value, 'bad-request');
    });

    test('FEED-41 leaves no consumer and no session behind', async () => {
      const from = await last();
      const waiting = Array.from({ length: 20 }, () => poll(`since=${from}&wait=10`));
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect((await rig().broker.consumers()).length).toBeLessThanOrEqual(1);
      const seq = await publish(cell());
      for (const { value } of await Promise.all(waiting)) {
        expect(eventsOf(value).events.map((each) => each.seq)).toEqual([seq]);
      }
    });
  });

  test('FEED-40 FEED-12 a stream whose floor has risen is refused with 410', async () => {
    await publish(...Array.from({ length: 5 }, cell));
    const end = await last();
    await (await rig().broker.manager()).streams.purge(STREAM, { seq: end });
    const reply = await rig().http.get('/v1/events?since=1', { headers: { accept: 'text/event-stream' } });
    const problem = expectProblem(reply, 'ws/retention-exhausted');
    expect(problem).toMatchObject({ oldest_seq: end, latest_seq: end, epoch: expect.any(String) as unknown });
    const all = await open('?since=0');
    await all.whenSequence(end);
    expect(all.sequences).toEqual([end]);
  });
}
