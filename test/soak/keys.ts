// What an Idempotency-Key promises: one request, however often and wherever it is sent, has one answer.
import { identityOf, mayHaveWritten } from './claims.ts';
import type { Violation, Write } from './history.ts';
import { describeOperation, isReplayed, isSuccess, statusOf } from './history.ts';

const REUSED = 422;

/** What a key belongs to: the method and the path. The same key on another path is another key. */
function scopeOf({ key, request }: Write): string {
  const where =
    request.kind === 'create' ? '' : request.kind === 'delete-by-name' ? request.name : request.id;
  return `${key} ${request.kind} ${where}`;
}

/** Answers under one key that do not agree; that they have one event altogether is seen where claims are matched. */
export function checkKeys(writes: readonly Write[]): Violation[] {
  const byKey = Map.groupBy(
    writes.filter(({ key }) => key !== null),
    scopeOf,
  );
  return [...byKey.values()].flatMap((ofKey) => {
    const same = [...Map.groupBy(ofKey, identityOf).values()];
    return same.flatMap(checkSame).concat(checkReuse(ofKey));
  });
}

/** All with one request. */
function checkSame(writes: readonly Write[]): Violation[] {
  const [first, ...others] = writes.filter(isSuccess);
  if (first === undefined) return [];
  const found: Violation[] = [];
  const report = (kind: string, other: Write) =>
    found.push({ kind, detail: `${describeOperation(first)}\n  ${describeOperation(other)}` });
  for (const other of others) {
    if (toText(other) !== toText(first)) report('answers-differ', other);
  }
  const firstHand = [first, ...others].filter((write) => !isReplayed(write));
  if (firstHand.length > 1) report('answered-anew-twice', firstHand[1] as Write);
  // Whoever began after a success must be told of it: of success, or of nothing for certain.
  for (const write of writes.filter(isRefusal)) {
    const before = writes.find((one) => isSuccess(one) && one.endedAt < write.startedAt);
    if (before === undefined) continue;
    report('success-forgotten', write);
  }
  return found;
}

/** The key with another request is refused once it has stood for something, and never before anything was sent under it. */
function checkReuse(writes: readonly Write[]): Violation[] {
  const found: Violation[] = [];
  for (const write of writes) {
    const others = writes.filter((one) => identityOf(one) !== identityOf(write));
    const report = (kind: string) => found.push({ kind, detail: describeOperation(write) });
    const { outcome } = write;
    if (outcome.kind !== 'answered') continue;
    if (outcome.status === REUSED) {
      if (!others.some((one) => mayHaveWritten(one) && one.startedAt <= write.endedAt))
        report('key-not-reused');
    } else if (isSuccess(write) || isRefusal(write)) {
      if (others.some((one) => isSuccess(one) && one.endedAt < write.startedAt)) report('key-reused');
    }
  }
  return found;
}

/** A 4xx: it says for certain that nothing was done. */
function isRefusal(write: Write): boolean {
  return statusOf(write) >= 400 && statusOf(write) < 500;
}

function toText(write: Write): string {
  const { outcome } = write;
  if (outcome.kind !== 'answered') return '';
  return `${statusOf(write)} ${outcome.headers['cellos-cursor'] ?? ''} ${outcome.text}`;
}
