// One broker for the tests that run inside workerd, which can start no process themselves.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

interface NatsServerModule {
  ensureNatsServer(): Promise<string>;
  startNatsServer(options: {
    binary: string;
    directory: string;
  }): Promise<{ websocketUrl: string; stop(signal: NodeJS.Signals): Promise<void> }>;
}

declare module 'vitest' {
  interface ProvidedContext {
    /** The broker's websocket listener. */
    natsUrl: string;
  }
}

// Through a variable, because adapters/ is another TypeScript project.
const location = new URL('../../adapters/local/nats-server.mjs', import.meta.url).href;

/** Called once by vitest; returns what stops the broker. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { ensureNatsServer, startNatsServer } = (await import(location)) as NatsServerModule;
  const directory = await mkdtemp(join(tmpdir(), 'cellos-nats-'));
  const server = await startNatsServer({ binary: await ensureNatsServer(), directory });
  project.provide('natsUrl', server.websocketUrl);
  return async () => {
    await server.stop('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  };
}
