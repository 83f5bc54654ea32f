// Any publishes, evictions, losses of the broker and slow clients: every client sees what is due to it, once and in order.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { compileFilter } from '../src/subjects.ts';
import { EvictableServer } from './support/evictable-server.ts';
import type { TestSocket } from './support/test-socket.ts';

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

describe('sessions and evictions', () => {
  const SUBJECTS = ['cellos.events.v1', 'cellos.events.a', 'cellos.events.a.x', 'cellos.events.b.x'];
  const FILTERS = [
    'cellos.events.>',
    '>',
    'cellos.events.a',
    'cellos.events.*.x',
    'cellos.events.a.>',
    'other.>',
  ];
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ publish: fc.integer({ min: 1, max: 5 }), on: fc.constantFrom(...SUBJECTS) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        since: fc.option(fc.nat({ max: 40 })),
        filter: fc.constantFrom(...FILTERS),
      }),
    },
    { weight: 4, arbitrary: fc.record({ evict: fc.constantFrom('before', 'before', 'late') }) },
    { weight: 6, arbitrary: fc.record({ turns: fc.nat({ max: 6 }) }) },
    { weight: 4, arbitrary: fc.record({ pass: fc.constantFrom(0, 50, 120) }) },
    { weight: 2, arbitrary: fc.record({ away: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ full: fc.nat(), takes: fc.nat({ max: 500 }) }) },
    { weight: 2, arbitrary: fc.record({ empty: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ renews: fc.constant(true) }) },
    { weight: 1, arbitrary: fc.record({ noise: fc.constant('not an event') }) },
  );

  it.each([0, 200, 1_000_000])(
    'FEED-20 any of them: what is due, once and in order, with a ring of %i bytes',
    async (ringBytes) => {
      await fc.assert(
        fc.asyncProperty(
          fc.nat({ max: 20 }),
          fc.array(step, { maxLength: 60, size: 'max' }),
          async (history, steps) => {
            const server = await new EvictableServer(ringBytes).start(history);
            const published = range(1, history).map((seq) => ({ seq, subject: 'cellos.events.v1' }));
            let last = history;
            const clients: { socket: TestSocket; after: number; filter: string }[] = [];
            const client = (n: number) => clients[n % Math.max(1, clients.length)]?.socket;
            for (const does of steps) {
              if ('publish' in does) {
                for (let n = 0; n < does.publish; n++) {
                  last = server.log.append({ n }, does.on);
                  published.push({ seq: last, subject: does.on });
                }
              } else if ('noise' in does) {
                last = server.log.append(does.noise);
              } else if ('renews' in does) {
                // One that is away cannot be.
                void server.log.renew().catch(() => {});
              } else if ('evict' in does) {
                await server.evict({ late: does.evict === 'late' });
              } else if ('turns' in does) {
                for (let turn = 0; turn < does.turns; turn++) await Promise.resolve();
              } else if ('pass' in does) {
                await server.clock.advance(does.pass);
              } else if ('away' in does) {
                server.setAway(does.away);
              } else if ('full' in does) {
                const socket = client(does.full);
                if (socket !== undefined) socket.takesAtOnce = does.takes;
                if (socket !== undefined) socket.bufferedBytes = 2_000_000;
              } else if ('empty' in does) {
                const socket = client(does.empty);
                if (socket !== undefined) socket.takesAtOnce = Number.POSITIVE_INFINITY;
                socket?.take();
              } else if (!server.isAway) {
                // Requests are held until the server answers.
                if (!server.controlPlane.serving) await server.clock.settle();
                const socket = server.open(does);
                // Live is what the server has not heard of yet, which may be less than there is.
                const after = does.since ?? (socket.memory?.cursor as number);
                expect(after <= last || does.since !== null).toBe(true);
                clients.push({ socket, after, filter: does.filter });
              }
            }
            server.setAway(false);
            await server.clock.advance(200);
            for (const { socket } of clients) {
              socket.takesAtOnce = Number.POSITIVE_INFINITY;
              if (socket.bufferedBytes > 0) socket.take();
            }
            await server.clock.advance(1000);
            for (const { socket, after, filter } of clients) {
              const matches = compileFilter(filter);
              const due = published.filter(({ seq, subject }) => seq > after && matches(subject));
              expect(socket.closed).toBeNull();
              expect(socket.sequences).toEqual(due.map(({ seq }) => seq));
            }
          },
        ),
        { numRuns: 200 },
      );
    },
  );
});
