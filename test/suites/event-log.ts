// What every EventLog promises, run on the one over NATS with a real broker and on the one in memory.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Position } from '../../src/model.ts';
import { EventLogError, type LogEntry, type LogPublishOptions } from '../../src/ports.ts';
import { until } from '../support/wait.ts';
import { eventLogAnchorSuite } from './event-log-anchors.ts';
import { eventLogContinuitySuite } from './event-log-continuity.ts';
import { type EventLogHarness, Recorder } from './event-log-support.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const signal = () => AbortSignal.timeout(5000);
const isUnreachable = (error: unknown) => error instanceof EventLogError && error.code === 'unreachable';

export function eventLogSuite(name: string, start: () => Promise<EventLogHarness>): void {
  eventLogAnchorSuite(name, start);
  eventLogContinuitySuite(name, start);
  describe(`event log: ${name}`, () => {
    let harness: EventLogHarness;
    let recorder: Recorder;

    beforeEach(async () => {
      harness = await start();
      recorder = new Recorder();
    });
    afterEach(() => harness.dispose());

    const follow = async (from: Position | 'tail' = 0, position: Position = 0) => {
      harness.log.follow(from, recorder);
      await recorder.whenCaughtUp(position);
    };
    const append = async (count: number, subject?: string) => {
      let last = 0;
      for (let at = 0; at < count; at++) last = await harness.append(`{"n":${at}}`, subject);
      return last;
    };

    describe('the continuous read', () => {
      it('LOG-8 carries what is there into what comes, in order', async () => {
        await follow();
        await append(3);
        await recorder.whenCaughtUp(3);
        expect(recorder.sequences).toEqual([1, 2, 3]);
        expect(recorder.texts).toEqual(['{"n":0}', '{"n":1}', '{"n":2}']);
        expect(recorder.entries[0]?.subject).toBe('cellos.events.v1');
        expect(recorder.told[0]).toBe('opened 0');
      });

      it('LOG-8 starts behind a given position', async () => {
        await follow();
        await append(5);
        await recorder.whenCaughtUp(5);
        const other = new Recorder();
        harness.another().follow(3, other);
        await other.whenCaughtUp(5);
        expect(other.sequences).toEqual([4, 5]);
      });

      it('CFG-7 starts at the tail when asked to', async () => {
        await follow();
        await append(4);
        await recorder.whenCaughtUp(4);
        const other = new Recorder();
        harness.another().follow('tail', other);
        await other.whenCaughtUp(4);
        await harness.append('{"n":"new"}');
        await other.whenCaughtUp(5);
        expect(other.told[0]).toBe('opened 4');
        expect(other.sequences).toEqual([5]);
      });

      it('LOG-5 is caught up at the last sequence, also when that entry is deleted', async () => {
        await follow();
        await append(4);
        await recorder.whenCaughtUp(4);
        await harness.remove(4);
        await harness.remove(2);
        const other = new Recorder();
        harness.another().follow(0, other);
        await other.whenCaughtUp(4);
        expect(other.sequences).toEqual([1, 3]);
        expect(other.caughtUp).toBe(4);
      });

      it('LOG-10 goes on where it was after a loss, nothing lost and nothing repeated', async () => {
        await follow();
        await append(3);
        await recorder.whenCaughtUp(3);
        await harness.disconnect();
        await until(() => recorder.told.includes('lost'), { what: 'the loss' });
        await harness.reconnect();
        await append(3);
        await recorder.whenCaughtUp(6);
        expect(recorder.sequences).toEqual([1, 2, 3, 4, 5, 6]);
        expect(recorder.told).toContain('opened 3');
        expect(recorder.told).not.toContain('reset');
      });

      it('LOG-11 tells that the stream is another one and begins anew', async () => {
        await follow();
        await append(3);
        await recorder.whenCaughtUp(3);
        const before = recorder.opened?.epoch;
        await harness.replace();
        await until(() => recorder.told.includes('reset'), { what: 'the reset', timeoutMs: 10_000 });
        await harness.append('{"n":"first of the new one"}');
        await recorder.whenCaughtUp(1);
        expect(recorder.texts).toEqual(['{"n":"first of the new one"}']);
        expect(recorder.opened?.epoch).not.toBe(before);
      });

      it('tells nothing more once it is closed', async () => {
        await follow();
        await harness.log.close();
        const told = recorder.told.length;
        await harness.append('{"n":1}');
        expect(recorder.told).toHaveLength(told);
      });
    });

    describe('publishing', () => {
      const acknowledged = (subject: string, options: Partial<LogPublishOptions> = {}) =>
        harness.log.publish(subject, bytes('{"mine":true}'), {
          messageId: crypto.randomUUID(),
          signal: signal(),
          ...options,
        });
      const publish = async (subject: string, expectedLastOnSubject?: Position) => {
        const options = expectedLastOnSubject === undefined ? {} : { expectedLastOnSubject };
        return (await acknowledged(subject, options)).seq;
      };

      it('OUT-12 stores a message once under its id, and says where', async () => {
        await follow();
        await append(3);
        const messageId = crypto.randomUUID();
        expect(await acknowledged('cellos.events.one', { messageId })).toEqual({
          seq: 4,
          isDuplicate: false,
        });
        await append(1);
        expect(await acknowledged('cellos.events.one', { messageId })).toEqual({ seq: 4, isDuplicate: true });
        expect(await acknowledged('cellos.events.two', { messageId })).toEqual({ seq: 4, isDuplicate: true });
        expect(await publish('cellos.events.one')).toBe(6);
      });

      it('OUT-14 lets a message through only behind the last one that is expected', async () => {
        await follow();
        await append(2);
        const behind = (expectedLast: Position) => acknowledged('cellos.events.one', { expectedLast });
        await expect(behind(1)).rejects.toMatchObject({ code: 'conflict' });
        await expect(behind(3)).rejects.toMatchObject({ code: 'conflict' });
        expect(await behind(2)).toEqual({ seq: 3, isDuplicate: false });
        const results = await Promise.allSettled(Array.from({ length: 10 }, () => behind(3)));
        expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      });

      it('OUT-6 answers with the sequence at which the entry is read', async () => {
        await follow();
        await append(1);
        expect(await publish('cellos.events.formations.x.created')).toBe(2);
        await recorder.whenCaughtUp(2);
        expect(recorder.texts[1]).toBe('{"mine":true}');
        expect(recorder.entries[1]?.subject).toBe('cellos.events.formations.x.created');
      });

      it('ADM-27 lets exactly one of many first messages on a subject through', async () => {
        await follow();
        const results = await Promise.allSettled(
          Array.from({ length: 20 }, () => publish('cellos.events.one', 0)),
        );
        const refusals = results.filter((result) => result.status === 'rejected');
        expect(refusals).toHaveLength(19);
        for (const { reason } of refusals) expect(reason).toMatchObject({ code: 'conflict' });
        expect(await publish('cellos.events.another', 0)).toBeGreaterThan(0);
      });

      it('ADM-27 finds the last entry of a subject', async () => {
        await follow();
        await publish('cellos.events.one');
        const seq = await publish('cellos.events.one');
        await publish('cellos.events.two');
        expect((await harness.log.last('cellos.events.one', signal()))?.seq).toBe(seq);
        expect(await harness.log.last('cellos.events.none', signal())).toBeNull();
      });

      it('LOG-14 refuses at once while the log is away, and queues nothing', async () => {
        await follow();
        await harness.disconnect();
        await until(() => recorder.told.includes('lost'), { what: 'the loss' });
        await expect(publish('cellos.events.lost')).rejects.toSatisfy(isUnreachable);
        await expect(harness.log.bounds()).rejects.toSatisfy(isUnreachable);
        await expect(harness.log.last('x', signal())).rejects.toSatisfy(isUnreachable);
        const read = harness.log.read({ after: 0, limit: 10, signal: signal() });
        await expect(read).rejects.toSatisfy(isUnreachable);
        await harness.reconnect();
        await append(1);
        await recorder.whenCaughtUp(1);
        expect(recorder.texts).toEqual(['{"n":0}']);
      });
    });

    describe('single entries', () => {
      const entries = async (sequences: readonly Position[]) => {
        const found: LogEntry[] = [];
        for await (const entry of harness.log.entries(sequences, signal())) found.push(entry);
        return found;
      };

      it('LOG-31 come in the order of their sequences, whole, without those that are not there', async () => {
        await follow();
        await append(100, 'cellos.events.one');
        await harness.remove(50);
        await harness.purge(10);
        const wanted = [5, 11, 12, 49, 50, 51, 99, 100, 101, 1e15];
        const found = await entries(wanted);
        expect(found.map(({ seq }) => seq)).toEqual([11, 12, 49, 51, 99, 100]);
        expect(new TextDecoder().decode(found[1]?.payload)).toBe('{"n":11}');
        expect(found[0]?.subject).toBe('cellos.events.one');
        const all = Array.from({ length: 100 }, (_, at) => at + 1);
        expect((await entries(all)).map(({ seq }) => seq)).toEqual(
          all.filter((seq) => seq > 10 && seq !== 50),
        );
        expect(await entries([])).toEqual([]);
      });

      it('LOG-31 may be left in the middle, and end with the log or the signal', async () => {
        await follow();
        await append(80);
        const all = Array.from({ length: 80 }, (_, at) => at + 1);
        for await (const { seq } of harness.log.entries(all, signal())) if (seq === 3) break;
        const aborted = harness.log.entries(all, AbortSignal.abort());
        await expect(Array.fromAsync(aborted)).rejects.toMatchObject({ code: 'unavailable' });
        await harness.disconnect();
        await until(() => recorder.told.includes('lost'), { what: 'the loss' });
        await expect(entries(all)).rejects.toSatisfy(isUnreachable);
        await harness.reconnect();
        await until(async () => (await entries(all).catch(() => [])).length === 80, { what: 'the entries' });
      });
    });

    describe('pages of history', () => {
      const read = (after: Position, limit: number, options: { until?: Position; filter?: string } = {}) =>
        harness.log.read({ after, limit, signal: signal(), ...options });
      const sequences = (page: { entries: readonly LogEntry[] }) => page.entries.map((entry) => entry.seq);

      it('HTTP-44 says how far it looked: to the last entry of a full page, else to the end', async () => {
        await follow();
        await append(10);
        const first = await read(0, 4);
        expect([sequences(first), first.through]).toEqual([[1, 2, 3, 4], 4]);
        const last = await read(8, 4);
        expect([sequences(last), last.through]).toEqual([[9, 10], 10]);
        const exact = await read(6, 4);
        expect([sequences(exact), exact.through]).toEqual([[7, 8, 9, 10], 10]);
        expect(exact.bounds).toMatchObject({ firstSeq: 1, lastSeq: 10 });
      });

      it('HTTP-46 answers at once at the tail and beyond it', async () => {
        await follow();
        await append(2);
        for (const after of [2, 3, Number.MAX_SAFE_INTEGER]) {
          const page = await read(after, 5);
          expect([page.entries, page.through]).toEqual([[], 2]);
        }
      });

      it('reads no further than it is told', async () => {
        await follow();
        await append(10);
        const page = await read(2, 100, { until: 5 });
        expect([sequences(page), page.through]).toEqual([[3, 4, 5], 5]);
      });

      it('HTTP-48 cuts a page at some MiB, and goes on behind it', async () => {
        await follow();
        const large = JSON.stringify('x'.repeat(900_000));
        for (let at = 0; at < 12; at++) await harness.append(large);
        const first = await read(0, 100);
        expect(first.entries.length).toBeGreaterThan(1);
        expect(first.entries.length).toBeLessThan(12);
        expect(first.through).toBe(first.entries.length);
        const second = await read(first.through, 100);
        expect(second.entries[0]?.seq).toBe(first.through + 1);
      });

      it('HTTP-47 reads one subject only when asked to', async () => {
        await follow();
        await append(2);
        await append(2, 'cellos.events.other');
        await append(2);
        const page = await read(0, 10, { filter: 'cellos.events.other' });
        expect([sequences(page), page.through]).toEqual([[3, 4], 6]);
      });

      it('LOG-12 steps over what is not retained', async () => {
        await follow();
        await append(10);
        await harness.remove(6);
        await harness.purge(4);
        const page = await read(0, 3);
        expect([sequences(page), page.through]).toEqual([[5, 7, 8], 8]);
        expect(page.bounds.firstSeq).toBe(5);
        const hole = await read(0, 100, { until: 3 });
        expect([hole.entries, hole.through]).toEqual([[], 4]);
      });

      it('LOG-12 knows the bounds of an emptied stream', async () => {
        await follow();
        expect(await harness.log.bounds()).toMatchObject({ firstSeq: 1, lastSeq: 0 });
        await append(3);
        await harness.purge(3);
        expect(await harness.log.bounds()).toMatchObject({ firstSeq: 4, lastSeq: 3 });
      });
    });
  });
}
