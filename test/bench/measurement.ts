// Owns what a row group is and what one run of it yields, and the frame every run shares: broker, server, memory.
import { startBroker } from './broker.ts';
import type { Broker } from './broker.ts';
import type { Histogram } from './histogram.ts';
import type { Side, Sizes, Target } from './options.ts';
import type { Fixtures } from './seed.ts';
import { Server } from './server.ts';
import type { Life } from './server.ts';

/** One number of one run; null when it could not be measured, with a note that says why. */
export interface Measurement {
  readonly label: string;
  readonly unit: string;
  readonly better: 'higher' | 'lower';
  readonly value: number | null;
  readonly note: string | null;
}

/** What a group's run is given. */
export interface RunContext {
  readonly target: Target;
  readonly sizes: Sizes;
  readonly fixtures: Fixtures;
}

/** Rows measured on one start of a server; `name` is what --only takes. */
export interface RowGroup {
  readonly name: string;
  /** The only columns it has anything to say about; without, all. */
  readonly sides?: readonly Side[];
  /** Measured only when asked for. */
  readonly onRequest?: true;
  run(context: RunContext, record: Recorder): Promise<void>;
}

// Above this the generator's core is busy and the number says more about it than about the server.
const CLIENT_BOUND_SHARE = 0.9;

/** Collects one run's numbers and what turned out to be wrong with them. */
export class Recorder {
  readonly measurements: Measurement[] = [];
  readonly problems: string[] = [];

  lower(label: string, unit: string, value: number | null, note: string | null = null): void {
    this.measurements.push({ label, unit, better: 'lower', value, note });
  }

  higher(label: string, unit: string, value: number | null, note: string | null = null): void {
    this.measurements.push({ label, unit, better: 'higher', value, note });
  }

  latency(label: string, histogram: Histogram, note: string | null = null): void {
    this.lower(`${label}, p50`, 'ms', histogram.percentile(0.5), note);
    this.lower(`${label}, p99`, 'ms', histogram.percentile(0.99), note);
  }

  /** A number whose check fails is not to be believed: the bench reports it and fails for our own server. */
  check(condition: boolean, problem: string): void {
    if (!condition) this.problems.push(problem);
  }
}

/** The note of a number that the generator's own core limits; null when it does not. */
export function noteClientBound(cpuShare: number): string | null {
  return cpuShare > CLIENT_BOUND_SHARE
    ? `the load generator used ${Math.round(cpuShare * 100)} % of a core`
    : null;
}

/** Runs on a started server, records its peak memory last, and stops it. */
export async function withServer(
  { target }: RunContext,
  broker: Broker,
  record: Recorder,
  use: (server: Server) => Promise<void>,
  life: Life = {},
): Promise<void> {
  const server = await Server.start(target, broker, life);
  try {
    await use(server);
    record.lower('peak memory', 'MiB', server.peakMemoryMib());
  } catch (error) {
    // What a client noticed is only the consequence when the server is gone.
    const end = server.describeEnd();
    throw end === null ? error : new Error(end, { cause: error });
  } finally {
    await server.stop();
  }
}

/** Runs on a broker of its own, for groups that write. */
export async function withBroker(use: (broker: Broker) => Promise<void>): Promise<void> {
  const broker = await startBroker();
  try {
    await use(broker);
  } finally {
    await broker.stop();
  }
}
