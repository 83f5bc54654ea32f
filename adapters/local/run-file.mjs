// .cellos/run.json: who runs `npm start` in this checkout, and where. It keeps a second run out, tells the demo and
// the follow client where to go, and lets the next run find what a killed one left behind.
import { readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { withLock } from './lock.mjs';
import { endProcess, runsWith } from './processes.mjs';
import { BROKER_DIRECTORY, DATA_DIRECTORY, PROJECT_DIRECTORY } from './project.mjs';

const RUN_FILE = join(DATA_DIRECTORY, 'run.json');
// What must be on a command line before a process is taken for ours.
const LOCAL_SCRIPT = 'adapters/local.mjs';
const SERVER_SCRIPT = join(PROJECT_DIRECTORY, 'adapters', 'node.ts');

const ignore = () => {};

/**
 * @typedef {object} Run
 * @property {number} pid The process of `npm start`.
 * @property {string} [url] The server's, once it is known.
 * @property {string} [natsUrl] The broker's websocket listener, or what CELLOS_NATS_URL named.
 * @property {number} [natsPid] Absent when the broker is somebody else's.
 * @property {number | undefined} [serverPid]
 */

/**
 * Makes this process the one run of this checkout, or returns the run that is there already. What a run that was
 * killed left behind is ended first.
 * @param {(line: string) => void} say
 * @returns {Promise<Run | undefined>} The other run; undefined when this process has it now.
 */
export async function claimRun(say) {
  // Of two runs that start at once and both find a dead one's file, only one may go on.
  return await withLock(join(DATA_DIRECTORY, 'run.lock'), ignore, async () => {
    const other = await readRun();
    if (other && (await runsWith(other.pid, LOCAL_SCRIPT))) return other;
    await endLeftovers(other, say);
    await writeRun({ pid: process.pid });
    return undefined;
  });
}

/**
 * Adds what has become known to the file of this process's run.
 * @param {Partial<Run>} facts
 */
export async function noteRun(facts) {
  await writeRun({ ...(await readRun()), ...facts, pid: process.pid });
}

/** Gives the checkout free for the next run. */
export async function releaseRun() {
  const run = await readRun();
  if (run?.pid === process.pid) await rm(RUN_FILE, { force: true });
}

/** The run that is recorded, dead or alive; undefined without one. */
export async function readRun() {
  try {
    const run = JSON.parse(await readFile(RUN_FILE, 'utf8'));
    return Number.isSafeInteger(run.pid) && run.pid > 0 ? /** @type {Run} */ (run) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Whole or not at all: clients read it at any time.
 * @param {Run} run
 */
async function writeRun(run) {
  const draft = `${RUN_FILE}.${process.pid}`;
  // For the owner only: CELLOS_NATS_URL may hold a password.
  await writeFile(draft, `${JSON.stringify(run, null, 2)}\n`, { mode: 0o600 });
  await rename(draft, RUN_FILE);
}

/**
 * Two brokers on one store would destroy it, so a broker of ours that outlived its run is ended before the next one
 * starts. It is looked for by the configuration file on its command line, never by its number alone.
 * @param {Run | undefined} run
 * @param {(line: string) => void} say
 */
async function endLeftovers(run, say) {
  const configuration = join(BROKER_DIRECTORY, 'nats-server.conf');
  const brokers = new Set([run?.natsPid, ...(await brokerPids())]);
  for (const [pids, text, name] of /** @type {const} */ ([
    [[run?.serverPid], SERVER_SCRIPT, 'server'],
    [brokers, configuration, 'nats-server'],
  ])) {
    for (const pid of pids) {
      if (!pid || !(await runsWith(pid, text))) continue;
      say(`A ${name} (process ${pid}) is left over from a run that was killed; ending it.`);
      await endProcess(pid);
    }
  }
}

/**
 * nats-server itself leaves a file named for its process in its folder, which covers a run that was killed before it
 * could note anything.
 */
async function brokerPids() {
  const entries = await readdir(BROKER_DIRECTORY).catch(() => []);
  return entries.map((entry) => Number(/_(\d+)\.ports$/.exec(entry)?.[1])).filter((pid) => pid > 0);
}
