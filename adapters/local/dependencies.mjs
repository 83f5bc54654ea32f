// The npm packages of this checkout: are they those of package-lock.json, and installing them when not. Runs before
// anything is installed, hence built-in modules only and Node 20.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

import { withLock } from './lock.mjs';
import { CACHE_DIRECTORY, PROJECT_DIRECTORY } from './project.mjs';

const MODULES = join(PROJECT_DIRECTORY, 'node_modules');
const LOCK_FILE = join(PROJECT_DIRECTORY, 'package-lock.json');
// Inside node_modules, so that whoever removes the packages removes the claim that they are there.
const STAMP_FILE = join(MODULES, '.cellos-setup');
const NPM_NODE = join(MODULES, '.bin', 'node');
const RUNTIME_MAJOR = 24;

/**
 * Installs what package-lock.json names unless that was done before; says so when it does. Several processes may
 * call it at once: one installs, the others wait. Throws with instructions.
 * @param {(line: string) => void} say
 * @returns {Promise<boolean>} Whether something had to be installed.
 */
export async function ensureDependencies(say) {
  if (await isStamped()) return false;
  const wait = (/** @type {number | undefined} */ owner) =>
    say(`set-up: another set-up is at work here (process ${owner ?? 'unknown'}), waiting for it …`);
  return await withLock(join(CACHE_DIRECTORY, 'setup.lock'), wait, async () => {
    if (await isStamped()) return false;
    // `npm ci` by hand leaves no stamp; what it installed is as good.
    const install = !(await isInstalled());
    if (install) await installDependencies(say);
    checkRuntime();
    await writeFile(STAMP_FILE, await fingerprint());
    return install;
  });
}

/** The packages hold binaries: a folder that moved to another kind of machine is as stale as another lock file. */
async function fingerprint() {
  const lock = await readFile(LOCK_FILE);
  return `${createHash('sha256').update(lock).digest('hex')} ${process.platform} ${process.arch}\n`;
}

async function isStamped() {
  const stamp = await readFile(STAMP_FILE, 'utf8').catch(() => '');
  return stamp === (await fingerprint());
}

/** Compares with the list that npm itself keeps of what it has installed. */
async function isInstalled() {
  const [wanted, present] = await Promise.all([
    readPackages(LOCK_FILE),
    readPackages(join(MODULES, '.package-lock.json')),
  ]);
  delete wanted[''];
  const known = Object.keys(present).every((path) => path in wanted);
  return (
    known &&
    Object.entries(wanted).every(([path, { version, optional }]) => {
      const found = present[path];
      // Optional ones are the binaries for other platforms.
      return found ? found.version === version : optional === true;
    })
  );
}

/**
 * @param {string} file
 * @returns {Promise<Record<string, { version?: string, optional?: boolean }>>}
 */
async function readPackages(file) {
  try {
    return JSON.parse(await readFile(file, 'utf8')).packages;
  } catch {
    return {};
  }
}

/** @param {(line: string) => void} say */
async function installDependencies(say) {
  say('set-up: installing the npm packages of package-lock.json with npm ci (usually 10 to 30 s) …');
  // dev, also under NODE_ENV=production or omit=dev: the package `node` brings the Node 24 that everything runs on.
  // Warnings off: most of them say that packages want that Node 24 while this is still the system's Node.
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = npmCommand();
  const result = await run(npm.command, [...npm.args, ...args]);
  if (result.ok) return;
  const offline = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|network/.test(
    result.errors,
  );
  throw new Error(
    offline
      ? `npm ci could not reach the package registry (${result.why}, details above). ` +
          "Connect to the network, or set npm's proxy or registry, and run this again; it is needed only once."
      : `npm ci failed (${result.why}). Its own message is above; when that is mended, run this again.`,
  );
}

/**
 * The npm that runs this script, on the Node that it itself runs on. The `node` on PATH is not good enough: it may be
 * the very one in node_modules that `npm ci` is about to delete.
 */
function npmCommand() {
  const { npm_execpath: npm, npm_node_execpath: node } = process.env;
  return npm?.endsWith('npm-cli.js') && node && !node.startsWith(MODULES)
    ? { command: node, args: [npm] }
    : { command: 'npm', args: [] };
}

/**
 * @param {string} command
 * @param {string[]} args
 * @returns {Promise<{ ok: boolean, why: string, errors: string }>}
 */
function run(command, args) {
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((entry) => !entry.startsWith(MODULES));
  return new Promise((done) => {
    let errors = '';
    const child = spawn(command, args, {
      cwd: PROJECT_DIRECTORY,
      stdio: ['ignore', 'inherit', 'pipe'],
      env: { ...process.env, PATH: path.join(delimiter) },
    });
    child.stderr.on('data', (chunk) => {
      errors += chunk;
      process.stderr.write(chunk);
    });
    child.on('error', (error) => done({ ok: false, why: error.message, errors }));
    child.on('close', (code, signal) =>
      done({ ok: code === 0, why: signal ? `ended by ${signal}` : `exit code ${code}`, errors }),
    );
  });
}

/** The package `node` fetches its binary in an install script; npm can be configured not to run these. */
function checkRuntime() {
  const { stdout } = spawnSync(NPM_NODE, ['--version'], { encoding: 'utf8' });
  const major = Number(/^v(\d+)\./.exec(stdout ?? '')?.[1]);
  if (major >= RUNTIME_MAJOR) return;
  throw new Error(
    `The npm package "node" did not install its Node ${RUNTIME_MAJOR} (node_modules/.bin/node does not run). ` +
      'Does npm skip install scripts here (npm config get ignore-scripts)? Then run ' +
      'npm ci --include=dev --ignore-scripts=false, and this again.',
  );
}
