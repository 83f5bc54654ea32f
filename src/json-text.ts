// Reads pieces of a JSON text without changing their spelling: JSON.parse loses the difference between 1.0 and 1,
// numbers above 2^53 and the order of integer-like keys. Every function here expects a text that JSON.parse accepts.

import {
  BACKSLASH,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  isSpace,
  MINUS,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  skipSpace,
  skipString,
  skipValue,
} from './json-scan.ts';
import { excerpt } from './text.ts';

function unquote(literal: string): string {
  return literal.includes('\\') ? (JSON.parse(literal) as string) : literal.slice(1, -1);
}

/**
 * Calls `visit` with the bounds of each key literal and the start of each value of the object that starts at `from`; it returns the
 * index behind the value. Nothing is copied. Returns the index behind what starts at `from`, object or not.
 */
function eachMember(
  text: string,
  from: number,
  visit: (keyStart: number, keyEnd: number, valueStart: number) => number,
): number {
  if (text.charCodeAt(from) !== OPEN_BRACE) return skipValue(text, from);
  let at = skipSpace(text, from + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const keyEnd = skipString(text, at);
    // Behind the key come spaces and one colon.
    const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1);
    at = skipSpace(text, visit(at, keyEnd, valueStart));
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1);
  }
  return at + 1;
}

/** Whether a key literal says `name`. It is as long as what it says, or longer and with an escape. */
function isKey(text: string, keyStart: number, keyEnd: number, name: string): boolean {
  const length = keyEnd - keyStart - 2;
  if (length < name.length) return false;
  if (length === name.length) return text.startsWith(name, keyStart + 1) && !name.includes('\\');
  const literal = text.slice(keyStart, keyEnd);
  return literal.includes('\\') && unquote(literal) === name;
}

/** The members of an object text, key and text of the value, repeated keys too. Empty for non-objects. */
export function entriesOf(text: string): [key: string, value: string][] {
  const entries: [string, string][] = [];
  eachMember(text, skipSpace(text, 0), (keyStart, keyEnd, valueStart) => {
    const valueEnd = skipValue(text, valueStart);
    entries.push([unquote(text.slice(keyStart, keyEnd)), text.slice(valueStart, valueEnd)]);
    return valueEnd;
  });
  return entries;
}

/** The same by key; of a repeated key the last value. */
export function membersOf(text: string): Map<string, string> {
  return new Map(entriesOf(text));
}

/**
 * The text of one member's value, or of a member's member and so on; of a repeated key the last one counts. Null when there is none.
 * The text is read once, however long the path is.
 */
export function memberOf(text: string, ...path: readonly [string, ...string[]]): string | null {
  let foundStart = -1;
  let foundEnd = -1;
  const search = (from: number, level: number): number =>
    eachMember(text, from, (keyStart, keyEnd, valueStart) => {
      if (!isKey(text, keyStart, keyEnd, path[level] as string)) return skipValue(text, valueStart);
      // What an earlier member of this name held does not count any more.
      foundStart = -1;
      if (level + 1 < path.length) return search(valueStart, level + 1);
      foundStart = valueStart;
      foundEnd = skipValue(text, valueStart);
      return foundEnd;
    });
  search(skipSpace(text, 0), 0);
  return foundStart < 0 ? null : text.slice(foundStart, foundEnd);
}

/** The texts of an array's elements. Empty for non-arrays. */
export function elementsOf(text: string): string[] {
  const elements: string[] = [];
  let at = skipSpace(text, 0);
  if (text.charCodeAt(at) !== OPEN_BRACKET) return elements;
  at = skipSpace(text, at + 1);
  while (text.charCodeAt(at) !== CLOSE_BRACKET) {
    const end = skipValue(text, at);
    elements.push(text.slice(at, end));
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1);
  }
  return elements;
}

/** The text without white space between its tokens. */
export function minify(text: string): string {
  return text.replaceAll(/("[^"\\]*(?:\\.[^"\\]*)*")|[ \n\r\t]+/g, '$1');
}

/** What one pass over a text tells about the whole of it. */
export interface Outline {
  /** How deep arrays and objects are nested: 0 for a scalar, 1 for `{}`. */
  readonly depth: number;
  /** White space between tokens. */
  readonly isSpaced: boolean;
  /** A backslash in any string, so that two spellings may be one key. */
  readonly hasEscapes: boolean;
  /** Keys of all objects at each depth from 0 to 3, repeated ones counted again. */
  readonly keys: readonly [number, number, number, number];
  /**
   * What JSON.parse takes and parsers of other languages refuse, as the rest of a sentence: an escaped surrogate without its other
   * half, a number beyond a double. One record with it would make a whole list unreadable for such a client. Null when there is none.
   */
  readonly unportable: string | null;
}

export function outlineOf(text: string): Outline {
  const keys: [number, number, number, number] = [0, 0, 0, 0];
  let depth = 0;
  let deepest = 0;
  let isSpaced = false;
  let hasEscapes = false;
  let unportable: string | null = null;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const start = at++;
      let hasEscape = false;
      for (;;) {
        const inner = text.charCodeAt(at++);
        if (inner === QUOTE) break;
        if (inner !== BACKSLASH) continue;
        hasEscape = true;
        at++;
      }
      if (!hasEscape) continue;
      hasEscapes = true;
      if (unportable === null && hasLoneSurrogate(text.slice(start + 1, at - 1))) {
        unportable = 'holds an escaped surrogate without its other half, which other parsers refuse';
      }
    } else if (code === COLON) {
      if (depth <= 3) (keys[depth] as number)++;
      at++;
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (++depth > deepest) deepest = depth;
      at++;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      depth--;
      at++;
    } else if (code === MINUS || isDigit(code)) {
      const end = skipNumber(text, at);
      if (unportable === null && !isDouble(text, at, end)) {
        unportable = `holds the number ${excerpt(text.slice(at, end))}, which other parsers refuse`;
      }
      at = end;
    } else {
      if (isSpace(code)) isSpaced = true;
      at++;
    }
  }
  return { depth: deepest, isSpaced, hasEscapes, keys, unportable };
}

/** What `outlineOf` says of the text's portability. */
export function unportablePiece(text: string): string | null {
  return outlineOf(text).unportable;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** The index behind the number that starts at `from`. */
function skipNumber(text: string, from: number): number {
  let at = from + 1;
  for (;;) {
    const code = text.charCodeAt(at);
    // Digits, and what else a number is made of.
    if (!isDigit(code) && code !== 0x2e && code !== 0x65 && code !== 0x45 && code !== 0x2b && code !== MINUS)
      return at;
    at++;
  }
}

/** The largest doubles have 309 digits; a shorter number is beyond them only by its exponent. */
const SAFE_LENGTH = 308;

function isDouble(text: string, from: number, end: number): boolean {
  if (end - from <= SAFE_LENGTH) {
    let at = from;
    while (at < end && (text.charCodeAt(at) | 0x20) !== 0x65) at++;
    if (at === end) return true;
  }
  return Number.isFinite(Number(text.slice(from, end)));
}

const ESCAPES = /\\(?:u([0-9a-fA-F]{4})|.)/g;

function hasLoneSurrogate(content: string): boolean {
  if (!content.includes('\\ud') && !content.includes('\\uD')) return false;
  let highEnd = -1;
  for (const match of content.matchAll(ESCAPES)) {
    const unit = match[1] === undefined ? 0 : Number.parseInt(match[1], 16);
    const isLow = unit >= 0xdc00 && unit <= 0xdfff;
    // The second half has to follow at once.
    if (isLow !== (highEnd === match.index)) return true;
    highEnd = unit >= 0xd800 && unit <= 0xdbff ? match.index + match[0].length : -1;
  }
  return highEnd >= 0;
}
