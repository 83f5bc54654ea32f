// When the view is saved, on the control plane with the log in memory: the test decides when the store writes and when a
// replay may go on.
import { beforeEach, describe, expect, it } from 'vitest';

import { CHECKPOINT_INTERVAL_MS, REPLAY_SLICE_ENTRIES } from '../src/limits.ts';
import { cellEvent, formationEvent, STARTED } from './support/given.ts';
import { IGNORED, Lives } from './support/lives.ts';
import { shown } from './support/memory-checkpoint-store.ts';

const ID = '0f8fad5b-d9cb-469f-a165-70867728950e';

describe('checkpoints of a server', () => {
  let lives: Lives;
  beforeEach(() => {
    lives = new Lives();
  });

  describe('a long replay', () => {
    const SLICES = 2 * REPLAY_SLICE_ENTRIES;
    /** Slices begin when the test says so. */
    const startSliced = async (count: number) => {
      for (let n = 0; n < count; n++) lives.log.append(IGNORED);
      const slices: (() => void)[] = [];
      await lives.start({ nextSlice: () => new Promise((resolve) => void slices.push(resolve)) });
      const next = async () => {
        slices.at(-1)?.();
        await lives.settle();
      };
      return { slices, next };
    };

    it('RUN-13 is saved after every slice, and goes on when the next one is called for', async () => {
      const { slices, next } = await startSliced(SLICES + 100);
      // Some entries were under way when the log was paused.
      const paused = lives.cursor;
      expect(paused).toBeGreaterThanOrEqual(REPLAY_SLICE_ENTRIES);
      expect(paused).toBeLessThan(REPLAY_SLICE_ENTRIES + 100);
      expect(lives.asked).toEqual([REPLAY_SLICE_ENTRIES]);
      expect(lives.store.commits).toHaveLength(1);
      await lives.pass(60_000);
      expect([lives.cursor, slices.length]).toEqual([paused, 1]);
      expect(lives.controlPlane.serving).toBe(false);
      expect(lives.controlPlane.progress).toEqual({ cursor: paused, target: SLICES + 100 });
      await next();
      expect([lives.asked, slices.length]).toEqual([[REPLAY_SLICE_ENTRIES, SLICES], 2]);
      expect(lives.controlPlane.serving).toBe(false);
      await next();
      expect([lives.cursor, lives.controlPlane.serving]).toEqual([SLICES + 100, true]);
      await lives.append(1);
      expect(lives.cursor).toBe(SLICES + 101);
    });

    it('RUN-13 stands still until its checkpoint is written', async () => {
      const gate = Promise.withResolvers<void>();
      lives.store.gate = gate.promise;
      for (let n = 0; n < SLICES; n++) lives.log.append(IGNORED);
      const starting = lives.start();
      for (let turn = 0; turn < 1000 && lives.asked.length === 0; turn++) await Promise.resolve();
      await lives.clock.settle();
      const paused = lives.cursor;
      expect(paused).toBeLessThan(REPLAY_SLICE_ENTRIES + 100);
      await lives.clock.advance(1000);
      expect(lives.cursor).toBe(paused);
      gate.resolve();
      await starting;
      await lives.settle();
      expect([lives.cursor, lives.controlPlane.serving]).toEqual([SLICES, true]);
    });

    it('RUN-13 is taken up by the next process where it was saved', async () => {
      await startSliced(SLICES);
      await lives.crash();
      await lives.start();
      expect(lives.delivered[0]).toBe(REPLAY_SLICE_ENTRIES + 1);
      expect([lives.cursor, lives.controlPlane.serving]).toEqual([SLICES, true]);
    });

    it('RUN-13 a short one is not sliced', async () => {
      const { slices } = await startSliced(REPLAY_SLICE_ENTRIES - 1);
      expect([lives.asked, slices.length, lives.controlPlane.serving]).toEqual([[], 0, true]);
    });

    it('RUN-13 RUN-17 goes on when the store fails', async () => {
      lives.store.faults.commit = 'refused';
      const { next } = await startSliced(SLICES + 1);
      await next();
      await next();
      expect([lives.cursor, lives.controlPlane.serving]).toEqual([SLICES + 1, true]);
      expect(lives.logged).toEqual(Array(2).fill('WARN the checkpoint could not be saved'));
    });

    it('RUN-13 RUN-16 begins to count anew when the stream is replaced in the middle', async () => {
      const { slices, next } = await startSliced(SLICES);
      lives.log.disconnect();
      lives.log.replace();
      for (let n = 0; n < REPLAY_SLICE_ENTRIES - 1; n++) lives.log.append(IGNORED);
      lives.log.connect();
      await lives.settle();
      expect(lives.cursor).toBe(0);
      await next();
      expect([lives.cursor, lives.controlPlane.serving]).toEqual([REPLAY_SLICE_ENTRIES - 1, true]);
      expect([lives.asked, slices.length]).toEqual([[REPLAY_SLICE_ENTRIES, 'reset'], 1]);
    });
  });

  describe('a live view', () => {
    it('RUN-14 is saved every ten seconds while it changes, and not when it does not', async () => {
      await lives.start();
      await lives.append(1);
      expect(lives.asked).toEqual([]);
      await lives.pass(CHECKPOINT_INTERVAL_MS - 1);
      expect(lives.asked).toEqual([]);
      await lives.pass(1);
      expect(lives.asked).toEqual([1]);
      await lives.pass(10 * CHECKPOINT_INTERVAL_MS);
      expect(lives.asked).toEqual([1]);
      // However often it changes.
      for (let second = 0; second < 35; second++) {
        await lives.append(2);
        await lives.pass(1000);
      }
      expect(lives.asked.length).toBeGreaterThanOrEqual(4);
      expect(lives.asked.length).toBeLessThanOrEqual(5);
      await lives.pass(CHECKPOINT_INTERVAL_MS);
      expect(lives.asked.at(-1)).toBe(71);
      const { length } = lives.store.commits;
      await lives.pass(10 * CHECKPOINT_INTERVAL_MS);
      expect(lives.store.commits).toHaveLength(length);
    });

    it('RUN-14 that was restored and finds nothing new writes nothing', async () => {
      await lives.start();
      await lives.append(3);
      await lives.stop();
      const { length } = lives.store.commits;
      expect(length).toBe(1);
      await lives.start();
      await lives.pass(10 * CHECKPOINT_INTERVAL_MS);
      await lives.stop();
      expect(lives.store.commits).toHaveLength(length);
    });

    it('RUN-14 is saved behind a loss too, where entries were deleted meanwhile', async () => {
      await lives.start();
      await lives.append(3);
      lives.log.disconnect();
      await lives.pass(CHECKPOINT_INTERVAL_MS);
      expect(lives.asked).toEqual([3]);
      lives.log.append(IGNORED);
      lives.log.remove(4);
      lives.log.connect();
      await lives.pass(CHECKPOINT_INTERVAL_MS);
      expect([lives.cursor, lives.asked]).toEqual([4, [3, 4]]);
    });

    it('RUN-15 is saved when the server stops, before it leaves the broker', async () => {
      await lives.start();
      await lives.append(2, formationEvent('created', { formationId: ID, formationName: 'web' }));
      let committedAtClose = -1;
      const { close } = lives.log;
      lives.log.close = async () => {
        committedAtClose = lives.store.commits.length;
        await close.call(lives.log);
      };
      await lives.controlPlane.stop();
      expect([lives.asked, committedAtClose]).toEqual([[2], 1]);
      // Nothing is written by what is over.
      await lives.pass(10 * CHECKPOINT_INTERVAL_MS);
      expect(lives.store.commits).toHaveLength(1);
    });

    it('RUN-15 stopping waits for a save that is under way', async () => {
      await lives.start();
      await lives.append(2);
      const gate = Promise.withResolvers<void>();
      lives.store.gate = gate.promise;
      await lives.clock.advance(CHECKPOINT_INTERVAL_MS);
      expect(lives.asked).toEqual([2]);
      let isStopped = false;
      const stopping = lives.controlPlane.stop().then(() => (isStopped = true));
      await lives.clock.settle();
      // Whoever comes next would find the store in the middle of it.
      expect(isStopped).toBe(false);
      gate.resolve();
      await stopping;
      expect(lives.store.commits).toHaveLength(1);
    });

    it('RUN-16 of another stream replaces the checkpoint of the old one', async () => {
      await lives.start();
      await lives.append(3, cellEvent(STARTED, 'old'));
      await lives.pass(CHECKPOINT_INTERVAL_MS);
      expect(lives.store.head).not.toBeNull();
      lives.log.replace();
      await lives.settle();
      await lives.append(2, cellEvent(STARTED, 'new'));
      await lives.pass(CHECKPOINT_INTERVAL_MS);
      await lives.crash();
      await lives.start();
      expect(lives.delivered).toEqual([]);
      expect([...lives.controlPlane.state.cells.keys()]).toEqual(['new']);
      expect(lives.controlPlane.epoch).toBe('epoch-2');
    });

    it('RUN-16 of another stream at the same position is saved too', async () => {
      await lives.start();
      await lives.append(2, cellEvent(STARTED, 'old'));
      await lives.pass(CHECKPOINT_INTERVAL_MS);
      lives.log.replace();
      await lives.append(2, cellEvent(STARTED, 'new'));
      await lives.stop();
      await lives.start();
      expect([lives.delivered, [...lives.controlPlane.state.cells.keys()]]).toEqual([[], ['new']]);
    });

    it('RUN-16 a checkpoint of a stream that was replaced while nobody ran is not used', async () => {
      await lives.start();
      await lives.append(3, cellEvent(STARTED, 'old'));
      await lives.stop();
      lives.log.replace();
      for (let n = 0; n < 5; n++) lives.log.append(cellEvent(STARTED, `new-${n}`));
      await lives.start();
      expect(lives.delivered).toEqual([1, 2, 3, 4, 5]);
      expect(shown(lives.controlPlane.state)).toEqual(shown(await lives.replayed()));
      await lives.stop();
      await lives.start();
      expect([lives.delivered, lives.controlPlane.state.cells.size]).toEqual([[], 5]);
    });

    it('RUN-17 a failing store is warned of and harms nothing; the next save makes up for it', async () => {
      await lives.start();
      await lives.append(1, cellEvent(STARTED, 'a'));
      lives.store.faults.commit = 'refused';
      await lives.pass(CHECKPOINT_INTERVAL_MS);
      expect(lives.logged).toEqual(['WARN the checkpoint could not be saved']);
      await lives.append(1, cellEvent(STARTED, 'b'));
      expect([lives.cursor, lives.controlPlane.serving]).toEqual([2, true]);
      delete lives.store.faults.commit;
      await lives.pass(CHECKPOINT_INTERVAL_MS);
      await lives.crash();
      await lives.start();
      expect([lives.delivered, [...lives.controlPlane.state.cells.keys()].sort()]).toEqual([[], ['a', 'b']]);
    });

    it('RUN-17 what could not be saved is saved at the end, though nothing changed since', async () => {
      await lives.start();
      await lives.append(1);
      lives.store.faults.commit = 'refused';
      await lives.pass(CHECKPOINT_INTERVAL_MS);
      delete lives.store.faults.commit;
      await lives.stop();
      expect(lives.store.commits).toHaveLength(1);
    });

    it('RUN-15 RUN-17 so is a save that fails while the server stops', async () => {
      await lives.start();
      await lives.append(1);
      const { commit } = lives.store;
      lives.store.commit = async () => {
        lives.store.commit = commit;
        throw new Error('the disk is gone');
      };
      await lives.clock.advance(CHECKPOINT_INTERVAL_MS);
      expect(lives.asked).toEqual([1]);
      const stopping = lives.stop();
      await stopping;
      expect(lives.store.commits).toHaveLength(1);
    });

    it('RUN-17 one that fails to the end does not keep the server from stopping', async () => {
      await lives.start();
      await lives.append(1);
      lives.store.faults.commit = 'refused';
      lives.log.replace();
      await lives.append(1);
      await lives.controlPlane.stop();
      expect(lives.logged.filter((line) => line.startsWith('ERROR'))).toEqual([]);
      expect(lives.logged.at(-1)).toBe('WARN the checkpoint could not be saved');
    });
  });
});
