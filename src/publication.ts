// One event on its way into the log and into the view: whether it got there is found out, also when an acknowledgement is lost,
// by looking for it in the log through our own tail, and only then is it sent again. Under its message id the log keeps it once.
import type { ControlPlane } from './control-plane.ts';
import type { EventWatch } from './event-watches.ts';
import { WRITE_RETRY_MS } from './limits.ts';
import type { Position } from './model.ts';
import { type Clock, EventLogError } from './ports.ts';
import { ProblemError, retryLater, unavailable } from './problems.ts';

export interface Message {
  readonly subject: string;
  readonly payload: Uint8Array;
  /** The event's `id`, by which the tail recognises it. */
  readonly eventId: string;
  readonly messageId: string;
  readonly expectation: { readonly expectedLastOnSubject?: Position; readonly expectedLast?: Position };
}

/**
 * `stored`: in the log and in the view. `conflict`: the expectation does not hold, and the event is not in the log. `duplicate`:
 * the log holds another event under the same message id.
 */
export type PublicationOutcome =
  | { readonly kind: 'stored' | 'duplicate'; readonly seq: Position }
  | { readonly kind: 'conflict' };

export class Publication {
  readonly #controlPlane: ControlPlane;
  readonly #clock: Clock;
  readonly #message: Message;
  readonly #signal: AbortSignal;
  readonly #watch: EventWatch;
  /** An attempt that was not answered may have been stored. */
  #isDoubtful = false;

  constructor(controlPlane: ControlPlane, clock: Clock, message: Message, signal: AbortSignal) {
    this.#controlPlane = controlPlane;
    this.#clock = clock;
    this.#message = message;
    this.#signal = signal;
    this.#watch = controlPlane.watches.watch(message.eventId);
  }

  /** Called once. Throws 503 when the log cannot be asked in time, 507 when it is full. */
  async outcome(): Promise<PublicationOutcome> {
    try {
      for (;;) {
        const outcome = await this.#attempt();
        if (outcome !== null) return outcome;
        await this.#pause();
      }
    } finally {
      this.#watch.stop();
    }
  }

  /** Null when it was not stored for certain and may be sent again. */
  async #attempt(): Promise<PublicationOutcome | null> {
    const { subject, payload, messageId, expectation } = this.#message;
    let refusal: EventLogError;
    try {
      const options = { messageId, signal: this.#signal, ...expectation };
      const { seq, isDuplicate } = await this.#controlPlane.log.publish(subject, payload, options);
      await this.#whenApplied(seq);
      if (!isDuplicate) await this.#whenSeen();
      const isOurs = !isDuplicate || this.#watch.seq === seq;
      return { kind: isOurs ? 'stored' : 'duplicate', seq };
    } catch (error) {
      if (!(error instanceof EventLogError)) throw error;
      refusal = error;
    }
    if (refusal.code === 'unavailable') this.#isDoubtful = true;
    if (this.#isDoubtful) {
      const seq = await this.#search(refusal);
      if (seq !== null) return { kind: 'stored', seq };
    }
    switch (refusal.code) {
      case 'conflict':
        return { kind: 'conflict' };
      case 'full':
        throw retryLater('event-store-full', 'the event store has no room for the event', refusal);
      case 'unreachable':
        if (this.#isDoubtful) return null;
        throw unavailable('the event store is out of reach: nothing was written', refusal);
      case 'unavailable':
        return null;
    }
  }

  /** Where the log holds the event, null when it does not. Throws 503 when that cannot be told in time. */
  async #search(cause: EventLogError): Promise<Position | null> {
    while (!this.#signal.aborted) {
      const isCurrent = await this.#controlPlane.whenCurrent(this.#signal);
      if (this.#watch.seq !== null) return this.#watch.seq;
      if (isCurrent) return null;
      await this.#pause();
    }
    throw unavailable('the event store did not acknowledge the write: it may have been made', cause);
  }

  async #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const onAbort = () => resolve();
    const cancel = this.#clock.after(WRITE_RETRY_MS, resolve);
    this.#signal.addEventListener('abort', onAbort);
    await promise;
    cancel();
    this.#signal.removeEventListener('abort', onAbort);
  }

  /** A cursor beyond an acknowledged sequence may be that of an earlier stream: the event itself has to come by. */
  async #whenSeen(): Promise<void> {
    while (this.#watch.seq === null) {
      if (this.#signal.aborted) throw unavailable('the write is stored but not yet visible here');
      await this.#pause();
    }
  }

  async #whenApplied(seq: Position): Promise<void> {
    try {
      await this.#controlPlane.whenApplied(seq, this.#signal);
    } catch (error) {
      if (error instanceof ProblemError) throw error;
      throw unavailable('the write is stored but not yet visible here', error);
    }
  }
}
