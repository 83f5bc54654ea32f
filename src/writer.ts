// Writes (design D2, D3): decide on the view, publish to the log, wait until the view has what was published, answer. The log
// is the lock: of all that race for a name exactly one finds the subject of the name's next id empty. What all writes have in
// common is write-attempts.ts, how one event gets there for certain publication.ts.
import { decide, nameTaken } from './admission.ts';
import { formationSubject } from './cloudevents.ts';
import type { ControlPlane } from './control-plane.ts';
import type { FormationDocument } from './documents.ts';
import { type EntityTags, entityTag, isMatch } from './entity-tags.ts';
import { formationIdFor } from './ids.ts';
import { elementsOf, memberOf } from './json-text.ts';
import { MAX_ADMISSION_ATTEMPTS, WRITE_TIMEOUT_MS } from './limits.ts';
import type { Formation, FormationPhase } from './model.ts';
import type { Clock } from './ports.ts';
import { ProblemError, unavailable } from './problems.ts';
import { isLive } from './formation-status.ts';
import { holderOf, type ProjectionState } from './projection.ts';
import { WriteAttempts, type WriteContext, type Written } from './write-attempts.ts';

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

  /** Admits the document; resolves once the formation is in the log and in the view. */
  async create(document: FormationDocument, context: WriteContext): Promise<Written> {
    return this.#inTime(context, (attempts) => this.#create(document, attempts));
  }

  async #create(document: FormationDocument, attempts: WriteAttempts): Promise<Written> {
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
      const replay = attempts.answered() ?? (await attempts.answeredIn(winner));
      if (replay !== null) return replay;
      const fact = winner === null ? null : await attempts.factOf(winner);
      const known = this.#controlPlane.state.formations.get(id);
      const isHolders =
        known === undefined
          ? fact?.kind === 'formation' && fact.name === document.name
          : known.name === document.name;
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
    attempts: WriteAttempts,
    condition: EntityTags | null,
  ): Promise<Written> {
    for (;;) {
      const answered = attempts.answered();
      if (answered !== null) return answered;
      const { state, edition } = this.#controlPlane;
      let formation: Formation;
      try {
        formation = find(state);
      } catch (error) {
        if (await attempts.isRenewed()) continue;
        attempts.requireCertainty();
        throw error;
      }
      if (condition !== null) {
        const tag = entityTag(edition, formation.version);
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
  async #inTime(
    context: WriteContext,
    write: (attempts: WriteAttempts) => Promise<Written>,
  ): Promise<Written> {
    const deadline = new AbortController();
    const cancel = this.#clock.after(WRITE_TIMEOUT_MS, () =>
      deadline.abort(new DOMException('the write took too long', 'TimeoutError')),
    );
    try {
      const attempts = new WriteAttempts(this.#controlPlane, this.#clock, context, deadline.signal);
      await attempts.requireKnowledge();
      return await write(attempts);
    } finally {
      cancel();
    }
  }
}

function changed(formation: Formation, tag: string): ProblemError {
  return new ProblemError('precondition-failed', `formation ${formation.id} has changed`, {
    headers: { etag: tag },
  });
}
