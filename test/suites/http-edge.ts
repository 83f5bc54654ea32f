// Paths, methods, queries and bodies at their edges, whatever the resource.
import { describe, expect, test } from 'vitest';
import { cellStarted, flatDocument, unique } from '../support/events.ts';
import { expectCors, expectDiscreet, expectProblem, listOf, parseReply } from '../support/http-client.ts';
import { requireCapability } from '../support/server-process.ts';
import type { Capabilities, Rig } from '../support/server-process.ts';

const LIMIT_BYTES = 65_536;
const ID = '00000000-0000-4000-8000-000000000000';

export function edgeSuite(rig: () => Rig, capabilities: Capabilities): void {
  describe('paths', () => {
    test.each([
      '/',
      '/v1',
      '/v1/',
      '/v1/nope',
      '/V1/formations',
      '/v1/Formations',
      '/v1/formations/',
      '/v1//formations',
      '//v1/formations',
      '/v1/formations//',
      '/v1/formations/by-name/',
      '/v1/formations/by-name/a/b',
      '/v1/cells/',
      '/v1/cells/a/b',
      '/v1/version/',
      '/v1/events/',
      '/ws',
      '/ws/events/',
      '/WS/events',
      '/v1%2Fformations',
      '/v1/formations%2F',
      `/v1/formations/${ID}/status/`,
      `/v1/formations/${ID}/nope`,
    ])('HTTP-5 %s is 404', async (path) => {
      const reply = await rig().http.get(path);
      expectProblem(reply, 'not-found');
      expectCors(reply);
    });

    test('HTTP-10 a segment is decoded once, after the split', async () => {
      const mark = unique('cell');
      const ids = [
        `${mark}/slash`,
        `${mark}%20twice`,
        `${mark}+plus`,
        `${mark} space`,
        `${mark}ünïcode✓`,
        `${mark}?`,
      ];
      await rig().publish(...ids.map((id) => cellStarted(id)));
      for (const id of ids) {
        const record = await rig().http.read<{ id: string }>(`/v1/cells/${encodeURIComponent(id)}`);
        expect(record.id).toBe(id);
      }
      expect((await rig().http.read<{ id: string }>(`/v1/cells/${mark}+plus`)).id).toBe(`${mark}+plus`);
      expect((await rig().http.read<{ id: string }>(`/v1/cells/${mark}%2bplus`)).id).toBe(`${mark}+plus`);
      expectProblem(await rig().http.get(`/v1/cells/${mark}%2520nothing`), 'not-found', {
        names: [`${mark}%20nothing`],
      });
    });

    test('HTTP-10 a % that is no escape stands for itself', async () => {
      const id = `${unique('cell')}%zz`;
      await rig().publish(cellStarted(id));
      expect((await rig().http.read<{ id: string }>(`/v1/cells/${id}`)).id).toBe(id);
      expectProblem(await rig().http.get('/v1/cells/50%'), 'not-found', { names: ['50%'] });
      expectProblem(await rig().http.get('/v1/formations/by-name/a%2'), 'not-found', { names: ['a%2'] });
    });

    test.each(['%ff', 'a%C3', '%c0%af', '%ED%A0%80'])('HTTP-10 %s is not UTF-8', async (segment) => {
      const { http } = rig();
      for (const folder of ['/v1/formations/', '/v1/formations/by-name/', '/v1/cells/'])
        expectProblem(await http.get(folder + segment), 'bad-request');
      expectProblem(await http.send('DELETE', `/v1/formations/${segment}`), 'bad-request');
      expectProblem(await http.send('DELETE', `/v1/formations/by-name/${segment}`), 'bad-request');
      expectProblem(await http.post(`/v1/formations/${segment}/status`, { state: 'RUNNING' }), 'bad-request');
    });

    test('HTTP-10 ids that URL parsers resolve are seen in lists', async () => {
      const { http } = rig();
      await rig().publish(...['', '.', '..'].map((id) => cellStarted(id)));
      const cells = await http.read<{ id: string }[]>('/v1/cells');
      expect(cells.slice(0, 3).map((cell) => cell.id)).toEqual(['', '.', '..']);
      expectProblem(await http.get('/v1/cells/'), 'not-found');
    });

    test('HTTP-3 a detail repeats at most 200 characters of a path and no control characters', async () => {
      const { http } = rig();
      const long = 'y'.repeat(2000);
      for (const path of [
        `/${long}`,
        `/v1/cells/${long}`,
        `/v1/formations/by-name/${long}`,
        `/v1/formations/${long}`,
      ]) {
        const { detail } = expectProblem(await http.get(path), 'not-found');
        expect(detail).not.toContain('y'.repeat(201));
        expect(detail).toContain('y'.repeat(50));
      }
      const { detail } = expectProblem(await http.send('PUT', `/v1/cells/${long}`), 'method-not-allowed');
      expect(detail).not.toContain('y'.repeat(201));
      const hidden = 'a%0d%0aSet-Cookie:x%00%1b%5b31m%7f%c2%85b';
      for (const path of [`/${hidden}`, `/v1/cells/${hidden}`, `/v1/formations/by-name/${hidden}`]) {
        const problem = expectProblem(await http.get(path), 'not-found');
        expect(problem.detail).not.toMatch(/\p{Cc}/u);
      }
      expectProblem(await http.get(`/v1/cells?state=${hidden}`), 'bad-request');
    });
  });

  test.each([
    ['/v1/formations', 'GET, HEAD, POST', ['PUT', 'PATCH', 'DELETE']],
    [`/v1/formations/${ID}`, 'GET, HEAD, DELETE', ['PUT', 'PATCH', 'POST']],
    ['/v1/formations/not-an-id', 'GET, HEAD, DELETE', ['PUT', 'POST']],
    ['/v1/formations/by-name/a', 'GET, HEAD, DELETE', ['PUT', 'PATCH', 'POST']],
    [`/v1/formations/${ID}/status`, 'POST', ['GET', 'HEAD', 'PUT', 'DELETE']],
    ['/v1/cells', 'GET, HEAD', ['POST', 'PUT', 'DELETE']],
    ['/v1/cells/a', 'GET, HEAD', ['POST', 'PUT', 'DELETE']],
    ['/v1/events', 'GET, HEAD', ['POST', 'PUT', 'DELETE']],
    ['/v1/version', 'GET, HEAD', ['POST', 'PUT', 'DELETE']],
    ['/ws/events', 'GET, HEAD', ['POST', 'PUT', 'DELETE']],
  ])('HTTP-6 other methods on %s are 405', async (path, allow, methods) => {
    for (const method of methods) {
      const reply = await rig().http.send(method, path);
      expect([method, reply.status]).toEqual([method, 405]);
      expect(listOf(reply.headers['allow'])).toEqual(listOf(allow));
      if (method !== 'HEAD') expectProblem(reply, 'method-not-allowed', { names: [method] });
      expectCors(reply);
    }
  });

  describe('queries', () => {
    test.each([
      '',
      '-1',
      '+1',
      '%2B1',
      '1.0',
      '1e3',
      '0x1',
      '%201',
      '1%20',
      'abc',
      '1%',
      '%D9%A1',
      '18446744073709551616',
      '9'.repeat(40),
    ])('HTTP-12 %j is no unsigned 64-bit integer', async (value) => {
      for (const path of ['/v1/cells?limit=', '/v1/events?limit=', '/v1/events?since='])
        expectProblem(await rig().http.get(path + value), 'bad-request');
    });

    test.each(['0', '1', '007', '%31', '9007199254740993', '18446744073709551615'])(
      'HTTP-12 %j is one',
      async (value) => {
        for (const path of ['/v1/cells?limit=', '/v1/events?limit=', '/v1/events?since='])
          expect((await rig().http.get(path + value)).status).toBe(200);
      },
    );

    test.each([
      'limit=0&limit=0',
      'state=pending&state=pending',
      'formation=&formation=',
      'l%69mit=0&limit=0',
    ])('HTTP-13 /v1/cells?%s is 400', async (query) => {
      expectProblem(await rig().http.get(`/v1/cells?${query}`), 'bad-request');
    });

    test.each(['since=1&since=1', 'limit=1&limit=2', 'subject=%3E&subject=%3E'])(
      'HTTP-13 /v1/events?%s is 400',
      async (query) => {
        expectProblem(await rig().http.get(`/v1/events?${query}`), 'bad-request');
      },
    );

    test('HTTP-11 queries are decoded once; empty pairs are ignored', async () => {
      const { http } = rig();
      const id = unique('cell');
      await rig().publish(cellStarted(id));
      expect(await http.read('/v1/cells?&&limit=0&')).toEqual([]);
      expect(await http.read('/v1/cells?')).not.toEqual([]);
      expect(await http.read('/v1/cells?%6Cimit=%30')).toEqual([]);
      expect(await http.read<unknown[]>('/v1/cells?st%61te=r%75nning&limit=1')).toHaveLength(1);
      expect((await http.get('/v1/events?&&since=0&')).status).toBe(200);
      expectProblem(await http.get('/v1/cells?limit=%2530'), 'bad-request');
    });

    test.each([
      '/v1/cells?state=%ff',
      '/v1/cells?formation=%ff',
      '/v1/events?since=%ff',
      '/v1/events?subject=%ff',
    ])('HTTP-11 %s is not UTF-8', async (path) => {
      expectProblem(await rig().http.get(path), 'bad-request');
    });
  });

  describe('bodies', () => {
    const paths = ['/v1/formations', `/v1/formations/${ID}/status`];

    test.each(paths)('HTTP-15 %s takes 65,536 bytes and not one more', async (path) => {
      const { http } = rig();
      const headers = { 'content-type': 'application/json' };
      for (const [bytes, status] of [
        [LIMIT_BYTES, 400],
        [LIMIT_BYTES + 1, 413],
        [1_000_000, 413],
      ] as const)
        for (const chunked of [false, true]) {
          const reply = await http.send('POST', path, { body: 'x'.repeat(bytes), chunked, headers });
          expect([bytes, chunked, reply.status]).toEqual([bytes, chunked, status]);
          expectProblem(reply, status === 413 ? 'payload-too-large' : 'bad-request');
        }
    });

    test('HTTP-15 a document of exactly 65,536 bytes is admitted', async () => {
      const { http } = rig();
      const document = flatDocument(unique(), { note: '' });
      const note = 'n'.repeat(LIMIT_BYTES - JSON.stringify(document).length);
      const reply = await http.post('/v1/formations', { ...document, note });
      expect(reply.status, reply.text).toBe(201);
      expectProblem(
        await http.post('/v1/formations', { ...document, note: `${note}n` }),
        'payload-too-large',
      );
    });

    test('HTTP-15 the size counts in bytes', async () => {
      const body = JSON.stringify({ state: 'ü'.repeat(LIMIT_BYTES / 2) });
      expectProblem(await rig().http.post(`/v1/formations/${ID}/status`, body), 'payload-too-large');
    });
  });

  const refused = async (bytes: string) => {
    const reply = parseReply(await rig().http.exchange(bytes));
    expect(reply.status).toBeGreaterThanOrEqual(400);
    expect(reply.status).toBeLessThan(500);
    expect(reply.headers['content-type']).toBe('application/problem+json');
    expectCors(reply);
    expectDiscreet(reply.text);
  };

  test.for<[string, keyof Capabilities]>([
    ['BREW /v1/formations HTTP/1.1\r\nHost: a\r\n\r\n', 'parserErrors'],
    ['nonsense\r\n\r\n', 'noHttp'],
    ['GET /v1/version HTTP/1.1\r\n\r\n', 'parserErrors'],
    ['CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n', 'parserErrors'],
  ])('HTTP-2 what the parser refuses is a problem: %j', async ([bytes, capability], context) => {
    requireCapability(context, capabilities[capability]);
    await refused(bytes);
  });

  test('HTTP-2 a head of 40,000 bytes is a problem', async () => {
    await refused(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`);
  });

  test('HTTP-7 OPTIONS without a path', async () => {
    const asterisk = await rig().http.exchange('OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect(parseReply(asterisk).status).toBe(200);
  });

  test('HTTP-7 HTTP/1.0 without a host', async (context) => {
    requireCapability(context, capabilities.parserErrors);
    const old = await rig().http.exchange('GET /v1/version HTTP/1.0\r\n\r\n');
    expect(parseReply(old).status).toBe(401);
  });

  test('HTTP-50 the version', async () => {
    const version = await rig().http.read<{ server: Record<string, string>; api: unknown }>('/v1/version');
    expect(Object.keys(version)).toEqual(['server', 'api']);
    expect(version.api).toEqual({ version: 'v1' });
    const { version: number, buildProfile, ...rest } = version.server;
    expect(number).toMatch(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/);
    expect(['release', 'debug']).toContain(buildProfile);
    expect(Object.keys(rest).filter((key) => key !== 'gitSha')).toEqual([]);
  });

  test('HTTP-51 the feed without an upgrade is 400', async () => {
    expectProblem(await rig().http.get('/ws/events'), 'bad-request');
    expectProblem(await rig().http.get('/ws/events?since=0'), 'bad-request');
  });
}
