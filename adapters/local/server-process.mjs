// The server, adapters/node.ts, as a child of `npm start`: started, awaited, stopped.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { PROJECT_DIRECTORY } from './project.mjs';

const STOP_TIMEOUT_MS = 5_000;
const POLL_MS = 25;
const REQUEST_TIMEOUT_MS = 2_000;
const PATIENCE_MS = 10_000;
/** Node runs TypeScript sources by itself from this version on. */
const RUNTIME_MAJOR = 24;
const LAST_LINES = 12;

/**
 * Starts the server with `environment` on top of this process's own. Its output goes to this process's, and its last
 * lines are remembered.
 * @param {Record<string, string>} environment
 */
export function startServer(environment) {
  const child = spawn(runtime(), [join(PROJECT_DIRECTORY, 'adapters', 'node.ts')], {
    cwd: PROJECT_DIRECTORY,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    // In a process group of its own: Ctrl-C reaches the whole group of the terminal, and the order in which things
    // end is for us to decide.
    detached: true,
  });
  /** @type {string[]} */
  let lastLines = [];
  for (const [from, to] of /** @type {const} */ ([
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ]))
    from.on('data', (chunk) => {
      to.write(chunk);
      lastLines = [...lastLines, ...String(chunk).trimEnd().split('\n')].slice(-LAST_LINES);
    });
  /** @type {Promise<string>} */
  const gone = new Promise((done) => {
    child.once('error', (error) => done(error.message));
    // `close` comes after the last output, `exit` may come before it.
    child.once('close', (code, signal) => done(signal ? `signal ${signal}` : `exit code ${code}`));
  });

  return {
    pid: child.pid,
    /** Resolves with the reason when the process has ended. */
    gone,
    /** What it printed last. */
    lastLines: () => lastLines.join('\n'),
    /** SIGTERM, and SIGKILL after 5 s; resolves when it is gone. */
    stop: async () => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await gone.finally(() => clearTimeout(timer));
    },
  };
}

/**
 * Resolves to true when the server answers an authorised request with 200, to false when `signal` fires first.
 * @param {string} url
 * @param {string} token
 * @param {AbortSignal} signal
 * @param {(line: string) => void} say
 */
export async function whenServing(url, token, signal, say) {
  let patience = Date.now() + PATIENCE_MS;
  // No limit of its own: a long event log takes long to replay, and whoever waits sees it and has Ctrl-C.
  while (!signal.aborted) {
    if (await isServing(url, token)) return true;
    if (Date.now() > patience) {
      say('The server is still starting (it answers once it has replayed the event log) …');
      patience = Date.now() + PATIENCE_MS;
    }
    await delay(POLL_MS);
  }
  return false;
}

/**
 * @param {string} url
 * @param {string} token
 */
async function isServing(url, token) {
  try {
    const response = await fetch(`${url}/v1/version`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}

/** npm puts the project's own Node 24 first on PATH; whoever starts this script directly may be on an older one. */
export function runtime() {
  const major = Number(process.versions.node.split('.')[0]);
  return major >= RUNTIME_MAJOR ? process.execPath : join(PROJECT_DIRECTORY, 'node_modules', '.bin', 'node');
}
