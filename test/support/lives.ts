// One server after another, in memory, with one store of checkpoints and one stream.
import { Checkpoint, type Restored, type Saved } from '../../src/checkpoint.ts';
import { ControlPlane, type ControlPlaneOptions } from '../../src/control-plane.ts';
import type { Position } from '../../src/model.ts';
import type { Log, LogAnchor } from '../../src/ports.ts';
import type { ProjectionState } from '../../src/projection.ts';
import { NO_SIGNATURES, type Signatures } from '../../src/signatures.ts';
import { encodeUtf8 } from '../../src/utf8.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryCheckpointStore } from './memory-checkpoint-store.ts';
import { MemoryEventLog } from './memory-event-log.ts';
import { silentLogger } from './system.ts';

/** What the projection ignores. */
export const IGNORED = encodeUtf8('{"type":"x"}');

/** A checkpoint that tells what it is asked for, and when it is done with it. */
class WatchedCheckpoint extends Checkpoint {
  /** Where the view was at each save that was asked for, and `reset`. */
  readonly asked: (Position | 'reset')[] = [];
  #work: Promise<unknown>[] = [];

  override restore(): Promise<Restored | null> {
    return this.#watch(super.restore());
  }

  override save(state: ProjectionState, anchor: LogAnchor): Promise<Saved> {
    this.asked.push(anchor.position);
    return this.#watch(super.save(state, anchor));
  }

  override reset(): Promise<void> {
    this.asked.push('reset');
    return this.#watch(super.reset());
  }

  async whenIdle(): Promise<void> {
    while (this.#work.length > 0) await Promise.allSettled(this.#work.splice(0));
  }

  #watch<Result>(work: Promise<Result>): Promise<Result> {
    this.#work.push(work);
    return work;
  }
}

/** One process after another, with one store and one stream. */
export class Lives {
  readonly clock = new ManualClock();
  readonly store = new MemoryCheckpointStore();
  readonly logged: string[] = [];
  /** What the log in use has delivered. */
  delivered: Position[] = [];
  log = new MemoryEventLog();
  checkpoint = new WatchedCheckpoint(this.store, silentLogger);
  #controlPlane: ControlPlane | null = null;

  get controlPlane(): ControlPlane {
    if (this.#controlPlane === null) throw new Error('not started');
    return this.#controlPlane;
  }

  get cursor(): Position {
    return this.controlPlane.state.cursor;
  }

  get asked(): readonly (Position | 'reset')[] {
    return this.checkpoint.asked;
  }

  async start(
    options: Pick<ControlPlaneOptions, 'nextSlice' | 'skipReplay' | 'signatures'> = {},
  ): Promise<void> {
    const note = (level: string) => (message: string) => void this.logged.push(`${level} ${message}`);
    const logger: Log = { debug() {}, info() {}, warn: note('WARN'), error: note('ERROR') };
    this.checkpoint = new WatchedCheckpoint(this.store, logger, options.signatures);
    const { log, clock, checkpoint } = this;
    this.delivered = [];
    const { follow } = log;
    log.follow = (from, follower) =>
      follow.call(log, from, {
        ...follower,
        onEntry: (entry) => {
          this.delivered.push(entry.seq);
          follower.onEntry(entry);
        },
      });
    this.#controlPlane = new ControlPlane({ log, clock, logger, checkpoint, ...options });
    this.#controlPlane.start();
    await this.settle();
  }

  /** Where signatures are verified, which takes a time that is nobody's. */
  async whenApplied(position: Position): Promise<void> {
    await this.controlPlane.whenApplied(position, AbortSignal.timeout(5000));
    await this.settle();
  }

  /** Until nothing happens any more; time stands still. */
  async settle(): Promise<void> {
    for (let round = 0; round < 3; round++) {
      await this.clock.settle();
      await this.checkpoint.whenIdle();
    }
  }

  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.settle();
  }

  async append(count: number, payload: unknown = IGNORED): Promise<void> {
    for (let n = 0; n < count; n++) this.log.append(payload);
    await this.settle();
  }

  /** Ends the process in an orderly way. */
  async stop(): Promise<void> {
    await this.controlPlane.stop('leave');
    this.log = this.log.another();
  }

  /** Ends it without a word. */
  async crash(): Promise<void> {
    await this.log.close();
    // The store does all of a save or nothing; here it does all.
    await this.checkpoint.whenIdle();
    this.log = this.log.another();
  }

  /** What a process that has no checkpoint makes of the stream. */
  async replayed(signatures: Signatures = NO_SIGNATURES): Promise<ProjectionState> {
    const { clock } = this;
    const log = this.log.another();
    const controlPlane = new ControlPlane({ log, clock, logger: silentLogger, signatures });
    controlPlane.start();
    await clock.settle();
    await controlPlane.whenCurrent(AbortSignal.timeout(5000));
    return controlPlane.state;
  }
}
