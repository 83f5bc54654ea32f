// A clock that goes when the test says so.
import type { Clock } from '../../src/ports.ts';

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

export class ManualClock implements Clock {
  #now = Date.parse('2026-11-20T12:00:00.000Z');
  readonly #timers = new Set<Timer>();
  #soon: (() => void)[] = [];

  readonly now = (): number => this.#now;

  readonly after = (ms: number, run: () => void): (() => void) => {
    const timer = { at: this.#now + ms, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  };

  readonly soon = (run: () => void): void => void this.#soon.push(run);

  /** Runs what was to run soon, and promises that hang on it, until nothing is left. */
  async settle(): Promise<void> {
    do {
      const due = this.#soon;
      this.#soon = [];
      for (const run of due) run();
      // Enough turns for the longest chain of awaits in what is tested.
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    } while (this.#soon.length > 0);
  }

  /** Lets time pass, timer by timer. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await this.settle();
      const next = [...this.#timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = end;
    await this.settle();
  }
}
