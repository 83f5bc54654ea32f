// What sessions are told when they ask, how many there may be, and what becomes of a client that sends too much.
import { afterEach, describe, expect, test } from 'vitest';
import { cellStarted, formationEvent, unique } from '../support/events.ts';
import { EventStreamClient } from '../support/event-stream.ts';
import { refusedUpgrade } from '../support/feed-client.ts';
import type { FeedClient } from '../support/feed-client.ts';
import { expectProblem } from '../support/http-client.ts';
import type { Rig } from '../support/server-process.ts';
import { until } from '../support/wait.ts';

interface Page {
  readonly snapshot: Readonly<Record<string, unknown[]>>;
  readonly seq: number;
  readonly epoch: string;
  readonly more: boolean;
}

export function controlSuite(rig: () => Rig): void {
  const clients: FeedClient[] = [];
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
  });
  const open = async (query: string) => {
    const client = await rig().server.feed({ query });
    clients.push(client);
    return client;
  };
  const last = () => rig().broker.lastSequence();
  const pagesOf = (client: FeedClient) =>
    client.frames.filter(({ seq }) => seq === undefined).map(({ text }) => JSON.parse(text) as Page);

  test('FEED-30 who asks is told once when all of the past was sent', async () => {
    const from = await last();
    await rig().publish(...Array.from({ length: 20 }, () => cellStarted(unique('cell'))));
    const client = await open(`since=${from}&control=true`);
    await client.whenFrames(21);
    const seq = await rig().publish(cellStarted(unique('cell')));
    await client.whenSequence(seq);
    expect(client.frames.map((frame) => frame.seq ?? frame.text)).toEqual([
      ...Array.from({ length: 20 }, (_, at) => from + 1 + at),
      `{"synced":true,"seq":${from + 20}}`,
      seq,
    ]);
    expect((await refusedUpgrade(rig().http, { query: 'control=1' })).status).toBe(400);
  });

  test('FEED-32 a snapshot is the view at one sequence; what comes after it follows', async () => {
    const formationId = crypto.randomUUID();
    await rig().publish(
      formationEvent('running', { formationId, formationName: unique(), document: { spelled: 1e3 } }),
      ...Array.from({ length: 1200 }, () => cellStarted(unique('cell'), { formationId })),
    );
    const formations = await rig().snapshot();
    const cells = await rig().http.read<unknown[]>('/v1/cells');
    const client = await open('snapshot=cells,formations&control=true');
    await until(() => client.frames.at(-1)?.text.startsWith('{"synced"'), { what: 'the snapshot' });
    const pages = pagesOf(client).slice(0, -1);
    expect(new Set(pages.map(({ seq }) => seq))).toEqual(new Set([formations.cursor]));
    expect(new Set(pages.map(({ epoch }) => epoch))).toEqual(new Set([formations.epoch]));
    expect(pages.flatMap(({ snapshot }) => snapshot['formations'] ?? [])).toEqual(formations.formations);
    expect(pages.flatMap(({ snapshot }) => snapshot['cells'] ?? [])).toEqual(cells);
    for (const { snapshot } of pages) {
      for (const records of Object.values(snapshot)) expect(records.length).toBeLessThanOrEqual(1000);
    }
    expect(pages.map(({ more }) => more)).toEqual([...pages.slice(1).map(() => true), false]);
    const seq = await rig().publish(cellStarted(unique('cell')));
    await client.whenSequence(seq);
    expect(client.sequences).toEqual([seq]);
  });

  test('FEED-32 while events are published there is no gap and no repeat behind it', async () => {
    const publishing = { isOver: false };
    const publisher = (async () => {
      while (!publishing.isOver) await rig().broker.publish(cellStarted(unique('cell')));
      return last();
    })();
    const readers: FeedClient[] = [];
    for (let n = 0; n < 10; n++) readers.push(await open('snapshot=cells'));
    await new Promise((resolve) => setTimeout(resolve, 300));
    publishing.isOver = true;
    const end = await publisher;
    for (const reader of readers) {
      await reader.whenSequence(end);
      const { seq } = pagesOf(reader)[0] as Page;
      expect(reader.sequences).toEqual(Array.from({ length: end - seq }, (_, at) => seq + 1 + at));
    }
  });

  test('FEED-32 what cannot be asked for is refused before the upgrade', async () => {
    for (const query of ['snapshot=events', 'snapshot=cells,', 'snapshot=Cells', 'snapshot=cells&since=1']) {
      const reply = await refusedUpgrade(rig().http, { query });
      expect([query, reply.status]).toEqual([query, 400]);
    }
  });

  test('HTTP-61 an upgrade waits for min_cursor too', async () => {
    const next = (await last()) + 1;
    const opening = rig().server.feed({ query: `snapshot=cells&min_cursor=${next}` });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await rig().broker.publish(cellStarted(unique('cell')));
    const client = await opening;
    clients.push(client);
    await client.whenFrames(1);
    expect(pagesOf(client)[0]?.seq).toBeGreaterThanOrEqual(next);
    expect((await refusedUpgrade(rig().http, { query: 'min_cursor=x' })).status).toBe(400);
  });

  test('FEED-34 a flood of messages ends the session, and only this one', async () => {
    const [flooding, other] = [await open(''), await open('')];
    for (let n = 0; n < 1000; n++) flooding.socket.send('x');
    const { code } = await flooding.whenClosed();
    // Who closes while much is unread may end the connection before the close frame is through.
    expect([1008, 1006]).toContain(code);
    const seq = await rig().publish(cellStarted(unique('cell')));
    await other.whenSequence(seq);
  });
}

/** `rig` was started with CELLOS_SERVER_MAX_SESSIONS=3. */
export function sessionLimitSuite(rig: () => Rig): void {
  describe('with at most three sessions', () => {
    test('FEED-35 a further one is refused before it opens, until there is room', async () => {
      const { http, server } = rig();
      const clients = [await server.feed(), await server.feed()];
      const stream = await EventStreamClient.open(http);
      expect(stream.status).toBe(200);
      const refused = await refusedUpgrade(http);
      expectProblem(refused, 'too-many-sessions');
      expect(refused.headers['retry-after']).toMatch(/^[1-9]\d*$/);
      expectProblem(
        await http.get('/v1/events', { headers: { accept: 'text/event-stream' } }),
        'too-many-sessions',
      );
      expectProblem(await http.get('/v1/events?wait=1'), 'too-many-sessions');
      // What opens no session goes on.
      expect((await http.get('/v1/events')).status).toBe(200);
      stream.close();
      // A runtime may notice that a stream's client has left when it sends it something.
      const knock = async () => {
        await rig().broker.publish(cellStarted(unique('cell')));
        return server.feed();
      };
      const next = await until(knock, { what: 'room for another session' });
      const seq = await rig().publish(cellStarted(unique('cell')));
      await next.whenSequence(seq);
      await Promise.all([...clients, next].map((client) => client.close()));
    });

    test('FEED-35 of many at once, no more are let in', async () => {
      const { http } = rig();
      const streams = await Promise.all(Array.from({ length: 12 }, () => EventStreamClient.open(http)));
      const statuses = streams.map(({ status }) => status);
      for (const stream of streams) stream.close();
      expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(3);
      expect(new Set(statuses)).toEqual(new Set([200, 503]));
    });
  });
}
