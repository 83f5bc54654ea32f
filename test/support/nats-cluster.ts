// Three brokers in one cluster on loopback, each of which can be killed and brought back, and a server's own wires to them.
import { randomUUID } from 'node:crypto';
import type { NatsConnection } from 'nats';
import { Broker, STREAM, SUPERVISOR_SUBJECT, Wire, findFreePort } from './nats-server.ts';
import { until } from './wait.ts';

const NODES = 3;
/** An election takes nats-server 4 to 9 s, and a restart on a busy machine two of them. */
const ELECTION_MS = 30_000;
/** How long one look for a leader waits for its answer. */
const LOOK_MS = 250;

export class Cluster {
  readonly nodes: readonly Broker[];
  readonly #down = new Set<Broker>();

  private constructor(nodes: readonly Broker[]) {
    this.nodes = nodes;
  }

  /** Resolves when the three have a leader, that is: when a stream can be created. */
  static async start(): Promise<Cluster> {
    // Routes are configured before anybody listens.
    const ports = await Promise.all(Array.from({ length: NODES }, findFreePort));
    const routes = ports.map((port) => `nats://127.0.0.1:${port}`);
    const name = randomUUID();
    const nodes = await Promise.all(
      ports.map(async (port, index) =>
        Broker.start({
          // Nobody else's while the node is down.
          port: await findFreePort(),
          websocketPort: await findFreePort(),
          extraConfig: `server_name: ${nodeName(index)}
cluster { name: "${name}", listen: "127.0.0.1:${port}", routes: ${JSON.stringify(routes)} }`,
        }),
      ),
    );
    const cluster = new Cluster(nodes);
    await Promise.all(nodes.map((node) => cluster.whenLed(node)));
    return cluster;
  }

  /** Until JetStream on this node knows a leader: of streams and consumers, the first to be there after a loss. */
  async whenLed(node: Broker): Promise<void> {
    await this.#look('a leader of JetStream', async () => {
      await request(await node.connection(), '$JS.API.INFO');
      return true;
    });
  }

  /** The node that leads the stream of events; asked of `witness`, which has to be up. */
  async leader(witness: Broker): Promise<Broker> {
    return await this.#look('a leader of the stream', async () => {
      const { leader } = (await streamInfo(witness)).cluster ?? {};
      return this.nodes.find((_, index) => nodeName(index) === leader);
    });
  }

  /** Until every node has all of the stream; asked of `witness`, which has to be up. */
  async whenWhole(witness: Broker): Promise<void> {
    await this.#look('all replicas to be current', async () => {
      const { leader, replicas = [] } = (await streamInfo(witness)).cluster ?? {};
      const current = replicas.filter((replica) => replica.current && replica.offline !== true);
      return leader !== undefined && current.length === NODES - 1;
    });
  }

  /** Until the log takes an event and consumers can be made, which is when the broker is back; that event's sequence. */
  async whenBack(witness: Broker): Promise<number> {
    return await this.#look('the log to take an event', async () => {
      const connection = await witness.connection();
      await request(connection, '$JS.API.INFO');
      const { seq, stream } = await request(connection, SUPERVISOR_SUBJECT, '"back"');
      return stream === STREAM && typeof seq === 'number' ? seq : undefined;
    });
  }

  /** Where the consumers are that somebody pulls from; those of lost connections are there for a while, too. */
  async consumerNodes(witness: Broker): Promise<Broker[]> {
    const live = (await witness.consumers()).filter((consumer) => consumer.num_waiting > 0);
    const names = live.map((consumer) => consumer.cluster?.leader);
    return names.flatMap((name) => this.nodes.filter((_, index) => nodeName(index) === name));
  }

  async kill(node: Broker, signal?: NodeJS.Signals): Promise<void> {
    this.#down.add(node);
    await node.kill(signal);
  }

  /** Starts every node that is down, and waits until all of them have all of the stream. */
  async heal(): Promise<void> {
    await Promise.all([...this.#down].map((node) => node.restart()));
    this.#down.clear();
    await this.whenWhole(this.nodes[0] as Broker);
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  #look<T>(what: string, look: () => Promise<T | false | undefined>): Promise<T> {
    return until(look, { what, timeoutMs: ELECTION_MS, pollMs: 20 });
  }
}

function nodeName(index: number): string {
  return `n${index + 1}`;
}

interface StreamCluster {
  readonly leader?: string;
  readonly replicas?: readonly { readonly current: boolean; readonly offline?: boolean }[];
}

async function streamInfo(node: Broker): Promise<{ cluster?: StreamCluster }> {
  const answer = await request(await node.connection(), `$JS.API.STREAM.INFO.${STREAM}`);
  return answer as { cluster?: StreamCluster };
}

/** Not through the client's manager, which waits 5 s for a node that does not answer while there is no leader. */
async function request(
  connection: NatsConnection,
  subject: string,
  payload = '',
): Promise<Record<string, unknown>> {
  const message = await connection.request(subject, payload, { timeout: LOOK_MS });
  const answer = message.json<Record<string, unknown>>();
  if (answer['error'] !== undefined) throw new Error(JSON.stringify(answer['error']));
  return answer;
}

/** A server's own wires to all nodes: which of them it connects to is the test's choice. */
export class Wires {
  readonly #wires: readonly Wire[];
  readonly #cluster: Cluster;

  private constructor(cluster: Cluster, wires: readonly Wire[]) {
    this.#cluster = cluster;
    this.#wires = wires;
  }

  static async to(cluster: Cluster): Promise<Wires> {
    return new Wires(cluster, await Promise.all(cluster.nodes.map((node) => Wire.to(node.websocketPort))));
  }

  /** All of them, comma-separated. */
  get urls(): string {
    return this.#wires.map((wire) => `ws://127.0.0.1:${wire.port}`).join();
  }

  /** Leaves no way but to this node; a connection to another one is cut. */
  only(node: Broker): void {
    this.#wires.forEach((wire, index) => wire.refuse(this.#cluster.nodes[index] !== node));
  }

  /** Opens every way again; the connection that there is stays. */
  open(): void {
    for (const wire of this.#wires) wire.refuse(false);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#wires.map((wire) => wire.stop()));
  }
}
