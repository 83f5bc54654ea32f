// The order of what comes in while signatures are verified, and how much of it may wait.
import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';

import { Checkpoint } from '../src/checkpoint.ts';
import { ControlPlane } from '../src/control-plane.ts';
import { EntryReader } from '../src/entry-reader.ts';
import { type EntryFollower, Intake } from '../src/intake.ts';
import { MAX_WAITING_BYTES, MAX_WAITING_ENTRIES } from '../src/limits.ts';
import type { EventEntry } from '../src/model.ts';
import type { LogEntry } from '../src/ports.ts';
import { cellEvent, entryOf, STARTED } from './support/given.ts';
import { ManualClock } from './support/manual-clock.ts';
import { MemoryCheckpointStore } from './support/memory-checkpoint-store.ts';
import { MemoryEventLog } from './support/memory-event-log.ts';
import { signaturesOf, signed, VERIFY_KEYS } from './support/signing.ts';
import { silentLogger } from './support/system.ts';

const PLAIN = JSON.stringify(cellEvent(STARTED, 'plain'));
let reader: EntryReader;
let envelope: string;
beforeAll(async () => {
  reader = new EntryReader(await signaturesOf({ CELLOS_EVENT_VERIFY_KEYS: VERIFY_KEYS }));
  envelope = await signed(cellEvent(STARTED, 'signed'));
});

/** A log by hand: what is told, when it is paused, where it says that it is. */
class Rig {
  readonly log = new MemoryEventLog();
  readonly told: string[] = [];
  readonly paused: boolean[] = [];
  readonly intake: Intake;
  tell!: Parameters<MemoryEventLog['follow']>[1];
  position = 0;

  constructor(by: EntryReader) {
    const { log, told } = this;
    const anchorHere = () => ({ position: this.position, epoch: 'e', timestamp: null });
    Object.defineProperty(log, 'anchor', { get: anchorHere });
    log.follow = (_, follower) => (this.tell = follower);
    log.pause = () => void this.paused.push(true);
    log.resume = () => void this.paused.push(false);
    this.intake = new Intake(log, by);
    const note =
      (what: string) =>
      (...args: unknown[]) =>
        void told.push(`${what} ${JSON.stringify(args)}`);
    const follower: EntryFollower = {
      onOpened: note('opened'),
      onCaughtUp: note('caught up'),
      onReset: note('reset'),
      onLost: note('lost'),
      onEntry: ({ seq }) => {
        told.push(`${seq}`);
        // At any moment of which a view may be saved.
        const { anchor } = this.intake;
        if (anchor !== null) expect(anchor.position).toBe(seq);
      },
    };
    this.intake.follow(0, follower);
  }

  entry(payload: string): void {
    this.tell.onEntry(entryOf(++this.position, payload));
  }
}

/** Verifies when it is told to. */
class SlowReader extends EntryReader {
  readonly waiting: (() => void)[] = [];

  override read(entry: LogEntry): EventEntry | Promise<EventEntry> {
    const read = super.read(entry);
    if (!(read instanceof Promise)) return read;
    return new Promise((resolve) => this.waiting.push(() => void read.then(resolve)));
  }
}

async function slow(): Promise<{ rig: Rig; reader: SlowReader; release: (at: number) => Promise<void> }> {
  const slowReader = new SlowReader(await signaturesOf({ CELLOS_EVENT_VERIFY_KEYS: VERIFY_KEYS }));
  const release = async (at: number) => {
    slowReader.waiting[at]?.();
    await whenQuiet();
  };
  return { rig: new Rig(slowReader), reader: slowReader, release };
}

/** Signatures are verified beside the event loop. */
const whenQuiet = () => new Promise((resolve) => setTimeout(resolve, 20));

test('SIG-11 while nothing is verified everything passes at once', () => {
  const rig = new Rig(reader);
  rig.entry(PLAIN);
  rig.tell.onLost('x');
  rig.entry('not JSON');
  rig.tell.onCaughtUp(2);
  expect(rig.told).toEqual(['1', 'lost ["x"]', '2', 'caught up [2]']);
});

test('SIG-11 what comes behind a signature waits for it, of whatever kind it is', async () => {
  const { rig, release } = await slow();
  const bounds = { epoch: 'f', firstSeq: 1, lastSeq: 3 };
  rig.entry(PLAIN);
  rig.entry(envelope);
  expect(rig.intake.anchor).toBeNull();
  rig.entry(PLAIN);
  rig.entry(envelope);
  rig.tell.onLost('x');
  rig.tell.onOpened(bounds, 4);
  rig.tell.onReset(bounds);
  rig.tell.onCaughtUp(9);
  await release(1);
  expect(rig.told).toEqual(['1']);
  await release(0);
  const others = ['lost ["x"]', `opened [${JSON.stringify(bounds)},4]`, `reset [${JSON.stringify(bounds)}]`];
  expect(rig.told).toEqual(['1', '2', '3', '4', ...others, 'caught up [9]']);
  rig.entry(PLAIN);
  expect(rig.told.at(-1)).toBe('5');
});

test('SIG-11 any mixture comes out as it went in', async () => {
  const bad = envelope.replace('"signed"', '"other"');
  const kinds = fc.array(fc.constantFrom(PLAIN, envelope, bad, 'not JSON'), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(kinds, async (payloads) => {
      const rig = new Rig(reader);
      for (const payload of payloads) rig.entry(payload);
      while (rig.told.length < payloads.length) await whenQuiet();
      expect(rig.told).toEqual(payloads.map((_, at) => `${at + 1}`));
      expect(rig.intake.anchor?.position).toBe(payloads.length);
    }),
    { numRuns: 20 },
  );
});

test('SIG-11 the last save does not fall into the moment in which a signature is verified', async () => {
  const signatures = await signaturesOf({ CELLOS_EVENT_VERIFY_KEYS: VERIFY_KEYS });
  const store = new MemoryCheckpointStore();
  const newCheckpoint = () => new Checkpoint(store, silentLogger, signatures);
  const log = new MemoryEventLog();
  log.append(PLAIN);
  const controlPlane = new ControlPlane({
    log,
    clock: new ManualClock(),
    logger: silentLogger,
    signatures,
    checkpoint: newCheckpoint(),
  });
  controlPlane.start();
  await controlPlane.whenServing();
  log.append(envelope);
  expect(controlPlane.cursor).toBe(1);
  await controlPlane.stop();
  expect((await newCheckpoint().restore())?.state.cursor).toBe(2);
});

describe('SIG-13 backpressure', () => {
  test('the log is paused when much waits, and resumed when half of it is done', async () => {
    const { rig, reader: slowReader, release } = await slow();
    for (let n = 1; n < MAX_WAITING_ENTRIES; n++) rig.entry(n === 1 ? envelope : PLAIN);
    expect(rig.paused).toEqual([]);
    rig.entry(envelope);
    // What is still under way comes all the same.
    rig.entry(PLAIN);
    expect(rig.paused).toEqual([true]);
    await release(0);
    expect(rig.told).toHaveLength(MAX_WAITING_ENTRIES - 1);
    expect(rig.paused).toEqual([true, false]);
    await release(1);
    expect([rig.told.length, slowReader.waiting.length]).toEqual([MAX_WAITING_ENTRIES + 1, 2]);
  });

  test('large entries count for what they are', async () => {
    const { rig, release } = await slow();
    rig.entry(envelope);
    rig.entry(JSON.stringify('x'.repeat(MAX_WAITING_BYTES)));
    expect(rig.paused).toEqual([true]);
    await release(0);
    expect(rig.paused).toEqual([true, false]);
  });

  test('of several that pause it the last one resumes it', async () => {
    const { rig, release } = await slow();
    rig.intake.pause();
    rig.entry(envelope);
    rig.entry(JSON.stringify('x'.repeat(MAX_WAITING_BYTES)));
    rig.intake.pause();
    rig.intake.resume();
    await release(0);
    expect(rig.paused).toEqual([true]);
    rig.intake.resume();
    expect(rig.paused).toEqual([true, false]);
  });
});
