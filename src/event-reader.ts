// The events of one cell or one formation from the log, in order, a batch at a time: the index says where they are, and they are read
// one by one. What lies below the index is read through.
import { decodeEntry } from './cloudevents.ts';
import { keysOf } from './event-index.ts';
import { isWithin, topicOf } from './event-topic.ts';
import { CATCH_UP_BATCH_BYTES, EVENT_LOOKUP_BATCH, HISTORY_PAGE_SEQUENCES } from './limits.ts';
import type { EventEntry, EventScope, Position } from './model.ts';
import { type EventLog, EventLogError, type LogEntry } from './ports.ts';
import { type Believer, pastTopic } from './past-topic.ts';
import type { ProjectionState } from './projection.ts';
import { eventWithin } from './signed-envelopes.ts';

/** A log, and the view of it as it is now. */
export interface EventSource extends Believer {
  readonly log: EventLog;
}

/** An event that was found; it has a text. */
export type FoundEvent = Pick<EventEntry, 'seq' | 'subject' | 'event'> & { readonly text: string };

export class EventReader {
  readonly #source: EventSource;
  readonly #scope: EventScope;
  readonly #state: ProjectionState;
  readonly #keys: readonly number[];
  readonly #until: Position;
  #position: Position;

  /** Reads (after, until]; what the view has not got yet is not found. */
  constructor(source: EventSource, scope: EventScope, after: Position, until: Position) {
    this.#source = source;
    this.#scope = scope;
    this.#state = source.state;
    this.#keys = keysOf(scope, source.state);
    this.#position = after;
    this.#until = until;
  }

  /** Everything up to here was looked at. */
  get position(): Position {
    return this.#position;
  }

  get isDone(): boolean {
    return this.#position >= this.#until;
  }

  /** The next events, at most `limit` and perhaps none, also before the end. Throws EventLogError. */
  async next(limit: number, signal: AbortSignal): Promise<FoundEvent[]> {
    if (this.#source.state !== this.#state) throw new EventLogError('unavailable', 'the view is another one');
    const { floor } = this.#state.index;
    if (this.#position < floor) return this.#scan(Math.min(floor, this.#until), limit, signal);
    return this.#lookUp(Math.min(limit, EVENT_LOOKUP_BATCH), signal);
  }

  async #lookUp(limit: number, signal: AbortSignal): Promise<FoundEvent[]> {
    const until = this.#until;
    const sequences = this.#state.index.first(this.#keys, this.#position, until, limit);
    const found: FoundEvent[] = [];
    let bytes = 0;
    for await (const entry of this.#source.log.entries(sequences, signal)) {
      this.#position = entry.seq;
      const event = await this.#toFound(entry);
      if (event === null) continue;
      found.push(event);
      bytes += entry.payload.byteLength;
      if (bytes >= CATCH_UP_BATCH_BYTES) return found;
    }
    this.#position = sequences.length < limit ? until : (sequences.at(-1) as Position);
    return found;
  }

  async #scan(until: Position, limit: number, signal: AbortSignal): Promise<FoundEvent[]> {
    const options = { after: this.#position, until, limit: HISTORY_PAGE_SEQUENCES, signal };
    const { entries, through } = await this.#source.log.read(options);
    const found: FoundEvent[] = [];
    for (const entry of entries) {
      const event = await this.#toFound(entry);
      if (event !== null) found.push(event);
      if (found.length < limit) continue;
      this.#position = entry.seq;
      return found;
    }
    this.#position = Math.max(through, this.#position);
    // The log has nothing of that range.
    if (entries.length === 0) this.#position = Math.max(until, this.#position);
    return found;
  }

  async #toFound(entry: LogEntry): Promise<FoundEvent | null> {
    const { seq, subject, text, event } = decodeEntry(entry);
    const { cells } = this.#state;
    // What is somebody else's by its own words is not worth a look at its signature.
    if (text === null || !isWithin(this.#scope, topicOf(eventWithin(event)), cells)) return null;
    const topic = await pastTopic(this.#source, entry, { event });
    return isWithin(this.#scope, topic, cells) ? { seq, subject, text, event } : null;
  }
}

/**
 * The position behind which a scope has its last `count` events in (after, until]; `after` when it has no more than those. `signal` is
 * called for each read.
 */
export async function startOfTail(
  source: EventSource,
  scope: EventScope,
  {
    after,
    until,
    count,
    signal,
  }: { after: Position; until: Position; count: number; signal: () => AbortSignal },
): Promise<Position> {
  const { index } = source.state;
  if (count === 0) return until;
  const found = index.last(keysOf(scope, source.state), Math.max(after, index.floor), until, count);
  let [first = until] = found;
  let left = count - found.length;
  // What lies below the index is read backwards.
  for (let end = Math.min(index.floor, until); left > 0 && end > after; end -= HISTORY_PAGE_SEQUENCES) {
    const start = Math.max(end - HISTORY_PAGE_SEQUENCES, after);
    const reader = new EventReader(source, scope, start, end);
    const before: Position[] = [];
    while (!reader.isDone) {
      const events = await reader.next(Number.POSITIVE_INFINITY, signal());
      before.push(...events.map(({ seq }) => seq));
    }
    const taken = before.slice(-left);
    first = taken[0] ?? first;
    left -= taken.length;
  }
  return left > 0 ? after : first - 1;
}
