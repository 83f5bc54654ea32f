// When the object keeps its connection to the broker and when it lets go of it; and a page that takes silence for death.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { cellStarted, flatDocument, unique } from '../support/events.ts';
import type { FeedClient } from '../support/feed-client.ts';
import { Broker, STREAM } from '../support/nats-server.ts';
import { quiet, timed, until } from '../support/wait.ts';
import { Workerd } from '../support/workerd-server.ts';

const IDLE_MS = 2000;
/** The existing web page gives up on a feed that it has heard nothing from for so long. */
const SILENCE_MS = 45_000;
/** Contract section 8. */
const HELD_MS = 10_000;

/** A page that was opened when the file began, so that its silence passes while other tests run. */
let page: { broker: Broker; server: Workerd; session: FeedClient };
beforeAll(async () => {
  const itsBroker = await Broker.start();
  const itsServer = await Workerd.start({ vars: { CELLOS_NATS_URL: itsBroker.websocketUrl } });
  await itsServer.whenReady();
  const session = await itsServer.feed({ query: 'since=0' });
  await session.whenSequence(await itsBroker.publishAll([cellStarted('one'), cellStarted('two')]));
  page = { broker: itsBroker, server: itsServer, session };
});
afterAll(async () => {
  await page.server.stop();
  await page.broker.stop();
});

let broker: Broker;
let server: Workerd;
beforeEach(async () => {
  broker = await Broker.start();
  server = await Workerd.start({
    vars: { CELLOS_NATS_URL: broker.websocketUrl, CELLOS_SERVER_IDLE_SECONDS: String(IDLE_MS / 1000) },
  });
});
afterEach(async (context) => {
  if (context.task.result?.state === 'fail') console.error(server.log.slice(-4000));
  await server.stop();
  await broker.stop();
});

const consumers = async () => (await broker.consumers()).length;

async function whenGone(): Promise<void> {
  await until(async () => (await consumers()) === 0, {
    what: 'the object to leave the broker',
    timeoutMs: IDLE_MS + 4000,
  });
}

test('CF-40 without sessions and requests it saves and leaves; the next request brings it back', async () => {
  const name = unique();
  expect((await server.http.post('/v1/formations', flatDocument(name))).status).toBe(201);
  expect(await consumers()).toBe(1);
  await whenGone();
  // Nothing calls it any more, so that the platform may forget it.
  await quiet(IDLE_MS + 1000);
  expect(await consumers()).toBe(0);
  expect(server.logs.filter((line) => line.includes('leaving the broker'))).toHaveLength(1);

  await broker.publish(cellStarted('while-asleep'));
  const { value, ms } = await timed(server.http.get('/v1/cells/while-asleep'));
  expect(value.status).toBe(200);
  expect(ms).toBeLessThan(HELD_MS);
  expect(await server.http.read(`/v1/formations/${name}`)).toMatchObject({ status: 'PENDING' });
  expect(server.log).toContain('checkpoint restored');
});

test('CF-40 CF-41 requests and sessions keep it; when the last session is gone it leaves', async () => {
  const feed = await server.feed();
  await quiet(IDLE_MS + 2500);
  expect(await consumers()).toBe(1);
  const last = await broker.publish('"still there"');
  await feed.whenSequence(last);
  await feed.close();
  await whenGone();
});

test('CF-42 the first request of all is held while the object starts, bad ones are not', async () => {
  await (await broker.manager()).streams.add({ name: STREAM, subjects: ['cellos.events.>'] });
  await broker.publishAll(Array.from({ length: 5000 }, () => cellStarted(unique('cell'))));
  const bad = await Promise.all([
    server.http.get('/v1/cells', { authorization: null }),
    server.http.get('/v1/cells?nonsense=1'),
    server.http.get('/nowhere'),
    server.http.post('/v1/formations', '{'),
  ]);
  expect(bad.map((reply) => reply.status)).toEqual([401, 400, 404, 400]);
  // None of these has woken the object.
  expect(await consumers()).toBe(0);
  expect(await server.http.read('/v1/cells')).toHaveLength(5000);
});

test(
  'CF-43 a page that hears nothing for 45 s reconnects and loses nothing',
  { timeout: 60_000 },
  async () => {
    const { session } = page;
    await quiet(Math.max(0, session.openedAt + SILENCE_MS - performance.now()));
    // Neither a frame nor a ping has come: this runtime sends none.
    expect(session.sequences).toEqual([1, 2]);
    expect(session.pings).toEqual([]);
    expect(session.closing).toBeNull();
    session.socket.terminate();
    await page.broker.publishAll([cellStarted('three'), cellStarted('four')]);
    const again = await page.server.feed({ query: `since=${session.sequences.at(-1)}` });
    await again.whenSequence(await page.broker.publish(cellStarted('five')));
    expect(again.sequences).toEqual([3, 4, 5]);
  },
);
