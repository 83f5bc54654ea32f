// Makes sure that a nats-server is there before any test file runs, and tells them where; and where this run's Worker is built.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Path of the nats-server binary. */
    natsServer: string;
    /** The folder of the bundled Worker, made by the first test that needs it. */
    workerBundle: string;
  }
}

// Through a variable, because adapters/ is another TypeScript project.
const location = new URL('../../adapters/local/nats-server.mjs', import.meta.url).href;

/** Called once by vitest; installing the broker for the first time may take a minute. Returns what cleans up. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { ensureNatsServer } = (await import(location)) as { ensureNatsServer: () => Promise<string> };
  project.provide('natsServer', await ensureNatsServer());
  const folder = await mkdtemp(join(tmpdir(), 'cellos-worker-'));
  project.provide('workerBundle', join(folder, 'bundle'));
  return () => rm(folder, { recursive: true, force: true });
}
