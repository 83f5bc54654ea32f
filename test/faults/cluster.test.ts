// Three brokers in a cluster, the log on all of them, and two servers: nodes are killed, restarted and missed under load.
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { denoTarget } from '../support/deno-server.ts';
import { flatDocument, unique } from '../support/events.ts';
import type { FeedClient } from '../support/feed-client.ts';
import { expectProblem } from '../support/http-client.ts';
import { Cluster, Wires } from '../support/nats-cluster.ts';
import { STREAM } from '../support/nats-server.ts';
import type { Broker } from '../support/nats-server.ts';
import { Rig, ServerProcess, nodeTarget } from '../support/server-process.ts';
import { quiet, timed, until } from '../support/wait.ts';
import { Reader, admitTwo, expectFaithful, expectInLog, expectRefused, writeAll } from '../support/writes.ts';
import type { Write } from '../support/writes.ts';

const BACK_MS = 2000;
const WRITE_MS = 5000;
const PAGE_MS = 2000;
/** An election takes the brokers up to 9 s, two may follow each other, and the machine does something else, too. */
const ELECTED_MS = 25_000;
const TEST_MS = 60_000;
const WORKERS = 3;

let cluster: Cluster;
let wires: Wires[];
let servers: ServerProcess[];

beforeAll(async () => {
  cluster = await Cluster.start();
  wires = await Promise.all([Wires.to(cluster), Wires.to(cluster)]);
  await connectTo(0, 1);
  servers = await Promise.all(
    [nodeTarget, denoTarget].map((target, index) =>
      ServerProcess.start(target, {
        CELLOS_NATS_URL: (wires[index] as Wires).urls,
        CELLOS_STREAM_REPLICAS: '3',
      }),
    ),
  );
  for (const each of wires) each.open();
  await cluster.whenWhole(node(0));
});
afterEach(async (context) => {
  if (context.task.result?.state === 'fail') {
    const isNews = (line: string) => !line.includes('request refused');
    for (const { log } of servers)
      console.error(`a server's log ends:\n${log.split('\n').filter(isNews).slice(-25).join('\n')}`);
  }
  await cluster.heal();
}, TEST_MS);
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await Promise.all(wires.map((each) => each.stop()));
  await cluster.stop();
});

function node(index: number): Broker {
  return cluster.nodes[index] as Broker;
}

/** Leaves each server no way but to one node, which is where it is from then on. */
async function connectTo(...indexes: number[]): Promise<void> {
  indexes.forEach((index, server) => (wires[server] as Wires).only(node(index)));
}

/** Moves the servers to these nodes and waits until writes through both succeed. */
async function moveTo(...indexes: number[]): Promise<void> {
  await connectTo(...indexes);
  await whenWritable();
  for (const each of wires) each.open();
}

async function whenWritable(): Promise<void> {
  await Promise.all(
    servers.map((server) =>
      until(async () => (await server.http.post('/v1/formations', flatDocument(unique()))).status === 201, {
        what: 'a write to succeed',
        timeoutMs: ELECTED_MS,
      }),
    ),
  );
}

interface Attempt {
  readonly name: string;
  readonly status: number;
  readonly id: string | null;
  /** On `performance.now()`'s scale. */
  readonly at: number;
}

/** POSTs through both servers, feeds and readers on both, until it is told to stop. */
class Load {
  readonly attempts: Attempt[] = [];
  readonly #stopping = new AbortController();
  readonly #workers: Promise<unknown>;
  readonly #readers: Reader[];
  readonly #feeds: FeedClient[];
  readonly #first: number;

  private constructor(feeds: FeedClient[], first: number) {
    this.#feeds = feeds;
    this.#first = first;
    this.#readers = servers.map(({ http }) => new Reader(http));
    this.#workers = Promise.all(
      servers.flatMap((server) => Array.from({ length: WORKERS }, () => this.#work(server))),
    );
    // Whoever stops it hears of it.
    this.#workers.catch(() => {});
    onTestFinished(() => this.#stopping.abort());
  }

  static async start(witness: Broker): Promise<Load> {
    const last = await witness.lastSequence();
    return new Load(await openFeeds(last), last);
  }

  async #work({ http }: ServerProcess): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const name = unique('load');
      const { value, ms } = await timed(http.post('/v1/formations', flatDocument(name)));
      expect(ms).toBeLessThan(WRITE_MS);
      if (value.status !== 201) {
        expectProblem(value, 'service-unavailable');
        expect(value.headers['retry-after']).toMatch(/^[1-9]\d*$/);
      }
      const id = value.status === 201 ? (JSON.parse(value.text) as { id: string }).id : null;
      this.attempts.push({ name, id, status: value.status, at: performance.now() });
      await quiet(id === null ? 50 : 10);
    }
  }

  /** The longest time in which nothing was admitted, through both servers together. */
  get longestPauseMs(): number {
    const times = this.attempts.filter(({ id }) => id !== null).map(({ at }) => at);
    const gaps = times.map((at, index) => at - (times[index - 1] ?? at));
    return Math.max(...gaps);
  }

  /**
   * Stops, and holds everything against the log: what was admitted is in it once, what was refused at most once, every frame came
   * once and in order, no reader saw anything else, and both projections are those of a server that has just read it.
   */
  async expectTrue(witness: Broker, what: string): Promise<void> {
    this.#stopping.abort();
    await this.#workers;
    const refused = this.attempts.filter(({ id }) => id === null);
    console.log(
      `${what}: ${this.attempts.length - refused.length} admitted, ${refused.length} refused, no write for ${Math.round(this.longestPauseMs)} ms`,
    );
    const last = await witness.lastSequence();
    await expectFaithful(witness, servers, nodeTarget);
    const everything = await witness.messages();
    const messages = everything.filter(({ seq }) => seq >= this.#first);
    const created = new Map<string, string[]>();
    for (const { subject, text } of messages) {
      if (!subject.endsWith('.created')) continue;
      const { data } = JSON.parse(text) as { data: { formationId: string; formationName: string } };
      created.set(data.formationName, [...(created.get(data.formationName) ?? []), data.formationId]);
    }
    for (const { name, id } of this.attempts) {
      const ids = created.get(name) ?? [];
      if (id === null) expect(ids.length).toBeLessThanOrEqual(1);
      else expect([name, ids]).toEqual([name, [id]]);
    }
    for (const feed of this.#feeds) {
      await feed.whenSequence(last);
      expect(feed.closing).toBeNull();
      expect(feed.sequences).toEqual(messages.map(({ seq }) => seq));
      await feed.close();
    }
    for (const reader of this.#readers) {
      await reader.expectHonest(everything);
      expect(reader.refusals).toEqual([]);
    }
  }
}

describe('RUN-43 a replicated log', () => {
  test('CFG-5 RUN-43 the stream that the server made is on all three nodes', async () => {
    const { config } = await node(0).info();
    expect(config.num_replicas).toBe(3);
    expect(config.subjects).toEqual(['cellos.events.>']);
  });

  test('RUN-43 RUN-6 a node that a server is connected to is killed', { timeout: TEST_MS }, async () => {
    const leader = await cluster.leader(node(0));
    const follower = cluster.nodes.find((each) => each !== leader) as Broker;
    await moveTo(cluster.nodes.indexOf(follower), cluster.nodes.indexOf(leader));
    const load = await Load.start(leader);
    await quiet(500);
    await cluster.kill(follower);
    await cluster.whenBack(leader);
    await expectTailWithin(leader);
    await expectWritesAfter(load, performance.now());
    await cluster.heal();
    await load.expectTrue(leader, 'a node with a server on it killed');
  });

  test(
    'RUN-45 LOG-10 the node that has the servers’ consumers is killed, and nothing else',
    { timeout: TEST_MS },
    async () => {
      const leader = cluster.nodes.indexOf(await cluster.leader(node(0)));
      await moveTo(leader, leader);
      const load = await Load.start(node(leader));
      await quiet(500);
      // A consumer is where the brokers choose; until one of the two is elsewhere than its stream's leader they choose again.
      const holder = await until(
        async () => {
          const found = await cluster.consumerNodes(node(leader));
          const elsewhere = found.find((each) => each !== node(leader));
          if (elsewhere === undefined && found.length === servers.length) await dropConsumers(node(leader));
          return elsewhere;
        },
        { what: 'a consumer on a node that does not lead', timeoutMs: ELECTED_MS, pollMs: 100 },
      );
      await cluster.kill(holder);
      // It may have been what makes consumers, too.
      await cluster.whenBack(node(leader));
      await expectTailWithin(node(leader));
      await cluster.heal();
      await load.expectTrue(node(leader), 'a follower killed');
    },
  );

  test(
    'RUN-43 RUN-6 the node that a server is connected to is killed, and leads the stream',
    { timeout: TEST_MS },
    async () => {
      const leader = cluster.nodes.indexOf(await cluster.leader(node(0)));
      const other = (leader + 1) % 3;
      await moveTo(leader, other);
      const load = await Load.start(node(other));
      await quiet(500);
      await cluster.kill(node(leader));
      await cluster.whenBack(node(other));
      const back = performance.now();
      await expectTailWithin(node(other));
      await expectWritesAfter(load, back);
      await cluster.heal();
      await load.expectTrue(node(other), 'the leader killed with a server on it');
    },
  );

  test('RUN-44 RUN-2 OUT-7 two nodes of three are down', { timeout: TEST_MS }, async () => {
    // What leads the stream is left: it takes writes in, and cannot make them true.
    const survivor = await cluster.leader(node(0));
    const [first, second] = cluster.nodes.filter((each) => each !== survivor) as [Broker, Broker];
    await moveTo(cluster.nodes.indexOf(survivor), cluster.nodes.indexOf(first));
    const admit = () => Promise.all(servers.map(({ http }) => admitTwo(http)));
    const rounds = [await admit(), await admit()];
    const last = await survivor.lastSequence();
    const feeds = await openFeeds(last);
    const readers = servers.map(({ http }) => new Reader(http));
    await Promise.all([cluster.kill(first), cluster.kill(second)]);
    const writes: Write[] = [];
    for (const admitted of rounds) {
      const answers = admitted.map((each, index) => writeAll((servers[index] as ServerProcess).http, each));
      writes.push(...(await Promise.all(answers)).flat());
    }
    const slowest = Math.max(...writes.map(({ ms }) => ms));
    console.log(`without a quorum writes are refused within ${Math.round(slowest)} ms`);
    expectRefused(writes, 'service-unavailable');
    for (const { http } of servers)
      for (const path of ['/v1/formations', '/v1/cells', `/v1/formations/${rounds[0]?.[0]?.doomed}`])
        expect((await http.get(path)).status).toBe(200);
    for (const { http } of servers) {
      const { value, ms } = await timed(http.get('/v1/events'));
      expectProblem(value, 'service-unavailable');
      expect(ms).toBeLessThan(PAGE_MS);
    }
    expect(feeds.map(({ closing }) => closing)).toEqual([null, null]);

    const healed = cluster.heal();
    await cluster.whenBack(survivor);
    await expectTailWithin(survivor);
    await whenWritable();
    await healed;
    await expectFaithful(survivor, servers, nodeTarget);
    const messages = await survivor.messages();
    console.log(`${expectInLog(writes, messages)} of ${writes.length} refused writes became true`);
    for (const reader of readers) {
      await reader.expectHonest(messages);
      expect(reader.refusals).toEqual([]);
    }
    const since = messages.map(({ seq }) => seq).filter((seq) => seq >= last);
    for (const feed of feeds) {
      await feed.whenSequence(since.at(-1) as number);
      expect(feed.sequences).toEqual(since);
      expect(feed.closing).toBeNull();
    }
  });

  test('RUN-46 RUN-4 all nodes are restarted in turn', { timeout: TEST_MS }, async () => {
    await moveTo(0, 1);
    const load = await Load.start(node(0));
    for (const each of cluster.nodes) {
      await cluster.kill(each, 'SIGTERM');
      await cluster.heal();
    }
    await cluster.whenBack(node(0));
    await whenWritable();
    await load.expectTrue(node(0), 'a rolling restart');
  });
});

/** One on each server, which has shown this sequence: a server may not have reached it yet, or be between two nodes. */
function openFeeds(from: number): Promise<FeedClient[]> {
  return Promise.all(
    servers.map((server) =>
      until(
        async () => {
          const feed = await server.feed({ query: `since=${from - 1}` });
          await until(() => feed.sequences.length > 0 || feed.closing !== null, { what: 'a frame' });
          return feed.closing === null && feed;
        },
        { what: 'a feed', timeoutMs: ELECTED_MS, pollMs: 100 },
      ),
    ),
  );
}

async function dropConsumers(witness: Broker): Promise<void> {
  const manager = await witness.manager();
  for (const { name } of await witness.consumers()) await manager.consumers.delete(STREAM, name);
}

/** From this moment, in which the brokers have their leaders, to the first event that both servers show. */
async function expectTailWithin(witness: Broker): Promise<void> {
  const { ms } = await timed(
    cluster
      .whenBack(witness)
      .then((seq) =>
        Promise.all(servers.map((server) => new Rig(witness, server).whenApplied(seq, ELECTED_MS))),
      ),
  );
  console.log(`the tails went on ${Math.round(ms)} ms after the brokers had their leaders`);
  expect(ms).toBeLessThan(BACK_MS);
}

/** Until the load has admitted something through each server again. */
async function expectWritesAfter(load: Load, back: number): Promise<void> {
  await until(() => load.attempts.filter(({ id, at }) => id !== null && at > back).length > 50, {
    what: 'writes to succeed again',
    timeoutMs: WRITE_MS,
  });
}
