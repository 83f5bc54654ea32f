// The objects of a checkpoint as files of one folder. A head is a file of its own for each revision, which can be made once only:
// so several servers may share the folder, as an old and a new one do for a moment.
import { link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { CheckpointObjects } from '../../src/ports.ts';

/** Enough for any number of saves, and in order when sorted as text. */
const REVISION_DIGITS = 12;
const HEAD = new RegExp(`^head\\.(\\d{${REVISION_DIGITS}})$`);
/** Whatever else is in the folder is not ours. */
const OBJECT = /^block\.(.+)$/;
const TEMPORARY = /^temporary\./;

export class FileCheckpointObjects implements CheckpointObjects {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes the folder and throws Node's error when nothing can be written there. */
  async prepare(): Promise<void> {
    await mkdir(this.#folder, { recursive: true }).catch((error: unknown) => {
      // Said of what is there and is no folder.
      throw isError(error, 'EEXIST') ? Object.assign(new Error('not a folder'), { code: 'ENOTDIR' }) : error;
    });
    await rm(await this.#writeTemporary(new Uint8Array()));
  }

  async headRevision(): Promise<number> {
    let last = 0;
    for (const file of await this.#files()) last = Math.max(last, Number(HEAD.exec(file)?.[1] ?? 0));
    return last;
  }

  async readHead(): Promise<{ revision: number; bytes: Uint8Array<ArrayBuffer> } | null> {
    for (let before = -1; ;) {
      const revision = await this.headRevision();
      if (revision === 0) return null;
      const bytes = await this.#read(headFile(revision));
      if (bytes !== null) return { revision, bytes };
      // Replaced in this moment, unless it is still the same.
      if (revision === before) return { revision, bytes: new Uint8Array() };
      before = revision;
    }
  }

  async writeHead(bytes: Uint8Array<ArrayBuffer>, after: number): Promise<number | null> {
    await mkdir(this.#folder, { recursive: true });
    if ((await this.headRevision()) !== after) return null;
    const revision = after + 1;
    const path = this.#path(headFile(revision));
    const temporary = await this.#writeTemporary(bytes);
    try {
      await link(temporary, path);
    } catch (error) {
      if (isError(error, 'EEXIST')) return null;
      throw error;
    } finally {
      await rm(temporary, { force: true });
    }
    const heads = (await this.#files()).filter((file) => HEAD.test(file)).sort();
    if (heads.at(-1) !== headFile(revision)) {
      // Two others came between: the first of them had this revision, and the second has removed it.
      await rm(path, { force: true });
      return null;
    }
    await this.#syncFolder();
    for (const file of heads.slice(0, -1)) await rm(this.#path(file), { force: true });
    return revision;
  }

  read(name: string): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.#read(blockFile(name));
  }

  async write(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    await rename(await this.#writeTemporary(bytes), this.#path(blockFile(name)));
  }

  async remove(name: string): Promise<void> {
    await rm(this.#path(blockFile(name)), { force: true });
  }

  async listOlderThan(ms: number): Promise<readonly string[]> {
    const names: string[] = [];
    const before = Date.now() - ms;
    for (const file of await this.#files()) {
      const name = OBJECT.exec(file)?.[1];
      if (name === undefined && !TEMPORARY.test(file)) continue;
      const { mtimeMs } = await stat(this.#path(file)).catch(() => ({ mtimeMs: Infinity }));
      if (mtimeMs >= before) continue;
      if (name === undefined) await rm(this.#path(file), { force: true });
      else names.push(name);
    }
    return names;
  }

  #path(file: string): string {
    return join(this.#folder, file);
  }

  async #files(): Promise<string[]> {
    try {
      const entries = await readdir(this.#folder, { withFileTypes: true });
      return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
    } catch (error) {
      if (isError(error, 'ENOENT')) return [];
      throw error;
    }
  }

  async #read(file: string): Promise<Uint8Array<ArrayBuffer> | null> {
    try {
      return new Uint8Array(await readFile(this.#path(file)));
    } catch (error) {
      if (isError(error, 'ENOENT')) return null;
      throw error;
    }
  }

  /** On disk when this resolves, so that what refers to it may follow. */
  async #writeTemporary(bytes: Uint8Array): Promise<string> {
    const path = this.#path(`temporary.${crypto.randomUUID()}`);
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    return path;
  }

  /** What was linked and renamed survives a power failure. Not every system can do so with a folder. */
  async #syncFolder(): Promise<void> {
    try {
      const folder = await open(this.#folder, 'r');
      await folder.sync().finally(() => folder.close());
    } catch {
      // Then the start after one finds the last head but one, or none: a replay.
    }
  }
}

function headFile(revision: number): string {
  return `head.${String(revision).padStart(REVISION_DIGITS, '0')}`;
}

function blockFile(name: string): string {
  return `block.${name}`;
}

function isError(error: unknown, code: string): boolean {
  return (error as { code?: string } | null)?.code === code;
}
