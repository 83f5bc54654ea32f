// Whether a view that was made under some keys may be gone on with under others.
import { beforeEach, describe, expect, test } from 'vitest';

import { MAX_UNKNOWN_SIGNERS } from '../src/limits.ts';
import { initialState } from '../src/projection.ts';
import { cellEvent, STARTED } from './support/given.ts';
import { Lives } from './support/lives.ts';
import { ED25519, HMAC, KEYS, SIGNING_KEY, signaturesOf, signed } from './support/signing.ts';

type Environment = Readonly<Record<string, string>>;

const verifying = (keys: Readonly<Record<string, unknown>>): Environment => ({
  CELLOS_EVENT_VERIFY_KEYS: JSON.stringify(keys),
});
const [A, B] = [KEYS[ED25519] as string, KEYS[HMAC] as string];
const OTHER = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';
const BOTH = verifying({ [ED25519]: A, [HMAC]: B });
const NONE: Environment = {};

describe('SIG-14 a checkpoint under other keys', () => {
  let lives: Lives;
  beforeEach(() => {
    lives = new Lives();
  });

  /** One server after the other on one stream that holds `events`; whether the second went on from the first one's checkpoint. */
  async function isUsed(before: Environment, after: Environment, ...events: string[]): Promise<boolean> {
    await lives.start({ signatures: await signaturesOf(before) });
    for (const event of events) lives.log.append(event);
    lives.log.append(cellEvent(STARTED, 'unsigned'));
    await lives.whenApplied(events.length + 1);
    await lives.stop();
    expect(lives.store.head).not.toContain(B.slice('hmac-sha256:'.length));
    await lives.start({ signatures: await signaturesOf(after) });
    await lives.whenApplied(events.length + 1);
    const isRefused = lives.logged.includes('WARN checkpoint not used');
    expect(lives.delivered).toHaveLength(isRefused ? events.length + 1 : 0);
    return !isRefused;
  }

  const byA = () => signed(cellEvent(STARTED, 'a'));
  const byB = () => signed(cellEvent(STARTED, 'b'), { kid: HMAC });
  const byNobody = () => signed(cellEvent(STARTED, 'c'), { kid: 'nobody' });

  test('the same: used', async () => {
    expect(await isUsed(BOTH, verifying({ [HMAC]: B, [ED25519]: A }), await byA(), await byNobody())).toBe(
      true,
    );
  });

  test('a key of which nothing was signed may come, go and change', async () => {
    expect(await isUsed(BOTH, verifying({ [ED25519]: A, new: OTHER }), await byA(), await byNobody())).toBe(
      true,
    );
    lives = new Lives();
    expect(await isUsed(BOTH, verifying({ [ED25519]: A, [HMAC]: OTHER }), await byA())).toBe(true);
  });

  test.each<[string, Environment, Environment]>([
    ['taken out', BOTH, verifying({ [ED25519]: A })],
    ['another one', BOTH, verifying({ [ED25519]: A, [HMAC]: OTHER })],
    [
      'of another algorithm',
      BOTH,
      verifying({ [ED25519]: A, [HMAC]: B.slice('hmac-sha256:'.length).padEnd(43, 'A') }),
    ],
    ['put in', verifying({ [ED25519]: A }), BOTH],
    ['not asked for any more', BOTH, NONE],
    ['asked for from now on', NONE, BOTH],
    ['only its own, from now on', NONE, { CELLOS_EVENT_SIGNING_KEY: SIGNING_KEY }],
  ])('one of which something was signed: %s', async (_, before, after) => {
    expect(await isUsed(before, after, await byA(), await byB())).toBe(false);
    const texts = [...lives.controlPlane.state.cells.keys()];
    expect(texts).toEqual([...(await lives.replayed(await signaturesOf(after))).cells.keys()]);
  });

  test('whether unsigned events count', async () => {
    const strict = { ...BOTH, CELLOS_EVENT_REQUIRE_SIGNED: '1', CELLOS_EVENT_SIGNING_KEY: SIGNING_KEY };
    expect(await isUsed(BOTH, strict)).toBe(false);
    expect([...lives.controlPlane.state.cells.keys()]).toEqual([]);
  });

  test('keys that are not needed for what is unsigned', async () => {
    expect(await isUsed(NONE, BOTH)).toBe(true);
  });

  test('an envelope that no key can change', async () => {
    const empty = '{"type":"dev.cellos.events.signed_envelope.v1","data":{}}';
    expect(await isUsed(NONE, BOTH, empty)).toBe(true);
  });

  test('made-up ids are remembered up to a bound, beyond which any other set is another one', async () => {
    const events = await Promise.all(
      Array.from({ length: MAX_UNKNOWN_SIGNERS + 5 }, (_, at) =>
        signed(cellEvent(STARTED, 'x'), { kid: `made up ${at}` }),
      ),
    );
    expect(await isUsed(BOTH, BOTH, ...events)).toBe(true);
    expect(lives.controlPlane.state.signers.size).toBe(MAX_UNKNOWN_SIGNERS + 1);
    await lives.stop();
    await lives.start({ signatures: await signaturesOf(verifying({ [ED25519]: A })) });
    expect(lives.logged.filter((line) => line === 'WARN checkpoint not used')).toHaveLength(1);
  });

  test('nothing of them is in a new view', () => {
    expect(initialState().signers.size).toBe(0);
  });
});
