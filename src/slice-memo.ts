// Slices of frames, kept for the next session at the same place: sessions that come back together are due the same frames,
// and an adapter finds what it made of an array by the array itself.
import type { Frame } from './ports.ts';

const KEPT_SLICES = 16;

export class SliceMemo {
  readonly #slices = new Map<string, readonly Frame[]>();

  /** The slice under `key`, made when it is not there. Frames never change, so what is kept stays right. */
  get(key: string, make: () => readonly Frame[]): readonly Frame[] {
    let slice = this.#slices.get(key);
    if (slice === undefined) {
      this.#slices.set(key, (slice = make()));
      if (this.#slices.size > KEPT_SLICES) this.#slices.delete(this.#slices.keys().next().value as string);
    }
    return slice;
  }

  clear(): void {
    this.#slices.clear();
  }
}
