// The index of events in a checkpoint: how a chunk is spelled as a row of a block, and which block holds which chunk. Chunks have blocks
// of their own, and neighbours that are written together become one.
import type { Piece } from './checkpoint-blocks.ts';
import { IndexChunk } from './event-index-chunk.ts';
import type { EventIndex } from './event-index.ts';
import type { Position } from './model.ts';

/** Of a row without its bytes. */
const ROW_LENGTH = 40;

/** Which kind of row it is, beside those of checkpoint-blocks.ts. */
export const CHUNK = 2;

export type ChunkRow = readonly [
  kind: typeof CHUNK,
  after: Position,
  through: Position,
  base: Position,
  /** Base64 of the bytes of both arrays, little-endian. */
  keys: string,
  offsets: string,
];

function pieceOfChunk(chunk: IndexChunk): Piece<IndexChunk> {
  const { after, through, base, keys, offsets } = chunk;
  const row: ChunkRow = [CHUNK, after, through, base, toBase64(keys), toBase64(offsets)];
  return { record: chunk, text: JSON.stringify(row) };
}

/** Throws when the row is no chunk. */
export function parseChunk([, after, through, base, keys, offsets]: ChunkRow): IndexChunk {
  const chunk = new IndexChunk(
    { after, through, base },
    new Uint32Array(fromBase64(keys)),
    new Uint16Array(fromBase64(offsets)),
  );
  if (chunk.keys.length !== chunk.offsets.length) throw new RangeError('a chunk is of two lengths');
  return chunk;
}

/** About how long their rows are. */
export function lengthOfChunks(chunks: Iterable<IndexChunk>): number {
  let length = 0;
  for (const { bytes } of chunks) length += ROW_LENGTH + (bytes * 4) / 3;
  return length;
}

/** The chunks that the store holds. */
export class KeptChunks {
  #blocks = new Map<IndexChunk, number>();

  clear(): void {
    this.#blocks.clear();
  }

  /** What is to be written of an index, all of which is then in chunks; and how many chunks have left each block since. */
  compare(index: EventIndex): { fresh: Set<IndexChunk>; gone: number[] } {
    index.seal();
    const present = new Set(index.chunks);
    const gone: number[] = [];
    for (const [chunk, block] of this.#blocks) if (!present.has(chunk)) gone.push(block);
    const fresh = new Set(index.chunks.filter((chunk) => !this.#blocks.has(chunk)));
    return { fresh, gone };
  }

  /** Those that are in one of the blocks, and in the index still. */
  *within(blocks: ReadonlySet<number>, index: EventIndex): Generator<[chunk: IndexChunk, block: number]> {
    for (const chunk of index.chunks) {
      const block = this.#blocks.get(chunk);
      if (block !== undefined && blocks.has(block)) yield [chunk, block];
    }
  }

  /** The pieces that stand for these chunks from now on, in the index as well. */
  pieces(index: EventIndex, chunks: ReadonlySet<IndexChunk>): Piece<IndexChunk>[] {
    return index.join(chunks).map(pieceOfChunk);
  }

  /** A save was made: `present` is what the index then held, `written` says which of it is in new blocks. */
  saved(present: readonly IndexChunk[], written: ReadonlyMap<IndexChunk, number>): void {
    this.#blocks = new Map(
      present.map((chunk) => [chunk, written.get(chunk) ?? (this.#blocks.get(chunk) as number)]),
    );
  }

  /**
   * Puts what was found, youngest block first, into an index that reaches back to `floor`; returns the blocks of those that count, once
   * for each. One that covers a part of a younger one was superseded.
   */
  restore(
    index: EventIndex,
    found: readonly { readonly chunk: IndexChunk; readonly block: number }[],
    { floor, through }: { readonly floor: Position; readonly through: Position },
  ): number[] {
    const counting = new Map<IndexChunk, number>();
    for (const { chunk, block } of found) {
      const overlaps = (other: IndexChunk) => chunk.after < other.through && other.after < chunk.through;
      if (![...counting.keys()].some(overlaps)) counting.set(chunk, block);
    }
    index.restore(
      floor,
      [...counting.keys()].sort((a, b) => a.after - b.after),
      through,
    );
    this.#blocks = new Map(index.chunks.map((chunk) => [chunk, counting.get(chunk) as number]));
    return [...this.#blocks.values()];
  }
}

/** Bytes that are one call's arguments. */
const SLICE_BYTES = 8192;

function toBase64({ buffer, byteOffset, byteLength }: Uint32Array | Uint16Array): string {
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  let binary = '';
  for (let from = 0; from < byteLength; from += SLICE_BYTES) {
    binary += String.fromCharCode(...bytes.subarray(from, from + SLICE_BYTES));
  }
  return btoa(binary);
}

function fromBase64(text: string): ArrayBuffer {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes.buffer;
}
