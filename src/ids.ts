// Formation ids: every spelling of a UUID that the contract accepts, and the id that the log's lock is built on.
import { parse, v5 } from 'uuid';

import { encodeUtf8 } from './utf8.ts';

const HYPHENATED = /^(?:urn:uuid:)?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;
const BRACED = /^\{([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\}$/;
const SIMPLE = /^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/;

/** What parseUuid takes, as a pattern of JSON Schema, which knows no flags. */
export const UUID_PATTERN = [HYPHENATED, BRACED, SIMPLE]
  .map(({ source }) =>
    source.replace('urn:uuid:', '[Uu][Rr][Nn]:[Uu][Uu][Ii][Dd]:').replaceAll('a-f', 'A-Fa-f'),
  )
  .join('|');

/** The UUID in lower case with hyphens, or null: upper case, no hyphens, braces and urn:uuid: are understood. */
export function parseUuid(text: string): string | null {
  // The longest spelling has 45 characters; nothing longer is worth lower-casing.
  if (text.length > 45) return null;
  const lower = text.toLowerCase();
  const match = HYPHENATED.exec(lower) ?? BRACED.exec(lower);
  if (match) return match[1] as string;
  const simple = SIMPLE.exec(lower);
  return simple ? simple.slice(1).join('-') : null;
}

// Any fixed UUID will do; another one would let servers of two versions admit the same name twice.
// As bytes, since the library would parse a text twice for each id.
const FORMATION_NAMESPACE = parse('c8a7f2d6-5a0f-5b0e-9a51-3f7b7d0c5e11');

/**
 * The id of the next formation of this name (design D3). Servers that race for a name know the same previous holder, so
 * they compute the same id and meet on one subject, where the log lets a single first message through.
 */
export function formationIdFor(name: string, previousHolderId: string | null): string {
  // A name has no line feed, so no two pairs share a text.
  return v5(encodeUtf8(`${name}\n${previousHolderId ?? ''}`), FORMATION_NAMESPACE);
}

/** A short stand-in for a text of any length. For telling texts apart, not against somebody who makes two with one digest. */
export function textDigest(text: string): string {
  return v5(encodeUtf8(text), FORMATION_NAMESPACE);
}
