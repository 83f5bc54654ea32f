// A server under test as a process of its own: what a runtime has to offer (Target), and how a suite gets one.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, onTestFailed } from 'vitest';
import type { TestContext } from 'vitest';
import { FeedClient } from './feed-client.ts';
import type { FeedOptions } from './feed-client.ts';
import { HttpClient } from './http-client.ts';
import { Broker, findFreePort } from './nats-server.ts';
import { until, within } from './wait.ts';

/** Not a word of it may show up in a log; the characters are those a token may have. */
export const TOKEN = 'Test-token_0123456789.~+/=';
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 6000;
const LOG_TAIL_CHARACTERS = 4000;

export type Environment = Readonly<Record<string, string>>;

/** A runtime: how a server of it is started. The port of `CELLOS_SERVER_BIND` is free and the suite's choice. */
export interface Target {
  readonly name: string;
  /** What feed clients of the suites have to know of it. */
  readonly feed?: FeedOptions;
  /** The header that says where a request comes from, where it is not the connection that does. */
  readonly addressHeader?: string;
  spawn(environment: Environment): ChildProcess;
}

/** What a runtime can do: true, or the reason why not, which a skipped test prints. */
export type Capability = true | string;

export interface Capabilities {
  /** Sends protocol pings by itself. */
  readonly pings: Capability;
  /** Answers what its HTTP parser refuses with a problem. */
  readonly parserErrors: Capability;
  /** The same for what is no HTTP at all. */
  readonly noHttp: Capability;
  /** Ends the connection of a session that it closes. */
  readonly endsConnections: Capability;
  /** Ends a session at every frame that RFC 6455 forbids. */
  readonly strictFrames: Capability;
  /** Ends it at one that is not masked. */
  readonly maskedFrames: Capability;
  /** Says 1002 before it does. */
  readonly explainsFrames: Capability;
}

/** Skips the test where the runtime cannot do what it is about, and says so in every reporter's output. */
export function requireCapability(context: TestContext, capability: Capability): void {
  if (capability === true) return;
  console.info(`skipped: ${context.task.name} (${capability})`);
  context.skip(capability);
}

/** A runtime that is a command line, run in the root folder. */
export function commandTarget(name: string, command: string, args: readonly string[]): Target {
  return {
    name,
    spawn: (environment) =>
      spawn(command, args, {
        cwd: ROOT,
        // Settings of the shell must not change what is tested.
        env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
  };
}

/** `node adapters/node.ts`, by the Node that runs the tests. */
export const nodeTarget = commandTarget('node', process.execPath, ['adapters/node.ts']);

const running = new Set<ServerProcess>();
// A test that fails leaves its server behind; the file's end takes it away.
afterAll(async () => {
  await Promise.all([...running].map((server) => server.stop('SIGKILL')));
});

/** A process that was started and may be ready. */
export class ServerProcess {
  readonly http: HttpClient;
  readonly child: ChildProcess;
  readonly #feed: FeedOptions;
  #stdout = '';
  #stderr = '';

  constructor(child: ChildProcess, port: number, token: string, feed: FeedOptions = {}) {
    this.child = child;
    this.#feed = feed;
    this.http = new HttpClient('127.0.0.1', port, token);
    running.add(this);
    child.once('exit', () => running.delete(this));
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
  }

  /** Starts a server, on a free port unless one is named; resolves at once, whatever becomes of it. */
  static async spawn(target: Target, environment: Environment, at?: number): Promise<ServerProcess> {
    const port = at ?? (await findFreePort());
    const child = target.spawn({
      CELLOS_SERVER_BIND: `127.0.0.1:${port}`,
      CELLOS_SERVER_API_TOKEN: TOKEN,
      ...environment,
    });
    const token = environment['CELLOS_SERVER_API_TOKEN']?.trim() ?? TOKEN;
    return new ServerProcess(child, port, token, target.feed);
  }

  /** Starts a server and waits until it answers requests with something else than 503. */
  static async start(target: Target, environment: Environment, at?: number): Promise<ServerProcess> {
    const server = await ServerProcess.spawn(target, environment, at);
    try {
      await server.whenReady();
    } catch (error) {
      await server.stop('SIGKILL');
      throw new Error(`${target.name} did not start: ${server.log}`, { cause: error });
    }
    return server;
  }

  get port(): number {
    return this.http.port;
  }

  /** Everything it said on both outputs. */
  get log(): string {
    return this.#stdout + this.#stderr;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** How many of its log lines are of level WARN. */
  get warnings(): number {
    return this.log.split('\n').filter((line) => /"level":\s*"warn"/i.test(line)).length;
  }

  get hasExited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  async whenReady(timeoutMs = START_TIMEOUT_MS): Promise<void> {
    await until(
      async () => {
        // A process that ended will never be ready: no need to wait for it.
        if (this.hasExited) return true;
        const reply = await this.http.get('/v1/version');
        return reply.status !== 503;
      },
      { what: 'the server to answer', timeoutMs },
    );
    if (this.hasExited) throw new Error(`it ended with ${this.child.exitCode ?? this.child.signalCode}`);
  }

  /** The exit code, null after a signal. */
  async whenExited(timeoutMs = STOP_TIMEOUT_MS): Promise<number | null> {
    if (!this.hasExited) await within(timeoutMs, 'the process to end', once(this.child, 'exit'));
    // The outputs may still hold lines when the process is gone.
    if (!this.child.stderr?.closed)
      await Promise.race([once(this.child, 'close'), until(() => false, QUICK).catch(() => {})]);
    return this.child.exitCode;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.hasExited) return;
    this.child.kill(signal);
    await this.whenExited().catch(async () => {
      this.child.kill('SIGKILL');
      await this.whenExited();
    });
  }

  feed(options: FeedOptions = {}): Promise<FeedClient> {
    return FeedClient.open(this.port, this.http.token, { ...this.#feed, ...options });
  }
}

const QUICK = { what: 'the outputs to end', timeoutMs: 500 };

/** What the tests ask a server, however it was started. */
export interface TestServer {
  readonly http: HttpClient;
  readonly log: string;
  feed(options?: FeedOptions): Promise<FeedClient>;
}

/** What the tests of a suite share: a broker, a server on it, and shorthands for both. */
export class Rig<Server extends TestServer = ServerProcess> {
  readonly broker: Broker;
  readonly server: Server;

  constructor(broker: Broker, server: Server) {
    this.broker = broker;
    this.server = server;
  }

  get http(): HttpClient {
    return this.server.http;
  }

  /** Publishes straight to the log, in order, and waits until the projection has it; returns the last sequence. */
  async publish(...payloads: unknown[]): Promise<number> {
    const last = await this.broker.publishAll(payloads);
    await this.whenApplied(last);
    return last;
  }

  /** Until the projection's cursor has reached a sequence; by default the log's last one. */
  async whenApplied(sequence?: number, timeoutMs?: number): Promise<void> {
    const target = sequence ?? (await this.broker.lastSequence());
    await until(async () => (await this.snapshot()).cursor >= target, {
      what: `the cursor to reach ${target}`,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
  }

  snapshot(): Promise<Snapshot> {
    return this.http.read<Snapshot>('/v1/formations');
  }
}

export interface Snapshot {
  readonly formations: Record<string, unknown>[];
  readonly cursor: number;
  readonly epoch: string | null;
}

/**
 * Gives the tests around a broker and a server of their own, started once and stopped at the end; what the server said
 * is printed when one of them fails. With `websocket: false` the server connects to the TCP listener.
 */
export function useRig(target: Target, environment: Environment = {}): () => Rig {
  let rig: Rig | undefined;
  beforeAll(async () => {
    const broker = await Broker.start();
    const server = await ServerProcess.start(target, {
      CELLOS_NATS_URL: broker.websocketUrl,
      ...environment,
    });
    rig = new Rig(broker, server);
  });
  afterEach((context) => {
    if (context.task.result?.state === 'fail') reportLog(rig?.server);
  });
  afterAll(async () => {
    await rig?.server.stop();
    await rig?.broker.stop();
  });
  return () => {
    if (!rig) throw new Error('the server is not started yet');
    return rig;
  };
}

/** For a test that starts its own servers: prints their logs when it fails. */
export function reportOnFailure(...servers: readonly TestServer[]): void {
  onTestFailed(() => servers.forEach(reportLog));
}

function reportLog(server: TestServer | undefined): void {
  if (server) console.error(`the server's log ends:\n${server.log.slice(-LOG_TAIL_CHARACTERS)}`);
}

/** Whether anybody accepts connections on a port of 127.0.0.1. */
export async function isListening(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
