// The feed with everything at once, on a real broker: clients of all kinds while it is killed, hundreds that come back together, and
// as many as a server takes when it stops.
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { FeedClient as CountingClient } from '../bench/feed-client.ts';
import { Random } from '../soak/random.ts';
import { denoTarget } from '../support/deno-server.ts';
import { cellDestroyed, cellStarted } from '../support/events.ts';
import { Follower, Heard } from '../support/feed-follower.ts';
import type { Habits } from '../support/feed-follower.ts';
import { Broker, SUPERVISOR_SUBJECT } from '../support/nats-server.ts';
import { ServerProcess, nodeTarget, reportOnFailure } from '../support/server-process.ts';
import { SteadyLoad } from '../support/steady-load.ts';
import type { Publication } from '../support/steady-load.ts';
import { timed, until } from '../support/wait.ts';

/** Of all choices; what they meet is not repeated. */
const SEED = process.env['CELLOS_FEED_SEED'] ?? '20261121';
const SUBJECTS = [SUPERVISOR_SUBJECT, SUPERVISOR_SUBJECT, 'cellos.events.a', 'cellos.events.a.x'] as const;
/** Filters, and the subjects that pass. */
const PASSES: Readonly<Record<string, readonly string[]>> = {
  '': SUBJECTS,
  '>': SUBJECTS,
  'cellos.events.>': SUBJECTS,
  'cellos.events.v1': [SUPERVISOR_SUBJECT],
  'cellos.events.a': ['cellos.events.a'],
  'cellos.events.*.x': ['cellos.events.a.x'],
  'other.>': [],
};
/** Holds some thousand events: most of what clients come back for is read from the log. */
const RING_BYTES = 1024 * 1024;
const HISTORY = 3000;
const NOISE_EVERY = 997;
const BEHIND = 10_000;
const RETURNING = 500;
const SESSIONS = 10_000;
const AT_ONCE = 100;
/** Descriptors that either process needs for something else. */
const RESERVED = 500;
const LIMIT_MS = 5000;

/** Cells that start, of which every third ends; among them what is no event. */
function publication(index: number): Publication {
  const subject = SUBJECTS[index % SUBJECTS.length] as string;
  if (index % NOISE_EVERY === 0) return { subject, payload: `noise ${index}` };
  const event = index % 3 === 2 ? cellDestroyed(`c-${index - 1}`) : cellStarted(`c-${index}`);
  return { subject, payload: JSON.stringify(event) };
}

function chooseHabits(random: Random, published: number): Habits {
  const via = random.isChosen(0.3) ? 'event stream' : 'websocket';
  const snapshot = via === 'websocket' && random.isChosen(0.3);
  const since = snapshot || random.isChosen(0.2) ? null : random.between(0, published);
  const filter = random.weighted({
    '': 3,
    '>': 1,
    'cellos.events.>': 1,
    'cellos.events.v1': 1,
    'cellos.events.a': 1,
    'cellos.events.*.x': 1,
    'other.>': 1,
  });
  const [control, isSlow, isRestless] = [0.5, 0.3, 0.6].map((share) => random.isChosen(share));
  return { via, since, snapshot, filter, control: !!control, isSlow: !!isSlow, isRestless: !!isRestless };
}

interface Stored {
  readonly seq: number;
  readonly subject: string;
  readonly text: string;
}

/** The cells that the log's events up to a sequence make. */
function cellsAt(stored: readonly Stored[], seq: number): Map<string, string> {
  const cells = new Map<string, string>();
  for (const message of stored) {
    if (message.seq > seq) break;
    if (!message.text.startsWith('{')) continue;
    const { type, data } = JSON.parse(message.text) as { type: string; data: { cellId: string } };
    // Sent again after a crash, a start may come behind the end; a cell that has ended stays so.
    const hasEnded = type.endsWith('.destroyed') || cells.get(data.cellId) === 'destroyed';
    cells.set(data.cellId, hasEnded ? 'destroyed' : 'running');
  }
  return cells;
}

/** What is wrong with what a client was sent, in words. */
function judge(follower: Follower, stored: readonly Stored[], events: readonly Stored[]): string[] {
  const { habits, sequences, base, joinedBefore, cells } = follower;
  const faults = [...follower.faults];
  const passes = new Set(PASSES[habits.filter]);
  const due = events.filter(({ subject }) => passes.has(subject)).map(({ seq }) => seq);
  const first = base ?? Math.min((sequences[0] ?? Infinity) - 1, joinedBefore);
  const expected = due.filter((seq) => seq > first);
  if (base === null) {
    // Without a sequence of its own it may have joined anywhere before what it was sent first.
    const start = expected.indexOf(sequences[0] ?? -1);
    if (start > 0 && (expected[start - 1] ?? 0) > joinedBefore) faults.push(`missed ${expected[start - 1]}`);
    expected.splice(0, start);
  }
  const wrong = expected.findIndex((seq, at) => seq !== sequences[at]);
  if (wrong >= 0) faults.push(`${sequences[wrong]} in place of ${expected[wrong]}`);
  else if (sequences.length > expected.length) faults.push(`${sequences[expected.length]} was not due`);
  if (habits.control && !follower.isSynced) faults.push('never synced');
  if (habits.snapshot) {
    const view = [...cellsAt(stored, base ?? 0)].toSorted();
    if (JSON.stringify([...(cells ?? [])].toSorted()) !== JSON.stringify(view))
      faults.push(`a snapshot at ${base} of ${cells?.size} cells, where there are ${view.length}`);
  }
  return faults.map((fault) => `${JSON.stringify(habits)}: ${fault}`);
}

describe.each([
  { target: nodeTarget, clients: 32, perSecond: 5000 },
  { target: denoTarget, clients: 12, perSecond: 2000 },
])('on $target.name', ({ target, clients, perSecond }) => {
  test(
    'FEED-50 clients of all kinds, while the broker is killed twice under load',
    { timeout: 60_000 },
    async () => {
      const broker = await Broker.start();
      const server = await ServerProcess.start(target, {
        CELLOS_NATS_URL: broker.websocketUrl,
        CELLOS_SERVER_FEED_RING_BYTES: String(RING_BYTES),
      });
      reportOnFailure(server);
      const before = SteadyLoad.start(broker, 10 * perSecond, publication);
      await until(() => before.highest > HISTORY, { what: 'a past' });
      const past = await before.stop();
      const load = SteadyLoad.start(broker, perSecond, (index) => publication(past + index));
      const heard = new Heard();
      const followers = Array.from({ length: clients }, (_, index) => {
        const random = new Random(`${SEED} ${target.name} ${index}`);
        return new Follower(server.http, heard, random, () => load.highest, chooseHabits(random, past));
      });
      const running = followers.map((follower) => follower.run(3000));
      for (let round = 0; round < 2; round += 1) {
        await delay(1500);
        await broker.kill();
        await delay(300);
        await broker.restart();
      }
      await delay(1500);
      const published = past + (await load.stop());
      for (const subject of new Set(SUBJECTS)) await broker.publish('"end"', subject);
      for (const follower of followers) follower.calm();
      const stored = await broker.messages();
      const events = stored.filter(({ text }) => !text.startsWith('noise'));
      const { ms } = await timed(
        until(() => followers.every((follower) => isAtEnd(follower, events)), {
          what: 'everybody to have everything',
          timeoutMs: 15_000,
        }).catch(() => {}),
      );
      for (const follower of followers) follower.stop();
      await Promise.all(running);

      const frames = followers.reduce((sum, { sequences }) => sum + sequences.length, 0);
      const sessions = followers.reduce((sum, follower) => sum + follower.sessions, 0);
      console.log(
        `seed ${SEED}: ${published} events, ${frames} frames to ${clients} clients in ${sessions} sessions, the last ${Math.round(ms)} ms after the end was read`,
      );
      expect(followers.flatMap((follower) => judge(follower, stored, events))).toEqual([]);
      // The texts: all clients were sent the same ones, so these are everybody's.
      const wrong = events.filter(
        ({ seq, text }) => heard.texts.has(seq) && heard.texts.get(seq) !== `{"seq":${seq},"event":${text}}`,
      );
      expect(wrong).toEqual([]);
      expect(sessions).toBeGreaterThan(clients);
      await server.stop();
      await broker.stop();
    },
  );
});

function isAtEnd({ habits, cursor, isSynced }: Follower, events: readonly Stored[]): boolean {
  const passes = new Set(PASSES[habits.filter]);
  const last = events.findLast(({ subject }) => passes.has(subject))?.seq ?? 0;
  return cursor >= last && (isSynced || !habits.control);
}

describe('on node', () => {
  test(
    'FEED-51 500 clients resume at once while events go on, and the broker has five consumers at most',
    { timeout: 30_000 },
    async () => {
      const random = new Random(`${SEED} resume`);
      const broker = await Broker.start();
      const server = await ServerProcess.start(nodeTarget, {
        CELLOS_NATS_URL: broker.websocketUrl,
        CELLOS_SERVER_FEED_RING_BYTES: String(RING_BYTES),
      });
      reportOnFailure(server);
      const payloads = Array.from({ length: BEHIND }, (_, index) =>
        JSON.stringify(cellStarted(`c-${index}`)),
      );
      const tail = await broker.publishAll(payloads);
      const load = SteadyLoad.start(broker, 1000, (index) => ({
        subject: SUPERVISOR_SUBJECT,
        payload: JSON.stringify(cellStarted(`d-${index}`)),
      }));
      const watch = new AbortController();
      let consumers = 0;
      const watching = (async () => {
        while (!watch.signal.aborted) {
          consumers = Math.max(consumers, (await broker.info()).state.consumer_count);
          await delay(10);
        }
      })();
      const startedAt = performance.now();
      const clients = Array.from({ length: RETURNING }, () => {
        const since = random.between(tail - BEHIND, tail);
        const client = new CountingClient(server.http, since, () => {});
        client.expect({ firstSequence: since + 1, count: Number.MAX_SAFE_INTEGER, recordTimes: false });
        return { since, client };
      });
      await Promise.all(clients.map(({ client }) => client.opening));
      await until(() => clients.every(({ since, client }) => client.frames >= tail - since), {
        what: 'everybody to have what it missed',
        timeoutMs: 15_000,
      });
      const ms = performance.now() - startedAt;
      const published = await load.stop();
      watch.abort();
      await watching;
      const last = await broker.lastSequence();
      expect(last).toBe(tail + published);
      await until(() => clients.every(({ since, client }) => client.frames >= last - since), {
        what: 'everybody to have everything',
      }).catch(() => {});
      console.log(
        `seed ${SEED}: ${RETURNING} clients, up to ${BEHIND} events back, were level after ${Math.round(ms)} ms; ${published} events meanwhile, at most ${consumers} consumers`,
      );
      const wrong = clients.filter(
        ({ since, client }) =>
          client.ended !== null || client.missing + client.repeated > 0 || client.frames !== last - since,
      );
      expect(
        wrong.map(({ since, client }) => {
          const { ended, missing, repeated, frames } = client;
          return { since, ended, missing, repeated, left: last - since - frames };
        }),
      ).toEqual([]);
      expect(consumers).toBeLessThanOrEqual(1 + 4);
      expect(consumers).toBeGreaterThan(1);
      for (const { client } of clients) client.end('left');
      await server.stop();
      await broker.stop();
    },
  );

  test(
    'FEED-52 RUN-7 10,000 sessions are closed with 1001, and the process has ended, within 5 s',
    { timeout: 40_000 },
    async () => {
      const sessions = Math.min(SESSIONS, openFilesLimit() - RESERVED);
      const broker = await Broker.start();
      const server = await ServerProcess.start(nodeTarget, { CELLOS_NATS_URL: broker.websocketUrl });
      reportOnFailure(server);
      const clients: CountingClient[] = [];
      const opened = await timed(
        (async () => {
          while (clients.length < sessions) {
            const batch = Array.from(
              { length: Math.min(AT_ONCE, sessions - clients.length) },
              () => new CountingClient(server.http, 0, () => {}),
            );
            clients.push(...batch);
            await Promise.all(batch.map((client) => client.opening));
          }
        })(),
      );
      expect(tally(clients.map(({ ended }) => ended ?? 'open'))).toEqual({ open: sessions });
      server.child.kill('SIGTERM');
      const { value: code, ms } = await timed(server.whenExited());
      console.log(
        `${sessions} sessions, opened in ${Math.round(opened.ms)} ms, were closed and the process had ended after ${Math.round(ms)} ms`,
      );
      expect(code, server.log).toBe(0);
      expect(ms).toBeLessThan(LIMIT_MS);
      await until(() => clients.every(({ ended }) => ended !== null), { what: 'every session to be over' });
      const ends = tally(clients.map(({ ended }) => /^closed \d+/.exec(ended ?? '')?.[0] ?? String(ended)));
      expect(ends).toEqual({ 'closed 1001': sessions });
      await broker.stop();
    },
  );
});

function tally(texts: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const text of texts) counts[text] = (counts[text] ?? 0) + 1;
  return counts;
}

/** How many files and sockets a process of this shell may have open. */
function openFilesLimit(): number {
  const { userLimits } = process.report.getReport() as {
    userLimits?: { open_files?: { soft: number | 'unlimited' } };
  };
  const soft = userLimits?.open_files?.soft;
  return typeof soft === 'number' ? soft : SESSIONS + RESERVED;
}
