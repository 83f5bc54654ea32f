// A lock between processes of this checkout, held as a folder: making one is atomic on every file system.
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { isAlive } from './processes.mjs';

const POLL_MS = 200;
/** Between making the folder and writing the owner into it there is a moment; longer than this is a crash. */
const NAMELESS_MS = 5_000;

/**
 * Runs `work` while no other process that uses the same folder does. `onWait` is told the owner's process id when
 * there is something to wait for. A lock whose owner is dead is taken over.
 * @template T
 * @param {string} folder
 * @param {(owner: number | undefined) => void} onWait
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(folder, onWait, work) {
  await mkdir(dirname(folder), { recursive: true });
  let told = false;
  while (!(await tryLock(folder))) {
    const owner = await readOwner(folder);
    if (await isStale(folder, owner)) {
      await takeAway(folder, owner);
      continue;
    }
    if (!told) onWait(owner);
    told = true;
    await delay(POLL_MS);
  }
  try {
    return await work();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @param {string} folder */
async function tryLock(folder) {
  try {
    await mkdir(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
  await writeFile(join(folder, 'pid'), String(process.pid));
  return true;
}

/** @param {string} folder */
async function readOwner(folder) {
  const text = await readFile(join(folder, 'pid'), 'utf8').catch(() => '');
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

/**
 * @param {string} folder
 * @param {number | undefined} owner
 */
async function isStale(folder, owner) {
  if (owner !== undefined) return !isAlive(owner);
  const made = await stat(folder).catch(() => undefined);
  return made !== undefined && Date.now() - made.mtimeMs > NAMELESS_MS;
}

/**
 * Of two processes that find the same dead owner, the slower one must not remove the lock that the faster one has
 * made in the meantime: it moves the folder aside first and looks whose it was.
 * @param {string} folder
 * @param {number | undefined} owner
 */
async function takeAway(folder, owner) {
  const aside = `${folder}.${process.pid}`;
  const moved = await rename(folder, aside).then(
    () => true,
    () => false,
  );
  if (!moved) return;
  if (
    (await readOwner(aside)) !== owner &&
    (await rename(aside, folder).then(
      () => true,
      () => false,
    ))
  )
    return;
  await rm(aside, { recursive: true, force: true });
}
