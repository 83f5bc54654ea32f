// Makes sure that a nats-server is there before any test file runs, and tells them where; where this run's Worker
// is built, and what is said once more at its end.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Path of the nats-server binary. */
    natsServer: string;
    /** The folder of the bundled Worker, made by the first test that needs it. */
    workerBundle: string;
    /** A file for lines that are to be seen at the end of the run. */
    notices: string;
  }
}

// Through a variable, because adapters/ is another TypeScript project.
const location = new URL('../../adapters/local/nats-server.mjs', import.meta.url).href;

const RULE = '='.repeat(100);

/** Called once by vitest; installing the broker for the first time may take a minute. Returns what cleans up. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { ensureNatsServer } = (await import(location)) as { ensureNatsServer: () => Promise<string> };
  project.provide('natsServer', await ensureNatsServer());
  const folder = await mkdtemp(join(tmpdir(), 'cellos-worker-'));
  project.provide('workerBundle', join(folder, 'bundle'));
  const notices = join(folder, 'notices');
  project.provide('notices', notices);
  return async () => {
    const lines = await readFile(notices, 'utf8').catch(() => '');
    if (lines !== '') console.warn(`\n${RULE}\n\n${lines}${RULE}`);
    await rm(folder, { recursive: true, force: true });
  };
}
