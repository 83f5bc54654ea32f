// The Worker as wrangler would upload it, with what wrangler.toml says about it: built once per test run.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { V4WorkerOptions } from 'miniflare';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CONFIG = join(ROOT, 'wrangler.toml');
const OPTIONS_FILE = 'miniflare.json';

export interface WorkerBundle {
  readonly folder: string;
  /** The minified module. */
  readonly script: string;
  /** Date, flags, bindings and migrations as wrangler itself reads them. */
  readonly options: Partial<V4WorkerOptions>;
}

/** The bundle in `folder`, which is made when it is not there; several processes may ask at once. */
export async function workerBundle(folder: string): Promise<WorkerBundle> {
  if (!(await exists(folder))) await build(folder);
  const options = JSON.parse(await readFile(join(folder, OPTIONS_FILE), 'utf8')) as Partial<V4WorkerOptions>;
  return { folder, script: join(folder, 'cloudflare.js'), options };
}

async function build(folder: string): Promise<void> {
  await mkdir(join(folder, '..'), { recursive: true });
  const draft = await mkdtemp(`${folder}.`);
  const wrangler = createRequire(import.meta.url).resolve('wrangler/package.json');
  const bundling = promisify(execFile)(
    process.execPath,
    [join(wrangler, '../bin/wrangler.js'), 'deploy', '--dry-run', '--config', CONFIG, '--outdir', draft],
    // No looking for a newer version, no statistics: tests use no network.
    {
      cwd: ROOT,
      env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CLOUDFLARE_CF_FETCH_ENABLED: 'false' },
    },
  );
  const { unstable_getMiniflareWorkerOptions, unstable_readConfig } = await import('wrangler');
  const config = unstable_readConfig({ config: CONFIG });
  // Rules are for bundling, which is done; the bindings would hold a developer's .dev.vars.
  const { modulesRules: _, ...options } = unstable_getMiniflareWorkerOptions(config).workerOptions;
  await writeFile(join(draft, OPTIONS_FILE), JSON.stringify({ ...options, bindings: config.vars }));
  await bundling;
  // Of two that build at once the first one's stays.
  await rename(draft, folder).catch(async (error: unknown) => {
    await rm(draft, { recursive: true, force: true });
    if (!(await exists(folder))) throw error;
  });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
