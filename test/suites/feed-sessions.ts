// What sessions may do to the server and to each other.
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { openRaw } from '../support/feed-client.ts';
import type { FeedClient } from '../support/feed-client.ts';
import { requireCapability } from '../support/server-process.ts';
import type { Capabilities, Rig } from '../support/server-process.ts';
import { until } from '../support/wait.ts';

const MAX_MESSAGE_BYTES = 64 * 1024;
const HEARTBEAT_MS = 25_000;

/** `idle` was opened when the suite began, so that its first ping is not waited for from the beginning. */
export function sessionsSuite(rig: () => Rig, idle: () => FeedClient, capabilities: Capabilities): void {
  const stillFed = async (feed: FeedClient) => {
    const last = await rig().publish('"alive"');
    await feed.whenSequence(last);
    expect(feed.closing).toBeNull();
  };

  describe('messages from clients', () => {
    test('FEED-8 are ignored, text and binary, whole and in fragments', async () => {
      const feed = await rig().server.feed();
      feed.socket.send('hello');
      feed.socket.send('{"type":"subscribe","since":0}');
      feed.socket.send(new Uint8Array([0, 255]));
      feed.socket.send('');
      feed.socket.send('x'.repeat(MAX_MESSAGE_BYTES));
      for (let part = 0; part < 8; part += 1)
        feed.socket.send('y'.repeat(MAX_MESSAGE_BYTES / 8), { fin: part === 7 });
      await stillFed(feed);
      expect(feed.frames).toHaveLength(1);
      await feed.close();
    });

    test('FEED-8 above 64 KiB close the session with 1009, and only this one', async () => {
      const [whole, fragmented, other] = [
        await rig().server.feed(),
        await rig().server.feed(),
        await rig().server.feed(),
      ];
      whole.socket.send('x'.repeat(MAX_MESSAGE_BYTES + 1));
      fragmented.socket.send('x'.repeat(MAX_MESSAGE_BYTES), { fin: false });
      fragmented.socket.send('x', { fin: true });
      expect((await whole.whenClosed()).code).toBe(1009);
      expect((await fragmented.whenClosed()).code).toBe(1009);
      await stillFed(other);
      await other.close();
    });

    test.for<[string, Buffer, keyof Capabilities]>([
      ['a frame that is not masked', Buffer.from([0x81, 0x02, 0x68, 0x69]), 'maskedFrames'],
      ['a reserved opcode', Buffer.from([0x83, 0x80, 0, 0, 0, 0]), 'endsConnections'],
      ['text that is not UTF-8', Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0xff]), 'strictFrames'],
      [
        'a control frame of 126 bytes',
        Buffer.concat([Buffer.from([0x89, 0xfe, 0x00, 0x7e, 0, 0, 0, 0]), Buffer.alloc(126)]),
        'strictFrames',
      ],
    ])('FEED-18 %s ends the session, and only this one', async ([, bytes, capability], context) => {
      requireCapability(context, capabilities[capability]);
      const other = await rig().server.feed();
      const socket = await openRaw(rig().http);
      socket.resume();
      const ended = once(socket, 'close');
      socket.write(bytes);
      await ended;
      await stillFed(other);
      await other.close();
    });

    test('FEED-18 a reserved opcode is answered with 1002', async (context) => {
      requireCapability(context, capabilities.explainsFrames);
      const socket = await openRaw(rig().http);
      const [frame] = (await Promise.all([
        once(socket.resume(), 'data'),
        socket.write(Buffer.from([0x83, 0x80, 0, 0, 0, 0])),
      ])) as [[Buffer], boolean];
      expect([frame[0][0], frame[0].readUInt16BE(2)]).toEqual([0x88, 1002]);
      socket.destroy();
    });

    test('FEED-18 sessions that vanish without a word harm nobody', async () => {
      const other = await rig().server.feed();
      for (let round = 0; round < 20; round += 1) {
        const socket = await openRaw(rig().http, { query: 'since=0' });
        socket.resetAndDestroy();
      }
      await stillFed(other);
      await other.close();
    });
  });

  test('FEED-9 a client’s close frame is answered with its code', async () => {
    for (const code of [1000, 1001, 4000]) {
      const feed = await rig().server.feed();
      feed.socket.close(code, 'bye');
      expect((await feed.whenClosed()).code).toBe(code);
    }
  });

  test('FEED-6 the connection ends with a session that the server closes', async (context) => {
    requireCapability(context, capabilities.endsConnections);
    const feed = await rig().server.feed({ query: 'subject=a..b', closeTimeoutMs: 30_000 });
    expect((await feed.whenClosed(1000)).code).toBe(1008);
  });

  test('FEED-10 a client’s ping is answered', async () => {
    const feed = await rig().server.feed();
    const answered = once(feed.socket, 'pong');
    feed.socket.ping('are you there');
    expect(String((await answered)[0])).toBe('are you there');
    await feed.close();
  });

  test('LOG-4 the number of consumers does not grow with sessions, and ends where it began', async () => {
    const count = async () => (await rig().broker.consumers()).length;
    const before = await count();
    const live = await Promise.all(Array.from({ length: 30 }, () => rig().server.feed()));
    expect(await count()).toBe(before);
    const past = await Promise.all(Array.from({ length: 30 }, () => rig().server.feed({ query: 'since=0' })));
    const last = await rig().publish('1');
    await Promise.all([...live, ...past].map((feed) => feed.whenSequence(last)));
    await until(async () => (await count()) === before, { what: `no more than ${before} consumers` });
    await Promise.all([...live, ...past].map((feed) => feed.close()));
    expect(await count()).toBe(before);
  });

  test('LOG-3 the consumers are ephemeral', async () => {
    for (const { config } of await rig().broker.consumers()) {
      expect(config.durable_name).toBeUndefined();
      expect(config.ack_policy).toBe('none');
      expect(config.inactive_threshold).toBe(5 * 60 * 1e9);
    }
  });

  test('FEED-10 a ping every 25 s', { timeout: 60_000 }, async (context) => {
    requireCapability(context, capabilities.pings);
    await until(() => idle().pings.length > 0, { what: 'the first ping', timeoutMs: HEARTBEAT_MS + 5000 });
    const after = (idle().pings[0] as number) - idle().openedAt;
    expect(after).toBeLessThan(HEARTBEAT_MS + 2500);
    expect(idle().closing).toBeNull();
  });
}
