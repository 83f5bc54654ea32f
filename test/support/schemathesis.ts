// The fuzzer: installs schemathesis, which comes from Python's world, into the project's cache once, and runs it.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CACHE = fileURLToPath(new URL('../../.cellos/', import.meta.url));
const REQUIREMENTS = fileURLToPath(new URL('../openapi/requirements.txt', import.meta.url));
const CONFIG = fileURLToPath(new URL('../openapi/schemathesis.toml', import.meta.url));
const INSTALL_TIMEOUT_MS = 240_000;
const RUN_TIMEOUT_MS = 180_000;
const OLDEST_PYTHON = '(3, 11)';

export interface Outcome {
  readonly code: number | null;
  /** Both outputs. */
  readonly output: string;
}

/** Why it cannot be there on this machine; null when it can. */
export async function missingPython(): Promise<string | null> {
  const isRecent = `import pip, sys; sys.exit(sys.version_info < ${OLDEST_PYTHON})`;
  const { code } = await run(['-c', isRecent], {}, INSTALL_TIMEOUT_MS);
  return code === 0 ? null : 'there is no python3 of 3.11 or newer with pip';
}

/** The folder with its modules, for PYTHONPATH. Throws with pip's last words. */
export async function ensureSchemathesis(): Promise<string> {
  const { output: version } = await run(
    ['-c', 'import sys; print(sys.version_info[:2])'],
    {},
    INSTALL_TIMEOUT_MS,
  );
  const wanted = createHash('sha256')
    .update(await readFile(REQUIREMENTS))
    .update(`${process.platform} ${process.arch} ${version}`)
    .digest('hex');
  const folder = join(CACHE, 'schemathesis');
  const stamp = join(folder, '.cellos-setup');
  if ((await readFile(stamp, 'utf8').catch(() => '')) === wanted) return folder;

  console.info('schemathesis: installing it into .cellos/schemathesis (once)');
  await mkdir(CACHE, { recursive: true });
  // All of it happens in a folder of our own and ends in a rename: what is interrupted leaves nothing half.
  const draft = await mkdtemp(join(CACHE, 'schemathesis-'));
  try {
    const target = ['--target', draft, '--only-binary', ':all:', '--requirement', REQUIREMENTS];
    const quiet = ['--no-input', '--quiet', '--disable-pip-version-check', '--retries', '1'];
    const { code, output } = await run(
      ['-m', 'pip', 'install', ...target, ...quiet],
      // Settings that people keep for their own packages and that contradict --target.
      { PIP_USER: '0', PIP_REQUIRE_VIRTUALENV: '0' },
      INSTALL_TIMEOUT_MS,
    );
    if (code !== 0) throw new Error(`schemathesis could not be installed: ${output.trim().slice(-1000)}`);
    await writeFile(join(draft, '.cellos-setup'), wanted);
    await rm(folder, { recursive: true, force: true });
    await rename(draft, folder);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return folder;
}

/** Runs it with our configuration on a description that lies in a file. */
export async function fuzz(
  modules: string,
  { file, url, token, directory }: { file: string; url: string; token: string; directory: string },
): Promise<Outcome> {
  const args = ['-m', 'schemathesis.cli', '--no-color', '--config-file', CONFIG, 'run', file, '--url', url];
  const environment = { PYTHONPATH: modules, CELLOS_SERVER_API_TOKEN: token, COLUMNS: '160' };
  return run(args, environment, RUN_TIMEOUT_MS, directory);
}

function run(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  timeout: number,
  cwd = CACHE,
): Promise<Outcome> {
  return new Promise((resolve) => {
    let output = '';
    const child = spawn('python3', args, {
      cwd,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout,
      killSignal: 'SIGKILL',
    });
    child.stdout.on('data', (chunk) => (output += String(chunk)));
    child.stderr.on('data', (chunk) => (output += String(chunk)));
    child.on('error', (error) => resolve({ code: null, output: error.message }));
    child.on('close', (code) => resolve({ code, output }));
  });
}
