// One line for each request, and the id that client, answer and line share. The line is put together by hand: it is the one thing
// that is written for every request.
import { type LogLevel, isLogged } from './logger.ts';
import { MAX_REQUEST_ID_CHARACTERS } from './limits.ts';
import type { Template } from './routes/table.ts';
import { excerpt } from './text.ts';

export const REQUEST_ID_HEADER = 'x-request-id';

/** Printable ASCII without spaces. */
const REQUEST_ID = new RegExp(`^[!-~]{1,${MAX_REQUEST_ID_CHARACTERS}}$`);

/** What is known of a request when it has been answered. */
interface AnsweredRequest {
  readonly id: string;
  /** Null when nobody was let in. */
  readonly operator: string | null;
  /** The template of its path, null when there is nothing. */
  readonly route: Template | null;
}

export type RequestLog = (request: AnsweredRequest, method: string, status: number, ms: number) => void;

/** A log that hands each line, without its line feed, to `write`; null when nobody wants to see them. */
export function createRequestLog(level: LogLevel, write: (line: string) => void): RequestLog | null {
  if (!isLogged('info', level)) return null;
  const start = createStart();
  const middle = createMiddle();
  return ({ id, operator, route }, method, status, ms) =>
    write(
      `${start()}${idText(id)}${middle(operator, method, route)}${status},"ms":${Math.round(ms * 1000) / 1000}}`,
    );
}

/** Takes the client's id, or makes one that no other process makes. */
export function createRequestIds(): (headers: Headers) => string {
  // Random bytes for each request would cost more than the rest of the line.
  const prefix = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
  let count = 0;
  return (headers) => {
    const given = headers.get(REQUEST_ID_HEADER);
    return given !== null && REQUEST_ID.test(given) ? given : `${prefix}-${(++count).toString(36)}`;
  };
}

/** What is in front of the id: requests of the same millisecond share it. */
function createStart(): () => string {
  let shown = Number.NaN;
  let text = '';
  return () => {
    const now = Date.now();
    if (now !== shown) {
      shown = now;
      text = `{"time":"${new Date(now).toISOString()}","level":"info","message":"request","id":`;
    }
    return text;
  };
}

/** What is between id and status; mostly it is that of the request before. */
function createMiddle(): (operator: string | null, method: string, route: Template | null) => string {
  let last: { operator: string | null; method: string; route: Template | null } | null = null;
  let text = '';
  return (operator, method, route) => {
    if (last === null || operator !== last.operator || method !== last.method || route !== last.route) {
      last = { operator, method, route };
      text = `,"operator":${JSON.stringify(operator)},"method":${JSON.stringify(excerpt(method))},"route":${JSON.stringify(route)},"status":`;
    }
    return text;
  };
}

/** Of what may be in it, two characters need an escape. */
function idText(id: string): string {
  return id.includes('"') || id.includes('\\') ? JSON.stringify(id) : `"${id}"`;
}
