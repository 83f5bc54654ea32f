// Writes (design D2, D3): decide on the view, publish to the log, wait until the view has what was published, answer. The log
// is the lock: of all that race for a name exactly one finds the subject of the name's next id empty. How one event gets there
// for certain is publication.ts.
import { decide, nameTaken } from './admission.ts';
import { decodeEntry, formationEventText, formationSubject } from './cloudevents.ts';
import type { ControlPlane } from './control-plane.ts';
import type { FormationDocument } from './documents.ts';
import { type EntityTags, entityTag, isMatch } from './entity-tags.ts';
import { toFact } from './facts.ts';
import { formationIdFor } from './ids.ts';
import { elementsOf, memberOf } from './json-text.ts';
import { MAX_ADMISSION_ATTEMPTS, WRITE_TIMEOUT_MS } from './limits.ts';
import type { Formation, FormationPhase, Position, RequestMark } from './model.ts';
import type { Clock, LogEntry } from './ports.ts';
import { ProblemError, unavailable } from './problems.ts';
import { holderOf, isLive, type ProjectionState } from './projection.ts';
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

export interface PhaseChange {
  readonly phase: FormationPhase;
  readonly reason: string | null;
  readonly failedCellIds: readonly string[];
}

/** An event that is in the log and in the view. */
export interface Written {
  readonly formationId: string;
  readonly seq: Position;
  /** It was made by an earlier request with the same Idempotency-Key. */
  readonly isReplayed: boolean;
}

export class Writer {
  readonly #controlPlane: ControlPlane;
  readonly #clock: Clock;

  constructor(controlPlane: ControlPlane, clock: Clock) {
    this.#controlPlane = controlPlane;
    this.#clock = clock;
  }

  /** Admits the document; resolves once the formation is in the log and in the view. */
  async create(document: FormationDocument, context: WriteContext): Promise<Written> {
    return this.#inTime(context, (attempts) => this.#create(document, attempts));
  }

  async #create(document: FormationDocument, attempts: Attempts): Promise<Written> {
    /** An id whose subject is taken although the view has no such holder of the name: as good as a former holder. */
    let spent: string | null = null;
    for (let attempt = 0; attempt < MAX_ADMISSION_ATTEMPTS; attempt++) {
      const answered = attempts.answered();
      if (answered !== null) return answered;
      const { state } = this.#controlPlane;
      const verdict = decide(document, state);
      if (!verdict.ok) {
        // Another server may have ended the holder since.
        if (verdict.code === 'conflict' && (await attempts.isRenewed())) continue;
        attempts.requireCertainty();
        throw new ProblemError(verdict.code, verdict.detail);
      }
      const id: string = formationIdFor(document.name, spent ?? holderOf(state, document.name)?.id ?? null);
      const subject = formationSubject(id, 'PENDING');
      const outcome = await attempts.publish(
        subject,
        {
          phase: 'PENDING',
          formationId: id,
          formationName: document.name,
          cellCount: document.members.length,
          failedCellIds: [],
          reason: null,
          document: document.text,
        },
        { expectedLastOnSubject: 0 },
      );
      if (outcome.kind === 'stored') return { formationId: id, seq: outcome.seq, isReplayed: false };
      if (outcome.kind === 'duplicate') return attempts.answeredBy(outcome.seq);
      const winner = await attempts.lastOn(subject);
      if (winner !== null) await attempts.whenApplied(winner.seq);
      const replay = attempts.answered() ?? attempts.answeredIn(winner);
      if (replay !== null) return replay;
      const known = this.#controlPlane.state.formations.get(id);
      const isHolders =
        known === undefined ? winner !== null && names(winner, document.name) : known.name === document.name;
      // A view that began at the tail does not know the holder, nor whether it is finished: the name counts as held.
      if (isHolders && (known === undefined || isLive(known))) {
        const taken = nameTaken(document.name, id);
        throw new ProblemError(taken.code, taken.detail);
      }
      // Held and finished: the view now names it as the previous holder. Anything else is stepped over.
      spent = isHolders ? null : id;
    }
    throw unavailable('the name changed hands too often, try again');
  }

  /**
   * Publishes the next phase of the formation that `find` finds, also when it has that phase already. `find` throws when there is
   * none, and is asked again once the view has all that the log holds; `toChange` may throw too. With a condition the log
   * decides whether the record is still what it names.
   */
  async changePhase(
    find: (state: ProjectionState) => Formation,
    toChange: () => PhaseChange,
    context: WriteContext,
    condition: EntityTags | null,
  ): Promise<Written> {
    return this.#inTime(context, (attempts) => this.#changePhase(find, toChange, attempts, condition));
  }

  async #changePhase(
    find: (state: ProjectionState) => Formation,
    toChange: () => PhaseChange,
    attempts: Attempts,
    condition: EntityTags | null,
  ): Promise<Written> {
    for (;;) {
      const answered = attempts.answered();
      if (answered !== null) return answered;
      const { state, epoch } = this.#controlPlane;
      let formation: Formation;
      try {
        formation = find(state);
      } catch (error) {
        if (await attempts.isRenewed()) continue;
        attempts.requireCertainty();
        throw error;
      }
      if (condition !== null) {
        const tag = entityTag(epoch, formation.version);
        if (!isMatch(condition, tag)) {
          // Another server may have answered with a tag that this view has not reached yet.
          if (await attempts.isRenewed()) continue;
          throw attempts.isCurrent ? changed(formation, tag) : unavailable('the event store is out of reach');
        }
      }
      const change = toChange();
      const event = {
        ...change,
        formationId: formation.id,
        formationName: formation.name,
        cellCount: elementsOf(memberOf(formation.document, 'members') ?? '').length,
        document: null,
      };
      const outcome = await attempts.publish(
        formationSubject(formation.id, change.phase),
        event,
        condition === null ? {} : { expectedLast: state.cursor },
      );
      if (outcome.kind === 'stored') {
        return { formationId: formation.id, seq: outcome.seq, isReplayed: false };
      }
      if (outcome.kind === 'duplicate') return attempts.answeredBy(outcome.seq);
      // Something else was written meanwhile, whatever it was.
      await attempts.renew();
    }
  }

  /** `AbortSignal.timeout` would keep each write's timer for its whole time, long after it was answered. */
  async #inTime(context: WriteContext, write: (attempts: Attempts) => Promise<Written>): Promise<Written> {
    const deadline = new AbortController();
    const cancel = this.#clock.after(WRITE_TIMEOUT_MS, () =>
      deadline.abort(new DOMException('the write took too long', 'TimeoutError')),
    );
    try {
      const attempts = new Attempts(this.#controlPlane, this.#clock, context, deadline.signal);
      await attempts.requireKnowledge();
      return await write(attempts);
    } finally {
      cancel();
    }
  }
}

/** One request's attempts at its write, until it has had its time. */
class Attempts {
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
    const answered = this.answered() ?? this.answeredIn(await this.#entryAt(seq));
    if (answered !== null) return answered;
    throw unavailable('the event store holds another message of this request');
  }

  /** The same, of an entry that a view which began at the tail does not know. */
  answeredIn(entry: LogEntry | null): Written | null {
    const { mark } = this.#context;
    if (entry === null || mark === null) return null;
    const fact = toFact(decodeEntry(entry));
    if (fact.kind !== 'formation' || fact.mark?.key !== mark.key) return null;
    return replayOf(fact.id, { ...fact.mark, seq: entry.seq }, mark);
  }

  /**
   * A request with a key may have been answered elsewhere, longer ago than the log itself would notice: only who has read all of the
   * log may do it. Throws 503 when that is not possible.
   */
  async requireKnowledge(): Promise<void> {
    if (this.#controlPlane.isLive || this.#context.mark === null || this.answered() !== null) return;
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

  publish(
    subject: string,
    what: Omit<Parameters<typeof formationEventText>[0], 'eventId' | 'time' | keyof WriteContext>,
    expectation: { expectedLastOnSubject?: Position; expectedLast?: Position },
  ): Promise<PublicationOutcome> {
    const eventId = crypto.randomUUID();
    const time = new Date(this.#clock.now());
    const payload = encodeUtf8(formationEventText({ ...what, ...this.#context, eventId, time }));
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

function changed(formation: Formation, tag: string): ProblemError {
  return new ProblemError('precondition-failed', `formation ${formation.id} has changed`, {
    headers: { etag: tag },
  });
}

/** Whether the entry is an event of a formation of this name. */
function names(entry: LogEntry, name: string): boolean {
  const fact = toFact(decodeEntry(entry));
  return fact.kind === 'formation' && fact.name === name;
}
