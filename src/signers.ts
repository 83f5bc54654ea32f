// Under which keys a view was made: who signed what it was made of, and as whom they were known. A checkpoint keeps that, so that a start
// under other keys can tell whether the view would have become another one.
import { MAX_UNKNOWN_SIGNERS } from './limits.ts';
import type { SignatureVerdict } from './model.ts';

/** By key id, the fingerprint of the key that judged; or one of the below. */
export type Signers = Map<string, string>;

/** Stands where a verdict has no key, but whether signatures are verified at all. */
export const NO_KID = '';
export const UNVERIFIED = 'unverified';
export const VERIFIED = 'verified';
/** The fingerprint of a key that is not configured. */
export const UNKNOWN = 'unknown';
/** Stands at NO_KID when more was signed by unknown keys than is remembered. */
const TOO_MANY = 'too many';

/** What was configured when a view was made, and who signed what it was made of. */
export interface Verification {
  readonly requireSigned: boolean;
  /** A digest of all keys by id. */
  readonly digest: string;
  readonly signers: Signers;
}

/** What is configured now; keys are null when nothing is verified. */
export interface VerificationSettings {
  readonly requireSigned: boolean;
  readonly digest: string;
  readonly keys: ReadonlyMap<string, { readonly fingerprint: string }> | null;
}

export function noteSigner(signers: Signers, { basis }: SignatureVerdict): void {
  if (basis === null) return;
  const { kid, key } = basis;
  const known = signers.get(kid);
  if (known === key || known === TOO_MANY) return;
  if (key === UNKNOWN && countUnknown(signers) >= MAX_UNKNOWN_SIGNERS) signers.set(NO_KID, TOO_MANY);
  else signers.set(kid, key);
}

/** Only runs for keys that were not met before, or when there are too many of them already. */
function countUnknown(signers: Signers): number {
  if (signers.get(NO_KID) === TOO_MANY) return Number.POSITIVE_INFINITY;
  return [...signers.values()].filter((key) => key === UNKNOWN).length;
}

/**
 * Whether a view would be the same under what is configured now. A key that signed none of it may have come, gone or changed; one that
 * did may not, and whether unsigned events count may not change either.
 */
export function isSameVerdict(made: Verification, now: VerificationSettings): boolean {
  if (made.requireSigned !== now.requireSigned) return false;
  if (made.digest === now.digest) return true;
  for (const [kid, key] of made.signers) {
    if (kid === NO_KID) {
      if (key !== (now.keys === null ? UNVERIFIED : VERIFIED)) return false;
    } else if (now.keys === null || key !== (now.keys.get(kid)?.fingerprint ?? UNKNOWN)) {
      return false;
    }
  }
  return true;
}
