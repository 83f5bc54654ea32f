// One thing that is done some time after it was asked for, once however often that was, unless it is called off.
import type { Clock } from './ports.ts';

export class Timer {
  readonly #clock: Pick<Clock, 'after'>;
  readonly #ms: number;
  readonly #run: () => void;
  #cancel: (() => void) | null = null;

  constructor(clock: Pick<Clock, 'after'>, ms: number, run: () => void) {
    this.#clock = clock;
    this.#ms = ms;
    this.#run = run;
  }

  /** Does nothing while it is running. */
  start(): void {
    this.#cancel ??= this.#clock.after(this.#ms, () => {
      this.#cancel = null;
      this.#run();
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }
}
