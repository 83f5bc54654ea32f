// The recent frames, bounded in bytes: most sessions that fall behind or come back find theirs here instead of in the log.
import type { Position } from './model.ts';
import type { Frame } from './ports.ts';
import { SliceMemo } from './slice-memo.ts';

export class FrameRing {
  readonly #maxBytes: number;
  #frames: Frame[] = [];
  /** Frames before this index were dropped; the array is cut when they are many. */
  #start = 0;
  #bytes = 0;
  #floor: Position = 0;
  #pushedBytes = 0;
  readonly #slices = new SliceMemo();

  /** `maxBytes` counts UTF-16 units of frames, which is their size for ASCII. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Everything after this position that the log delivered is here. */
  get floor(): Position {
    return this.#floor;
  }

  /** The sequence of the youngest frame, or the floor when there is none. */
  get lastSeq(): Position {
    return this.#frames.at(-1)?.seq ?? this.#floor;
  }

  /** All that was ever pushed; a session's backlog is the difference to what this was when it was last level. */
  get pushedBytes(): number {
    return this.#pushedBytes;
  }

  /** What the frames in it take. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Forgets all frames; the ring then covers what comes after `floor`. */
  reset(floor: Position): void {
    this.#frames = [];
    this.#start = 0;
    this.#bytes = 0;
    this.#floor = floor;
    this.#slices.clear();
  }

  push(frame: Frame): void {
    this.#frames.push(frame);
    this.#bytes += frame.text.length;
    this.#pushedBytes += frame.text.length;
    while (this.#bytes > this.#maxBytes) {
      const dropped = this.#frames[this.#start++] as Frame;
      this.#bytes -= dropped.text.length;
      this.#floor = dropped.seq;
    }
    if (this.#start > 4096 && this.#start * 2 > this.#frames.length) {
      this.#frames = this.#frames.slice(this.#start);
      this.#start = 0;
    }
  }

  /**
   * Frames in (after, until], as many as fit `maxBytes` and at least one. Slices are kept, so `until` must not lie beyond what
   * was pushed; `after` must not lie below the floor.
   */
  slice(after: Position, until: Position, maxBytes: number): readonly Frame[] {
    return this.#slices.get(`${after} ${until} ${maxBytes}`, () => this.cut(after, until, maxBytes));
  }

  /** The same without being kept. */
  cut(after: Position, until: Position, maxBytes: number): Frame[] {
    const frames: Frame[] = [];
    let bytes = 0;
    for (let at = this.#firstAfter(after); at < this.#frames.length; at++) {
      const frame = this.#frames[at] as Frame;
      if (frame.seq > until) break;
      bytes += frame.text.length;
      if (frames.length > 0 && bytes > maxBytes) break;
      frames.push(frame);
    }
    return frames;
  }

  #firstAfter(seq: Position): number {
    let low = this.#start;
    let high = this.#frames.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#frames[middle] as Frame).seq <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
