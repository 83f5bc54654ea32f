// The server on Cloudflare's runtime: as a process for the suites that run everywhere, and inside the test's own process where
// the Durable Object has to be reached behind the server's back.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, inject } from 'vitest';
import { FeedClient } from './feed-client.ts';
import type { FeedOptions } from './feed-client.ts';
import { HttpClient } from './http-client.ts';
import { findFreePort } from './nats-server.ts';
import { TOKEN } from './server-process.ts';
import type { Target, TestServer } from './server-process.ts';
import { until } from './wait.ts';
import { WorkerdRuntime } from './workerd-runtime.ts';
import type { RuntimeOptions, Variables } from './workerd-runtime.ts';

/** What the process is told besides the Worker's variables. */
export type WorkerdSettings = Omit<RuntimeOptions, 'onLine'>;

const MAIN = fileURLToPath(new URL('workerd-main.ts', import.meta.url));
const START_TIMEOUT_MS = 15_000;
/** workerd leaves the connection of a session that the object closed to the client, which would wait for 30 s. */
const FEED: FeedOptions = { closeTimeoutMs: 50 };

/**
 * The Worker in a workerd of its own. `CELLOS_TEST_STORAGE` names a folder that keeps the object's storage from one process to
 * the next; it and `CELLOS_SERVER_BIND` are not the Worker's.
 */
export const workerdTarget: Target = {
  name: 'workerd',
  feed: FEED,
  addressHeader: 'cf-connecting-ip',
  spawn({ CELLOS_SERVER_BIND: bind = '', CELLOS_TEST_STORAGE: storage, ...variables }) {
    const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(bind) ?? [];
    const bundle = inject('workerBundle');
    const settings: WorkerdSettings = { bundle, host, port: Number(port), variables, storage };
    return spawn(process.execPath, [MAIN], {
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        // Compiling miniflare takes half of the start.
        NODE_COMPILE_CACHE: join(bundle, '../compiled'),
        CELLOS_TEST_SETTINGS: JSON.stringify(settings),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  },
};

const running = new Set<Workerd>();
// A test that fails leaves its server behind; the file's end takes it away.
afterAll(async () => {
  await Promise.all([...running].map((server) => server.stop()));
});

/** A server whose object can be evicted and looked into, and that can be started again on the same storage and port. */
export class Workerd implements TestServer {
  readonly http: HttpClient;
  readonly #variables: Variables;
  readonly #folder: string;
  readonly #ownsFolder: boolean;
  readonly #lines: string[] = [];
  #runtime: WorkerdRuntime | null = null;

  private constructor(port: number, variables: Variables, folder: string, ownsFolder: boolean) {
    this.http = new HttpClient('127.0.0.1', port, variables['CELLOS_SERVER_API_TOKEN']?.trim() ?? TOKEN);
    this.#variables = variables;
    this.#folder = folder;
    this.#ownsFolder = ownsFolder;
  }

  /**
   * Resolves when it listens; `whenReady` waits for answers. Variables are those of the test alone, but for the token. A storage
   * of its own is removed at the end, one that is named is left.
   */
  static async start(
    options: { vars?: Readonly<Record<string, string | undefined>>; storage?: string } = {},
  ): Promise<Workerd> {
    const variables = Object.fromEntries(
      Object.entries({ CELLOS_SERVER_API_TOKEN: TOKEN, ...options.vars }).filter(
        (pair): pair is [string, string] => pair[1] !== undefined,
      ),
    );
    const folder = options.storage ?? (await mkdtemp(join(tmpdir(), 'cellos-workerd-')));
    const server = new Workerd(await findFreePort(), variables, folder, options.storage === undefined);
    running.add(server);
    await server.restart();
    return server;
  }

  get port(): number {
    return this.http.port;
  }

  get url(): string {
    return `http://${this.http.host}:${this.http.port}`;
  }

  /** The lines of the Worker's console so far, of earlier lives too. */
  get logs(): readonly string[] {
    return this.#lines;
  }

  /** The same as one text. */
  get log(): string {
    return this.#lines.join('\n');
  }

  /** Until it answers with something else than 503. */
  async whenReady(timeoutMs = START_TIMEOUT_MS): Promise<this> {
    await until(async () => (await this.http.get('/v1/version')).status !== 503, {
      what: `the server to answer: ${this.log}`,
      timeoutMs,
    });
    return this;
  }

  /** Ends the runtime without a word, if there is one, and starts another on the same storage, with other variables if given. */
  async restart(variables: Variables = this.#variables): Promise<void> {
    await this.#runtime?.stop();
    this.#runtime = null;
    this.#runtime = await WorkerdRuntime.start({
      bundle: inject('workerBundle'),
      host: this.http.host,
      port: this.http.port,
      variables: { ...this.#variables, ...variables },
      storage: this.#folder,
      onLine: (line) => this.#lines.push(line),
    });
  }

  /**
   * Takes the object from memory, after it has left the broker; its sockets stay open and wake it, or are closed. Rejects when it
   * still has timers, requests or connections of its own after 30 s.
   */
  evict({ webSockets }: { webSockets: 'hibernate' | 'close' }): Promise<void> {
    return this.#live.evict(webSockets);
  }

  /** A query in the object's own database; starts the object when it is not running. */
  sql(query: string, ...bindings: unknown[]): Promise<Record<string, unknown>[]> {
    return this.#live.sql(query, ...bindings);
  }

  feed(options: FeedOptions = {}): Promise<FeedClient> {
    return FeedClient.open(this.port, this.http.token, { ...FEED, ...options });
  }

  async stop(): Promise<void> {
    running.delete(this);
    await this.#runtime?.stop();
    this.#runtime = null;
    if (this.#ownsFolder) await rm(this.#folder, { recursive: true, force: true });
  }

  get #live(): WorkerdRuntime {
    if (this.#runtime === null) throw new Error('the server is stopped');
    return this.#runtime;
  }
}
