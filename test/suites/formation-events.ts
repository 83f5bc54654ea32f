// The events of one formation: pages, waiting pages, server-sent events and the WebSocket feed.
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { cellStarted, formationEvent, unique } from '../support/events.ts';
import { EventStreamClient } from '../support/event-stream.ts';
import { refusedUpgrade } from '../support/feed-client.ts';
import { expectProblem } from '../support/http-client.ts';
import type { Rig } from '../support/server-process.ts';
import { SUPERVISOR_RUN } from '../support/supervisor-run.ts';

interface Page {
  readonly events: { seq: number; event: unknown }[];
  readonly cursor: number;
}

export function formationEventsSuite(rig: () => Rig): void {
  const page = (query: string) => rig().http.read<Page>(`/v1/events?${query}`);
  const sequences = async (query: string) => (await page(query)).events.map(({ seq }) => seq);
  const note = (cellId: string) => ({ type: 'dev.cellos.test.note', data: { cellId } });

  /** A formation with a cell of which the log had heard before, among events of others; which of them are its own. */
  const published = async () => {
    const [id, name, cell] = [randomUUID(), unique(), unique('cell')];
    const before = await rig().broker.lastSequence();
    await rig().publish(
      note(cell),
      note(unique('cell')),
      formationEvent('created', { formationId: id, formationName: name }),
      note(cell),
      cellStarted(cell, { correlation: { formationId: id.toUpperCase() } }),
      formationEvent('created', { formationId: randomUUID(), formationName: unique() }),
      { type: 'dev.cellos.test.other', data: { formationId: id } },
      'no json',
      note(cell),
    );
    return { id, name, cell, before, due: [1, 3, 4, 5, 7, 9].map((at) => before + at) };
  };

  test('IDX-5 HTTP-48 a page has its own events and those of its cells, by id or by name', async () => {
    const { id, name, before, due } = await published();
    for (const formation of [id, id.toUpperCase(), `urn:uuid:${id}`, name]) {
      const { events, cursor } = await page(`since=${before}&formation=${encodeURIComponent(formation)}`);
      expect(events.map(({ seq }) => seq)).toEqual(due);
      expect(cursor).toBe(before + 9);
    }
    expect(await sequences(`formation=${id}`)).toEqual(due);
    expect(await sequences(`since=${before}&formation=${id}&subject=cellos.events.none`)).toEqual([]);
    const whole = await page(`since=${before}`);
    const { events } = await page(`since=${before}&formation=${id}`);
    expect(events).toEqual(whole.events.filter(({ seq }) => due.includes(seq)));
  });

  test('HTTP-48 HTTP-44 paging by the cursor returns everything once', async () => {
    const { id, cell, before, due } = await published();
    const more = await rig().publish(
      ...Array.from({ length: 30 }, (_, at) => note(at % 3 === 0 ? cell : 'x')),
    );
    const seen: number[] = [];
    let since = before;
    for (let rounds = 0; rounds < 30; rounds++) {
      const { events, cursor } = await page(`since=${since}&limit=3&formation=${id}`);
      expect(events.length).toBeLessThanOrEqual(3);
      seen.push(...events.map(({ seq }) => seq));
      if (cursor === since) break;
      since = cursor;
    }
    const later = Array.from({ length: 10 }, (_, at) => more - 29 + 3 * at);
    expect(seen).toEqual([...due, ...later]);
    expect(since).toBe(await rig().broker.lastSequence());
    expect(await page(`since=18446744073709551615&formation=${id}`)).toMatchObject({
      events: [],
      cursor: more,
    });
  });

  test('HTTP-48 FEED-60 an unknown formation is a 404, before the upgrade too', async () => {
    for (const query of [`formation=${randomUUID()}`, 'formation=nobody', 'formation=']) {
      const culprit = query.slice('formation='.length);
      const answers = [
        await rig().http.get(`/v1/events?${query}`),
        await rig().http.get(`/v1/events?${query}&wait=5`),
        await rig().http.get(`/v1/events?${query}`, { headers: { accept: 'text/event-stream' } }),
        await refusedUpgrade(rig().http, { query }),
      ];
      for (const answer of answers) expectProblem(answer, 'not-found', { names: [culprit] });
    }
    const { id } = await published();
    expectProblem(await rig().http.get(`/v1/events?formation=${id}&formation=${id}`), 'bad-request', {
      names: ['formation'],
    });
  });

  test('FEED-41 HTTP-48 a page that waits ends with an event of the formation', async () => {
    const { id, cell } = await published();
    const since = await rig().broker.lastSequence();
    const waiting = page(`since=${since}&wait=10&formation=${id}`);
    await rig().publish(note(unique('cell')), note(cell));
    const { events, cursor } = await waiting;
    expect(events.map(({ seq }) => seq)).toEqual([since + 2]);
    expect(cursor).toBe(since + 2);
  });

  describe('sessions', () => {
    test('FEED-60 since: its past from the first event on, then what comes; live only without', async () => {
      const { id, name, cell, before, due } = await published();
      const all = await rig().server.feed({ query: `since=${before}&formation=${name}` });
      const live = await rig().server.feed({ query: `formation=${id}` });
      const everything = await rig().server.feed({ query: `since=${before}` });
      await everything.whenSequence(before + 9);
      const last = await rig().publish(
        note(unique('cell')),
        note(cell),
        formationEvent('running', { formationId: id }),
      );
      for (const client of [all, live, everything]) await client.whenSequence(last);
      expect(all.sequences).toEqual([...due, last - 1, last]);
      expect(live.sequences).toEqual([last - 1, last]);
      const frames = everything.frames.filter(({ seq }) => all.sequences.includes(seq as number));
      expect(all.frames).toEqual(frames);
      for (const client of [all, live, everything]) await client.close();
    });

    test('FEED-60 subject and formation both have to fit; server-sent events likewise', async () => {
      const { id, cell, before, due } = await published();
      const both = await rig().server.feed({
        query: `since=${before}&formation=${id}&subject=cellos.events.a.*`,
      });
      const stream = await EventStreamClient.open(rig().http, `?since=${before}&formation=${id}`);
      const seq = await rig().broker.publish(note(cell), 'cellos.events.a.b');
      await rig().broker.publish(note(unique('cell')), 'cellos.events.a.b');
      await both.whenSequence(seq);
      await stream.whenSequence(seq);
      expect(both.sequences).toEqual([seq]);
      expect(stream.sequences).toEqual([...due, seq]);
      stream.close();
      await both.close();
    });

    test('IDX-5 what a real supervisor sends before it says whose the cell is comes to who asks with since', async () => {
      const [id, cell] = [randomUUID(), unique('cell')];
      const run = SUPERVISOR_RUN.map((text) =>
        text
          .replaceAll('"cellId":"hello-spec"', `"cellId":"${cell}"`)
          .replace(
            'v1.started","datacontenttype":"application/json","data":{',
            (start) => `${start}"formationId":"${id}",`,
          ),
      );
      const before = await rig().publish(
        formationEvent('created', { formationId: id, formationName: unique() }),
      );
      const last = await rig().publish(...run);
      const due = run.flatMap((text, at) => (text.includes(cell) ? [before + 1 + at] : []));
      expect(due).toHaveLength(9);
      expect(await sequences(`since=${before}&formation=${id}`)).toEqual(due);
      const client = await rig().server.feed({ query: `since=${before}&formation=${id}` });
      await client.whenSequence(last);
      expect(client.sequences).toEqual(due);
      await client.close();
    });
  });
}
