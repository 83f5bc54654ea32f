// How fast frames are handed to sockets where the runtime takes whatever it is given, and does not tell what waits or keeps it at
// several times its size: so many bytes a turn, and nothing more while it is still at work on the last.
import { FEED_TURN_MS } from './limits.ts';
import type { Clock } from './ports.ts';
import { Timer } from './timer.ts';

export interface PaceLimits {
  /** Bytes for all sessions together, before the runtime gets its turn. */
  readonly turnBytes: number;
  /** How long the runtime is at work on a hand-out, for each session: what comes meanwhile waits for its turn and goes out together. */
  readonly busyMsPerSession: number;
}

/** Where sockets tell what waits and share what they keep, that is pace enough. */
export const UNPACED: PaceLimits = { turnBytes: Number.POSITIVE_INFINITY, busyMsPerSession: 0 };

export class FeedPace {
  readonly #limits: PaceLimits;
  readonly #clock: Clock;
  #spent = 0;
  #handedOutAt = Number.NEGATIVE_INFINITY;
  readonly #turn: Timer;

  /** `onTurn` is called when bytes may be handed out again after there were none left. */
  constructor(limits: PaceLimits, clock: Clock, onTurn: () => void) {
    this.#limits = limits;
    this.#clock = clock;
    this.#turn = new Timer(clock, FEED_TURN_MS, () => {
      const wasExhausted = this.left <= 0;
      this.#spent = 0;
      if (wasExhausted) onTurn();
    });
  }

  /** Bytes that this turn has left; none when it is 0 or less. */
  get left(): number {
    return this.#limits.turnBytes - this.#spent;
  }

  spend(bytes: number): void {
    if (this.#limits.turnBytes === Number.POSITIVE_INFINITY) return;
    this.#spent += bytes;
    // A few frames now and then are not worth a timer each.
    if (this.left <= this.#limits.turnBytes / 2) this.#turn.start();
  }

  /** Calls `run` soon; behind what the runtime has still to do when the last hand-out to so many sessions is not long ago. */
  schedule(sessions: number, run: () => void): void {
    const busyMs = this.#limits.busyMsPerSession * sessions;
    if (busyMs === 0) {
      this.#clock.soon(run);
      return;
    }
    const handOut = () => {
      this.#handedOutAt = this.#clock.now();
      run();
    };
    if (this.#clock.now() - this.#handedOutAt >= busyMs) this.#clock.soon(handOut);
    // Timers run when everything else has: the busier the runtime, the more goes out together.
    else this.#clock.after(0, handOut);
  }

  stop(): void {
    this.#turn.stop();
  }
}
