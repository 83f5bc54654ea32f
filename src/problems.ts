// The catalogue of errors (RFC 9457): code → status and title, from the contract's section 5. Close codes of the feed
// stand beside them. Nothing here names the broker or repeats a message of a library.
import { MAX_CLOSE_REASON_BYTES, RETRY_AFTER_SECONDS } from './limits.ts';

export const PROBLEMS = {
  unauthorized: { status: 401, title: 'Unauthorized' },
  forbidden: { status: 403, title: 'Forbidden' },
  'too-many-requests': { status: 429, title: 'Too Many Requests' },
  'bad-request': { status: 400, title: 'Bad Request' },
  'not-found': { status: 404, title: 'Not Found' },
  conflict: { status: 409, title: 'Conflict' },
  internal: { status: 500, title: 'Internal Server Error' },
  'payload-too-large': { status: 413, title: 'Payload Too Large' },
  'unsupported-media-type': { status: 415, title: 'Unsupported Media Type' },
  'method-not-allowed': { status: 405, title: 'Method Not Allowed' },
  'service-unavailable': { status: 503, title: 'Event store unavailable' },
  'too-many-sessions': { status: 503, title: 'Too Many Sessions' },
  'event-store-full': { status: 507, title: 'Event store full' },
  'idempotency-key-reused': { status: 422, title: 'Idempotency Key Reused' },
  'precondition-failed': { status: 412, title: 'Precondition Failed' },
  'cursor-timeout': { status: 504, title: 'Cursor Timeout' },
  'formation/cycle': { status: 400, title: 'Formation rejected: authority cycle' },
  'formation/no-coordinator': { status: 400, title: 'Formation rejected: no coordinator' },
  'formation/authority-not-narrowing': {
    status: 400,
    title: 'Formation rejected: authority does not narrow',
  },
  'formation/duplicate-member-id': { status: 400, title: 'Formation rejected: duplicate member id' },
  'ws/retention-exhausted': { status: 410, title: 'Cursor older than stream retention' },
  'ws/epoch-changed': { status: 410, title: 'Stream replaced' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof PROBLEMS;

export interface ProblemOptions {
  /** A status other than the catalogue's: wrong shapes of a status body are a 422 of type bad-request. */
  readonly status?: number;
  /** Members behind the standard ones. */
  readonly extensions?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** For the log, never sent. */
  readonly cause?: unknown;
}

/** An error whose detail may be shown to the client. */
export class ProblemError extends Error {
  readonly code: ProblemCode;
  readonly options: ProblemOptions;

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail, { cause: options.cause });
    this.name = 'ProblemError';
    this.code = code;
    this.options = options;
  }

  get status(): number {
    return this.options.status ?? PROBLEMS[this.code].status;
  }
}

/** The event log cannot be written or read now; the client should try again. */
export function unavailable(detail: string, cause?: unknown): ProblemError {
  return retryLater('service-unavailable', detail, cause);
}

/** What may be otherwise in a moment. */
export function retryLater(
  code: 'service-unavailable' | 'event-store-full' | 'too-many-sessions' | 'too-many-requests',
  detail: string,
  cause?: unknown,
): ProblemError {
  const headers = { 'retry-after': String(RETRY_AFTER_SECONDS) };
  return new ProblemError(code, detail, { headers, cause });
}

/** Anything thrown, as a problem: what is not ours becomes a 500 that says nothing of it. */
export function toProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  return new ProblemError('internal', 'an unexpected error occurred', { cause: error });
}

/** The body: type, title, status, detail in this order, then extensions. */
export function problemBody(problem: ProblemError): string {
  return JSON.stringify({
    type: `/problems/${problem.code}`,
    title: PROBLEMS[problem.code].title,
    status: problem.status,
    detail: problem.message,
    ...problem.options.extensions,
  });
}

/** The feed's last text frame before it closes with 4410. */
export function problemFrame(
  code: 'ws/retention-exhausted' | 'ws/epoch-changed',
  members: { oldest_seq: number; latest_seq: number; epoch: string | null },
): string {
  return JSON.stringify({ type: `/problems/${code}`, title: PROBLEMS[code].title, ...members });
}

export const CLOSE = {
  goingAway: 1001,
  policy: 1008,
  tooBig: 1009,
  internal: 1011,
  slowConsumer: 4408,
  rehydrate: 4410,
} as const;

/** A close reason no longer than WebSocket allows; a longer one would throw. Reasons are ASCII. */
export function closeReason(reason: string): string {
  return reason.slice(0, MAX_CLOSE_REASON_BYTES);
}
