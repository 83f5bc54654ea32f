// Records in the order of their ids, in runs of some hundred: one that comes is put into its run, so neither a list that grows nor one
// whose records change is made anew as a whole. It reads what the projection holds and changes nothing of it.
import type { Position } from './model.ts';
import { concat, encodeUtf8 } from './utf8.ts';

/** A run of twice as many is split. */
const RUN_RECORDS = 128;

const COMMA = encodeUtf8(',');

interface Listed {
  readonly id: string;
  readonly version: Position;
}

interface Run<Item> {
  readonly items: Item[];
  /** The records' texts, comma-separated, as they were when `version` was the youngest; null when not made yet. */
  bytes: Uint8Array | null;
  version: Position;
}

/** Which records a page has. */
export interface Selection<Item> {
  /** Those behind this id; null for all. */
  readonly after?: string | null;
  readonly limit?: number | undefined;
  readonly accepts?: (item: Item) => boolean;
}

/** `isLast` when nothing that the selection accepts is behind `items`. */
export interface Selected<Item> {
  readonly items: readonly Item[];
  readonly isLast: boolean;
}

/** An order of ids. */
type Order = (a: string, b: string) => number;

export class OrderedRecords<Item extends Listed> {
  readonly #records: { readonly size: number };
  readonly #order: Order;
  /** Hands out each record once. It is never asked beyond the last one: an iterator that has ended stays so. */
  readonly #arrivals: Iterator<Item>;
  #taken = 0;
  #runs: Run<Item>[] = [];

  /** `records` iterate in the order of their insertion and are never removed, as those of a projection. */
  constructor(records: { readonly size: number; values(): Iterator<Item> }, order: Order) {
    this.#records = records;
    this.#order = order;
    this.#arrivals = records.values();
  }

  /** What `toText` makes of all records. */
  texts(toText: (item: Item) => string): string[] {
    return this.#current().flatMap(({ items }) => items.map(toText));
  }

  /** The records' texts between `head` and `tail`. */
  body(toText: (item: Item) => string, head: string, tail: string): Uint8Array<ArrayBuffer> {
    const parts: Uint8Array[] = [encodeUtf8(head)];
    for (const run of this.#current()) {
      const version = youngest(run.items);
      if (run.bytes === null || run.version !== version) {
        run.bytes = encodeUtf8(run.items.map(toText).join(','));
        run.version = version;
      }
      if (parts.length > 1) parts.push(COMMA);
      parts.push(run.bytes);
    }
    parts.push(encodeUtf8(tail));
    return concat(parts);
  }

  /** Costs the way to `after`, and a look at each record from there to the first one that is too many. */
  select({ after = null, limit = Number.POSITIVE_INFINITY, accepts }: Selection<Item>): Selected<Item> {
    const items: Item[] = [];
    if (limit === 0) return { items, isLast: true };
    const isLast = this.#walk(after, false, (item) => {
      if (accepts !== undefined && !accepts(item)) return true;
      if (items.length === limit) return false;
      items.push(item);
      return true;
    });
    return { items, isLast };
  }

  /** The first record whose id begins with `prefix` and which `is` the one; null without one. */
  find(prefix: string, is: (item: Item) => boolean): Item | null {
    let found: Item | null = null;
    this.#walk(prefix, true, (item) => {
      if (!item.id.startsWith(prefix)) return false;
      if (is(item)) found = item;
      return found === null;
    });
    return found;
  }

  /** Visits what is behind `from` (or there) until told to stop with false, and returns whether it came to the end. */
  #walk(from: string | null, isInclusive: boolean, visit: (item: Item) => boolean): boolean {
    const runs = this.#current();
    let at = from === null ? 0 : this.#runOf(from);
    let place = 0;
    if (from !== null && at < runs.length) {
      const { items } = runs[at] as Run<Item>;
      place = this.#placeIn(items, from);
      if (!isInclusive && items[place]?.id === from) place++;
    }
    for (; at < runs.length; at++, place = 0) {
      const { items } = runs[at] as Run<Item>;
      for (; place < items.length; place++) if (!visit(items[place] as Item)) return false;
    }
    return true;
  }

  /** The runs with all records that are there by now. */
  #current(): readonly Run<Item>[] {
    const { size } = this.#records;
    if (this.#taken === size) return this.#runs;
    const isFirst = this.#taken === 0;
    const arrived: Item[] = [];
    for (; this.#taken < size; this.#taken++) arrived.push(this.#arrivals.next().value as Item);
    if (isFirst) this.#build(arrived);
    else for (const item of arrived) this.#insert(item);
    return this.#runs;
  }

  #build(items: Item[]): void {
    items.sort((a, b) => this.#order(a.id, b.id));
    for (let from = 0; from < items.length; from += RUN_RECORDS) {
      this.#runs.push(runOf(items.slice(from, from + RUN_RECORDS)));
    }
  }

  #insert(item: Item): void {
    const at = this.#runOf(item.id);
    const run = this.#runs[at] as Run<Item>;
    run.items.splice(this.#placeIn(run.items, item.id), 0, item);
    run.bytes = null;
    if (run.items.length < 2 * RUN_RECORDS) return;
    this.#runs.splice(at + 1, 0, runOf(run.items.splice(RUN_RECORDS)));
  }

  /** The last run that begins at `id` or before it, else the first. */
  #runOf(id: string): number {
    const end = firstIndex(this.#runs, ({ items }) => this.#order((items[0] as Item).id, id) > 0);
    return Math.max(end - 1, 0);
  }

  /** Where `id` is, or belongs. */
  #placeIn(items: readonly Item[], id: string): number {
    return firstIndex(items, (item) => this.#order(item.id, id) >= 0);
  }
}

function runOf<Item>(items: Item[]): Run<Item> {
  return { items, bytes: null, version: 0 };
}

function youngest(items: readonly Listed[]): Position {
  let version = 0;
  for (const item of items) if (item.version > version) version = item.version;
  return version;
}

/** The first of which `is` says true, where it does so of all behind it. */
function firstIndex<Item>(items: readonly Item[], is: (item: Item) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (is(items[middle] as Item)) high = middle;
    else low = middle + 1;
  }
  return low;
}
