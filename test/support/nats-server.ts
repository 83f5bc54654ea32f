// A real broker of a test's own, what a supervisor or a clumsy operator does to it, and a wire to it that can be cut.
import type { ChildProcess } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'nats';
import type { ConsumerInfo, JetStreamClient, JetStreamManager, NatsConnection, StreamInfo } from 'nats';
import { afterAll, inject } from 'vitest';

export const STREAM = 'CELLOS_EVENTS';
/** Where real supervisors publish everything. */
export const SUPERVISOR_SUBJECT = 'cellos.events.v1';

interface StartedNatsServer {
  readonly child: ChildProcess;
  readonly port: number;
  readonly websocketPort: number;
  readonly url: string;
  readonly websocketUrl: string;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

interface NatsServerModule {
  startNatsServer(options: {
    binary: string;
    directory: string;
    port?: number;
    websocketPort?: number;
    extraConfig?: string;
  }): Promise<StartedNatsServer>;
}

// Through a variable, because adapters/ is another TypeScript project.
const location = new URL('../../adapters/local/nats-server.mjs', import.meta.url).href;

async function loadModule(): Promise<NatsServerModule> {
  return (await import(location)) as NatsServerModule;
}

// Below the ports that systems give to outgoing connections: those of other tests would take one that is free now.
const FIRST_PORT = 12_000;
const LAST_PORT = 32_000;

/** A port of 127.0.0.1 that nobody listened on a moment ago. */
export async function findFreePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

export interface BrokerOptions {
  readonly port?: number;
  readonly websocketPort?: number;
  readonly extraConfig?: string;
}

const running = new Set<Broker>();
// A test that fails leaves its broker behind; the file's end takes it away.
afterAll(async () => {
  await Promise.all([...running].map((broker) => broker.stop()));
});

/** A nats-server that keeps its store and its ports over a restart, with the test's own connection to it. */
export class Broker {
  readonly #directory: string;
  readonly #options: BrokerOptions;
  #process: StartedNatsServer;
  #connection: NatsConnection | null = null;
  #manager: JetStreamManager | null = null;

  private constructor(directory: string, options: BrokerOptions, started: StartedNatsServer) {
    this.#directory = directory;
    this.#options = options;
    this.#process = started;
  }

  static async start(options: BrokerOptions = {}): Promise<Broker> {
    const directory = await mkdtemp(join(tmpdir(), 'cellos-nats-'));
    const { startNatsServer } = await loadModule();
    const started = await startNatsServer({ binary: inject('natsServer'), directory, ...options });
    const broker = new Broker(directory, options, started);
    running.add(broker);
    return broker;
  }

  get url(): string {
    return this.#process.url;
  }

  get websocketUrl(): string {
    return this.#process.websocketUrl;
  }

  get port(): number {
    return this.#process.port;
  }

  get websocketPort(): number {
    return this.#process.websocketPort;
  }

  /** Gone without a word, as after a crash; or with another signal in order. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#forget();
    await this.#process.stop(signal);
  }

  /** Back on the same ports with the same store, or with an empty one. */
  async restart({ wipe = false } = {}): Promise<void> {
    const { port, websocketPort } = this.#process;
    if (wipe) await rm(join(this.#directory, 'store'), { recursive: true, force: true });
    const { startNatsServer } = await loadModule();
    this.#process = await startNatsServer({
      binary: inject('natsServer'),
      directory: this.#directory,
      ...this.#options,
      port,
      websocketPort,
    });
  }

  /** Keeps a copy of what the stopped broker has stored. */
  async backUp(): Promise<void> {
    await cp(join(this.#directory, 'store'), join(this.#directory, 'backup'), { recursive: true });
  }

  /** Puts the copy back under the stopped broker. */
  async restore(): Promise<void> {
    await rm(join(this.#directory, 'store'), { recursive: true, force: true });
    await cp(join(this.#directory, 'backup'), join(this.#directory, 'store'), { recursive: true });
  }

  async stop(): Promise<void> {
    running.delete(this);
    await this.#forget();
    await this.#process.stop('SIGKILL');
    await rm(this.#directory, { recursive: true, force: true });
  }

  async connection(): Promise<NatsConnection> {
    this.#connection ??= await connect({ servers: this.url, reconnect: false });
    return this.#connection;
  }

  async jetstream(): Promise<JetStreamClient> {
    return (await this.connection()).jetstream();
  }

  async manager(): Promise<JetStreamManager> {
    // No check: the account's answer says nothing that a test does not find out by itself.
    this.#manager ??= await (await this.connection()).jetstreamManager({ checkAPI: false });
    return this.#manager;
  }

  /** Acknowledged publish, as a supervisor does it; a value is sent as JSON, text and bytes as they are. */
  async publish(payload: unknown, subject = SUPERVISOR_SUBJECT): Promise<number> {
    return (await (await this.jetstream()).publish(subject, toBytes(payload))).seq;
  }

  /** Many at once, in order; returns the last one's sequence. */
  async publishAll(payloads: readonly unknown[], subject = SUPERVISOR_SUBJECT): Promise<number> {
    const jetstream = await this.jetstream();
    let last = 0;
    for (let from = 0; from < payloads.length; from += PUBLISH_WINDOW) {
      const window = payloads.slice(from, from + PUBLISH_WINDOW);
      const acks = await Promise.all(window.map((payload) => jetstream.publish(subject, toBytes(payload))));
      last = Math.max(last, ...acks.map((ack) => ack.seq));
    }
    return last;
  }

  async info(): Promise<StreamInfo> {
    return (await this.manager()).streams.info(STREAM);
  }

  async lastSequence(): Promise<number> {
    return (await this.info()).state.last_seq;
  }

  async consumers(): Promise<ConsumerInfo[]> {
    return (await this.manager()).consumers.list(STREAM).next();
  }

  /** One stored message as the log has it. */
  async message(seq: number): Promise<{ subject: string; text: string }> {
    const stored = await (await this.manager()).streams.getMessage(STREAM, { seq });
    return { subject: stored.subject, text: new TextDecoder().decode(stored.data) };
  }

  /** Every stored message from `first` on, deleted ones left out. */
  async messages(first = 1): Promise<{ seq: number; subject: string; text: string }[]> {
    const found: { seq: number; subject: string; text: string }[] = [];
    const { state } = await this.info();
    for (let from = Math.max(first, state.first_seq); from <= state.last_seq; from += READ_WINDOW) {
      const size = Math.min(READ_WINDOW, state.last_seq - from + 1);
      const window = Array.from({ length: size }, async (_, index) => ({
        seq: from + index,
        stored: await this.message(from + index).catch(() => null),
      }));
      for (const { seq, stored } of await Promise.all(window)) if (stored) found.push({ seq, ...stored });
    }
    return found;
  }

  async #forget(): Promise<void> {
    const connection = this.#connection;
    this.#connection = null;
    this.#manager = null;
    await connection?.close().catch(() => {});
  }
}

const PUBLISH_WINDOW = 500;
const READ_WINDOW = 100;

function toBytes(payload: unknown): Uint8Array {
  if (payload instanceof Uint8Array) return payload;
  return new TextEncoder().encode(typeof payload === 'string' ? payload : JSON.stringify(payload));
}

/** A wire between a server and its broker: it can be cut, and it can go silent without being cut. */
export class Wire {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #stalled = false;
  #refusing = false;
  #fuse: string | null = null;

  private constructor(target: number) {
    this.#server = createServer((near) => {
      if (this.#refusing) {
        near.destroy();
        return;
      }
      this.#join(near, createConnection({ host: '127.0.0.1', port: target }));
    });
  }

  static async to(target: number): Promise<Wire> {
    const wire = new Wire(target);
    await new Promise<void>((resolve) => wire.#server.listen(0, '127.0.0.1', resolve));
    return wire;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resets every connection; new ones are let through. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  /** Resets every connection in place of the next input from the broker that contains `text`. */
  cutBefore(text: string): void {
    this.#fuse = text;
  }

  /** As a host that vanished: nothing passes and nothing is closed; with `onlyOld`, new connections work. */
  stall({ onlyOld = false } = {}): void {
    this.#stalled = !onlyOld;
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  /** Undoes `stall`; what waited meanwhile passes. */
  release(): void {
    this.#stalled = false;
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  /** Whether new connections are dropped at once. */
  refuse(refusing: boolean): void {
    this.#refusing = refusing;
    if (refusing) this.cut();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(near: Socket, far: Socket): void {
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const [from, to] of [pair, [far, near] as const]) {
      from.on('data', (chunk: Buffer) => {
        if (from === far && this.#fuse !== null && chunk.includes(this.#fuse)) {
          this.#fuse = null;
          this.cut();
        } else to.write(chunk);
      });
      from.on('error', end);
      from.on('close', end);
      if (this.#stalled) from.pause();
    }
  }
}
