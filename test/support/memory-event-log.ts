// An EventLog in memory, for unit tests of what stands on the port. It passes the same suite as the real one
// (test/suites/event-log.ts), which keeps it honest; what a broker does is done to it by the methods below `close`.
import { MAX_PAGE_BYTES } from '../../src/limits.ts';
import type { Position } from '../../src/model.ts';
import { EventLogError } from '../../src/ports.ts';
import type {
  EventLog,
  LogBounds,
  LogEntry,
  LogFollower,
  LogPage,
  LogPublishOptions,
  LogReadOptions,
} from '../../src/ports.ts';
import { compileFilter } from '../../src/subjects.ts';

/** What a broker keeps: the entries of one stream, and which stream it is. */
class MemoryStream {
  entries: LogEntry[] = [];
  lastSeq: Position = 0;
  incarnation = 1;
  readonly logs = new Set<MemoryEventLog>();

  get bounds(): LogBounds {
    const firstSeq = this.entries[0]?.seq ?? this.lastSeq + 1;
    return { epoch: `epoch-${this.incarnation}`, firstSeq, lastSeq: this.lastSeq };
  }
}

export class MemoryEventLog implements EventLog {
  readonly #stream: MemoryStream;
  #connected = true;
  #follower: LogFollower | null = null;
  #position: Position | 'tail' = 0;
  /** The incarnation that the follower was told of, and whether it is being told of entries. */
  #known: number | null = null;
  #isOpen = false;

  /** Set to hold acknowledgements back: the entry is stored, the publisher does not learn it. */
  loseAcknowledgements = false;

  constructor(stream = new MemoryStream()) {
    this.#stream = stream;
    stream.logs.add(this);
  }

  follow(from: Position | 'tail', follower: LogFollower): void {
    this.#follower = follower;
    this.#position = from;
    // As with a broker, nothing happens before the caller has gone on.
    queueMicrotask(() => {
      if (this.#connected) this.#open();
      else this.#follower?.onLost('not connected');
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

  async publish(subject: string, payload: Uint8Array, options: LogPublishOptions): Promise<Position> {
    this.#requireConnection();
    const { expectedLastOnSubject } = options;
    const last = this.#lastOn(subject)?.seq ?? 0;
    if (expectedLastOnSubject !== undefined && expectedLastOnSubject !== last) {
      throw new EventLogError('conflict', `wrong last sequence: ${last}`);
    }
    const seq = this.append(payload, subject);
    if (!this.loseAcknowledgements) return seq;
    const lost = Promise.withResolvers<never>();
    options.signal.addEventListener('abort', () =>
      lost.reject(new EventLogError('unavailable', 'timed out')),
    );
    return lost.promise;
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
    for (const log of this.#stream.logs) log.#deliver(entry);
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
    const { bounds, entries, incarnation } = this.#stream;
    if (this.#known !== null && this.#known !== incarnation) {
      this.#position = 0;
      follower.onReset(bounds);
    }
    this.#known = incarnation;
    this.#isOpen = true;
    const after = this.#position === 'tail' ? bounds.lastSeq : this.#position;
    follower.onOpened(bounds, after);
    for (const entry of entries) if (entry.seq > after) this.#deliver(entry);
    this.#position = bounds.lastSeq;
    follower.onCaughtUp(bounds.lastSeq);
  }

  #deliver(entry: LogEntry): void {
    if (!this.#isOpen) return;
    this.#position = entry.seq;
    this.#follower?.onEntry(entry);
  }

  #lastOn(subject: string): LogEntry | null {
    return this.#stream.entries.findLast((entry) => entry.subject === subject) ?? null;
  }

  #requireConnection(): void {
    if (!this.#connected) throw new EventLogError('unreachable', 'no connection to the broker');
  }
}
