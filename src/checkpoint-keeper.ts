// When the view is saved: after every slice of a long replay, every few seconds while it changes, and at the end. What is
// written, and what becomes of it, is checkpoint.ts.
import type { Checkpoint } from './checkpoint.ts';
import { CHECKPOINT_INTERVAL_MS, REPLAY_SLICE_ENTRIES } from './limits.ts';
import type { Position } from './model.ts';
import type { Clock, EventLog, Log } from './ports.ts';
import type { ProjectionState } from './projection.ts';
import { Timer } from './timer.ts';

export interface CheckpointKeeperOptions {
  readonly checkpoint: Checkpoint;
  /** Where the view is, and what it is fed from. */
  readonly log: Pick<EventLog, 'anchor' | 'pause' | 'resume'> & {
    /** Where the anchor may be unknown for a moment. */
    readonly whenAnchored?: () => Promise<void>;
  };
  readonly clock: Clock;
  readonly logger: Log;
  /** The view as it is now. */
  readonly state: () => ProjectionState;
  /** Awaited between two slices of a replay, where a runtime bounds how long it may work at a time. Must not reject. */
  readonly nextSlice?: (() => Promise<void>) | undefined;
}

export class CheckpointKeeper {
  readonly #options: CheckpointKeeperOptions;
  /** Entries of this slice of a replay. */
  #entries = 0;
  /** The cursor of the last save. */
  #saved: Position | null = null;
  /** When the view was last saved, in the clock's time, with its cursor; null before. */
  lastSave: { readonly at: number; readonly cursor: Position } | null = null;
  saves = 0;
  failures = 0;
  readonly #saveSoon: Timer;
  /** Settles with the last thing that was asked of the checkpoint. */
  #underWay: Promise<unknown> = Promise.resolve();
  #isStopped = false;

  constructor(options: CheckpointKeeperOptions) {
    this.#options = options;
    this.#saveSoon = new Timer(options.clock, CHECKPOINT_INTERVAL_MS, () => void this.save());
  }

  /** An entry of a replay was applied; true when the slice ends with it. */
  replayed(): boolean {
    if (++this.#entries < REPLAY_SLICE_ENTRIES) return false;
    this.#entries = 0;
    void this.#endSlice();
    return true;
  }

  /** The view is complete and has changed, or may have. */
  applied(): void {
    if (!this.#isStopped) this.#saveSoon.start();
  }

  /** Never rejects: a checkpoint that cannot be written costs the next start its time, no more. */
  async save(): Promise<void> {
    const { checkpoint, clock, log, logger, state } = this.#options;
    const { anchor } = log;
    // Between a reset and the first contact with the new stream there is nothing to keep.
    if (anchor === null || anchor.position !== state().cursor || anchor.position === this.#saved) return;
    this.#saved = anchor.position;
    try {
      const saving = checkpoint.save(state(), anchor);
      this.#underWay = saving;
      const written = await saving;
      if (written.isDue) {
        this.#saved = null;
        this.applied();
      } else {
        this.lastSave = { at: clock.now(), cursor: anchor.position };
        this.saves++;
        logger.debug('checkpoint saved', { cursor: anchor.position, ...written });
      }
    } catch (error) {
      this.#saved = null;
      this.failures++;
      logger.warn('the checkpoint could not be saved', { cursor: anchor.position, error: String(error) });
    }
  }

  /** The log is another one. Never rejects. */
  async reset(): Promise<void> {
    this.#entries = 0;
    this.#saved = null;
    await (this.#underWay = this.#options.checkpoint.reset());
  }

  /** The last save. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#saveSoon.stop();
    // Whoever comes next must not find the store in the middle of a save.
    await this.#underWay.catch(() => {});
    await this.#options.log.whenAnchored?.();
    await this.save();
  }

  async #endSlice(): Promise<void> {
    const { log, nextSlice } = this.#options;
    log.pause();
    try {
      await this.save();
      await nextSlice?.();
    } finally {
      log.resume();
    }
  }
}
