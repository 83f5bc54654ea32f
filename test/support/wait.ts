// Waiting for a condition instead of sleeping, and bounding what might never come.
import { setTimeout as delay } from 'node:timers/promises';

const DEFAULT_TIMEOUT_MS = 5000;
const POLL_MS = 10;

export interface WaitOptions {
  /** What is waited for, for the error's message. */
  readonly what: string;
  /** Default 5 s. */
  readonly timeoutMs?: number;
  /** Pause between two looks; default 10 ms. */
  readonly pollMs?: number;
}

/**
 * Looks until the result is neither undefined nor false, and returns it. A look that throws counts as "not yet"; the
 * error at the end carries the last one's message.
 */
export async function until<T>(
  look: () => T | false | undefined | Promise<T | false | undefined>,
  { what, timeoutMs = DEFAULT_TIMEOUT_MS, pollMs = POLL_MS }: WaitOptions,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown = 'the condition stayed false';
  for (;;) {
    try {
      const result = await look();
      if (result !== undefined && result !== false) return result;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      const why = last instanceof Error ? last.message : String(last);
      throw new Error(`waited ${timeoutMs} ms for ${what}: ${why}`, { cause: last });
    }
    await delay(pollMs);
  }
}

/** The promise's value, or an error once the time is over. */
export async function within<T>(timeoutMs: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${timeoutMs} ms for ${what}`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The promise's value and how long it took. */
export async function timed<T>(promise: Promise<T>): Promise<{ value: T; ms: number }> {
  const start = performance.now();
  const value = await promise;
  return { value, ms: performance.now() - start };
}

/** For what can only be told by nothing happening for a while; never to wait for something to happen. */
export async function quiet(ms: number): Promise<void> {
  await delay(ms);
}
