// Pages of the log for sessions whose position is older than the ring. Pages begin and end at fixed sequences, so that sessions
// that come back together share them, and a bounded number is read at once: each read costs the broker a consumer.
import { decodeEntry, frameText } from './cloudevents.ts';
import {
  FEED_REPORT_MS,
  HISTORY_CACHED_PAGES,
  HISTORY_PAGE_SEQUENCES,
  HISTORY_READERS,
  READ_TIMEOUT_MS,
} from './limits.ts';
import type { Position } from './model.ts';
import { type Believer, pastTopic } from './past-topic.ts';
import type { Clock, EventLog, Frame, Log, LogBounds } from './ports.ts';
import { SliceMemo } from './slice-memo.ts';

export class HistoryPage {
  /** Everything up to here is in the page or has no frame. */
  readonly through: Position;
  /** The log's, when the page was read. */
  readonly bounds: LogBounds;
  readonly #frames: readonly Frame[];
  readonly #slices = new SliceMemo();

  constructor(frames: readonly Frame[], through: Position, bounds: LogBounds) {
    this.#frames = frames;
    this.through = through;
    this.bounds = bounds;
  }

  /** Its frames in (after, until]. */
  slice(after: Position, until: Position): readonly Frame[] {
    return this.#slices.get(`${after} ${until}`, () =>
      this.#frames.filter((frame) => frame.seq > after && frame.seq <= until),
    );
  }
}

export class FeedHistory {
  readonly #log: EventLog;
  readonly #view: Believer;
  readonly #clock: Clock;
  readonly #logger: Log;
  #reportedAt = 0;
  readonly #pages = new Map<Position, Promise<HistoryPage>>();
  readonly #waiting: (() => void)[] = [];
  #reading = 0;

  constructor(log: EventLog, view: Believer, clock: Clock, logger: Log) {
    this.#log = log;
    this.#view = view;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** A page that goes on behind `position`, or ends there if nothing does. Throws EventLogError. */
  async pageAfter(position: Position): Promise<HistoryPage> {
    const start = position - (position % HISTORY_PAGE_SEQUENCES);
    if (start !== position && !this.#pages.has(position)) {
      const page = await this.#pageFrom(start);
      if (page.through > position) return page;
      // Full before it came there, or the log has dropped what it begins with.
    }
    return this.#pageFrom(position);
  }

  #pageFrom(position: Position): Promise<HistoryPage> {
    const known = this.#pages.get(position);
    if (known !== undefined) return known;
    const until = position - (position % HISTORY_PAGE_SEQUENCES) + HISTORY_PAGE_SEQUENCES;
    const page = this.#read(position, until);
    this.#pages.set(position, page);
    // A page that failed, or that the log had not filled yet, is asked for again; an old one makes room.
    const forget = () => {
      if (this.#pages.get(position) === page) this.#pages.delete(position);
    };
    page.then(
      ({ through, bounds }) => {
        if (through < until && through >= bounds.lastSeq) forget();
      },
      (error: unknown) => {
        forget();
        this.#report(error);
      },
    );
    if (this.#pages.size > HISTORY_CACHED_PAGES)
      this.#pages.delete(this.#pages.keys().next().value as Position);
    return page;
  }

  /** Forgets the pages: the log is another one, or the floor may have risen. */
  clear(): void {
    this.#pages.clear();
  }

  /** Sessions ask again many times a second: a line now and then is enough. */
  #report(error: unknown): void {
    const now = this.#clock.now();
    if (now - this.#reportedAt < FEED_REPORT_MS) return;
    this.#reportedAt = now;
    this.#logger.warn('feed sessions wait for history that cannot be read', { error: String(error) });
  }

  async #read(after: Position, until: Position): Promise<HistoryPage> {
    // Who waits takes over the place of who is done: one that were free in between could be taken twice.
    if (this.#reading < HISTORY_READERS) this.#reading++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      const signal = AbortSignal.timeout(READ_TIMEOUT_MS);
      const limit = HISTORY_PAGE_SEQUENCES;
      const { entries, through, bounds } = await this.#log.read({ after, until, limit, signal });
      const frames: Frame[] = [];
      let reached = after;
      let isChecked = false;
      for (const entry of entries) {
        const { seq, subject, text, event } = decodeEntry(entry);
        if (seq > reached + 1 && !isChecked) {
          // Deleted, or dropped by the log since the bounds were asked for: only what is behind the floor may be missing unsaid.
          const now = await this.#log.bounds();
          if (hasGap(reached, now)) return new HistoryPage(frames, reached, now);
          isChecked = true;
        }
        reached = seq;
        if (text === null) continue;
        const topic = pastTopic(this.#view, entry, { event });
        frames.push({
          seq,
          subject,
          text: frameText(seq, text),
          topic: topic instanceof Promise ? await topic : topic,
        });
      }
      if (reached < through && !isChecked) {
        const now = await this.#log.bounds();
        if (hasGap(reached, now)) return new HistoryPage(frames, reached, now);
      }
      return new HistoryPage(frames, through, bounds);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#reading--;
      else next();
    }
  }
}

/** Whether a `since` is too old. Contract section 7: 0 means "from the oldest retained", which never is. */
export function belowFloor(since: Position, bounds: LogBounds): boolean {
  return since > 0 && hasGap(since, bounds);
}

/** Whether the log has dropped what comes next for who is at `cursor`. */
export function hasGap(cursor: Position, bounds: LogBounds): boolean {
  return cursor + 1 < bounds.firstSeq;
}
