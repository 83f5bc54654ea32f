// Processes that this one did not start, or not in this run: are they alive, what are they, end them.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

const STOP_TIMEOUT_MS = 5_000;
const KILL_TIMEOUT_MS = 2_000;
const POLL_MS = 20;

/**
 * Whether a process has this id now; it may be another one than expected, ids repeat.
 * @param {number} pid
 */
export function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process is one all the same.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/**
 * Whether the process runs with this text in its command line. Ids repeat, also after a reboot, so nothing is ended
 * on the strength of a number in a file.
 * @param {number} pid
 * @param {string} text
 */
export async function runsWith(pid, text) {
  return isAlive(pid) && (await commandLine(pid)).includes(text);
}

/**
 * SIGTERM, and SIGKILL when it is still there after 5 s. Resolves when it is gone.
 * @param {number} pid
 */
export async function endProcess(pid) {
  for (const [signal, timeout] of /** @type {const} */ ([
    ['SIGTERM', STOP_TIMEOUT_MS],
    ['SIGKILL', KILL_TIMEOUT_MS],
  ])) {
    const deadline = Date.now() + timeout;
    try {
      process.kill(pid, signal);
    } catch {
      return;
    }
    while (Date.now() < deadline) {
      if (!(await isRunning(pid))) return;
      await delay(POLL_MS);
    }
  }
}

/**
 * A process that ended but that nobody has waited for keeps its id, with an empty command line (containers without
 * an init process are full of them).
 * @param {number} pid
 */
async function isRunning(pid) {
  return isAlive(pid) && (await commandLine(pid)) !== '';
}

/**
 * @param {number} pid
 * @returns {Promise<string>} Arguments separated by spaces; empty when it cannot be told.
 */
async function commandLine(pid) {
  if (process.platform === 'linux') {
    const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return text.replaceAll('\0', ' ').trim();
  }
  return await new Promise((done) => {
    execFile('ps', ['-ww', '-o', 'command=', '-p', String(pid)], (_error, output) => {
      done(output.includes('<defunct>') ? '' : output.trim());
    });
  });
}
