// The Durable Object is taken from memory with sessions open: they go on by themselves, each frame once and in order.
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cellStarted, flatDocument, formationEvent, unique } from '../support/events.ts';
import type { FeedClient } from '../support/feed-client.ts';
import { Broker, STREAM } from '../support/nats-server.ts';
import { until } from '../support/wait.ts';
import { Workerd } from '../support/workerd-server.ts';

/** The alarm comes every ten seconds. */
const WOKEN_MS = 15_000;
const SUBJECT = 'cellos.events.v1';

let broker: Broker;
let server: Workerd;
beforeEach(async () => {
  broker = await Broker.start();
  server = await Workerd.start({
    vars: { CELLOS_NATS_URL: broker.websocketUrl, CELLOS_SERVER_IDLE_SECONDS: '300' },
  });
  await server.whenReady();
});
afterEach(async (context) => {
  if (context.task.result?.state === 'fail') console.error(server.log.slice(-4000));
  await server.stop();
  await broker.stop();
});

const somebody = (count: number) => Array.from({ length: count }, () => cellStarted(unique('cell')));
const sequences = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n);

async function expectOpen(...feeds: readonly FeedClient[]): Promise<void> {
  for (const feed of feeds) expect(feed.closing).toBeNull();
}

test('CF-20 an evicted object comes back by its alarm; sessions miss nothing and hear nothing twice', async () => {
  await broker.publishAll(somebody(5));
  const everything = await server.feed({ query: 'since=0' });
  const live = await server.feed();
  const filtered = await server.feed({ query: `since=0&subject=${SUBJECT}` });
  const ahead = await server.feed({ query: 'since=15' });
  await broker.publishAll(somebody(3));
  await live.whenSequence(8);
  await server.evict({ webSockets: 'hibernate' });

  await broker.publishAll(somebody(4));
  const reply = await broker.publish('"elsewhere"', 'cellos.events.other');
  await broker.publishAll(somebody(7));
  // Nobody asks: neither a request nor a client.
  await everything.whenSequence(20, WOKEN_MS);
  await Promise.all([live.whenSequence(20), filtered.whenSequence(20), ahead.whenSequence(20)]);
  expect(everything.sequences).toEqual(sequences(1, 20));
  expect(live.sequences).toEqual(sequences(6, 20));
  expect(filtered.sequences).toEqual(sequences(1, 20).filter((seq) => seq !== reply));
  expect(ahead.sequences).toEqual(sequences(16, 20));
  await expectOpen(everything, live, filtered, ahead);
  expect((await server.http.read<{ cursor: number }>('/v1/formations')).cursor).toBe(20);
});

test('CF-20 evicted again and again while events are published', { timeout: 60_000 }, async () => {
  const feeds = [await server.feed({ query: 'since=0' }), await server.feed()];
  let published = 0;
  const stopping = new AbortController();
  const publisher = (async () => {
    while (!stopping.signal.aborted) {
      published = await broker.publish(cellStarted(unique('cell')));
      await delay(2);
    }
  })();
  for (let round = 0; round < 4; round += 1) {
    await delay(300);
    await server.evict({ webSockets: 'hibernate' });
    // Now a request wakes it, now a message of a client.
    if (round % 2 === 0) await server.whenReady();
    else feeds[0]?.socket.send('hello');
    const target = published + 1;
    await Promise.all(feeds.map((feed) => feed.whenSequence(target, WOKEN_MS)));
  }
  stopping.abort();
  await publisher;
  await Promise.all(feeds.map((feed) => feed.whenSequence(published)));
  expect(published).toBeGreaterThan(100);
  for (const feed of feeds) expect(feed.sequences).toEqual(sequences(1, published));
  await expectOpen(...feeds);
});

test('CF-21 sockets closed with the object, as by a deploy: clients resume with since', async () => {
  const feed = await server.feed({ query: 'since=0' });
  await broker.publishAll(somebody(3));
  await feed.whenSequence(3);
  await server.evict({ webSockets: 'close' });
  await feed.whenClosed();
  await broker.publishAll(somebody(3));
  const again = await server.feed({ query: `since=${feed.sequences.at(-1)}` });
  await again.whenSequence(6);
  expect([...feed.sequences, ...again.sequences]).toEqual(sequences(1, 6));
});

test('CF-22 the log has moved on while the object was away: 4410', async () => {
  const feeds = [await server.feed(), await server.feed({ query: 'since=0' })];
  await broker.publishAll(somebody(5));
  await Promise.all(feeds.map((feed) => feed.whenSequence(5)));
  await server.evict({ webSockets: 'hibernate' });
  await broker.publishAll(somebody(5));
  await (await broker.manager()).streams.purge(STREAM, { seq: 9 });
  await server.whenReady();
  for (const feed of feeds) {
    expect(await feed.whenClosed()).toEqual({ code: 4410, reason: 'retention-exhausted' });
    expect(JSON.parse(feed.frames.at(-1)?.text ?? '')).toMatchObject({ oldest_seq: 9, latest_seq: 10 });
  }

  const feed = await server.feed();
  await broker.publish('1');
  await feed.whenSequence(11);
  await server.evict({ webSockets: 'hibernate' });
  const { streams } = await broker.manager();
  await streams.delete(STREAM);
  await streams.add({ name: STREAM, subjects: ['cellos.events.>'] });
  const last = await broker.publishAll(somebody(20));
  await server.whenReady();
  expect(await feed.whenClosed()).toEqual({ code: 4410, reason: 'epoch-changed' });
  await until(async () => (await server.http.read<{ cursor: number }>('/v1/formations')).cursor === last, {
    what: 'the new stream to be read',
  });
});

test('CF-23 a client of a sleeping object: its oversized message closes it, its leaving is noticed', async () => {
  const [loud, leaving, other] = [await server.feed(), await server.feed(), await server.feed()];
  await server.evict({ webSockets: 'hibernate' });
  leaving.socket.close(4000, 'bye');
  loud.socket.send('x'.repeat(64 * 1024 + 1));
  expect((await leaving.whenClosed()).code).toBe(4000);
  expect((await loud.whenClosed()).code).toBe(1009);
  const last = await broker.publish('1');
  await other.whenSequence(last);
  await expectOpen(other);
});

test('CF-24 what was admitted before an eviction is there after it, and names stay taken', async () => {
  const name = unique();
  const created = await server.http.post('/v1/formations', flatDocument(name));
  expect(created.status).toBe(201);
  const { id } = JSON.parse(created.text) as { id: string };
  await broker.publish(formationEvent('running', { formationId: id }));
  await server.evict({ webSockets: 'hibernate' });
  expect(await server.http.read(`/v1/formations/${name}`)).toMatchObject({ id, status: 'RUNNING' });
  expect((await server.http.post('/v1/formations', flatDocument(name))).status).toBe(409);
  expect((await server.http.send('DELETE', `/v1/formations/${id}`)).status).toBe(204);
});
