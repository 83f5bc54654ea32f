// The feed as server-sent events, in memory: what is in the stream, and how it ends.
import { beforeEach, describe, expect, it } from 'vitest';

import { ControlPlane } from '../src/control-plane.ts';
import type { FeedRequest } from '../src/feed-session.ts';
import { eventStream } from '../src/feed-stream.ts';
import { ManualClock } from './support/manual-clock.ts';
import { MemoryEventLog } from './support/memory-event-log.ts';
import { silentLogger } from './support/system.ts';

const OPENING = 'retry: 1000\n\n';

describe('a stream of events', () => {
  let log: MemoryEventLog;
  let clock: ManualClock;
  let controlPlane: ControlPlane;

  beforeEach(async () => {
    log = new MemoryEventLog();
    clock = new ManualClock();
    for (let n = 1; n <= 3; n++) log.append({ n });
    controlPlane = new ControlPlane({ log, clock, logger: silentLogger });
    controlPlane.start();
    await clock.settle();
  });

  const open = async (request: Partial<FeedRequest> = {}) => {
    const whole = { since: null, filter: 'cellos.events.>', epoch: null, ...request };
    const reader = eventStream((socket) => controlPlane.feed.open(socket, whole)).getReader();
    await clock.settle();
    const decoder = new TextDecoder();
    /** All that is there now; what comes later is for nobody. */
    const read = async () => {
      let text = '';
      for (;;) {
        const next = await Promise.race([reader.read(), clock.settle().then(() => null)]);
        if (next === null) return text;
        if (next.done) return `${text}<end>`;
        text += decoder.decode(next.value);
      }
    };
    return { reader, read };
  };

  it('FEED-40 begins with when to come back, then has each frame under its sequence', async () => {
    const { read } = await open({ since: 1 });
    expect(await read()).toBe(
      `${OPENING}id: 2\ndata: {"seq":2,"event":{"n":2}}\n\nid: 3\ndata: {"seq":3,"event":{"n":3}}\n\n`,
    );
  });

  it('FEED-40 shows that the line is alive, with the cursor, every 25 s', async () => {
    const { reader } = await open({ filter: 'cellos.events.other' });
    await reader.read();
    const next = reader.read();
    log.append({ n: 4 });
    await clock.advance(26_000);
    expect(new TextDecoder().decode((await next).value)).toBe(':\nid: 4\n\n');
  });

  it('FEED-40 names control frames, and lines stay lines', async () => {
    log.append('{\n"a":1,\r"b":2}');
    const { read } = await open({ since: 3, control: true });
    expect(await read()).toBe(
      `${OPENING}id: 4\ndata: {"seq":4,"event":{\ndata: "a":1,\ndata: "b":2}}\n\n` +
        'id: 4\nevent: synced\ndata: {"synced":true,"seq":4}\n\n',
    );
  });

  it('FEED-40 FEED-13 ends behind a problem when the stream is another one', async () => {
    const { reader } = await open();
    await reader.read();
    log.replace();
    await clock.settle();
    const text = new TextDecoder().decode((await reader.read()).value);
    expect(text).toMatch(/^event: problem\ndata: \{"type":"\/problems\/ws\/epoch-changed".*\}\n\n$/);
    expect((await reader.read()).done).toBe(true);
  });

  it('FEED-40 ends when the server stops, and is forgotten when the client leaves', async () => {
    const [staying, leaving] = [await open(), await open()];
    expect(controlPlane.feed.size).toBe(2);
    await leaving.reader.cancel();
    expect(controlPlane.feed.size).toBe(1);
    controlPlane.feed.shutdown();
    expect(await staying.read()).toBe(`${OPENING}<end>`);
  });

  it('FEED-40 FEED-11 is cut when its client takes nothing', async () => {
    const { reader } = await open();
    for (let n = 0; n < 40; n++) log.append({ pad: 'x'.repeat(100_000) });
    await clock.advance(52_000);
    expect(controlPlane.feed.size).toBe(0);
    await expect(reader.read()).rejects.toThrow('slow consumer');
  });
});
