// One cell's events while the broker goes away, and after the server has gone and come back with its checkpoint.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cellStarted, formationEvent, unique } from '../support/events.ts';
import { expectProblem } from '../support/http-client.ts';
import { LineStreamClient } from '../support/line-stream.ts';
import { Broker } from '../support/nats-server.ts';
import { nodeTarget, reportOnFailure, Rig, ServerProcess } from '../support/server-process.ts';
import { until } from '../support/wait.ts';

const ID = 'a7571001-1a4f-5eb9-8df1-109cbbfa6692';

let broker: Broker;
let folder: string;
let servers: ServerProcess[];
beforeEach(async () => {
  broker = await Broker.start();
  folder = await mkdtemp(join(tmpdir(), 'cellos-cell-events-'));
  servers = [];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop('SIGKILL')));
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
});

const start = async () => {
  const server = await ServerProcess.start(nodeTarget, {
    CELLOS_NATS_URL: broker.websocketUrl,
    CELLOS_SERVER_CHECKPOINT: `file:${folder}`,
  });
  servers.push(server);
  reportOnFailure(server);
  return new Rig(broker, server);
};
const note = (cellId: string, n: number) => ({ type: 'dev.cellos.test.note', data: { cellId, n } });
const numbers = (lines: readonly string[]) =>
  lines.map((line) => (JSON.parse(line) as { data: { n?: number } }).data.n);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

describe('one cell’s events', () => {
  test('HTTP-83 FEED-15 who follows goes on in order when a broker that was killed is back', async () => {
    const cell = unique('cell');
    const rig = await start();
    await rig.publish(cellStarted(cell, { n: 0 }), note(cell, 1));
    const client = await LineStreamClient.open(rig.http, `/v1/cells/${cell}/events?follow=true`);
    await client.whenLines(2);
    await broker.kill();
    await until(async () => (await rig.http.get(`/v1/cells/${cell}/events`)).status === 503, {
      what: 'the server to notice',
    });
    for (const query of ['', '?follow=true', '?tail=1']) {
      const reply = await rig.http.get(`/v1/cells/${cell}/events${query}`);
      expectProblem(reply, 'service-unavailable');
      expect(reply.headers['retry-after']).toBeDefined();
    }
    expectProblem(await rig.http.get('/v1/cells/nobody/events'), 'not-found');
    await broker.restart();
    for (const n of range(2, 60)) await broker.publish(note(n % 2 === 0 ? cell : 'x', n));
    await client.whenLines(2 + 30);
    expect(numbers(client.lines)).toEqual([0, 1, ...range(2, 60).filter((n) => n % 2 === 0)]);
    expect(client.end).toBe('open');
    await rig.server.stop();
    expect(client.end).toBe('complete');
    expect(rig.server.child.exitCode).toBe(0);
  });

  test('HTTP-84 lines that cannot be read to their end break off; nobody is told why', async () => {
    const cell = unique('cell');
    const rig = await start();
    const large = { type: 'dev.cellos.test.note', data: { cellId: cell, text: 'x'.repeat(20_000) } };
    await rig.publish(cellStarted(cell), ...Array.from({ length: 1500 }, () => large));
    const client = await LineStreamClient.open(rig.http, `/v1/cells/${cell}/events`);
    await client.whenLines(1);
    client.pause();
    await broker.kill();
    await until(async () => (await rig.http.get(`/v1/cells/${cell}/events`)).status === 503, {
      what: 'the server to notice',
    });
    client.resume();
    await client.whenEnded();
    expect(client.end).toBe('broken');
    expect(client.lines.length).toBeGreaterThan(0);
    for (const line of client.lines) expect(line).toMatch(/^\{.*\}$/);
    for (const line of rig.server.stderr.trim().split('\n')) expect(line).toMatch(/^\{.*\}$/);
  });

  test('CKP-50 RUN-30 are found after a restart from the checkpoint, and those of a formation', async () => {
    const [cell, other] = [unique('cell'), unique('cell')];
    const before = await start();
    await before.publish(
      note(cell, 1),
      formationEvent('created', { formationId: ID, formationName: 'web' }),
      cellStarted(cell, { formationId: ID, n: 2 }),
      ...range(3, 500).map((n) => note(n % 5 === 0 ? cell : other, n)),
    );
    const due = [1, 2, ...range(3, 500).filter((n) => n % 5 === 0)];
    const ask = async ({ http }: Rig, query = '') => {
      const { text } = await http.get(`/v1/cells/${cell}/events${query}`);
      return numbers(text.split('\n').slice(0, -1));
    };
    const page = async ({ http }: Rig) => (await http.get('/v1/events?formation=web&limit=1000')).text;
    expect(await ask(before)).toEqual(due);
    const whole = await page(before);
    await before.server.stop();
    await broker.publish(note(cell, 501));
    const after = await start();
    expect(after.server.log).toContain('checkpoint restored');
    expect(await ask(after)).toEqual([...due, 501]);
    expect(await ask(after, '?tail=3')).toEqual([495, 500, 501]);
    expect((await page(after)).startsWith(whole.slice(0, whole.lastIndexOf('],"cursor"')))).toBe(true);
  });
});
