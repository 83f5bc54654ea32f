// What the writers did and what they were answered, and what disturbed the servers meanwhile. Times are Date.now()'s: events
// carry that clock, too.

/** What a conditional write was based on: the record's entity tag, and what tells which event made the record so. */
export interface Seen {
  readonly tag: string;
  readonly phase: string;
  readonly reason: string | null;
  readonly time: string;
}

/** A request that changes something. `mark` and `reason` are found again in the event that it made. */
export type WriteRequest =
  | {
      readonly kind: 'create';
      readonly name: string;
      readonly mark: string;
      /** As it is submitted. */
      readonly document: Readonly<Record<string, unknown>>;
    }
  | {
      readonly kind: 'status';
      readonly id: string;
      readonly phase: string;
      readonly reason: string;
      readonly seen?: Seen;
    }
  | { readonly kind: 'delete'; readonly id: string; readonly seen?: Seen }
  | { readonly kind: 'delete-by-name'; readonly name: string };

/** What a success is followed by: the same writer looks at the same server whether it is there. */
export interface ReadRequest {
  readonly kind: 'read';
  readonly id: string;
  /** The number of the operation that succeeded. */
  readonly after: number;
}

interface Answered {
  readonly kind: 'answered';
  readonly status: number;
  readonly text: string;
  /** Of Cellos-Cursor, ETag, Idempotent-Replayed and Retry-After those that were there, in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * `refused`: nobody listened, so nothing was sent. `lost`: the connection ended, or nothing came, after that. `abandoned`: the
 * writer did not wait for the answer; the server may still be at work.
 */
export type Outcome =
  | Answered
  | { readonly kind: 'refused' | 'abandoned' }
  | { readonly kind: 'lost'; readonly error: string };

export interface Operation<Request extends WriteRequest | ReadRequest = WriteRequest | ReadRequest> {
  /** Counts all operations of a run. */
  readonly number: number;
  readonly writer: number;
  readonly server: string;
  /** Counts the processes that this server has been. */
  readonly life: number;
  readonly request: Request;
  /** The Idempotency-Key, when it had one. */
  readonly key: string | null;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly outcome: Outcome;
}

export type Write = Operation<WriteRequest>;
export type Read = Operation<ReadRequest>;

/** While something kept a server from knowing the log, or from running. */
export interface Disturbance {
  /** Null: all of them. */
  readonly server: string | null;
  readonly what: string;
  readonly from: number;
  readonly to: number;
}

/** A message of the stream as the broker has it. */
export interface StoredMessage {
  readonly seq: number;
  readonly subject: string;
  readonly text: string;
}

export interface History {
  readonly operations: readonly Operation[];
  readonly disturbances: readonly Disturbance[];
}

/** Broken promises are told by their kind, so that a test can ask for one. */
export interface Violation {
  readonly kind: string;
  readonly detail: string;
}

/** What a request was conditional on, if it was. */
export function seenBy({ request }: Write): Seen | null {
  return request.kind === 'status' || request.kind === 'delete' ? (request.seen ?? null) : null;
}

export function isWrite(operation: Operation): operation is Write {
  return operation.request.kind !== 'read';
}

export function isRead(operation: Operation): operation is Read {
  return operation.request.kind === 'read';
}

/** The answer's status, 0 without one. */
export function statusOf({ outcome }: Operation): number {
  return outcome.kind === 'answered' ? outcome.status : 0;
}

export function isSuccess(operation: Operation): boolean {
  const status = statusOf(operation);
  return status >= 200 && status < 300;
}

/** Told what an earlier request of its key was told. */
export function isReplayed({ outcome }: Operation): boolean {
  return outcome.kind === 'answered' && outcome.headers['idempotent-replayed'] === 'true';
}

/** One line for a person who looks for what went wrong. */
export function describeOperation(operation: Operation): string {
  const { number, writer, server, life, request, key, startedAt, endedAt, outcome } = operation;
  const answer =
    outcome.kind === 'answered'
      ? `${outcome.status} ${outcome.text.slice(0, ANSWER_CHARACTERS)} ${JSON.stringify(outcome.headers)}`
      : outcome.kind === 'lost'
        ? `lost (${outcome.error})`
        : outcome.kind;
  const what = JSON.stringify({ ...request, document: undefined });
  const from = new Date(startedAt).toISOString();
  return `#${number} writer ${writer} → ${server}/${life} ${what} key ${key} at ${from} +${endedAt - startedAt} ms: ${answer}`;
}

const ANSWER_CHARACTERS = 300;
