// Several tokens, tokens that only read, origins, and what guessing costs.
import { describe, expect, test } from 'vitest';
import { flatDocument, unique } from '../support/events.ts';
import { refusedUpgrade } from '../support/feed-client.ts';
import { expectCors, expectProblem } from '../support/http-client.ts';
import type { HttpClient, Reply, RequestOptions } from '../support/http-client.ts';
import { TOKEN, requireCapability, useRig } from '../support/server-process.ts';
import type { Target } from '../support/server-process.ts';
import { until } from '../support/wait.ts';

const DEFAULT_OPERATOR = 'bearer-token-operator';
const ALICE = 'alice-Writes+/=~0';
const ZOE = 'pässwörd-日本語';
const READER = 'dashboard-Reads.1';
/** Each token with its bearer. */
const WRITERS: [token: string, operator: string][] = [
  [TOKEN, DEFAULT_OPERATOR],
  [ALICE, 'alice'],
  [ZOE, 'Zoë O’Hara/ops'],
];
const TOKENS = {
  CELLOS_SERVER_API_TOKENS: JSON.stringify({ alice: ALICE, 'Zoë O’Hara/ops': ZOE }),
  CELLOS_SERVER_READ_TOKENS: JSON.stringify({ dashboard: READER }),
};
const UI = 'https://ui.example';
const EVIL = 'https://evil.example';
/** How many wrong tokens an address is granted. */
const BUDGET = 100;
/** Addresses of this machine, on Linux. */
const [HERE, THERE] = ['127.0.0.1', '127.0.0.2'];

/** As it goes over the wire: one character per byte. */
const bearer = (token: string) => `Bearer ${Buffer.from(token).toString('latin1')}`;
const protocolsOf = (token: string) => [
  'cellos.v1',
  `cellos.bearer.${Buffer.from(token).toString('base64url')}`,
];

const idOf = (created: Reply) => (JSON.parse(created.text) as { id: string }).id;

export function accessSuite(target: Target): void {
  describe('several tokens', () => {
    const rig = useRig(target, TOKENS);

    test.each(WRITERS)('HTTP-70 %s writes in the name of %s', async (token, operator) => {
      const { http, broker } = rig();
      const options = { authorization: bearer(token) };
      const created = await http.post('/v1/formations', flatDocument(unique()), options);
      expect(created.status, created.text).toBe(201);
      const event = JSON.parse((await broker.message(await broker.lastSequence())).text) as {
        source: string;
      };
      expect(decodeURIComponent(event.source)).toBe(`principal://operator/${operator}`);
      const line = new RegExp(`"operator":"${operator}","method":"POST".*"status":201`);
      await until(() => line.test(rig().server.log), { what: `the line of ${operator}` });
    });

    test.each([TOKEN, ALICE, ZOE, READER])(
      'FEED-16 %s as a subprotocol, and in the header',
      async (token) => {
        for (const options of [
          { authorization: null, protocols: protocolsOf(token) },
          { authorization: bearer(token), protocols: ['cellos.v1'] },
        ]) {
          const feed = await rig().server.feed(options);
          expect(feed.socket.protocol).toBe('cellos.v1');
          await feed.close();
        }
      },
    );

    test('HTTP-70 nothing else will do', async () => {
      const { http } = rig();
      for (const token of [
        `${ALICE}x`,
        ALICE.slice(1),
        ALICE + READER,
        'alice',
        TOKENS.CELLOS_SERVER_API_TOKENS,
      ])
        expectProblem(await http.get('/v1/version', { authorization: bearer(token) }), 'unauthorized');
      const two = {
        authorization: null,
        protocols: [...protocolsOf('wrong'), ...protocolsOf(ALICE).slice(1)],
      };
      expectProblem(await refusedUpgrade(http, two), 'unauthorized');
    });

    test('HTTP-71 a token for reading reads', async () => {
      const { http } = rig();
      const authorization = bearer(READER);
      const id = idOf(await http.post('/v1/formations', flatDocument(unique())));
      for (const path of ['/v1/formations', `/v1/formations/${id}`, '/v1/cells', '/v1/events', '/v1/version'])
        for (const method of ['GET', 'HEAD'])
          expect((await http.send(method, path, { authorization })).status, `${method} ${path}`).toBe(200);
      expectProblem(await http.get('/nope', { authorization }), 'not-found');
    });

    test('HTTP-71 it writes nothing, whatever and wherever', async () => {
      const { http, broker } = rig();
      const authorization = bearer(READER);
      const id = idOf(await http.post('/v1/formations', flatDocument(unique())));
      const before = await broker.lastSequence();
      const refused: [method: string, path: string, body?: string][] = [
        ['POST', '/v1/formations', JSON.stringify(flatDocument(unique()))],
        ['POST', '/v1/formations', 'x'.repeat(70_000)],
        ['POST', '/v1/formations', '{'],
        ['DELETE', `/v1/formations/${id}`],
        ['DELETE', '/v1/formations/by-name/unknown'],
        ['POST', `/v1/formations/${id}/status`, '{"state":"FAILED"}'],
        ['POST', '/v1/formations/unknown/status', ''],
        ['PUT', '/v1/version'],
        ['POST', '/nope', '{}'],
        ['PATCH', '/v1/cells/%ff'],
      ];
      for (const [method, path, body] of refused) {
        const options = body === undefined ? { authorization } : { authorization, body };
        const reply = await http.send(method, path, options);
        expectProblem(reply, 'forbidden', { names: [method] });
        expectCors(reply);
      }
      expect(await broker.lastSequence()).toBe(before);
    });

    test('HTTP-71 it is refused before its body is there', async () => {
      const { http } = rig();
      const head = ['POST /v1/formations HTTP/1.1', 'Host: localhost', `Authorization: Bearer ${READER}`];
      const answer = await http.exchange([...head, 'Content-Length: 50000', '', ''].join('\r\n'));
      expect(answer).toMatch(/^HTTP\/1\.1 403 /);
    });
  });

  describe('origins', () => {
    const rig = useRig(target, { ...TOKENS, CELLOS_SERVER_ALLOWED_ORIGINS: `${UI}, http://localhost:3000` });
    const from = (origin: string): RequestOptions => ({ headers: { origin } });

    test('HTTP-73 those of the list, and who has none', async () => {
      const { http } = rig();
      for (const options of [{}, from(UI), from('http://localhost:3000')]) {
        expect((await http.get('/v1/version', options)).status).toBe(200);
        expect((await http.post('/v1/formations', flatDocument(unique()), options)).status).toBe(201);
      }
      const reply = await http.get('/v1/version', from(UI));
      expectCors(reply);
    });

    test('HTTP-73 others are 403, reads too', async () => {
      const { http, broker } = rig();
      const before = await broker.lastSequence();
      for (const origin of [EVIL, 'http://ui.example', `${UI}:8443`, 'null']) {
        for (const reply of [
          await http.get('/v1/version', from(origin)),
          await http.get('/nope', from(origin)),
          await http.post('/v1/formations', flatDocument(unique()), from(origin)),
        ]) {
          expectProblem(reply, 'forbidden', { names: [origin] });
          expectCors(reply);
        }
      }
      expect(await broker.lastSequence()).toBe(before);
    });

    test('HTTP-73 the token goes first', async () => {
      for (const authorization of [null, 'Bearer wrong'])
        expectProblem(await rig().http.get('/v1/version', { ...from(EVIL), authorization }), 'unauthorized');
    });

    test('HTTP-73 preflights are answered as ever', async () => {
      for (const origin of [UI, EVIL]) {
        const reply = await rig().http.send('OPTIONS', '/v1/formations', {
          ...from(origin),
          authorization: null,
        });
        expect(reply.status).toBe(200);
        expectCors(reply);
      }
    });

    test('HTTP-73 the feed is for the same ones', async () => {
      const { http } = rig();
      for (const options of [{}, { authorization: null, protocols: protocolsOf(ALICE) }]) {
        const refused = await refusedUpgrade(http, { ...options, handshake: { Origin: EVIL } });
        expectProblem(refused, 'forbidden', { names: [EVIL] });
        const opened = await rig().server.feed({ ...options, origin: UI });
        await opened.close();
      }
    });
  });

  describe('guessing', () => {
    const rig = useRig(target, TOKENS);
    /** Where the connection says whence a request comes, no header does. */
    const from = (address: string | undefined): RequestOptions =>
      target.addressHeader === undefined
        ? {
            ...(address === undefined ? {} : { localAddress: address }),
            headers: {
              'cf-connecting-ip': unique(),
              'x-forwarded-for': unique(),
              forwarded: `for=${unique()}`,
            },
          }
        : { headers: { [target.addressHeader]: address ?? HERE, 'x-forwarded-for': unique() } };
    const ask = (http: HttpClient, token: string | null, address?: string): Promise<Reply> =>
      http.get('/v1/version', { ...from(address), authorization: token === null ? null : bearer(token) });

    test('HTTP-72 a hundred wrong tokens at once, then one a second, but for who was let in before', async () => {
      const { http } = rig();
      expect((await ask(http, ALICE)).status).toBe(200);
      let wrong = 0;
      let reply = await ask(http, 'wrong');
      for (; reply.status === 401; reply = await ask(http, 'wrong')) wrong++;
      // What was refilled meanwhile comes on top.
      expect(wrong).toBeGreaterThanOrEqual(BUDGET);
      expect(wrong).toBeLessThan(2 * BUDGET);
      expectProblem(reply, 'too-many-requests');
      expect(reply.headers['retry-after']).toBe('1');
      expectCors(reply);

      const guess = { authorization: null, protocols: protocolsOf(ZOE) };
      const handshake = target.addressHeader === undefined ? {} : { [target.addressHeader]: HERE };
      const statuses = async () => [
        (await ask(http, ALICE)).status,
        (await ask(http, ZOE)).status,
        (await ask(http, null)).status,
        (await refusedUpgrade(http, { ...guess, handshake })).status,
      ];
      // In the second that gives one back, another wrong one takes it.
      const closed = async () => {
        await ask(http, 'wrong');
        return String(await statuses()) === '200,429,429,429';
      };
      await until(closed, { what: 'only the token that is known' });
      const preflight = await http.send('OPTIONS', '/v1/version', {
        ...from(undefined),
        authorization: null,
      });
      expect(preflight.status).toBe(200);
      await until(async () => (await ask(http, ZOE)).status === 200, { what: 'the budget to refill' });
    });

    test('HTTP-72 each address has its own budget; without a token nothing is guessed', async (context) => {
      const hasAddresses = target.addressHeader !== undefined || process.platform === 'linux';
      requireCapability(context, hasAddresses || 'this system has no second loopback address');
      const { http } = rig();
      for (let n = 0; n < BUDGET + 10; n++) expect((await ask(http, null, THERE)).status).toBe(401);
      await until(async () => (await ask(http, 'wrong')).status === 429, {
        what: 'one budget to be used up',
      });
      expect((await ask(http, READER, THERE)).status).toBe(200);
    });
  });
}
