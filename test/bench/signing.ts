// Owns the bench's signed events: the others' in envelopes, as supervisors that sign publish them.
import { createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

export type SignedBy = 'ed25519' | 'hmac-sha256';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const secret = randomBytes(32);

/** What a server needs to verify them. */
export const VERIFY_KEYS: string = JSON.stringify({
  ed25519: publicKey.export({ format: 'jwk' }).x,
  'hmac-sha256': `hmac-sha256:${secret.toString('base64url')}`,
});

/** The event, signed over its canonical text, in whose order supervisors also publish it. */
export function toSigned(event: string, algorithm: SignedBy): string {
  const inner = inOrder(JSON.parse(event)) as Record<string, unknown>;
  const canonical = JSON.stringify(inner);
  const signature =
    algorithm === 'ed25519'
      ? sign(null, Buffer.from(canonical), privateKey)
      : createHmac('sha256', secret).update(canonical).digest();
  return JSON.stringify({
    specversion: '1.0',
    id: inner['id'],
    source: '/cellos-supervisor/event-signing',
    type: 'dev.cellos.events.signed_envelope.v1',
    datacontenttype: 'application/json',
    data: { algorithm, event: inner, signature: signature.toString('base64url'), signerKid: algorithm },
    time: inner['time'],
    traceparent: null,
  });
}

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(members.map(([key, member]) => [key, inOrder(member)]));
}
