// The checkpoint in a folder.
import { mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { FileCheckpointObjects } from '../adapters/process/file-checkpoint-objects.ts';
import { SharedCheckpointStore } from '../src/checkpoint-shared.ts';
import { checkpointStoreSuite } from './suites/checkpoint-store.ts';
import { checkpointWritersSuite } from './suites/checkpoint-writers.ts';
import { failingOnce } from './support/checkpoint-objects.ts';

async function makeFolder() {
  const parent = await mkdtemp(join(tmpdir(), 'cellos-checkpoint-'));
  // It need not be there.
  const folder = join(parent, 'a', 'b');
  return { folder, dispose: () => rm(parent, { recursive: true, force: true }) };
}

checkpointStoreSuite('in a folder', async () => {
  const { folder, dispose } = await makeFolder();
  const { objects, failNext } = failingOnce(new FileCheckpointObjects(folder));
  return {
    store: new SharedCheckpointStore(objects),
    reopen: async () => {
      const store = new SharedCheckpointStore(new FileCheckpointObjects(folder));
      await store.load().catch(() => {});
      return store;
    },
    breakNextCommit: async () => failNext(),
    async damage() {
      const head = (await readdir(folder)).find((file) => file.startsWith('head.'));
      await writeFile(join(folder, head ?? 'head'), 'something else');
    },
    dispose,
  };
});

checkpointWritersSuite('in a folder', async () => {
  const { folder, dispose } = await makeFolder();
  return {
    open: () => new FileCheckpointObjects(folder),
    async age(ms) {
      for (const file of await readdir(folder)) {
        const { mtimeMs } = await stat(join(folder, file));
        await utimes(join(folder, file), new Date(), new Date(mtimeMs - ms));
      }
    },
    wipe: () => rm(folder, { recursive: true }),
    dispose,
  };
});

test('CKP-29 a folder may hold other files, which stay', async () => {
  const { folder, dispose } = await makeFolder();
  const objects = new FileCheckpointObjects(folder);
  await objects.prepare();
  for (const file of ['README', 'head.txt', 'head.1', 'block']) await writeFile(join(folder, file), '');
  const store = new SharedCheckpointStore(objects);
  expect(await store.load()).toBeNull();
  await store.commit({ head: 'one', put: [{ id: 1, text: '[]' }], remove: 'others' });
  expect(await store.load()).toMatchObject({ head: 'one' });
  expect(await readdir(folder)).toEqual(expect.arrayContaining(['README', 'head.txt', 'head.1', 'block']));
  expect((await readdir(folder)).filter((file) => file.startsWith('temporary.'))).toEqual([]);
  await dispose();
});

test('CKP-29 what nobody else need read is written for its owner alone', async () => {
  const { folder, dispose } = await makeFolder();
  const store = new SharedCheckpointStore(new FileCheckpointObjects(folder));
  await store.commit({ head: 'one', put: [{ id: 1, text: '[]' }], remove: 'others' });
  for (const file of await readdir(folder)) {
    expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600);
  }
  await dispose();
});
