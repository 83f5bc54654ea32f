// Rows about how much one server holds and sustains: sessions to which nothing comes, and events that come ever faster to some.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Broker } from '../broker.ts';
import { cellStarted, planReplay, seedEvents, takeEvents } from '../events.ts';
import { FeedLoad } from '../feed-load.ts';
import type { Phase } from '../feed-load.ts';
import { noteClientBound, withBroker, withServer } from '../measurement.ts';
import type { Recorder, RowGroup, RunContext } from '../measurement.ts';
import { Publisher } from '../publisher.ts';
import { Server } from '../server.ts';
import { countOpenFiles } from '../usage.ts';

// What the last opened sessions left behind is collected, or not, by then.
const SETTLE_MS = 2_000;
const KIB_PER_MIB = 1024;
// The first rate, as frames per second of all sessions together: any server can do that.
const FIRST_FRAMES_PER_SECOND = 50_000;
const MAX_EVENTS_PER_SECOND = 64_000;
// Beyond it a rate is not sustained: what comes too fast for five seconds has a backlog of a tenth of them.
const MAX_P99_MS = 500;
const LATE_MS = 15_000;
// Between the last rate that was sustained, and the first that was not, which is its double.
const REFINEMENTS = 2;
// More than the fastest rate takes.
const SUPPLY = planReplay(1_000_000);

/** So many sessions to which nothing comes: the memory they take, and that each gets the next event. */
export function idleCapacity(sessions: number): RowGroup {
  return {
    name: `capacity-idle-${sessions}`,
    onRequest: true,
    run: (context, record) =>
      withBroker((broker) =>
        withServer(context, broker, record, async (server) => {
          await sleep(SETTLE_MS);
          const before = server.memoryMib();
          const openBefore = countOpenFiles(server.pid);
          const publisher = await Publisher.connect(broker);
          const load = await FeedLoad.open(server, broker, publisher, sessions, cellStarted('idle-marker'));
          try {
            await sleep(SETTLE_MS);
            const after = server.memoryMib();
            const title = `${sessions.toLocaleString('en')} sessions`;
            // Not a failure: how many a process may hold is the shell's to say (ulimit -n).
            const note = load.served === sessions ? null : `${title}: ${load.describeEnded()}`;
            const each = (from: number | null, to: number | null) =>
              from === null || to === null ? null : (to - from) / load.served;
            const openFiles = each(openBefore, countOpenFiles(server.pid));
            record.higher(`${title}, served`, '', load.served, note);
            record.lower(`${title}, until all are`, 's', load.openSeconds);
            record.lower(`${title}, memory before`, 'MiB', before);
            record.lower(`${title}, memory with them`, 'MiB', after);
            const memory = each(before, after);
            record.lower(`${title}, memory of each`, 'KiB', memory === null ? null : memory * KIB_PER_MIB);
            record.lower(`${title}, file descriptors of each`, '', openFiles);
          } finally {
            await load.stop();
            publisher.close();
          }
        }),
      ),
  };
}

/** The highest rate of events that so many sessions get in time, each rate on a server of its own. */
export function loadedCapacity(sessions: number): RowGroup {
  return {
    name: `capacity-${sessions}`,
    onRequest: true,
    async run(context, record) {
      let rate = FIRST_FRAMES_PER_SECOND / sessions;
      let sustained: Trial | null = null;
      let failed: Trial | null = null;
      while (failed === null && rate <= MAX_EVENTS_PER_SECOND) {
        const trial = await tryRate(context, sessions, rate);
        if (trial.isSustained) sustained = trial;
        else failed = trial;
        rate *= 2;
      }
      for (let step = 0; step < REFINEMENTS && sustained !== null && failed !== null; step += 1) {
        const between = Math.round(Math.sqrt(sustained.rate * failed.rate));
        const trial = await tryRate(context, sessions, between);
        if (trial.isSustained) sustained = trial;
        else failed = trial;
      }
      report(record, sessions, sustained, failed);
    },
  };
}

interface Trial {
  readonly rate: number;
  readonly phase: Phase;
  readonly bytesPerEvent: number;
  readonly isSustained: boolean;
  readonly peakMemory: number | null;
}

async function tryRate(context: RunContext, sessions: number, rate: number): Promise<Trial> {
  let trial: Trial | null = null;
  await withBroker(async (broker) => {
    const server = await Server.start(context.target, broker);
    try {
      trial = await measure(server, broker, rate, sessions, context.sizes.capacityMs);
    } finally {
      await server.stop();
    }
  });
  if (trial === null) throw new Error('no rate was tried');
  return trial;
}

async function measure(server: Server, broker: Broker, rate: number, sessions: number, ms: number) {
  const publisher = await Publisher.connect(broker);
  const supply = seedEvents(SUPPLY);
  const [marker = ''] = takeEvents(supply, 1);
  const events = takeEvents(supply, Math.ceil((rate * ms) / 1e3));
  const load = await FeedLoad.open(server, broker, publisher, sessions, marker);
  try {
    const phase = await load.run(events, (all) => publisher.publishAtRate(all, rate), LATE_MS);
    const p99 = phase.latencies.percentile(0.99) ?? Number.POSITIVE_INFINITY;
    const isComplete = load.served === sessions && phase.frames === phase.expected;
    return {
      rate,
      phase,
      bytesPerEvent: events.reduce((sum, event) => sum + Buffer.byteLength(event), 0) / events.length,
      isSustained: isComplete && phase.problems.length === 0 && p99 <= MAX_P99_MS,
      peakMemory: server.peakMemoryMib(),
    };
  } finally {
    await load.stop();
    publisher.close();
  }
}

function report(record: Recorder, sessions: number, sustained: Trial | null, failed: Trial | null): void {
  record.check(sustained !== null, `not even the first rate was sustained: ${describe(failed)}`);
  if (sustained === null) return;
  const { rate, phase, bytesPerEvent, peakMemory } = sustained;
  const title = `${sessions.toLocaleString('en')} sessions, sustained`;
  const clientBound = noteClientBound(phase.clientCpuShare);
  const note = `${Math.round(bytesPerEvent)} bytes an event${clientBound === null ? '' : `; ${clientBound}`}; beyond: ${describe(failed)}`;
  record.higher(`${title}, events`, 'events/s', rate);
  record.higher(`${title}, frames`, 'frames/s', rate * sessions, note);
  record.lower(`${title}, p99`, 'ms', phase.latencies.percentile(0.99));
  record.lower(
    `${title}, server CPU`,
    'cores',
    phase.serverCpu === null ? null : phase.serverCpu / phase.seconds,
  );
  record.lower(`${title}, peak memory`, 'MiB', peakMemory);
}

function describe(trial: Trial | null): string {
  if (trial === null) return 'nothing tried';
  const { rate, phase } = trial;
  const p99 = phase.latencies.percentile(0.99);
  const share = phase.frames / phase.expected;
  const cores = phase.serverCpu === null ? '' : `, ${(phase.serverCpu / phase.seconds).toFixed(2)} cores`;
  return `${rate.toLocaleString('en')} events/s, p99 ${p99 === null ? 'unknown' : `${Math.round(p99)} ms`}, ${(share * 100).toFixed(1)} % of the frames${cores}`;
}
