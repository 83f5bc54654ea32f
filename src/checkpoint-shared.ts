// A checkpoint that several servers may keep, as compressed objects: blocks, which never change, and one head that names them. The
// head is replaced only by who knows the last one, so at any time it is the work of one writer, whole.
import { gunzip, gzip } from './gzip.ts';
import { CHECKPOINT_STRAY_MS, CHECKPOINT_TRANSFERS, MAX_CHECKPOINT_OBJECT_BYTES } from './limits.ts';
import type {
  CheckpointBlock,
  CheckpointChange,
  CheckpointObjects,
  CheckpointStore,
  StoredCheckpoint,
} from './ports.ts';
import { decodeUtf8, encodeUtf8 } from './utf8.ts';

/** Raised whenever the head object is spelled in another way. */
const FORMAT = 1;

/** What stands for the head of a checkpoint that cannot be read. */
const UNREADABLE = '?';

/** Loading competes with whoever replaces what is being read. */
const MAX_LOADS = 5;

/** What the head object says. */
interface Manifest {
  /** Of all writers and all times. */
  readonly commit: string;
  /** The checkpoint's own head. */
  readonly head: string;
  /** Names of the objects, by the ids of their blocks. */
  readonly names: ReadonlyMap<number, string>;
}

/** A head as it was found or written: revision 0 when there was none; no manifest when it cannot be read. */
interface Found {
  readonly revision: number;
  readonly manifest: Manifest | null;
}

const NONE: Found = { revision: 0, manifest: null };

export class SharedCheckpointStore implements CheckpointStore {
  readonly #objects: CheckpointObjects;
  /** Begins the name of each object that is written here. */
  readonly #writer: string = crypto.randomUUID();
  #written = 0;
  /** What was last loaded or committed here; null before. */
  #own: Found | null = null;
  /** What `rivalHead` found last. */
  #seen: Found | null = null;
  /** A commit of which it is not known whether it was made. */
  #doubtful: Manifest | null = null;
  /** Names of objects that are of no use any more, unless a doubtful commit was made. */
  readonly #strays = new Set<string>();
  #isSwept = false;

  constructor(objects: CheckpointObjects) {
    this.#objects = objects;
  }

  async load(): Promise<StoredCheckpoint | null> {
    for (let attempt = 1; ; attempt++) {
      const found = await this.#find();
      this.#own = found;
      if (found.revision === 0) return null;
      const { manifest } = found;
      if (manifest === null) throw new Error('the list of its parts cannot be read');
      const blocks = await this.#readBlocks(manifest);
      if (blocks.length === manifest.names.size) return { head: manifest.head, blocks };
      // Unless it was replaced meanwhile, what is missing is missing.
      if (attempt >= MAX_LOADS || (await this.#objects.headRevision()) === found.revision) {
        return { head: manifest.head, blocks };
      }
    }
  }

  async rivalHead(): Promise<string | null> {
    this.#seen = null;
    const revision = await this.#objects.headRevision();
    if (revision === (this.#own?.revision ?? 0)) return null;
    const found = await this.#find();
    if (found.manifest !== null && found.manifest.commit === this.#doubtful?.commit) {
      this.#own = found;
      this.#doubtful = null;
      return null;
    }
    this.#seen = found;
    for (const name of found.manifest?.names.values() ?? []) this.#strays.delete(name);
    return found.revision === 0 ? '' : (found.manifest?.head ?? UNREADABLE);
  }

  async commit({ head, put, remove }: CheckpointChange): Promise<void> {
    const isWhole = remove === 'others';
    const base = (isWhole ? this.#seen : null) ?? this.#own ?? NONE;
    const replaced = base.manifest?.names ?? new Map<number, string>();
    const names = new Map(isWhole ? [] : replaced);
    if (!isWhole) for (const id of remove) names.delete(id);
    const written = put.map(({ id, text }) => ({ id, text, name: this.#newName() }));
    for (const { id, name } of written) names.set(id, name);
    const manifest: Manifest = { commit: this.#newName(), head, names };
    for (const { name } of written) this.#strays.add(name);
    await inParallel(written, async ({ name, text }) => {
      await this.#objects.write(name, await gzip(encodeUtf8(text)));
    });
    this.#doubtful = manifest;
    const revision = await this.#objects.writeHead(await gzip(encodeUtf8(spell(manifest))), base.revision);
    this.#doubtful = null;
    if (revision === null) {
      // It may go on from a doubtful commit of ours, and so use what seems of no use here.
      const winner = await this.#find();
      if (winner.manifest !== null) await this.#removeStrays(winner);
      throw new Error('another server has written the checkpoint');
    }
    this.#own = { revision, manifest };
    this.#seen = null;
    for (const name of replaced.values()) this.#strays.add(name);
    await this.#removeStrays(this.#own);
    if (isWhole || !this.#isSwept) await this.#sweep(this.#own);
  }

  /** No two objects share one. */
  #newName(): string {
    return `${this.#writer}.${++this.#written}`;
  }

  async #find(): Promise<Found> {
    const head = await this.#objects.readHead();
    if (head === null) return NONE;
    return { revision: head.revision, manifest: await readManifest(head.bytes) };
  }

  /** The blocks that are there. */
  async #readBlocks({ names }: Manifest): Promise<CheckpointBlock[]> {
    const blocks: CheckpointBlock[] = [];
    await inParallel([...names], async ([id, name]) => {
      const bytes = await this.#objects.read(name);
      const text = bytes === null ? null : await unpack(bytes);
      if (text !== null) blocks.push({ id, text });
    });
    return blocks;
  }

  /** What is not in use there. What cannot be removed is left to the next time. */
  async #removeStrays({ manifest }: Found): Promise<void> {
    const inUse = new Set(manifest?.names.values());
    for (const name of inUse) this.#strays.delete(name);
    await inParallel([...this.#strays], async (name) => {
      await this.#objects.remove(name);
      this.#strays.delete(name);
    }).catch(() => {});
  }

  /** Finds what nobody refers to; what is young may be part of a commit that is under way. */
  async #sweep(there: Found): Promise<void> {
    try {
      for (const name of await this.#objects.listOlderThan(CHECKPOINT_STRAY_MS)) this.#strays.add(name);
      this.#isSwept = true;
    } catch {
      // The next commit tries again.
      this.#isSwept = false;
    }
    await this.#removeStrays(there);
  }
}

function spell({ commit, head, names }: Manifest): string {
  return JSON.stringify({ format: FORMAT, commit, head, names: [...names] });
}

/** Null when the bytes are something else. */
async function readManifest(bytes: Uint8Array<ArrayBuffer>): Promise<Manifest | null> {
  const text = await unpack(bytes);
  try {
    const { format, commit, head, names } = JSON.parse(text ?? '') as Record<string, unknown>;
    if (format !== FORMAT || typeof commit !== 'string' || typeof head !== 'string') return null;
    const map = new Map(names as [number, string][]);
    return [...map].every(([id, name]) => Number.isSafeInteger(id) && typeof name === 'string')
      ? { commit, head, names: map }
      : null;
  } catch {
    return null;
  }
}

/** Null when this is no compressed text. */
async function unpack(bytes: Uint8Array<ArrayBuffer>): Promise<string | null> {
  try {
    return decodeUtf8(await gunzip(bytes, MAX_CHECKPOINT_OBJECT_BYTES));
  } catch {
    return null;
  }
}

/** Runs `work` for each item, a few at a time. Rejects with the first failure, when nothing is under way any more. */
async function inParallel<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const left = items.values();
  const worker = async () => {
    for (const item of left) await work(item);
  };
  const results = await Promise.allSettled(Array.from({ length: CHECKPOINT_TRANSFERS }, worker));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
