// Owns the bench's brokers: a nats-server of its own per fixture or run, and the stream in the contract's shape.
import type { ChildProcess } from 'node:child_process';
import { connect, nanos, RetentionPolicy, StorageType } from 'nats';
import type { NatsConnection } from 'nats';
import { createTemporaryDirectory, removeTemporaryDirectory, stopChild, trackChild } from './processes.ts';
import type { BrokerScheme } from './options.ts';

/** The stream every server of the contract works on. */
export const STREAM = 'CELLOS_EVENTS';
/** What real producers publish on. */
export const EVENT_SUBJECT = 'cellos.events.v1';

const MAX_AGE_MS = 90 * 24 * 60 * 60 * 1_000;
const DUPLICATE_WINDOW_MS = 120_000;

// The members used of adapters/local/nats-server.mjs. It is imported through a variable because it belongs to
// another TypeScript project, which a composite project cannot take in file by file.
interface NatsServerModule {
  ensureNatsServer(): Promise<string>;
  findFreePort(): Promise<number>;
  startNatsServer(options: { binary: string; directory: string }): Promise<StartedNatsServer>;
}

interface StartedNatsServer {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly url: string;
  readonly websocketUrl: string;
}

let loaded: Promise<NatsServerModule> | null = null;
let found: Promise<string> | null = null;

/** A running broker with an empty or seeded stream and the bench's own connection to it. */
export interface Broker {
  readonly pid: number;
  readonly connection: NatsConnection;
  urlFor(scheme: BrokerScheme): string;
  lastSequence(): Promise<number>;
  /** On the stream, whoever made them. */
  consumers(): Promise<number>;
  stop(): Promise<void>;
}

/** Starts a broker in a temporary directory and creates the stream. */
export async function startBroker(): Promise<Broker> {
  const { ensureNatsServer, startNatsServer } = await loadModule();
  found ??= ensureNatsServer();
  const directory = createTemporaryDirectory();
  const started = await startNatsServer({ binary: await found, directory });
  trackChild(started.child);
  const connection = await connect({ servers: started.url, reconnect: false });
  const manager = await connection.jetstreamManager();
  await manager.streams.add({
    name: STREAM,
    subjects: ['cellos.events.>'],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    max_age: nanos(MAX_AGE_MS),
    duplicate_window: nanos(DUPLICATE_WINDOW_MS),
  });
  return {
    pid: started.pid,
    connection,
    urlFor: (scheme) => (scheme === 'ws' ? started.websocketUrl : started.url),
    lastSequence: async () => (await manager.streams.info(STREAM)).state.last_seq,
    consumers: async () => (await manager.streams.info(STREAM)).state.consumer_count,
    stop: async () => {
      await connection.close();
      await stopChild(started.child);
      removeTemporaryDirectory(directory);
    },
  };
}

/** A loopback port that was free a moment ago. */
export async function findFreePort(): Promise<number> {
  const module = await loadModule();
  return module.findFreePort();
}

function loadModule(): Promise<NatsServerModule> {
  const location = new URL('../../adapters/local/nats-server.mjs', import.meta.url).href;
  loaded ??= import(location) as Promise<NatsServerModule>;
  return loaded;
}
