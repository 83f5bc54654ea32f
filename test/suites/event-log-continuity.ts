// How the continuous read is held and moved to another connection, on every EventLog.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Position } from '../../src/model.ts';
import { quiet, until } from '../support/wait.ts';
import { type EventLogHarness, range, Recorder } from './event-log-support.ts';

/** More than two pulls: these may be under way when a log is told to pause. */
const MANY = 12_000;
const MOST_UNDER_WAY = 2 * 4096;

export function eventLogContinuitySuite(name: string, start: () => Promise<EventLogHarness>): void {
  describe(`event log, paused and renewed: ${name}`, () => {
    let harness: EventLogHarness;
    let recorder: Recorder;

    beforeEach(async () => {
      harness = await start();
      recorder = new Recorder();
    });
    afterEach(() => harness.dispose());

    const followOver = (count: number) => recorder.followOver(harness, count);

    describe('pauses', () => {
      /** Pauses with the first entry, and resolves when nothing comes any more. */
      const followPaused = async () => {
        await followOver(0);
        await harness.log.close();
        await harness.appendMany(MANY);
        const log = harness.another();
        const other = new Recorder();
        log.follow(0, {
          ...other,
          onEntry(entry) {
            if (entry.seq === 1) log.pause();
            other.onEntry(entry);
          },
        });
        await until(() => other.entries.length > 0, { what: 'the first entry' });
        let seen = 0;
        while (seen !== other.entries.length) {
          seen = other.entries.length;
          await quiet(harness.patienceMs / 8);
        }
        expect(seen).toBeLessThanOrEqual(MOST_UNDER_WAY);
        expect(other.caughtUp).toBeNull();
        return { log, other, seen };
      };

      it('LOG-18 gets no more than was under way, and is served the rest once and in order', async () => {
        const { log, other, seen } = await followPaused();
        await harness.appendMany(10);
        await quiet(harness.patienceMs);
        expect(other.entries).toHaveLength(seen);
        // That nothing came was not taken for a broken read.
        expect(other.told.filter((what) => !what.startsWith('entry'))).toEqual(['opened 0']);
        expect(log.anchor?.position).toBe(seen);
        log.resume();
        await other.whenCaughtUp(MANY + 10);
        expect(other.sequences).toEqual(range(1, MANY + 10));
        expect(other.openings).toBe(1);
      });

      it('LOG-18 stays paused over a lost connection', async () => {
        const { log, other, seen } = await followPaused();
        await harness.disconnect();
        await until(() => other.told.includes('lost'), { what: 'the loss', timeoutMs: 10_000 });
        await harness.reconnect();
        await until(() => other.openings === 2, { what: 'the reconnect', timeoutMs: 10_000 });
        await quiet(harness.patienceMs / 2);
        expect(other.entries).toHaveLength(seen);
        log.resume();
        await other.whenCaughtUp(MANY);
        expect(other.sequences).toEqual(range(1, MANY));
        expect(other.told).toContain(`opened ${seen}`);
      });

      it('LOG-18 stays paused over a renewal', async () => {
        const { log, other, seen } = await followPaused();
        await log.renew();
        await until(() => other.openings === 2, { what: 'the renewal' });
        await quiet(harness.patienceMs / 2);
        expect(other.entries).toHaveLength(seen);
        log.resume();
        await other.whenCaughtUp(MANY);
        expect(other.sequences).toEqual(range(1, MANY));
        expect(other.told).not.toContain('lost');
      });

      it('LOG-18 may be paused before it follows, and again and again', async () => {
        await followOver(3);
        const log = harness.another();
        const other = new Recorder();
        log.pause();
        log.follow(0, other);
        await until(() => other.openings === 1, { what: 'the opening' });
        await quiet(harness.patienceMs / 2);
        expect(other.sequences).toEqual([]);
        for (let round = 0; round < 5; round++) {
          log.resume();
          log.pause();
          log.pause();
          log.resume();
          await harness.append('{}');
        }
        await other.whenCaughtUp(8);
        expect(other.sequences).toEqual(range(1, 8));
        expect(other.openings).toBe(1);
      });
    });

    describe('renewals', () => {
      const reopened = (times: number) =>
        until(() => recorder.openings > times, { what: `renewal ${times}`, timeoutMs: 10_000 });

      it('LOG-19 lose and repeat nothing, whatever is published and asked meanwhile', async () => {
        await followOver(0);
        const publishing = new AbortController();
        const mine = new Map<Position, string>();
        const during = async (work: (n: number) => Promise<unknown>) => {
          for (let n = 0; !publishing.signal.aborted; n++) {
            await work(n);
            await quiet(0);
          }
        };
        const { log } = harness;
        const signal = () => AbortSignal.timeout(5000);
        const workers = [
          during((n) => harness.append(`{"other":${n}}`)),
          during(async (n) => {
            const text = `{"mine":${n}}`;
            const options = { messageId: crypto.randomUUID(), signal: signal() };
            const { seq } = await log.publish('cellos.events.mine', new TextEncoder().encode(text), options);
            mine.set(seq, text);
          }),
          during(async () => {
            const page = await log.read({ after: 0, limit: 1000, signal: signal() });
            expect(page.entries.map(({ seq }) => seq)).toEqual(range(1, page.entries.length));
          }),
          during(() => log.bounds()),
          during(() => log.last('cellos.events.mine', signal())),
        ];
        for (let round = 1; round <= 5; round++) {
          await log.renew();
          await reopened(round);
          await until(() => mine.size > 3 * round, { what: 'publishes between renewals' });
          // Twice at once is as good as once.
          if (round === 3) await Promise.all([log.renew(), log.renew()]);
        }
        publishing.abort();
        await Promise.all(workers);
        const last = await harness.append('"the last"');
        await recorder.whenCaughtUp(last);
        expect(recorder.sequences).toEqual(range(1, last));
        expect(recorder.told).not.toContain('lost');
        expect(recorder.told).not.toContain('reset');
        for (const [seq, text] of mine) expect(recorder.texts[seq - 1]).toBe(text);
      });

      it('LOG-19 in the middle of a replay', async () => {
        await followOver(0);
        await harness.log.close();
        await harness.appendMany(MANY);
        const log = harness.another();
        const renewals: Promise<void>[] = [];
        log.follow(0, {
          ...recorder,
          onEntry(entry) {
            recorder.onEntry(entry);
            // Not at the very last entry: that renewal would go on when the broker is taken away.
            if (entry.seq % 3000 === 1 && entry.seq < MANY) renewals.push(log.renew());
          },
        });
        await recorder.whenCaughtUp(MANY);
        expect(renewals).toHaveLength(4);
        await Promise.all(renewals);
        await recorder.whenCaughtUp(await harness.append('{}'));
        expect(recorder.sequences).toEqual(range(1, MANY + 1));
        expect(recorder.told).not.toContain('lost');
      });

      it('LOG-20 while the broker is away do no harm', async () => {
        await followOver(2);
        // The first meets a broker that is leaving.
        const early = harness.log.renew().catch(() => {});
        await harness.disconnect();
        await until(() => recorder.told.includes('lost'), { what: 'the loss', timeoutMs: 10_000 });
        await Promise.all([early, harness.log.renew().catch(() => {})]);
        await harness.reconnect();
        await harness.appendMany(3);
        await recorder.whenCaughtUp(5);
        expect(recorder.sequences).toEqual([1, 2, 3, 4, 5]);
        await harness.log.renew();
        await recorder.whenCaughtUp(await harness.append('{}'));
        expect(recorder.sequences).toEqual([1, 2, 3, 4, 5, 6]);
      });

      it('LOG-20 before the first contact, and before it follows at all, do no harm', async () => {
        await harness.log.renew();
        harness.log.follow(0, recorder);
        await harness.log.renew();
        await recorder.whenCaughtUp(0);
        await recorder.whenCaughtUp(await harness.append('{}'));
        expect(recorder.sequences).toEqual([1]);
      });

      it('LOG-20 end with the log', async () => {
        await followOver(1);
        const renewal = harness.log.renew().catch(() => {});
        await harness.log.close();
        await renewal;
        const told = recorder.told.length;
        await harness.append('{}');
        await harness.log.renew().catch(() => {});
        await quiet(harness.patienceMs / 4);
        expect(recorder.told).toHaveLength(told);
      });
    });

    it('LOG-21 proves to be alive on a quiet log, paused or not', async () => {
      await followOver(1);
      for (const pause of [false, true]) {
        if (pause) harness.log.pause();
        const before = harness.log.contactAt;
        await until(() => harness.log.contactAt > before, { what: 'contact' });
        expect(Math.abs(Date.now() - harness.log.contactAt)).toBeLessThan(3000);
      }
    });
  });
}
