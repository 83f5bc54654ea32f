// The checkpoint of the projection, log-structured: a save writes the records that changed as new blocks, and with them
// those of older blocks that are small or mostly superseded. When to save is the caller's decision, keeping the store's.
import { gatherBatch } from './checkpoint-batch.ts';
import { type KeptBlock, parseBlock } from './checkpoint-blocks.ts';
import { KeptChunks } from './checkpoint-chunks.ts';
import { digestOf, readHead, UnusableCheckpointError, writeHead } from './checkpoint-head.ts';
import { RivalWatch } from './checkpoint-rival.ts';
import type { IndexChunk } from './event-index-chunk.ts';
import type { Formation, Position } from './model.ts';
import type {
  CheckpointBlock,
  CheckpointChange,
  CheckpointStore,
  Log,
  LogAnchor,
  StoredCheckpoint,
} from './ports.ts';
import { EventLogError } from './ports.ts';
import { initialState, type ProjectionState, restoreCell, restoreFormation } from './projection.ts';
import { NO_SIGNATURES } from './signatures.ts';
import { isSameVerdict, type VerificationSettings } from './signers.ts';
import { excerpt } from './text.ts';
import { encodeUtf8 } from './utf8.ts';

/** A view as it was at `anchor.position`. Whoever does not go on with it calls `reset`. */
export interface Restored {
  readonly state: ProjectionState;
  readonly anchor: LogAnchor;
}

/** What a save wrote, in records, blocks and bytes; zeros when there was nothing new. */
export interface Saved {
  readonly records: number;
  readonly blocks: number;
  readonly bytes: number;
  /** It was left to another writer, who has not come as far: it should be tried again. */
  readonly isDue?: true;
}

const NOTHING: Saved = { records: 0, blocks: 0, bytes: 0 };

const NEVER: Position = -1;

/** The one checkpoint of one view. */
export class Checkpoint {
  readonly #store: CheckpointStore;
  readonly #logger: Log;
  readonly #signatures: VerificationSettings;
  readonly #blocks = new Map<number, KeptBlock>();
  /** Blocks that a failed commit may have put. */
  readonly #strays = new Set<number>();
  /** Ids are never used again: of two versions of a record the one in the higher block is the younger. */
  #nextBlock = 1;
  /** The cursor of the last save: records with a higher version are dirty. */
  #position: Position = NEVER;
  /** Whether the store holds what is known here; else the next save replaces all of it. */
  #isKnown = false;
  readonly #chunks = new KeptChunks();
  readonly #rivals: RivalWatch;
  /** Resolves when all that was asked for is done; null when nothing is under way. */
  #busy: Promise<void> | null = null;

  /** `signatures` are those under which the view is made. */
  constructor(store: CheckpointStore, logger: Log, signatures: VerificationSettings = NO_SIGNATURES) {
    this.#store = store;
    this.#logger = logger;
    this.#signatures = signatures;
    this.#rivals = new RivalWatch(logger);
  }

  /**
   * The view that was saved last, or null when there is none or it cannot be used: a WARN says why, and the next save replaces
   * it. Throws EventLogError when the store is out of reach.
   */
  restore(): Promise<Restored | null> {
    return this.#alone(() => this.#restore());
  }

  /**
   * Writes the records that changed since the last save, as they are now; while another save is under way, as they will be
   * behind it, with this anchor's timestamp. `state` is the one restored, or the only one since `reset`. Rejects when the
   * store fails: the next save makes up for it.
   */
  async save(state: ProjectionState, anchor: LogAnchor): Promise<Saved> {
    if (anchor.position !== state.cursor) throw new RangeError('the anchor is not where the view is');
    return this.#alone(() => this.#save(state, anchor));
  }

  /** The log is another one: the next save replaces everything. Waits for a save under way, never rejects. */
  reset(): Promise<void> {
    return this.#alone(async () => this.#forget());
  }

  /** Runs the work behind all that was asked for before; at once, and up to its first wait, when nothing is under way. */
  async #alone<Result>(work: () => Promise<Result>): Promise<Result> {
    const before = this.#busy;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#busy = promise;
    try {
      if (before !== null) await before;
      return await work();
    } finally {
      if (this.#busy === promise) this.#busy = null;
      resolve();
    }
  }

  async #restore(): Promise<Restored | null> {
    let stored: StoredCheckpoint | null;
    try {
      stored = await this.#store.load();
    } catch (error) {
      if (error instanceof EventLogError) throw error;
      return this.#refuse(`the store cannot be read: ${excerpt(String(error))}`);
    }
    if (stored === null) {
      this.#isKnown = true;
      return null;
    }
    try {
      return await this.#read(stored);
    } catch (error) {
      // Messages of other errors may repeat a piece of what was read.
      return this.#refuse(error instanceof UnusableCheckpointError ? error.message : 'it is not understood');
    }
  }

  #refuse(reason: string): null {
    this.#logger.warn('checkpoint not used', { reason });
    this.#forget();
    return null;
  }

  async #read(stored: StoredCheckpoint): Promise<Restored> {
    const head = await readHead(stored.head);
    if (!isSameVerdict(head.verification, this.#signatures)) {
      throw new UnusableCheckpointError('events that it holds would now be verified in another way');
    }
    const texts = new Map(stored.blocks.map(({ id, text }) => [id, text]));
    if (texts.size !== stored.blocks.length) throw new UnusableCheckpointError('a block is there twice');
    if (texts.size > head.blocks.length) throw new UnusableCheckpointError('a block is not listed');
    const { anchor } = head;
    const state = initialState(anchor.position);
    for (const [kid, key] of head.verification.signers) state.signers.set(kid, key);
    const formations: Formation[] = [];
    const chunks: { chunk: IndexChunk; block: number }[] = [];
    // Youngest first: what is already there is what counts.
    for (const { id, records, digest } of [...head.blocks].sort((a, b) => b.id - a.id)) {
      const text = texts.get(id);
      if (text === undefined) throw new UnusableCheckpointError('a block is missing');
      texts.delete(id);
      if ((await digestOf(encodeUtf8(text))) !== digest) {
        throw new UnusableCheckpointError('a block is not what was written');
      }
      const parsed = parseBlock(text, id);
      if (parsed.formations.length + parsed.cells.length + parsed.chunks.length !== records) {
        throw new UnusableCheckpointError('a block has another number of records');
      }
      const block = { id, digest, length: text.length, records, live: 0, isDoubtful: false };
      for (const cell of parsed.cells) if (restoreCell(state, cell)) block.live++;
      formations.push(...parsed.formations);
      chunks.push(...parsed.chunks.map((chunk) => ({ chunk, block: id })));
      this.#blocks.set(id, block);
    }
    // Oldest first: names that very many hold are indexed at their ends. The sort is stable, the younger of two versions
    // stays ahead.
    for (const formation of formations.sort((a, b) => a.firstSeq - b.firstSeq)) {
      if (restoreFormation(state, formation)) (this.#blocks.get(formation.block) as KeptBlock).live++;
    }
    const range = { floor: head.indexFloor, through: anchor.position };
    for (const id of this.#chunks.restore(state.index, chunks, range))
      (this.#blocks.get(id) as KeptBlock).live++;
    this.#nextBlock = Math.max(0, ...this.#blocks.keys()) + 1;
    this.#position = anchor.position;
    this.#isKnown = true;
    return { state, anchor };
  }

  async #save(state: ProjectionState, anchor: LogAnchor): Promise<Saved> {
    // Without an await where there is one writer: the view is taken as it is now.
    if (this.#store.rivalHead !== undefined) {
      const rival = await this.#store.rivalHead();
      const verdict = await this.#rivals.judge(rival, { epoch: anchor.epoch, position: state.cursor });
      if (verdict === 'yield') return { ...NOTHING, isDue: true };
      if (verdict === 'level') return NOTHING;
      if (verdict === 'replace') this.#forget();
    }
    return this.#write(state, anchor);
  }

  async #write(state: ProjectionState, { epoch, timestamp }: LogAnchor): Promise<Saved> {
    const position = state.cursor;
    if (this.#isKnown && position === this.#position) return NOTHING;
    const kept = { blocks: this.#blocks, chunks: this.#chunks, position: this.#position };
    const { blocks, leaving, chunks, indexFloor } = gatherBatch(state, kept, () => this.#nextBlock++);
    const { requireSigned, digest: keysDigest } = this.#signatures;
    const verification = { requireSigned, digest: keysDigest, signers: new Map(state.signers) };
    // From here on the view may change.
    const added: KeptBlock[] = [];
    let bytes = 0;
    for (const { id, text, records, chunks: ofIndex } of blocks) {
      const encoded = encodeUtf8(text);
      const digest = await digestOf(encoded);
      const live = records.length + ofIndex.length;
      added.push({ id, digest, length: text.length, records: live, live, isDoubtful: false });
      bytes += encoded.byteLength;
    }
    const isEmptied = ({ id, live }: KeptBlock) => live === (leaving.get(id) ?? 0);
    const older = [...this.#blocks.values()];
    const emptied = older.filter(isEmptied).map(({ id }) => id);
    const head = await writeHead({
      anchor: { position, epoch, timestamp },
      indexFloor,
      verification,
      blocks: [...older.filter((block) => !isEmptied(block)), ...added],
    });
    const put = blocks.map(({ id, text }): CheckpointBlock => ({ id, text }));
    await this.#commit({ head, put, remove: this.#isKnown ? [...emptied, ...this.#strays] : 'others' });
    this.#isKnown = true;
    this.#strays.clear();
    this.#position = position;
    for (const block of older) block.live -= leaving.get(block.id) ?? 0;
    for (const id of emptied) this.#blocks.delete(id);
    for (const block of added) this.#blocks.set(block.id, block);
    for (const { id, records } of blocks) for (const record of records) record.block = id;
    const written = blocks.flatMap(({ id, chunks: ofIndex }) => ofIndex.map((chunk) => [chunk, id] as const));
    this.#chunks.saved(chunks, new Map(written));
    const records = added.reduce((sum, block) => sum + block.records, 0);
    return { records, blocks: added.length, bytes: bytes + encodeUtf8(head).byteLength };
  }

  /** A commit that failed may have been made all the same: what it put may be there, what it removed may be gone. */
  async #commit(change: CheckpointChange): Promise<void> {
    try {
      await this.#store.commit(change);
    } catch (error) {
      if (change.remove !== 'others') {
        for (const { id } of change.put) this.#strays.add(id);
        for (const id of change.remove) {
          const block = this.#blocks.get(id);
          if (block !== undefined) block.isDoubtful = true;
        }
      }
      throw error;
    }
  }

  #forget(): void {
    this.#chunks.clear();
    this.#blocks.clear();
    this.#strays.clear();
    this.#position = NEVER;
    this.#isKnown = false;
  }
}
