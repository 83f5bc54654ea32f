// Compares what the writers were told with what the stream holds. Pure: a history and messages in, violations out. Each kind
// of violation has a test that shows it is found (checker.test.ts).
import { isDeepStrictEqual } from 'node:util';
import { createdId, markOf, match, toClaims } from './claims.ts';
import type { Claim } from './claims.ts';
import { checkConditions } from './conditions.ts';
import type { History, Operation, Read, StoredMessage, Violation, Write, WriteRequest } from './history.ts';
import { describeOperation, isRead, isReplayed, isSuccess, isWrite, seenBy, statusOf } from './history.ts';
import { checkKeys } from './keys.ts';
import { Knowledge } from './knowledge.ts';
import type { Settled } from './knowledge.ts';
import { parseFormationEvents, replay } from './replay.ts';
import type { FormationEvent, Replay } from './replay.ts';

/** The contract's 5 s for an answer, and what processors that are shared may add. */
const ANSWER_MS = 5000 + 1000;
const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

/** What each request may be answered with, beside 503. */
const EXPECTED: Readonly<Record<WriteRequest['kind'], readonly number[]>> = {
  create: [201, 409],
  status: [204, 404],
  delete: [204, 404],
  'delete-by-name': [204, 404, 409],
};
/** For a key that was used for something else, or is in use. */
const EXPECTED_WITH_KEY: ReadonlySet<number> = new Set([409, 422]);

export interface Report {
  /** Everything that was promised and is not so. */
  readonly violations: readonly Violation[];
  /** Events of requests that were answered 503 or not at all: what these answers leave open did happen. */
  readonly unansweredEvents: number;
  /** 409s that named a holder which was finished, 404s for what was admitted: allowed to servers that were cut off (RUN-2). */
  readonly staleRefusals: number;
}

/** Holds what the writers were told against all that the stream holds. */
export function check(history: History, messages: readonly StoredMessage[]): Report {
  const events = parseFormationEvents(messages);
  const view = replay(events);
  const writes = history.operations.filter(isWrite);
  const claims = toClaims(writes, events);
  const matching = match(claims, events);
  const settled = toSettled(matching.events);
  const knowledge = new Knowledge(events, settled, history.disturbances);
  const about = new Lookup(writes, events);
  const violations = [
    ...writes.flatMap(checkAnswer),
    ...matching.missing.map((claim) => missing(claim)),
    ...matching.unclaimed.map((event) => unclaimed(event, about)),
    ...checkIds(events),
    ...[...matching.events].flatMap(([claim, event]) => checkSuccess(claim, event)),
    ...checkKeys(writes),
    ...checkConditions(writes, settled, messages, events, knowledge),
    ...checkNames(view, matching.events, knowledge),
    ...writes.flatMap((write) => checkRefusal(write, view, knowledge)),
    ...checkReads(history.operations.filter(isRead), writes, events, settled),
  ];
  return {
    violations,
    unansweredEvents: events.length - matching.events.size,
    staleRefusals: writes.filter((write) => isStale(write, view, knowledge)).length,
  };
}

/** Successes whose event is beyond doubt: of several deletions at once only the cursor tells which is whose. */
function toSettled(events: ReadonlyMap<Claim, FormationEvent>): Settled[] {
  return [...events].flatMap(([{ operations, candidates }, event]) =>
    operations
      .filter(isSuccess)
      .filter((write) => candidates.length === 1 || cursorOf(write) === event.seq)
      .map((write) => ({ write, event })),
  );
}

function cursorOf({ outcome }: Operation): number | null {
  const cursor = outcome.kind === 'answered' ? outcome.headers['cellos-cursor'] : undefined;
  return cursor === undefined ? null : Number(cursor);
}

function checkAnswer(write: Write): Violation[] {
  const found: Violation[] = [];
  const report = (kind: string) => found.push({ kind, detail: describeOperation(write) });
  if (write.endedAt - write.startedAt > ANSWER_MS) report('late-answer');
  const status = statusOf(write);
  if (status === 503 && write.outcome.kind === 'answered') {
    if (write.outcome.headers['retry-after'] === undefined) report('no-retry-after');
  } else if (
    status !== 0 &&
    !EXPECTED[write.request.kind].includes(status) &&
    !(write.key !== null && EXPECTED_WITH_KEY.has(status)) &&
    !(seenBy(write) !== null && status === 412)
  ) {
    report('unexpected-answer');
  }
  return found;
}

function missing({ operations }: Claim): Violation {
  return { kind: 'success-without-event', detail: operations.map(describeOperation).join('\n  ') };
}

function unclaimed(event: FormationEvent, about: Lookup): Violation {
  const related = about.related(event).map((line) => `\n  ${line}`);
  return { kind: 'event-without-request', detail: `${describeEvent(event)}${related.join('')}` };
}

/** The stream admits an id once. */
function checkIds(events: readonly FormationEvent[]): Violation[] {
  const created = new Set<string>();
  const found: Violation[] = [];
  for (const event of events) {
    const isKnown = created.has(event.id);
    if (event.isCreated) created.add(event.id);
    if (event.isCreated && isKnown) found.push({ kind: 'id-created-twice', detail: describeEvent(event) });
    if (!event.isCreated && !isKnown) found.push({ kind: 'change-of-unknown', detail: describeEvent(event) });
  }
  return found;
}

/** The event says what was asked for, and so does the answer. */
function checkSuccess({ operations }: Claim, event: FormationEvent): Violation[] {
  return operations.filter(isSuccess).flatMap((write): Violation[] => {
    const { request, outcome } = write;
    const found: Violation[] = [];
    const report = (kind: string) =>
      found.push({ kind, detail: `${describeOperation(write)}\n  ${describeEvent(event)}` });
    const word = request.kind === 'create' ? 'created' : request.kind === 'status' ? request.phase : 'FAILED';
    if (event.subject !== `cellos.events.formations.${event.id}.${word.toLowerCase()}`)
      report('wrong-subject');
    if (request.kind !== 'create' || outcome.kind !== 'answered') return found;
    if (event.name !== request.name || !isDeepStrictEqual(event.document, request.document))
      report('other-document');
    const answer = { id: event.id, name: request.name, status: 'PENDING' };
    if (createdId(outcome.text) === null || !isDeepStrictEqual(JSON.parse(outcome.text), answer))
      report('wrong-answer');
    return found;
  });
}

/**
 * An admission beside a live formation of the name: only one that was revived may be there, since the lock on a name's next
 * id does not know of it, and not if the server that admitted had itself answered for the revival.
 */
function checkNames(
  { shared }: Replay,
  events: ReadonlyMap<Claim, FormationEvent>,
  knowledge: Knowledge,
): Violation[] {
  const admissions = new Map([...events].map(([claim, { seq }]) => [seq, claim]));
  return shared.flatMap(({ event, other, otherLife }): Violation[] => {
    const detail = `${describeEvent(event)}, beside ${other}, live since ${otherLife.from}`;
    if (!otherLife.isRevival) return [{ kind: 'two-live-holders', detail }];
    // Of those under one key any may have made the event, but for one that was told that another did.
    const makers = admissions.get(event.seq)?.operations.filter((write) => !isReplayed(write)) ?? [];
    if (makers.length === 0 || makers.some((write) => knowledge.ownSequence(write) < otherLife.from))
      return [];
    const asked = makers.map((write) => `\n  ${describeOperation(write)}`);
    return [{ kind: 'admitted-against-own-view', detail: `${detail}${asked.join('')}` }];
  });
}

/** Who a 409 names was live, and what a 404 does not know was not there, as far as this server can have known. */
function checkRefusal(write: Write, view: Replay, knowledge: Knowledge): Violation[] {
  const { lives, records } = view;
  const { request, outcome } = write;
  if (outcome.kind !== 'answered') return [];
  const report = (kind: string): Violation[] => [{ kind, detail: describeOperation(write) }];
  if (outcome.status === 409 && request.kind === 'create') {
    const holder = holderNamed(outcome.text);
    if (holder === undefined || !outcome.text.includes(request.name))
      return report('conflict-without-holder');
    const own = lives.get(holder) ?? [];
    if (own.length === 0) return report('conflict-with-nobody');
    const holderMark = (records.get(holder)?.document as { mark?: unknown } | undefined)?.mark;
    if (write.key !== null && holderMark === request.mark) return report('conflict-with-itself');
    return own.some((life) => knowledge.mayBeSeen(life, write)) ? [] : report('conflict-with-finished');
  }
  if (outcome.status === 404) {
    const admitted = admission(write, view);
    if (admitted !== undefined && knowledge.isKnown(admitted, write)) return report('known-not-found');
  }
  return [];
}

/** The sequence that admitted what the request is about. */
function admission({ request }: Write, { lives, events }: Replay): number | undefined {
  if (request.kind === 'status' || request.kind === 'delete') return lives.get(request.id)?.[0]?.from;
  return events.find(({ name }) => name === request.name)?.seq;
}

function isStale(write: Write, view: Replay, knowledge: Knowledge): boolean {
  const { request, outcome } = write;
  if (outcome.kind !== 'answered') return false;
  if (outcome.status === 404) {
    const admitted = admission(write, view);
    return admitted !== undefined && knowledge.isStored(admitted, write);
  }
  if (outcome.status !== 409 || request.kind !== 'create') return false;
  const own = view.lives.get(holderNamed(outcome.text) ?? '') ?? [];
  return own.every((life) => knowledge.isOver(life, write));
}

/** The first id that a problem's detail names. */
function holderNamed(text: string): string | undefined {
  const { detail } = JSON.parse(text) as { detail: string };
  return UUID.exec(detail)?.[0];
}

/** What a success has made is there for who asks the same process afterwards, or something later. */
function checkReads(
  reads: readonly Read[],
  writes: readonly Write[],
  events: readonly FormationEvent[],
  settled: readonly Settled[],
): Violation[] {
  const byNumber = new Map(writes.map((write) => [write.number, write]));
  const own = new Map(settled.map(({ write, event }) => [write.number, event.seq]));
  const byId = Map.groupBy(events, ({ id }) => id);
  return reads.flatMap((read): Violation[] => {
    const write = byNumber.get(read.request.after);
    if (write === undefined || write.life !== read.life || write.server !== read.server) return [];
    const { outcome } = read;
    if (outcome.kind !== 'answered') return [];
    const report = (kind: string): Violation[] => [
      { kind, detail: `${describeOperation(write)}\n  ${describeOperation(read)}` },
    ];
    if (outcome.status !== 200) return report('own-write-not-found');
    const record = JSON.parse(outcome.text) as Record<string, unknown>;
    const shown = (byId.get(read.request.id) ?? []).filter(
      ({ phase, reason, time }) =>
        record['phase'] === phase && (record['reason'] ?? null) === reason && record['updated_at'] === time,
    );
    if (shown.length === 0) return report('shown-not-stored');
    const seq = own.get(write.number) ?? 0;
    return shown.some((event) => event.seq >= seq) ? [] : report('own-write-not-seen');
  });
}

/** For the reports: what else was asked for about an event. */
class Lookup {
  readonly #writes: readonly Write[];
  readonly #events: readonly FormationEvent[];

  constructor(writes: readonly Write[], events: readonly FormationEvent[]) {
    this.#writes = writes;
    this.#events = events;
  }

  related(event: FormationEvent): string[] {
    const isAbout = ({ request }: Write) =>
      request.kind === 'create'
        ? request.mark === markOf(event)
        : request.kind === 'status'
          ? request.reason === event.reason
          : request.kind === 'delete'
            ? request.id === event.id
            : request.name === event.name;
    const isNear = ({ startedAt, endedAt }: Write) =>
      event.isCreated || (startedAt <= event.at + NEAR_MS && endedAt >= event.at - NEAR_MS);
    return [
      ...this.#writes.filter((write) => isAbout(write) && isNear(write)).map(describeOperation),
      ...this.#events
        .filter(({ id, at }) => id === event.id && Math.abs(at - event.at) < NEAR_MS)
        .map(describeEvent),
    ];
  }
}

const NEAR_MS = 1000;

function describeEvent(event: FormationEvent): string {
  return `event ${event.seq} ${event.subject} "${event.name}" mark ${markOf(event)} reason ${event.reason} at ${event.time}`;
}
