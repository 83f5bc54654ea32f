// The CELLOS_EVENT_* variables: which keys verify signed events, and with which one this server signs. Whatever is wrong with them
// is told without a word of what they hold.
import { fromBase64url } from './base64url.ts';
import { ConfigError } from './environment.ts';
import { outlineOf } from './json-text.ts';
import { MAX_KEY_ID_CHARACTERS, MAX_KEYS } from './limits.ts';

export type SignatureAlgorithm = 'ed25519' | 'hmac-sha256';

/** A public key of 32 bytes, or a secret. */
export interface VerifyKey {
  readonly algorithm: SignatureAlgorithm;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface SigningKey {
  readonly kid: string;
  /** The 32 bytes of an Ed25519 private key. */
  readonly seed: Uint8Array<ArrayBuffer>;
}

export interface SignatureConfig {
  /** By key id; null when none are configured. */
  readonly verifyKeys: ReadonlyMap<string, VerifyKey> | null;
  readonly signingKey: SigningKey | null;
  /** Unsigned events are not projected. */
  readonly requireSigned: boolean;
}

export const VERIFY_KEYS = 'CELLOS_EVENT_VERIFY_KEYS';
const VERIFY_KEYS_PATH = 'CELLOS_EVENT_VERIFY_KEYS_PATH';
const REQUIRE_SIGNED = 'CELLOS_EVENT_REQUIRE_SIGNED';
export const SIGNING_KEY = 'CELLOS_EVENT_SIGNING_KEY';

const ED25519_BYTES = 32;
const HMAC_PREFIX = 'hmac-sha256:';
const ON = /^(?:1|true|yes|on)$/i;
const OFF = /^(?:0|false|no|off)$/i;

/**
 * `value` gives a variable's text, null when it is unset or blank; `readTextFile` is absent where there is no file system. Throws
 * ConfigError for the first variable that does not fit.
 */
export function parseSignatures(
  value: (name: string) => string | null,
  readTextFile: ((path: string) => string) | undefined,
): SignatureConfig {
  const required = value(REQUIRE_SIGNED) ?? 'off';
  const requireSigned = ON.test(required);
  // A slip of the pen should not let unsigned events count.
  if (!requireSigned && !OFF.test(required)) {
    throw new ConfigError(REQUIRE_SIGNED, 'is none of 1, true, yes, on, 0, false, no, off');
  }
  const set = findKeySet(value(VERIFY_KEYS), value(VERIFY_KEYS_PATH), readTextFile);
  const verifyKeys = set === null ? null : parseKeySet(set);
  const signing = value(SIGNING_KEY);
  const signingKey = signing === null ? null : parseSigningKey(signing);
  if (requireSigned && signingKey === null) {
    throw new ConfigError(
      SIGNING_KEY,
      `is not set, but ${REQUIRE_SIGNED} is: this server could not write anything`,
    );
  }
  return { verifyKeys, signingKey, requireSigned };
}

/** A key set with the variable that it comes from. */
interface KeySetText {
  readonly variable: string;
  readonly text: string;
}

/** Null when none is configured. */
function findKeySet(
  text: string | null,
  path: string | null,
  readTextFile: ((path: string) => string) | undefined,
): KeySetText | null {
  if (path === null) return text === null ? null : { variable: VERIFY_KEYS, text };
  // A key taken out of the one and left in the other would still be good.
  if (text !== null)
    throw new ConfigError(VERIFY_KEYS_PATH, `is set beside ${VERIFY_KEYS}: there is one set of keys`);
  if (readTextFile === undefined) {
    throw new ConfigError(
      VERIFY_KEYS_PATH,
      `is set, but there is no file system here: ${VERIFY_KEYS} takes the keys themselves`,
    );
  }
  try {
    return { variable: VERIFY_KEYS_PATH, text: readTextFile(path) };
  } catch (error) {
    // It may be the keys instead of their path, so it is not repeated.
    throw new ConfigError(
      VERIFY_KEYS_PATH,
      `names a file that cannot be read (${(error as { code?: string }).code ?? 'unreadable'})`,
    );
  }
}

function parseKeySet({ variable, text }: KeySetText): ReadonlyMap<string, VerifyKey> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigError(variable, 'is not a JSON object of key ids and keys');
  }
  const entries = Object.entries(value);
  // Whoever takes a key out would take out one of the two.
  if (outlineOf(text).keys[1] !== entries.length) throw new ConfigError(variable, 'names a key id twice');
  if (entries.length === 0)
    throw new ConfigError(variable, 'holds no key: leave it unset to take signed events as they are');
  if (entries.length > MAX_KEYS) throw new ConfigError(variable, `holds more than ${MAX_KEYS} keys`);
  const keys = new Map<string, VerifyKey>();
  for (const [at, [kid, spelled]] of entries.entries()) {
    // Somebody may have put key and id the wrong way round, so neither is repeated.
    const key = `key ${at + 1} of ${entries.length}`;
    if (!isKeyId(kid))
      throw new ConfigError(
        variable,
        `has an id of ${key} that is not 1 to ${MAX_KEY_ID_CHARACTERS} characters`,
      );
    const parsed = typeof spelled === 'string' ? parseVerifyKey(spelled) : null;
    if (parsed === null) {
      const shape = `${ED25519_BYTES} bytes (Ed25519) or ${HMAC_PREFIX} and a secret, in base64url`;
      throw new ConfigError(variable, `has a ${key} that is not ${shape}`);
    }
    keys.set(kid, parsed);
  }
  return keys;
}

function isKeyId(kid: string): boolean {
  return kid !== '' && kid.length <= MAX_KEY_ID_CHARACTERS;
}

function parseVerifyKey(text: string): VerifyKey | null {
  const isSecret = text.startsWith(HMAC_PREFIX);
  const bytes = keyBytes(isSecret ? text.slice(HMAC_PREFIX.length) : text);
  if (bytes === null || (isSecret ? bytes.byteLength === 0 : bytes.byteLength !== ED25519_BYTES)) return null;
  return { algorithm: isSecret ? 'hmac-sha256' : 'ed25519', bytes };
}

function parseSigningKey(text: string): SigningKey {
  // An id may hold colons, base64url does not.
  const colon = text.lastIndexOf(':');
  const kid = text.slice(0, Math.max(colon, 0));
  const seed = keyBytes(text.slice(colon + 1));
  if (!isKeyId(kid) || seed?.byteLength !== ED25519_BYTES) {
    throw new ConfigError(
      SIGNING_KEY,
      `is not a key id, a colon and ${ED25519_BYTES} bytes (an Ed25519 seed) in base64url`,
    );
  }
  return { kid, seed };
}

/** Tools pad what they print, so that is taken as well. */
function keyBytes(text: string): Uint8Array<ArrayBuffer> | null {
  return fromBase64url(text.replace(/={1,2}$/, ''));
}
