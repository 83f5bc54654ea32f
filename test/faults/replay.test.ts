// What the server is when it has started: complete, the same as before, and gentle to the stream it found.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { cellDestroyed, cellStarted, flatDocument, formationEvent, unique } from '../support/events.ts';
import { expectProblem } from '../support/http-client.ts';
import type { Reply } from '../support/http-client.ts';
import { Broker, STREAM } from '../support/nats-server.ts';
import { Rig, ServerProcess, nodeTarget, reportOnFailure } from '../support/server-process.ts';
import { until } from '../support/wait.ts';

const DAY_NS = 24 * 3600 * 1e9;

async function start(broker: Broker, environment: Record<string, string> = {}): Promise<ServerProcess> {
  const server = await ServerProcess.start(nodeTarget, {
    CELLOS_NATS_URL: broker.websocketUrl,
    ...environment,
  });
  reportOnFailure(server);
  return server;
}

test('LOG-1 LOG-3 the stream it creates, and its consumers', async () => {
  const broker = await Broker.start();
  const server = await start(broker);
  const { config } = await broker.info();
  expect(config).toMatchObject({
    name: STREAM,
    subjects: ['cellos.events.>'],
    retention: 'limits',
    storage: 'file',
    max_age: 90 * DAY_NS,
    duplicate_window: 120 * 1e9,
    num_replicas: 1,
    max_msgs: -1,
    max_bytes: -1,
  });
  const consumers = await broker.consumers();
  expect(consumers).toHaveLength(1);
  expect(consumers[0]?.config).toMatchObject({ ack_policy: 'none', inactive_threshold: 300 * 1e9 });
  expect(consumers[0]?.config.durable_name).toBeUndefined();
  await server.stop();
  expect(await broker.consumers()).toEqual([]);
  await broker.stop();
});

test('LOG-2 a stream that is there is used as it is', async () => {
  const broker = await Broker.start();
  const manager = await broker.manager();
  await manager.streams.add({
    name: STREAM,
    subjects: ['cellos.events.>', 'other.>'],
    max_age: DAY_NS,
    max_msgs: 50,
  });
  const before = (await broker.info()).config;
  const server = await start(broker);
  expect((await server.http.post('/v1/formations', flatDocument(unique()))).status).toBe(201);
  await server.stop();
  expect((await broker.info()).config).toEqual(before);
  await broker.stop();
});

test('RUN-1 LOG-8 until the replay is complete everything is 503; what is published meanwhile is there once', async () => {
  const broker = await Broker.start();
  const first = await start(broker);
  const cells = Array.from({ length: 10_000 }, (_, index) => `cell-${String(index).padStart(5, '0')}`);
  const there = await broker.publishAll(cells.flatMap((cell) => [cellStarted(cell), cellDestroyed(cell)]));
  await first.stop();

  const server = await ServerProcess.spawn(nodeTarget, { CELLOS_NATS_URL: broker.websocketUrl });
  reportOnFailure(server);
  const publishing = broker.publishAll(Array.from({ length: 2000 }, () => cellStarted(unique('meanwhile'))));
  let waited = 0;
  const answer = await until<Reply>(
    async () => {
      const reply = await server.http.get('/v1/formations');
      if (reply.status === 200) return reply;
      expectProblem(reply, 'service-unavailable');
      expect(reply.headers['retry-after']).toMatch(/^[1-9]\d*$/);
      waited += 1;
      return undefined;
    },
    { what: 'the first answer', timeoutMs: 20_000, pollMs: 2 },
  );
  console.log(`503 was answered ${waited} times`);
  expect((JSON.parse(answer.text) as { cursor: number }).cursor).toBeGreaterThanOrEqual(there);
  const rig = new Rig(broker, server);
  await rig.whenApplied(await publishing);
  const projected = await server.http.read<{ id: string; state: string }[]>('/v1/cells');
  expect(projected).toHaveLength(cells.length + 2000);
  expect(projected.slice(0, cells.length).map((cell) => `${cell.id} ${cell.state}`)).toEqual(
    cells.map((cell) => `${cell} destroyed`),
  );
  await server.stop();
  await broker.stop();
});

test('PRJ-5 OUT-5 LOG-13 a server that starts again shows the same, under the same epoch', async () => {
  const broker = await Broker.start();
  const server = await start(broker, { CELLOS_SERVER_OPERATOR_ID: 'first' });
  const rig = new Rig(broker, server);
  const formations = [];
  for (const note of [1, 2, 3]) {
    const reply = await server.http.post('/v1/formations', { ...flatDocument(unique()), note });
    formations.push((JSON.parse(reply.text) as { id: string }).id);
  }
  const [first, second, third] = formations as [string, string, string];
  await server.http.post(`/v1/formations/${first}/status`, {
    state: 'DEGRADED',
    reason: 'r',
    failed_cells: ['worker'],
  });
  await server.http.send('DELETE', `/v1/formations/${second}`);
  await rig.publish(
    cellStarted(unique('cell'), { formationId: third }),
    cellStarted(unique('cell'), { specId: '' }),
    formationEvent('cancelled', { formationId: randomUUID(), formationName: unique() }),
    'no json',
    '{"type":"unknown"}',
  );
  const read = (one: ServerProcess) =>
    Promise.all(
      ['/v1/formations', '/v1/cells', `/v1/formations/${first}`].map(
        async (path) => (await one.http.get(path)).text,
      ),
    );
  const before = await read(server);
  await server.stop();
  const again = await start(broker);
  expect(await read(again)).toEqual(before);
  await broker.kill();
  await broker.restart();
  await new Rig(broker, again).publish('1');
  const other = await start(broker, { CELLOS_NATS_URL: broker.url });
  for (const one of [again, other])
    expect((await new Rig(broker, one).snapshot()).epoch).toBe(
      (JSON.parse(before[0] as string) as { epoch: string }).epoch,
    );
  await again.stop();
  await other.stop();
  await broker.stop();
});
