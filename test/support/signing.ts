// Events in signed envelopes, as a producer makes them. What is signed is spelled here once more, simply, for events that need no care;
// those that do are in openssl-vectors.ts.
import { toBase64url } from '../../src/base64url.ts';
import { parseSignatures } from '../../src/signature-config.ts';
import { importSignatures, type Signatures } from '../../src/signatures.ts';
import { OPENSSL_KEY, OPENSSL_SECRET } from './openssl-vectors.ts';

/** The ids of the two keys, and the set that verifies them, as it is configured. */
export const ED25519 = 'supervisor-1';
export const HMAC = 'supervisor-2';
export const KEYS: Readonly<Record<string, string>> = {
  [ED25519]: OPENSSL_KEY.public,
  [HMAC]: `hmac-sha256:${OPENSSL_SECRET}`,
};
export const VERIFY_KEYS: string = JSON.stringify(KEYS);
/** This server's own key in tests: the seed is that of the first one of RFC 8032, section 7.1. */
export const SIGNING_KEY = 'server-1:nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A';

export interface SignedEnvelope {
  readonly kid?: string;
  readonly algorithm?: string;
  readonly signature: string;
  readonly notBefore?: unknown;
  readonly notAfter?: unknown;
}

/** The object that carries an event, whose text is put in as it is. */
export function bareEnvelope(eventText: string, { kid = ED25519, ...members }: SignedEnvelope): string {
  const { algorithm = kid === HMAC ? 'hmac-sha256' : 'ed25519', ...others } = members;
  const beside = JSON.stringify({ signerKid: kid, algorithm, ...others });
  return `{"event":${eventText},${beside.slice(1)}`;
}

/** The CloudEvent around it. */
export function envelope(eventText: string, members: SignedEnvelope): string {
  return (
    '{"specversion":"1.0","id":"an envelope","source":"/cellos-supervisor/event-signing",' +
    `"type":"dev.cellos.events.signed_envelope.v1","data":${bareEnvelope(eventText, members)},"time":null}`
  );
}

/** The event signed by one of the two keys. */
export async function signed(
  event: object,
  { kid = ED25519, ...members }: Partial<SignedEnvelope> = {},
): Promise<string> {
  const text = JSON.stringify(event);
  const signature = await sign(canonical(JSON.parse(text)), kid === HMAC ? 'HMAC' : 'Ed25519');
  return envelope(text, { kid, signature, ...members });
}

/** What the older producers sign. */
export async function signedAsBefore(event: Readonly<Record<string, unknown>>): Promise<string> {
  const names = ['specversion', 'id', 'source', 'type', 'datacontenttype', 'data', 'time', 'traceparent'];
  const text = `{${names.map((name) => `"${name}":${canonical(event[name] ?? null)}`).join(',')}}`;
  return envelope(JSON.stringify(event), { signature: await sign(text, 'Ed25519') });
}

async function sign(text: string, algorithm: 'Ed25519' | 'HMAC'): Promise<string> {
  const key = await (algorithm === 'HMAC' ? secretKey : privateKey);
  return toBase64url(
    new Uint8Array(await crypto.subtle.sign(algorithm, key, new TextEncoder().encode(text))),
  );
}

const bytesOf = (text: string) =>
  Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (unit) => unit.charCodeAt(0));

const secretKey = crypto.subtle.importKey(
  'raw',
  bytesOf(OPENSSL_SECRET),
  { name: 'HMAC', hash: 'SHA-256' },
  false,
  ['sign'],
);
const privateKey = crypto.subtle.importKey(
  'jwk',
  { kty: 'OKP', crv: 'Ed25519', d: OPENSSL_KEY.seed, x: OPENSSL_KEY.public },
  'Ed25519',
  false,
  ['sign'],
);

/** Only for what JSON.stringify spells as it was meant, with keys of ASCII. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(',')}}`;
}

/** What a server makes of such an environment. */
export async function signaturesOf(environment: Readonly<Record<string, string>>): Promise<Signatures> {
  return importSignatures(parseSignatures((name) => environment[name] ?? null, undefined));
}
