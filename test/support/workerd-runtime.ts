// One workerd with the Worker and its Durable Object in it. Sockets of clients reach workerd itself: `wrangler dev` would put a
// proxy of its own in front.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from 'miniflare';
import type { V4WorkerOptions } from 'miniflare';
import { workerBundle } from './worker-bundle.ts';

const SCRIPT = 'cellos-server';
const CLASS = 'ControlPlaneObject';
const OBJECT = { name: 'control-plane' };

// The package that brings the binary is miniflare's, not ours.
const { default: binary } = createRequire(createRequire(import.meta.url).resolve('miniflare'))('workerd') as {
  default: string;
};
process.env['CELLOS_TEST_WORKERD'] = binary;
process.env['MINIFLARE_WORKERD_PATH'] = fileURLToPath(new URL('workerd.sh', import.meta.url));

/** Calls what no request reaches. The platform keeps an object that is connected, so it has to let go before an eviction. */
const PRODDER = `export default {
  async fetch(request, { OBJECT }) {
    await OBJECT.getByName('${OBJECT.name}').leave();
    return new Response();
  },
};`;

export type Variables = Readonly<Record<string, string>>;

export interface RuntimeOptions {
  /** Where the bundle is, or is made. */
  readonly bundle: string;
  readonly host: string;
  readonly port: number;
  readonly variables: Variables;
  /** Where the object's storage is kept; without, it ends with the runtime. */
  readonly storage?: string | undefined;
  /** A line of the Worker's console, or of the runtime itself. */
  readonly onLine: (line: string, level: string) => void;
}

export class WorkerdRuntime {
  readonly #miniflare: Miniflare;

  private constructor(miniflare: Miniflare) {
    this.#miniflare = miniflare;
  }

  /** Resolves when it listens. */
  static async start(options: RuntimeOptions): Promise<WorkerdRuntime> {
    const { bundle, host, port, variables, storage, onLine } = options;
    const { folder, script, options: configured } = await workerBundle(bundle);
    const worker = {
      ...configured,
      name: SCRIPT,
      modules: true,
      scriptPath: script,
      // A module outside of its root cannot be loaded.
      modulesRoot: folder,
      bindings: { ...configured.bindings, ...variables },
      unsafeDirectSockets: [{ host, port }],
    } as V4WorkerOptions;
    const prodder = {
      name: 'prodder',
      modules: true,
      script: PRODDER,
      compatibilityDate: configured.compatibilityDate,
      durableObjects: { OBJECT: { className: CLASS, scriptName: SCRIPT, useSQLite: true } },
    } as V4WorkerOptions;
    const miniflare = new Miniflare(
      convertV4MiniflareOptions({
        workers: [worker, prodder],
        log: new Log(LogLevel.ERROR),
        cf: false,
        handleStructuredLogs: ({ level, message }) => onLine(message, level),
        unsafeInspectDurableObjects: true,
        ...(storage === undefined ? {} : { resourcePersistencePath: storage }),
      }),
    );
    try {
      await miniflare.ready;
    } catch (error) {
      await miniflare.dispose();
      throw error;
    }
    return new WorkerdRuntime(miniflare);
  }

  /** Takes the object from memory; its sockets stay open and wake it, or are closed. */
  async evict(webSockets: 'hibernate' | 'close'): Promise<void> {
    // Its type is that of @cloudflare/workers-types, which are not installed.
    const prodder = (await this.#miniflare.getWorker('prodder')) as unknown as { fetch: typeof fetch };
    await (await prodder.fetch('http://prodder/')).arrayBuffer();
    await this.#miniflare.unsafeEvictDurableObject(SCRIPT, CLASS, { ...OBJECT, webSockets });
  }

  /** Runs in the object, which is started when it is not running. */
  async sql(query: string, ...bindings: unknown[]): Promise<Record<string, unknown>[]> {
    const storage = await this.#miniflare.unsafeGetDurableObjectStorage(SCRIPT, CLASS, OBJECT);
    return storage.exec(query, ...bindings);
  }

  async stop(): Promise<void> {
    await this.#miniflare.dispose();
  }
}
