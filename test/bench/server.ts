// Owns one started server: its environment, when it counts as ready, what it used, how it ends.
// A Worker is the same from outside; only its process and the moment that counts as its start are others.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePort } from './broker.ts';
import type { Broker } from './broker.ts';
import { requestOnce } from './http-connection.ts';
import type { Address, TimedResponse } from './http-connection.ts';
import type { Target } from './options.ts';
import { createTemporaryDirectory, removeTemporaryDirectory, stopChild, trackChild } from './processes.ts';
import { monotonicMs, readMemoryMib, readPeakMemoryMib } from './usage.ts';
import { findWorkerd, workerdEnvironment } from './workerd.ts';

const TOKEN = 'bench-token';

const HOST = '127.0.0.1';
const READY_TIMEOUT_MS = 60_000;
const LOG_TIMEOUT_MS = 30_000;
const LOG_POLL_MS = 50;
const NEVER_IDLE_SECONDS = '86400';
const POLL_MS = 2;
const LISTEN_POLL_MS = 20;
const LOG_TAIL_CHARACTERS = 400;

/** What sets one start of a server apart from others. */
export interface Life {
  /** Beside the token and the broker. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Where a Worker's storage is; without, it ends with the server. */
  readonly storage?: string;
}

/** A server that answers with the whole stream projected. */
export class Server {
  readonly address: Address;
  /** From the start of the process, of a Worker from the first request to it, to the first answer that held everything. */
  readyMs = 0;
  readonly #child: ChildProcess;
  readonly #directory: string;
  #spawnError: Error | null = null;
  #pid: number;

  private constructor(target: Target, brokerUrl: string, port: number, life: Life) {
    this.address = { host: HOST, port, token: TOKEN };
    this.#directory = createTemporaryDirectory();
    const log = openSync(this.#logFile, 'a');
    const [program, ...args] = target.command;
    const variables = {
      CELLOS_SERVER_API_TOKEN: TOKEN,
      CELLOS_NATS_URL: brokerUrl,
      RUST_LOG: 'warn',
      ...life.variables,
    };
    const settings =
      target.kind === 'process'
        ? { ...variables, CELLOS_SERVER_BIND: `${HOST}:${port}` }
        : workerdEnvironment({
            host: HOST,
            port,
            variables: { CELLOS_SERVER_IDLE_SECONDS: NEVER_IDLE_SECONDS, ...variables },
            storage: life.storage ?? join(this.#directory, 'storage'),
          });
    this.#child = trackChild(
      spawn(program, args, { stdio: ['ignore', log, log], env: { ...inheritedEnvironment(), ...settings } }),
    );
    this.#pid = this.#child.pid ?? 0;
    this.#child.once('error', (error) => (this.#spawnError = error));
    closeSync(log);
  }

  /** Starts the target on a free port and waits until its projection has reached the stream's last sequence. */
  static async start(target: Target, broker: Broker, life: Life = {}): Promise<Server> {
    const port = await findFreePort();
    const lastSequence = await broker.lastSequence();
    let startedAt = monotonicMs();
    const server = new Server(target, broker.urlFor(target.scheme), port, life);
    try {
      if (target.kind === 'worker') {
        await whenListening(server);
        server.#pid = findWorkerd(server.#pid) ?? 0;
        startedAt = monotonicMs();
      }
      server.readyMs = (await whenReady(server, lastSequence)) - startedAt;
      return server;
    } catch (error) {
      const end = server.describeEnd();
      await server.stop();
      throw end === null ? error : new Error(end, { cause: error });
    }
  }

  /** The process that does the work: of a Worker the runtime, not what started it. */
  get pid(): number {
    return this.#pid;
  }

  /** How the process ended although nobody stopped it, with the end of its log; null while it runs. */
  describeEnd(): string | null {
    const { exitCode, signalCode } = this.#child;
    if (this.#spawnError !== null) return `the server did not start: ${this.#spawnError.message}`;
    if (exitCode === null && signalCode === null) return null;
    const how = signalCode === null ? `exit code ${exitCode}` : `signal ${signalCode}`;
    const tail = readFileSync(this.#logFile, 'utf8').trim().slice(-LOG_TAIL_CHARACTERS);
    return `the server ended in the middle of its run (${how})${tail === '' ? '' : `; its log ends: ${tail}`}`;
  }

  peakMemoryMib(): number | null {
    return readPeakMemoryMib(this.pid);
  }

  memoryMib(): number | null {
    return readMemoryMib(this.pid);
  }

  /** Resolves when a line of the server's log matches. */
  async whenLogged(line: RegExp): Promise<void> {
    const deadline = monotonicMs() + LOG_TIMEOUT_MS;
    while (!this.hasLogged(line)) {
      if (monotonicMs() > deadline)
        throw new Error(`nothing logged like ${line} in ${LOG_TIMEOUT_MS / 1_000} s`);
      await sleep(LOG_POLL_MS);
    }
  }

  hasLogged(line: RegExp): boolean {
    return line.test(readFileSync(this.#logFile, 'utf8'));
  }

  async getJson(path: string): Promise<unknown> {
    const response = await requestOnce(this.address, path);
    if (response.status !== 200) throw new Error(`GET ${path} answered ${response.status}`);
    return JSON.parse(response.body.toString('utf8'));
  }

  async stop(): Promise<void> {
    if (this.#spawnError === null) await stopChild(this.#child);
    removeTemporaryDirectory(this.#directory);
  }

  get #logFile(): string {
    return join(this.#directory, 'server.log');
  }
}

// A connection that asks for nothing wakes no object.
async function whenListening(server: Server): Promise<void> {
  const deadline = monotonicMs() + READY_TIMEOUT_MS;
  while (!(await canConnect(server.address))) {
    if (server.describeEnd() !== null) throw new Error('exited before it listened');
    if (monotonicMs() > deadline) throw new Error(`not listening after ${READY_TIMEOUT_MS / 1_000} s`);
    await sleep(LISTEN_POLL_MS);
  }
}

function canConnect({ host, port }: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

// Ready is the moment the answer's head arrives: reading and parsing a long list is the bench's time.
async function whenReady(server: Server, lastSequence: number): Promise<number> {
  const deadline = monotonicMs() + READY_TIMEOUT_MS;
  let last = 'no connection';
  while (monotonicMs() < deadline) {
    if (server.describeEnd() !== null) throw new Error('exited before it was ready');
    try {
      const response = await requestOnce(server.address, '/v1/formations');
      last = `status ${response.status}`;
      if (response.status === 200) {
        const cursor = readCursor(response);
        if (cursor === lastSequence) return response.headAt;
        last = `cursor ${cursor} of ${lastSequence}`;
      }
    } catch (error) {
      // A closed port is how the original says "not yet".
      last = error instanceof Error ? error.message : String(error);
    }
    await sleep(POLL_MS);
  }
  throw new Error(`not ready after ${READY_TIMEOUT_MS / 1_000} s: ${last}`);
}

function readCursor(response: TimedResponse): unknown {
  return (JSON.parse(response.body.toString('utf8')) as { cursor?: unknown }).cursor;
}

// Settings of the shell the bench was started from must not tell the two sides apart.
function inheritedEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(CELLOS_|RUST_|NODE_OPTIONS|LOG_LEVEL)/.test(name)),
  );
}
