// A map that stays small: what was not used for longest is forgotten.

/**
 * Holds at most `capacity` keys, and for certain those among the last `capacity / 2` different ones that were used. It forgets in
 * halves, so that a use costs a look-up and keeps no order.
 */
export class RecentMap<Value> {
  readonly #half: number;
  #recent = new Map<string, Value>();
  #older = new Map<string, Value>();

  constructor(capacity: number) {
    this.#half = Math.floor(capacity / 2);
  }

  /** Keys that are held, some of them perhaps twice. */
  get size(): number {
    return this.#recent.size + this.#older.size;
  }

  /** Using it keeps it. */
  get(key: string): Value | undefined {
    const recent = this.#recent.get(key);
    if (recent !== undefined) return recent;
    const older = this.#older.get(key);
    if (older !== undefined) this.set(key, older);
    return older;
  }

  set(key: string, value: Value): void {
    if (this.#recent.size >= this.#half && !this.#recent.has(key)) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(key, value);
  }
}
