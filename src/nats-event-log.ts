// The EventLog over nats.ws: connecting and reconnecting, the stream's identity, reads, and acknowledged publishes. The
// client library's own reconnect stays off: it would send queued publishes after the broker's return, and a write that was
// answered 503 must not wait for a broker (contract, section 4). The continuous read is nats-tail.ts.
import * as limits from './limits.ts';
import type { Position } from './model.ts';
import { entriesInOrder, storedEntry } from './nats-entries.ts';
import {
  type BrokerLink,
  closeConnection,
  describeError,
  type LinkOptions,
  openLink,
  toLogError,
} from './nats-link.ts';
import { NatsPublisher } from './nats-publisher.ts';
import { type Delivery, PullConsumer } from './nats-pull.ts';
import { type Anchor, boundsOf, getOrCreateStream, isNothingLeft, STREAM } from './nats-stream.ts';
import { NatsTail } from './nats-tail.ts';
import { NextAnswer } from './next-answer.ts';
import {
  type EventLog,
  EventLogError,
  type Log,
  type LogAcknowledgement,
  type LogAnchor,
  type LogBounds,
  type LogEntry,
  type LogFollower,
  type LogPage,
  type LogPublishOptions,
  type LogReadOptions,
} from './ports.ts';

export interface NatsEventLogOptions extends LinkOptions {
  readonly logger: Log;
}

export class NatsEventLog implements EventLog {
  readonly #options: NatsEventLogOptions;
  #link: BrokerLink | null = null;
  /** A connection that takes over from `#link` as soon as the tail has let go of that one. */
  #successor: BrokerLink | null = null;
  /** Connections that were renewed, while requests on them may be under way. */
  readonly #retired = new Set<BrokerLink>();
  readonly #publishers = new WeakMap<BrokerLink, NatsPublisher>();
  #tail: NatsTail | null = null;
  #anchor: Anchor = { position: 0, epoch: null, timestamp: null };
  #isPaused = false;
  #attemptedAt: number;
  #closed = false;
  #running: Promise<void> = Promise.resolve();
  #wake: () => void = () => {};
  readonly #bounds = new NextAnswer(() => this.#askBounds());

  constructor(options: NatsEventLogOptions) {
    this.#options = options;
    this.#attemptedAt = options.clock.now();
  }

  follow(from: Position | 'tail' | LogAnchor, follower: LogFollower): void {
    this.#anchor = typeof from === 'object' ? from : { position: from, epoch: null, timestamp: null };
    this.#running = this.#run(follower);
  }

  get anchor(): LogAnchor | null {
    const { position, epoch, timestamp } = this.#tail?.anchor ?? this.#anchor;
    return epoch === null || position === 'tail' ? null : { position, epoch, timestamp };
  }

  get contactAt(): number {
    return Math.max(this.#tail?.contactAt ?? 0, this.#attemptedAt);
  }

  pause(): void {
    this.#isPaused = true;
    this.#tail?.pause(true);
  }

  resume(): void {
    this.#isPaused = false;
    this.#tail?.pause(false);
  }

  async renew(): Promise<void> {
    if (this.#tail === null || this.#successor !== null) return;
    const link = await this.#connect();
    // Without a tail there is a loop at work that connects by itself.
    if (this.#closed || this.#tail === null || this.#successor !== null) {
      await closeConnection(link.nc, this.#options.clock);
      return;
    }
    this.#successor = link;
    this.#tail.stop();
  }

  async read({ after, until, limit, filter, signal }: LogReadOptions): Promise<LogPage> {
    const link = this.#require();
    return this.#guard(link, signal, async () => {
      const bounds = await this.bounds();
      const end = Math.min(until ?? bounds.lastSeq, bounds.lastSeq);
      // Nothing is left in the range, or only what is retained no more.
      if (after >= end) return { entries: [], through: end, bounds };
      if (bounds.firstSeq > end) return { entries: [], through: bounds.firstSeq - 1, bounds };
      const { entries, exhausted } = await this.#collect(link, after, end, limit, filter, signal);
      return { entries, through: exhausted ? end : (entries.at(-1)?.seq ?? end), bounds };
    });
  }

  async *entries(sequences: readonly Position[], signal: AbortSignal): AsyncGenerator<LogEntry> {
    const link = this.#require();
    yield* entriesInOrder(sequences, (seq) =>
      this.#guard(link, signal, () => storedEntry(link.jsm, { seq })),
    );
  }

  async publish(
    subject: string,
    payload: Uint8Array,
    options: LogPublishOptions,
  ): Promise<LogAcknowledgement> {
    const link = this.#require();
    let publisher = this.#publishers.get(link);
    if (publisher === undefined) {
      publisher = new NatsPublisher(link.nc, link.lost, this.#options.clock);
      this.#publishers.set(link, publisher);
    }
    return publisher.publish(subject, payload, options);
  }

  async last(subject: string, signal: AbortSignal): Promise<LogEntry | null> {
    const link = this.#require();
    return this.#guard(link, signal, () => storedEntry(link.jsm, { last_by_subj: subject }));
  }

  bounds(): Promise<LogBounds> {
    return this.#bounds.get();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    this.#tail?.stop();
    // An attempt to connect takes longer than a stop may.
    await Promise.race([this.#running, this.#sleep(limits.LOG_CLOSE_MS)]);
    this.#wake();
  }

  async #askBounds(): Promise<LogBounds> {
    const link = this.#require();
    const signal = AbortSignal.timeout(limits.READ_TIMEOUT_MS);
    return this.#guard(link, signal, async () => boundsOf(await link.jsm.streams.info(STREAM)));
  }

  /** Up to `limit` entries of (after, end] through a consumer of its own. */
  async #collect(
    link: BrokerLink,
    after: Position,
    end: Position,
    limit: number,
    filter: string | undefined,
    signal: AbortSignal,
  ): Promise<{ entries: LogEntry[]; exhausted: boolean }> {
    const entries: LogEntry[] = [];
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    let bytes = 0;
    let done = false;
    const finish = (exhausted: boolean) => {
      done = true;
      resolve(exhausted);
    };
    // Nothing pending: that is all, or the consumer is behind and more will come.
    const settle = (from: Position) => {
      isNothingLeft(link.jsm, from, end, filter).then((isAll) => {
        if ((entries.at(-1)?.seq ?? after) !== from) return;
        if (isAll) finish(true);
        else if (entries.length >= limit) finish(false);
      }, reject);
    };
    const onDelivery = (delivery: Delivery) => {
      // What came in one input with the last entry of the page is not part of it.
      if (done) return;
      if (delivery.seq > end) {
        finish(true);
        return;
      }
      // The payload is a view into a network buffer that holds much else.
      entries.push({ ...delivery, payload: delivery.payload.slice() });
      bytes += delivery.payload.byteLength;
      if (delivery.seq === end) finish(true);
      else if (delivery.pending === 0) settle(delivery.seq);
      else if (entries.length >= limit || bytes >= limits.MAX_PAGE_BYTES) finish(false);
    };
    const consumer = await PullConsumer.open(
      link.nc,
      link.jsm,
      { stream: STREAM, after, clock: this.#options.clock, ...(filter === undefined ? {} : { filter }) },
      {
        onDelivery,
        onPullEnded: () => consumer.pull(limit - entries.length),
        onBroken: (reason) => reject(new Error(reason)),
      },
    );
    // Not before: while the consumer was being made, or if it could not be, nobody would have heard of the rejection, and
    // Node ends a process for that.
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort);
    try {
      signal.throwIfAborted();
      if (consumer.pendingAtStart === 0) settle(after);
      consumer.pull(Math.min(limit, consumer.pendingAtStart || limit));
      return { entries, exhausted: await promise };
    } finally {
      signal.removeEventListener('abort', onAbort);
      await consumer.close();
    }
  }

  /** Connects, serves the tail until the connection is lost or renewed, and starts over; until `close`. */
  async #run(follower: LogFollower): Promise<void> {
    let pause = limits.RECONNECT_MIN_MS;
    while (!this.#closed) {
      try {
        this.#attemptedAt = this.#options.clock.now();
        this.#link = this.#successor ?? (await this.#connect());
        this.#successor = null;
        pause = limits.RECONNECT_MIN_MS;
        this.#tail = new NatsTail(this.#link, this.#options, this.#anchor, follower, this.#isPaused);
        await this.#tail.run();
      } catch (error) {
        if (!this.#closed) follower.onLost(describeError(error));
      }
      this.#anchor = this.#tail?.anchor ?? this.#anchor;
      const link = this.#link;
      this.#tail = null;
      if (this.#successor !== null && !this.#closed) {
        if (link !== null) this.#retire(link);
        continue;
      }
      this.#link = null;
      if (link !== null) await closeConnection(link.nc, this.#options.clock);
      if (!this.#closed) await this.#sleep(pause * (0.75 + Math.random() / 2));
      pause = Math.min(pause * 2, limits.RECONNECT_MAX_MS);
    }
    const left = [...this.#retired, ...(this.#successor === null ? [] : [this.#successor])];
    await Promise.all(left.map((each) => this.#release(each)));
  }

  #connect(): Promise<BrokerLink> {
    const { replicas, clock } = this.#options;
    return openLink(this.#options, (_, jsm) => getOrCreateStream(jsm, replicas, clock));
  }

  /** Closes a connection that was renewed when the requests that are under way on it have had their time. */
  #retire(link: BrokerLink): void {
    this.#retired.add(link);
    this.#options.clock.after(limits.WRITE_TIMEOUT_MS, () => void this.#release(link));
  }

  async #release(link: BrokerLink): Promise<void> {
    this.#retired.delete(link);
    await closeConnection(link.nc, this.#options.clock);
  }

  #sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(ms, resolve);
    this.#wake = () => {
      cancel();
      resolve();
    };
    return promise;
  }

  #require(): BrokerLink {
    if (this.#link === null) throw new EventLogError('unreachable', 'no connection to the broker');
    return this.#link;
  }

  /** Runs a request; it ends with the connection or the signal at the latest, and only throws EventLogError. */
  async #guard<Result>(link: BrokerLink, signal: AbortSignal, run: () => Promise<Result>): Promise<Result> {
    if (signal.aborted) throw new EventLogError('unavailable', 'timed out', signal.reason);
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(signal.reason);
    signal.addEventListener('abort', onAbort);
    try {
      return await Promise.race([run(), link.lost, aborted.promise]);
    } catch (error) {
      throw toLogError(error);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }
}
