// Who waits for the projection to reach a sequence.
import type { Position } from './model.ts';

interface Waiter {
  readonly position: Position;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export class Waiters {
  readonly #waiters = new Set<Waiter>();
  /** The lowest awaited position: the tail compares one number per event. */
  #next = Number.POSITIVE_INFINITY;

  /** Resolves at `reached(position)` or beyond; rejects with the signal's reason. */
  until(position: Position, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const settle = (act: () => void) => {
        signal.removeEventListener('abort', onAbort);
        this.#remove(waiter);
        act();
      };
      const onAbort = () => settle(() => reject(signal.reason));
      const waiter: Waiter = {
        position,
        resolve: () => settle(resolve),
        reject: (reason) => settle(() => reject(reason)),
      };
      signal.addEventListener('abort', onAbort);
      this.#waiters.add(waiter);
      this.#next = Math.min(this.#next, position);
    });
  }

  /** The projection is at `position`. */
  reached(position: Position): void {
    if (position < this.#next) return;
    for (const waiter of this.#waiters) if (waiter.position <= position) waiter.resolve();
  }

  /** Nobody's position will come: the log is another one, or the server stops. */
  rejectAll(reason: unknown): void {
    for (const waiter of this.#waiters) waiter.reject(reason);
  }

  #remove(waiter: Waiter): void {
    this.#waiters.delete(waiter);
    if (waiter.position > this.#next) return;
    this.#next = Number.POSITIVE_INFINITY;
    for (const { position } of this.#waiters) this.#next = Math.min(this.#next, position);
  }
}
