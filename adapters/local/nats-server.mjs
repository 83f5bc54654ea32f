// A real nats-server for development, tests and benchmarks: found or installed (nats-install.mjs), configured,
// started, awaited and stopped. Built-in modules only, Node 20.
import { spawn } from 'node:child_process';
import { mkdir, open, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { answers } from './ports.mjs';

export { ensureNatsServer } from './nats-install.mjs';
export { findFreePort } from './ports.mjs';

const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 5_000;
const POLL_MS = 15;
const LAST_LINES = 12;

/**
 * @typedef {object} NatsServerOptions
 * @property {string} binary What `ensureNatsServer` returned.
 * @property {string} directory Gets the configuration, the log and the store; made when missing. Starting again in
 *   the same folder finds the streams of the run before.
 * @property {string} [host] Where both listeners are; default 127.0.0.1.
 * @property {number} [port] The TCP listener; 0, the default, lets nats-server choose a free one.
 * @property {number} [websocketPort] The websocket listener; 0, the default, likewise.
 * @property {boolean} [detached] In a process group of its own, out of a terminal's Ctrl-C; default false.
 * @property {string} [extraConfig] Appended to the configuration as it is.
 * @property {(code: number | null, signal: NodeJS.Signals | null) => void} [onExit] Called once, at every end after
 *   a successful start, an intended one too.
 */

/**
 * @typedef {object} NatsServer
 * @property {import('node:child_process').ChildProcess} child
 * @property {number} pid
 * @property {number} port
 * @property {number} websocketPort
 * @property {string} url `nats://host:port`
 * @property {string} websocketUrl `ws://host:port`
 * @property {string} directory
 * @property {(signal?: NodeJS.Signals) => Promise<void>} stop Default SIGTERM, and SIGKILL when that takes longer than
 *   5 s. Resolves when the process is gone, at once when it was gone before.
 */

/**
 * Starts nats-server with JetStream, a TCP and a websocket listener, and resolves when both answer. Rejects, with
 * the end of the log, when it ends before that or takes longer than 10 s.
 * @param {NatsServerOptions} options
 * @returns {Promise<NatsServer>}
 */
export async function startNatsServer({
  binary,
  directory,
  host = '127.0.0.1',
  port = 0,
  websocketPort = 0,
  detached = false,
  extraConfig = '',
  onExit,
}) {
  const folder = resolve(directory);
  const configFile = join(folder, 'nats-server.conf');
  const logFile = join(folder, 'nats-server.log');
  await mkdir(folder, { recursive: true });
  await removePortsFiles(folder);
  await writeFile(configFile, configuration({ folder, host, port, websocketPort, extraConfig }));

  const log = await open(logFile, 'w');
  const child = spawn(binary, ['--config', configFile], { stdio: ['ignore', log.fd, log.fd], detached });
  /** @type {Promise<string>} */
  const gone = new Promise((done) => {
    child.once('error', (error) => done(error.message));
    child.once('exit', (code, signal) => done(signal ? `signal ${signal}` : `exit code ${code}`));
  });
  await log.close();

  const waiting = new AbortController();
  const started = await Promise.race([
    whenListening(child.pid, folder, host, waiting.signal),
    gone.then((why) => ({ failed: `ended at once (${why})` })),
  ]).finally(() => waiting.abort());
  if ('failed' in started) {
    child.kill('SIGKILL');
    const lines = await readLastLines(logFile);
    const end = lines === '' ? ' Its log is empty.' : ` The end of its log, ${logFile}:\n${lines}`;
    throw new Error(`nats-server ${started.failed}.${end}`);
  }
  if (onExit) {
    if (child.exitCode === null && child.signalCode === null) child.once('exit', onExit);
    else onExit(child.exitCode, child.signalCode);
  }

  return {
    child,
    pid: /** @type {number} */ (child.pid),
    ...started,
    url: `nats://${host}:${started.port}`,
    websocketUrl: `ws://${host}:${started.websocketPort}`,
    directory: folder,
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await gone.finally(() => clearTimeout(timer));
    },
  };
}

/**
 * The last lines of a log file, for a message about a process that ended; empty when there are none.
 * @param {string} file
 */
export async function readLastLines(file, count = LAST_LINES) {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-count).join('\n');
}

/** @param {{ folder: string, host: string, port: number, websocketPort: number, extraConfig: string }} settings */
function configuration({ folder, host, port, websocketPort, extraConfig }) {
  // -1 is nats-server's "any free port": it holds the port from the moment it knows it, so that two test runs never
  // race for one that was free a moment ago. It then tells the numbers in a file of ports_file_dir.
  return `# Written at every start by adapters/local/nats-server.mjs; changes are lost.
listen: ${JSON.stringify(`${host}:${port === 0 ? -1 : port}`)}
ports_file_dir: ${JSON.stringify(folder)}
jetstream {
  store_dir: ${JSON.stringify(join(folder, 'store'))}
}
websocket {
  listen: ${JSON.stringify(`${host}:${websocketPort === 0 ? -1 : websocketPort}`)}
  no_tls: true
}
${extraConfig}
`;
}

/**
 * Waits for the file in which nats-server says what it listens on, then for both listeners to accept.
 * @param {number | undefined} pid
 * @param {string} folder
 * @param {string} host
 * @param {AbortSignal} signal
 * @returns {Promise<{ port: number, websocketPort: number } | { failed: string }>}
 */
async function whenListening(pid, folder, host, signal) {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline && !signal.aborted) {
    const found = await readPorts(pid, folder);
    if (found && (await answers(host, found.port)) && (await answers(host, found.websocketPort)))
      return found;
    await delay(POLL_MS);
  }
  return { failed: `did not answer within ${START_TIMEOUT_MS / 1000} s` };
}

/**
 * The file is named for the process, so that what answers is ours and not a stranger on the same port.
 * @param {number | undefined} pid
 * @param {string} folder
 */
async function readPorts(pid, folder) {
  const name = (await readdir(folder)).find((entry) => entry.endsWith(`_${pid}.ports`));
  if (name === undefined) return undefined;
  try {
    const ports = JSON.parse(await readFile(join(folder, name), 'utf8'));
    const [port, websocketPort] = [ports.nats, ports.websocket].map((urls) => Number(new URL(urls[0]).port));
    return port && websocketPort ? { port, websocketPort } : undefined;
  } catch {
    // Read while it was being written: the next look finds it whole.
    return undefined;
  }
}

/**
 * One that was killed leaves its file behind, and process ids repeat.
 * @param {string} folder
 */
async function removePortsFiles(folder) {
  const stale = (await readdir(folder)).filter((entry) => entry.endsWith('.ports'));
  await Promise.all(stale.map((entry) => rm(join(folder, entry), { force: true })));
}
