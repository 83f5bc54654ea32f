// No broker at the start, none for a while, none that speaks.
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { cellStarted, flatDocument, formationEvent, unique } from '../support/events.ts';
import { refusedUpgrade } from '../support/feed-client.ts';
import { expectCors, expectProblem } from '../support/http-client.ts';
import type { HttpClient } from '../support/http-client.ts';
import { denoTarget } from '../support/deno-server.ts';
import { Broker, findFreePort } from '../support/nats-server.ts';
import { Rig, ServerProcess, nodeTarget, reportOnFailure } from '../support/server-process.ts';
import { workerdTarget } from '../support/workerd-server.ts';
import { timed, until } from '../support/wait.ts';

const START_MS = 2000;
const BACK_MS = 2000;
const WRITE_MS = 5000;
const PAGE_MS = 2000;
/** For the process to be there (workerd comes with miniflare), and for a machine that does something else, too. */
const SLACK_MS: Readonly<Record<string, number>> = { node: 1500, deno: 1500, workerd: 5000 };

async function expectUnwritable(http: HttpClient, formationId?: string): Promise<void> {
  const requests = [() => http.post('/v1/formations', flatDocument(unique()))];
  if (formationId !== undefined)
    requests.push(
      () => http.post(`/v1/formations/${formationId}/status`, { state: 'RUNNING' }),
      () => http.send('DELETE', `/v1/formations/${formationId}`),
    );
  for (const { value, ms } of await Promise.all(requests.map((request) => timed(request())))) {
    expectProblem(value, 'service-unavailable');
    expect(value.headers['retry-after']).toMatch(/^[1-9]\d*$/);
    expectCors(value);
    expect(ms).toBeLessThan(WRITE_MS);
  }
  const { value, ms } = await timed(http.get('/v1/events'));
  expectProblem(value, 'service-unavailable');
  expect(value.headers['retry-after']).toMatch(/^[1-9]\d*$/);
  expect(ms).toBeLessThan(PAGE_MS);
}

async function expectRefusals(http: HttpClient): Promise<void> {
  expectProblem(await http.get('/v1/formations', { authorization: null }), 'unauthorized');
  expectProblem(await http.get('/v1/cells?limit=x'), 'bad-request');
  expectProblem(await http.get('/v1/events?since=x'), 'bad-request');
  expectProblem(await http.get('/nope'), 'not-found');
  expectProblem(await http.get(`/v1/formations/${randomUUID()}`), 'not-found');
  expectProblem(await http.send('PUT', '/v1/formations'), 'method-not-allowed');
  expectProblem(await http.post('/v1/formations', '{'), 'bad-request');
  expectProblem(
    await http.post('/v1/formations', { name: 'a', coordinator: 'b', members: [] }),
    'formation/no-coordinator',
  );
  expectProblem(await http.post('/v1/formations', 'x'.repeat(70_000)), 'payload-too-large');
  expectProblem(await http.send('DELETE', `/v1/formations/${randomUUID()}`), 'not-found');
  expectProblem(await http.post(`/v1/formations/${randomUUID()}/status`, {}), 'bad-request', { status: 422 });
  expectProblem(await refusedUpgrade(http, { query: 'since=x' }), 'bad-request');
}

async function expectEmpty(server: ServerProcess): Promise<void> {
  const { http } = server;
  expect(await http.read('/v1/formations')).toEqual({ formations: [], cursor: 0, epoch: null });
  expect(await http.read('/v1/cells')).toEqual([]);
  expect((await http.get('/v1/version')).status).toBe(200);
  for (const query of ['', 'since=0', 'since=7', 'subject=a..b']) {
    const feed = await server.feed({ query });
    expect(await feed.whenClosed()).toEqual({ code: 1008, reason: 'no upstream broker configured' });
    expect(feed.frames).toEqual([]);
  }
}

describe.each([nodeTarget, denoTarget, workerdTarget])('on $name', (target) => {
  const startMs = START_MS + (SLACK_MS[target.name] as number);
  // The TCP client of NATS is for Node alone.
  const schemes = target === nodeTarget ? (['ws', 'nats'] as const) : (['ws'] as const);
  describe.each(schemes)('over %s', (scheme) => {
    test('RUN-1 RUN-2 RUN-3 FEED-14 LOG-13 LOG-14 absent at the start, arriving later', async () => {
      const [port, websocketPort] = [await findFreePort(), await findFreePort()];
      const url = `${scheme}://127.0.0.1:${scheme === 'ws' ? websocketPort : port}`;
      const { value: server, ms } = await timed(ServerProcess.start(target, { CELLOS_NATS_URL: url }));
      reportOnFailure(server);
      expect(ms).toBeLessThan(startMs);
      await expectEmpty(server);
      await expectRefusals(server.http);
      await expectUnwritable(server.http);

      const broker = await Broker.start({ port, websocketPort });
      const back = await timed(
        until(async () => (await server.http.post('/v1/formations', flatDocument(unique()))).status === 201, {
          what: 'a write to succeed',
        }),
      );
      expect(back.ms).toBeLessThan(BACK_MS);
      // The writes that were refused did not wait for the broker.
      expect(await broker.lastSequence()).toBe(1);
      const rig = new Rig(broker, server);
      const feed = await server.feed({ query: 'since=0' });
      const last = await rig.publish(cellStarted(unique('cell')));
      await feed.whenSequence(last);
      expect(feed.sequences).toEqual([1, 2]);
      const snapshot = await rig.snapshot();
      expect(snapshot.cursor).toBe(2);
      expect(snapshot.formations).toHaveLength(1);
      expect(snapshot.epoch).toBeTypeOf('string');
      expect((await server.http.get('/v1/events')).status).toBe(200);
      await server.stop();
      await broker.stop();
    });
  });

  test('RUN-1 RUN-2 a broker that accepts connections and never speaks', async () => {
    const mute = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
    await once(mute, 'listening');
    const { port } = mute.address() as AddressInfo;
    for (const scheme of schemes) {
      const { value: server, ms } = await timed(
        ServerProcess.start(target, { CELLOS_NATS_URL: `${scheme}://127.0.0.1:${port}` }),
      );
      reportOnFailure(server);
      expect(ms).toBeLessThan(startMs);
      await expectUnwritable(server.http);
      await expectEmpty(server);
      expect((await server.http.get('/v1/formations')).status).toBe(200);
      await server.stop();
    }
    mute.close();
  });

  test('RUN-2 FEED-14 FEED-15 gone for a while: the projection answers, sessions stay', async () => {
    const broker = await Broker.start();
    const server = await ServerProcess.start(target, { CELLOS_NATS_URL: broker.websocketUrl });
    reportOnFailure(server);
    const rig = new Rig(broker, server);
    const formationId = randomUUID();
    const name = unique();
    await rig.publish(
      formationEvent('running', { formationId, formationName: name }),
      cellStarted(unique('cell'), { formationId }),
    );
    const reads = ['/v1/formations', `/v1/formations/${formationId}`, `/v1/formations/${name}`, '/v1/cells'];
    const before = await Promise.all(reads.map((path) => server.http.get(path)));
    const session = await server.feed();

    await broker.kill();
    await expectUnwritable(server.http, formationId);
    await expectRefusals(server.http);
    const during = await Promise.all(reads.map((path) => server.http.get(path)));
    expect(during.map((reply) => [reply.status, reply.text])).toEqual(
      before.map((reply) => [200, reply.text]),
    );
    const late = await server.feed({ query: 'since=0' });
    expect(await late.whenClosed()).toEqual({ code: 1008, reason: 'no upstream broker configured' });
    expect(session.closing).toBeNull();

    await broker.restart();
    const last = await broker.publish('"back"');
    await session.whenSequence(last, BACK_MS);
    expect(session.sequences).toEqual([3]);
    await rig.whenApplied(last, BACK_MS);
    expect((await rig.snapshot()).epoch).toBe((JSON.parse(before[0]?.text ?? '') as { epoch: string }).epoch);
    expect(
      (await server.http.post(`/v1/formations/${formationId}/status`, { state: 'DEGRADED' })).status,
    ).toBe(204);
    await server.stop();
    await broker.stop();
  });
});
