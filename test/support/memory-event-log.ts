// An EventLog in memory, for unit tests of what stands on the port. It passes the same suite as the real one
// (test/suites/event-log.ts), which keeps it honest; what a broker does is done to it by the methods below `close`.
import { MAX_PAGE_BYTES } from '../../src/limits.ts';
import type { Position } from '../../src/model.ts';
import { EventLogError } from '../../src/ports.ts';
import type {
  EventLog,
  LogAcknowledgement,
  LogAnchor,
  LogBounds,
  LogEntry,
  LogFollower,
  LogPage,
  LogPublishOptions,
  LogReadOptions,
} from '../../src/ports.ts';
import { compileFilter } from '../../src/subjects.ts';

/** Entries that still come after `pause`, as from a broker that was asked for them before. */
const UNDER_WAY = 3;

/** What a broker keeps: the entries of one stream, and which stream it is. */
class MemoryStream {
  entries: LogEntry[] = [];
  lastSeq: Position = 0;
  incarnation = 1;
  /** For as long as a test takes, which is less than a duplicate window. */
  readonly messageIds = new Map<string, Position>();
  readonly logs = new Set<MemoryEventLog>();

  get bounds(): LogBounds {
    const firstSeq = this.entries[0]?.seq ?? this.lastSeq + 1;
    return { epoch: `epoch-${this.incarnation}`, firstSeq, lastSeq: this.lastSeq };
  }

  /** The broker's time of an entry; no two incarnations stored it at the same. */
  nanosOf(seq: Position): string {
    return `17${String(this.incarnation).padStart(5, '0')}${String(seq).padStart(12, '0')}`;
  }

  /** The oldest entry behind a position. */
  after(position: Position): LogEntry | undefined {
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.entries[middle] as LogEntry).seq <= position) low = middle + 1;
      else high = middle;
    }
    return this.entries[low];
  }

  /** Whether it is the one that the anchor was taken on. */
  fits({ position, epoch, timestamp }: LogAnchor): boolean {
    if (epoch !== this.bounds.epoch || position > this.lastSeq) return false;
    const isKept = timestamp !== null && this.after(timestamp.seq - 1)?.seq === timestamp.seq;
    return !isKept || timestamp.nanos === this.nanosOf(timestamp.seq);
  }
}

export class MemoryEventLog implements EventLog {
  readonly #stream: MemoryStream;
  #connected = true;
  #follower: LogFollower | null = null;
  #position: Position | 'tail' = 0;
  /** What the follower was told of; null before the first contact of one that had no anchor. */
  #epoch: string | null = null;
  #timestamp: LogAnchor['timestamp'] = null;
  /** Whether the follower is being told of entries. */
  #isOpen = false;
  /** Where it is caught up; null when it is. */
  #target: Position | null = null;
  #isDelivering = false;
  #isPaused = false;
  #underWay = 0;
  #isRenewing = false;

  /** What befalls publishes: stored but not acknowledged, neither, or refused. */
  fault: 'unacknowledged' | 'lost' | 'full' | null = null;

  constructor(stream = new MemoryStream()) {
    this.#stream = stream;
    stream.logs.add(this);
  }

  follow(from: Position | 'tail' | LogAnchor, follower: LogFollower): void {
    this.#follower = follower;
    if (typeof from === 'object') {
      this.#position = from.position;
      this.#epoch = from.epoch;
      this.#timestamp = from.timestamp;
    } else {
      this.#position = from;
    }
    // As with a broker, nothing happens before the caller has gone on.
    queueMicrotask(() => {
      if (this.#connected) this.#open();
      else this.#follower?.onLost('not connected');
    });
  }

  get anchor(): LogAnchor | null {
    const [position, epoch, timestamp] = [this.#position, this.#epoch, this.#timestamp];
    return epoch === null || position === 'tail' ? null : { position, epoch, timestamp };
  }

  /** A log in memory never fails to come back. */
  get contactAt(): number {
    return Date.now();
  }

  pause(): void {
    if (!this.#isPaused) this.#underWay = UNDER_WAY;
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    queueMicrotask(() => this.#deliver());
  }

  async renew(): Promise<void> {
    this.#requireConnection();
    if (this.#isRenewing) return;
    this.#isRenewing = true;
    // The new connection takes its time, then the old one is let go before the new one is asked.
    await Promise.resolve();
    this.#isOpen = false;
    queueMicrotask(() => {
      this.#isRenewing = false;
      if (this.#connected) this.#open();
    });
  }

  async read({ after, until, limit, filter }: LogReadOptions): Promise<LogPage> {
    const bounds = await this.bounds();
    const end = Math.min(until ?? bounds.lastSeq, bounds.lastSeq);
    if (after >= end) return { entries: [], through: end, bounds };
    if (bounds.firstSeq > end) return { entries: [], through: bounds.firstSeq - 1, bounds };
    const matches = compileFilter(filter ?? '>');
    const due = this.#stream.entries.filter(
      ({ seq, subject }) => seq > after && seq <= end && matches(subject),
    );
    const entries: LogEntry[] = [];
    let bytes = 0;
    for (const entry of due) {
      if (entries.length === limit || bytes >= MAX_PAGE_BYTES) break;
      entries.push(entry);
      bytes += entry.payload.byteLength;
    }
    const through = due.length > entries.length ? (entries.at(-1) as LogEntry).seq : end;
    return { entries, through, bounds };
  }

  async *entries(sequences: readonly Position[], signal: AbortSignal): AsyncGenerator<LogEntry> {
    for (const seq of sequences) {
      this.#requireConnection();
      if (signal.aborted) throw new EventLogError('unavailable', 'timed out');
      const entry = this.#stream.after(seq - 1);
      if (entry?.seq === seq) yield entry;
    }
  }

  async publish(
    subject: string,
    payload: Uint8Array,
    { messageId, expectedLast, expectedLastOnSubject, signal }: LogPublishOptions,
  ): Promise<LogAcknowledgement> {
    this.#requireConnection();
    if (signal.aborted) throw new EventLogError('unavailable', 'timed out');
    const { fault } = this;
    if (fault === 'full') throw new EventLogError('full', 'maximum bytes exceeded');
    // As a single broker does, before it looks at the message id.
    const wrong = (expected: Position | undefined, last: Position) =>
      expected !== undefined && expected !== last;
    if (
      wrong(expectedLastOnSubject, this.#lastOn(subject)?.seq ?? 0) ||
      wrong(expectedLast, this.#stream.lastSeq)
    ) {
      throw new EventLogError('conflict', 'wrong last sequence');
    }
    const stored = this.#stream.messageIds.get(messageId);
    if (fault === 'lost') throw new EventLogError('unavailable', 'no answer');
    const seq = stored ?? this.append(payload, subject);
    this.#stream.messageIds.set(messageId, seq);
    if (fault === 'unacknowledged') throw new EventLogError('unavailable', 'no answer');
    return { seq, isDuplicate: stored !== undefined };
  }

  async last(subject: string): Promise<LogEntry | null> {
    this.#requireConnection();
    return this.#lastOn(subject);
  }

  async bounds(): Promise<LogBounds> {
    this.#requireConnection();
    return this.#stream.bounds;
  }

  async close(): Promise<void> {
    this.#follower = null;
    this.#stream.logs.delete(this);
  }

  /** Another server's log on the same stream. */
  another(): MemoryEventLog {
    return new MemoryEventLog(this.#stream);
  }

  /** Another writer's event; a string is sent as it is, anything else as JSON. */
  append(payload: unknown, subject = 'cellos.events.v1'): Position {
    const bytes =
      payload instanceof Uint8Array
        ? payload
        : new TextEncoder().encode(typeof payload === 'string' ? payload : JSON.stringify(payload));
    const entry = { seq: ++this.#stream.lastSeq, subject, payload: bytes };
    this.#stream.entries.push(entry);
    for (const log of this.#stream.logs) log.#deliver();
    return entry.seq;
  }

  disconnect(reason = 'cut'): void {
    this.#connected = false;
    this.#isOpen = false;
    this.#follower?.onLost(reason);
  }

  connect(): void {
    this.#connected = true;
    this.#open();
  }

  /** The stream is deleted and made anew, which a connected log finds out by itself. */
  replace(): void {
    this.#stream.entries = [];
    this.#stream.messageIds.clear();
    this.#stream.lastSeq = 0;
    this.#stream.incarnation++;
    for (const log of this.#stream.logs) if (log.#connected) log.#open();
  }

  /** Removes everything up to `through`, as retention does. */
  purge(through: Position): void {
    this.#stream.entries = this.#stream.entries.filter((entry) => entry.seq > through);
  }

  remove(seq: Position): void {
    this.#stream.entries = this.#stream.entries.filter((entry) => entry.seq !== seq);
  }

  #open(): void {
    const follower = this.#follower;
    if (follower === null) return;
    const { bounds } = this.#stream;
    const known = this.anchor;
    if (known !== null && !this.#stream.fits(known)) {
      this.#position = 0;
      this.#timestamp = null;
      follower.onReset(bounds);
    }
    const after = this.#position === 'tail' ? bounds.lastSeq : this.#position;
    this.#position = after;
    this.#epoch = bounds.epoch;
    this.#isOpen = true;
    this.#target = bounds.lastSeq;
    // What was asked for before is for nobody.
    this.#underWay = 0;
    follower.onOpened(bounds, after);
    this.#deliver();
  }

  /** Tells of what is due. What a follower does meanwhile is seen in the next turn. */
  #deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    try {
      while (this.#isOpen && this.#follower !== null) {
        const entry = this.#stream.after(this.#position as Position);
        if (this.#target !== null && (entry === undefined || entry.seq > this.#target)) {
          this.#position = Math.max(this.#position as Position, this.#target);
          this.#target = null;
          this.#follower.onCaughtUp(this.#position);
          continue;
        }
        if (entry === undefined || (this.#isPaused && this.#underWay-- <= 0)) break;
        this.#position = entry.seq;
        this.#timestamp = { seq: entry.seq, nanos: this.#stream.nanosOf(entry.seq) };
        this.#follower.onEntry(entry);
      }
    } finally {
      this.#isDelivering = false;
    }
  }

  #lastOn(subject: string): LogEntry | null {
    return this.#stream.entries.findLast((entry) => entry.subject === subject) ?? null;
  }

  #requireConnection(): void {
    if (!this.#connected) throw new EventLogError('unreachable', 'no connection to the broker');
  }
}
