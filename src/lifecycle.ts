// The control plane's lifecycle as a full table: what the log reports decides what requests may be answered.
import type { Clock } from './ports.ts';

/**
 * starting: no contact with the log yet. replaying: connected, the view is not complete. live: the view is at the tail.
 * lost: was live, the log is away or is being caught up with. offline: the log has been out of reach since the start for
 * longer than a start may wait. stopped: no more.
 */
export type Phase = 'starting' | 'replaying' | 'live' | 'lost' | 'offline' | 'stopped';

/** overdue: the grace of a start without a broker is over. */
export type PhaseEvent = 'opened' | 'caughtUp' | 'reset' | 'lost' | 'overdue' | 'stopped';

const TRANSITIONS: Readonly<Record<Phase, Readonly<Record<PhaseEvent, Phase>>>> = {
  starting: {
    opened: 'replaying',
    caughtUp: 'live',
    reset: 'replaying',
    lost: 'starting',
    overdue: 'offline',
    stopped: 'stopped',
  },
  replaying: {
    opened: 'replaying',
    caughtUp: 'live',
    reset: 'replaying',
    lost: 'starting',
    overdue: 'replaying',
    stopped: 'stopped',
  },
  live: {
    opened: 'live',
    caughtUp: 'live',
    reset: 'replaying',
    lost: 'lost',
    overdue: 'live',
    stopped: 'stopped',
  },
  lost: {
    opened: 'lost',
    caughtUp: 'live',
    reset: 'replaying',
    lost: 'lost',
    overdue: 'lost',
    stopped: 'stopped',
  },
  offline: {
    opened: 'replaying',
    caughtUp: 'live',
    reset: 'replaying',
    lost: 'offline',
    overdue: 'offline',
    stopped: 'stopped',
  },
  stopped: {
    opened: 'stopped',
    caughtUp: 'stopped',
    reset: 'stopped',
    lost: 'stopped',
    overdue: 'stopped',
    stopped: 'stopped',
  },
};

export const PHASES = Object.keys(TRANSITIONS) as readonly Phase[];

export function nextPhase(phase: Phase, event: PhaseEvent): Phase {
  return TRANSITIONS[phase][event];
}

/** Whether requests are answered from the view. */
export function isServing(phase: Phase): boolean {
  return phase === 'live' || phase === 'lost' || phase === 'offline';
}

/** Where a control plane is in it. */
export class Lifecycle {
  #phase: Phase = 'starting';
  #whenServing = Promise.withResolvers<void>();
  #whenSliced = Promise.withResolvers<void>();

  get phase(): Phase {
    return this.#phase;
  }

  get serving(): boolean {
    return isServing(this.#phase);
  }

  apply(event: PhaseEvent): void {
    const was = this.serving;
    this.#phase = nextPhase(this.#phase, event);
    if (this.serving && !was) this.#whenServing.resolve();
    else if (was && !this.serving) {
      this.#whenServing = Promise.withResolvers<void>();
      this.#whenSliced = Promise.withResolvers<void>();
    }
  }

  /** The replay takes longer than one slice, or will not be finished. */
  sliced(): void {
    this.#whenSliced.resolve();
  }

  /** Resolves when requests are answered. */
  whenServing(): Promise<void> {
    return this.serving ? Promise.resolve() : this.#whenServing.promise;
  }

  /** Resolves when requests are answered, when it is known that this takes longer than one slice, or after `ms`. */
  async whenAnswerable(clock: Pick<Clock, 'after'>, ms: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const cancel = clock.after(ms, late.resolve);
    await Promise.race([this.whenServing(), this.#whenSliced.promise, late.promise]);
    cancel();
  }
}
