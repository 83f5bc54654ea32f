// Who waits for the projection to reach a sequence.
import type { Position } from './model.ts';

interface Waiter {
  readonly position: Position;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export class Waiters {
  /** Ordered by position, so that the tail looks at the first alone. */
  readonly #waiters: Waiter[] = [];

  /** Resolves at `reached(position)` or beyond; rejects with the signal's reason. */
  until(position: Position, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = () => {
        const at = this.#waiters.indexOf(waiter);
        if (at >= 0) this.#waiters.splice(at, 1);
        reject(signal.reason);
      };
      const waiter: Waiter = {
        position,
        resolve: () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
        reject: (reason) => {
          signal.removeEventListener('abort', onAbort);
          reject(reason);
        },
      };
      signal.addEventListener('abort', onAbort);
      this.#insert(waiter);
    });
  }

  /** The projection is at `position`. */
  reached(position: Position): void {
    let due = 0;
    while (due < this.#waiters.length && (this.#waiters[due] as Waiter).position <= position) due++;
    if (due === 0) return;
    for (const waiter of this.#waiters.splice(0, due)) waiter.resolve();
  }

  /** Nobody's position will come: the log is another one, or the server stops. */
  rejectAll(reason: unknown): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(reason);
  }

  /** Behind all that wait for no more than it does, which is nearly always the end. */
  #insert(waiter: Waiter): void {
    let at = this.#waiters.length;
    while (at > 0 && (this.#waiters[at - 1] as Waiter).position > waiter.position) at--;
    this.#waiters.splice(at, 0, waiter);
  }
}
