// Between the log and the view: entries are read, and what is told of the tail comes out in the order in which it went in, however long
// a signature takes. While nothing is being verified everything passes at once, so unsigned events wait for nothing and nobody.
import type { EntryReader } from './entry-reader.ts';
import { Fifo } from './fifo.ts';
import { MAX_WAITING_BYTES, MAX_WAITING_ENTRIES } from './limits.ts';
import type { EventEntry, Position } from './model.ts';
import type { EventLog, LogAnchor, LogEntry, LogFollower } from './ports.ts';

/** Told of the tail as by the log, but of entries that have been read. */
export interface EntryFollower extends Omit<LogFollower, 'onEntry'> {
  onEntry: (entry: EventEntry) => void;
}

/** What waits for its turn. */
interface Waiting {
  /** Null until the entry has been read. */
  run: (() => void) | null;
  /** Of the log when it was told: where the view will be. */
  readonly anchor: LogAnchor | null;
  readonly bytes: number;
}

export class Intake {
  readonly #log: EventLog;
  readonly #reader: EntryReader;
  readonly #waiting = new Fifo<Waiting>();
  #waitingBytes = 0;
  /** Where the view is while something waits, or null when that is not known. */
  #anchor: LogAnchor | null = null;
  /** Settles when the one that waited first has had its turn. */
  #first: Promise<void> = Promise.resolve();
  /** How many want the log to be paused. */
  #pauses = 0;
  #isFull = false;

  constructor(log: EventLog, reader: EntryReader) {
    this.#log = log;
    this.#reader = reader;
  }

  /** Follows the log; called once. */
  follow(from: Position | 'tail' | LogAnchor, follower: EntryFollower): void {
    this.#log.follow(from, {
      onOpened: (bounds, after) => this.#inTurn(() => follower.onOpened(bounds, after)),
      onEntry: (entry) => this.#entry(entry, follower),
      onCaughtUp: (position) => this.#inTurn(() => follower.onCaughtUp(position)),
      onReset: (bounds) => this.#inTurn(() => follower.onReset(bounds)),
      onLost: (reason) => this.#inTurn(() => follower.onLost(reason)),
    });
  }

  /** How far the follower was served; null also for the moment in which the first one of several waits for its signature. */
  get anchor(): LogAnchor | null {
    return this.#waiting.length === 0 ? this.#log.anchor : this.#anchor;
  }

  /** Resolves when `anchor` is known, which is a signature away at most; never rejects. */
  whenAnchored(): Promise<void> {
    return this.#waiting.length === 0 ? Promise.resolve() : this.#first;
  }

  /** Pauses the log until all who did so have called `resume`; what waits here still comes. */
  pause(): void {
    if (this.#pauses++ === 0) this.#log.pause();
  }

  resume(): void {
    if (--this.#pauses === 0) this.#log.resume();
  }

  #entry(entry: LogEntry, follower: EntryFollower): void {
    const read = this.#reader.read(entry);
    if (!(read instanceof Promise)) {
      // Nearly always so: not even a function is made.
      if (this.#waiting.length === 0) follower.onEntry(read);
      else this.#wait(() => follower.onEntry(read), entry.payload.byteLength);
      return;
    }
    const waiting = this.#wait(null, entry.payload.byteLength);
    // The reader never rejects.
    const turn = read.then((verified) => {
      waiting.run = () => follower.onEntry(verified);
      if (this.#waiting.head === waiting) this.#drain();
    });
    if (this.#waiting.length === 1) this.#first = turn;
  }

  #inTurn(run: () => void): void {
    if (this.#waiting.length === 0) run();
    else this.#wait(run, 0);
  }

  #wait(run: Waiting['run'], bytes: number): Waiting {
    if (this.#waiting.length === 0) this.#anchor = null;
    const waiting = { run, anchor: this.#log.anchor, bytes };
    this.#waiting.push(waiting);
    this.#waitingBytes += bytes;
    if (this.#waiting.length >= MAX_WAITING_ENTRIES || this.#waitingBytes >= MAX_WAITING_BYTES) this.#fill();
    return waiting;
  }

  #drain(): void {
    for (let next = this.#waiting.head; next?.run; next = this.#waiting.head) {
      this.#waiting.shift();
      this.#waitingBytes -= next.bytes;
      this.#anchor = next.anchor;
      next.run();
    }
    if (
      this.#isFull &&
      this.#waiting.length <= MAX_WAITING_ENTRIES / 2 &&
      this.#waitingBytes <= MAX_WAITING_BYTES / 2
    ) {
      this.#isFull = false;
      this.resume();
    }
  }

  #fill(): void {
    if (this.#isFull) return;
    this.#isFull = true;
    this.pause();
  }
}
