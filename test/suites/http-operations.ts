// What operators look at, over HTTP: probes, metrics as an independent parser reads them, and a line of the log per request.
import { beforeAll, describe, expect, test } from 'vitest';
import { cellStarted, flatDocument, unique } from '../support/events.ts';
import { EventStreamClient } from '../support/event-stream.ts';
import { FeedClient, refusedUpgrade } from '../support/feed-client.ts';
import { expectCors, expectProblem } from '../support/http-client.ts';
import type { Reply } from '../support/http-client.ts';
import { Broker, findFreePort } from '../support/nats-server.ts';
import { installParser, parseMetrics } from '../support/openmetrics.ts';
import type { ParsedMetrics, Sample } from '../support/openmetrics.ts';
import { ServerProcess, reportOnFailure } from '../support/server-process.ts';
import type { Rig, Target } from '../support/server-process.ts';
import { timed, until } from '../support/wait.ts';

const INSTALL_TIMEOUT_MS = 150_000;
const PROBES = ['/livez', '/readyz', '/metrics'];

/** `operator` is what the server was started with. */
export function operationsSuite(rig: () => Rig, target: Target, operator: string): void {
  beforeAll(installParser, INSTALL_TIMEOUT_MS);
  describe('probes', () => probes(rig, target));
  describe('metrics', () => metrics(rig));
  describe('requests in the log', () => requestLines(rig, operator));
}

const body = (reply: Reply) => JSON.parse(reply.text) as Record<string, unknown>;

async function scrape({ http }: Pick<ServerProcess, 'http'>): Promise<ParsedMetrics> {
  const reply = await http.get('/metrics');
  expect(reply.status, reply.text).toBe(200);
  return parseMetrics(reply.text);
}

function probes(rig: () => Rig, target: Target): void {
  test.each(PROBES)('OPS-2 %s', async (path) => {
    const { http } = rig();
    expectProblem(await http.get(path, { authorization: null }), 'unauthorized');
    expectProblem(await http.get(path, { authorization: 'Bearer wrong' }), 'unauthorized');
    const reply = await http.get(path);
    expect([reply.status, reply.headers['cache-control']]).toEqual([200, 'no-store']);
    expectCors(reply);
    const head = await http.send('HEAD', path);
    expect([head.status, head.text]).toEqual([200, '']);
    const put = await http.send('PUT', path);
    expectProblem(put, 'method-not-allowed');
    expect(put.headers['allow']).toBe('GET, HEAD');
    expectProblem(await http.get(`${path}/`), 'not-found');
  });

  test('OPS-3 OPS-4 a server that serves', async () => {
    const { http } = rig();
    expect(await http.read('/livez')).toEqual({ status: 'alive' });
    const cursor = await rig().publish(cellStarted(unique('cell')));
    const ready = { status: 'ready', phase: 'live', event_store: 'connected', cursor };
    expect(await http.read('/readyz')).toEqual(ready);
  });

  test('OPS-3 OPS-4 OPS-5 OPS-13 a server that starts without its broker, which comes and goes', async () => {
    const websocketPort = await findFreePort();
    const server = await ServerProcess.spawn(target, {
      CELLOS_NATS_URL: `ws://127.0.0.1:${websocketPort}`,
    });
    reportOnFailure(server);
    const { value: first, ms } = await until(() => timed(server.http.get('/readyz')), {
      what: 'the port to be listened on',
      timeoutMs: 15_000,
    });
    const { phase, cursor, target: tail } = expectProblem(first, 'service-unavailable');
    expect([phase, cursor, tail]).toEqual(['starting', 0, null]);
    expect(first.headers['retry-after']).toMatch(/^\d+$/);
    // Everything else would be held there where requests are held.
    expect(ms).toBeLessThan(2000);
    expect((await server.http.get('/livez')).status).toBe(200);

    const event_store = 'away';
    await server.whenReady();
    const lonely = { status: 'ready', phase: 'offline', event_store, cursor: 0 };
    expect(await server.http.read('/readyz')).toEqual(lonely);

    const broker = await Broker.start({ websocketPort });
    const whenReady = (what: Record<string, unknown>) =>
      until(
        async () => {
          expect(body(await server.http.get('/readyz'))).toMatchObject(what);
          return true;
        },
        { what: JSON.stringify(what), timeoutMs: 10_000 },
      );
    await whenReady({ phase: 'live', event_store: 'connected', cursor: 0 });
    await broker.publish(cellStarted(unique('cell')));
    await whenReady({ phase: 'live', event_store: 'connected', cursor: 1 });
    const present = await scrape(server);
    expect(present.value('cellos_broker_connected')).toBe(1);
    expect(present.value('cellos_broker_opens_total')).toBe(1);
    expect(present.value('cellos_lag_events')).toBe(0);

    await broker.kill();
    await whenReady({ phase: 'lost', event_store, cursor: 1 });
    const absent = await scrape(server);
    expect(absent.value('cellos_broker_connected')).toBe(0);
    expect(absent.value('cellos_lag_events')).toBeUndefined();
    expect(absent.value('cellos_phase', { cellos_phase: 'lost' })).toBe(1);
    expect(absent.value('cellos_phase', { cellos_phase: 'live' })).toBe(0);
    expect((await server.http.get('/livez')).status).toBe(200);

    await broker.restart();
    await whenReady({ phase: 'live', event_store: 'connected' });
    expect((await scrape(server)).value('cellos_broker_opens_total')).toBe(2);
    await server.stop();
    await broker.stop();
  });
}

function metrics(rig: () => Rig): void {
  test('OPS-10 the formats', async () => {
    const { http } = rig();
    const modern = await http.get('/metrics', {
      headers: { accept: 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3' },
    });
    expect(modern.headers['content-type']).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
    expect(modern.text.endsWith('\n# EOF\n')).toBe(true);
    const old = await http.get('/metrics', { headers: { accept: 'text/plain;version=0.0.4' } });
    expect(old.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(old.text).not.toContain('# EOF');
    const [parsed, older] = [await parseMetrics(modern.text), await parseMetrics(old.text, 'text')];
    expect(parsed.families.size).toBeGreaterThan(15);
    for (const { name, type, help } of parsed.families.values()) {
      expect(name).toMatch(/^cellos_[a-z_]+$/);
      expect([name, type]).not.toEqual([name, 'unknown']);
      expect(help).toMatch(/^[A-Za-z].*\.$/);
    }
    expect(older.families.size).toBe(parsed.families.size);
    expect(older.value('cellos_formations')).toBe(parsed.value('cellos_formations'));
  });

  test('OPS-11 OPS-12 OPS-13 position, events, records, broker', async () => {
    const before = await scrape(rig());
    const seq = await rig().publish(cellStarted(unique('cell')), cellStarted(unique('cell')), 'no JSON');
    const after = await scrape(rig());
    const grown = (name: string, labels?: Record<string, string>) =>
      (after.value(name, labels) ?? NaN) - (before.value(name, labels) ?? NaN);
    expect(after.value('cellos_cursor')).toBe(seq);
    expect(after.value('cellos_lag_events')).toBe(0);
    expect(after.value('cellos_phase', { cellos_phase: 'live' })).toBe(1);
    expect(after.value('cellos_replay_target')).toBeLessThanOrEqual(seq);
    expect(after.value('cellos_replay_duration_seconds')).toBeGreaterThanOrEqual(0);
    expect(grown('cellos_events_total', { outcome: 'applied' })).toBe(2);
    expect(grown('cellos_events_total', { outcome: 'skipped' })).toBe(1);
    expect(grown('cellos_cells')).toBe(2);
    expect(grown('cellos_formations')).toBe(0);
    expect(grown('cellos_feed_ring_bytes')).toBeGreaterThan(0);
    expect(after.value('cellos_broker_connected')).toBe(1);
    expect(after.value('cellos_broker_opens_total')).toBe(1);
    expect(after.value('cellos_broker_silence_seconds')).toBeLessThan(10);
    expect(after.value('cellos_build_info', { version: '0.1.0' })).toBe(1);
    expect(Date.now() / 1000 - (after.value('cellos_start_time_seconds') ?? 0)).toBeLessThan(600);
  });

  test('OPS-12 sessions, and why the server ended them', async () => {
    const before = await scrape(rig());
    const feed = await rig().server.feed();
    const stream = await EventStreamClient.open(rig().http);
    const during = await scrape(rig());
    const change = (after: ParsedMetrics, name: string, labels?: Record<string, string>) =>
      (after.value(name, labels) ?? NaN) - (before.value(name, labels) ?? NaN);
    expect(change(during, 'cellos_feed_sessions')).toBe(2);
    expect(change(during, 'cellos_feed_sessions_opened_total')).toBe(2);
    stream.close();
    await feed.close();
    const stale = await rig().server.feed({ query: 'epoch=another' });
    expect((await stale.whenClosed()).code).toBe(4410);
    await until(
      async () => {
        // Where a runtime does not tell that the client of a stream has left, writing to it does.
        await rig().broker.publish(cellStarted(unique('cell')));
        return change(await scrape(rig()), 'cellos_feed_sessions') === 0;
      },
      { what: 'the sessions to be gone' },
    );
    const after = await scrape(rig());
    const ended = (reason: string) => change(after, 'cellos_feed_sessions_ended_total', { reason });
    expect([ended('rehydrate'), ended('slow-consumer'), ended('shutdown')]).toEqual([1, 0, 0]);
  });

  test('OPS-15 OPS-16 requests by route, method and status', async () => {
    const { http } = rig();
    const before = await scrape(rig());
    const name = unique();
    await http.post('/v1/formations', flatDocument(name));
    await http.post('/v1/formations', flatDocument(name));
    for (let n = 0; n < 3; n++) await http.get(`/v1/formations/by-name/${name}`);
    await http.send('HEAD', '/v1/cells/unheard-of');
    await http.send('PATCH', '/v1/cells/x');
    await http.get(`/nowhere/${name}`);
    const after = await scrape(rig());
    const counted = (route: string, method: string, status: number) => {
      const labels = { route, method, status: String(status) };
      const value = (of: ParsedMetrics) => of.value('cellos_http_requests_total', labels) ?? 0;
      return value(after) - value(before);
    };
    const timedAt = (route: string, method: string) => {
      const value = (of: ParsedMetrics) =>
        of.value('cellos_http_request_duration_seconds_count', { route, method }) ?? 0;
      return value(after) - value(before);
    };
    // A gate in front has refused some of it; what it forwards the server counts.
    expect(counted('/v1/formations', 'POST', 201)).toBe(1);
    expect(counted('/v1/formations', 'POST', 409)).toBe(1);
    expect(timedAt('/v1/formations', 'POST')).toBe(2);
    expect(counted('/v1/formations/by-name/{name}', 'GET', 200)).toBe(3);
    expect(timedAt('/v1/formations/by-name/{name}', 'GET')).toBe(3);
    expect(counted('/v1/cells/{id}', 'HEAD', 404)).toBe(1);
    expect(counted('/metrics', 'GET', 200)).toBe(1);
    const labels = after.samples.flatMap((sample) => Object.values(sample.labels)).join(' ');
    for (const made of [name, 'unheard-of', 'nowhere', 'PATCH', http.token]) {
      expect(labels).not.toContain(made);
    }
    const route = '/v1/formations/by-name/{name}';
    const isAsked = ({ name: sample, labels: own }: Sample) =>
      sample.endsWith('_bucket') && own['route'] === route && own['method'] === 'GET';
    const durations = after.families.get('cellos_http_request_duration_seconds');
    const buckets = durations?.samples.filter(isAsked) ?? [];
    const values = buckets.map((sample) => sample.value);
    expect(values).toEqual(values.toSorted((a, b) => a - b));
    expect(buckets.at(-1)).toMatchObject({
      labels: { le: '+Inf' },
      value: after.value('cellos_http_request_duration_seconds_count', { route, method: 'GET' }),
    });
  });
}

interface RequestLine {
  readonly id: string;
  readonly [member: string]: unknown;
}

function requestLines(rig: () => Rig, operator: string): void {
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
