// Keys and signatures by Web Crypto: the configured set, imported once at the start, verifies what supervisors and other servers have
// signed; this server's own key signs what it writes.
import { fromBase64url, toBase64url } from './base64url.ts';
import { ConfigError } from './environment.ts';
import {
  type SignatureAlgorithm,
  type SignatureConfig,
  SIGNING_KEY,
  type SigningKey,
  VERIFY_KEYS,
  type VerifyKey,
} from './signature-config.ts';
import { envelopeText, type SignedOrder, SignedTexts } from './signed-envelopes.ts';
import type { VerificationSettings } from './signers.ts';
import { compareUtf8 } from './text.ts';
import { concat, encodeUtf8 } from './utf8.ts';

const ALGORITHMS = {
  ed25519: { name: 'Ed25519' },
  'hmac-sha256': { name: 'HMAC', hash: 'SHA-256' },
} as const satisfies Record<SignatureAlgorithm, { name: string; hash?: string }>;

/** What stands before the seed in an Ed25519 private key (RFC 8410, section 7): Web Crypto takes no bare one. */
const PKCS8_PREFIX = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20);

/** Not every runtime's types have the name. */
type ImportedKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

const FINGERPRINT_BYTES = 16;
/** No JSON, so never an event: what is signed with a secret for its fingerprint. */
const FINGERPRINT_LABEL = encodeUtf8('cellos: fingerprint of a key');

/** What the server does about signatures. */
export interface Signatures extends VerificationSettings {
  /** By key id, this server's own included; null when events are unwrapped without verification. */
  readonly keys: ReadonlyMap<string, EventKey> | null;
  /** Signs what this server writes; null when it does not. */
  readonly signer: EventSigner | null;
  /** Unsigned events are not projected. */
  readonly requireSigned: boolean;
  /** Of the key ids and their keys' fingerprints; tells nothing of a secret that a signature does not. */
  readonly digest: string;
}

/** What is done when nothing is configured. */
export const NO_SIGNATURES: Signatures = { keys: null, signer: null, requireSigned: false, digest: '' };

/** Tells one configuration from another within an entity tag; empty where everything is believed. */
export function trustText({ digest, requireSigned }: Signatures): string {
  return digest === '' && !requireSigned ? '' : `;${digest}${requireSigned ? '!' : ''}`;
}

/** Imports the keys. Rejects with a ConfigError that repeats none of them. */
export async function importSignatures(config: SignatureConfig): Promise<Signatures> {
  const { verifyKeys, signingKey, requireSigned } = config;
  if (verifyKeys === null && signingKey === null) return { ...NO_SIGNATURES, requireSigned };
  const keys = new Map<string, EventKey>();
  const signer = await importKeys(keys, config);
  const fingerprints = Array.from(keys, ([kid, { fingerprint }]) => [kid, fingerprint] as const);
  const sorted = fingerprints.sort(([a], [b]) => compareUtf8(a, b));
  return { keys, signer, requireSigned, digest: await shortDigest(encodeUtf8(JSON.stringify(sorted))) };
}

async function importKeys(
  keys: Map<string, EventKey>,
  { verifyKeys, signingKey }: SignatureConfig,
): Promise<EventSigner | null> {
  for (const [kid, key] of verifyKeys ?? []) {
    keys.set(kid, await orRefuse(VERIFY_KEYS, EventKey.import(key)));
  }
  if (signingKey === null) return null;
  const { signer, publicKey } = await orRefuse(SIGNING_KEY, EventSigner.import(signingKey));
  const own = await orRefuse(SIGNING_KEY, EventKey.import({ algorithm: 'ed25519', bytes: publicKey }));
  const listed = keys.get(signingKey.kid);
  if (listed !== undefined && listed.fingerprint !== own.fingerprint) {
    throw new ConfigError(SIGNING_KEY, `has an id that stands for another key in ${VERIFY_KEYS}`);
  }
  keys.set(signingKey.kid, listed ?? own);
  return signer;
}

async function shortDigest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return toBase64url(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes), 0, FINGERPRINT_BYTES));
}

/** Of a secret a piece of a signature: who has it can try secrets, as who has a signed event can anyway. */
async function fingerprintOf({ algorithm, bytes }: VerifyKey): Promise<string> {
  if (algorithm === 'ed25519') return shortDigest(bytes);
  const key = await crypto.subtle.importKey('raw', bytes, ALGORITHMS[algorithm], false, ['sign']);
  const signature = await crypto.subtle.sign('HMAC', key, FINGERPRINT_LABEL);
  return toBase64url(new Uint8Array(signature, 0, FINGERPRINT_BYTES));
}

async function orRefuse<Result>(variable: string, importing: Promise<Result>): Promise<Result> {
  try {
    return await importing;
  } catch {
    // The runtime's message may say something of the key.
    throw new ConfigError(variable, "holds a key that this runtime's Web Crypto does not take");
  }
}

/** A key that verifies its own algorithm and nothing else. */
export class EventKey {
  readonly algorithm: SignatureAlgorithm;
  /** Tells it from any other key that was or will be behind its id; of a secret it tells no more than a signature does. */
  readonly fingerprint: string;
  readonly #key: ImportedKey;
  /** The order that was good last, which is tried first: a producer keeps to one. */
  #order: SignedOrder = 'canonical';

  private constructor(algorithm: SignatureAlgorithm, fingerprint: string, key: ImportedKey) {
    this.algorithm = algorithm;
    this.fingerprint = fingerprint;
    this.#key = key;
  }

  /** Rejects when the runtime does not take it. */
  static async import({ algorithm, bytes }: VerifyKey): Promise<EventKey> {
    const key = await crypto.subtle.importKey('raw', bytes, ALGORITHMS[algorithm], false, ['verify']);
    const fingerprint = `${algorithm}:${await fingerprintOf({ algorithm, bytes })}`;
    return new EventKey(algorithm, fingerprint, key);
  }

  /** The order in which the event was signed by this key, null when it was not. */
  async verify(signature: string, eventText: string): Promise<SignedOrder | null> {
    const bytes = fromBase64url(signature);
    if (bytes === null) return null;
    const texts = new SignedTexts(eventText);
    const first = this.#order;
    for (const order of [first, first === 'canonical' ? 'older' : 'canonical'] as const) {
      const signed = encodeUtf8(texts[order]());
      if (await crypto.subtle.verify(ALGORITHMS[this.algorithm].name, this.#key, bytes, signed)) {
        this.#order = order;
        return order;
      }
    }
    return null;
  }
}

/** This server's own key. */
export class EventSigner {
  readonly kid: string;
  readonly #key: ImportedKey;

  private constructor(kid: string, key: ImportedKey) {
    this.kid = kid;
    this.#key = key;
  }

  /** With the public half of the key, 32 bytes. Rejects when the runtime does not take it. */
  static async import({ kid, seed }: SigningKey): Promise<{
    signer: EventSigner;
    publicKey: Uint8Array<ArrayBuffer>;
  }> {
    const key = await crypto.subtle.importKey('pkcs8', concat([PKCS8_PREFIX, seed]), 'Ed25519', true, [
      'sign',
    ]);
    const { x = '' } = await crypto.subtle.exportKey('jwk', key);
    const publicKey = fromBase64url(x);
    if (publicKey === null) throw new TypeError('the key has no public half');
    return { signer: new EventSigner(kid, key), publicKey };
  }

  /** The envelope of an event of ours, as text. */
  async sign(eventText: string): Promise<string> {
    const signed = encodeUtf8(new SignedTexts(eventText).canonical());
    const signature = await crypto.subtle.sign('Ed25519', this.#key, signed);
    return envelopeText(eventText, this.kid, toBase64url(new Uint8Array(signature)));
  }
}
