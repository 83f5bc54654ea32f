// The one continuous read (design D1): from a position on, through replay into live, as long as the connection holds. After
// anything odd (a lost consumer, a gap in the deliveries, a tail that does not move) it is opened again at position + 1.
import * as limits from './limits.ts';
import type { Position } from './model.ts';
import { askAgain, type BrokerLink } from './nats-link.ts';
import { type Delivery, PullConsumer } from './nats-pull.ts';
import {
  type Anchor,
  boundsOf,
  getOrCreateStream,
  isNothingLeft,
  isSameStream,
  isStreamMissing,
  STREAM,
} from './nats-stream.ts';
import type { Clock, Log, LogBounds, LogFollower } from './ports.ts';

interface TailOptions {
  readonly replicas: number;
  readonly clock: Clock;
  readonly logger: Log;
}

/** Pulls kept under way, so that the next one is there before the first is used up. */
const PULLS = 2;

export class NatsTail {
  readonly #link: BrokerLink;
  readonly #options: TailOptions;
  readonly #follower: LogFollower;
  readonly #stopped = Promise.withResolvers<void>();
  #position: Position | 'tail';
  #epoch: string | null;
  #lastDelivered: Anchor['timestamp'];
  #isCaughtUp = false;
  #consumer: PullConsumer | null = null;
  #isStopped = false;
  #isPaused: boolean;
  #contactAt: number;

  constructor(
    link: BrokerLink,
    options: TailOptions,
    anchor: Anchor,
    follower: LogFollower,
    isPaused: boolean,
  ) {
    this.#link = link;
    this.#options = options;
    this.#isPaused = isPaused;
    this.#contactAt = options.clock.now();
    this.#position = anchor.position;
    this.#epoch = anchor.epoch;
    this.#lastDelivered = anchor.timestamp;
    this.#follower = follower;
  }

  /** How far the follower was served, for the next connection. */
  get anchor(): Anchor {
    return { position: this.#position, epoch: this.#epoch, timestamp: this.#lastDelivered };
  }

  /** When the broker last proved that this read goes on. */
  get contactAt(): number {
    return this.#contactAt;
  }

  /** While paused nothing more is asked for; what is under way still comes. */
  pause(isPaused: boolean): void {
    this.#isPaused = isPaused;
    this.#refill();
  }

  /** Serves the follower until `stop`; throws when the connection is lost. */
  async run(): Promise<void> {
    while (!this.#isStopped) {
      const broken = Promise.withResolvers<string>();
      const bounds = await this.#open(broken.resolve);
      const watch = this.#watch(bounds, broken.resolve);
      try {
        const reason = await Promise.race([broken.promise, this.#link.lost, this.#stopped.promise]);
        if (reason !== undefined) this.#options.logger.info('tail reopened', { reason });
      } finally {
        watch.stop();
        await this.#closeConsumer();
      }
    }
  }

  /** Before the next one is opened: brokers limit consumers, and a stream that is being deleted gets the time to be gone. */
  async #closeConsumer(): Promise<void> {
    const closing = this.#consumer?.close();
    this.#consumer = null;
    const late = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(limits.CONSUMER_CLOSE_MS, late.resolve);
    await Promise.race([closing, late.promise]);
    cancel();
  }

  stop(): void {
    this.#isStopped = true;
    this.#stopped.resolve();
  }

  async #open(onBroken: (reason: string) => void): Promise<LogBounds> {
    const { nc, jsm } = this.#link;
    const bounds = boundsOf(await getOrCreateStream(jsm, this.#options.replicas, this.#options.clock));
    if (!(await isSameStream(jsm, this.anchor, bounds))) {
      this.#position = 0;
      this.#lastDelivered = null;
      this.#follower.onReset(bounds);
    }
    const after = this.#position === 'tail' ? bounds.lastSeq : this.#position;
    this.#position = after;
    this.#epoch = bounds.epoch;
    this.#isCaughtUp = false;
    const consumer = await PullConsumer.open(
      nc,
      jsm,
      { stream: STREAM, after, clock: this.#options.clock },
      {
        onDelivery: (delivery) => this.#deliver(delivery, bounds),
        onPullEnded: () => this.#refill(),
        onBroken,
      },
    );
    this.#consumer = consumer;
    this.#contactAt = this.#options.clock.now();
    this.#follower.onOpened(bounds, after);
    this.#refill();
    if (consumer.pendingAtStart === 0) await this.#settle(bounds);
    return bounds;
  }

  #refill(): void {
    const consumer = this.#consumer;
    if (consumer === null || this.#isPaused) return;
    while (consumer.pulls < PULLS) consumer.pull(limits.PULL_MESSAGES);
  }

  #deliver(delivery: Delivery, opened: LogBounds): void {
    const { seq, timestamp, pending } = delivery;
    this.#position = seq;
    this.#lastDelivered = { seq, nanos: timestamp };
    this.#follower.onEntry(delivery);
    if (!this.#isCaughtUp) {
      if (seq >= opened.lastSeq) this.#caughtUp(seq);
      else if (pending === 0) {
        this.#settle(opened).catch((error: unknown) => this.#link.abandon(`no answer: ${String(error)}`));
      }
    }
    this.#refill();
  }

  /** Nothing is pending before the last sequence: entries at the end may have been deleted, or the consumer is behind. */
  async #settle(opened: LogBounds): Promise<void> {
    const position = this.#position as Position;
    const isAtEnd = await isNothingLeft(this.#link.jsm, position, opened.lastSeq);
    if (isAtEnd && !this.#isCaughtUp && this.#position === position && !this.#isStopped) {
      this.#caughtUp(opened.lastSeq);
    }
  }

  #caughtUp(position: Position): void {
    this.#isCaughtUp = true;
    this.#position = position;
    this.#follower.onCaughtUp(position);
  }

  /**
   * While nothing is delivered, asks whether the stream is the same and holds nothing that should have been. A request that
   * is not answered means a dead connection; while entries flow nothing is asked, since its answer would queue behind them.
   */
  #watch(opened: LogBounds, onBroken: (reason: string) => void): { stop: () => void } {
    let stopped = false;
    let cancel: (() => void) | null = null;
    let seen = this.#position;
    let suspect = false;
    const check = async () => {
      const moved = this.#position !== seen || this.#isPaused;
      seen = this.#position;
      const bounds = moved ? null : await this.#ask();
      if (stopped) return;
      this.#contactAt = this.#options.clock.now();
      const position = this.#position as Position;
      if (bounds !== null) {
        // An entry that came with the answer makes its sequences old.
        const still = position === seen;
        if (bounds.epoch !== opened.epoch || (still && bounds.lastSeq < position)) {
          onBroken('the stream is another one');
          return;
        }
        const behind = still && bounds.lastSeq > position;
        if (behind && suspect) {
          onBroken(`entries up to ${bounds.lastSeq} were not delivered`);
          return;
        }
        suspect = behind;
      }
      schedule();
    };
    const schedule = () => {
      const ms = suspect ? limits.WATCH_SUSPICION_MS : limits.WATCH_INTERVAL_MS;
      cancel = this.#options.clock.after(ms, () => void check());
    };
    schedule();
    return {
      stop: () => {
        stopped = true;
        cancel?.();
      },
    };
  }

  /** The stream's bounds, or null when entries came instead of the answer. */
  async #ask(): Promise<LogBounds | null> {
    const position = this.#position;
    try {
      return boundsOf(await askAgain(this.#options.clock, () => this.#link.jsm.streams.info(STREAM)));
    } catch (error) {
      if (isStreamMissing(error)) return { epoch: '', firstSeq: 1, lastSeq: 0 };
      if (this.#position === position) this.#link.abandon(`no answer about the stream: ${String(error)}`);
      return null;
    }
  }
}
