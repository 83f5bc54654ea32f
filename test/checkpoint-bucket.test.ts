// The checkpoint in an object store of a real broker.
import { connect as connectTcp } from 'nats';
import { connect as connectWebSocket } from 'nats.ws';
import type { ConnectionOptions, NatsConnection } from 'nats.ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { SharedCheckpointStore } from '../src/checkpoint-shared.ts';
import { CHECKPOINT_IDLE_MS } from '../src/limits.ts';
import { NatsCheckpointObjects } from '../src/nats-checkpoint-objects.ts';
import type { LinkOptions } from '../src/nats-link.ts';
import type { Clock } from '../src/ports.ts';
import { checkpointStoreSuite } from './suites/checkpoint-store.ts';
import { checkpointWritersSuite } from './suites/checkpoint-writers.ts';
import { failingOnce } from './support/checkpoint-objects.ts';
import { ManualClock } from './support/manual-clock.ts';
import { Broker, findFreePort } from './support/nats-server.ts';
import { systemClock } from './support/system.ts';

const STREAM = 'OBJ_CELLOS_CHECKPOINTS';
type Transport = 'websocket' | 'tcp';

let broker: Broker;
beforeAll(async () => {
  broker = await Broker.start();
});
afterAll(() => broker.stop());

const opened: NatsCheckpointObjects[] = [];
function open(transport: Transport = 'websocket', clock: Clock = systemClock): NatsCheckpointObjects {
  const connect = (transport === 'tcp' ? connectTcp : connectWebSocket) as LinkOptions['connect'];
  const servers = [transport === 'tcp' ? broker.url : broker.websocketUrl];
  const objects = new NatsCheckpointObjects({ connect, connection: { servers }, replicas: 1, clock });
  opened.push(objects);
  return objects;
}

/** What is deleted and made again at once may come back with what it held (nats-server 2.15): tests empty it instead. */
async function dispose(): Promise<void> {
  await Promise.all(opened.splice(0).map((objects) => objects.close()));
  await unlessMissing((await broker.manager()).streams.purge(STREAM));
}

async function wipe(): Promise<void> {
  await unlessMissing((await broker.manager()).streams.delete(STREAM));
}

async function unlessMissing(work: Promise<unknown>): Promise<void> {
  await work.catch((error: Error) => {
    // A test may have made none.
    if (error.message !== 'stream not found') throw error;
  });
}

/** Every description of an object says that it was written earlier. */
async function age(ms: number): Promise<void> {
  const { streams } = await broker.manager();
  const { state } = await streams.info(STREAM, { subjects_filter: '$O.CELLOS_CHECKPOINTS.M.>' });
  for (const subject of Object.keys(state.subjects ?? {})) {
    const { data } = await streams.getMessage(STREAM, { last_by_subj: subject });
    const info = JSON.parse(new TextDecoder().decode(data)) as { name: string; mtime: string };
    if (info.name === 'head') continue;
    const mtime = new Date(Date.parse(info.mtime) - ms).toISOString();
    await (await broker.jetstream()).publish(subject, JSON.stringify({ ...info, mtime }));
  }
}

describe.each(['websocket', 'tcp'] as const)('over %s', (transport) => {
  checkpointStoreSuite('in a bucket', async () => {
    const { objects, failNext } = failingOnce(open(transport));
    return {
      store: new SharedCheckpointStore(objects),
      reopen: async () => {
        const store = new SharedCheckpointStore(open(transport));
        await store.load().catch(() => {});
        return store;
      },
      breakNextCommit: async () => failNext(),
      async damage() {
        const revision = await objects.headRevision();
        await objects.writeHead(new TextEncoder().encode('something else'), revision);
      },
      dispose,
    };
  });
});

checkpointWritersSuite('in a bucket', async () => ({ open: () => open(), age, wipe, dispose }));

describe('the bucket', () => {
  test('CKP-30 is on file, says what it is, and holds no more than what is in use', async () => {
    const store = new SharedCheckpointStore(open());
    await store.load();
    for (let id = 1; id <= 20; id++) {
      await store.commit({ head: `${id}`, put: [{ id, text: `[${id}]` }], remove: [id - 1] });
    }
    const { streams } = await broker.manager();
    const { config, state } = await streams.info(STREAM);
    expect(config).toMatchObject({ storage: 'file', num_replicas: 1 });
    expect(config.description).toMatch(/cellos-server/);
    // A chunk and a description for the head and for one block.
    expect(state.messages).toBe(4);
    expect((await (await broker.manager()).consumers.list(STREAM).next()).length).toBe(0);
    await dispose();
  });

  test('CKP-30 chunks that nobody names are removed when they are old', async () => {
    let now = Date.now();
    const objects = open('websocket', { ...systemClock, now: () => now });
    await objects.write('a', new Uint8Array([1]));
    await (await broker.jetstream()).publish('$O.CELLOS_CHECKPOINTS.C.nobody', 'x'.repeat(1000));
    const messages = async () => (await (await broker.manager()).streams.info(STREAM)).state.messages;
    await objects.listOlderThan(60_000);
    expect(await messages()).toBe(3);
    now += 120_000;
    expect(await objects.listOlderThan(60_000)).toEqual(['a']);
    expect(await messages()).toBe(2);
    await dispose();
  });

  test('CKP-31 the connection is kept while it is used, and left when it is not', async () => {
    const clock = new ManualClock();
    const made: NatsConnection[] = [];
    const connect = async (options: ConnectionOptions) => {
      const connection = await connectWebSocket(options);
      made.push(connection);
      return connection;
    };
    const connection = { servers: [broker.websocketUrl] };
    const objects = new NatsCheckpointObjects({ connect, connection, replicas: 1, clock });
    await Promise.all([objects.headRevision(), objects.read('a'), objects.read('b')]);
    await clock.advance(CHECKPOINT_IDLE_MS - 1);
    expect(await objects.headRevision()).toBe(0);
    await clock.advance(CHECKPOINT_IDLE_MS - 1);
    expect(made.map((each) => each.isClosed())).toEqual([false]);
    await clock.advance(1);
    await made[0]?.closed();
    expect(await objects.headRevision()).toBe(0);
    expect(made.map((each) => each.isClosed())).toEqual([true, false]);
    // Cut under it, it is made anew.
    await made[1]?.close();
    expect(await objects.headRevision()).toBe(0);
    await objects.close();
    expect(made.map((each) => each.isClosed())).toEqual([true, true, true]);
  });

  test('CKP-31 a broker that is away is unreachable', async () => {
    const servers = [`ws://127.0.0.1:${await findFreePort()}`];
    const connect = connectWebSocket as LinkOptions['connect'];
    const away = new NatsCheckpointObjects({
      connect,
      connection: { servers },
      replicas: 1,
      clock: systemClock,
    });
    await expect(away.headRevision()).rejects.toMatchObject({ name: 'EventLogError', code: 'unreachable' });
    await expect(new SharedCheckpointStore(away).load()).rejects.toMatchObject({ code: 'unreachable' });
  });

  test('CKP-31 one that does not hand it out is unavailable', async () => {
    const own = await Broker.start({
      extraConfig: `authorization { users: [{ user: "u", password: "p", permissions: {
        publish: { deny: ["$JS.API.STREAM.CREATE.${STREAM}", "$JS.API.STREAM.INFO.${STREAM}"] } } }] }`,
    });
    const connect = connectWebSocket as LinkOptions['connect'];
    const connection = { servers: [own.websocketUrl], user: 'u', pass: 'p' };
    const objects = new NatsCheckpointObjects({ connect, connection, replicas: 1, clock: systemClock });
    await expect(objects.headRevision()).rejects.toMatchObject({
      name: 'EventLogError',
      code: 'unavailable',
    });
    await own.stop();
  });
});
