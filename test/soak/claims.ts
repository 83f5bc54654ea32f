// Which event belongs to which request. A claim is what may have made one event: a request, or all that were sent under one
// Idempotency-Key. Events and claims must fit together without anything left over.
import type { Write } from './history.ts';
import { isSuccess, statusOf } from './history.ts';
import type { FormationEvent } from './replay.ts';

/** What a server that was left without a client may go on for: the contract's 5 s, and the delays of a shared machine. */
const ABANDONED_MS = 6000;
/** Servers and writers read one clock, in milliseconds. */
const CLOCK_SLACK_MS = 5;
const DELETED = 'deleted by operator';
/** The server's own words for a 503 that has made no event. */
const NOTHING_WRITTEN = 'nothing was written';

export interface Claim {
  /** All of one request, or of one key with one request. */
  readonly operations: readonly Write[];
  /** One of them succeeded: an event must be there. */
  readonly isCertain: boolean;
  readonly candidates: readonly FormationEvent[];
}

export interface Matching {
  /** The event of each claim that succeeded. */
  readonly events: ReadonlyMap<Claim, FormationEvent>;
  /** Claims of a success for which there is no event. */
  readonly missing: readonly Claim[];
  /** Events that no request can have made, or more of them than there were requests. */
  readonly unclaimed: readonly FormationEvent[];
}

/** Whether the request may have made an event. */
export function mayHaveWritten(operation: Write): boolean {
  const { outcome } = operation;
  if (outcome.kind !== 'answered') return outcome.kind !== 'refused';
  if (outcome.status >= 500) return !outcome.text.includes(NOTHING_WRITTEN);
  return isSuccess(operation);
}

/** The requests that may have written, those of one key together. */
export function toClaims(writes: readonly Write[], events: readonly FormationEvent[]): Claim[] {
  const groups = new Map<string, Write[]>();
  for (const write of writes) {
    if (!mayHaveWritten(write)) continue;
    const group = write.key === null ? `#${write.number}` : `${write.key} ${identityOf(write)}`;
    groups.set(group, [...(groups.get(group) ?? []), write]);
  }
  const index = new EventIndex(events);
  return [...groups.values()].map((operations) => ({
    operations,
    isCertain: operations.some(isSuccess),
    candidates: [...new Set(operations.flatMap((operation) => index.candidates(operation)))],
  }));
}

/** Two requests of the same identity ask for the same. */
export function identityOf({ request }: Write): string {
  return JSON.stringify(request);
}

class EventIndex {
  readonly #byTrace = new Map<string, FormationEvent[]>();

  constructor(events: readonly FormationEvent[]) {
    for (const event of events) {
      if (event.isCreated) this.#add(`mark ${markOf(event)}`, event);
      else if (event.reason === DELETED) {
        this.#add(`deleted ${event.id}`, event);
        this.#add(`deleted name ${event.name}`, event);
      } else this.#add(`reason ${event.reason}`, event);
    }
  }

  /** The events that the request can have made, by what it asked for, when it was under way, and what it was told. */
  candidates(operation: Write): FormationEvent[] {
    const { startedAt, endedAt, outcome } = operation;
    const until = outcome.kind === 'abandoned' ? endedAt + ABANDONED_MS : endedAt;
    return this.#traces(operation).filter(
      (event) =>
        event.at >= startedAt - CLOCK_SLACK_MS &&
        event.at <= until + CLOCK_SLACK_MS &&
        agrees(event, operation),
    );
  }

  #traces({ request }: Write): readonly FormationEvent[] {
    switch (request.kind) {
      case 'create':
        return this.#get(`mark ${request.mark}`);
      case 'status':
        return this.#get(`reason ${request.reason}`);
      case 'delete':
        return this.#get(`deleted ${request.id}`);
      case 'delete-by-name':
        return this.#get(`deleted name ${request.name}`);
    }
  }

  #add(trace: string, event: FormationEvent): void {
    const known = this.#byTrace.get(trace);
    if (known === undefined) this.#byTrace.set(trace, [event]);
    else known.push(event);
  }

  #get(trace: string): readonly FormationEvent[] {
    return this.#byTrace.get(trace) ?? [];
  }
}

/** What a created event of ours carries beside the fields that the contract knows. */
export function markOf(event: FormationEvent): string | null {
  const mark = (event.document as Record<string, unknown> | undefined)?.['mark'];
  return typeof mark === 'string' ? mark : null;
}

function agrees(event: FormationEvent, operation: Write): boolean {
  const { request, outcome } = operation;
  if (request.kind === 'status' && (event.id !== request.id || event.phase !== request.phase)) return false;
  if (outcome.kind !== 'answered' || !isSuccess(operation)) return true;
  const cursor = outcome.headers['cellos-cursor'];
  if (cursor !== undefined && cursor !== String(event.seq)) return false;
  return statusOf(operation) !== 201 || createdId(outcome.text) === event.id;
}

/** The id in the body of a 201, null when there is none. */
export function createdId(text: string): string | null {
  try {
    const { id } = JSON.parse(text) as { id?: unknown };
    return typeof id === 'string' ? id : null;
  } catch {
    return null;
  }
}

/**
 * Gives every event a claim and every success an event. Both are possible together when each is possible by itself
 * (Mendelsohn and Dulmage), so they are looked at one after the other.
 */
export function match(claims: readonly Claim[], events: readonly FormationEvent[]): Matching {
  const claimsOf = new Map<FormationEvent, Claim[]>();
  for (const claim of claims) {
    for (const event of claim.candidates) claimsOf.set(event, [...(claimsOf.get(event) ?? []), claim]);
  }
  const certain = claims.filter(({ isCertain }) => isCertain);
  const eventOf = assign(certain, ({ candidates }) => candidates);
  const claimOf = assign(events, (event) => claimsOf.get(event) ?? []);
  return {
    events: eventOf,
    missing: certain.filter((claim) => !eventOf.has(claim)),
    unclaimed: events.filter((event) => !claimOf.has(event)),
  };
}

/** Gives as many as possible of the left one of the right each, by augmenting paths. */
function assign<Left, Right>(
  left: readonly Left[],
  choices: (one: Left) => readonly Right[],
): Map<Left, Right> {
  const rightOf = new Map<Left, Right>();
  const leftOf = new Map<Right, Left>();
  const place = (one: Left, tried: Set<Right>): boolean => {
    for (const choice of choices(one)) {
      if (tried.has(choice)) continue;
      tried.add(choice);
      const present = leftOf.get(choice);
      if (present !== undefined && !place(present, tried)) continue;
      leftOf.set(choice, one);
      rightOf.set(one, choice);
      return true;
    }
    return false;
  };
  for (const one of left) place(one, new Set());
  return rightOf;
}
