// Any publishes, joins, slow readers, filters, disconnects, losses of the tail and purges: what each client was sent, against the log.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { SnapshotKind } from '../src/feed-snapshot.ts';
import { compileFilter } from '../src/subjects.ts';
import { EvictableServer } from './support/evictable-server.ts';
import { cellEvent, STARTED } from './support/given.ts';
import type { TestSocket } from './support/test-socket.ts';

const ALL = 'cellos.events.>';
const SUBJECTS = ['cellos.events.v1', 'cellos.events.a', 'cellos.events.a.x'];
const FILTERS = [ALL, ALL, '>', 'cellos.events.a', 'cellos.events.*.x', 'other.>'];

interface Published {
  readonly seq: number;
  readonly subject: string;
  /** Of the cell that the event starts. */
  readonly cell: string;
}

interface Client {
  readonly socket: TestSocket;
  readonly filter: string;
  readonly since: number | null;
  readonly control: boolean;
  readonly snapshot: boolean;
  /** What the server had heard of when it opened. */
  readonly received: number;
  hasLeft: boolean;
}

interface Told {
  readonly seq: number;
  readonly event?: unknown;
  readonly synced?: true;
  readonly bookmark?: true;
  readonly snapshot?: { readonly cells: readonly { readonly id: string }[] };
  readonly oldest_seq?: number;
}

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ publish: fc.integer({ min: 1, max: 6 }), on: fc.constantFrom(...SUBJECTS) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      filter: fc.constantFrom(...FILTERS),
      since: fc.option(fc.nat({ max: 40 })),
      control: fc.boolean(),
      snapshot: fc.boolean(),
    }),
  },
  { weight: 6, arbitrary: fc.record({ turns: fc.nat({ max: 6 }) }) },
  { weight: 4, arbitrary: fc.record({ pass: fc.constantFrom(0, 50, 120, 1500) }) },
  { weight: 3, arbitrary: fc.record({ full: fc.nat(), takes: fc.nat({ max: 500 }) }) },
  { weight: 3, arbitrary: fc.record({ empty: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ leaves: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ away: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ purge: fc.nat({ max: 40 }) }) },
  { weight: 1, arbitrary: fc.record({ renews: fc.constant(true) }) },
  { weight: 1, arbitrary: fc.record({ noise: fc.constant('not an event') }) },
);

/** What the client was sent is what was due to it, as far as it came. */
function expectRight(client: Client, published: readonly Published[]): void {
  const { socket, filter, since, control, snapshot, received, hasLeft } = client;
  const told = socket.texts.map((text) => JSON.parse(text) as Told);
  const events = told.filter(({ event }) => event !== undefined).map(({ seq }) => seq);
  const pages = told.filter((frame) => frame.snapshot !== undefined);
  const problem = told.find(({ oldest_seq: oldest }) => oldest !== undefined);
  const matches = compileFilter(filter);

  let after = since ?? received;
  if (snapshot) {
    const [first] = pages;
    if (first === undefined) {
      expect(events).toEqual([]);
      return;
    }
    expect(new Set(pages.map(({ seq }) => seq)).size).toBe(1);
    const held = published.filter(({ seq }) => seq <= first.seq).map(({ cell }) => cell);
    expect(pages.flatMap((page) => page.snapshot?.cells.map(({ id }) => id) ?? [])).toEqual(held.toSorted());
    after = first.seq;
  }
  const due = published.filter(({ seq, subject }) => seq > after && matches(subject)).map(({ seq }) => seq);
  // 0 means from the oldest that was retained when it joined.
  const expected = since === 0 && !snapshot ? due.filter((seq) => seq >= (events[0] ?? Infinity)) : due;
  if (hasLeft || socket.closed !== null) {
    expect(events).toEqual(expected.slice(0, events.length));
    if (problem !== undefined) {
      expect(socket.closed?.code).toBe(4410);
      expect(problem.oldest_seq).toBeGreaterThan((events.at(-1) ?? after) + 1);
    }
  } else {
    expect(events).toEqual(expected);
  }

  const controls = told.filter((frame) => frame.synced ?? frame.bookmark);
  if (!control) expect(controls).toEqual([]);
  expect(told.filter(({ synced }) => synced).length).toBeLessThanOrEqual(1);
  // A control frame stands where its sequence belongs: nothing behind it is older, nothing before it younger.
  let reached = 0;
  for (const { seq, event, synced, bookmark } of told) {
    if (event !== undefined) expect(seq).toBeGreaterThan(reached);
    else if (synced ?? bookmark) expect(seq).toBeGreaterThanOrEqual(reached);
    reached = Math.max(reached, seq);
  }
}

describe('the feed under anything', () => {
  it.each([0, 300, 1_000_000])(
    'FEED-2 FEED-15 FEED-30 FEED-32 FEED-36 sends what is due, once and in order, with a ring of %i bytes',
    async (ringBytes) => {
      await fc.assert(
        fc.asyncProperty(
          fc.nat({ max: 20 }),
          fc.array(step, { maxLength: 60, size: 'max' }),
          async (history, steps) => {
            const server = new EvictableServer(ringBytes);
            const published: Published[] = [];
            let last = 0;
            let floor = 1;
            const publish = (subject: string) => {
              const cell = `c${String(last + 1).padStart(4, '0')}`;
              last = server.log.append(cellEvent(STARTED, cell), subject);
              published.push({ seq: last, subject, cell });
            };
            for (let n = 0; n < history; n++) publish('cellos.events.v1');
            await server.start();
            const clients: Client[] = [];
            const clientAt = (n: number) => clients[n % Math.max(1, clients.length)];
            for (const does of steps) {
              if ('publish' in does) for (let n = 0; n < does.publish; n++) publish(does.on);
              else if ('noise' in does) last = server.log.append(does.noise);
              else if ('turns' in does) for (let turn = 0; turn < does.turns; turn++) await Promise.resolve();
              else if ('pass' in does) await server.clock.advance(does.pass);
              else if ('away' in does) server.setAway(does.away);
              else if ('renews' in does) void server.log.renew().catch(() => {});
              else if ('purge' in does) {
                const through = Math.min(does.purge, last - 1);
                if (through >= floor) {
                  // What the server has not heard of it never will.
                  const { cursor } = server.controlPlane;
                  const isLost = ({ seq }: Published) => seq > cursor && seq <= through;
                  published.splice(0, published.length, ...published.filter((event) => !isLost(event)));
                  server.log.purge(through);
                  floor = through + 1;
                }
              } else if ('full' in does) {
                const socket = clientAt(does.full)?.socket;
                if (socket !== undefined)
                  Object.assign(socket, { takesAtOnce: does.takes, bufferedBytes: 2_000_000 });
              } else if ('empty' in does) {
                const socket = clientAt(does.empty)?.socket;
                if (socket !== undefined) socket.takesAtOnce = Number.POSITIVE_INFINITY;
                socket?.take();
              } else if ('leaves' in does) {
                const client = clientAt(does.leaves);
                if (client !== undefined && client.socket.closed === null) {
                  client.hasLeft = true;
                  client.socket.connection?.closed();
                }
              } else if (!server.isAway) {
                if (!server.controlPlane.serving) await server.clock.settle();
                const { filter, control, snapshot } = does;
                const since = snapshot ? null : does.since;
                const received = server.controlPlane.cursor;
                const kinds: readonly SnapshotKind[] | null = snapshot ? ['cells'] : null;
                const socket = server.open({ since, filter, control, snapshot: kinds });
                Object.assign(socket, { ping: () => socket.connection?.received() });
                clients.push({ socket, filter, since, control, snapshot, received, hasLeft: false });
              }
            }
            server.setAway(false);
            await server.clock.advance(200);
            for (const { socket } of clients) {
              socket.takesAtOnce = Number.POSITIVE_INFINITY;
              if (socket.bufferedBytes > 0) socket.take();
            }
            await server.clock.advance(1000);
            for (const client of clients) expectRight(client, published);
          },
        ),
        { numRuns: 300 },
      );
    },
    60_000,
  );
});
