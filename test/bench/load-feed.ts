// A process that holds many feed subscribers, checks each one's sequences and times their frames.
import { FeedClient } from './feed-client.ts';
import type { Expectation } from './feed-client.ts';
import { Histogram } from './histogram.ts';
import type { Address } from './http-connection.ts';
import { monotonicMs } from './usage.ts';
import { serveCommands } from './workers.ts';

// Opened so many at a time: a thousand SYNs at once would measure the listen queue.
const OPENING_AT_ONCE = 25;

interface OpenCommand {
  readonly address: Address;
  readonly clients: number;
  readonly since: number;
  /** What each is to get from the start; without, nothing yet. */
  readonly expectation?: Expectation;
}

export interface OpenResult {
  readonly open: number;
  readonly ended: Readonly<Record<string, number>>;
}

interface WaitCommand {
  readonly timeoutMs: number;
  /** Subscribers that are not complete by then are cut and count as silent. */
  readonly cutIncomplete: boolean;
}

export interface WaitResult extends OpenResult {
  readonly complete: number;
  readonly frames: number;
  readonly missing: number;
  readonly repeated: number;
  /** When the last subscriber had its last frame; when waiting ended if some never did. */
  readonly lastAt: number;
  readonly cpuSeconds: number;
}

export type FeedCommands = {
  open: { command: OpenCommand; result: OpenResult };
  expect: { command: Expectation; result: null };
  wait: { command: WaitCommand; result: WaitResult };
  latencies: { command: { readonly publishedAt: readonly number[] }; result: readonly number[] };
};

type FeedCommand =
  | ({ kind: 'open' } & OpenCommand)
  | ({ kind: 'expect' } & Expectation)
  | ({ kind: 'wait' } & WaitCommand)
  | { kind: 'latencies'; publishedAt: readonly number[] };

const clients: FeedClient[] = [];
let lastAt = 0;
let onSettled: () => void = () => {};
let startCpu = process.cpuUsage();

serveCommands<FeedCommand>((command) => {
  switch (command.kind) {
    case 'open':
      return open(command);
    case 'expect':
      return expect(command);
    case 'wait':
      return wait(command);
    case 'latencies':
      return measure(command.publishedAt);
    default:
      return command satisfies never;
  }
});

async function open({ address, clients: wanted, since, expectation }: OpenCommand): Promise<OpenResult> {
  while (clients.length < wanted) {
    const batch = Array.from(
      { length: Math.min(OPENING_AT_ONCE, wanted - clients.length) },
      () => new FeedClient(address, since, noteSettled),
    );
    if (expectation !== undefined) for (const client of batch) client.expect(expectation);
    clients.push(...batch);
    await Promise.all(batch.map((client) => client.opening));
  }
  return countOpen();
}

function noteSettled(client: FeedClient): void {
  if (client.isComplete) lastAt = monotonicMs();
  onSettled();
}

function expect(expectation: Expectation): null {
  startCpu = process.cpuUsage();
  lastAt = 0;
  for (const client of clients) if (client.isOpen) client.expect(expectation);
  return null;
}

async function wait({ timeoutMs, cutIncomplete }: WaitCommand): Promise<WaitResult> {
  const isDone = () => clients.every((client) => !client.isOpen || client.isComplete);
  let timedOut = false;
  await new Promise<void>((resolve) => {
    if (isDone()) return resolve();
    const timer = setTimeout(() => {
      timedOut = true;
      resolve();
    }, timeoutMs);
    onSettled = () => {
      if (!isDone()) return;
      clearTimeout(timer);
      resolve();
    };
  });
  onSettled = () => {};
  const { user, system } = process.cpuUsage(startCpu);
  if (timedOut) lastAt = monotonicMs();
  const receiving = clients.filter((client) => client.isOpen);
  const sum = (pick: (client: FeedClient) => number) =>
    receiving.reduce((total, client) => total + pick(client), 0);
  const result = {
    complete: receiving.filter((client) => client.isComplete).length,
    frames: sum((client) => client.frames),
    missing: sum((client) => client.missing),
    repeated: sum((client) => client.repeated),
    lastAt,
    cpuSeconds: (user + system) / 1e6,
  };
  if (cutIncomplete) for (const client of receiving) if (!client.isComplete) client.end('open but silent');
  return { ...result, ...countOpen() };
}

// A frame that has not come by now has no latency; whether all came is in the result of the wait.
function measure(publishedAt: readonly number[]): readonly number[] {
  const histogram = new Histogram();
  for (const { isOpen, times } of clients) {
    if (!isOpen || times === null) continue;
    for (const [index, receivedAt] of times.entries()) {
      if (receivedAt > 0) histogram.add(receivedAt - (publishedAt[index] ?? receivedAt));
    }
  }
  return histogram.counts;
}

function countOpen(): OpenResult {
  const ended: Record<string, number> = {};
  for (const { ended: reason } of clients) if (reason !== null) ended[reason] = (ended[reason] ?? 0) + 1;
  return { open: clients.filter((client) => client.isOpen).length, ended };
}
