// Entity tags and the conditions on them (RFC 9110, sections 8.8.3 and 13.1). A tag is the sequence of the last change and what it
// counts in, the stream's incarnation under the keys that are configured, so that every server on the log that believes the same has the same.
import type { Position } from './model.ts';
import { ProblemError } from './problems.ts';

/** What a condition names: any representation, or these tags as they are spelled. */
export type EntityTags = '*' | readonly string[];

/** One tag, which may hold commas. */
const TAG = String.raw`(?:W/)?"[\x21\x23-\x7e\x80-\uffff]*"`;

/** A tag and what follows it up to the next. */
const NEXT_TAG = new RegExp(String.raw`[\s,]*(${TAG})\s*(?:,|$)`, 'y');

/** What an If-Match may be, as a pattern of JSON Schema. */
export const CONDITION_PATTERN = String.raw`^\s*\*\s*$|^[\s,]*${TAG}(?:\s*,[\s,]*${TAG})*[\s,]*$`;

/** Of a representation that is the same, byte for byte, until `version` changes. */
export function entityTag(edition: string, version: Position): string {
  return `"${edition}/${version}"`;
}

/** Of one that may differ in what nobody would call a change. */
export function weakEntityTag(edition: string, version: Position): string {
  return `W/${entityTag(edition, version)}`;
}

/** The condition in `If-Match`, null without one. Throws 400 for what is none: what it was to prevent must not be done. */
export function writeConditionOf(headers: Headers): EntityTags | null {
  const value = headers.get('if-match');
  if (value === null) return null;
  const condition = parseCondition(value);
  if (condition !== null) return condition;
  throw new ProblemError('bad-request', 'the header If-Match is neither * nor a list of entity tags');
}

/** The condition in `If-None-Match`, null without one; what is none is ignored, which costs an answer in full. */
export function readConditionOf(headers: Headers): EntityTags | null {
  const value = headers.get('if-none-match');
  return value === null ? null : parseCondition(value);
}

function parseCondition(value: string): EntityTags | null {
  if (value.trim() === '*') return '*';
  const list = value.replace(/[\s,]+$/, '');
  const tags: string[] = [];
  NEXT_TAG.lastIndex = 0;
  while (NEXT_TAG.lastIndex < list.length) {
    const match = NEXT_TAG.exec(list);
    if (match === null) return null;
    tags.push(match[1] as string);
  }
  return tags.length > 0 ? tags : null;
}

/** The strong comparison: of weak tags none is the same. */
export function isMatch(condition: EntityTags, tag: string): boolean {
  return condition === '*' || (!tag.startsWith('W/') && condition.includes(tag));
}

/** The weak comparison, for what a client has already. */
export function isWeakMatch(condition: EntityTags, tag: string): boolean {
  return condition === '*' || condition.some((each) => opaque(each) === opaque(tag));
}

function opaque(tag: string): string {
  return tag.startsWith('W/') ? tag.slice(2) : tag;
}
