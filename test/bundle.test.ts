// What is uploaded. The platform bounds the size of a Worker, and a large one is slow to start; ours is bounded more tightly, so
// that a dependency that does not belong there is noticed.
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { expect, inject, test } from 'vitest';
import { workerBundle } from './support/worker-bundle.ts';

const MAX_BYTES = 150 * 1024;

/** Beside the modules: maps, wrangler's explanation, and what the tests note there. */
const NOT_UPLOADED = /\.map$|^README\.md$|\.json$/;

test('CF-4 the Worker has at most 150 KiB, minified and compressed', async () => {
  const { folder } = await workerBundle(inject('workerBundle'));
  const files = (await readdir(folder)).filter((name) => !NOT_UPLOADED.test(name));
  const modules = Buffer.concat(await Promise.all(files.map((name) => readFile(join(folder, name)))));
  const { byteLength } = await promisify(gzip)(modules);
  console.info(
    `the Worker: ${toKib(byteLength)} KiB gzip, ${toKib(modules.length)} KiB minified (${files.join(', ')})`,
  );
  expect(byteLength).toBeLessThanOrEqual(MAX_BYTES);
});

function toKib(bytes: number): string {
  return (bytes / 1024).toFixed(1);
}
