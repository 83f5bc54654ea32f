// NATS subject filters with `*` and `>`, compiled once per filter and matched in this process: one tail feeds every
// session, so the broker does not filter for them.

import { MAX_SUBJECT_CHARACTERS } from './limits.ts';

/** The subjects of this project's events, and the filter of a client that names none. */
export const EVENT_SUBJECTS = 'cellos.events.>';

/** A token that is not `>` alone, as a pattern. */
const LITERAL = String.raw`(?:[^\x00-\x20\x7f.>][^\x00-\x20\x7f.]*|>[^\x00-\x20\x7f.]+)`;

const EVENT_TOKENS = ['cellos', 'events'];

/** True for what NATS takes as a filter: no empty token, no space, `>` last. A `*` inside a token stands for itself. */
export function isSubjectFilter(filter: string): boolean {
  // Control characters and spaces would break the protocol line that carries the filter.
  // oxlint-disable-next-line no-control-regex
  if (filter === '' || filter.length > MAX_SUBJECT_CHARACTERS || /[\u0000-\u0020\u007f]/.test(filter))
    return false;
  const tokens = filter.split('.');
  return tokens.every((token, at) => {
    if (token === '') return false;
    if (token === '>') return at === tokens.length - 1;
    return true;
  });
}

/** What isSubjectFilter takes and the empty one, which stands for the default, as a JSON Schema. */
export const SUBJECT_FILTER = {
  type: 'string',
  pattern: `^(?:(?:${LITERAL}\\.)*(?:${LITERAL}|>))?$`,
  maxLength: MAX_SUBJECT_CHARACTERS,
} as const;

/** A matcher for a valid filter. */
export function compileFilter(filter: string): (subject: string) => boolean {
  const tokens = filter.split('.');
  const open = tokens.at(-1) === '>';
  if (open) tokens.pop();
  if (!tokens.includes('*')) {
    const literal = tokens.join('.');
    if (!open) return (subject) => subject === literal;
    const prefix = literal === '' ? '' : `${literal}.`;
    return (subject) => subject.length > prefix.length && subject.startsWith(prefix);
  }
  return (subject) => {
    const parts = subject.split('.');
    if (open ? parts.length <= tokens.length : parts.length !== tokens.length) return false;
    return tokens.every((token, at) => token === '*' || token === parts[at]);
  };
}

/** The part of a valid filter that lies within `cellos.events.>`, for the broker; null when there is none. */
export function withinEvents(filter: string): string | null {
  const tokens = filter.split('.');
  for (const [at, literal] of EVENT_TOKENS.entries()) {
    const token = tokens[at];
    if (token === '>') return EVENT_SUBJECTS;
    if (token !== '*' && token !== literal) return null;
    tokens[at] = literal;
  }
  return tokens.length > EVENT_TOKENS.length ? tokens.join('.') : null;
}
