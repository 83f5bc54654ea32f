// The view outlives the runtime in the object's storage: restored at the start, never believed without proof, and written while a
// long replay goes on.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cellDestroyed, cellStarted, formationEvent, unique } from '../support/events.ts';
import { expectProblem } from '../support/http-client.ts';
import type { Reply } from '../support/http-client.ts';
import { Broker, STREAM } from '../support/nats-server.ts';
import { Rig } from '../support/server-process.ts';
import { timed, until } from '../support/wait.ts';
import { Workerd } from '../support/workerd-server.ts';

let broker: Broker;
let server: Workerd;
let rig: Rig<Workerd>;
beforeEach(async () => {
  broker = await Broker.start();
});
afterEach(async (context) => {
  if (context.task.result?.state === 'fail') console.error(server.log.slice(-4000));
  await server.stop();
  await broker.stop();
});

async function start(variables: Record<string, string> = {}): Promise<void> {
  server = await Workerd.start({
    vars: { CELLOS_NATS_URL: broker.websocketUrl, CELLOS_SERVER_IDLE_SECONDS: '300', ...variables },
  });
  rig = new Rig(broker, server);
}

const countLines = (text: string) => server.logs.filter((line) => line.includes(text)).length;

/** The object saves its view, lets go of the broker, and is taken from memory. */
async function putToSleep(): Promise<void> {
  await server.evict({ webSockets: 'hibernate' });
}

/** A stream with formations and cells, projected, and the server asleep behind it. */
async function begin(): Promise<{ formations: Reply; cells: Reply }> {
  await start();
  await server.whenReady();
  await rig.publish(
    ...Array.from({ length: 20 }, (_, at) =>
      formationEvent('running', {
        formationId: crypto.randomUUID(),
        formationName: unique(),
        document: { at, spelled: 1e3 },
      }),
    ),
    ...Array.from({ length: 40 }, () => cellStarted(unique('cell'))),
  );
  const view = await read();
  await putToSleep();
  return view;
}

async function read(): Promise<{ formations: Reply; cells: Reply }> {
  return { formations: await server.http.get('/v1/formations'), cells: await server.http.get('/v1/cells') };
}

async function expectView(view: { formations: Reply; cells: Reply }): Promise<void> {
  const { formations, cells } = await read();
  expect(formations.text).toBe(view.formations.text);
  expect(cells.text).toBe(view.cells.text);
}

test('CF-30 a restart restores the view and reads only what is behind it', async () => {
  const before = await begin();
  // What the log holds no more, the view still does.
  await (await broker.manager()).streams.purge(STREAM, { seq: 61 });
  await server.restart();
  await server.whenReady();
  await expectView(before);
  expect(server.log).toContain('checkpoint restored');

  const cell = unique('later');
  await rig.publish(cellStarted(cell));
  await putToSleep();
  await rig.broker.publish(cellDestroyed(cell));
  await server.restart();
  await server.whenReady();
  expect(await server.http.read(`/v1/cells/${cell}`)).toMatchObject({ state: 'destroyed' });
  expect((await rig.snapshot()).formations).toHaveLength(20);
});

describe('CF-31 a checkpoint that cannot be used is ignored with a WARN, and the log is read anew', () => {
  const damages: Readonly<Record<string, () => Promise<unknown>>> = {
    'a character of a block': () =>
      server.sql("UPDATE checkpoint_parts SET text = replace(text, 'running', 'RUNNING')"),
    'a block': () =>
      server.sql('DELETE FROM checkpoint_parts WHERE block = (SELECT max(block) FROM checkpoint_parts)'),
    'the cursor in the head': () =>
      server.sql(`UPDATE checkpoint_head SET text = replace(text, '"cursor":60', '"cursor":59')`),
    'the format': () =>
      server.sql(`UPDATE checkpoint_head SET text = replace(text, '"format":4', '"format":5')`),
    'the head, cut off': () => server.sql('UPDATE checkpoint_head SET text = substr(text, 1, 50)'),
    'the whole table': async () => {
      await server.sql('DROP TABLE checkpoint_parts');
      await server.sql('CREATE TABLE checkpoint_parts (something TEXT)');
    },
  };
  test.each(Object.keys(damages))('%s', async (name) => {
    const before = await begin();
    await damages[name]?.();
    await server.restart();
    await server.whenReady();
    await rig.whenApplied();
    await expectView(before);
    expect(server.logs.filter((line) => /"level":"warn".*checkpoint not used/.test(line))).toHaveLength(1);
    // It is replaced by a good one.
    await putToSleep();
    await server.restart();
    await server.whenReady();
    await expectView(before);
    expect(countLines('checkpoint not used')).toBe(1);
  });
});

describe('CF-32 a checkpoint of another stream', () => {
  test('recreated meanwhile', async () => {
    await begin();
    const { streams } = await broker.manager();
    await streams.delete(STREAM);
    await streams.add({ name: STREAM, subjects: ['cellos.events.>'] });
    await broker.publishAll(Array.from({ length: 100 }, () => cellStarted(unique('new'))));
    await server.restart();
    await server.whenReady();
    expect(await rig.snapshot()).toMatchObject({ formations: [], cursor: 100 });
    expect(await server.http.read('/v1/cells')).toHaveLength(100);
    expect(server.log).toContain('the event log is another one');
  });

  test('put back to an older state: the cursor lies beyond its last sequence', async () => {
    await start();
    await server.whenReady();
    await rig.publish(cellStarted('kept'));
    await broker.kill();
    await broker.backUp();
    await broker.restart();
    await rig.publish(cellStarted('lost-1'), cellStarted('lost-2'));
    await putToSleep();
    await broker.kill();
    await broker.restore();
    await broker.restart();
    await server.restart();
    await server.whenReady();
    await until(async () => (await rig.snapshot()).cursor === 1, { what: 'the older stream to be read' });
    expect(await server.http.read('/v1/cells')).toMatchObject([{ id: 'kept' }]);
  });
});

test('CF-33 SKIP_REPLAY neither uses nor writes a checkpoint', async () => {
  await start({ CELLOS_SERVER_SKIP_REPLAY: '1' });
  await server.whenReady();
  const cell = unique('cell');
  await rig.publish(cellStarted(cell));
  expect(await server.http.read('/v1/cells')).toHaveLength(1);
  await putToSleep();
  await server.restart();
  await server.whenReady();
  expect(await server.http.read('/v1/cells')).toEqual([]);
  expect((await rig.snapshot()).cursor).toBe(1);
});

describe('a long first replay', () => {
  const CELLS = 150_000;

  /** Publishes what takes several slices to read. */
  async function fill(): Promise<void> {
    await start();
    const { streams } = await broker.manager();
    await streams.add({ name: STREAM, subjects: ['cellos.events.>'] });
    const many = Array.from({ length: CELLS }, (_, at) =>
      at % 3 === 0 ? cellStarted(`cell-${at}`) : `{"type":"dev.cellos.ignored","data":${at}}`,
    );
    await broker.publishAll(many);
  }

  const progressOf = (reply: Reply): number => {
    expectProblem(reply, 'service-unavailable');
    expect(reply.headers['retry-after']).toMatch(/^[1-9]\d*$/);
    const [, done, total] =
      /replayed (\d+) of (\d+)/.exec((JSON.parse(reply.text) as { detail: string }).detail) ?? [];
    expect(Number(total)).toBe(CELLS);
    return Number(done);
  };

  test(
    'CF-34 CF-35 goes on in slices with 503 and its progress, and never from zero',
    { timeout: 120_000 },
    async () => {
      await fill();
      // The first request is held for the first slice, no longer.
      const first = await timed(server.http.get('/v1/cells'));
      const progress = [progressOf(first.value)];
      expect(first.ms).toBeLessThan(10_000);
      expect(progress[0]).toBeGreaterThan(0);
      // The runtime goes away in the middle.
      await server.restart();
      const again = await timed(server.http.get('/v1/cells'));
      if (again.value.status === 503) {
        progress.push(progressOf(again.value));
        expect(progress[1]).toBeGreaterThanOrEqual(progress[0] as number);
      }
      expect(server.logs.filter((line) => line.includes('checkpoint restored'))).toHaveLength(1);
      await until(
        async () => {
          const reply = await server.http.get('/v1/cells');
          if (reply.status === 200) return true;
          progress.push(progressOf(reply));
          return false;
        },
        { what: 'the replay to end', timeoutMs: 60_000 },
      );
      console.log(`progress: ${[...new Set(progress)].join(', ')}`);
      expect(progress).toEqual(progress.toSorted((a, b) => a - b));
      const cells = await server.http.read<unknown[]>('/v1/cells');
      expect(cells).toHaveLength(CELLS / 3);
      expect((await rig.snapshot()).cursor).toBe(CELLS);
    },
  );
});
