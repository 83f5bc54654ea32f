// One request's way through its write, until it has had its time: whether it was answered before, how far the view has to be, and
// the events that it publishes. What is written is the writer's decision.
import { formationEventText } from './cloudevents.ts';
import type { ControlPlane } from './control-plane.ts';
import { toFact } from './facts.ts';
import type { Fact, Position, RequestMark } from './model.ts';
import type { Clock, LogEntry } from './ports.ts';
import { ProblemError, unavailable } from './problems.ts';
import { Publication, type PublicationOutcome } from './publication.ts';
import { encodeUtf8 } from './utf8.ts';

/** Who writes, and what the request says of itself. */
export interface WriteContext {
  readonly operator: string;
  /** The request's trace when it has one. */
  readonly traceparent: string | null;
  /** Of a request with an Idempotency-Key. */
  readonly mark: RequestMark | null;
}

/** An event that is in the log and in the view. */
export interface Written {
  readonly formationId: string;
  readonly seq: Position;
  /** It was made by an earlier request with the same Idempotency-Key. */
  readonly isReplayed: boolean;
}

export class WriteAttempts {
  readonly #controlPlane: ControlPlane;
  readonly #clock: Clock;
  readonly #context: WriteContext;
  readonly #signal: AbortSignal;
  #isRenewed = false;
  /** Whether the view has been seen to hold all that the log held when the request came. */
  isCurrent = false;

  constructor(controlPlane: ControlPlane, clock: Clock, context: WriteContext, signal: AbortSignal) {
    this.#controlPlane = controlPlane;
    this.#clock = clock;
    this.#context = context;
    this.#signal = signal;
  }

  /** What an earlier request of the same key was answered, as far as the view knows. Throws 422 when it said something else. */
  answered(): Written | null {
    const { mark } = this.#context;
    const known = mark === null ? undefined : this.#controlPlane.state.receipts.get(mark.key);
    if (mark === null || known === undefined) return null;
    return replayOf(known.formation.id, known.receipt, mark);
  }

  /** The same, of the event at `seq`, which the log holds under the key. */
  async answeredBy(seq: Position): Promise<Written> {
    await this.whenApplied(seq);
    const answered = this.answered() ?? (await this.answeredIn(await this.#entryAt(seq)));
    if (answered !== null) return answered;
    throw unavailable('the event store holds another message of this request');
  }

  /** The same, of an entry that a view which began at the tail does not know. */
  async answeredIn(entry: LogEntry | null): Promise<Written | null> {
    const { mark } = this.#context;
    if (entry === null || mark === null) return null;
    const fact = await this.factOf(entry);
    if (fact.kind !== 'formation' || fact.mark?.key !== mark.key) return null;
    return replayOf(fact.id, { ...fact.mark, seq: entry.seq }, mark);
  }

  /**
   * A request with a key may have been answered elsewhere, longer ago than the log itself would notice: only who has read all of the
   * log may do it. Throws 503 when that is not possible.
   */
  async requireKnowledge(): Promise<void> {
    if (this.#controlPlane.phase === 'live' || this.#context.mark === null || this.answered() !== null)
      return;
    this.isCurrent = await this.#controlPlane.whenCurrent(this.#signal);
    this.requireCertainty();
  }

  /** To be called before a request is refused: one with a key may have been answered otherwise elsewhere. */
  requireCertainty(): void {
    if (this.#context.mark !== null && !this.isCurrent) {
      throw unavailable('the event store is out of reach: whether the request is known cannot be told');
    }
  }

  /** Lets the view catch up with the log, once; false when that was done before, or is no longer worth anything. */
  async isRenewed(): Promise<boolean> {
    if (this.#isRenewed) return false;
    this.#isRenewed = true;
    this.isCurrent = await this.#controlPlane.whenCurrent(this.#signal);
    return this.isCurrent;
  }

  /** Lets the view catch up with the log, each time. Throws 503 when that is not possible in time. */
  async renew(): Promise<void> {
    this.isCurrent = await this.#controlPlane.whenCurrent(this.#signal);
    if (!this.isCurrent || this.#signal.aborted) {
      throw unavailable('the event store changes too fast for a conditional write, or is out of reach');
    }
  }

  /** What an entry says, if it may be believed. */
  async factOf(entry: LogEntry): Promise<Fact> {
    return toFact(await this.#controlPlane.reader.read(entry));
  }

  async publish(
    subject: string,
    what: Omit<Parameters<typeof formationEventText>[0], 'eventId' | 'time' | keyof WriteContext>,
    expectation: { expectedLastOnSubject?: Position; expectedLast?: Position },
  ): Promise<PublicationOutcome> {
    const eventId = crypto.randomUUID();
    const time = new Date(this.#clock.now());
    const event = formationEventText({ ...what, ...this.#context, eventId, time });
    const { signer } = this.#controlPlane;
    const payload = encodeUtf8(signer === null ? event : await signer.sign(event));
    // Two requests of one key that meet at the log are one message to it.
    const messageId = this.#context.mark?.key ?? eventId;
    const message = { subject, payload, eventId, messageId, expectation };
    return new Publication(this.#controlPlane, this.#clock, message, this.#signal).outcome();
  }

  async lastOn(subject: string): Promise<LogEntry | null> {
    try {
      return await this.#controlPlane.log.last(subject, this.#signal);
    } catch (error) {
      throw unavailable('the event store could not be asked who holds the name', error);
    }
  }

  async whenApplied(position: Position): Promise<void> {
    try {
      await this.#controlPlane.whenApplied(position, this.#signal);
    } catch (error) {
      if (error instanceof ProblemError) throw error;
      throw unavailable('the event store holds what is not yet visible here', error);
    }
  }

  async #entryAt(seq: Position): Promise<LogEntry | null> {
    try {
      const options = { after: seq - 1, until: seq, limit: 1, signal: this.#signal };
      return (await this.#controlPlane.log.read(options)).entries[0] ?? null;
    } catch (error) {
      throw unavailable('the event store could not be read', error);
    }
  }
}

function replayOf(formationId: string, receipt: RequestMark & { seq: Position }, mark: RequestMark): Written {
  if (receipt.request !== mark.request) {
    throw new ProblemError(
      'idempotency-key-reused',
      'the Idempotency-Key was used before, on this path and with another body',
    );
  }
  return { formationId, seq: receipt.seq, isReplayed: true };
}
