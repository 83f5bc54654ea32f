// Which upgrades succeed, and how the others are refused.
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { refusedUpgrade } from '../support/feed-client.ts';
import { expectCors, expectProblem } from '../support/http-client.ts';
import type { Rig } from '../support/server-process.ts';

const bearer = (token: string) => `cellos.bearer.${Buffer.from(token).toString('base64url')}`;

export function upgradesSuite(rig: () => Rig): void {
  test.each(['', '-1', '1.0', '+1', '%2B1', 'abc', '1e3', '%201', '18446744073709551616', '%ff'])(
    'FEED-3 HTTP-12 since=%s is refused',
    async (since) => {
      const reply = await refusedUpgrade(rig().http, { query: `since=${since}` });
      expectProblem(reply, 'bad-request', { names: since === '%ff' ? [] : ['since'] });
      expectCors(reply);
    },
  );

  test.each(['since=1&since=1', 'since=1&since=x', 'subject=%3E&subject=%3E', 'epoch=a&epoch=a'])(
    'FEED-3 HTTP-13 %s is refused',
    async (query) => {
      const name = query.slice(0, query.indexOf('='));
      expectProblem(await refusedUpgrade(rig().http, { query }), 'bad-request', { names: [name] });
    },
  );

  describe('FEED-17 refusals are problems', () => {
    test.each<[string, Record<string, string | null>]>([
      ['no version', { 'Sec-WebSocket-Version': null }],
      ['another version', { 'Sec-WebSocket-Version': '8' }],
      ['no key', { 'Sec-WebSocket-Key': null }],
      ['a malformed key', { 'Sec-WebSocket-Key': 'short' }],
      ['another protocol', { Upgrade: 'h2c' }],
      ['no upgrade', { Upgrade: null, Connection: 'keep-alive' }],
      ['one protocol twice', { 'Sec-WebSocket-Protocol': 'cellos.v1, cellos.v1' }],
      ['no name between two protocols', { 'Sec-WebSocket-Protocol': 'cellos.v1,,x' }],
      ['a protocol with a space', { 'Sec-WebSocket-Protocol': 'cellos.v1, a b' }],
    ])('FEED-17 a handshake with %s is 400', async (_what, handshake) => {
      const reply = await refusedUpgrade(rig().http, { handshake });
      expectProblem(reply, 'bad-request');
      expectCors(reply);
    });

    test('FEED-17 a handshake whose Connection somebody took away is no failure of ours', async () => {
      const { status } = await refusedUpgrade(rig().http, { handshake: { Connection: null } });
      // Not every runtime looks at it.
      expect([101, 400]).toContain(status);
    });

    test('FEED-17 unknown paths are 404, other methods 405', async () => {
      const { http } = rig();
      for (const path of ['/ws', '/ws/events/', '/WS/events', '//ws/events', '/'])
        expectProblem(await refusedUpgrade(http, { path }), 'not-found');
      const reply = await refusedUpgrade(http, { method: 'POST' });
      expectProblem(reply, 'method-not-allowed', { names: ['POST'] });
      expect(reply.headers['allow']).toBeDefined();
    });

    test('FEED-16 the token as a protocol opens the feed alone, and beside cellos.v1 alone', async () => {
      const { http } = rig();
      const handshake = { 'Sec-WebSocket-Protocol': `${bearer(http.token)}, cellos.v1` };
      const elsewhere = await refusedUpgrade(http, {
        path: '/v1/formations',
        authorization: null,
        handshake,
      });
      expectProblem(elsewhere, 'unauthorized');
      const lonely = { 'Sec-WebSocket-Protocol': bearer(http.token) };
      expectProblem(await refusedUpgrade(http, { authorization: null, handshake: lonely }), 'unauthorized');
    });

    test('HTTP-8 the answer that upgrades has the CORS headers too', async () => {
      const { http } = rig();
      const headers = { authorization: `Bearer ${http.token}` };
      const socket = new WebSocket(`ws://${http.host}:${http.port}/ws/events`, { headers });
      const [response] = (await once(socket, 'upgrade')) as [IncomingMessage];
      expect(response.headers['access-control-allow-origin']).toBe('*');
      expect(response.headers['vary']).toContain('origin');
      socket.terminate();
    });

    test('FEED-17 elsewhere nothing is upgraded', async () => {
      for (const path of ['/v1/version', '/v1/events'])
        expect((await refusedUpgrade(rig().http, { path })).status).not.toBe(101);
    });

    test('FEED-17 a refused client does not wait: the answer is whole', async () => {
      const reply = await refusedUpgrade(rig().http, { authorization: null });
      expect(reply.headers['content-length']).toBe(String(Buffer.byteLength(reply.text)));
    });
  });

  describe('the token of browsers', () => {
    test('FEED-16 is accepted as a subprotocol beside cellos.v1, which is selected', async () => {
      const { token } = rig().http;
      for (const protocols of [
        ['cellos.v1', bearer(token)],
        [bearer(token), 'cellos.v1'],
      ]) {
        const feed = await rig().server.feed({ authorization: null, protocols });
        expect(feed.socket.protocol).toBe('cellos.v1');
        const last = await rig().publish('1');
        await feed.whenSequence(last);
        await feed.close();
      }
    });

    test('FEED-16 cellos.v1 is selected beside a header, too', async () => {
      const feed = await rig().server.feed({ protocols: ['cellos.v1'] });
      expect(feed.socket.protocol).toBe('cellos.v1');
      await feed.close();
    });

    test('FEED-16 HTTP-1 another one is 401', async () => {
      const { http } = rig();
      const wrong = [
        ['cellos.v1'],
        ['cellos.v1', bearer('wrong')],
        ['cellos.v1', 'cellos.bearer.'],
        ['cellos.v1', 'cellos.bearer.***'],
        ['cellos.v1', `Cellos.Bearer.${Buffer.from(http.token).toString('base64url')}`],
        ['cellos.v1', `cellos.bearer.${Buffer.from(http.token).toString('hex')}`],
      ];
      for (const protocols of wrong)
        expectProblem(await refusedUpgrade(http, { authorization: null, protocols }), 'unauthorized');
    });

    test('FEED-16 HTTP-1 it opens nothing but the feed', async () => {
      const headers = { 'sec-websocket-protocol': `cellos.v1, ${bearer(rig().http.token)}` };
      expectProblem(await rig().http.get('/v1/formations', { authorization: null, headers }), 'unauthorized');
    });
  });
}
