// The view as the first frames of a session: its records as they were at one sequence, in pages, which all sessions that begin at
// about the same time share. What is captured are texts that the view keeps anyway; pages are put together as they are sent.
import {
  CATCH_UP_BATCH_BYTES,
  MAX_SNAPSHOT_RECORDS,
  SNAPSHOT_KEPT_MS,
  SNAPSHOT_KEPT_PAGES,
} from './limits.ts';
import type { Position } from './model.ts';
import type { Clock, Frame } from './ports.ts';

/** What a client may ask for, in the order in which it is sent. */
export const SNAPSHOT_KINDS = ['formations', 'cells'] as const;

export type SnapshotKind = (typeof SNAPSHOT_KINDS)[number];

/** Where records come from. */
export interface SnapshotSource {
  /** The sequence that the view has reached. */
  readonly cursor: Position;
  /** The stream's incarnation. */
  readonly epoch: string | null;
  /** The JSON texts of all records as they are now, in the order of the lists. */
  readonly recordsOf: (kind: SnapshotKind) => readonly string[];
}

interface Page {
  readonly kind: SnapshotKind;
  readonly from: number;
  readonly to: number;
}

/** The view at `seq`: frames `{"snapshot":{"<kind>":[…]},"seq":N,"epoch":…,"more":…}`, at least one of each kind. */
export class FeedSnapshot {
  readonly seq: Position;
  readonly #epoch: string | null;
  readonly #records = new Map<SnapshotKind, readonly string[]>();
  readonly #pages: Page[] = [];
  readonly #frames = new Map<number, readonly Frame[]>();

  constructor(source: SnapshotSource, kinds: readonly SnapshotKind[]) {
    this.seq = source.cursor;
    this.#epoch = source.epoch;
    for (const kind of kinds) {
      const records = source.recordsOf(kind);
      this.#records.set(kind, records);
      let from = 0;
      do {
        const to = endOfPage(records, from);
        this.#pages.push({ kind, from, to });
        from = to;
      } while (from < records.length);
    }
  }

  get pages(): number {
    return this.#pages.length;
  }

  /** One page, as the same array to all who ask for it at about the same time. */
  page(at: number): readonly Frame[] {
    let frames = this.#frames.get(at);
    if (frames === undefined) {
      frames = [{ seq: this.seq, subject: '', text: this.#textOf(at), name: 'snapshot' }];
      this.#frames.set(at, frames);
      if (this.#frames.size > SNAPSHOT_KEPT_PAGES) {
        this.#frames.delete(this.#frames.keys().next().value as number);
      }
    }
    return frames;
  }

  #textOf(at: number): string {
    const { kind, from, to } = this.#pages[at] as Page;
    const records = (this.#records.get(kind) as readonly string[]).slice(from, to).join(',');
    const tail = JSON.stringify({ seq: this.seq, epoch: this.#epoch, more: at + 1 < this.#pages.length });
    return `{"snapshot":{"${kind}":[${records}]},${tail.slice(1)}`;
  }
}

/** Makes snapshots, and hands out one that is young enough and still adjoins what the feed has in memory. */
export class FeedSnapshots {
  readonly #source: SnapshotSource;
  readonly #clock: Clock;
  readonly #kept = new Map<string, { readonly snapshot: FeedSnapshot; readonly madeAt: number }>();

  constructor(source: SnapshotSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
  }

  /** One that is kept is taken if it is not older than `oldest`. */
  take(kinds: readonly SnapshotKind[], oldest: Position): FeedSnapshot {
    const key = kinds.join();
    const kept = this.#kept.get(key);
    const now = this.#clock.now();
    const isYoung = kept !== undefined && now - kept.madeAt < SNAPSHOT_KEPT_MS && kept.snapshot.seq >= oldest;
    if (isYoung) return kept.snapshot;
    const snapshot = new FeedSnapshot(this.#source, kinds);
    this.#kept.set(key, { snapshot, madeAt: now });
    // A view of 10^5 records must not be kept for nobody.
    this.#clock.after(SNAPSHOT_KEPT_MS, () => {
      if (this.#kept.get(key)?.snapshot === snapshot) this.#kept.delete(key);
    });
    return snapshot;
  }

  /** The view is another one. */
  clear(): void {
    this.#kept.clear();
  }
}

/** As many records as a page may have, and at least one; a record alone may be larger than a page should be. */
function endOfPage(records: readonly string[], from: number): number {
  let to = from;
  let length = 0;
  while (to < records.length && to - from < MAX_SNAPSHOT_RECORDS) {
    length += (records[to] as string).length;
    if (to > from && length > CATCH_UP_BATCH_BYTES) break;
    to++;
  }
  return to;
}
