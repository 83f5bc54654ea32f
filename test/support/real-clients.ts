// The programs that the tests of test/clients drive: where they are found, and what is said when they are not there.
import { execFile } from 'node:child_process';
import { appendFile } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import type { TestContext } from 'vitest';

const CACHE = fileURLToPath(new URL('../../.cellos/bin', import.meta.url));
const VERSION_TIMEOUT_MS = 20_000;

/** A program that works here, or what is missing. */
export type RealClient =
  | { readonly found: true; readonly path: string }
  | { readonly found: false; readonly missing: Missing };

interface Missing {
  /** One line: what there is none of, and what was there instead. */
  readonly reason: string;
  readonly command: string;
  readonly variable: string;
}

/** `cellctl` in the version that the expectations are written for: CELLOS_TEST_CELLCTL, else PATH, else .cellos/bin. */
export function findCellctl(): Promise<RealClient> {
  return find({
    what: 'cellctl 0.5.6',
    variable: 'CELLOS_TEST_CELLCTL',
    names: ['cellctl'],
    accepts: /^cellctl 0\.5\.6$/m,
    command: 'cargo install --locked cellos-ctl --version 0.5.6',
  });
}

/** A Chromium of any recent version: CELLOS_TEST_CHROMIUM, else the usual names on PATH. */
export function findChromium(): Promise<RealClient> {
  return find({
    what: 'Chromium',
    variable: 'CELLOS_TEST_CHROMIUM',
    names: ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'],
    accepts: /^(?:Chromium|Google Chrome) \d+/m,
    command: 'apt-get install chromium',
  });
}

/**
 * Skips the test when a program is missing, and says so now and again at the end of the run; an error when
 * CELLOS_CI_CLIENTS=1 asks for these tests.
 */
export async function requireClients(context: TestContext, ...clients: readonly RealClient[]): Promise<void> {
  const missing = clients.flatMap((client) => (client.found ? [] : [client.missing]));
  if (missing.length === 0) return;
  const reasons = missing.map(({ reason }) => reason).join('; ');
  if (process.env['CELLOS_CI_CLIENTS'] === '1')
    throw new Error(`CELLOS_CI_CLIENTS=1 asks for it, but ${reasons}`);
  const lines = missing.flatMap(({ reason, command, variable }) => [
    `  ${reason}`,
    `    get it:   ${command}`,
    `    name it:  ${variable}=/path/to/it`,
  ]);
  const subject = context.task.name.replace(/^\S+ /, '');
  const notice = [
    `NOT TESTED, skipped: ${subject}`,
    ...lines,
    '    CELLOS_CI_CLIENTS=1 .ci/run gets it, and fails without it',
    '',
  ].join('\n');
  console.warn(notice);
  await appendFile(inject('notices'), `${notice}\n`);
  context.skip(reasons);
}

interface Wanted {
  readonly what: string;
  readonly variable: string;
  readonly names: readonly string[];
  /** What `--version` has to say. */
  readonly accepts: RegExp;
  readonly command: string;
}

async function find({ what, variable, names, accepts, command }: Wanted): Promise<RealClient> {
  const named = process.env[variable];
  const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''), CACHE];
  // Who names a program wants that one and no other.
  const candidates = named
    ? [resolve(named)]
    : names.flatMap((name) => folders.map((folder) => join(folder, name)));
  const others: string[] = [];
  for (const path of candidates) {
    const version = await versionOf(path);
    if (version !== null && accepts.test(version)) return { found: true, path };
    if (version !== null) others.push(`${path} says ${JSON.stringify(version.slice(0, 60))}`);
  }
  const where = named ? `${variable}=${named} is no ${what}` : `there is no ${what}`;
  const instead = others.length > 0 ? ` (${others.join(', ')})` : '';
  return { found: false, missing: { reason: where + instead, command, variable } };
}

async function versionOf(path: string): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], { timeout: VERSION_TIMEOUT_MS });
    return stdout.trim();
  } catch {
    return null;
  }
}
