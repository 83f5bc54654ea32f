// Short histories for the checker's own tests: requests and the events they made, at times of the test's choice.
import type {
  Disturbance,
  Operation,
  Outcome,
  ReadRequest,
  StoredMessage,
  Violation,
  WriteRequest,
} from './history.ts';
import { check } from './checker.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const PREFIX = 'dev.cellos.events.cell.formation.v1.';

export interface Asked {
  readonly request: WriteRequest | ReadRequest;
  readonly outcome: Outcome;
  /** Milliseconds from the story's start; default one after the other, 10 ms each. */
  readonly from?: number;
  readonly to?: number;
  readonly server?: string;
  readonly life?: number;
  readonly key?: string | null;
}

export interface Happened {
  readonly id: string;
  readonly name: string;
  readonly phase: string;
  readonly mark?: string;
  readonly reason?: string;
  readonly at?: number;
  readonly document?: unknown;
  readonly subject?: string;
}

/** `a` → the id of that formation. */
export function idOf(letter: string): string {
  return `00000000-0000-4000-8000-00000000000${letter}`;
}

export function answered(status: number, body: unknown = '', headers: Record<string, string> = {}): Outcome {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { kind: 'answered', status, text, headers };
}

export const LOST: Outcome = { kind: 'lost', error: 'socket hang up' };
export const UNAVAILABLE = answered(503, { detail: 'not acknowledged' }, { 'retry-after': '1' });

export function create(name: string, mark: string): WriteRequest {
  return { kind: 'create', name, mark, document: { name, mark } };
}

export function created(id: string, name: string): Outcome {
  return answered(201, { id, name, status: 'PENDING' });
}

export function conflict(name: string, holder: string): Outcome {
  return answered(409, { detail: `formation name "${name}" is held by ${holder}` });
}

export class Story {
  readonly operations: Operation[] = [];
  readonly messages: StoredMessage[] = [];
  readonly disturbances: Disturbance[] = [];
  #now = 0;

  /** Returns the operation's number. */
  ask({ request, outcome, from = this.#now, to = from + 10, ...rest }: Asked): number {
    const number = this.operations.length + 1;
    const [startedAt, endedAt] = [START + from, START + to];
    this.operations.push({
      number,
      writer: 0,
      server: 'node',
      life: 1,
      key: null,
      request,
      outcome,
      startedAt,
      endedAt,
      ...rest,
    });
    // Only what ended in an earlier millisecond is known to have been before.
    this.#now = to + 1;
    return number;
  }

  /** An event, by default in the middle of the last request. */
  event({ id, name, phase, mark, reason, at = this.#now - 6, document, subject }: Happened): number {
    const seq = this.messages.length + 1;
    const time = timeOf(at);
    const submitted = phase === 'created' ? { document: document ?? { name, mark } } : {};
    const data = {
      formationId: id,
      formationName: name,
      ...(reason === undefined ? {} : { reason }),
      ...submitted,
    };
    this.messages.push({
      seq,
      subject: subject ?? `cellos.events.formations.${id}.${phase}`,
      text: JSON.stringify({ type: `${PREFIX}${phase}`, time, data }),
    });
    return seq;
  }

  /** An event of a cell of the formation. */
  cell(formationId: string): void {
    const type = 'dev.cellos.events.cell.lifecycle.v1.started';
    const text = JSON.stringify({ type, data: { cellId: 'c', specId: 's', formationId } });
    this.messages.push({ seq: this.messages.length + 1, subject: 'cellos.events.v1', text });
  }

  /** A formation that is admitted as it should be. */
  admit(id: string, name: string, mark: string, asked: Partial<Asked> = {}): number {
    const number = this.ask({ request: create(name, mark), outcome: created(id, name), ...asked });
    this.event({ id, name, phase: 'created', mark });
    return number;
  }

  change(id: string, name: string, phase: string, reason: string, asked: Partial<Asked> = {}): number {
    const request = { kind: 'status', id, phase: phase.toUpperCase(), reason } as const;
    const number = this.ask({ request, outcome: answered(204), ...asked });
    this.event({ id, name, phase, reason });
    return number;
  }

  remove(id: string, name: string, asked: Partial<Asked> = {}): number {
    const number = this.ask({ request: { kind: 'delete', id }, outcome: answered(204), ...asked });
    this.event({ id, name, phase: 'failed', reason: 'deleted by operator' });
    return number;
  }

  disturb(from: number, to: number): void {
    this.disturbances.push({ server: null, what: 'kill-broker', from: START + from, to: START + to });
  }

  violations(): readonly Violation[] {
    return check(this, this.messages).violations;
  }

  get kinds(): string[] {
    return [...new Set(this.violations().map(({ kind }) => kind))].toSorted();
  }
}

/** The `time` of an event at a moment of the story. */
export function timeOf(at: number): string {
  return new Date(START + at).toISOString();
}
