// Signed events on a real broker, for any runtime: who is believed, what is shown, and what becomes of a view when keys change.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cellDestroyed, cellStarted, flatDocument, formationEvent, unique } from '../support/events.ts';
import { LineStreamClient } from '../support/line-stream.ts';
import { Broker, STREAM } from '../support/nats-server.ts';
import { Rig, ServerProcess } from '../support/server-process.ts';
import type { Environment, Target } from '../support/server-process.ts';
import { ED25519, HMAC, KEYS, SIGNING_KEY, signed, VERIFY_KEYS } from '../support/signing.ts';
import { OPENSSL_SECRET } from '../support/openssl-vectors.ts';
import { SUPERVISOR_KEYS, SUPERVISOR_SIGNED } from '../support/supervisor-signed.ts';

const VERIFYING = { CELLOS_EVENT_VERIFY_KEYS: VERIFY_KEYS };
const STRICT = { ...VERIFYING, CELLOS_EVENT_REQUIRE_SIGNED: 'on', CELLOS_EVENT_SIGNING_KEY: SIGNING_KEY };

/** An object sleeps before it saves, which it does in each of its lives. */
const FOUR_LIVES_MS = 60_000;

/** What servers need to have one checkpoint after the other, and how long to wait before one of them is stopped. */
export interface Keeping {
  readonly environment: Environment;
  readonly whenSaved: (server: ServerProcess) => Promise<void>;
}

/** A process keeps its checkpoint with the broker, and saves when it is stopped. */
const WITH_THE_BROKER: Keeping = {
  environment: { CELLOS_SERVER_CHECKPOINT: 'nats' },
  whenSaved: async () => {},
};

const linesOf = ({ text }: { readonly text: string }): string[] => text.trimEnd().split('\n');
const idsOf = (lines: readonly string[]) => lines.map((line) => (JSON.parse(line) as { id: string }).id);

export function signedSuite(
  target: Target,
  keep: () => Promise<Keeping> = async () => WITH_THE_BROKER,
): void {
  describe(`signed events on ${target.name}`, () => {
    let broker: Broker;
    let rig: Rig;
    const servers: ServerProcess[] = [];

    beforeEach(async () => {
      broker = await Broker.start();
    });
    afterEach(async (context) => {
      if (context.task.result?.state === 'fail') console.error(servers.map(({ log }) => log.slice(-3000)));
      await Promise.all(servers.splice(0).map((server) => server.stop()));
      await broker.stop();
    });

    async function start(environment: Environment): Promise<ServerProcess> {
      const all = { CELLOS_NATS_URL: broker.websocketUrl, ...environment };
      const server = await ServerProcess.start(target, all);
      servers.push(server);
      rig = new Rig(broker, server);
      await rig.whenApplied();
      return server;
    }

    const cell = (id: string) => rig.http.read<Record<string, unknown>>(`/v1/cells/${id}`);
    const isKnown = async (id: string) => (await rig.http.get(`/v1/cells/${id}`)).status === 200;

    async function counted(signature: string): Promise<number> {
      const { text } = await rig.http.get('/metrics');
      const line = new RegExp(`^cellos_signed_events_total\\{signature="${signature}"\\} (\\d+)$`, 'm');
      return Number(line.exec(text)?.[1] ?? Number.NaN);
    }

    test('SIG-3 SIG-8 what a real supervisor signed is projected, and shown as it was published', async () => {
      await (await broker.manager()).streams.add({ name: STREAM, subjects: ['cellos.events.>'] });
      await broker.publishAll(SUPERVISOR_SIGNED.slice(0, 5));
      const server = await start({ CELLOS_EVENT_VERIFY_KEYS: SUPERVISOR_KEYS });
      expect(await cell('signed-a')).toMatchObject({ state: 'running' });
      const feed = await server.feed({ query: 'since=0' });
      const last = await rig.publish(...SUPERVISOR_SIGNED.slice(5));
      expect(await cell('signed-a')).toMatchObject({
        state: 'destroyed',
        outcome: 'succeeded',
        exit_code: 0,
      });
      const expected = SUPERVISOR_SIGNED.map((text, at) => `{"seq":${at + 1},"event":${text}}`);
      await feed.whenFrames(last);
      expect(feed.frames.map(({ text }) => text)).toEqual(expected);
      await feed.close();
      const page = await rig.http.get('/v1/events');
      expect(page.text).toContain(expected.join(','));
      // A cell's events are those that were signed.
      const about = SUPERVISOR_SIGNED.filter((text) => text.includes('"cellId":"signed-a"'));
      const lines = await rig.http.get('/v1/cells/signed-a/events');
      const inner = (text: string) => (JSON.parse(text) as { data: { event: unknown } }).data.event;
      expect(linesOf(lines).map((line): unknown => JSON.parse(line))).toEqual(about.map(inner));
      expect(await counted('verified')).toBe(last);
      expect(server.warnings).toBe(0);
    });

    test('SIG-4 SIG-6 SIG-11 good and bad among unsigned ones: in order, the bad skipped and counted', async () => {
      const server = await start(VERIFYING);
      const [good, bad, unknown, plain] = [unique(), unique(), unique(), unique()];
      const payloads: unknown[] = [];
      for (const kid of [ED25519, HMAC]) {
        const id = `${good}-${kid}`;
        payloads.push(await signed(cellStarted(id), { kid }), cellStarted(`${plain}-${kid}`));
        payloads.push((await signed(cellStarted('good'), { kid })).replace('"good"', `"${bad}"`));
        payloads.push(await signed(cellDestroyed(id, { outcome: 'signed' }), { kid }));
        payloads.push(cellDestroyed(id, { outcome: 'too late' }), cellDestroyed(`${plain}-${kid}`));
      }
      payloads.push(await signed(cellStarted(unknown), { kid: 'nobody' }));
      payloads.push(await signed(cellStarted(unknown), { notAfter: '2020-01-01T00:00:00Z' }));
      await rig.publish(...payloads);
      for (const kid of [ED25519, HMAC]) {
        expect(await cell(`${good}-${kid}`)).toMatchObject({ state: 'destroyed', outcome: 'signed' });
        expect(await cell(`${plain}-${kid}`)).toMatchObject({ state: 'destroyed' });
      }
      expect([await isKnown(bad), await isKnown(unknown)]).toEqual([false, false]);
      expect(await counted('verified')).toBe(4);
      expect(await counted('bad-signature')).toBe(2);
      expect(await counted('unknown-key')).toBe(1);
      expect(await counted('outside-its-time')).toBe(1);
      // The four, and two for cells that were destroyed already.
      expect(server.warnings).toBe(6);
      expect(server.log).toContain('nobody');
      expect(server.log).not.toContain(OPENSSL_SECRET);
    });

    test("SIG-8 what is not believed is nobody's: the feed shows it, a cell and a formation have not got it", async () => {
      const server = await start(VERIFYING);
      const { id } = JSON.parse((await rig.http.post('/v1/formations', flatDocument(unique()))).text) as {
        id: string;
      };
      const name = unique('cell');
      const event = (marker: string) => ({ ...cellStarted(name, { formationId: id }), id: marker });
      const forged = async (marker: string) =>
        (await signed(event(marker))).replace(`"${marker}"`, `"${marker}!"`);
      await rig.publish(await forged('a'), await signed(event('b')), await forged('c'), event('d'));
      const since = 'since=0';
      const everybody = await server.feed({ query: since });
      const ofFormation = await server.feed({ query: `${since}&formation=${id}` });
      const follower = await LineStreamClient.open(rig.http, `/v1/cells/${name}/events?follow=true`);
      const last = await rig.publish(await forged('e'), await signed(event('f')));
      await everybody.whenFrames(last);
      expect(everybody.frames.map(({ text }) => text).join()).toContain('"a!"');
      const page = (await rig.http.get(`/v1/events?formation=${id}`)).text;
      await ofFormation.whenFrames(4);
      for (const text of [ofFormation.frames.map((frame) => frame.text).join(), page]) {
        expect(text).not.toContain('!"');
        for (const marker of ['"b"', '"d"', '"f"']) expect(text).toContain(marker);
      }
      expect(idsOf(linesOf(await rig.http.get(`/v1/cells/${name}/events`)))).toEqual(['b', 'd', 'f']);
      await Promise.all([everybody.close(), ofFormation.close()]);
      await follower.whenLines(3);
      expect(idsOf(follower.lines)).toEqual(['b', 'd', 'f']);
      follower.close();
    });

    test('HTTP-62 a view without a key that was revoked is another one, whatever its version', async () => {
      const before = await start(VERIFYING);
      await rig.publish(
        await signed(cellStarted('revoked'), { kid: HMAC }),
        await signed(cellStarted('kept'), { kid: ED25519 }),
      );
      const ask = (etag = '') => rig.http.get('/v1/cells', { headers: { 'if-none-match': etag } });
      const etag = (await ask()).headers['etag'] ?? '';
      expect((await ask(etag)).status).toBe(304);
      await before.stop();
      const { [HMAC]: _, ...others } = JSON.parse(VERIFY_KEYS) as Record<string, string>;
      await start({ CELLOS_EVENT_VERIFY_KEYS: JSON.stringify(others) });
      const after = await ask(etag);
      expect(after.status).toBe(200);
      expect((JSON.parse(after.text) as { id: string }[]).map(({ id }) => id)).toEqual(['kept']);
    });

    test('SIG-9 SIG-10 REQUIRE_SIGNED: unsigned events do nothing, its own are signed', async () => {
      const server = await start(STRICT);
      const name = unique();
      const created = await rig.http.post('/v1/formations', flatDocument(name));
      expect(created.status, created.text).toBe(201);
      const { id } = JSON.parse(created.text) as { id: string };
      await rig.publish(formationEvent('failed', { formationId: id }), cellStarted('unsigned'));
      const again = await rig.http.post('/v1/formations', flatDocument(name));
      expect(again.status).toBe(409);
      await rig.publish(await signed(formationEvent('running', { formationId: id })));
      expect(await rig.http.read(`/v1/formations/${id}`)).toMatchObject({ status: 'RUNNING', name });
      expect(await isKnown('unsigned')).toBe(false);
      expect((await rig.http.send('DELETE', `/v1/formations/${id}`)).status).toBe(204);
      expect(await counted('unsigned')).toBe(2);
      expect(await counted('verified')).toBe(3);
      const written = JSON.parse((await broker.message(1)).text) as { type: string; data: object };
      expect(written.type).toBe('dev.cellos.events.signed_envelope.v1');
      expect(written.data).toMatchObject({ signerKid: 'server-1', event: { data: { formationId: id } } });
      expect(server.log).not.toContain(SIGNING_KEY.slice('server-1:'.length));
      await server.stop();
      // Another server, told of the public half only.
      const publicKey = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';
      await start({ CELLOS_EVENT_VERIFY_KEYS: JSON.stringify({ ...KEYS, 'server-1': publicKey }) });
      expect(await rig.http.read(`/v1/formations/${id}`)).toMatchObject({ status: 'FAILED', name });
    });

    test(
      'SIG-14 a key that is taken out is revoked, also for what a checkpoint holds',
      async () => {
        const { environment: kept, whenSaved } = await keep();
        const stop = async (server: ServerProcess) => {
          await whenSaved(server);
          await server.stop();
        };
        const first = await start({ ...VERIFYING, ...kept });
        const [a, b] = [unique('a'), unique('b')];
        await rig.publish(await signed(cellStarted(a)), await signed(cellStarted(b), { kid: HMAC }));
        expect([await isKnown(a), await isKnown(b)]).toEqual([true, true]);
        await stop(first);
        // Nothing of it was signed by the key that comes new.
        const more = JSON.stringify({ ...KEYS, later: KEYS[ED25519] });
        const second = await start({ CELLOS_EVENT_VERIFY_KEYS: more, ...kept });
        expect(second.log).toContain('checkpoint restored');
        expect([await isKnown(a), await isKnown(b)]).toEqual([true, true]);
        await stop(second);
        const fewer = JSON.stringify({ [ED25519]: KEYS[ED25519] });
        const third = await start({ CELLOS_EVENT_VERIFY_KEYS: fewer, ...kept });
        expect(third.log).toContain('checkpoint not used');
        expect([await isKnown(a), await isKnown(b)]).toEqual([true, false]);
        await stop(third);
        // And is as good as before when it is back.
        const last = await start({ ...VERIFYING, ...kept });
        expect(last.log).toContain('checkpoint not used');
        expect([await isKnown(a), await isKnown(b)]).toEqual([true, true]);
      },
      FOUR_LIVES_MS,
    );
  });
}
