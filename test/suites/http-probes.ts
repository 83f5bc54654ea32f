// What machines ask that look after a server, while it serves, starts, and has lost its broker.
import { beforeAll, expect, test } from 'vitest';
import { cellStarted, unique } from '../support/events.ts';
import { expectCors, expectProblem } from '../support/http-client.ts';
import { Broker, findFreePort } from '../support/nats-server.ts';
import { INSTALL_TIMEOUT_MS, installParser, scrape } from '../support/openmetrics.ts';
import { ServerProcess, reportOnFailure } from '../support/server-process.ts';
import type { Rig, Target } from '../support/server-process.ts';
import { timed, until } from '../support/wait.ts';

const PATHS = ['/livez', '/readyz', '/metrics'];

export function probesSuite(rig: () => Rig, target: Target): void {
  beforeAll(installParser, INSTALL_TIMEOUT_MS);

  test.each(PATHS)('OPS-2 %s', async (path) => {
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
          expect(await server.http.read('/readyz')).toMatchObject(what);
          return true;
        },
        { what: JSON.stringify(what), timeoutMs: 10_000 },
      );
    await whenReady({ phase: 'live', event_store: 'connected', cursor: 0 });
    await broker.publish(cellStarted(unique('cell')));
    await whenReady({ phase: 'live', event_store: 'connected', cursor: 1 });
    const present = await scrape(server.http);
    expect(present.value('cellos_broker_connected')).toBe(1);
    expect(present.value('cellos_broker_opens_total')).toBe(1);
    expect(present.value('cellos_lag_events')).toBe(0);

    await broker.kill();
    await whenReady({ phase: 'lost', event_store, cursor: 1 });
    const absent = await scrape(server.http);
    expect(absent.value('cellos_broker_connected')).toBe(0);
    expect(absent.value('cellos_lag_events')).toBeUndefined();
    expect(absent.value('cellos_phase', { cellos_phase: 'lost' })).toBe(1);
    expect(absent.value('cellos_phase', { cellos_phase: 'live' })).toBe(0);
    expect((await server.http.get('/livez')).status).toBe(200);

    await broker.restart();
    await whenReady({ phase: 'live', event_store: 'connected' });
    expect((await scrape(server.http)).value('cellos_broker_opens_total')).toBe(2);
    await server.stop();
    await broker.stop();
  });
}
