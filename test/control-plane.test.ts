// The control plane on the in-memory log: what is answered when, and who waits for what.
import { beforeEach, describe, expect, it } from 'vitest';

import { ControlPlane } from '../src/control-plane.ts';
import type { LogFollower } from '../src/ports.ts';
import { formationEvent } from './support/events.ts';
import { ManualClock } from './support/manual-clock.ts';
import { MemoryEventLog } from './support/memory-event-log.ts';
import { silentLogger } from './support/system.ts';
import { TestSocket } from './support/test-socket.ts';

const ID = '0f8fad5b-d9cb-469f-a165-70867728950e';
const created = (name = 'web') => formationEvent('created', { formationId: ID, formationName: name });

describe('control plane', () => {
  let log: MemoryEventLog;
  let clock: ManualClock;
  let warnings: string[];

  beforeEach(() => {
    log = new MemoryEventLog();
    clock = new ManualClock();
    warnings = [];
  });

  const start = async (options: { skipReplay?: boolean } = {}) => {
    const logger = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
    const controlPlane = new ControlPlane({ log, clock, logger, ...options });
    controlPlane.start();
    await clock.settle();
    return controlPlane;
  };

  describe('starting', () => {
    it('RUN-1 answers once the replay has reached the tail', async () => {
      log.append(created());
      const controlPlane = new ControlPlane({ log, clock, logger: silentLogger });
      expect(controlPlane.serving).toBe(false);
      controlPlane.start();
      await controlPlane.whenServing();
      expect(controlPlane.phase).toBe('live');
      expect(controlPlane.state.formations.get(ID)?.name).toBe('web');
    });

    it('RUN-1 answers from an empty view when the broker is out of reach for 2 s', async () => {
      log.disconnect();
      const controlPlane = await start();
      await clock.advance(1999);
      expect(controlPlane.serving).toBe(false);
      await clock.advance(1);
      expect([controlPlane.serving, controlPlane.state.cursor, controlPlane.epoch]).toEqual([true, 0, null]);
    });

    it('RUN-1 answers too when the broker leaves in the middle of the replay', async () => {
      let follower: LogFollower | undefined;
      // A replay that stands still, which the log in memory never does.
      log.follow = (_from, told) => void (follower = told);
      const controlPlane = await start();
      follower?.onOpened({ epoch: 'e', firstSeq: 1, lastSeq: 9 }, 0);
      await clock.advance(5000);
      expect(controlPlane.serving).toBe(false);
      follower?.onLost('gone');
      await clock.advance(1999);
      expect(controlPlane.serving).toBe(false);
      await clock.advance(1);
      expect(controlPlane.serving).toBe(true);
    });

    it('RUN-3 uses a broker that arrives later', async () => {
      log.disconnect();
      const controlPlane = await start();
      await clock.advance(5000);
      log.append(created());
      log.connect();
      await clock.settle();
      expect([controlPlane.phase, controlPlane.state.cursor]).toEqual(['live', 1]);
    });

    it('CFG-7 starts at the tail with an empty view when told to skip the replay', async () => {
      log.append(created());
      log.append(created());
      const controlPlane = await start({ skipReplay: true });
      expect([controlPlane.state.cursor, controlPlane.state.formations.size]).toEqual([2, 0]);
      log.append(created('later'));
      await clock.settle();
      expect([controlPlane.state.cursor, controlPlane.state.formations.size]).toEqual([3, 1]);
    });
  });

  describe('the projection', () => {
    it('PRJ-3 warns of what is skipped and goes on', async () => {
      const controlPlane = await start();
      log.append('not json');
      log.append(formationEvent('created', { formationId: 'no uuid' }));
      log.append(created());
      await clock.settle();
      expect(warnings).toEqual(['event skipped', 'event skipped']);
      expect([controlPlane.state.cursor, controlPlane.state.formations.size]).toEqual([3, 1]);
    });

    it('RUN-2 keeps answering from the view while the broker is away', async () => {
      log.append(created());
      const controlPlane = await start();
      log.disconnect();
      await clock.advance(60_000);
      expect([controlPlane.phase, controlPlane.serving, controlPlane.state.cursor]).toEqual([
        'lost',
        true,
        1,
      ]);
      log.append(created('renamed'));
      log.connect();
      await clock.settle();
      expect(controlPlane.phase).toBe('live');
      expect(controlPlane.state.formations.get(ID)?.name).toBe('renamed');
    });

    it('LOG-11 is rebuilt from another stream', async () => {
      log.append(created());
      log.append(created());
      const controlPlane = await start();
      const { epoch } = controlPlane;
      log.replace();
      await clock.settle();
      expect([controlPlane.state.cursor, controlPlane.state.formations.size]).toEqual([0, 0]);
      expect(controlPlane.epoch).not.toBe(epoch);
      expect(controlPlane.phase).toBe('live');
      log.append(created('new'));
      await clock.settle();
      expect(new TextDecoder().decode(controlPlane.snapshots.formations(controlPlane.epoch))).toContain(
        '"new"',
      );
    });

    it('LOG-5 moves the cursor over what was deleted', async () => {
      log.append(created());
      log.append(created());
      log.remove(2);
      const controlPlane = await start();
      expect(controlPlane.state.cursor).toBe(2);
    });
  });

  describe('waiting for an answer', () => {
    const waiting = (controlPlane: ControlPlane, ms: number) => {
      const seen = { isOver: false };
      void controlPlane.whenAnswerable(ms).then(() => (seen.isOver = true));
      return seen;
    };

    it('RUN-19 ends when the server answers, at once when it does', async () => {
      const controlPlane = new ControlPlane({ log, clock, logger: silentLogger });
      const before = waiting(controlPlane, 60_000);
      await clock.advance(5000);
      expect(before.isOver).toBe(false);
      controlPlane.start();
      await clock.settle();
      expect(before.isOver).toBe(true);
      const after = waiting(controlPlane, 60_000);
      await clock.settle();
      expect(after.isOver).toBe(true);
    });

    it('RUN-19 ends after the time', async () => {
      const controlPlane = new ControlPlane({ log, clock, logger: silentLogger });
      const seen = waiting(controlPlane, 700);
      await clock.advance(699);
      expect(seen.isOver).toBe(false);
      await clock.advance(1);
      expect([seen.isOver, controlPlane.serving]).toEqual([true, false]);
    });

    it('RUN-1 tells how far it is: nothing known, then of what', async () => {
      let follower: LogFollower | undefined;
      log.follow = (_from, told) => void (follower = told);
      const controlPlane = await start();
      expect(controlPlane.progress).toEqual({ cursor: 0, target: null });
      follower?.onOpened({ epoch: 'e', firstSeq: 1, lastSeq: 9 }, 0);
      follower?.onEntry({ seq: 4, subject: 's', payload: new Uint8Array() });
      expect(controlPlane.progress).toEqual({ cursor: 4, target: 9 });
    });
  });

  describe('stopping', () => {
    const open = (controlPlane: ControlPlane) => {
      const socket = new TestSocket();
      const request = { since: null, filter: 'cellos.events.>', epoch: null };
      socket.connection = controlPlane.feed.open(socket, request);
      return socket;
    };

    it('RUN-7 closes the sessions with 1001', async () => {
      const controlPlane = await start();
      const socket = open(controlPlane);
      await controlPlane.stop();
      expect([socket.closed?.code, controlPlane.feed.size]).toEqual([1001, 0]);
    });

    it('RUN-20 leaves them open to a successor when told to', async () => {
      const controlPlane = await start();
      const socket = open(controlPlane);
      log.append(created());
      const successor = log.another();
      await controlPlane.stop('leave');
      await clock.advance(120_000);
      expect([socket.closed, socket.texts, controlPlane.feed.size]).toEqual([null, [], 0]);
      const next = new ControlPlane({ log: successor, clock, logger: silentLogger });
      if (socket.memory !== null) socket.connection = next.feed.resume(socket, socket.memory);
      next.start();
      await clock.advance(100);
      successor.append(created());
      await clock.settle();
      expect(socket.sequences).toEqual([1, 2]);
    });

    it('RUN-7 RUN-20 lets go of the log either way, and follows it no more', async () => {
      for (const sessions of ['close', 'leave'] as const) {
        log = new MemoryEventLog();
        const other = log.another();
        const controlPlane = await start();
        await controlPlane.stop(sessions);
        other.append(created());
        await clock.advance(10_000);
        expect([controlPlane.phase, controlPlane.state.cursor]).toEqual(['stopped', 0]);
      }
    });
  });

  describe('waiting for a position', () => {
    it('OUT-6 resolves when it is applied, at once when it was', async () => {
      const controlPlane = await start();
      const { signal } = new AbortController();
      let applied = false;
      const waiting = controlPlane.whenApplied(2, signal).then(() => (applied = true));
      log.append(created());
      await clock.settle();
      expect(applied).toBe(false);
      log.append(created());
      await waiting;
      await controlPlane.whenApplied(1, signal);
    });

    it('OUT-7 ends with the signal, with a replaced stream and with the server', async () => {
      const controlPlane = await start();
      log.append(created());
      const controller = new AbortController();
      const aborted = controlPlane.whenApplied(9, controller.signal);
      controller.abort(new Error('too late'));
      await expect(aborted).rejects.toThrow('too late');
      const { signal } = new AbortController();
      const replaced = controlPlane.whenApplied(9, signal);
      log.replace();
      await expect(replaced).rejects.toMatchObject({ status: 503 });
      const stopped = controlPlane.whenApplied(9, signal);
      await controlPlane.stop();
      await expect(stopped).rejects.toMatchObject({ status: 503 });
      expect(controlPlane.serving).toBe(false);
    });
  });
});
