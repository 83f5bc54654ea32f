// What If-Match promises: a write happens to the record that its writer has read, or not at all.
import type { StoredMessage, Violation, Write } from './history.ts';
import { describeOperation, isSuccess, seenBy, statusOf } from './history.ts';
import type { Knowledge, Settled } from './knowledge.ts';
import type { FormationEvent } from './replay.ts';

/** Successes over a change that was not read, and 412s although nothing has changed. */
export function checkConditions(
  writes: readonly Write[],
  settled: readonly Settled[],
  messages: readonly StoredMessage[],
  events: readonly FormationEvent[],
  knowledge: Knowledge,
): Violation[] {
  const byId = Map.groupBy(events, ({ id }) => id);
  const own = new Map(settled.map(({ write, event }) => [write, event.seq]));
  const withCells = formationsOfCells(messages);
  return writes.flatMap((write): Violation[] => {
    const { request } = write;
    const seen = seenBy(write);
    if (seen === null || !('id' in request)) return [];
    const ofId = byId.get(request.id) ?? [];
    const report = (kind: string): Violation[] => [{ kind, detail: describeOperation(write) }];
    const ownSeq = own.get(write);
    // The last one that looks like what was read: two of one millisecond may look the same.
    const base = ofId.findLast(
      ({ seq, phase, reason, time }) =>
        seq < (ownSeq ?? Infinity) && phase === seen.phase && reason === seen.reason && time === seen.time,
    );
    if (isSuccess(write) && ownSeq !== undefined) {
      const isFirst = base !== undefined && !ofId.some(({ seq }) => seq > base.seq && seq < ownSeq);
      return isFirst ? [] : report('lost-update');
    }
    if (statusOf(write) !== 412 || base === undefined || withCells.has(request.id)) return [];
    const hasChanged = ofId.some(
      ({ seq }) => seq > base.seq && knowledge.storedAfter(seq) <= write.endedAt + 1,
    );
    return hasChanged ? [] : report('precondition-without-change');
  });
}

/** Formations whose record changes with cells, too. */
function formationsOfCells(messages: readonly StoredMessage[]): Set<unknown> {
  const cells = messages.filter(({ subject }) => !subject.startsWith('cellos.events.formations.'));
  return new Set(
    cells.map(({ text }) => (JSON.parse(text) as { data: { formationId?: unknown } }).data.formationId),
  );
}
