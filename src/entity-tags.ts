// Entity tags and the conditions on them (RFC 9110, sections 8.8.3 and 13.1). A tag is the sequence of the last change and the
// stream's incarnation, so that every server on the log has the same.
import type { Position } from './model.ts';
import { ProblemError } from './problems.ts';

/** What a condition names: any representation, or these tags as they are spelled. */
export type EntityTags = '*' | readonly string[];

const TAG = /^(?:W\/)?"[\x21\x23-\x7e\x80-\uffff]*"$/;

/** Of a representation that is the same, byte for byte, until `version` changes. */
export function entityTag(epoch: string | null, version: Position): string {
  return `"${epoch ?? ''}/${version}"`;
}

/** Of one that may differ in what nobody would call a change. */
export function weakEntityTag(epoch: string | null, version: Position): string {
  return `W/${entityTag(epoch, version)}`;
}

/** The condition in `If-Match` or `If-None-Match`, null without one. Throws 400 for what is none. */
export function conditionOf(headers: Headers, name: 'if-match' | 'if-none-match'): EntityTags | null {
  const value = headers.get(name)?.trim();
  if (value === undefined) return null;
  if (value === '*') return value;
  // Tags of ours hold no comma; one that does is not ours, and its pieces are refused.
  const tags = value
    .split(',')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '');
  if (tags.length > 0 && tags.every((tag) => TAG.test(tag))) return tags;
  const spelled = name === 'if-match' ? 'If-Match' : 'If-None-Match';
  throw new ProblemError('bad-request', `the header ${spelled} is neither * nor a list of entity tags`);
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
