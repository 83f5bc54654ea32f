// Owns the bench's side of feed measurements: subscribers spread over processes, phases of publishing, and the
// verdict whether every subscriber got every frame once and in order.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Broker } from './broker.ts';
import { Histogram } from './histogram.ts';
import type { Expectation } from './feed-client.ts';
import type { FeedCommands, OpenResult, WaitResult } from './load-feed.ts';
import type { Server } from './server.ts';
import type { Publisher } from './publisher.ts';
import { monotonicMs, readCpuSeconds } from './usage.ts';
import { LoadWorker } from './workers.ts';

// One process serves a hundred subscribers at full rate; more need the second core as well.
const MAX_WORKERS = 2;
const CLIENTS_PER_WORKER = 50;
const OPEN_TIMEOUT_MS = 60_000;
const MARKER_TIMEOUT_MS = 15_000;
const REPLY_GRACE_MS = 30_000;
const SETTLE_MS = 5_000;
const SETTLE_POLL_MS = 50;
const CONSUMERS_POLL_MS = 25;

/** What one phase of publishing led to. */
export interface Phase {
  readonly frames: number;
  readonly expected: number;
  /** From the first publish to the last subscriber's last frame. */
  readonly seconds: number;
  readonly latencies: Histogram;
  readonly serverCpu: number | null;
  readonly brokerCpu: number | null;
  /** On the stream when the last event had been published. */
  readonly consumers: number;
  /** The busiest generator's share of a core. */
  readonly clientCpuShare: number;
  readonly problems: readonly string[];
}

/** What it took until many subscribers that came back had everything. */
export interface Resumption {
  /** From the first connection to the last subscriber's last frame. */
  readonly seconds: number;
  readonly complete: number;
  /** Refused, closed or cut before they had everything. */
  readonly refused: number;
  readonly frames: number;
  readonly serverCpu: number | null;
  readonly brokerCpu: number | null;
  /** On the stream, at most. */
  readonly consumers: number;
  readonly problems: readonly string[];
}

/** Publishes the events and says when each was written. */
export type Publish = (events: readonly string[]) => Promise<readonly number[]>;

/** Subscribers of one server, opened and proven to receive before anything is measured. */
export class FeedLoad {
  readonly #server: Server;
  readonly #broker: Broker;
  readonly #workers: LoadWorker<FeedCommands>[];
  /** Subscribers that were asked for, that receive, and why the others do not. */
  readonly wanted: number;
  served = 0;
  ended: Record<string, number> = {};
  openSeconds = 0;

  private constructor(server: Server, broker: Broker, wanted: number) {
    this.#server = server;
    this.#broker = broker;
    this.wanted = wanted;
    const workers = Math.min(MAX_WORKERS, Math.ceil(wanted / CLIENTS_PER_WORKER));
    this.#workers = Array.from({ length: workers }, () => new LoadWorker<FeedCommands>('./load-feed.ts'));
  }

  /** Opens the subscribers; those that do not receive the one `marker` event are cut and counted. */
  static async open(server: Server, broker: Broker, publisher: Publisher, clients: number, marker: string) {
    const load = new FeedLoad(server, broker, clients);
    try {
      await load.#open(publisher, marker);
      if (load.served === 0)
        throw new Error(`none of ${clients} feed clients served: ${load.describeEnded()}`);
      return load;
    } catch (error) {
      await load.stop();
      throw error;
    }
  }

  /** Subscribers that all come back `behind` events behind the stream's last; over when each has it, or time is. */
  static async resume(
    server: Server,
    broker: Broker,
    clients: number,
    behind: number,
    timeoutMs: number,
  ): Promise<Resumption> {
    const load = new FeedLoad(server, broker, clients);
    try {
      return await load.#resume(behind, timeoutMs);
    } finally {
      await load.stop();
    }
  }

  /** One phase: every subscriber must get all of `events`, `timeoutMs` after the last was published at the latest. */
  async run(events: readonly string[], publish: Publish, timeoutMs: number): Promise<Phase> {
    const firstSequence = (await this.#broker.lastSequence()) + 1;
    const usage = () => [readCpuSeconds(this.#server.pid), readCpuSeconds(this.#broker.pid)] as const;
    const before = usage();
    const startedAt = monotonicMs();
    const { publishedAt, consumers, results } = await this.#deliver(
      { firstSequence, count: events.length, recordTimes: true },
      () => publish(events),
      timeoutMs,
      false,
    );
    const after = usage();
    const latencies = new Histogram();
    for (const counts of await this.#all('latencies', { publishedAt }, REPLY_GRACE_MS))
      latencies.merge(counts);
    const lastAt = Math.max(...results.map((result) => result.lastAt));
    const lastSequence = firstSequence + events.length - 1;
    return {
      frames: sumOf(results, (result) => result.frames),
      expected: this.served * events.length,
      seconds: (lastAt - (publishedAt[0] ?? startedAt)) / 1e3,
      latencies,
      serverCpu: difference(before[0], after[0]),
      brokerCpu: difference(before[1], after[1]),
      consumers,
      clientCpuShare: Math.max(...results.map((result) => (result.cpuSeconds * 1e3) / (lastAt - startedAt))),
      problems: [
        ...this.#judge(results, events.length),
        ...((await this.#isAt(lastSequence)) ? [] : ['the stream did not take exactly these events']),
      ],
    };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
  }

  // Publishing waits for nothing, and subscribers that were cut do not say when the broker has caught up.
  async #isAt(sequence: number): Promise<boolean> {
    const deadline = monotonicMs() + SETTLE_MS;
    while ((await this.#broker.lastSequence()) < sequence && monotonicMs() < deadline)
      await sleep(SETTLE_POLL_MS);
    return (await this.#broker.lastSequence()) === sequence;
  }

  async #open(publisher: Publisher, marker: string): Promise<void> {
    const since = await this.#broker.lastSequence();
    const startedAt = monotonicMs();
    await this.#openAll(since);
    // An answered upgrade is no subscription yet: only who receives an event is counted as served.
    const { results } = await this.#deliver(
      { firstSequence: since + 1, count: 1, recordTimes: false },
      async () => [publisher.publishAll([marker])],
      MARKER_TIMEOUT_MS,
      true,
    );
    this.openSeconds = (monotonicMs() - startedAt) / 1e3;
    this.#count(results);
  }

  async #openAll(since: number, expectation?: Expectation): Promise<void> {
    const share = Math.ceil(this.wanted / this.#workers.length);
    const { address } = this.#server;
    await Promise.all(
      this.#workers.map((worker, index) => {
        const clients = Math.min(share, this.wanted - index * share);
        const command = { address, clients, since, ...(expectation ? { expectation } : {}) };
        return worker.call('open', command, OPEN_TIMEOUT_MS);
      }),
    );
  }

  async #resume(behind: number, timeoutMs: number): Promise<Resumption> {
    const since = (await this.#broker.lastSequence()) - behind;
    const expectation = { firstSequence: since + 1, count: behind, recordTimes: false };
    const usage = () => [readCpuSeconds(this.#server.pid), readCpuSeconds(this.#broker.pid)] as const;
    const before = usage();
    const startedAt = monotonicMs();
    let consumers = 0;
    const watching = setInterval(() => {
      const look = async () => (consumers = Math.max(consumers, await this.#broker.consumers()));
      // Only a number to be told: a look that fails is one look less.
      look().catch(() => {});
    }, CONSUMERS_POLL_MS);
    try {
      await this.#openAll(since, expectation);
      const results = await this.#all(
        'wait',
        { timeoutMs, cutIncomplete: false },
        timeoutMs + REPLY_GRACE_MS,
      );
      const after = usage();
      const seconds = (Math.max(...results.map((result) => result.lastAt)) - startedAt) / 1e3;
      this.served = this.wanted;
      const problems = this.#judge(results, behind);
      return {
        seconds,
        complete: sumOf(results, (result) => result.complete),
        refused: this.wanted - this.served,
        frames: sumOf(results, (result) => result.frames),
        serverCpu: difference(before[0], after[0]),
        brokerCpu: difference(before[1], after[1]),
        consumers,
        problems,
      };
    } finally {
      clearInterval(watching);
    }
  }

  async #deliver(
    expectation: Expectation,
    publish: () => Promise<readonly number[]>,
    timeoutMs: number,
    cutIncomplete: boolean,
  ): Promise<{ publishedAt: readonly number[]; consumers: number; results: WaitResult[] }> {
    await this.#all('expect', expectation, REPLY_GRACE_MS);
    const publishedAt = await publish();
    const consumers = await this.#broker.consumers();
    const results = await this.#all('wait', { timeoutMs, cutIncomplete }, timeoutMs + REPLY_GRACE_MS);
    return { publishedAt, consumers, results };
  }

  #all<Kind extends keyof FeedCommands>(
    kind: Kind,
    command: FeedCommands[Kind]['command'],
    timeoutMs: number,
  ) {
    return Promise.all(this.#workers.map((worker) => worker.call(kind, command, timeoutMs)));
  }

  #judge(results: readonly WaitResult[], events: number): string[] {
    const before = this.served;
    this.#count(results);
    const missing = sumOf(results, (result) => result.missing);
    const repeated = sumOf(results, (result) => result.repeated);
    const late = this.served - sumOf(results, (result) => result.complete);
    const frames = sumOf(results, (result) => result.frames);
    return [
      ...(this.served < before ? [`${before - this.served} clients lost: ${this.describeEnded()}`] : []),
      ...(missing > 0 ? [`${missing} frames skipped`] : []),
      ...(repeated > 0 ? [`${repeated} frames repeated`] : []),
      ...(late > 0
        ? [
            `${late} of ${before} clients incomplete at the deadline, ${percent(frames, before * events)} of all frames`,
          ]
        : []),
    ];
  }

  /** Why subscribers ended, most frequent first. */
  describeEnded(): string {
    const reasons = Object.entries(this.ended).sort(([, left], [, right]) => right - left);
    return reasons.map(([reason, count]) => `${count} × ${reason}`).join(', ');
  }

  #count(results: readonly OpenResult[]): void {
    this.served = sumOf(results, (result) => result.open);
    this.ended = {};
    for (const { ended } of results) {
      for (const [reason, count] of Object.entries(ended))
        this.ended[reason] = (this.ended[reason] ?? 0) + count;
    }
  }
}

function sumOf<Item>(items: readonly Item[], pick: (item: Item) => number): number {
  return items.reduce((total, item) => total + pick(item), 0);
}

function difference(before: number | null, after: number | null): number | null {
  return before === null || after === null ? null : after - before;
}

function percent(part: number, whole: number): string {
  return `${((part / whole) * 100).toFixed(1)} %`;
}
