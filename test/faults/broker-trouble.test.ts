// A broker that is away, full, without its stream, or does not answer: what writers and readers see, and what is true afterwards.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { MAX_BODY_BYTES } from '../../src/limits.ts';
import { denoTarget, denoTargetWith } from '../support/deno-server.ts';
import { cellStarted, flatDocument, unique } from '../support/events.ts';
import { expectProblem } from '../support/http-client.ts';
import { NatsProxy, isAnything, isMessage, isPublishAnswer } from '../support/nats-proxy.ts';
import type { Operation, Reception, Scheme } from '../support/nats-proxy.ts';
import { Broker, STREAM, findFreePort } from '../support/nats-server.ts';
import { Rig, ServerProcess, nodeTarget, reportOnFailure } from '../support/server-process.ts';
import { timed, until } from '../support/wait.ts';
import { workerdTarget } from '../support/workerd-server.ts';
import {
  Reader,
  admit,
  admitTwo,
  expectDoneOrUnavailable,
  expectFaithful,
  expectInLog,
  expectRefused,
  isDone,
  writeAll,
} from '../support/writes.ts';
import type { Admitted, Write } from '../support/writes.ts';

const BACK_MS = 2000;
/** A connection that is silent but not closed has to be given up first; the contract leaves open how soon. */
const SILENCE_NOTICED_MS = 10_000;
const NOTICED_MS = 5000;
const FULL = 'event-store-full';

/** Tests are about all of these at the same time. */
const VARIANTS = [
  { label: 'node over ws', target: nodeTarget, scheme: 'ws' },
  { label: 'node over nats', target: nodeTarget, scheme: 'nats' },
  { label: 'deno over ws', target: denoTarget, scheme: 'ws' },
] as const;

interface Subject {
  readonly label: string;
  readonly server: ServerProcess;
  readonly proxy: NatsProxy;
}

let broker: Broker;
let subjects: Subject[];

beforeAll(async () => {
  broker = await Broker.start();
  await (
    await broker.manager()
  ).streams.add({ name: STREAM, subjects: ['cellos.events.>'], max_msg_size: MAX_BODY_BYTES / 2 });
  subjects = await Promise.all(
    VARIANTS.map(async ({ label, target, scheme }) => {
      const proxy = await NatsProxy.to(broker, scheme);
      return { label, proxy, server: await ServerProcess.start(target, { CELLOS_NATS_URL: proxy.url }) };
    }),
  );
});
afterEach((context) => {
  if (context.task.result?.state === 'fail')
    for (const { label, server } of subjects) console.error(`${label}:\n${server.log.slice(-3000)}`);
});
afterAll(async () => {
  await Promise.all(subjects.map(({ server }) => server.stop()));
  await Promise.all(subjects.map(({ proxy }) => proxy.stop()));
  await broker.stop();
});

function servers(): ServerProcess[] {
  return subjects.map(({ server }) => server);
}

async function whenWritable(timeoutMs = BACK_MS): Promise<void> {
  await Promise.all(
    subjects.map(({ label, server }) =>
      until(async () => (await server.http.post('/v1/formations', flatDocument(unique()))).status === 201, {
        what: `a write through ${label} to succeed`,
        timeoutMs,
      }),
    ),
  );
}

async function writeThroughAll(admitted: readonly Admitted[]): Promise<Write[]> {
  const rounds = admitted.map((formations, index) =>
    writeAll((servers()[index] as ServerProcess).http, formations),
  );
  return (await Promise.all(rounds)).flat();
}

/**
 * All kinds of writes through every server while the broker is in trouble, under the eyes of a reader each; when the trouble is
 * over, the log and the projections are compared. Returns the writes, and how many of them the log has.
 */
async function inTrouble(
  trouble: () => Promise<void>,
  expectAnswers: (writes: readonly Write[]) => void,
  relief: () => Promise<void>,
  backMs = BACK_MS,
): Promise<{ writes: Write[]; inLog: number }> {
  const admitted = await Promise.all(servers().map(({ http }) => admitTwo(http)));
  const readers = servers().map(({ http }) => new Reader(http));
  let writes: Write[];
  try {
    await trouble();
    writes = await writeThroughAll(admitted);
  } finally {
    await relief();
  }
  const slowest = Math.max(...writes.map(({ ms }) => ms));
  console.log(
    `answered ${writes.map(({ reply }) => reply.status).join(' ')} within ${Math.round(slowest)} ms`,
  );
  expectAnswers(writes);
  await whenWritable(backMs);
  await expectFaithful(broker, servers(), nodeTarget);
  const messages = await broker.messages();
  for (const reader of readers) {
    await reader.expectHonest(messages);
    expect(reader.refusals).toEqual([]);
  }
  return { writes, inLog: expectInLog(writes, messages) };
}

const unavailable = (writes: readonly Write[]) => expectRefused(writes, 'service-unavailable');
const full = (writes: readonly Write[]) => expectRefused(writes, FULL);

describe('RUN-40 OUT-7 a broker out of reach', () => {
  test('RUN-40 OUT-7 killed: nothing is written', async () => {
    const { inLog } = await inTrouble(
      () => broker.kill(),
      unavailable,
      () => broker.restart(),
    );
    expect(inLog).toBe(0);
  });

  test('RUN-40 not yet connected: formations of the checkpoint are read, and cannot be changed', async () => {
    const folders = await Promise.all(VARIANTS.map(() => mkdtemp(join(tmpdir(), 'cellos-kept-'))));
    const [port, websocketPort] = [await findFreePort(), await findFreePort()];
    const own = await Broker.start({ port, websocketPort });
    const start = (index: number) => {
      const { target, scheme } = VARIANTS[index] as (typeof VARIANTS)[number];
      const folder = folders[index] as string;
      return ServerProcess.start(
        target === denoTarget ? denoTargetWith(`--allow-read=${folder}`, `--allow-write=${folder}`) : target,
        {
          CELLOS_NATS_URL: `${scheme}://127.0.0.1:${scheme === 'ws' ? websocketPort : port}`,
          CELLOS_SERVER_CHECKPOINT: `file:${folder}`,
        },
      );
    };
    const indexes = VARIANTS.map((_, index) => index);
    const before = await Promise.all(indexes.map(start));
    const admitted = await Promise.all(before.map(({ http }) => admitTwo(http)));
    const last = await own.lastSequence();
    await Promise.all(before.map((server) => new Rig(own, server).whenApplied(last)));
    await Promise.all(before.map((server) => server.stop()));
    await own.kill();

    const after = await Promise.all(indexes.map(start));
    reportOnFailure(...after);
    const rounds = admitted.map((formations, index) =>
      writeAll((after[index] as ServerProcess).http, formations),
    );
    const writes = (await Promise.all(rounds)).flat();
    expectRefused(writes, 'service-unavailable');
    await own.restart();
    for (const { http } of after)
      await until(async () => (await http.post('/v1/formations', flatDocument(unique()))).status === 201, {
        what: 'a write to succeed',
        timeoutMs: BACK_MS,
      });
    expect(expectInLog(writes, await own.messages())).toBe(0);
    await expectFaithful(own, after, nodeTarget);
    await Promise.all(after.map((server) => server.stop()));
    await own.stop();
    await Promise.all(folders.map((folder) => rm(folder, { recursive: true })));
  });
});

describe('OUT-13 a log that takes no more', () => {
  const setLimit = async (maxBytes: number) => {
    const manager = await broker.manager();
    const { config } = await manager.streams.info(STREAM);
    await manager.streams.update(STREAM, { ...config, discard: 'new' as never, max_bytes: maxBytes });
  };

  test('OUT-13 the stream is full: 507, and writes go on when there is room', async () => {
    const { inLog } = await inTrouble(
      async () => setLimit((await broker.info()).state.bytes + 100),
      full,
      () => setLimit(-1),
    );
    expect(inLog).toBe(0);
  });

  test('OUT-13 reads, the feed and smaller writes go on beside a formation that is too large', async () => {
    for (const { label, server } of subjects) {
      const name = unique('large');
      const filling = 'x'.repeat(MAX_BODY_BYTES / 2);
      const feed = await server.feed();
      const { value, ms } = await timed(server.http.post('/v1/formations', flatDocument(name, { filling })));
      expectProblem(value, FULL);
      expect(ms).toBeLessThan(NOTICED_MS);
      expectProblem(await server.http.get(`/v1/formations/by-name/${name}`), 'not-found');
      // The name was not taken by what was refused.
      const id = await admit(server.http, name);
      await until(() => feed.events.some((text) => text.includes(id)), { what: `the frame from ${label}` });
      expect((await broker.messages()).filter(({ text }) => text.includes(name))).toHaveLength(1);
      await feed.close();
    }
    await expectFaithful(broker, servers(), nodeTarget);
  });
});

describe('OUT-11 RUN-41 answers that are lost', () => {
  const swallow = async (chosen: (operation: Operation) => boolean) => {
    for (const { proxy } of subjects) proxy.swallow(chosen);
  };
  const pass = async () => {
    for (const { proxy } of subjects) {
      expect(proxy.swallowed).toBeGreaterThan(0);
      proxy.pass();
    }
  };

  test('OUT-11 acknowledgements: done or 503, never a conflict with itself, one event each', async () => {
    const { writes, inLog } = await inTrouble(() => swallow(isPublishAnswer), expectDoneOrUnavailable, pass);
    // The broker had them all.
    expect(inLog).toBe(writes.length);
    console.log(
      `${writes.filter(isDone).length} of ${writes.length} writes were done without acknowledgement`,
    );
  });

  test('OUT-11 acknowledgements, of one name submitted again and again', async () => {
    await swallow(isPublishAnswer);
    const names = subjects.map(() => unique('again'));
    const replies = await Promise.all(
      subjects.map(({ server }, index) =>
        Promise.all(
          Array.from({ length: 3 }, () =>
            server.http.post('/v1/formations', flatDocument(names[index] as string)),
          ),
        ),
      ),
    );
    await pass();
    await whenWritable();
    await expectFaithful(broker, servers(), nodeTarget);
    const messages = await broker.messages();
    console.log(`one name: ${replies.map((each) => each.map(({ status }) => status).join(' ')).join(', ')}`);
    replies.forEach((answers, index) => {
      const label = subjects[index]?.label;
      const statuses = answers.map(({ status }) => status);
      const name = names[index] as string;
      const events = messages.filter(({ text }) => text.includes(name));
      expect([label, events.length]).toEqual([label, 1]);
      expect([label, statuses, statuses.every((status) => [201, 409, 503].includes(status))]).toEqual([
        label,
        statuses,
        true,
      ]);
      expect(statuses.filter((status) => status === 201).length).toBeLessThanOrEqual(1);
      // Losing needs a winner, who may have been left without an answer, but not two.
      expect(statuses.filter((status) => status === 409).length).toBeLessThanOrEqual(2);
    });
  });

  test('RUN-41 all answers, as without a quorum', async () => {
    await inTrouble(() => swallow(isMessage), unavailable, pass, SILENCE_NOTICED_MS);
  });

  test('RUN-41 everything, as when the host vanished but for its ears', async () => {
    await inTrouble(() => swallow(isAnything), unavailable, pass, SILENCE_NOTICED_MS);
  });
});

describe('OUT-20 LOG-11 a stream that is missing', () => {
  test('OUT-20 LOG-11 deleted under the server: 503 or done, then another stream', async () => {
    const admitted = await Promise.all(servers().map(({ http }) => admitTwo(http)));
    await (await broker.manager()).streams.delete(STREAM);
    expectDoneOrUnavailable(await writeThroughAll(admitted));
    await whenWritable(NOTICED_MS);
    await expectFaithful(broker, servers(), nodeTarget);
  });

  test('OUT-20 writes that race with its deletion and creation', async () => {
    const stopping = new AbortController();
    const writes: { label: string; name: string; status: number; text: string; ms: number }[] = [];
    const load = subjects.flatMap(({ label, server }) =>
      Array.from({ length: 2 }, async () => {
        while (!stopping.signal.aborted) {
          const name = unique('raced');
          const { value, ms } = await timed(server.http.post('/v1/formations', flatDocument(name)));
          writes.push({ label, name, ms, status: value.status, text: value.text });
          if (value.status !== 201) {
            expectProblem(value, 'service-unavailable');
            expect(value.headers['retry-after']).toMatch(/^[1-9]\d*$/);
          }
          expect(ms).toBeLessThan(NOTICED_MS);
        }
      }),
    );
    for (let round = 0; round < 8; round += 1) {
      await (await broker.manager()).streams.delete(STREAM);
      await until(async () => (await broker.lastSequence()) > 20, {
        what: 'the servers to write again',
        timeoutMs: SILENCE_NOTICED_MS,
      });
    }
    stopping.abort();
    await Promise.all(load);
    await whenWritable(NOTICED_MS);
    await expectFaithful(broker, servers(), nodeTarget);
    const done = writes.filter(({ status }) => status === 201).length;
    console.log(`${done} of ${writes.length} writes were done while the stream came and went`);
  });

  test('OUT-20 RUN-2 missing until somebody else creates it', async () => {
    // Whoever gives no name is the one who may do everything.
    const own = await Broker.start({
      extraConfig: `
no_auth_user: admin
authorization { users: [
  { user: admin, password: secret },
  { user: server, password: secret, permissions: { publish: { deny: "$JS.API.STREAM.CREATE.>" } } },
] }`,
    });
    const create = async () => {
      await (await own.manager()).streams.add({ name: STREAM, subjects: ['cellos.events.>'] });
    };
    await create();
    const server = await ServerProcess.start(nodeTarget, {
      CELLOS_NATS_URL: own.websocketUrl.replace('ws://', 'ws://server:secret@'),
    });
    reportOnFailure(server);
    const admitted = await admitTwo(server.http);
    const before = await server.http.get('/v1/formations');
    const reader = new Reader(server.http);
    await (await own.manager()).streams.delete(STREAM);
    expectRefused(await writeAll(server.http, admitted), 'service-unavailable');
    expect((await server.http.get('/v1/formations')).text).toBe(before.text);
    await create();
    await until(
      async () => (await server.http.post('/v1/formations', flatDocument(unique()))).status === 201,
      {
        what: 'a write to succeed',
        timeoutMs: NOTICED_MS,
      },
    );
    await expectFaithful(own, [server], nodeTarget);
    expect((await new Rig(own, server).snapshot()).formations).toHaveLength(1);
    await reader.stop();
    await server.stop();
    await own.stop();
  });

  test('OUT-20 OUT-6 LOG-11 what was acknowledged by another stream is answered when it is visible', async () => {
    for (const { label, server } of subjects) {
      // The cursor is far above what the new stream begins with.
      await broker.publishAll(Array.from({ length: 50 }, () => cellStarted(unique('cell'))));
      await new Rig(broker, server).whenApplied();
      const manager = await broker.manager();
      await manager.streams.delete(STREAM);
      await manager.streams.add({ name: STREAM, subjects: ['cellos.events.>'] }).catch((error: Error) => {
        // A server was faster, which is as good.
        if (!error.message.includes('already in use')) throw error;
      });
      const reply = await server.http.post('/v1/formations', flatDocument(unique()));
      if (reply.status !== 201) expectProblem(reply, 'service-unavailable');
      else {
        const { id } = JSON.parse(reply.text) as { id: string };
        expect([label, (await server.http.get(`/v1/formations/${id}`)).status]).toEqual([label, 200]);
      }
      await whenWritable(NOTICED_MS);
    }
    await expectFaithful(broker, servers(), nodeTarget);
  });
});

describe.each([nodeTarget, denoTarget, workerdTarget])('RUN-42 on $name', (target) => {
  const receptions: Exclude<Reception, 'pass'>[] = ['close', 'reset'];
  test.each(receptions)('RUN-42 connections are upgraded and then ended: %s', async (reception) => {
    const proxy = await NatsProxy.to(broker, 'ws' satisfies Scheme);
    const server = await ServerProcess.start(target, { CELLOS_NATS_URL: proxy.url });
    reportOnFailure(server);
    const feed = await server.feed();
    proxy.receive(reception);
    proxy.cut();
    await until(() => proxy.turnedAway > 1, { what: 'a second attempt', timeoutMs: BACK_MS });
    const seq = await broker.publish('"meanwhile"');
    proxy.pass();
    const { ms } = await timed(feed.whenSequence(seq, SILENCE_NOTICED_MS));
    console.log(`${target.name}, ${reception}: the tail went on within ${Math.round(ms)} ms`);
    expect(ms).toBeLessThan(BACK_MS);
    await server.stop();
    await proxy.stop();
  });
});
