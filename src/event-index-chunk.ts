// A piece of the index of events: which keys occur at which sequences of one range, in their order, six bytes an occurrence. Reading one through
// takes some ten microseconds, less than it would take to keep it sorted. It is never changed; a younger one takes the place of several.
import type { Position } from './model.ts';

/** Sequences that a chunk can tell apart from its first. */
export const CHUNK_SPAN = 65_536;

/** Bytes of one occurrence. */
export const OCCURRENCE_BYTES = 6;

/** Occurrences, of which the first `size` count. */
export interface Occurrences {
  /** What offsets count from. */
  readonly base: Position;
  readonly size: number;
  readonly keys: Uint32Array;
  readonly offsets: Uint16Array;
}

/** It tells about everything in (after, through]. */
interface Range {
  readonly after: Position;
  readonly through: Position;
}

export class IndexChunk implements Occurrences {
  readonly after: Position;
  readonly through: Position;
  readonly base: Position;
  readonly keys: Uint32Array;
  readonly offsets: Uint16Array;

  /** Takes the arrays over. */
  constructor({ after, through, base }: Range & { base: Position }, keys: Uint32Array, offsets: Uint16Array) {
    this.after = after;
    this.through = through;
    this.base = base;
    this.keys = keys;
    this.offsets = offsets;
  }

  get size(): number {
    return this.keys.length;
  }

  get bytes(): number {
    return this.size * OCCURRENCE_BYTES;
  }
}

/** Keys that are looked for: a table of their low bits keeps nearly all others from being looked up. */
export class WantedKeys {
  readonly #keys: ReadonlySet<number>;
  readonly #lowBits: Uint8Array;

  constructor(keys: readonly number[]) {
    this.#keys = new Set(keys);
    this.#lowBits = new Uint8Array(this.#keys.size > 1 ? 0x10000 : 0);
    if (this.#keys.size > 1) for (const key of keys) this.#lowBits[key & 0xffff] = 1;
  }

  /** The sequences in (after, until] that have one of the keys, ascending, each once. */
  in(occurrences: Occurrences, after: Position, until: Position): Position[] {
    const { base, offsets } = occurrences;
    const found: Position[] = [];
    for (const at of this.#keys.size > 1 ? this.#placesOfAny(occurrences) : this.#placesOfOne(occurrences)) {
      const seq = base + (offsets[at] as number);
      // An event may have two of the keys.
      if (seq > after && seq <= until && found.at(-1) !== seq) found.push(seq);
    }
    return found;
  }

  /** The engine's own search is several times as fast as a loop. */
  #placesOfOne({ keys, size }: Occurrences): number[] {
    const places: number[] = [];
    for (const key of this.#keys) {
      for (let at = keys.indexOf(key); at >= 0 && at < size; at = keys.indexOf(key, at + 1)) places.push(at);
    }
    return places;
  }

  #placesOfAny({ keys, size }: Occurrences): number[] {
    const wanted = this.#keys;
    const lowBits = this.#lowBits;
    const places: number[] = [];
    for (let at = 0; at < size; at++) {
      const key = keys[at] as number;
      if (lowBits[key & 0xffff] === 1 && wanted.has(key)) places.push(at);
    }
    return places;
  }
}

/** Whether the event at `seq` has the key. However many others have it: history asks for each of its events. */
export function hasAt({ base, size, keys, offsets }: Occurrences, seq: Position, key: number): boolean {
  const offset = seq - base;
  let low = 0;
  let high = size;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((offsets[middle] as number) < offset) low = middle + 1;
    else high = middle;
  }
  for (; low < size && offsets[low] === offset; low++) if (keys[low] === key) return true;
  return false;
}

/** A chunk with a copy of these occurrences. */
export function chunkOf(range: Range, { base, size, keys, offsets }: Occurrences): IndexChunk {
  return new IndexChunk({ ...range, base }, keys.slice(0, size), offsets.slice(0, size));
}

/** Whether one chunk could hold both, of which the second goes on where the first ends. */
export function canMerge(first: IndexChunk, second: IndexChunk, maxSize: number): boolean {
  return first.size + second.size <= maxSize && second.through - first.base < CHUNK_SPAN;
}

export function merge(first: IndexChunk, second: IndexChunk): IndexChunk {
  const size = first.size + second.size;
  const keys = new Uint32Array(size);
  const offsets = new Uint16Array(size);
  keys.set(first.keys);
  keys.set(second.keys, first.size);
  offsets.set(first.offsets);
  const shift = second.base - first.base;
  for (let at = 0; at < second.size; at++) offsets[first.size + at] = (second.offsets[at] as number) + shift;
  return new IndexChunk({ after: first.after, through: second.through, base: first.base }, keys, offsets);
}
