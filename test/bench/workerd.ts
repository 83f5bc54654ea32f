// Owns the Worker as something to measure: its bundle, made once before anything is timed, how a workerd of its own is told what
// it is given, and which process is workerd's.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { workerBundle } from '../support/worker-bundle.ts';
import type { RuntimeOptions } from '../support/workerd-runtime.ts';
import { createTemporaryDirectory } from './processes.ts';

/** What starts a workerd without a proxy in front; on SIGTERM both end. */
export const WORKERD_MAIN = fileURLToPath(new URL('../support/workerd-main.ts', import.meta.url));

let directory: string | null = null;

/** Bundles the Worker as a deployment would. */
export async function prepareWorker(): Promise<void> {
  await workerBundle(bundleFolder());
}

/** The environment of WORKERD_MAIN: what the Worker is given is not the process's. */
export function workerdEnvironment(settings: Omit<RuntimeOptions, 'bundle' | 'onLine'>): NodeJS.ProcessEnv {
  const bundle = bundleFolder();
  return {
    CELLOS_TEST_SETTINGS: JSON.stringify({ ...settings, bundle }),
    // Compiling miniflare takes half of the start.
    NODE_COMPILE_CACHE: join(bundle, '../compiled'),
  };
}

/** The workerd that the process started; null where there is no /proc, or no workerd. */
export function findWorkerd(parent: number): number | null {
  try {
    const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ');
    const found = children.find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'workerd');
    return found === undefined ? null : Number(found);
  } catch {
    return null;
  }
}

function bundleFolder(): string {
  directory ??= createTemporaryDirectory();
  return join(directory, 'bundle');
}
