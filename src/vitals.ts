// What the control plane notes of its own life for those who look after it: numbers since it was made, written as things happen
// and read when somebody asks.
import type { SignatureOutcome } from './model.ts';
import type { Effect } from './projection.ts';

export class Vitals {
  /** Entries of the log by what became of them, those of replays included. */
  readonly events: Record<Effect, number> = { applied: 0, ignored: 0, skipped: 0 };
  /** Those that came in a signed envelope, or should have, by what was thought of it. */
  readonly signatures: Record<SignatureOutcome, number> = {
    verified: 0,
    unverified: 0,
    unsigned: 0,
    malformed: 0,
    'unknown-key': 0,
    'bad-signature': 0,
    'outside-its-time': 0,
  };
  /** Whether the log can be reached, as far as is known. */
  isConnected = false;
  /** How often the continuous read of the log was opened: the first time, and after each loss. */
  opens = 0;
  /** How long the last catching up with the log took, from its opening; null before the first. */
  catchUpMs: number | null = null;

  #lostReason: string | null = null;
  /** Since when the log is out of reach, in the clock's time; null while it is not. */
  lostAt: number | null;

  constructor(now: number) {
    this.lostAt = now;
  }

  opened(): void {
    this.#lostReason = null;
    this.isConnected = true;
    this.lostAt = null;
    this.opens++;
  }

  /** Whether that is news: each attempt to connect reports, mostly the same. */
  lost(reason: string, now: number): boolean {
    this.lostAt ??= now;
    const isNews = reason !== this.#lostReason;
    this.#lostReason = reason;
    this.isConnected = false;
    return isNews;
  }
}
