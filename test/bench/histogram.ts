// Owns latency percentiles: a histogram that millions of samples fit into and that travels between processes.

// Buckets grow by one per cent, so a percentile is right to one per cent, from a microsecond to ten minutes.
const GROWTH = 1.01;
const LOG_GROWTH = Math.log(GROWTH);
const SMALLEST_MS = 0.001;
const BUCKETS = Math.ceil(Math.log(600_000 / SMALLEST_MS) / LOG_GROWTH) + 1;

/** Counts of latencies in milliseconds; `counts` is plain data for a message to another process. */
export class Histogram {
  readonly counts: number[];
  #total: number;

  constructor(counts: readonly number[] = []) {
    this.counts = counts.length === BUCKETS ? [...counts] : Array.from({ length: BUCKETS }, () => 0);
    this.#total = this.counts.reduce((sum, count) => sum + count, 0);
  }

  get total(): number {
    return this.#total;
  }

  add(ms: number): void {
    const bucket = ms <= SMALLEST_MS ? 0 : Math.floor(Math.log(ms / SMALLEST_MS) / LOG_GROWTH);
    const index = Math.min(bucket, BUCKETS - 1);
    this.counts[index] = (this.counts[index] ?? 0) + 1;
    this.#total += 1;
  }

  merge(counts: readonly number[]): void {
    for (const [index, count] of counts.entries()) {
      this.counts[index] = (this.counts[index] ?? 0) + count;
      this.#total += count;
    }
  }

  /** The latency in milliseconds that `share` (0 to 1) of the samples do not exceed; null without samples. */
  percentile(share: number): number | null {
    if (this.#total === 0) return null;
    const wanted = Math.max(1, Math.ceil(share * this.#total));
    let seen = 0;
    for (const [index, count] of this.counts.entries()) {
      seen += count;
      if (seen >= wanted) return SMALLEST_MS * GROWTH ** (index + 1);
    }
    return null;
  }
}
