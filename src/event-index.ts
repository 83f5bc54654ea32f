// Where in the log the events of a cell or of a formation are. What is kept of an id is a number of 32 bits, so that an event costs
// six bytes and no object: of what is found, one in thousands of millions may be another's, and readers look at the event itself.
// Bounded: when it is full the oldest is forgotten, and `floor` says from where on it is complete.
import {
  canMerge,
  CHUNK_SPAN,
  chunkOf,
  hasAt,
  type IndexChunk,
  merge,
  OCCURRENCE_BYTES,
  type Occurrences,
  WantedKeys,
} from './event-index-chunk.ts';
import { EVENT_INDEX_BYTES, EVENT_INDEX_CHUNK } from './limits.ts';
import type { Cell, EventScope, EventTopic, Position } from './model.ts';

/** Which cells a formation has, in a view. */
interface Members {
  readonly cellsByFormation: ReadonlyMap<string, ReadonlySet<Cell>>;
}

/** The key of a cell's id. */
function cellKey(id: string): number {
  return hash(id, 0x811c9dc5);
}

/** The key of a formation's id, which a cell may have as well. */
function formationKey(id: string): number {
  return hash(id, 0x01000193);
}

/** What the events of a scope may be found under. */
export function keysOf({ kind, id }: EventScope, { cellsByFormation }: Members): number[] {
  if (kind === 'cell') return [cellKey(id)];
  return [formationKey(id), ...Array.from(cellsByFormation.get(id) ?? [], (cell) => cellKey(cell.id))];
}

/** FNV-1a over UTF-16 units, stirred as by MurmurHash3 at its end. */
function hash(text: string, seed: number): number {
  let sum = seed;
  for (let at = 0; at < text.length; at++) sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193);
  sum = Math.imul(sum ^ (sum >>> 16), 0x85ebca6b);
  sum = Math.imul(sum ^ (sum >>> 13), 0xc2b2ae35);
  return (sum ^ (sum >>> 16)) >>> 0;
}

/** The occurrences since the last chunk, in the order of their sequences. */
interface OpenChunk extends Occurrences {
  base: Position;
  size: number;
  keys: Uint32Array;
  offsets: Uint16Array;
}

const FIRST_SIZE = 64;

/** Of one event: its cell's and its formation's. */
const MAX_KEYS = 2;

export class EventIndex {
  /** In order, each going on where the one before ends. */
  #chunks: IndexChunk[] = [];
  #bytes = 0;
  readonly #maxBytes: number;
  /** Where the open chunk begins. */
  #after: Position;
  #last: Position;
  #open: OpenChunk | null = null;
  /** The cell that was noted last, and its key. */
  #lastCell: string | null = null;
  #lastKey = 0;

  /** Knows nothing up to `floor`. */
  constructor(floor: Position = 0, maxBytes = EVENT_INDEX_BYTES) {
    this.#after = floor;
    this.#last = floor;
    this.#maxBytes = maxBytes;
  }

  /** Complete for what comes after. */
  get floor(): Position {
    return this.#chunks[0]?.after ?? this.#after;
  }

  get bytes(): number {
    return this.#bytes + (this.#open?.size ?? 0) * OCCURRENCE_BYTES;
  }

  /** All but the open one, oldest first. */
  get chunks(): readonly IndexChunk[] {
    return this.#chunks;
  }

  /** The view begins here: nothing was noted yet. */
  startAt(floor: Position): void {
    this.#after = this.#last = floor;
  }

  /** The event at `seq`, which comes after all that were noted. One of a cell of its formation is found through the cell. */
  note(seq: Position, { cell, formation }: EventTopic, cells: ReadonlyMap<string, Cell>): void {
    if (cell === null && formation === null) return;
    const open = this.#openFor(seq);
    if (cell !== null) {
      // A supervisor has several things to say of a cell at a time.
      if (cell !== this.#lastCell) {
        this.#lastCell = cell;
        this.#lastKey = cellKey(cell);
      }
      add(open, seq, this.#lastKey);
    }
    if (formation !== null && (cell === null || cells.get(cell)?.formationId !== formation)) {
      add(open, seq, formationKey(formation));
    }
    this.#last = seq;
  }

  /** The log holds nothing before `firstSeq` any more. */
  forgetBefore(firstSeq: Position): void {
    const kept = this.#chunks.findIndex(({ through }) => through >= firstSeq);
    if (kept !== 0) this.#drop(kept < 0 ? this.#chunks.length : kept);
  }

  /** Whether the event at `seq`, which is about that, was noted. */
  has(seq: Position, { cell, formation }: EventTopic): boolean {
    if (cell === null && formation === null) return false;
    const key = cell === null ? formationKey(formation as string) : cellKey(cell);
    const place = seq > this.#after ? this.#open : this.#chunks.find(({ through }) => through >= seq);
    return place != null && hasAt(place, seq, key);
  }

  /** The first `limit` sequences in (after, until] that have one of the keys; fewer mean that there are no more. */
  first(keys: readonly number[], after: Position, until: Position, limit: number): Position[] {
    const found: Position[] = [];
    const wanted = new WantedKeys(keys);
    for (const chunk of this.#chunks) {
      if (chunk.through <= after) continue;
      if (chunk.after >= until || found.length >= limit) break;
      found.push(...wanted.in(chunk, after, until));
    }
    if (found.length < limit && this.#open !== null) found.push(...wanted.in(this.#open, after, until));
    return found.slice(0, limit);
  }

  /** The last `limit` of them, ascending. */
  last(keys: readonly number[], after: Position, until: Position, limit: number): Position[] {
    const wanted = new WantedKeys(keys);
    const youngestFirst = this.#open === null ? [] : [wanted.in(this.#open, after, until)];
    let size = youngestFirst[0]?.length ?? 0;
    for (const chunk of this.#chunks.toReversed()) {
      if (chunk.after >= until) continue;
      if (chunk.through <= after || size >= limit) break;
      const found = wanted.in(chunk, after, until);
      youngestFirst.push(found);
      size += found.length;
    }
    return limit === 0 ? [] : youngestFirst.toReversed().flat().slice(-limit);
  }

  /** Ends the open chunk, so that all is in chunks. */
  seal(): void {
    const open = this.#open;
    if (open === null || open.size === 0) return;
    const chunk = chunkOf({ after: this.#after, through: this.#last }, open);
    this.#chunks.push(chunk);
    this.#bytes += chunk.bytes;
    this.#after = this.#last;
    open.size = 0;
    this.#trim();
  }

  /** Puts neighbours among these together, as far as they fit one chunk. Returns what stands for them all, in order. */
  join(some: ReadonlySet<IndexChunk>): IndexChunk[] {
    const joined: IndexChunk[] = [];
    const chunks: IndexChunk[] = [];
    let isNeighbour = false;
    for (const chunk of this.#chunks) {
      const isAmong = some.has(chunk);
      const before = isNeighbour && isAmong ? chunks.at(-1) : undefined;
      if (before !== undefined && canMerge(before, chunk, EVENT_INDEX_CHUNK)) {
        const both = merge(before, chunk);
        chunks[chunks.length - 1] = both;
        joined[joined.length - 1] = both;
      } else {
        chunks.push(chunk);
        if (isAmong) joined.push(chunk);
      }
      isNeighbour = isAmong;
    }
    this.#chunks = chunks;
    return joined;
  }

  /** Takes over chunks that were saved, in order; what does not go on where another ends is left out with all before it. */
  restore(floor: Position, chunks: readonly IndexChunk[], through: Position): void {
    let from = chunks.length;
    let after = Number.POSITIVE_INFINITY;
    while (from > 0) {
      const chunk = chunks[from - 1] as IndexChunk;
      if (chunk.after < floor || (chunk.through !== after && after !== Number.POSITIVE_INFINITY)) break;
      after = chunk.after;
      from--;
    }
    this.#chunks = chunks.slice(from);
    this.#bytes = this.#chunks.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#after = this.#chunks.at(-1)?.through ?? (from === 0 ? floor : through);
    this.#last = through;
    this.#open = null;
    this.#trim();
  }

  /** The open chunk with room for an event at `seq`, all of which is in one chunk. */
  #openFor(seq: Position): OpenChunk {
    let open = this.#open;
    if (open === null) {
      const [keys, offsets] = [new Uint32Array(FIRST_SIZE), new Uint16Array(FIRST_SIZE)];
      this.#open = open = { base: seq, size: 0, keys, offsets };
    }
    const isFull = open.size + MAX_KEYS > EVENT_INDEX_CHUNK || seq - open.base >= CHUNK_SPAN;
    if (isFull && open.size > 0) this.seal();
    if (open.size === 0) open.base = seq;
    if (open.size + MAX_KEYS > open.keys.length) grow(open);
    return open;
  }

  #trim(): void {
    let count = 0;
    let bytes = this.#bytes;
    while (bytes > this.#maxBytes && count < this.#chunks.length) {
      bytes -= (this.#chunks[count++] as IndexChunk).bytes;
    }
    if (count > 0) this.#drop(count);
  }

  /** Forgets the oldest chunks. */
  #drop(count: number): void {
    for (const { bytes } of this.#chunks.splice(0, count)) this.#bytes -= bytes;
  }
}

function add(open: OpenChunk, seq: Position, key: number): void {
  open.keys[open.size] = key;
  open.offsets[open.size++] = seq - open.base;
}

function grow(open: OpenChunk): void {
  const size = Math.min(open.keys.length * 4, EVENT_INDEX_CHUNK);
  const { keys, offsets } = open;
  open.keys = new Uint32Array(size);
  open.offsets = new Uint16Array(size);
  open.keys.set(keys);
  open.offsets.set(offsets);
}
