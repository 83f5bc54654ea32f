// Who may ask, and what every answer carries: the token, CORS, OPTIONS, HEAD.
import { describe, expect, test } from 'vitest';
import { expectCors, expectProblem, listOf } from '../support/http-client.ts';
import { flatDocument, unique } from '../support/events.ts';
import { refusedUpgrade } from '../support/feed-client.ts';
import type { Rig } from '../support/server-process.ts';

const PATHS = ['/v1/formations', '/v1/cells', '/v1/events', '/v1/version', '/ws/events', '/nope', '/'];

/** Values of the Authorization header that are not the token. */
const wrong = (token: string): [string, string | null][] => [
  ['none', null],
  ['an empty one', ''],
  ['no token', 'Bearer'],
  ['an empty token', 'Bearer '],
  ['another token', 'Bearer wrong'],
  ['one of the same length', `Bearer ${'x'.repeat(token.length)}`],
  ['a longer one', `Bearer ${token}x`],
  ['a shorter one', `Bearer ${token.slice(0, -1)}`],
  ['the scheme in lower case', `bearer ${token}`],
  ['the scheme in upper case', `BEARER ${token}`],
  ['two spaces', `Bearer  ${token}`],
  ['a tab', `Bearer\t${token}`],
  ['another scheme', `Basic ${token}`],
  ['only the token', token],
];

export function authSuite(rig: () => Rig): void {
  describe('token', () => {
    test('HTTP-1 every request needs it, spelled exactly', async () => {
      const { http } = rig();
      for (const [what, authorization] of wrong(http.token)) {
        const reply = await http.get('/v1/formations', { authorization });
        expect(reply.status, what).toBe(401);
        const problem = expectProblem(reply, 'unauthorized');
        expect(problem.detail, what).not.toContain(http.token);
        expectCors(reply);
      }
    });

    test.each(PATHS)('HTTP-1 it is checked before routing: %s', async (path) => {
      for (const method of ['GET', 'PUT', 'POST', 'DELETE', 'PATCH'])
        expectProblem(await rig().http.send(method, path, { authorization: null }), 'unauthorized');
    });

    test('HTTP-1 it is checked before parsing', async () => {
      const { http } = rig();
      const body = { authorization: null, body: 'x'.repeat(70_000) };
      expectProblem(await http.send('POST', '/v1/formations', body), 'unauthorized');
      expectProblem(await http.get('/v1/cells?limit=x', { authorization: null }), 'unauthorized');
      expectProblem(await http.get('/v1/cells/%ff', { authorization: null }), 'unauthorized');
    });

    test('HTTP-1 it is checked before the upgrade', async () => {
      const { http } = rig();
      for (const [, authorization] of wrong(http.token))
        expectProblem(await refusedUpgrade(http, { authorization }), 'unauthorized');
      expectProblem(await refusedUpgrade(http, { authorization: null, query: 'since=x' }), 'unauthorized');
      expectProblem(await refusedUpgrade(http, { authorization: null, path: '/nope' }), 'unauthorized');
    });

    test('HTTP-1 HEAD without it is a 401 without a body', async () => {
      const reply = await rig().http.send('HEAD', '/v1/formations', { authorization: null });
      expect([reply.status, reply.text]).toEqual([401, '']);
    });
  });

  describe('CORS', () => {
    test('HTTP-8 every answer carries it', async () => {
      const { http } = rig();
      const created = await http.post('/v1/formations', flatDocument(unique()));
      const { id } = JSON.parse(created.text) as { id: string };
      const replies = [
        created,
        await http.get('/v1/formations'),
        await http.get(`/v1/formations/${id}`),
        await http.get('/v1/cells'),
        await http.get('/v1/events?limit=1'),
        await http.get('/v1/version'),
        await http.send('HEAD', '/v1/version'),
        await http.get('/nope'),
        await http.get('/v1/cells?limit=x'),
        await http.get('/ws/events'),
        await http.send('PUT', '/v1/version'),
        await http.post('/v1/formations', 'x'.repeat(70_000)),
        await http.post('/v1/formations', '{'),
        await http.post(`/v1/formations/${id}/status`, {}, { headers: { 'content-type': 'text/plain' } }),
        await http.post(`/v1/formations/${id}/status`, {}),
        await http.send('DELETE', `/v1/formations/${id}`),
      ];
      expect(replies.map((reply) => reply.status)).toEqual([
        201, 200, 200, 200, 200, 200, 200, 404, 400, 400, 405, 413, 400, 415, 422, 204,
      ]);
      replies.forEach(expectCors);
    });

    test.each(['GET', 'POST', 'DELETE', 'PUT'])('HTTP-9 a preflight for %s', async (method) => {
      const reply = await rig().http.send('OPTIONS', '/v1/formations', {
        authorization: null,
        headers: {
          origin: 'https://ui.example',
          'access-control-request-method': method,
          'access-control-request-headers': 'authorization,content-type',
        },
      });
      expect(reply.status).toBe(200);
      expect(listOf(reply.headers['access-control-allow-methods'])).toEqual(['get', 'options']);
      expect(listOf(reply.headers['access-control-allow-headers'])).toEqual([
        'authorization',
        'content-type',
        'if-none-match',
        'last-event-id',
      ]);
      expectCors(reply);
    });
  });

  test.each([...PATHS, '/v1//formations', '/v1/cells/%ff'])(
    'HTTP-7 OPTIONS %s is 200 and empty, without a token',
    async (path) => {
      for (const authorization of [null, 'Bearer wrong', `Bearer ${rig().http.token}`]) {
        const reply = await rig().http.send('OPTIONS', path, { authorization });
        expect([reply.status, reply.text]).toEqual([200, '']);
        expectCors(reply);
      }
    },
  );

  test('HTTP-4 HEAD answers as GET does, without the body', async () => {
    const { http } = rig();
    const name = unique();
    const { id } = JSON.parse((await http.post('/v1/formations', flatDocument(name))).text) as { id: string };
    const paths = [
      '/v1/formations',
      `/v1/formations/${id}`,
      `/v1/formations/${name}`,
      `/v1/formations/by-name/${name}`,
      '/v1/formations/by-name/unknown',
      '/v1/cells?limit=1',
      '/v1/cells/unknown',
      '/v1/cells?limit=x',
      '/v1/events?limit=1',
      '/v1/version',
      '/ws/events',
      '/nope',
    ];
    for (const path of paths) {
      const [get, head] = [await http.get(path), await http.send('HEAD', path)];
      expect([path, head.status, head.text]).toEqual([path, get.status, '']);
      expect(head.headers['content-type'], path).toBe(get.headers['content-type']);
      expectCors(head);
    }
  });
}
