// What an entry says, and whether it may be believed: signed envelopes, both algorithms, both orders.
import { beforeAll, describe, expect, test } from 'vitest';

import { EntryReader } from '../src/entry-reader.ts';
import { toFact } from '../src/facts.ts';
import type { EventEntry } from '../src/model.ts';
import { importSignatures } from '../src/signatures.ts';
import { eventTextWithin } from '../src/signed-envelopes.ts';
import { cellEvent, entryOf, type Payload, STARTED } from './support/given.ts';
import { OPENSSL_VECTORS } from './support/openssl-vectors.ts';
import {
  bareEnvelope,
  ED25519,
  envelope,
  HMAC,
  KEYS,
  SIGNING_KEY,
  signaturesOf,
  signed,
  signedAsBefore,
  VERIFY_KEYS,
} from './support/signing.ts';
import { SUPERVISOR_KEYS, SUPERVISOR_SIGNED } from './support/supervisor-signed.ts';

const EVENT = cellEvent(STARTED, 'cell', { ttl: 60 }, { id: 'e', time: '2026-11-20T12:00:00.5Z' });

const open = new EntryReader();
let reader: EntryReader;
let strict: EntryReader;
beforeAll(async () => {
  reader = new EntryReader(await signaturesOf({ CELLOS_EVENT_VERIFY_KEYS: VERIFY_KEYS }));
  strict = new EntryReader(
    await signaturesOf({
      CELLOS_EVENT_VERIFY_KEYS: VERIFY_KEYS,
      CELLOS_EVENT_REQUIRE_SIGNED: 'yes',
      CELLOS_EVENT_SIGNING_KEY: SIGNING_KEY,
    }),
  );
});

const read = async (payload: Payload, by = reader): Promise<EventEntry> => by.read(entryOf(7, payload));
const outcomeOf = async (payload: Payload, by = reader) =>
  (await read(payload, by)).signature?.outcome ?? 'none';

/** It is refused and says nothing, but is shown as it was published. */
async function expectRefused(payload: string, outcome: string, by = reader): Promise<string> {
  const entry = await read(payload, by);
  expect(entry).toMatchObject({ seq: 7, text: payload, eventText: null });
  expect(entry.signature?.outcome).toBe(outcome);
  const fact = toFact(entry);
  expect(fact).toMatchObject({ kind: 'none' });
  const warning = fact.kind === 'none' ? fact.warning : null;
  expect(warning).toBe(entry.signature?.refusal);
  return warning as string;
}

describe('SIG-1 unsigned events', () => {
  test.each([EVENT, [1], null, 'not JSON', { event: EVENT }, { type: 'x', event: EVENT, signerKid: 'k' }])(
    'are read at once: %j',
    (payload) => {
      const entry = entryOf(7, payload as Payload);
      const once = open.read(entry);
      expect(once).not.toBeInstanceOf(Promise);
      expect(once).toMatchObject({ signature: null });
      expect(reader.read(entry)).toEqual(once);
    },
  );

  test('SIG-9 are refused where signatures are required, those of unknown types too', async () => {
    await expectRefused(JSON.stringify(EVENT), 'unsigned', strict);
    await expectRefused('{"type":"other"}', 'unsigned', strict);
    expect(await outcomeOf(await signed(EVENT), strict)).toBe('verified');
  });
});

describe('SIG-2 without keys an envelope is unwrapped, whatever its signature', () => {
  test.each([
    ['a CloudEvent', envelope],
    ['bare', bareEnvelope],
  ])('%s', (_, wrap) => {
    const text = wrap('{"data": {"cellId":"c","specId":"s","exitCode":1.0}, "type":"t"}', {
      signature: '!',
      algorithm: 'rot13',
    });
    expect(open.read(entryOf(7, text))).toMatchObject({
      text,
      event: { type: 't', data: { cellId: 'c' } },
      eventText: '{"data": {"cellId":"c","specId":"s","exitCode":1.0}, "type":"t"}',
      signature: { outcome: 'unverified' },
    });
  });

  test('an envelope in an envelope is no event that counts', async () => {
    const inner = await signed(EVENT);
    const outer = envelope(inner, { signature: '' });
    expect(toFact(await read(outer, open))).toEqual({ kind: 'none', warning: null });
  });

  test.each([
    '{"type":"dev.cellos.events.signed_envelope.v1"}',
    '{"type":"dev.cellos.events.signed_envelope.v1","data":null}',
    '{"type":"dev.cellos.events.signed_envelope.v1","data":{"event":[]}}',
    '{"type":"dev.cellos.events.signed_envelope.v1","data":{"event":"x","signerKid":"k"}}',
  ])('without an event it is refused: %s', async (text) => {
    await expectRefused(text, 'malformed', open);
    await expectRefused(text, 'malformed');
  });
});

describe('SIG-3 what a real supervisor has signed', () => {
  let supervisors: EntryReader;
  beforeAll(async () => {
    supervisors = new EntryReader(await signaturesOf({ CELLOS_EVENT_VERIFY_KEYS: SUPERVISOR_KEYS }));
  });

  test('verifies, also bare', async () => {
    for (const text of SUPERVISOR_SIGNED) {
      const entry = await read(text, supervisors);
      expect(entry.signature?.outcome).toBe('verified');
      expect(text).toContain(entry.eventText);
      const { data } = JSON.parse(text) as { data: { event: unknown } };
      expect(entry.event).toEqual(data.event);
      const bare = /"data":(\{"algorithm".*\}),"time":[^{}]*\}$/.exec(text)?.[1] as string;
      expect(await outcomeOf(bare, supervisors)).toBe('verified');
    }
  });

  test('does not when any member of any event is another one', async () => {
    for (const text of SUPERVISOR_SIGNED) {
      const start = text.indexOf('"event":{') + '"event":'.length;
      const end = text.indexOf(',"signature"');
      const event = text.slice(start, end);
      // Every key and every value in it, each with a character more.
      for (const { index } of event.matchAll(/"(?=[,:}\]])|\d(?=[,}\]])/g)) {
        const tampered = `${event.slice(0, index)}0${event.slice(index)}`;
        if (!isJson(tampered)) continue;
        const published = text.slice(0, start) + tampered + text.slice(end);
        expect(await outcomeOf(published, supervisors), tampered).toBe('bad-signature');
      }
    }
  });
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('SIG-4 what OpenSSL has signed', () => {
  test.each(OPENSSL_VECTORS)('$name', async ({ event, order, ed25519, hmac }) => {
    for (const members of [{ signature: ed25519 }, { kid: HMAC, signature: hmac }]) {
      for (const text of [envelope(event, members), bareEnvelope(event, members)]) {
        const entry = await read(text);
        expect(entry).toMatchObject({ text, signature: { outcome: 'verified', refusal: null } });
        expect(toFact(entry)).toMatchObject({ kind: 'cell', id: expect.stringMatching(/^openssl-/) });
        if (order === 'canonical') expect(entry.eventText).toBe(event);
      }
      const tampered = event.replace(/(1\.0|openssl)/, (piece) => (piece === '1.0' ? '1' : 'x'));
      await expectRefused(envelope(tampered, members), 'bad-signature');
    }
  });

  test('SIG-5 what the older order does not cover is not believed', async () => {
    const [, vector] = OPENSSL_VECTORS.filter(({ order }) => order === 'older');
    const { event, ed25519: signature } = vector as (typeof OPENSSL_VECTORS)[number];
    const entry = await read(envelope(event, { signature }));
    expect(Object.keys(entry.event as object)).not.toContain('subject');
    expect(entry.eventText).not.toContain('not covered');
    const id = '0f8fad5b-d9cb-469f-a165-70867728950e';
    const formation = {
      specversion: '1.0',
      type: 'io.cellos.formation.v1.running',
      subject: id,
      data: { name: 'a' },
      idempotencykey: 'k',
      requestdigest: 'r',
    };
    expect(toFact(await read(await signed(formation)))).toMatchObject({ id, mark: { key: 'k' } });
    // The id would come from an attribute that anybody may have changed.
    expect(toFact(await read(await signedAsBefore(formation)))).toMatchObject({ kind: 'none' });
    const named = { ...formation, data: { formationId: id } };
    expect(toFact(await read(await signedAsBefore(named)))).toMatchObject({ id, mark: null });
  });
});

describe('SIG-6 a key verifies its own algorithm and its own signatures', () => {
  const text = JSON.stringify(EVENT);
  const signatureOf = async (kid: string) =>
    (JSON.parse(await signed(EVENT, { kid })) as { data: { signature: string } }).data.signature;

  test('an unknown key: refused, and named', async () => {
    const warning = await expectRefused(await signed(EVENT, { kid: 'revoked' }), 'unknown-key');
    expect(warning).toContain('"revoked"');
    expect(
      await expectRefused(await signed(EVENT, { kid: `\n${'x'.repeat(9999)}` }), 'unknown-key'),
    ).not.toContain('\n');
    for (const kid of ['__proto__', 'constructor', 'toString']) {
      await expectRefused(await signed(EVENT, { kid }), 'unknown-key');
    }
  });

  test('the other key, or the other algorithm', async () => {
    const [ed25519, hmac] = [await signatureOf(ED25519), await signatureOf(HMAC)];
    await expectRefused(envelope(text, { kid: HMAC, signature: ed25519 }), 'bad-signature');
    await expectRefused(envelope(text, { kid: ED25519, signature: hmac }), 'bad-signature');
    for (const algorithm of ['hmac-sha256', 'Ed25519', 'ED25519', 'none', '', ' ed25519']) {
      await expectRefused(envelope(text, { algorithm, signature: ed25519 }), 'bad-signature');
    }
    // The attack on who takes a public key for a secret.
    const secret = await crypto.subtle.importKey(
      'raw',
      new TextEncoder().encode(KEYS[ED25519]),
      { name: 'HMAC', hash: 'SHA-256' },
      false,
      ['sign'],
    );
    const forged = new Uint8Array(await crypto.subtle.sign('HMAC', secret, new TextEncoder().encode(text)));
    const signature = btoa(String.fromCharCode(...forged)).replaceAll('=', '');
    await expectRefused(envelope(text, { algorithm: 'hmac-sha256', signature }), 'bad-signature');
  });

  test('a signature that is none', async () => {
    const good = await signatureOf(ED25519);
    const last = good.at(-1) as string;
    for (const signature of [
      '',
      'A',
      good.slice(1),
      `${good}A`,
      `${good}==`,
      ` ${good}`,
      `${good.slice(0, -1)}+`,
    ]) {
      await expectRefused(envelope(text, { signature }), 'bad-signature');
    }
    // Bits that belong to no byte.
    const other = String.fromCharCode(last.charCodeAt(0) + 1);
    await expectRefused(envelope(text, { signature: good.slice(0, -1) + other }), 'bad-signature');
  });

  test.each([
    { signerKid: 1 },
    { signerKid: '' },
    { signerKid: undefined },
    { algorithm: null },
    { signature: ['x'] },
    { notBefore: 5 },
    { notAfter: {} },
  ])('an envelope that is not understood: %j', async (members) => {
    const bare = { event: EVENT, signerKid: ED25519, algorithm: 'ed25519', signature: 'x', ...members };
    const whole = JSON.stringify({ type: 'dev.cellos.events.signed_envelope.v1', data: bare });
    await expectRefused(whole, 'malformed');
    expect(await outcomeOf(whole, open)).toBe('unverified');
  });
});

test('SIG-8 the text of an event is found in whatever envelope is opened', async () => {
  const eventText = JSON.stringify(EVENT);
  const whole = await signed(EVENT);
  const bare = bareEnvelope(eventText, { signature: 'x' });
  const unsigned = `{"type":"dev.cellos.events.signed_envelope.v1","data":{"event":${eventText}}}`;
  const escaped = [bare.replace('signerKid', 'signer\\u004bid'), unsigned.replace('.v1"', '\\u002ev1"')];
  for (const text of [whole, bare, unsigned, ...escaped]) {
    expect((await open.read(entryOf(1, text))).eventText, text).toBe(eventText);
    expect(eventTextWithin(text), text).toBe(eventText);
  }
  for (const text of [eventText, '{"type":"\\u0078","signerKid":"x"}'])
    expect(eventTextWithin(text)).toBe(text);
});

describe('SIG-7 notBefore and notAfter', () => {
  const at = (notBefore: unknown, notAfter: unknown, event: object = EVENT) =>
    signed(event, { notBefore, notAfter }).then((text) => outcomeOf(text));

  test('hold the event’s time, ends included, exactly and in any zone', async () => {
    for (const [from, to] of [
      [undefined, undefined],
      [null, null],
      ['2026-11-20T12:00:00.5Z', '2026-11-20T12:00:00.500Z'],
      ['2026-11-20T13:00:00.4999999999+01:00', '2026-11-20t07:30:00.5000000001-04:30'],
      [undefined, '9999-12-31T23:59:59Z'],
      ['0001-01-01T00:00:00Z', undefined],
    ] as const) {
      expect(await at(from, to), `${from} ${to}`).toBe('verified');
    }
    for (const [from, to] of [
      ['2026-11-20T12:00:00.5000000001Z', undefined],
      [undefined, '2026-11-20T12:00:00.4999999999Z'],
      [undefined, '2026-11-20T12:00:00.5+00:01'],
      ['yesterday', undefined],
      [undefined, ''],
      [undefined, '2026-02-30T00:00:00Z'],
    ] as const) {
      expect(await at(from, to), `${from} ${to}`).toBe('outside-its-time');
    }
  });

  test('SIG-13 however many digits they have', async () => {
    const started = performance.now();
    const many = `2026-11-20T12:00:00.5${'0'.repeat(200_000)}1Z`;
    expect(await at(many, undefined)).toBe('outside-its-time');
    expect(await at(undefined, many)).toBe('verified');
    // What grew with the square would take a minute.
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  test('an event without a time is in none', async () => {
    for (const time of [null, undefined, 5, 'noon', '2026-11-20']) {
      expect(await at('0001-01-01T00:00:00Z', null, { ...EVENT, time })).toBe('outside-its-time');
      expect(await at(null, null, { ...EVENT, time })).toBe('verified');
    }
  });
});

describe('SIG-10 the server’s own signatures', () => {
  test('verify as those of any other, whatever the event holds', async () => {
    const signatures = await signaturesOf({ CELLOS_EVENT_SIGNING_KEY: SIGNING_KEY });
    const own = new EntryReader(signatures);
    for (const { event } of OPENSSL_VECTORS) {
      const published = (await signatures.signer?.sign(event)) as string;
      const entry = await read(published, own);
      expect(entry).toMatchObject({ eventText: event, signature: { outcome: 'verified' } });
      const { data, ...outer } = JSON.parse(published) as Record<string, unknown>;
      const { id = null, time = null, traceparent = null } = JSON.parse(event) as Record<string, unknown>;
      expect(outer).toMatchObject({ type: 'dev.cellos.events.signed_envelope.v1', id, time, traceparent });
      expect(data).toMatchObject({ signerKid: 'server-1', algorithm: 'ed25519' });
      expect(await outcomeOf(published)).toBe('unknown-key');
    }
    // Its own key counts as configured: others are verified, too.
    expect(await outcomeOf(await signed(EVENT), own)).toBe('unknown-key');
  });

  test('the public half is that of RFC 8032, section 7.1', async () => {
    const publicKey = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';
    const both = { CELLOS_EVENT_SIGNING_KEY: SIGNING_KEY };
    const listed = { ...both, CELLOS_EVENT_VERIFY_KEYS: JSON.stringify({ 'server-1': publicKey }) };
    expect((await signaturesOf(listed)).digest).toBe((await signaturesOf(both)).digest);
    const wrong = { ...both, CELLOS_EVENT_VERIFY_KEYS: JSON.stringify({ 'server-1': KEYS[ED25519] }) };
    await expect(signaturesOf(wrong)).rejects.toThrow('CELLOS_EVENT_SIGNING_KEY has an id that stands for');
  });
});

test('SIG-11 what Web Crypto does not take is refused, also when many wait for it', async () => {
  const text = await signed(EVENT);
  const all = await Promise.all(
    Array.from({ length: 2000 }, (_, at) => read(at % 3 === 0 ? text.replace('"cell"', '"x"') : text)),
  );
  expect(all.map(({ signature }) => signature?.outcome)).toEqual(
    all.map((_, at) => (at % 3 === 0 ? 'bad-signature' : 'verified')),
  );
});

test('SIG-12 fingerprints and digests tell keys apart and hold none', async () => {
  const secret = 'c2VjcmV0';
  const keys = { a: KEYS[ED25519] as string, b: `hmac-sha256:${secret}` };
  const { keys: imported, digest } = await signaturesOf({ CELLOS_EVENT_VERIFY_KEYS: JSON.stringify(keys) });
  const fingerprints = [...(imported?.values() ?? [])].map(({ fingerprint }) => fingerprint);
  expect(new Set(fingerprints).size).toBe(2);
  expect(fingerprints.join() + digest).not.toContain(secret);
  // Not a digest of the secret, which would be quicker to try than a signature.
  const plain = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode('secret')));
  expect(fingerprints[1]).not.toContain(btoa(String.fromCharCode(...plain.subarray(0, 12))));
  const other = await importSignatures({
    verifyKeys: new Map([['b', { algorithm: 'hmac-sha256', bytes: new Uint8Array([1]) }]]),
    signingKey: null,
    requireSigned: false,
  });
  expect(other.digest).not.toBe(digest);
});
