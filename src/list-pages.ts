// Pages of the lists: what `limit` and `continue` say, and the tokens between two pages. A token holds its place itself, the id of the
// last record: nothing that is written meanwhile moves it, no server keeps it, and every server on the log can go on there.
import * as v from 'valibot';

import { fromBase64url, toBase64url } from './base64url.ts';
import { textDigest } from './ids.ts';
import { MAX_LIST_RECORDS, MAX_TOKEN_CHARACTERS, MAX_TOKEN_ID_CHARACTERS } from './limits.ts';
import { ProblemError } from './problems.ts';
import { parseUnsigned } from './query.ts';
import { decodeUtf8, encodeUtf8 } from './utf8.ts';

/** What a token says. Digests stand for what may be long: headers and addresses have bounds. */
const tokenContent = v.strictObject({
  v: v.literal(1),
  list: v.picklist(['formations', 'cells']),
  epoch: v.nullable(v.string()),
  /** Digest of the filters as they were spelled. */
  filters: v.string(),
  /** Whom `?formation=` stood for on the first page: a name may have another holder by now. */
  formation: v.optional(v.string()),
  /** The last record's id, or the beginning of a long one. */
  after: v.string(),
  /** Digest of the whole id where `after` is its beginning. */
  digest: v.optional(v.string()),
});

/** Where a page begins. */
export type Place = v.InferOutput<typeof tokenContent>;

/** A list with its filters as they were spelled. */
export interface PagedList {
  readonly list: Place['list'];
  readonly filters: readonly (string | null)[];
}

export interface PageRequest extends PagedList {
  /** Absent: all that is left. */
  readonly limit: number | undefined;
  readonly place: Place | null;
}

/**
 * Null when the whole list is asked for. An empty token is none: it is what a loop begins with. Throws 400 for a limit that is no
 * number, and for a token that is not of this list.
 */
export function parsePage(
  paged: PagedList,
  { limit, continue: token = '' }: { readonly limit?: string; readonly continue?: string },
): PageRequest | null {
  if (limit === undefined && token === '') return null;
  return {
    ...paged,
    limit: limit === undefined ? undefined : Math.min(parseUnsigned('limit', limit), MAX_LIST_RECORDS),
    place: token === '' ? null : parseToken(token, paged),
  };
}

/** Throws 410 for a place in the list of another incarnation of the log: its records are not ours. */
export function requireEpoch(place: Place | null, epoch: string | null): void {
  if (place === null || place.epoch === epoch) return;
  throw new ProblemError(
    'ws/epoch-changed',
    'query parameter "continue" is of an event store that is not the present one: begin with the first page',
    { extensions: { epoch } },
  );
}

/** The token of the page behind the record `lastId`. */
export function nextToken(
  { list, filters }: PagedList,
  { epoch, lastId, formation }: { epoch: string | null; lastId: string; formation?: string | null },
): string {
  const place: Place = {
    v: 1,
    list,
    epoch,
    filters: digestOf(filters),
    ...(formation === undefined || formation === null ? {} : { formation }),
    after: lastId.slice(0, MAX_TOKEN_ID_CHARACTERS),
    ...(lastId.length > MAX_TOKEN_ID_CHARACTERS ? { digest: textDigest(lastId) } : {}),
  };
  return toBase64url(encodeUtf8(JSON.stringify(place)));
}

/** Whether this is the id that the place is behind, where a place has its beginning and digest alone. */
export function isIdOf({ digest }: Place, id: string): boolean {
  return id.length > MAX_TOKEN_ID_CHARACTERS && textDigest(id) === digest;
}

function parseToken(token: string, { list, filters }: PagedList): Place {
  const place = token.length > MAX_TOKEN_CHARACTERS ? null : decodeToken(token);
  if (place === null) throw refused('is no token of this server');
  if (place.list !== list) throw refused(`is a token of the list of ${place.list}`);
  if (place.filters !== digestOf(filters)) throw refused('is a token of this list with other filters');
  return place;
}

function refused(why: string): ProblemError {
  return new ProblemError('bad-request', `query parameter "continue" ${why}`);
}

function decodeToken(token: string): Place | null {
  try {
    const bytes = fromBase64url(token);
    const text = bytes === null ? null : decodeUtf8(bytes);
    const parsed = v.safeParse(tokenContent, JSON.parse(text ?? ''));
    return parsed.success && isOfOurs(parsed.output) ? parsed.output : null;
  } catch {
    return null;
  }
}

/** A digest behind less than the beginning that we cut off would have us look at every id for it. */
function isOfOurs({ after, digest }: Place): boolean {
  return digest === undefined || after.length === MAX_TOKEN_ID_CHARACTERS;
}

function digestOf(filters: PagedList['filters']): string {
  return textDigest(JSON.stringify(filters));
}
