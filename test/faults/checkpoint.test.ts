// The view outlives the process, in a folder or with the broker: restored at the start, never believed without proof, handed from one
// server to another.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { denoTarget, denoTargetWith } from '../support/deno-server.ts';
import { cellDestroyed, cellStarted, formationEvent, unique } from '../support/events.ts';
import { Broker, findFreePort, STREAM, Wire } from '../support/nats-server.ts';
import { nodeTarget, reportOnFailure, Rig, ServerProcess } from '../support/server-process.ts';
import type { Environment, Target } from '../support/server-process.ts';
import { timed, until } from '../support/wait.ts';

const BUCKET = 'OBJ_CELLOS_CHECKPOINTS';

/** A place for a checkpoint, and what can befall it. */
interface Place {
  readonly target: Target;
  readonly variable: string;
  /** Changes something of what is kept there. */
  readonly damages: Readonly<Record<string, () => Promise<unknown>>>;
}

let broker: Broker;
let folder: string;
let servers: ServerProcess[];
beforeEach(async () => {
  broker = await Broker.start();
  folder = await mkdtemp(join(tmpdir(), 'cellos-checkpoint-'));
  servers = [];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop('SIGKILL')));
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
});

const filesOf = async (kind: string) => (await readdir(folder)).filter((file) => file.startsWith(kind));
const change = (kind: string, edit: (bytes: Buffer) => Buffer) => async () => {
  for (const file of await filesOf(kind)) {
    await writeFile(join(folder, file), edit(await readFile(join(folder, file))));
  }
};
const flipped = (bytes: Buffer) => {
  const copy = Buffer.from(bytes);
  copy[copy.length >> 1] = (copy[copy.length >> 1] as number) ^ 1;
  return copy;
};
const fileDamages: Place['damages'] = {
  'a bit of a block': change('block.', flipped),
  'a bit of the head': change('head.', flipped),
  'the head, cut off': change('head.', (bytes) => bytes.subarray(0, 40)),
  'an empty head': change('head.', () => Buffer.alloc(0)),
  'a block that is gone': async () => {
    for (const file of await filesOf('block.')) await rm(join(folder, file));
  },
};

/** Messages of the bucket whose subjects begin so, with what stands in place of their bytes. */
const rewrite = (subjects: string, edit: (bytes: Buffer) => Buffer) => async () => {
  const { streams } = await broker.manager();
  const { state } = await streams.info(BUCKET, { subjects_filter: subjects });
  const jetstream = await broker.jetstream();
  for (const subject of Object.keys(state.subjects ?? {})) {
    const { data } = await streams.getMessage(BUCKET, { last_by_subj: subject });
    await streams.purge(BUCKET, { filter: subject });
    await jetstream.publish(subject, edit(Buffer.from(data)));
  }
};
const CHUNKS = '$O.CELLOS_CHECKPOINTS.C.>';
const bucketDamages: Place['damages'] = {
  'a bit of everything': rewrite(CHUNKS, flipped),
  'all parts, cut off': rewrite(CHUNKS, (bytes) => bytes.subarray(0, 20)),
  'all parts gone': async () => (await broker.manager()).streams.purge(BUCKET, { filter: CHUNKS }),
};

const places: readonly (readonly [string, () => Place])[] = [
  ['on node in a folder', () => ({ target: nodeTarget, variable: `file:${folder}`, damages: fileDamages })],
  ['on node with the broker', () => ({ target: nodeTarget, variable: 'nats', damages: bucketDamages })],
  ['on deno with the broker', () => ({ target: denoTarget, variable: 'nats', damages: bucketDamages })],
  [
    'on deno in a folder',
    () => ({
      target: denoTargetWith(`--allow-read=${folder}`, `--allow-write=${folder}`),
      variable: `file:${folder}`,
      damages: {},
    }),
  ],
];

async function start(place: Place, environment: Environment = {}): Promise<Rig> {
  const server = await ServerProcess.start(place.target, {
    CELLOS_NATS_URL: broker.websocketUrl,
    CELLOS_SERVER_CHECKPOINT: place.variable,
    LOG_LEVEL: 'debug',
    ...environment,
  });
  servers.push(server);
  reportOnFailure(server);
  return new Rig(broker, server);
}

async function read({ http }: Rig): Promise<string> {
  return `${(await http.get('/v1/formations')).text}\n${(await http.get('/v1/cells')).text}`;
}

const formations = (count: number) =>
  Array.from({ length: count }, (_, at) =>
    formationEvent('running', {
      formationId: crypto.randomUUID(),
      formationName: unique(),
      document: { at, spelled: 1e3 },
    }),
  );

/** A stream with formations and cells, and the view of it saved by a server that has stopped. */
async function begin(place: Place): Promise<string> {
  const rig = await start(place);
  await rig.publish(...formations(20), ...Array.from({ length: 40 }, () => cellStarted(unique('cell'))));
  const view = await read(rig);
  await rig.server.stop();
  return view;
}

const warnings = ({ server }: Rig) => server.log.match(/checkpoint not used/g)?.length ?? 0;

describe.each(places)('a checkpoint %s', (_, place) => {
  test('RUN-30 is what a restart goes on from, also with what the log has dropped', async () => {
    const before = await begin(place());
    await (await broker.manager()).streams.purge(STREAM, { seq: 61 });
    const cell = unique('later');
    await broker.publish(cellStarted(cell));
    const rig = await start(place());
    expect(rig.server.log).toContain('checkpoint restored');
    await rig.whenApplied();
    const parsed = JSON.parse(before.split('\n')[0] as string) as { formations: unknown };
    expect((await rig.snapshot()).formations).toEqual(parsed.formations);
    expect(await rig.http.read('/v1/cells')).toHaveLength(41);
    await rig.publish(cellDestroyed(cell));
    await rig.server.stop();
    const again = await start(place());
    expect(await again.http.read(`/v1/cells/${cell}`)).toMatchObject({ state: 'destroyed' });
    expect((await again.snapshot()).formations).toHaveLength(20);
    expect(warnings(again)).toBe(0);
  });

  test('RUN-31 of another stream is not used', async () => {
    await begin(place());
    const { streams } = await broker.manager();
    await streams.delete(STREAM);
    await streams.add({ name: STREAM, subjects: ['cellos.events.>'] });
    await broker.publishAll(Array.from({ length: 100 }, () => cellStarted(unique('new'))));
    const rig = await start(place());
    await rig.whenApplied();
    expect(await rig.snapshot()).toMatchObject({ formations: [], cursor: 100 });
    expect(rig.server.log).toContain('the event log is another one');
    await rig.server.stop();
    const again = await start(place());
    expect(again.server.log).toMatch(/checkpoint restored.*"cursor":100\b/);
    expect(await again.http.read('/v1/cells')).toHaveLength(100);
  });

  test('RUN-33 SKIP_REPLAY neither uses nor writes one', async () => {
    const before = await begin(place());
    const rig = await start(place(), { CELLOS_SERVER_SKIP_REPLAY: '1' });
    await rig.publish(cellStarted('more'));
    expect(await rig.http.read('/v1/cells')).toHaveLength(1);
    await rig.server.stop();
    const again = await start(place());
    await again.whenApplied();
    expect(again.server.log).toMatch(/checkpoint restored.*"cursor":60\b/);
    const [, cells] = before.split('\n');
    const more: unknown = await again.http.read('/v1/cells/more');
    expect(await again.http.read('/v1/cells')).toEqual([...(JSON.parse(cells as string) as unknown[]), more]);
  });
});

describe.each(places.slice(0, 2))('a checkpoint %s', (_, place) => {
  const names = Object.keys(_ === 'on node in a folder' ? fileDamages : bucketDamages);
  test.each(names)('RUN-32 is ignored with a WARN when it is damaged: %s', async (name) => {
    const before = await begin(place());
    await place().damages[name]?.();
    const rig = await start(place());
    await rig.whenApplied();
    expect(await read(rig)).toBe(before);
    expect(warnings(rig)).toBe(1);
    // It is replaced by a good one.
    await rig.server.stop();
    const again = await start(place());
    expect(await read(again)).toBe(before);
    expect(warnings(again)).toBe(0);
    expect(again.server.log).toContain('checkpoint restored');
  });

  test('RUN-31 with a cursor beyond the stream is not used', async () => {
    const rig = await start(place());
    await rig.publish(cellStarted('kept'));
    await broker.kill();
    await broker.backUp();
    await broker.restart();
    await rig.publish(cellStarted('lost-1'), cellStarted('lost-2'));
    await rig.server.stop();
    await broker.kill();
    // With a bucket, that one is put back too: the checkpoint is as old as the stream then.
    await broker.restore();
    await broker.restart();
    const again = await start(place());
    await until(async () => (await again.snapshot()).cursor === 1, { what: 'the older stream to be read' });
    expect(await again.http.read('/v1/cells')).toMatchObject([{ id: 'kept' }]);
  });

  test('RUN-34 of a killed server is that of its last save', async () => {
    const rig = await start(place());
    await rig.publish(...formations(5));
    await until(() => /checkpoint saved.*"cursor":5\b/.test(rig.server.log), {
      what: 'a save',
      timeoutMs: 15_000,
    });
    await rig.publish(cellStarted('after'));
    await rig.server.stop('SIGKILL');
    const again = await start(place());
    expect(again.server.log).toMatch(/checkpoint restored.*"cursor":5\b/);
    await again.whenApplied();
    expect((await again.snapshot()).formations).toHaveLength(5);
    expect(await again.http.read('/v1/cells')).toHaveLength(1);
  });

  test(
    'RUN-35 two servers share it: one writes, a third one starts from it',
    { timeout: 60_000 },
    async () => {
      const first = await start(place());
      const second = await start(place());
      await first.publish(...formations(30));
      await second.whenApplied();
      const saves = ({ server }: Rig) =>
        server.log.match(/"checkpoint saved"[^\n]*"bytes":[1-9]/g)?.length ?? 0;
      const both = () => saves(first) + saves(second);
      await until(() => both() > 0, { what: 'a save', timeoutMs: 15_000 });
      await first.publish(cellStarted('more'));
      await second.whenApplied();
      await until(() => both() > 1, { what: 'another save', timeoutMs: 15_000 });
      const [writer, other] = saves(first) > 0 ? [first, second] : [second, first];
      expect(saves(other)).toBe(0);
      await Promise.all([writer.server.stop(), other.server.stop()]);
      const third = await start(place());
      await third.whenApplied();
      expect(third.server.log).toContain('checkpoint restored');
      expect((await third.snapshot()).formations).toHaveLength(30);
    },
  );
});

describe('a checkpoint with the broker', () => {
  const place: Place = { target: nodeTarget, variable: 'nats', damages: {} };

  test('RUN-36 is waited for when the broker is away at the start', async () => {
    await begin(place);
    await (await broker.manager()).streams.purge(STREAM, { seq: 61 });
    await broker.kill();
    const rig = await start(place);
    // Answered from nothing meanwhile.
    expect(await rig.snapshot()).toMatchObject({ formations: [], cursor: 0, epoch: null });
    await broker.restart();
    const back = await timed(
      until(async () => (await rig.snapshot()).formations.length === 20, {
        what: 'the view',
        timeoutMs: 5000,
      }),
    );
    expect(back.ms).toBeLessThan(3000);
    expect(rig.server.log).toContain('checkpoint restored');
  });

  test('RUN-36 a connection that is cut while it is read costs nothing but time', async () => {
    const before = await begin(place);
    const wire = await Wire.to(broker.websocketPort);
    const server = await ServerProcess.spawn(nodeTarget, {
      CELLOS_NATS_URL: `ws://127.0.0.1:${wire.port}`,
      CELLOS_SERVER_CHECKPOINT: 'nats',
    });
    servers.push(server);
    const cutting = setInterval(() => wire.cut(), 7);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    clearInterval(cutting);
    const rig = new Rig(broker, server);
    await server.whenReady();
    await rig.whenApplied();
    expect(await read(rig)).toBe(before);
    expect(server.hasExited).toBe(false);
    await server.stop();
    await wire.stop();
  });

  test('RUN-37 that may not be kept costs a WARN', { timeout: 40_000 }, async () => {
    await broker.stop();
    broker = await Broker.start({
      extraConfig: `authorization { users: [{ user: "u", password: "p", permissions: {
        publish: { deny: ["$JS.API.STREAM.*.${BUCKET}"] } } }, { user: "test", password: "p" }] }
        no_auth_user: test`,
    });
    const url = broker.websocketUrl.replace('ws://', 'ws://u:p@');
    const rig = await start(place, { CELLOS_NATS_URL: url });
    await until(() => warnings(rig) === 1, { what: 'a WARN', timeoutMs: 15_000 });
    await until(() => rig.server.log.includes('projection is live'), { what: 'the log to be followed' });
    await rig.publish(cellStarted('a'));
    expect(await rig.http.read('/v1/cells')).toHaveLength(1);
  });
});

describe('a folder that cannot be used', () => {
  test.each([
    ['node', () => nodeTarget, 'ENOTDIR|EEXIST'],
    ['deno', () => denoTarget, 'write|read'],
  ] as const)('CFG-12 ends the start on %s and names the variable', async (_, target, reason) => {
    await writeFile(join(folder, 'file'), '');
    const server = await ServerProcess.spawn(target(), {
      CELLOS_NATS_URL: `ws://127.0.0.1:${await findFreePort()}`,
      CELLOS_SERVER_CHECKPOINT: `file:${folder}/file/checkpoint`,
    });
    servers.push(server);
    expect(await server.whenExited()).toBe(1);
    expect(server.stderr).toMatch(
      new RegExp(`CELLOS_SERVER_CHECKPOINT names a folder that cannot be used \\([^)]*(?:${reason})`),
    );
  });
});
