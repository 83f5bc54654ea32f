// Owns one started server: its environment, when it counts as ready, what it used, how it ends.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePort } from './broker.ts';
import type { Broker } from './broker.ts';
import { requestOnce } from './http-connection.ts';
import type { Address, TimedResponse } from './http-connection.ts';
import type { Target } from './options.ts';
import { createTemporaryDirectory, removeTemporaryDirectory, stopChild, trackChild } from './processes.ts';
import { monotonicMs, readPeakMemoryMib } from './usage.ts';

const TOKEN = 'bench-token';

const HOST = '127.0.0.1';
const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 2;
const LOG_TAIL_CHARACTERS = 400;

/** A server that answers with the whole stream projected. */
export class Server {
  readonly address: Address;
  /** Process start to the first answer that held everything. */
  readyMs = 0;
  readonly #child: ChildProcess;
  readonly #directory: string;
  #spawnError: Error | null = null;

  private constructor(target: Target, brokerUrl: string, port: number) {
    this.address = { host: HOST, port, token: TOKEN };
    this.#directory = createTemporaryDirectory();
    const log = openSync(this.#logFile, 'a');
    const [program, ...args] = target.command;
    const settings = {
      CELLOS_SERVER_BIND: `${HOST}:${port}`,
      CELLOS_SERVER_API_TOKEN: TOKEN,
      CELLOS_NATS_URL: brokerUrl,
      RUST_LOG: 'warn',
    };
    this.#child = trackChild(
      spawn(program, args, { stdio: ['ignore', log, log], env: { ...inheritedEnvironment(), ...settings } }),
    );
    this.#child.once('error', (error) => (this.#spawnError = error));
    closeSync(log);
  }

  /** Starts the target on a free port and waits until its projection has reached the stream's last sequence. */
  static async start(target: Target, broker: Broker): Promise<Server> {
    const port = await findFreePort();
    const lastSequence = await broker.lastSequence();
    const startedAt = monotonicMs();
    const server = new Server(target, broker.urlFor(target.scheme), port);
    try {
      server.readyMs = (await whenReady(server, lastSequence)) - startedAt;
      return server;
    } catch (error) {
      const end = server.describeEnd();
      await server.stop();
      throw end === null ? error : new Error(end, { cause: error });
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
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
