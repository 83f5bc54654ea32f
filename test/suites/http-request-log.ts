// A line of the log for each request, and the id that it shares with the answer.
import { expect, test } from 'vitest';
import { flatDocument, unique } from '../support/events.ts';
import { EventStreamClient } from '../support/event-stream.ts';
import { FeedClient, refusedUpgrade } from '../support/feed-client.ts';
import type { Rig } from '../support/server-process.ts';
import { until } from '../support/wait.ts';

interface RequestLine {
  readonly id: string;
  readonly [member: string]: unknown;
}

/** `operator` is what the server was started with. */
export function requestLogSuite(rig: () => Rig, operator: string): void {
  /** The request lines of an id. They are written behind the answer, and those of a gate by another isolate. */
  const linesOf = async (id: string) => {
    const found = () =>
      rig()
        .server.log.split('\n')
        .filter((line) => line.includes('"message":"request"'))
        .map((line) => ({ line, parsed: JSON.parse(line) as RequestLine }))
        .filter(({ parsed }) => parsed.id === id);
    await until(() => found().length > 0, { what: `a line of ${id}` });
    // Whatever would be written twice has been written when the line of a later request is there.
    const later = unique('later');
    await rig().http.get('/v1/version', { headers: { 'x-request-id': later } });
    await until(() => rig().server.log.includes(later), { what: 'the line of a later request' });
    return found();
  };
  const send = async (method: string, path: string, options: Parameters<Rig['http']['send']>[2] = {}) => {
    const id = unique('request');
    const headers = { 'x-request-id': id, ...options.headers };
    const reply = await rig().http.send(method, path, { ...options, headers });
    expect(reply.headers['x-request-id']).toBe(id);
    return { id, reply };
  };
  const expectLine = async (id: string, expected: Record<string, unknown>) => {
    const lines = await linesOf(id);
    expect(lines).toHaveLength(1);
    const parsed = lines[0]?.parsed as RequestLine;
    const members = ['time', 'level', 'message', 'id', 'operator', 'method', 'route', 'status', 'ms'];
    expect(Object.keys(parsed)).toEqual(members);
    expect(parsed).toMatchObject({ level: 'info', message: 'request', id, ...expected });
    expect(parsed['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(parsed['ms']).toBeGreaterThanOrEqual(0);
    expect(parsed['ms']).toBeLessThan(10_000);
    return lines[0]?.line ?? '';
  };

  test('OPS-20 OPS-21 OPS-22 each request is one line', async () => {
    const name = unique();
    const document = { body: JSON.stringify(flatDocument(name)) };
    const anonymous = { authorization: null };
    const sent = [
      { what: await send('POST', '/v1/formations', document), route: '/v1/formations', status: 201 },
      { what: await send('POST', '/v1/formations', document), route: '/v1/formations', status: 409 },
      { what: await send('POST', '/v1/formations', { body: '{' }), route: '/v1/formations', status: 400 },
      {
        what: await send('GET', `/v1/formations/by-name/${name}?min_cursor=1&q=${name}`),
        route: '/v1/formations/by-name/{name}',
        status: 200,
      },
      { what: await send('HEAD', '/v1/cells?limit=1'), route: '/v1/cells', status: 200 },
      { what: await send('GET', '/v1/cells?limit=x'), route: '/v1/cells', status: 400 },
      { what: await send('PUT', '/v1/cells'), route: '/v1/cells', status: 405 },
      { what: await send('GET', `/nope/${name}`), route: null, status: 404 },
      { what: await send('GET', '/livez'), route: '/livez', status: 200 },
      { what: await send('GET', '/v1/cells/x', anonymous), route: '/v1/cells/{id}', status: 401 },
      { what: await send('OPTIONS', '/v1/cells', anonymous), route: '/v1/cells', status: 200 },
    ];
    const methods = 'POST POST POST GET HEAD GET PUT GET GET GET OPTIONS'.split(' ');
    for (const [at, { what, route, status }] of sent.entries()) {
      expect(what.reply.status).toBe(status);
      const isAnonymous = status === 401 || methods[at] === 'OPTIONS';
      const line = await expectLine(what.id, {
        operator: isAnonymous ? null : operator,
        method: methods[at],
        route,
        status,
      });
      // OPS-23
      for (const secret of [name, rig().http.token, 'min_cursor', 'nope']) expect(line).not.toContain(secret);
    }
  });

  test('OPS-21 OPS-22 upgrades and streams too', async () => {
    const [opened, refused, streamed] = [unique('request'), unique('request'), unique('request')];
    const upgrade = await refusedUpgrade(rig().http, { handshake: { 'x-request-id': opened } });
    expect([upgrade.status, upgrade.headers['x-request-id']]).toEqual([101, opened]);
    await expectLine(opened, { operator, method: 'GET', route: '/ws/events', status: 101 });
    const no = await refusedUpgrade(rig().http, {
      query: 'since=x',
      handshake: { 'x-request-id': refused },
    });
    expect([no.status, no.headers['x-request-id']]).toEqual([400, refused]);
    await expectLine(refused, { operator, method: 'GET', route: '/ws/events', status: 400 });
    const stream = await EventStreamClient.open(rig().http, '', { 'x-request-id': streamed });
    expect([stream.status, stream.headers['x-request-id']]).toEqual([200, streamed]);
    // While it goes on.
    await expectLine(streamed, { operator, method: 'GET', route: '/v1/events', status: 200 });
    stream.close();
  });

  test('OPS-20 an id that is none is not taken over', async () => {
    const taken = ['x', '!"#$%&\\~', 'a'.repeat(128)];
    for (const id of taken) {
      const reply = await rig().http.get('/v1/version', { headers: { 'x-request-id': id } });
      expect(reply.headers['x-request-id']).toBe(id);
      expect((await linesOf(id)).length).toBeGreaterThan(0);
    }
    const made = new Set<unknown>();
    const others = ['', 'a b', 'a\tb', 'a'.repeat(129), 'ü', undefined];
    for (const id of others) {
      const reply = await rig().http.get('/v1/version', {
        headers: id === undefined ? {} : { 'x-request-id': id },
      });
      const given = reply.headers['x-request-id'];
      expect(given).toMatch(/^[0-9a-f]{16}-[0-9a-z]+$/);
      expect(await linesOf(String(given))).toHaveLength(1);
      made.add(given);
    }
    expect(made.size).toBe(others.length);
  });

  test('OPS-23 CFG-9 the log holds no token', async () => {
    const { http } = rig();
    const protocol = `cellos.bearer.${Buffer.from(http.token).toString('base64url')}`;
    const feed = await FeedClient.open(http.port, http.token, {
      authorization: null,
      protocols: ['cellos.v1', protocol],
    });
    feed.socket.terminate();
    await http.get(`/v1/cells/${encodeURIComponent(http.token)}?limit=${encodeURIComponent(http.token)}`);
    await linesOf(String((await http.get('/v1/version')).headers['x-request-id']));
    expect(rig().server.log).not.toContain(http.token);
    expect(rig().server.log).not.toContain(protocol);
  });
}
