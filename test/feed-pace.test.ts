// The feed on sockets that take whatever they are given and do not tell what waits.
import * as fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';

import { ControlPlane } from '../src/control-plane.ts';
import type { PaceLimits } from '../src/feed-pace.ts';
import { ManualClock } from './support/manual-clock.ts';
import { MemoryEventLog } from './support/memory-event-log.ts';
import { silentLogger } from './support/system.ts';
import { TestSocket } from './support/test-socket.ts';

const PAYLOAD = { padding: 'x'.repeat(200) };
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

let log: MemoryEventLog;
let clock: ManualClock;
let controlPlane: ControlPlane;

async function start(pace: PaceLimits, ringBytes = 1_000_000): Promise<void> {
  log = new MemoryEventLog();
  clock = new ManualClock();
  controlPlane = new ControlPlane({ log, clock, logger: silentLogger, ringBytes, pace });
  controlPlane.start();
  await clock.settle();
}

async function open(since: number | null = null): Promise<TestSocket> {
  const socket = new TestSocket();
  socket.connection = controlPlane.feed.open(socket, { since, filter: 'cellos.events.>', epoch: null });
  await clock.settle();
  return socket;
}

async function append(count: number): Promise<void> {
  for (let n = 0; n < count; n++) log.append(PAYLOAD);
  await clock.settle();
}

const bytesOf = (socket: TestSocket) => socket.texts.reduce((sum, text) => sum + text.length, 0);

describe('bytes a turn', () => {
  const turnBytes = 6000;
  beforeEach(() => start({ turnBytes, busyMsPerSession: 0 }));

  it('FEED-23 hands out no more than a turn has, and the rest in the turns that follow', async () => {
    const sockets = [await open(), await open(), await open()];
    await append(100);
    let handedOut = 0;
    for (let turn = 0; turn < 100 && sockets[0]?.sequences.length !== 100; turn++) {
      const now = sockets.reduce((sum, socket) => sum + bytesOf(socket), 0);
      // A frame for each session goes out even where it does not fit.
      expect(now - handedOut).toBeLessThan(turnBytes + 3 * 300);
      expect(now).toBeGreaterThan(handedOut);
      handedOut = now;
      await clock.advance(1);
    }
    for (const socket of sockets) expect(socket.sequences).toEqual(range(1, 100));
  });

  it('FEED-23 catches up in turns too', async () => {
    await append(200);
    const socket = await open(0);
    expect(socket.sequences.length).toBeLessThan(200);
    await clock.advance(500);
    expect(socket.sequences).toEqual(range(1, 200));
    await append(1);
    expect(socket.sequences.at(-1)).toBe(201);
  });

  it('FEED-23 what has left the ring meanwhile comes from the log', async () => {
    await start({ turnBytes, busyMsPerSession: 0 }, 10_000);
    const sockets = [await open(), await open()];
    for (let round = 0; round < 10; round++) await append(50);
    await clock.advance(2000);
    for (const socket of sockets) expect(socket.sequences).toEqual(range(1, 500));
  });

  it('FEED-23 a session that opens or leaves in the middle changes nothing for others', async () => {
    const [staying, leaving] = [await open(), await open()];
    await append(100);
    const late = await open();
    const first = log.append(PAYLOAD);
    leaving.connection?.closed();
    await clock.advance(1000);
    expect(staying.sequences).toEqual(range(1, 101));
    expect(late.sequences).toEqual([first]);
  });
});

describe('a runtime at work', () => {
  it('FEED-24 hands out at once when nothing was, and together what comes while it is at work', async () => {
    await start({ turnBytes: 1_000_000, busyMsPerSession: 10 });
    const socket = await open();
    await clock.advance(1000);
    await append(1);
    expect(socket.sequences).toEqual([1]);
    await append(1);
    await append(1);
    expect(socket.sequences).toEqual([1]);
    await clock.advance(0);
    expect(socket.sequences).toEqual([1, 2, 3]);
    expect(socket.batches).toHaveLength(2);
  });
});

it('FEED-23 FEED-24 each session gets each frame once and in order, whatever the pace', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('append' as const), count: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ kind: fc.constant('open' as const), back: fc.integer({ min: 0, max: 60 }) }),
    fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 60 }) }),
  );
  const limits = fc.record({
    turnBytes: fc.integer({ min: 100, max: 20_000 }),
    busyMsPerSession: fc.constantFrom(0, 0.5, 5),
  });
  await fc.assert(
    fc.asyncProperty(
      limits,
      fc.integer({ min: 500, max: 20_000 }),
      fc.array(step, { maxLength: 15 }),
      async (pace, ring, steps) => {
        await start(pace, ring);
        const sessions: { socket: TestSocket; after: number }[] = [];
        let last = 0;
        for (const each of steps) {
          if (each.kind === 'append') {
            await append(each.count);
            last += each.count;
          } else if (each.kind === 'pass') await clock.advance(each.ms);
          else {
            const after = Math.max(0, last - each.back);
            sessions.push({ socket: await open(after), after });
          }
        }
        await clock.advance(5000);
        for (const { socket, after } of sessions) expect(socket.sequences).toEqual(range(after + 1, last));
      },
    ),
    { numRuns: 100 },
  );
});
