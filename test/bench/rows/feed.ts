// Rows about the WebSocket feed: N subscribers at a fixed rate and in a burst, with what it costs server and broker.
import { planReplay, seedEvents, takeEvents } from '../events.ts';
import { FeedLoad } from '../feed-load.ts';
import type { Phase } from '../feed-load.ts';
import { noteClientBound, withBroker, withServer } from '../measurement.ts';
import type { Recorder, RowGroup, RunContext } from '../measurement.ts';
import type { Sizes } from '../options.ts';
import { Publisher } from '../publisher.ts';
import { seed } from '../seed.ts';

const RATE_PER_SECOND = 200;
const EARLIER_EVENTS = 100;
// With more it falls behind at these rates: rows/capacity.ts finds those that it sustains.
const MAX_WORKERD_CLIENTS = 100;
// More than any run takes, so that no cell's events are published twice.
const SUPPLY = planReplay(40_000);

interface Session {
  readonly publisher: Publisher;
  readonly supply: Iterator<string>;
  readonly sizes: Sizes;
  readonly record: Recorder;
  readonly title: string;
  readonly note: string | null;
}

/** So many subscribers while events come at a fixed rate. */
export function steadyFeed(clients: number): RowGroup {
  return {
    name: `feed-${clients}`,
    ...(clients > MAX_WORKERD_CLIENTS ? { sides: ['node', 'deno', 'peer'] as const } : {}),
    run: (context, record) => run(context, record, clients, measureRate),
  };
}

/**
 * So many subscribers of many events at once. On a server of its own: a backlog, or consumers left over from the
 * fixed rate, would be measured here.
 */
export function burstFeed(clients: number): RowGroup {
  return {
    name: `burst-${clients}`,
    // Deno does not finish these within the deadline either.
    ...(clients > MAX_WORKERD_CLIENTS ? { sides: ['node', 'peer'] as const } : {}),
    run: (context, record) => run(context, record, clients, measureBurst),
  };
}

function run(
  context: RunContext,
  record: Recorder,
  clients: number,
  measure: (session: Session, load: FeedLoad) => Promise<void>,
): Promise<void> {
  return withBroker(async (broker) => {
    const supply = seedEvents(SUPPLY);
    await seed(broker, takeEvents(supply, EARLIER_EVENTS));
    await withServer(context, broker, record, async (server) => {
      const publisher = await Publisher.connect(broker);
      const [marker = ''] = takeEvents(supply, 1);
      const load = await FeedLoad.open(server, broker, publisher, clients, marker);
      try {
        const title = clients === 1 ? '1 client' : `${clients.toLocaleString('en')} clients`;
        const note = noteUnserved(load);
        record.check(note === null, `${title}: ${note}`);
        await measure({ publisher, supply, sizes: context.sizes, record, title, note }, load);
      } finally {
        await load.stop();
        publisher.close();
      }
    });
  });
}

async function measureRate(
  { sizes, publisher, supply, record, title, note }: Session,
  load: FeedLoad,
): Promise<void> {
  record.lower(`${title}, all subscribed`, 's', load.openSeconds, note);
  const events = takeEvents(supply, (RATE_PER_SECOND * sizes.feedMs) / 1e3);
  const publish = (all: readonly string[]) => publisher.publishAtRate(all, RATE_PER_SECOND);
  const phase = await load.run(events, publish, sizes.feedLateMs);
  const row = `${title}, ${RATE_PER_SECOND} events/s`;
  record.latency(
    row,
    phase.latencies,
    joinNotes(note, noteIncomplete(phase), noteClientBound(phase.clientCpuShare)),
  );
  record.higher(`${row}, delivered`, 'frames/s', phase.frames / phase.seconds);
  reportCosts(record, row, phase);
}

async function measureBurst(
  { sizes, publisher, supply, record, title, note }: Session,
  load: FeedLoad,
): Promise<void> {
  const events = takeEvents(supply, sizes.burstEvents);
  // One write, so one moment of publishing: latencies are then those since the burst began.
  const publish = async (all: readonly string[]) => {
    const at = publisher.publishAll(all);
    return all.map(() => at);
  };
  const phase = await load.run(events, publish, sizes.burstLateMs);
  const row = `${title}, ${events.length.toLocaleString('en')} events at once`;
  const notes = joinNotes(note, noteIncomplete(phase), noteClientBound(phase.clientCpuShare));
  record.higher(`${row}, delivered`, 'frames/s', phase.frames / phase.seconds, notes);
  record.latency(`${row}, since the first`, phase.latencies, notes);
  reportCosts(record, row, phase);
}

function reportCosts(record: Recorder, row: string, phase: Phase): void {
  record.lower(`${row}, server CPU`, 's', phase.serverCpu);
  record.lower(`${row}, broker CPU`, 's', phase.brokerCpu);
  const { brokerCpu, frames, consumers } = phase;
  record.lower(
    `${row}, broker CPU per frame`,
    'µs',
    brokerCpu === null || frames === 0 ? null : (brokerCpu * 1e6) / frames,
  );
  record.lower(`${row}, consumers on the stream`, '', consumers);
  for (const problem of phase.problems) record.check(false, `${row}: ${problem}`);
}

function noteUnserved(load: FeedLoad): string | null {
  const unserved = load.wanted - load.served;
  return unserved === 0 ? null : `${unserved} of ${load.wanted} clients not served: ${load.describeEnded()}`;
}

// Latencies and costs then cover what came, which flatters both.
function noteIncomplete({ frames, expected }: Phase): string | null {
  return frames === expected ? null : 'not all frames came in time';
}

function joinNotes(...notes: (string | null)[]): string | null {
  const given = notes.filter((note) => note !== null);
  return given.length === 0 ? null : given.join('; ');
}
