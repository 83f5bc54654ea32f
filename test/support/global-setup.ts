// Makes sure that a nats-server is there before any test file runs, and tells them where.
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Path of the nats-server binary. */
    natsServer: string;
  }
}

// Through a variable, because adapters/ is another TypeScript project.
const location = new URL('../../adapters/local/nats-server.mjs', import.meta.url).href;

/** Called once by vitest; installing the broker for the first time may take a minute. */
export default async function setup(project: TestProject): Promise<void> {
  const { ensureNatsServer } = (await import(location)) as { ensureNatsServer: () => Promise<string> };
  project.provide('natsServer', await ensureNatsServer());
}
