// What the server's log says of entries that are skipped: a line for each, but not for unsigned ones where only signed ones count. All of a
// long log may be unsigned, so of those it tells the first, and now and then how many more there were.
import { SKIP_REPORT_MS } from './limits.ts';
import type { Position, SignatureVerdict } from './model.ts';
import type { Clock, Log } from './ports.ts';
import { Timer } from './timer.ts';

export class SkipReport {
  readonly #logger: Log;
  readonly #timer: Timer;
  /** Unsigned ones since the last line; null while the next one gets a line at once. */
  #unsigned: number | null = null;
  #lastSeq: Position = 0;

  constructor(clock: Pick<Clock, 'after'>, logger: Log) {
    this.#logger = logger;
    this.#timer = new Timer(clock, SKIP_REPORT_MS, () => this.#flush());
  }

  skipped(seq: Position, reason: string, signature: SignatureVerdict | null): void {
    if (signature?.outcome === 'unsigned') {
      this.#timer.start();
      if (this.#unsigned !== null) {
        this.#unsigned++;
        this.#lastSeq = seq;
        return;
      }
      this.#unsigned = 0;
    }
    this.#logger.warn('event skipped', { seq, reason });
  }

  /** Tells what is left to be told. */
  stop(): void {
    this.#timer.stop();
    this.#flush();
  }

  #flush(): void {
    const count = this.#unsigned;
    this.#unsigned = null;
    if (count === null || count === 0) return;
    this.#logger.warn('events skipped', { count, seq: this.#lastSeq, reason: 'they are not signed' });
  }
}
