// What a server must have known when it was asked: what it answered for itself, and, unless something keeps it from the log,
// everything that was stored by then.
import type { Disturbance, Operation, Write } from './history.ts';
import type { FormationEvent, Life } from './replay.ts';

/** The contract's 2 s until the tail goes on after the broker's return, and as much for a machine that does something else, too. */
const RECOVERY_MS = 4000;

/** A write whose event is known for sure. */
export interface Settled {
  readonly write: Write;
  readonly event: FormationEvent;
}

export class Knowledge {
  readonly #disturbances: readonly Disturbance[];
  /** Of each life of each server what it has answered, by the time of the answer; `seq` is the highest until then. */
  readonly #answered = new Map<string, { at: number; seq: number }[]>();
  /** An upper bound of the time at which the log had a sequence: the earliest answer to it or to a later one. */
  readonly #storedBy: { seq: number; at: number }[] = [];
  /** A lower bound of it: no event is stored before it was made, nor before those in front of it. */
  readonly #storedAfter: { seq: number; at: number }[] = [];

  constructor(
    events: readonly FormationEvent[],
    settled: readonly Settled[],
    disturbances: readonly Disturbance[],
  ) {
    this.#disturbances = disturbances;
    for (const { write, event } of settled.toSorted((a, b) => a.write.endedAt - b.write.endedAt)) {
      const life = lifeOf(write);
      const answers = this.#answered.get(life) ?? [];
      this.#answered.set(life, answers);
      answers.push({ at: write.endedAt, seq: Math.max(event.seq, answers.at(-1)?.seq ?? 0) });
    }
    let earliest = Infinity;
    for (const { write, event } of settled.toSorted((a, b) => b.event.seq - a.event.seq)) {
      earliest = Math.min(earliest, write.endedAt);
      this.#storedBy.push({ seq: event.seq, at: earliest });
    }
    this.#storedBy.reverse();
    let latest = 0;
    for (const { seq, at } of events) {
      latest = Math.max(latest, at);
      this.#storedAfter.push({ seq, at: latest });
    }
  }

  /** The highest sequence that this process had answered for when the request began. */
  ownSequence(operation: Operation): number {
    const answers = this.#answered.get(lifeOf(operation)) ?? [];
    return answers[countUntil(answers, ({ at }) => at < operation.startedAt) - 1]?.seq ?? 0;
  }

  /** Whether the process must have had this sequence in its view when the request began. */
  isKnown(seq: number, operation: Operation): boolean {
    if (seq <= this.ownSequence(operation)) return true;
    return !this.isDisturbed(operation) && this.isStored(seq, operation);
  }

  /** Whether the log had the sequence for certain when the request began. */
  isStored(seq: number, { startedAt }: Operation): boolean {
    return this.storedBy(seq) < startedAt;
  }

  /**
   * Whether anything kept the server from the log, not long before the request or while it was under way. It refuses from the
   * view that it has, then (RUN-2).
   */
  isDisturbed({ server, startedAt, endedAt }: Operation): boolean {
    return this.#disturbances.some(
      (one) =>
        (one.server === null || one.server === server) &&
        one.from <= endedAt &&
        one.to + RECOVERY_MS >= startedAt,
    );
  }

  /** When the log had the sequence at the latest; Infinity when no answer tells. */
  storedBy(seq: number): number {
    return this.#storedBy[countUntil(this.#storedBy, (one) => one.seq < seq)]?.at ?? Infinity;
  }

  /** When the log had the sequence at the earliest. */
  storedAfter(seq: number): number {
    return this.#storedAfter[countUntil(this.#storedAfter, (one) => one.seq <= seq) - 1]?.at ?? 0;
  }

  /** Whether the life was over, for whoever looks at the log itself, before the request began. */
  isOver({ to }: Life, operation: Operation): boolean {
    return to !== null && this.isStored(to, operation);
  }

  /** Whether the life may have been seen by a request: begun before its answer, its end not known when it began. */
  mayBeSeen({ from, to }: Life, operation: Operation): boolean {
    return this.storedAfter(from) <= operation.endedAt + 1 && (to === null || !this.isKnown(to, operation));
  }
}

function lifeOf({ server, life }: Operation): string {
  return `${server}/${life}`;
}

/** How many at the beginning of the list hold, of a list in which those come first. */
function countUntil<T>(list: readonly T[], holds: (one: T) => boolean): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(list[middle] as T)) low = middle + 1;
    else high = middle;
  }
  return low;
}
