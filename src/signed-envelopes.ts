// Signed envelopes (contract, section 3): which payloads are one, what is in it, and the two orders of members in which the signed
// bytes of an event may be. Whether a signature is good is signatures.ts.
import { canonicalMembers, canonicalObject, isCanonical } from './canonical-json.ts';
import { memberOf, membersOf } from './json-text.ts';

const ENVELOPE_TYPE = 'dev.cellos.events.signed_envelope.v1';

/** What an older producer signs, in this order; nothing else of its events is covered. */
const OLDER_MEMBERS = [
  'specversion',
  'id',
  'source',
  'type',
  'datacontenttype',
  'data',
  'time',
  'traceparent',
];

/** One of these is in the text of every envelope: its type, or the member of a bare one, or a letter of theirs escaped. */
const SIGNS = [ENVELOPE_TYPE, 'signerKid', '\\u'] as const;

type Members = Readonly<Record<string, unknown>>;

export interface Envelope {
  /** The members beside the event, of any type. */
  readonly members: Members;
  /** The event, an object, and its text as it was published; not unwrapped again if it is an envelope itself. */
  readonly event: Members;
  readonly eventText: string;
}

/** What the members of an envelope say; times are null when there are none. */
export interface Signature {
  readonly kid: string;
  readonly algorithm: string;
  readonly signature: string;
  readonly notBefore: string | null;
  readonly notAfter: string | null;
}

/** Good over either is good. The older one covers certain members only. */
export type SignedOrder = 'canonical' | 'older';

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The object that holds an event and its signature, perhaps without either; null for what is no envelope, nearly always after a look at
 * its type. A bare one has no type, since an event that has a type is what that says.
 */
function envelopeIn(payload: unknown): Members | null {
  if (typeof payload !== 'object' || payload === null) return null;
  const { type, data, event } = payload as Members;
  if (typeof type === 'string') return type === ENVELOPE_TYPE ? (isObject(data) ? data : {}) : null;
  return isObject(event) && 'signerKid' in payload && 'signature' in payload ? (payload as Members) : null;
}

/** The event that a parsed payload is about, in an envelope or not, and whether it may be believed or not. */
export function eventWithin(payload: unknown): unknown {
  const members = envelopeIn(payload);
  return members === null ? payload : members['event'];
}

/** The text of the event that a payload's text is about, as it was signed: out of its envelope, if it is in one. */
export function eventTextWithin(text: string): string {
  // Nearly always a look is enough.
  if (!SIGNS.some((sign) => text.includes(sign))) return text;
  const envelope = openEnvelope(JSON.parse(text), text);
  return envelope === null || envelope === 'empty' ? text : envelope.eventText;
}

/** Null for what is no envelope; `empty` for what is one by its type and holds no event. */
export function openEnvelope(payload: unknown, text: string): Envelope | 'empty' | null {
  const members = envelopeIn(payload);
  if (members === null) return null;
  const { event } = members;
  if (!isObject(event)) return 'empty';
  const eventText = members === payload ? memberOf(text, 'event') : memberOf(text, 'data', 'event');
  return { members, event, eventText: eventText as string };
}

/** Null when a member is missing or of another type. */
export function signatureOf({ members }: Envelope): Signature | null {
  const { signerKid: kid, algorithm, signature, notBefore = null, notAfter = null } = members;
  if (
    typeof kid !== 'string' ||
    kid === '' ||
    typeof algorithm !== 'string' ||
    typeof signature !== 'string'
  ) {
    return null;
  }
  if (!isTextOrNull(notBefore) || !isTextOrNull(notAfter)) return null;
  return { kid, algorithm, signature, notBefore, notAfter };
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}

/** What may have been signed of an event, spelled when it is asked for. */
export class SignedTexts implements Record<SignedOrder, () => string> {
  readonly #eventText: string;
  #members: ReadonlyMap<string, string> | null = null;

  constructor(eventText: string) {
    this.#eventText = eventText;
  }

  canonical(): string {
    return isCanonical(this.#eventText) ? this.#eventText : canonicalObject(this.#canonicalMembers());
  }

  older(): string {
    return olderObject(this.#canonicalMembers());
  }

  #canonicalMembers(): ReadonlyMap<string, string> {
    return (this.#members ??= canonicalMembers(this.#eventText) ?? new Map());
  }
}

/** The event without what the older order does not cover, its members spelled as they were. */
export function coveredByOlder({ eventText }: Envelope): Pick<Envelope, 'event' | 'eventText'> {
  const covered = olderObject(membersOf(eventText));
  return { event: JSON.parse(covered) as Members, eventText: covered };
}

function olderObject(members: ReadonlyMap<string, string>): string {
  return `{${OLDER_MEMBERS.map((name) => memberText(members, name)).join(',')}}`;
}

function memberText(members: ReadonlyMap<string, string>, name: string): string {
  return `"${name}":${members.get(name) ?? 'null'}`;
}

/** The event that carries an event of ours and its signature; `signature` is base64url. */
export function envelopeText(eventText: string, kid: string, signature: string): string {
  const members = membersOf(eventText);
  const [id, time, traceparent] = ['id', 'time', 'traceparent'].map((name) => memberText(members, name));
  return (
    `{"specversion":"1.0",${id},"source":"/cellos-server/event-signing","type":"${ENVELOPE_TYPE}",` +
    `"datacontenttype":"application/json","data":{"algorithm":"ed25519","event":${eventText},` +
    `"signature":"${signature}","signerKid":${JSON.stringify(kid)}},${time},${traceparent}}`
  );
}
