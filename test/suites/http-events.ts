// Pages of the log over HTTP.
import { describe, expect, test } from 'vitest';
import { FORMATION, cellStarted, flatDocument, unique } from '../support/events.ts';
import { expectProblem } from '../support/http-client.ts';
import { timed } from '../support/wait.ts';
import type { Rig } from '../support/server-process.ts';

interface Page {
  readonly events: { seq: number; event: unknown }[];
  readonly cursor: number;
  readonly epoch: string;
  readonly truncated?: boolean;
  readonly oldest_seq?: number;
}

export function eventsSuite(rig: () => Rig): void {
  const page = (query: string) => rig().http.read<Page>(`/v1/events?${query}`);
  const sequences = async (query: string) => (await page(query)).events.map((entry) => entry.seq);

  test('HTTP-40 a page has the events with their sequences, the cursor and the epoch', async () => {
    const before = await rig().broker.lastSequence();
    const [one, two] = [cellStarted(unique('cell')), cellStarted(unique('cell'))];
    await rig().publish(one, two);
    const { epoch } = await rig().snapshot();
    expect(await page(`since=${before}&unknown=1&unknown=2&Limit=x`)).toEqual({
      events: [
        { seq: before + 1, event: one },
        { seq: before + 2, event: two },
      ],
      cursor: before + 2,
      epoch,
    });
  });

  test('HTTP-40 what is for the stream alone changes no page, and is refused when it is wrong', async () => {
    await rig().publish(cellStarted(unique('cell')));
    expect(await page('epoch=another&control=true')).toEqual(await page(''));
    for (const query of ['control=null', 'control=1', 'control=true&control=true', 'epoch=a&epoch=a']) {
      expectProblem(await rig().http.get(`/v1/events?${query}`), 'bad-request');
    }
  });

  test('HTTP-41 without since from the oldest', async () => {
    await rig().publish(cellStarted(unique('cell')));
    expect(await sequences('limit=1')).toEqual([1]);
    expect(await page('')).toEqual(await page('since=0'));
  });

  test('HTTP-42 100 by default, at most 1000', async () => {
    const before = await rig()
      .publish(...Array.from({ length: 1100 }, () => ({ type: 'dev.cellos.test.ignored', data: null })))
      .then((last) => last - 1100);
    for (const [limit, count] of [
      ['', 100],
      ['&limit=0', 100],
      ['&limit=1', 1],
      ['&limit=999', 999],
      ['&limit=1001', 1000],
      ['&limit=18446744073709551615', 1000],
    ] as const) {
      const { events, cursor } = await page(`since=${before}${limit}`);
      expect([limit, events.length, cursor]).toEqual([limit, count, before + count]);
    }
  });

  test('HTTP-43 LOG-7 JSON of any kind is an event, as it was published; the rest does not count', async () => {
    const before = await rig().broker.lastSequence();
    const published = [
      '{"z":1.0,"a":1e3,"a":2,"big":12345678901234567890,"10":1,"9":-0,"s":"\\u00e9/\\/"}',
      '"text"',
      '12.50',
      'null',
      'true',
      '[ 1,  2 ]',
      '{ "type" : 3 }',
      '"✓\u{1f600}"',
    ];
    const others: unknown[] = [
      '',
      'no json',
      '{"a":1} x',
      '{"a":',
      new Uint8Array([0x22, 0xff, 0x22]),
      "{'a':1}",
      'NaN',
    ];
    await rig().publish(...published.flatMap((text, index) => [others[index] ?? 'no json', text]));
    const { text } = await rig().http.get(`/v1/events?since=${before}&limit=${published.length}`);
    for (const [index, event] of published.entries())
      expect(text).toContain(`{"seq":${before + 2 * index + 2},"event":${event}}`);
    const parsed = JSON.parse(text) as Page;
    expect(parsed.events.map((entry) => entry.seq)).toEqual(
      published.map((_, index) => before + 2 * index + 2),
    );
    expect(parsed.cursor).toBe(before + 2 * published.length);
  });

  test('HTTP-44 the cursor moves over what is skipped, to the last when nothing is left', async () => {
    const before = await rig().broker.lastSequence();
    const last = await rig().publish('1', 'no json', '2', 'no json', 'no json');
    expect(await page(`since=${before}`)).toMatchObject({ cursor: last });
    const first = await page(`since=${before}&limit=1`);
    expect(first.events.map((entry) => entry.seq)).toEqual([before + 1]);
    expect(first.cursor).toBeGreaterThanOrEqual(before + 1);
    expect(first.cursor).toBeLessThan(before + 3);
    const second = await page(`since=${first.cursor}&limit=1`);
    expect(second.events.map((entry) => entry.seq)).toEqual([before + 3]);
    expect(await page(`since=${second.cursor}`)).toMatchObject({ events: [], cursor: last });
  });

  test('HTTP-44 LOG-6 paging by the cursor returns everything once', async () => {
    const before = await rig().broker.lastSequence();
    await rig().publish(
      ...Array.from({ length: 57 }, (_, index) => (index % 5 === 3 ? 'no json' : String(index))),
    );
    const seen: unknown[] = [];
    let since = before;
    for (let rounds = 0; rounds < 30; rounds += 1) {
      const { events, cursor } = await page(`since=${since}&limit=4`);
      seen.push(...events.map((entry) => entry.event));
      if (cursor === since) break;
      since = cursor;
    }
    expect(seen).toEqual(Array.from({ length: 57 }, (_, index) => index).filter((index) => index % 5 !== 3));
    expect(since).toBe(await rig().broker.lastSequence());
  });

  test('HTTP-46 HTTP-44 LOG-9 nothing new is answered at once, with the log’s last sequence', async () => {
    const last = await rig().broker.lastSequence();
    for (const since of [String(last), String(last + 1), '9007199254740993', '18446744073709551615']) {
      const { value, ms } = await timed(page(`since=${since}`));
      expect(value).toMatchObject({ events: [], cursor: last });
      expect(ms).toBeLessThan(1000);
    }
  });

  test('HTTP-45 no truncation is told where there is none', async () => {
    for (const query of ['since=0', 'since=1', 'since=18446744073709551615'])
      expect(Object.keys(await page(query)).toSorted()).toEqual(['cursor', 'epoch', 'events']);
  });

  describe('subject', () => {
    test('HTTP-47 selects by subject, with the wildcards of the feed', async () => {
      const before = await rig().broker.lastSequence();
      const mark = unique('s');
      for (const tail of ['a.x', 'a.y', 'b.x', 'a'])
        await rig().broker.publish('1', `cellos.events.${mark}.${tail}`);
      await rig().whenApplied();
      const found = async (subject: string) =>
        (await sequences(`since=${before}&subject=${subject}`)).map((seq) => seq - before);
      const root = `cellos.events.${mark}`;
      expect(await found(`${root}.a.x`)).toEqual([1]);
      expect(await found(`${root}.a.*`)).toEqual([1, 2]);
      expect(await found(`${root}.*.x`)).toEqual([1, 3]);
      expect(await found(`${root}.%3E`)).toEqual([1, 2, 3, 4]);
      expect(await found(`${root}.*`)).toEqual([4]);
      expect(await found('')).toEqual([1, 2, 3, 4]);
      expect(await found(`${root}.c`)).toEqual([]);
      expect(await found('elsewhere.%3E')).toEqual([]);
    });

    test('HTTP-47 HTTP-44 the limit counts what is selected; the cursor ends at the log’s last', async () => {
      const before = await rig().broker.lastSequence();
      const mark = unique('s');
      for (let round = 0; round < 3; round += 1) {
        await rig().broker.publish('1', `cellos.events.${mark}`);
        await rig().broker.publish('2');
      }
      await rig().whenApplied();
      const query = `subject=cellos.events.${mark}`;
      expect(await sequences(`since=${before}&${query}&limit=2`)).toEqual([before + 1, before + 3]);
      expect(await page(`since=${before}&${query}`)).toMatchObject({ cursor: before + 6 });
      const pages = [];
      for (let since = before; since < before + 6;) {
        const { events, cursor } = await page(`since=${since}&${query}&limit=1`);
        pages.push(...events.map((entry) => entry.seq));
        expect(cursor).toBeGreaterThan(since);
        since = cursor;
      }
      expect(pages).toEqual([before + 1, before + 3, before + 5]);
    });

    test('HTTP-47 a formation’s own events', async () => {
      const reply = await rig().http.post('/v1/formations', flatDocument(unique()));
      const { id } = JSON.parse(reply.text) as { id: string };
      await rig().http.send('DELETE', `/v1/formations/${id}`);
      const { events } = await page(`subject=cellos.events.formations.${id}.*`);
      const types = events.map((entry) => (entry.event as { type: string }).type);
      expect(types).toEqual([`${FORMATION}created`, `${FORMATION}failed`]);
    });

    test.each(['a..b', '.a', 'a.', 'cellos.%3E.x', 'a%20b'])('HTTP-47 subject=%s is 400', async (subject) => {
      expectProblem(await rig().http.get(`/v1/events?subject=${subject}`), 'bad-request');
    });
  });

  test('LOG-4 pages leave no consumer behind', async () => {
    const before = (await rig().broker.consumers()).length;
    await Promise.all(Array.from({ length: 30 }, (_, index) => page(`since=${index}&limit=3`)));
    await Promise.all(Array.from({ length: 5 }, () => page('subject=cellos.events.none.*&limit=3')));
    expect((await rig().broker.consumers()).length).toBeLessThanOrEqual(before);
  });
}
