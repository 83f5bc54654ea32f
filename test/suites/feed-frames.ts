// What a feed sends: which events, in which order, as which text.
import { expect, test } from 'vitest';
import { cellStarted, flatDocument, unique } from '../support/events.ts';
import type { Rig } from '../support/server-process.ts';
import { quiet } from '../support/wait.ts';

/** Long enough for a frame that must not come; the ones that must are awaited by sequence. */
const SILENCE_MS = 150;

const numbers = (from: number, count: number) => Array.from({ length: count }, (_, index) => from + index);

export function framesSuite(rig: () => Rig): void {
  test('FEED-1 LOG-7 a frame has the sequence and the payload exactly as it was published', async () => {
    const feed = await rig().server.feed();
    const payloads = [
      '{"type":"x","z":1.0,"a":1e3,"a":2,"big":12345678901234567890,"10":1,"9":-0}',
      ' { "spaced" : [ 1 ,\n 2 ] } ',
      '"text with \\u00e9 and \\/ and ✓\u{1f600}"',
      '12.50',
      'null',
      '[]',
      JSON.stringify(cellStarted(unique('cell'))),
    ];
    const last = await rig().publish(...payloads);
    await feed.whenSequence(last);
    expect(feed.frames.map((frame) => frame.text)).toEqual(
      payloads.map((payload, index) => `{"seq":${last - payloads.length + 1 + index},"event":${payload}}`),
    );
    await feed.close();
  });

  test('FEED-1 what is not UTF-8 JSON is dropped, live and from the past', async () => {
    const before = await rig().broker.lastSequence();
    const live = await rig().server.feed();
    const junk = ['', 'no json', '{"a":', '{} x', new Uint8Array([0x22, 0xff, 0x22]), '\uFEFF{}', 'NaN'];
    const last = await rig().publish(...junk.flatMap((payload, index) => [payload, String(index)]));
    const past = await rig().server.feed({ query: `since=${before}` });
    const expected = junk.map((_, index) => before + 2 * index + 2);
    for (const feed of [live, past]) {
      await feed.whenSequence(last);
      expect(feed.sequences).toEqual(expected);
      await feed.close();
    }
  });

  test('FEED-2 without since only what comes', async () => {
    await rig().publish('"before"');
    const feed = await rig().server.feed();
    const last = await rig().publish('"after"');
    await feed.whenSequence(last);
    expect(feed.events).toEqual(['"after"']);
    await feed.close();
  });

  test('FEED-2 with since everything after it, then live, each once', async () => {
    const before = await rig().publish('0');
    await rig().publish('1', '2');
    const feed = await rig().server.feed({ query: `since=${before}` });
    await feed.whenSequence(before + 2);
    const last = await rig().publish('3', '4');
    await feed.whenSequence(last);
    expect(feed.sequences).toEqual(numbers(before + 1, 4));
    await feed.close();
  });

  test('FEED-2 since=0 starts at the oldest', async () => {
    const last = await rig().publish('0');
    const feed = await rig().server.feed({ query: 'since=0' });
    await feed.whenSequence(last);
    expect(feed.sequences[0]).toBe(1);
    expect(feed.sequences).toEqual(feed.sequences.toSorted((a, b) => a - b));
    await feed.close();
  });

  test('FEED-2 LOG-8 sessions that join under load miss nothing and see nothing twice', async () => {
    const total = 3000;
    const before = await rig().broker.lastSequence();
    const publishing = rig().publish(...numbers(0, total).map(String));
    const feeds = [];
    for (let round = 0; round < 12; round += 1)
      feeds.push(await rig().server.feed({ query: `since=${before}` }));
    await publishing;
    for (const feed of feeds) {
      await feed.whenSequence(before + total);
      expect(feed.sequences).toEqual(numbers(before + 1, total));
      await feed.close();
    }
  });

  test('LOG-6 a snapshot’s cursor resumes with nothing lost and nothing repeated', async () => {
    const before = await rig().broker.lastSequence();
    const publishing = rig().publish(...numbers(0, 3000).map(() => cellStarted(unique('resume'))));
    await rig().whenApplied(before + 1);
    const { cursor } = await rig().snapshot();
    const known = new Set((await rig().http.read<{ id: string }[]>('/v1/cells')).map((cell) => cell.id));
    const feed = await rig().server.feed({ query: `since=${cursor}` });
    await publishing;
    const last = await rig().publish(cellStarted(unique('resume')));
    await feed.whenSequence(last);
    expect(feed.sequences).toEqual(numbers(cursor + 1, last - cursor));
    for (const event of feed.events) {
      const { data } = JSON.parse(event) as { data?: { cellId?: string } };
      if (data?.cellId !== undefined) known.add(data.cellId);
    }
    const now = await rig().http.read<{ id: string }[]>('/v1/cells');
    expect(now.filter((cell) => !known.has(cell.id))).toEqual([]);
    await feed.close();
  });

  test('FEED-2 the server’s own events are fed too', async () => {
    const feed = await rig().server.feed();
    const reply = await rig().http.post('/v1/formations', flatDocument(unique()));
    const { id } = JSON.parse(reply.text) as { id: string };
    await rig().http.send('DELETE', `/v1/formations/${id}`);
    await feed.whenFrames(2);
    const data = feed.events.map((event) => (JSON.parse(event) as { data: { formationId: string } }).data);
    expect(data.map((one) => one.formationId)).toEqual([id, id]);
    await feed.close();
  });

  test('FEED-4 LOG-9 since beyond the tail waits for that sequence', async () => {
    const before = await rig().broker.lastSequence();
    const near = await rig().server.feed({ query: `since=${before + 3}` });
    const far = await rig().server.feed({ query: 'since=18446744073709551615' });
    const unsafe = await rig().server.feed({ query: 'since=9007199254740993' });
    const last = await rig().publish('1', '2', '3', '4', '5');
    await near.whenSequence(last);
    expect(near.sequences).toEqual([before + 4, before + 5]);
    await quiet(SILENCE_MS);
    for (const feed of [far, unsafe]) {
      expect([feed.frames, feed.closing]).toEqual([[], null]);
      await feed.close();
    }
    await near.close();
  });

  test('FEED-5 by subject, live and from the past', async () => {
    const before = await rig().broker.lastSequence();
    const root = `cellos.events.${unique('s')}`;
    const selections: [string, number[]][] = [
      [`${root}.a.x`, [1]],
      [`${root}.a.*`, [1, 2]],
      [`${root}.*.x`, [1, 3]],
      [`${root}.>`, [1, 2, 3, 4, 6]],
      [`${root}.*`, [4]],
      ['*.events.*.a.*', [1, 2]],
      ['>', [1, 2, 3, 4, 5, 6]],
      ['cellos.>', [1, 2, 3, 4, 5, 6]],
      ['', [1, 2, 3, 4, 5, 6]],
    ];
    const open = () =>
      Promise.all(
        selections.map(([subject]) =>
          rig().server.feed({ query: `since=${before}&subject=${encodeURIComponent(subject)}` }),
        ),
      );
    const live = await open();
    for (const tail of ['a.x', 'a.y', 'b.x', 'a']) await rig().broker.publish('1', `${root}.${tail}`);
    await rig().publish('2');
    await rig().broker.publish('3', `${root}.last.one.of.all`);
    await rig().whenApplied();
    const past = await open();
    for (const feeds of [live, past])
      for (const [index, feed] of feeds.entries()) {
        const [subject, expected] = selections[index] as [string, number[]];
        await feed.whenFrames(expected.length);
        expect([subject, feed.sequences.map((seq) => seq - before)]).toEqual([subject, expected]);
        await feed.close();
      }
  });

  test.each(['a..b', '.a', 'a.', 'cellos.>.x', 'a b', ' ', 'a\tb', '>.a', '.'])(
    'FEED-6 the filter %j is invalid: upgraded, then closed',
    async (subject) => {
      const feed = await rig().server.feed({ query: `subject=${encodeURIComponent(subject)}` });
      expect(await feed.whenClosed()).toEqual({ code: 1008, reason: 'subscribe failed' });
      expect(feed.frames).toEqual([]);
    },
  );

  test('FEED-6 a valid filter outside of the log stays open and silent', async () => {
    const feeds = await Promise.all(
      ['elsewhere.>', 'cellos', 'cellos.events', 'cellos.events.*.*.*.*.*.none', '*', 'x'].map((subject) =>
        rig().server.feed({ query: `since=0&subject=${encodeURIComponent(subject)}` }),
      ),
    );
    const reference = await rig().server.feed();
    const last = await rig().broker.publish('1', 'cellos.events.a.b');
    await reference.whenSequence(last);
    await quiet(SILENCE_MS);
    for (const feed of feeds) {
      expect([feed.frames, feed.closing]).toEqual([[], null]);
      await feed.close();
    }
    await reference.close();
  });

  test('FEED-7 unknown parameters are ignored, also twice and with letters in another case', async () => {
    const before = await rig().publish('0');
    const feed = await rig().server.feed({
      query: `&Since=x&limit=x&limit=y&since=${before}&&SUBJECT=a..b&=`,
    });
    const last = await rig().publish('1');
    await feed.whenSequence(last);
    expect(feed.sequences).toEqual([last]);
    await feed.close();
  });
}
