// Writes (design D2, D3): decide on the view, publish to the log, wait until the view has what was published, answer. The log
// is the lock: of all that race for a name exactly one finds the subject of the name's next id empty.
import { decide, nameTaken } from './admission.ts';
import { decodeEntry, formationEventText, formationSubject } from './cloudevents.ts';
import type { ControlPlane } from './control-plane.ts';
import type { FormationDocument } from './documents.ts';
import { toFact } from './facts.ts';
import { formationIdFor } from './ids.ts';
import { elementsOf, memberOf } from './json-text.ts';
import { MAX_ADMISSION_ATTEMPTS, WRITE_TIMEOUT_MS } from './limits.ts';
import type { Formation, FormationPhase, Position } from './model.ts';
import { type Clock, EventLogError, type LogEntry } from './ports.ts';
import { ProblemError, unavailable } from './problems.ts';
import { holderOf, isLive } from './projection.ts';
import { decodeUtf8, encodeUtf8 } from './utf8.ts';

/** Who writes, and the request's trace when it has one. */
export interface WriteContext {
  readonly operator: string;
  readonly traceparent: string | null;
}

export interface PhaseChange {
  readonly phase: FormationPhase;
  readonly reason: string | null;
  readonly failedCellIds: readonly string[];
}

export class Writer {
  readonly #controlPlane: ControlPlane;
  readonly #clock: Clock;

  constructor(controlPlane: ControlPlane, clock: Clock) {
    this.#controlPlane = controlPlane;
    this.#clock = clock;
  }

  /** Admits the document and returns the new formation's id once it is in the log and in the view. */
  async create(document: FormationDocument, context: WriteContext): Promise<string> {
    const signal = AbortSignal.timeout(WRITE_TIMEOUT_MS);
    /** An id whose subject is taken although the view has no such holder of the name: as good as a former holder. */
    let spent: string | null = null;
    for (let attempt = 0; attempt < MAX_ADMISSION_ATTEMPTS; attempt++) {
      const { state } = this.#controlPlane;
      const verdict = decide(document, state);
      if (!verdict.ok) throw new ProblemError(verdict.code, verdict.detail);
      const id: string = formationIdFor(document.name, spent ?? holderOf(state, document.name)?.id ?? null);
      const eventId = crypto.randomUUID();
      const event = this.#event(eventId, context, {
        phase: 'PENDING',
        formationId: id,
        formationName: document.name,
        cellCount: document.members.length,
        failedCellIds: [],
        reason: null,
        document: document.text,
      });
      const subject = formationSubject(id, 'PENDING');
      try {
        await this.#publish(subject, eventId, event, signal, 0);
        return id;
      } catch (error) {
        if (!(error instanceof EventLogError) || error.code !== 'conflict') throw error;
      }
      const winner = await this.#lastOn(subject, signal);
      if (winner !== null) {
        await this.#whenApplied(winner.seq, signal);
        // Our own, when an acknowledgement was lost and the client library sent the message again.
        if (isEvent(winner, eventId)) return id;
      }
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

  /** Publishes a formation's next phase, also when it has that phase already. */
  async changePhase(formation: Formation, change: PhaseChange, context: WriteContext): Promise<void> {
    const eventId = crypto.randomUUID();
    const event = this.#event(eventId, context, {
      ...change,
      formationId: formation.id,
      formationName: formation.name,
      cellCount: elementsOf(memberOf(formation.document, 'members') ?? '').length,
      document: null,
    });
    const signal = AbortSignal.timeout(WRITE_TIMEOUT_MS);
    await this.#publish(formationSubject(formation.id, change.phase), eventId, event, signal);
  }

  #event(
    eventId: string,
    context: WriteContext,
    what: Omit<Parameters<typeof formationEventText>[0], 'eventId' | 'time' | keyof WriteContext>,
  ): Uint8Array {
    const time = new Date(this.#clock.now());
    return encodeUtf8(formationEventText({ ...what, ...context, eventId, time }));
  }

  /** Acknowledged and applied, or an error: 503, or the log's `conflict`. */
  async #publish(
    subject: string,
    messageId: string,
    payload: Uint8Array,
    signal: AbortSignal,
    expectedLastOnSubject?: Position,
  ): Promise<void> {
    const expectation = expectedLastOnSubject === undefined ? {} : { expectedLastOnSubject };
    let position: Position;
    try {
      position = await this.#controlPlane.log.publish(subject, payload, {
        messageId,
        signal,
        ...expectation,
      });
    } catch (error) {
      const code = error instanceof EventLogError ? error.code : 'unavailable';
      if (code === 'conflict') throw error;
      if (code === 'unreachable')
        throw unavailable('the event store is out of reach: nothing was written', error);
      throw unavailable('the event store did not acknowledge the write: it may have been made', error);
    }
    await this.#whenApplied(position, signal);
  }

  async #lastOn(subject: string, signal: AbortSignal): Promise<LogEntry | null> {
    try {
      return await this.#controlPlane.log.last(subject, signal);
    } catch (error) {
      throw unavailable('the event store could not be asked who holds the name', error);
    }
  }

  async #whenApplied(position: Position, signal: AbortSignal): Promise<void> {
    try {
      await this.#controlPlane.whenApplied(position, signal);
    } catch (error) {
      if (error instanceof ProblemError) throw error;
      throw unavailable('the write is stored but not yet visible here', error);
    }
  }
}

function isEvent(entry: LogEntry, eventId: string): boolean {
  return decodeUtf8(entry.payload)?.includes(`"id":"${eventId}"`) ?? false;
}

/** Whether the entry is an event of a formation of this name. */
function names(entry: LogEntry, name: string): boolean {
  const fact = toFact(decodeEntry(entry));
  return fact.kind === 'formation' && fact.name === name;
}
