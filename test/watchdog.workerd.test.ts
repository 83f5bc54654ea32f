// The object's alarm, with a clock that is put forward: it starts a dead tail anew and renews a connection that has grown old. In
// workerd alone: only there do test and object share a clock and is there an alarm to run.
import { env, runDurableObjectAlarm } from 'cloudflare:test';
import { connect, type JetStreamManager, type NatsConnection } from 'nats.ws';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';

const STREAM = 'CELLOS_EVENTS';
const stub = env.CONTROL_PLANE.getByName('control-plane');
const { now } = Date;

let nats: NatsConnection;
let manager: JetStreamManager;
const lines: string[] = [];
const frames: number[] = [];

const request = (path: string, headers: Record<string, string> = {}) =>
  stub.fetch(
    new Request(`http://object${path}`, {
      headers: { authorization: `Bearer ${env.CELLOS_SERVER_API_TOKEN}`, ...headers },
    }),
  );

async function publish(): Promise<number> {
  const { seq } = await nats.jetstream().publish('cellos.events.v1', '{"type":"tick"}');
  return seq;
}

async function consumerName(): Promise<string> {
  const consumers = await manager.consumers.list(STREAM).next();
  expect(consumers).toHaveLength(1);
  return consumers[0]?.name ?? '';
}

const whenFrame = (seq: number) =>
  vi.waitFor(() => expect(frames.at(-1)).toBe(seq), { timeout: 5000, interval: 20 });

const putForward = (ms: number) => vi.spyOn(Date, 'now').mockImplementation(() => now() + ms);

beforeAll(async () => {
  vi.spyOn(console, 'log').mockImplementation((line: unknown) => void lines.push(String(line)));
  expect((await request('/v1/version')).status).toBe(200);
  nats = await connect({ servers: env.CELLOS_NATS_URL });
  manager = await nats.jetstreamManager({ checkAPI: false });
  const { webSocket } = await request('/ws/events', {
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  });
  webSocket?.addEventListener('message', ({ data }) => {
    frames.push((JSON.parse(String(data)) as { seq: number }).seq);
  });
  webSocket?.accept();
});
beforeEach(async () => {
  lines.length = 0;
  await whenFrame(await publish());
});
afterEach(() => {
  vi.mocked(Date.now).mockRestore();
});
afterAll(async () => {
  vi.restoreAllMocks();
  await nats.close();
});

test('CF-50 a quiet tail is left alone, and the alarm is set again', async () => {
  const before = await consumerName();
  putForward(0);
  expect(await runDurableObjectAlarm(stub)).toBe(true);
  expect(await runDurableObjectAlarm(stub)).toBe(true);
  expect(await consumerName()).toBe(before);
  expect(lines).toEqual([]);
});

test('CF-51 a tail that is dead is started anew; its sessions go on', async () => {
  const before = await consumerName();
  putForward(31_000);
  expect(await runDurableObjectAlarm(stub)).toBe(true);
  expect(lines.some((line) => line.includes('"level":"error"') && line.includes('the tail is dead'))).toBe(
    true,
  );
  await whenFrame(await publish());
  expect(await consumerName()).not.toBe(before);
  expect(frames).toEqual(frames.map((_, at) => (frames[0] as number) + at));
  expect((await request('/v1/formations')).status).toBe(200);
});

test('CF-52 a connection is renewed before it is fifteen minutes old, without a gap', async () => {
  const before = await consumerName();
  putForward(11 * 60_000);
  // The tail looks after itself once a second, by this clock too; until then it seems dead.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(await runDurableObjectAlarm(stub)).toBe(true);
  await vi.waitFor(async () => expect(await consumerName()).not.toBe(before), {
    timeout: 3000,
    interval: 50,
  });
  await whenFrame(await publish());
  expect(frames).toEqual(frames.map((_, at) => (frames[0] as number) + at));
  expect(lines.filter((line) => !line.includes('event log reopened'))).toEqual([]);
});
