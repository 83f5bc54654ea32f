// Where a log says that its follower is, and how the continuous read is taken up again there, on every EventLog.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Position } from '../../src/model.ts';
import type { LogAnchor } from '../../src/ports.ts';
import { until } from '../support/wait.ts';
import { type EventLogHarness, range, Recorder } from './event-log-support.ts';

export function eventLogAnchorSuite(name: string, start: () => Promise<EventLogHarness>): void {
  describe(`event log, taken up again: ${name}`, () => {
    let harness: EventLogHarness;
    let recorder: Recorder;

    beforeEach(async () => {
      harness = await start();
      recorder = new Recorder();
    });
    afterEach(() => harness.dispose());

    const followOver = (count: number) => recorder.followOver(harness, count);
    const anchorNow = () => harness.log.anchor as LogAnchor;
    const resumed = async (anchor: LogAnchor, position: Position) => {
      const log = harness.another();
      const other = new Recorder();
      log.follow(anchor, other);
      await other.whenCaughtUp(position);
      return { log, other };
    };

    it('LOG-15 gets exactly what is after its anchor, on another log too', async () => {
      await followOver(5);
      const anchor = anchorNow();
      expect(anchor).toMatchObject({ position: 5, timestamp: { seq: 5 } });
      expect(anchor.epoch).toBe(recorder.opened?.epoch);
      await harness.appendMany(3);
      const { log, other } = await resumed(anchor, 8);
      expect(other.told).toEqual(['opened 5', 'entry 6', 'entry 7', 'entry 8']);
      await harness.append('{}');
      await other.whenCaughtUp(9);
      expect(other.sequences).toEqual([6, 7, 8, 9]);
      await recorder.whenCaughtUp(9);
      expect(log.anchor).toEqual(anchorNow());
    });

    it('LOG-15 waits at an anchor that is the tail', async () => {
      await followOver(2);
      const { other } = await resumed(anchorNow(), 2);
      expect(other.told).toEqual(['opened 2']);
      await harness.append('{}');
      await other.whenCaughtUp(3);
      expect(other.sequences).toEqual([3]);
    });

    it('LOG-15 fits although its entry, or what follows it, is not retained any more', async () => {
      await followOver(6);
      const anchor = anchorNow();
      await harness.appendMany(3);
      await harness.remove(6);
      expect((await resumed(anchor, 9)).other.told).toEqual(['opened 6', 'entry 7', 'entry 8', 'entry 9']);
      await harness.purge(7);
      expect((await resumed(anchor, 9)).other.told).toEqual(['opened 6', 'entry 8', 'entry 9']);
      await harness.purge(9);
      expect((await resumed(anchor, 9)).other.told).toEqual(['opened 6']);
    });

    it('LOG-15 fits where the last entries had been deleted when it was taken', async () => {
      await followOver(4);
      await harness.remove(4);
      const first = new Recorder();
      const log = harness.another();
      log.follow(0, first);
      await first.whenCaughtUp(4);
      const anchor = log.anchor as LogAnchor;
      expect(anchor).toMatchObject({ position: 4, timestamp: { seq: 3 } });
      await harness.append('{}');
      expect((await resumed(anchor, 5)).other.told).toEqual(['opened 4', 'entry 5']);
    });

    it.each<[string, (anchor: LogAnchor) => LogAnchor]>([
      ['of another epoch', (anchor) => ({ ...anchor, epoch: `${anchor.epoch}0` })],
      [
        'of another epoch, of which nothing was delivered',
        () => ({ position: 0, epoch: 'another', timestamp: null }),
      ],
      ['beyond the last sequence', (anchor) => ({ ...anchor, position: 6, timestamp: null })],
      [
        'whose entry was stored at another time',
        (anchor) => ({ ...anchor, timestamp: { seq: 5, nanos: '1700000000000000001' } }),
      ],
      [
        'one of whose earlier entries was stored at another time',
        (anchor) => ({ ...anchor, timestamp: { seq: 2, nanos: anchor.timestamp?.nanos ?? '' } }),
      ],
    ])('LOG-16 is told of the reset first, then of everything: an anchor %s', async (_what, change) => {
      await followOver(5);
      const { log, other } = await resumed(change(anchorNow()), 5);
      expect(other.told.slice(0, 3)).toEqual(['reset', 'opened 0', 'entry 1']);
      expect(other.sequences).toEqual([1, 2, 3, 4, 5]);
      expect(other.told.filter((what) => what === 'reset')).toHaveLength(1);
      expect(log.anchor).toEqual(anchorNow());
    });

    it('LOG-16 notices that the stream was replaced while nobody followed', async () => {
      await followOver(5);
      const anchor = anchorNow();
      await harness.log.close();
      await harness.replace();
      const { log, other } = await resumed(anchor, 0);
      expect(other.told).toEqual(['reset', 'opened 0']);
      expect(log.anchor).toMatchObject({ position: 0, epoch: other.opened?.epoch, timestamp: null });
      expect(other.opened?.epoch).not.toBe(anchor.epoch);
    });

    it('LOG-17 the anchor is null before the first contact, or the one that was given', async () => {
      await followOver(3);
      const anchor = anchorNow();
      const [fresh, given, tail] = [harness.another(), harness.another(), harness.another()];
      expect(fresh.anchor).toBeNull();
      const recorders = [new Recorder(), new Recorder(), new Recorder()] as const;
      fresh.follow(1, recorders[0]);
      given.follow(anchor, recorders[1]);
      tail.follow('tail', recorders[2]);
      expect([fresh.anchor, given.anchor, tail.anchor]).toEqual([null, anchor, null]);
      for (const each of recorders) await each.whenCaughtUp(3);
      expect(fresh.anchor).toEqual(anchor);
      expect(given.anchor).toEqual(anchor);
      expect(tail.anchor).toEqual({ ...anchor, timestamp: null });
    });

    it('LOG-17 the anchor is at the last entry delivered at every moment', async () => {
      await followOver(20);
      await harness.remove(20);
      await harness.remove(7);
      const log = harness.another();
      const other = new Recorder();
      const seen: unknown[] = [];
      const note = () => seen.push([log.anchor?.position, log.anchor?.timestamp?.seq]);
      log.follow(0, {
        ...other,
        onOpened(bounds, after) {
          other.onOpened(bounds, after);
          seen.push(log.anchor?.epoch === bounds.epoch);
          note();
        },
        onEntry(entry) {
          other.onEntry(entry);
          note();
        },
        onCaughtUp(position) {
          other.onCaughtUp(position);
          note();
        },
      });
      await other.whenCaughtUp(20);
      await harness.append('{}');
      await other.whenCaughtUp(21);
      const delivered = [...range(1, 6), ...range(8, 19)];
      const whileRead = [...delivered.map((seq) => [seq, seq]), [20, 19], [21, 21]];
      expect(seen).toEqual([true, [0, undefined], ...whileRead]);
      await harness.disconnect();
      await until(() => other.told.includes('lost'), { what: 'the loss' });
      expect(log.anchor).toMatchObject({ position: 21, timestamp: { seq: 21 } });
      await harness.reconnect();
      await until(() => other.openings === 2, { what: 'the reconnect' });
      expect(seen.slice(whileRead.length + 2, whileRead.length + 4)).toEqual([true, [21, 21]]);
    });
  });
}
