// From a log entry to what it says: decoded once for everybody, unwrapped when it came in a signed envelope, and only if that may be
// believed. In which order entries are applied is the intake's, what an event means facts.ts.
import { decodeEntry } from './cloudevents.ts';
import { Fifo } from './fifo.ts';
import { MAX_KEY_ID_CHARACTERS, SIGNATURES_AT_ONCE } from './limits.ts';
import type { EventEntry, SignatureOutcome, SignatureVerdict } from './model.ts';
import type { LogEntry } from './ports.ts';
import { compareMoments, type Moment, parseMoment } from './rfc3339.ts';
import { type EventKey, NO_SIGNATURES, type Signatures, trustText } from './signatures.ts';
import {
  coveredByOlder,
  type Envelope,
  eventWithin,
  openEnvelope,
  type Signature,
  type SignedOrder,
  signatureOf,
} from './signed-envelopes.ts';
import { NO_KID, UNKNOWN, UNVERIFIED, VERIFIED } from './signers.ts';
import { excerpt } from './text.ts';

const UNWRAPPED: SignatureVerdict = {
  outcome: 'unverified',
  basis: { kid: NO_KID, key: UNVERIFIED },
  refusal: null,
};
const UNSIGNED: SignatureVerdict = {
  outcome: 'unsigned',
  basis: null,
  refusal: 'the event is not signed',
};
const EMPTY: SignatureVerdict = {
  outcome: 'malformed',
  basis: null,
  refusal: 'the signed envelope holds no event',
};
/** Only where signatures are looked at. */
const MALFORMED: SignatureVerdict = {
  outcome: 'malformed',
  basis: { kid: NO_KID, key: VERIFIED },
  refusal: 'the signature of the envelope is not understood',
};

export class EntryReader {
  readonly #requireSigned: boolean;
  readonly #keys: Signatures['keys'];
  /** One for each key: nearly all verdicts are that the signature is good. */
  readonly #good = new Map<EventKey, SignatureVerdict>();
  #verifying = 0;
  /** Those that wait until fewer are verified at once, the first one first. */
  readonly #waiting = new Fifo<() => void>();

  /** Tells what is believed here from what is believed under other keys; empty where everything is. */
  readonly trust: string;

  constructor(signatures: Signatures = NO_SIGNATURES) {
    const { keys, requireSigned } = signatures;
    this.trust = trustText(signatures);
    this.#requireSigned = requireSigned;
    this.#keys = keys;
    for (const [kid, key] of keys ?? []) {
      const basis = { kid, key: key.fingerprint };
      this.#good.set(key, { outcome: 'verified', basis, refusal: null });
    }
  }

  /** Whether there are events that are not believed. */
  get isVerifying(): boolean {
    return this.#requireSigned || this.#keys !== null;
  }

  /** Never throws nor rejects. At once for what needs no verification: unsigned events cost nothing. */
  read(entry: LogEntry): EventEntry | Promise<EventEntry> {
    const decoded = decodeEntry(entry);
    const { text, event } = decoded;
    if (text === null) return decoded;
    const envelope = openEnvelope(event, text);
    if (envelope === null) return this.#requireSigned ? refused(decoded, UNSIGNED) : decoded;
    if (envelope === 'empty') return refused(decoded, EMPTY);
    const keys = this.#keys;
    if (keys === null) return unwrapped(decoded, envelope, UNWRAPPED);
    const signature = signatureOf(envelope);
    if (signature === null) return refused(decoded, MALFORMED);
    const key = keys.get(signature.kid);
    if (key === undefined) {
      return refused(decoded, refusalOf('unknown-key', signature, UNKNOWN, 'is none of the configured ones'));
    }
    if (key.algorithm !== signature.algorithm) {
      return refused(
        decoded,
        refusalOf('bad-signature', signature, key.fingerprint, 'is for another algorithm'),
      );
    }
    return this.#verified(decoded, envelope, signature, key);
  }

  async #verified(
    decoded: EventEntry,
    envelope: Envelope,
    signature: Signature,
    key: EventKey,
  ): Promise<EventEntry> {
    const order = await this.#orderOf(signature, envelope, key);
    if (order === null) {
      return refused(decoded, refusalOf('bad-signature', signature, key.fingerprint, 'does not verify it'));
    }
    if (!isInTime(envelope.event['time'], signature)) {
      return refused(
        decoded,
        refusalOf('outside-its-time', signature, key.fingerprint, 'was not meant for the time of its event'),
      );
    }
    const verdict = this.#good.get(key) as SignatureVerdict;
    return unwrapped(decoded, order === 'canonical' ? envelope : coveredByOlder(envelope), verdict);
  }

  /** Null when the signature is not good. Waits for its turn. */
  async #orderOf(
    { signature }: Signature,
    { eventText }: Envelope,
    key: EventKey,
  ): Promise<SignedOrder | null> {
    if (this.#verifying >= SIGNATURES_AT_ONCE) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#verifying++;
    }
    try {
      return await key.verify(signature, eventText);
    } catch {
      // What a runtime's Web Crypto throws at is not verified.
      return null;
    } finally {
      // Whoever waits takes the place over.
      const next = this.#waiting.shift();
      if (next === undefined) this.#verifying--;
      else next();
    }
  }
}

function unwrapped(
  { seq, subject, text }: EventEntry,
  { event, eventText }: Pick<Envelope, 'event' | 'eventText'>,
  signature: SignatureVerdict,
): EventEntry {
  return { seq, subject, text, event, eventText, signature };
}

function refused({ seq, subject, text, event }: EventEntry, signature: SignatureVerdict): EventEntry {
  return { seq, subject, text, event: eventWithin(event), eventText: null, signature };
}

function refusalOf(
  outcome: SignatureOutcome,
  { kid }: Signature,
  key: string,
  what: string,
): SignatureVerdict {
  // No key that could be configured has a longer id: that it is verified is what decides.
  const isPossible = kid.length <= MAX_KEY_ID_CHARACTERS;
  return {
    outcome,
    basis: isPossible ? { kid, key } : MALFORMED.basis,
    refusal: `the key "${excerpt(kid)}" of the signed envelope ${what}`,
  };
}

/** Both ends count. An event that may be used for a time only has to say when it is from. */
function isInTime(time: unknown, { notBefore, notAfter }: Signature): boolean {
  if (notBefore === null && notAfter === null) return true;
  const moment = typeof time === 'string' ? parseMoment(time) : null;
  if (moment === null) return false;
  const fits = (bound: string | null, compare: (end: Moment) => boolean) => {
    const end = bound === null ? null : parseMoment(bound);
    return bound === null || (end !== null && compare(end));
  };
  return (
    fits(notBefore, (start) => compareMoments(start, moment) <= 0) &&
    fits(notAfter, (end) => compareMoments(moment, end) <= 0)
  );
}
