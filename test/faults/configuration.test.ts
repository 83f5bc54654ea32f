// What the environment does, and what of it ends the start.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nkeys } from 'nats';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMMAND_COMPLETED, cellStarted, flatDocument, unique } from '../support/events.ts';
import { denoTarget, denoTargetWith } from '../support/deno-server.ts';
import { Broker, findFreePort } from '../support/nats-server.ts';
import { Rig, ServerProcess, TOKEN, nodeTarget, reportOnFailure } from '../support/server-process.ts';
import { signed, VERIFY_KEYS } from '../support/signing.ts';
import { workerdTarget } from '../support/workerd-server.ts';
import type { Environment, Target } from '../support/server-process.ts';
import { until } from '../support/wait.ts';

type KeyPair = ReturnType<typeof nkeys.createUser>;

let broker: Broker;
beforeAll(async () => {
  broker = await Broker.start();
});
afterAll(() => broker.stop());

async function withServer(
  target: Target,
  environment: Environment,
  use: (server: ServerProcess) => Promise<void>,
): Promise<void> {
  const server = await ServerProcess.start(target, {
    CELLOS_NATS_URL: broker.websocketUrl,
    ...environment,
  });
  reportOnFailure(server);
  await use(server);
  await server.stop();
}

/** For a server that was started without the usual token. */
async function whenReadyFor(token: string, { http }: ServerProcess): Promise<void> {
  const options = { authorization: `Bearer ${token}` };
  await until(async () => (await http.get('/v1/version', options)).status === 200, { what: 'an answer' });
}

async function works(target: Target, environment: Environment): Promise<void> {
  await withServer(target, environment, async (server) => {
    const reply = await server.http.post('/v1/formations', flatDocument(unique()));
    expect(reply.status, reply.text).toBe(201);
  });
}

// On Cloudflare there is no start that could end: cloudflare-configuration.test.ts.
describe.each([nodeTarget, denoTarget])('on $name', (target) => {
  describe('what ends the start', () => {
    test.each([
      ['CELLOS_SERVER_API_TOKEN', ''],
      ['CELLOS_SERVER_API_TOKEN', '   '],
      ['CELLOS_SERVER_API_TOKEN', '\t\n'],
      ['CELLOS_SERVER_BIND', 'nonsense'],
      ['CELLOS_SERVER_BIND', '127.0.0.1:70000'],
      ['CELLOS_SERVER_BIND', '127.0.0.1:x'],
      ['CELLOS_NATS_URL', 'http://127.0.0.1:4222'],
      ['CELLOS_NATS_URL', 'ws://user:hidden@127.0.0.1:9222,ftp://user:hidden@127.0.0.1'],
      ['CELLOS_NATS_URL', '::'],
      ['CELLOS_NATS_CREDS', 'no/such/file.creds'],
      ['CELLOS_STREAM_REPLICAS', '0'],
      ['CELLOS_STREAM_REPLICAS', '6'],
      ['CELLOS_STREAM_REPLICAS', '1.5'],
      ['CELLOS_STREAM_REPLICAS', 'three'],
      ['CELLOS_SERVER_API_TOKENS', '{"alice":"hidden"'],
      ['CELLOS_SERVER_API_TOKENS', '{"alice":"hidden","bob":"hidden"}'],
      ['CELLOS_SERVER_READ_TOKENS', `{"alice":"${TOKEN}"}`],
      ['CELLOS_SERVER_READ_TOKENS_FILE', '/no/such/hidden'],
      ['CELLOS_SERVER_API_TOKEN_FILE', '/no/such/hidden'],
      ['CELLOS_SERVER_ALLOWED_ORIGINS', 'https://*.example'],
      ['CELLOS_EVENT_VERIFY_KEYS', '{"k":"hidden"}'],
      ['CELLOS_EVENT_VERIFY_KEYS_PATH', 'no/such/hidden.json'],
      ['CELLOS_EVENT_SIGNING_KEY', 'k:hidden'],
      ['CELLOS_EVENT_REQUIRE_SIGNED', '1'],
    ])('CFG-1 to CFG-5, CFG-20 to CFG-22, CFG-30 to CFG-33 %s=%j', async (name, value) => {
      const server = await ServerProcess.spawn(target, {
        CELLOS_NATS_URL: broker.websocketUrl,
        CELLOS_SERVER_API_TOKEN: TOKEN,
        [name]: value,
      });
      expect(await server.whenExited()).toBeGreaterThan(0);
      expect(server.stderr).toContain(name);
      expect(server.log).not.toContain(TOKEN);
      expect(server.log).not.toContain('hidden');
    });

    test('CFG-5 CELLOS_SERVER_API_TOKEN unset', async () => {
      const child = target.spawn({ CELLOS_SERVER_BIND: `127.0.0.1:${await findFreePort()}` });
      const server = new ServerProcess(child, 0, TOKEN);
      expect(await server.whenExited()).toBeGreaterThan(0);
      expect(server.stderr).toContain('CELLOS_SERVER_API_TOKEN');
    });
  });
});

describe.each([nodeTarget, denoTarget, workerdTarget])('on $name', (target) => {
  /** The TCP client of NATS is for Node alone. */
  const speaksTcp = target === nodeTarget;
  /** Of the pairs below, the websocket's alone or both. */
  const schemes = speaksTcp ? 2 : 1;

  describe('the broker', () => {
    test('CFG-2 ws:// and, on Node, nats://, one or several', async () => {
      const dead = await findFreePort();
      await works(target, { CELLOS_NATS_URL: broker.websocketUrl });
      await works(target, { CELLOS_NATS_URL: `ws://127.0.0.1:${dead}, ${broker.websocketUrl}` });
      if (!speaksTcp) return;
      await works(target, { CELLOS_NATS_URL: broker.url });
      await works(target, { CELLOS_NATS_URL: `nats://127.0.0.1:${dead},${broker.url}` });
    });

    test('CFG-2 CFG-9 user and password, or a token, which no log shows', async () => {
      const secret = 'S3cret-of-the-broker';
      const locked = await Broker.start({ extraConfig: `authorization { user: u, password: "${secret}" }` });
      const tokened = await Broker.start({ extraConfig: `authorization { token: "${secret}" }` });
      for (const [scheme, address] of [
        ['ws', `127.0.0.1:${locked.websocketPort}`],
        ['nats', `127.0.0.1:${locked.port}`],
      ].slice(0, schemes))
        await withServer(
          target,
          { CELLOS_NATS_URL: `${scheme}://u:${secret}@${address}`, RUST_LOG: 'trace' },
          async (server) => {
            expect((await server.http.post('/v1/formations', flatDocument(unique()))).status).toBe(201);
            expect(server.log).not.toContain(secret);
          },
        );
      for (const [scheme, address] of [
        ['ws', `127.0.0.1:${tokened.websocketPort}`],
        ['nats', `127.0.0.1:${tokened.port}`],
      ].slice(0, schemes))
        await withServer(
          target,
          { CELLOS_NATS_URL: `${scheme}://${secret}@${address}`, LOG_LEVEL: 'trace' },
          async (server) => {
            expect((await server.http.post('/v1/formations', flatDocument(unique()))).status).toBe(201);
            expect(server.log).not.toContain(secret);
          },
        );
      await withServer(
        target,
        { CELLOS_NATS_URL: `ws://wrong@127.0.0.1:${tokened.websocketPort}` },
        async (server) => {
          expect((await server.http.post('/v1/formations', flatDocument(unique()))).status).toBe(503);
          expect(server.log).not.toContain('wrong@');
        },
      );
      await locked.stop();
      await tokened.stop();
    });

    test('CFG-3 credentials, as a text or as the path of a file', async () => {
      const { creds, config } = operatorSetup();
      const folder = await mkdtemp(join(tmpdir(), 'cellos-creds-'));
      const file = join(folder, 'user.creds');
      await writeFile(file, creds);
      const jwtBroker = await Broker.start({ extraConfig: config });
      // Deno reads no file that it was not told of.
      const reader = target === denoTarget ? denoTargetWith(`--allow-read=${file}`) : target;
      for (const url of [jwtBroker.websocketUrl, jwtBroker.url].slice(0, schemes)) {
        await works(target, { CELLOS_NATS_URL: url, CELLOS_NATS_CREDS: creds });
        // Where there is no file system there is no path.
        if (target !== workerdTarget) await works(reader, { CELLOS_NATS_URL: url, CELLOS_NATS_CREDS: file });
      }
      await rm(folder, { recursive: true });
      await jwtBroker.stop();
    });
  });

  describe('tokens', () => {
    // Where there is no file system: cloudflare-configuration.test.ts.
    test.skipIf(target === workerdTarget)('CFG-21 from files, with nothing beside them', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'cellos-tokens-'));
      const files = {
        CELLOS_SERVER_API_TOKEN: `${TOKEN}\n`,
        CELLOS_SERVER_API_TOKENS: '{"alice": "A-token"}\n',
        CELLOS_SERVER_READ_TOKENS: '\n{"dashboard": "R-token"}',
      };
      const environment: Record<string, string> = { CELLOS_SERVER_API_TOKEN: '' };
      for (const [name, text] of Object.entries(files)) {
        environment[`${name}_FILE`] = join(folder, name);
        await writeFile(join(folder, name), text);
      }
      // Deno reads no file that it was not told of.
      const reader = target === denoTarget ? denoTargetWith(`--allow-read=${folder}`) : target;
      await withServer(reader, environment, async (server) => {
        await whenReadyFor(TOKEN, server);
        const { http } = server;
        const statusOf = async (method: string, token: string) =>
          (await http.send(method, '/v1/formations/by-name/unknown', { authorization: `Bearer ${token}` }))
            .status;
        for (const token of [TOKEN, 'A-token']) expect(await statusOf('DELETE', token)).toBe(404);
        expect([await statusOf('GET', 'R-token'), await statusOf('DELETE', 'R-token')]).toEqual([404, 403]);
        for (const token of ['', TOKEN.slice(1), '{"alice": "A-token"}', folder])
          expect(await statusOf('GET', token)).toBe(401);
      });
      await rm(folder, { recursive: true });
    });

    test('CFG-20 a list of them is enough', async () => {
      const environment = { CELLOS_SERVER_API_TOKEN: '', CELLOS_SERVER_API_TOKENS: '{"alice":"A-token"}' };
      await withServer(target, environment, async (server) => {
        await whenReadyFor('A-token', server);
        const { http } = server;
        const created = await http.post('/v1/formations', flatDocument(unique()), {
          authorization: 'Bearer A-token',
        });
        expect(created.status, created.text).toBe(201);
        // Nor is the token that is unset one.
        expect((await http.get('/v1/version', { authorization: 'Bearer ' })).status).toBe(401);
      });
    });
  });

  describe('the rest', () => {
    test('CFG-31 keys of signed events from a file, where there are files', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'cellos-keys-'));
      const file = join(folder, 'keys.json');
      await writeFile(file, `${VERIFY_KEYS}\n`);
      const [good, bad] = [unique('good'), unique('bad')];
      const reader = target === denoTarget ? denoTargetWith(`--allow-read=${file}`) : target;
      const keys =
        target === workerdTarget
          ? { CELLOS_EVENT_VERIFY_KEYS: VERIFY_KEYS }
          : { CELLOS_EVENT_VERIFY_KEYS_PATH: file };
      await withServer(reader, keys, async (server) => {
        const forged = (await signed(cellStarted('x'))).replace('"x"', `"${bad}"`);
        await new Rig(broker, server).publish(await signed(cellStarted(good)), forged);
        expect((await server.http.get(`/v1/cells/${good}`)).status).toBe(200);
        expect((await server.http.get(`/v1/cells/${bad}`)).status).toBe(404);
      });
      await rm(folder, { recursive: true });
    });

    test('CFG-6 a blank operator is the default one', async () => {
      await withServer(target, { CELLOS_SERVER_OPERATOR_ID: '  ' }, async (server) => {
        await server.http.post('/v1/formations', flatDocument(unique()));
        const { text } = await broker.message(await broker.lastSequence());
        expect((JSON.parse(text) as { source: string }).source).toBe(
          'principal://operator/bearer-token-operator',
        );
      });
    });

    test('CFG-7 replay is skipped with 1 and true only', async () => {
      const cell = unique('cell');
      const last = await broker.publish(cellStarted(cell));
      for (const value of ['1', 'true'])
        await withServer(target, { CELLOS_SERVER_SKIP_REPLAY: value }, async (server) => {
          const { formations, cursor } = await new Rig(broker, server).snapshot();
          expect([formations, cursor]).toEqual([[], last]);
          expect(await server.http.read('/v1/cells')).toEqual([]);
          expect((await server.http.read<{ events: unknown[] }>('/v1/events')).events.length).toBeGreaterThan(
            0,
          );
        });
      for (const value of ['0', '', 'yes', 'false'])
        await withServer(target, { CELLOS_SERVER_SKIP_REPLAY: value }, async (server) => {
          expect((await server.http.get(`/v1/cells/${cell}`)).status).toBe(200);
        });
    });

    test('CFG-7 what comes after a skipped replay is projected', async () => {
      await withServer(target, { CELLOS_SERVER_SKIP_REPLAY: '1' }, async (server) => {
        const rig = new Rig(broker, server);
        const cell = unique('cell');
        await rig.publish({ type: COMMAND_COMPLETED, data: { cellId: cell, specId: 's', exitCode: 1 } });
        expect(await server.http.read(`/v1/cells/${cell}`)).toMatchObject({ state: 'pending', exit_code: 1 });
      });
    });

    test('CFG-8 CFG-9 log lines are JSON, as many as the level says, and never hold a token', async () => {
      const levels = ['trace', 'debug', 'info', 'warn', 'error'];
      for (const environment of [
        { RUST_LOG: 'trace' },
        { LOG_LEVEL: 'debug' },
        { RUST_LOG: 'warn' },
        { LOG_LEVEL: 'error' },
      ]) {
        const level = Object.values(environment)[0] as string;
        await withServer(target, environment, async (server) => {
          await new Rig(broker, server).publish('no json');
          const feed = await server.feed({
            authorization: null,
            protocols: ['cellos.v1', `cellos.bearer.${Buffer.from(TOKEN).toString('base64url')}`],
          });
          await feed.close();
          await server.http.get(`/v1/nope?token=${encodeURIComponent(TOKEN)}`, {
            authorization: `Bearer ${TOKEN}x`,
          });
          await server.http.post('/v1/formations', '{');
          await server.stop();
          const said = server.log
            .split('\n')
            .filter((line) => line !== '')
            .map((line) => JSON.parse(line) as { level: string });
          for (const { level: one } of said)
            expect(levels.indexOf(one.toLowerCase())).toBeGreaterThanOrEqual(levels.indexOf(level));
          expect(server.log).not.toContain(TOKEN);
          expect(server.log).not.toContain(Buffer.from(TOKEN).toString('base64url'));
          expect(server.log).not.toContain(encodeURIComponent(TOKEN));
        });
      }
    });
  });
});

describe('on deno', () => {
  test.each(['nats', 'tls'])('DENO-3 CFG-2 %s:// is told of the websocket listener', async (scheme) => {
    const server = await ServerProcess.spawn(denoTarget, { CELLOS_NATS_URL: `${scheme}://127.0.0.1:4222` });
    expect(await server.whenExited()).toBe(1);
    expect(server.stderr).toContain('CELLOS_NATS_URL');
    expect(server.stderr).toContain('websocket listener');
  });

  test('CFG-21 a file of tokens that may not be read names the permission', async () => {
    const server = await ServerProcess.spawn(denoTarget, { CELLOS_SERVER_READ_TOKENS_FILE: '/etc/hostname' });
    expect(await server.whenExited()).toBe(1);
    expect(server.stderr).toContain('CELLOS_SERVER_READ_TOKENS_FILE');
    expect(server.stderr).toContain('--allow-read');
  });

  test('DENO-3 CFG-3 a file of credentials that may not be read names the permission', async () => {
    const server = await ServerProcess.spawn(denoTarget, { CELLOS_NATS_CREDS: '/etc/hostname' });
    expect(await server.whenExited()).toBe(1);
    expect(server.stderr).toContain('CELLOS_NATS_CREDS');
    expect(server.stderr).toContain('--allow-read');
  });
});

/** An operator with a system account, an account and its user, as `nsc` would set them up. */
function operatorSetup(): { creds: string; config: string } {
  const [operator, system, account, user] = [
    nkeys.createOperator(),
    nkeys.createAccount(),
    nkeys.createAccount(),
    nkeys.createUser(),
  ];
  const unlimited = { subs: -1, data: -1, payload: -1 };
  const storage = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const limits = { ...unlimited, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  const systemId = system.getPublicKey();
  const operatorJwt = sign(operator, operator, { type: 'operator', version: 2, system_account: systemId });
  const systemJwt = sign(operator, system, { type: 'account', version: 2, limits });
  const accountJwt = sign(operator, account, {
    type: 'account',
    version: 2,
    limits: { ...limits, ...storage },
  });
  const userJwt = sign(account, user, { type: 'user', version: 2, ...unlimited });
  const seed = new TextDecoder().decode(user.getSeed());
  return {
    creds: `-----BEGIN NATS USER JWT-----\n${userJwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`,
    config: `operator: ${operatorJwt}
system_account: ${systemId}
resolver: MEMORY
resolver_preload: { ${systemId}: ${systemJwt}, ${account.getPublicKey()}: ${accountJwt} }
`,
  };
}

function sign(issuer: KeyPair, subject: KeyPair, nats: Record<string, unknown>): string {
  const [iss, sub] = [issuer.getPublicKey(), subject.getPublicKey()];
  const header = encode({ typ: 'JWT', alg: 'ed25519-nkey' });
  const body = `${header}.${encode({ jti: unique(), iat: 1_700_000_000, iss, sub, nats })}`;
  return `${body}.${Buffer.from(issuer.sign(new TextEncoder().encode(body))).toString('base64url')}`;
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
