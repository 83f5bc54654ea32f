// Paths and queries, split first and percent-decoded once (contract, section 5). URLSearchParams and hono's own decoding
// replace what is not UTF-8 instead of refusing it.
import { ProblemError } from './problems.ts';
import { excerpt } from './text.ts';
import { concat, decodeUtf8, encodeUtf8 } from './utf8.ts';

const ESCAPES = /(?:%[0-9A-Fa-f]{2})+/g;

/** Percent-decoded once; a `%` without two hex digits stands for itself (WHATWG URL). Null when the bytes are not UTF-8. */
export function percentDecode(text: string): string | null {
  if (!text.includes('%')) return text;
  const parts: Uint8Array[] = [];
  let from = 0;
  for (const match of text.matchAll(ESCAPES)) {
    parts.push(encodeUtf8(text.slice(from, match.index)), unescaped(match[0]));
    from = match.index + match[0].length;
  }
  parts.push(encodeUtf8(text.slice(from)));
  return decodeUtf8(concat(parts));
}

/** The bytes of a run such as `%C3%A4`. */
function unescaped(run: string): Uint8Array {
  const bytes = new Uint8Array(run.length / 3);
  for (let at = 0; at < bytes.length; at++)
    bytes[at] = Number.parseInt(run.slice(at * 3 + 1, at * 3 + 3), 16);
  return bytes;
}

/** The path of an absolute URL without its query. */
export function rawPathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3);
  if (start < 0) return '/';
  let end = url.indexOf('?', start);
  if (end < 0) end = url.length;
  const fragment = url.indexOf('#', start);
  return url.slice(start, fragment >= 0 && fragment < end ? fragment : end);
}

/** Each segment decoded and encoded again in the one way that routes are written in; null when one is not UTF-8. */
export function canonicalPath(path: string): string | null {
  if (!path.includes('%')) return path;
  const segments: string[] = [];
  for (const segment of path.split('/')) {
    const decoded = percentDecode(segment);
    if (decoded === null) return null;
    segments.push(encodeURIComponent(decoded));
  }
  return segments.join('/');
}

/** The query's pairs in order, decoded; null for what is not UTF-8. Empty pairs are ignored, `+` is a space. */
function* pairsOf(url: string): Generator<[name: string | null, value: string | null]> {
  const [whole = ''] = url.split('#', 1);
  const start = whole.indexOf('?');
  if (start < 0) return;
  for (const pair of whole.slice(start + 1).split('&')) {
    if (pair === '') continue;
    const split = pair.indexOf('=');
    const parts = split < 0 ? [pair, ''] : [pair.slice(0, split), pair.slice(split + 1)];
    yield parts.map((part) => percentDecode(part.replaceAll('+', ' '))) as [string | null, string | null];
  }
}

/** The query's pairs in order. Throws 400 when something is not UTF-8. */
export function parseQuery(url: string): [name: string, value: string][] {
  return Array.from(pairsOf(url), ([name, value]) => {
    if (name === null || value === null) throw new ProblemError('bad-request', 'the query is not UTF-8');
    return [name, value];
  });
}

/** The values of the known parameters. Throws 400 for one given twice or not UTF-8 and, if `strict`, for an unknown one. */
export function queryParameters<Name extends string>(
  url: string,
  known: readonly Name[],
  { strict = false } = {},
): Partial<Record<Name, string>> {
  const values: Partial<Record<string, string>> = {};
  for (const [name, value] of strict ? parseQuery(url) : pairsOf(url)) {
    if (name === null || !(known as readonly string[]).includes(name)) {
      if (!strict) continue;
      throw new ProblemError('bad-request', `unknown query parameter "${excerpt(name ?? '')}"`);
    }
    if (value === null) throw new ProblemError('bad-request', `query parameter "${name}" is not UTF-8`);
    if (Object.hasOwn(values, name)) {
      throw new ProblemError('bad-request', `query parameter "${name}" is given more than once`);
    }
    values[name] = value;
  }
  return values as Partial<Record<Name, string>>;
}

/** The parameter of every GET that says how far the view must have come. */
export const MIN_CURSOR = 'min_cursor';

/** Its value, or null without one. Throws 400 when it is none, or given twice; what else is in the query is not looked at. */
export function minCursorOf(url: string): number | null {
  // Nearly no request has it: the name is found as it is, or with an escape in it.
  if (!url.includes(MIN_CURSOR) && !url.includes('%')) return null;
  const values = Array.from(pairsOf(url)).filter(([name]) => name === MIN_CURSOR);
  if (values.length === 0) return null;
  if (values.length > 1) {
    throw new ProblemError('bad-request', `query parameter "${MIN_CURSOR}" is given more than once`);
  }
  return parseUnsigned(MIN_CURSOR, values[0]?.[1] ?? '\ufffd');
}

const MAX_UINT64 = 2n ** 64n - 1n;

/** What parseUnsigned takes, as a JSON Schema. The next double stands for its maximum: openapi/document.ts writes all digits. */
export const UNSIGNED = { type: 'integer', minimum: 0, maximum: Number(MAX_UINT64) } as const;

/** An unsigned 64-bit integer, saturated at 2^53 - 1, which no sequence or count reaches. Throws 400 for anything else. */
export function parseUnsigned(name: string, text: string, where = 'query parameter'): number {
  if (/^\d+$/.test(text)) {
    // Twenty digits are the most that fit; leading zeros are cut before counting.
    const digits = text.replace(/^0+(?=\d)/, '');
    if (digits.length <= 20 && BigInt(digits) <= MAX_UINT64)
      return Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
  }
  throw new ProblemError(
    'bad-request',
    `${where} "${name}" is not an unsigned 64-bit integer: "${excerpt(text)}"`,
  );
}
