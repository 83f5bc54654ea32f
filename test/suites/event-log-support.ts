// What the event log's suites stand on: a log with a broker behind it, and a follower that notes what it is told.
import type { Position } from '../../src/model.ts';
import type { EventLog, LogBounds, LogEntry, LogFollower } from '../../src/ports.ts';
import { until } from '../support/wait.ts';

/** A log with what can be done to it from outside. */
export interface EventLogHarness {
  readonly log: EventLog;
  /** Another server's log on the same stream. */
  another: () => EventLog;
  /** Another writer's event. */
  append: (payload: string, subject?: string) => Promise<Position>;
  /** Many small ones; resolves with the last one's sequence. */
  appendMany: (count: number) => Promise<Position>;
  /** The log goes out of reach; resolves when that is so. */
  disconnect: () => Promise<void>;
  reconnect: () => Promise<void>;
  /** Deletes the stream and makes a new, empty one. */
  replace: () => Promise<void>;
  remove: (seq: Position) => Promise<void>;
  /** Removes everything up to `through`. */
  purge: (through: Position) => Promise<void>;
  /** How long it takes until a log on a broker would notice what it looks for by itself. */
  readonly patienceMs: number;
  dispose: () => Promise<void>;
}

/** The sequences from one to another. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at);
}

/** Notes all that a follower is told. */
export class Recorder implements LogFollower {
  readonly told: string[] = [];
  entries: LogEntry[] = [];
  opened: LogBounds | null = null;
  caughtUp: Position | null = null;

  readonly onOpened = (bounds: LogBounds, after: Position): void => {
    this.opened = bounds;
    this.caughtUp = null;
    this.told.push(`opened ${after}`);
  };
  readonly onEntry = (entry: LogEntry): void => {
    // A log may reuse its buffers.
    this.entries.push({ ...entry, payload: entry.payload.slice() });
    this.told.push(`entry ${entry.seq}`);
  };
  readonly onCaughtUp = (position: Position): void => {
    this.caughtUp = position;
  };
  readonly onReset = (): void => {
    this.entries = [];
    this.told.push('reset');
  };
  readonly onLost = (): void => {
    this.caughtUp = null;
    if (this.told.at(-1) !== 'lost') this.told.push('lost');
  };

  /** How often the read was opened. */
  get openings(): number {
    return this.told.filter((what) => what.startsWith('opened')).length;
  }

  get sequences(): Position[] {
    return this.entries.map((entry) => entry.seq);
  }

  get texts(): string[] {
    return this.entries.map((entry) => new TextDecoder().decode(entry.payload));
  }

  /** Follows the harness's log from its start, over `count` entries. */
  async followOver({ log, appendMany }: EventLogHarness, count: number): Promise<void> {
    log.follow(0, this);
    await this.whenCaughtUp(0);
    if (count === 0) return;
    await appendMany(count);
    await this.whenCaughtUp(count);
  }

  whenCaughtUp(position: Position): Promise<unknown> {
    const isThere = () =>
      this.caughtUp !== null && Math.max(this.caughtUp, this.sequences.at(-1) ?? 0) >= position;
    return until(isThere, { what: `position ${position}`, timeoutMs: 10_000 });
  }
}
