// `npm run serve:cloudflare`: the server in Cloudflare's runtime on this machine, configured by its environment as
// `npm run serve` is. It is `wrangler dev` without its terminal interface; of its output the server's log lines are kept, on
// stderr as those of `npm run serve`.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { parseBind } from './address.mjs';
import { withLock } from './lock.mjs';
import { DATA_DIRECTORY, PROJECT_DIRECTORY } from './project.mjs';
import { runtime } from './server-process.mjs';

const DEFAULT_BIND = '127.0.0.1:8080';
const STOP_TIMEOUT_MS = 5_000;
const LAST_LINES = 20;
/** What the Worker reads; the rest of the environment is none of its business. */
const VARIABLE = /^(?:CELLOS_.*|RUST_LOG|LOG_LEVEL)$/;

/** Two of them would write to one database. */
const LOCK = join(DATA_DIRECTORY, 'cloudflare.lock');

const WRANGLER_SETTINGS = {
  // Makes variables of wrangler's environment the Worker's: on a command line others could read the token, and files have
  // rules of their own for quotes and dollar signs.
  CLOUDFLARE_INCLUDE_PROCESS_ENV: 'true',
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  WRANGLER_SEND_METRICS: 'false',
  WRANGLER_HIDE_BANNER: 'true',
  // A page that shows the object's storage to whoever asks.
  X_LOCAL_EXPLORER: 'false',
  X_LOCAL_OBSERVABILITY: 'false',
};

/** Cloudflare would answer each request with a 500; here somebody is there to be told at once. */
async function checkConfiguration() {
  const { parseConfig } = await import('../../src/config.ts');
  parseConfig(process.env, { tcp: false, brokerRequired: true, ownCheckpoint: true });
}

/** Resolves when wrangler has ended. */
async function serve() {
  const { host, port } = parseBind(process.env['CELLOS_SERVER_BIND']?.trim() || DEFAULT_BIND);
  const wrangler = join(PROJECT_DIRECTORY, 'node_modules', 'wrangler', 'bin', 'wrangler.js');
  const options = [
    `--ip=${host}`,
    `--port=${port}`,
    `--persist-to=${join(DATA_DIRECTORY, 'cloudflare')}`,
    // The environment alone decides: .env and .dev.vars would come before it.
    `--env-file=${devNull}`,
    // The debugger's usual port may be somebody else's.
    '--inspector-port=0',
    '--show-interactive-dev-session=false',
  ];
  const variables = Object.entries(process.env).filter(([name]) => VARIABLE.test(name));
  const child = spawn(runtime(), [wrangler, 'dev', ...options], {
    cwd: PROJECT_DIRECTORY,
    env: { ...Object.fromEntries(variables), ...WRANGLER_SETTINGS },
    stdio: ['ignore', 'pipe', 'inherit'],
    // In a process group of its own: Ctrl-C reaches the whole group of the terminal, and workerd must not end before wrangler.
    detached: true,
  });

  /** @type {string[]} */
  let chatter = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('{')) console.error(line);
    else if (line.includes('Ready on'))
      console.error(`serving in Cloudflare's runtime: ${line.replace(/.*Ready on /, '')}`);
    else chatter = [...chatter, line].slice(-LAST_LINES);
  });

  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    child.kill('SIGTERM');
    // The whole group: workerd would stay.
    setTimeout(() => child.pid && process.kill(-child.pid, 'SIGKILL'), STOP_TIMEOUT_MS).unref();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  child.on('error', (error) => {
    console.error(`wrangler could not be started: ${error.message}`);
    process.exitCode = 1;
  });
  const [code] = await once(child, 'close');
  process.exitCode = stopping ? 0 : (code ?? 1);
  if (!stopping) console.error(chatter.join('\n'));
}

try {
  await checkConfiguration();
  const refuse = (/** @type {number | undefined} */ owner) => {
    throw new Error(
      `A server in Cloudflare's runtime (process ${owner ?? 'unknown'}) already uses ${join(DATA_DIRECTORY, 'cloudflare')}. ` +
        'Stop it, or set CELLOS_LOCAL_DIRECTORY to another folder.',
    );
  };
  await withLock(LOCK, refuse, serve);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
