// Several servers on one broker, two on Deno and one on Node: nothing but the log is between them.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { denoTarget } from '../support/deno-server.ts';
import { cellDestroyed, cellStarted, flatDocument, formationEvent, unique } from '../support/events.ts';
import { Broker } from '../support/nats-server.ts';
import { Rig, ServerProcess, nodeTarget } from '../support/server-process.ts';
import { until } from '../support/wait.ts';

const TARGETS = [denoTarget, denoTarget, nodeTarget];
const ROUNDS = 30;
const SEEN_ELSEWHERE_MS = 100;
/** Of the measurements that have to hold: the machine does something else, too. */
const SHARE = 0.95;

let broker: Broker;
let servers: ServerProcess[];
beforeAll(async () => {
  broker = await Broker.start();
  servers = await Promise.all(
    TARGETS.map((target) => ServerProcess.start(target, { CELLOS_NATS_URL: broker.websocketUrl })),
  );
});
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await broker.stop();
});

/** Every server's lists, once they have all of the log. */
async function expectSameViews(): Promise<void> {
  const last = await broker.lastSequence();
  await Promise.all(servers.map((server) => new Rig(broker, server).whenApplied(last)));
  for (const path of ['/v1/formations', '/v1/cells', '/v1/events?since=0&limit=1000']) {
    const [first, ...others] = await Promise.all(servers.map((server) => server.http.get(path)));
    expect(first?.status).toBe(200);
    for (const other of others) expect(other.text).toBe(first?.text);
  }
}

test('DENO-4 what was published and what each of them wrote is one view, byte for byte', async () => {
  const formationId = crypto.randomUUID();
  await broker.publishAll([
    formationEvent('running', { formationId, formationName: unique() }),
    cellStarted(unique('cell'), { formationId }),
    'no json',
    ...Array.from({ length: 50 }, () => cellStarted(unique('cell'))),
  ]);
  const cell = unique('cell');
  await broker.publishAll([cellStarted(cell), cellDestroyed(cell)]);
  for (const { http } of servers) {
    const name = unique();
    const created = await http.post('/v1/formations', flatDocument(name));
    expect(created.status, created.text).toBe(201);
    const { id } = JSON.parse(created.text) as { id: string };
    expect((await http.post(`/v1/formations/${id}/status`, { state: 'RUNNING' })).status).toBe(204);
    expect((await http.send('DELETE', `/v1/formations/by-name/${name}`)).status).toBe(204);
  }
  await expectSameViews();
});

test('DENO-4 what one admits the others serve within 100 ms', async () => {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const [writer, ...readers] = servers.map((_, index) => servers[(index + round) % servers.length]) as [
      ServerProcess,
      ...ServerProcess[],
    ];
    const created = await writer.http.post('/v1/formations', flatDocument(unique()));
    const at = performance.now();
    expect(created.status, created.text).toBe(201);
    const { id } = JSON.parse(created.text) as { id: string };
    await Promise.all(
      readers.map(async ({ http }) => {
        await until(async () => (await http.get(`/v1/formations/${id}`)).status === 200, {
          what: 'the formation to be served elsewhere',
          pollMs: 1,
        });
        times.push(performance.now() - at);
      }),
    );
  }
  const sorted = times.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] as number;
  const most = sorted[Math.floor(sorted.length * SHARE)] as number;
  console.log(
    `seen elsewhere after ${median.toFixed(1)} ms, ${most.toFixed(1)} ms, ${sorted.at(-1)?.toFixed(1)} ms`,
  );
  expect(most).toBeLessThan(SEEN_ELSEWHERE_MS);
});

test('DENO-4 ADM-27 of simultaneous submissions of one name to all of them one succeeds', async () => {
  for (let round = 0; round < 10; round += 1) {
    const name = unique('raced');
    const replies = await Promise.all(
      Array.from({ length: 4 }, () => servers)
        .flat()
        .map(({ http }) => http.post('/v1/formations', flatDocument(name))),
    );
    const winner = replies.filter((reply) => reply.status === 201);
    expect(winner).toHaveLength(1);
    const { id } = JSON.parse(winner[0]?.text ?? '') as { id: string };
    for (const reply of replies.filter((one) => one.status !== 201)) {
      expect(reply.status, reply.text).toBe(409);
      expect(reply.text).toContain(id);
    }
  }
  await expectSameViews();
});

test('OUT-15 OUT-16 a request is known to all of them, also when they have started anew', async () => {
  const key = () => ({ headers: { 'idempotency-key': crypto.randomUUID() } });
  const requests: (() => Parameters<(typeof servers)[number]['http']['send']>)[] = [];
  const [{ http }] = servers as [ServerProcess];
  const { id } = JSON.parse((await http.post('/v1/formations', flatDocument(unique()))).text) as {
    id: string;
  };
  for (const path of [`/v1/formations/${id}/status`, `/v1/formations/${id}`, '/v1/formations']) {
    const method = path.endsWith(id) ? 'DELETE' : 'POST';
    const body = path.endsWith('status') ? '{"state":"RUNNING"}' : JSON.stringify(flatDocument(unique()));
    const { headers } = key();
    const all = { ...headers, ...(method === 'POST' ? { 'content-type': 'application/json' } : {}) };
    requests.push(() => [method, path, { headers: all, ...(method === 'POST' ? { body } : {}) }]);
  }
  const answers: string[] = [];
  const ask = async (server: ServerProcess, request: (typeof requests)[number]) => {
    const { status, text, headers } = await server.http.send(...request());
    return {
      answer: `${status} ${text} ${headers['cellos-cursor']}`,
      replayed: headers['idempotent-replayed'],
    };
  };
  for (const [at, request] of requests.entries()) {
    // Written here, and sent again at once elsewhere.
    const first = await ask(servers[at % servers.length] as ServerProcess, request);
    expect(first.replayed).toBeUndefined();
    answers.push(first.answer);
    for (const server of servers)
      expect(await ask(server, request)).toEqual({ answer: first.answer, replayed: 'true' });
  }
  const last = await broker.lastSequence();
  await Promise.all(servers.map((server) => server.stop()));
  servers = await Promise.all(
    TARGETS.map((target) => ServerProcess.start(target, { CELLOS_NATS_URL: broker.websocketUrl })),
  );
  for (const [at, request] of requests.entries()) {
    for (const server of servers)
      expect(await ask(server, request)).toEqual({ answer: answers[at], replayed: 'true' });
    const [method, path, options] = request();
    if (method === 'DELETE') continue;
    const other = await (servers[at] as ServerProcess).http.send(method, path, {
      ...options,
      body: '{"state":"FAILED"}',
    });
    // A document that is none is refused before anything is looked up.
    expect(other.status).toBe(path === '/v1/formations' ? 400 : 422);
  }
  expect(await broker.lastSequence()).toBe(last);
});

test('HTTP-61 OUT-19 what one has just written the others read and change without waiting for it', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const [writer, reader, third] = servers.map((_, at) => servers[(at + round) % servers.length]) as [
      ServerProcess,
      ServerProcess,
      ServerProcess,
    ];
    const name = unique();
    const created = await writer.http.post('/v1/formations', flatDocument(name));
    const cursor = created.headers['cellos-cursor'];
    const { id } = JSON.parse(created.text) as { id: string };
    const read = await reader.http.get(`/v1/formations/${id}?min_cursor=${cursor}`);
    expect(read.status, read.text).toBe(200);
    const condition = { headers: { 'if-match': read.headers.etag as string } };
    const moved = await third.http.post(`/v1/formations/${id}/status`, { state: 'RUNNING' }, condition);
    expect(moved.status, moved.text).toBe(204);
    const stale = await writer.http.post(`/v1/formations/${id}/status`, { state: 'FAILED' }, condition);
    expect(stale.status, stale.text).toBe(412);
    expect((await reader.http.send('DELETE', `/v1/formations/by-name/${name}`)).status).toBe(204);
    const again = await third.http.post('/v1/formations', flatDocument(name));
    expect(again.status, again.text).toBe(201);
    const taken = await writer.http.post('/v1/formations', flatDocument(name));
    expect(taken.status).toBe(409);
    expect(taken.text).toContain((JSON.parse(again.text) as { id: string }).id);
  }
  await expectSameViews();
});

test('DENO-4 a feed goes on at another server where the first one ended', async () => {
  const [first, second] = servers as [ServerProcess, ServerProcess, ServerProcess];
  const feed = await first.feed({ query: 'since=0' });
  const before = await broker.publish('"before"');
  await feed.whenSequence(before);
  await feed.close();
  const moved = await second.feed({ query: `since=${before}` });
  const after = await broker.publish('"after"');
  await moved.whenSequence(after);
  expect(moved.sequences).toEqual([after]);
  await moved.close();
});
