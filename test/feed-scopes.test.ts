// Sessions that want the events of one formation or one cell alone, in memory: who shares what, and what survives an eviction.
import * as v from 'valibot';
import { beforeEach, describe, expect, it } from 'vitest';

import type { EventScope } from '../src/model.ts';
import { sessionMemory } from '../src/schemas.ts';
import { EvictableServer } from './support/evictable-server.ts';
import { cellEvent, STARTED } from './support/given.ts';

const ID = 'a7571001-1a4f-5eb9-8df1-109cbbfa6692';
const FORMATION: EventScope = { kind: 'formation', id: ID };
const note = (cellId: string) => ({ type: 'note', data: { cellId } });

describe('sessions of one formation', () => {
  let server: EvictableServer;
  beforeEach(async () => {
    // Small enough that what is older than the last few events is read from the log.
    server = await new EvictableServer(1000).start();
    server.log.append(note('a'));
    server.log.append(note('x'));
    server.log.append(cellEvent(STARTED, 'a', { formationId: ID }));
    await server.append(20);
    server.log.append(note('a'));
    await server.append(0);
  });

  it('FEED-60 get its events from the log, the ring and the tail, once and in order', async () => {
    const old = server.open({ since: 0, scope: FORMATION });
    const young = server.open({ since: 20, scope: FORMATION });
    const live = server.open({ scope: FORMATION });
    await server.clock.settle();
    server.log.append(note('a'));
    server.log.append(note('x'));
    server.log.append({ type: 'other', data: { formationId: ID } });
    await server.append(2);
    expect(old.sequences).toEqual([1, 3, 24, 25, 27]);
    expect(young.sequences).toEqual([24, 25, 27]);
    expect(live.sequences).toEqual([25, 27]);
    expect(live.memory?.cursor).toBe(29);
  });

  it('FEED-60 are handed the very same frames, chosen once for all of them', async () => {
    const [one, two, cell] = [
      server.open({ scope: { ...FORMATION } }),
      server.open({ scope: { ...FORMATION } }),
      server.open({ scope: { kind: 'cell', id: 'a' } }),
    ];
    const everybody = server.open();
    await server.clock.settle();
    server.log.append(note('a'));
    server.log.append(note('x'));
    await server.append(0);
    expect(one.batches.at(-1)).toBe(two.batches.at(-1));
    expect(cell.sequences).toEqual([25]);
    expect(everybody.sequences).toEqual([25, 26]);
  });

  it('FEED-60 a formation and a cell of the same id, or a filter, are not mistaken for one another', async () => {
    const scopes: EventScope[] = [
      { kind: 'cell', id: 'a' },
      { kind: 'formation', id: 'a' },
      { kind: 'cell', id: 'a" cellos.events.>' },
    ];
    const sockets = scopes.map((scope) => server.open({ scope }));
    await server.clock.settle();
    server.log.append(note('a'));
    await server.append(0);
    expect(sockets.map(({ sequences }) => sequences)).toEqual([[25], [], []]);
  });

  it('FEED-19 FEED-20 FEED-60 are remembered by their sockets, and go on when they are resumed', async () => {
    const session = server.open({ since: 2, scope: FORMATION });
    await server.clock.settle();
    expect(session.memory).toEqual({
      filter: 'cellos.events.>',
      scope: FORMATION,
      cursor: 24,
      epoch: 'epoch-1',
    });
    expect(v.parse(sessionMemory, session.memory)).toEqual(session.memory);
    await server.evict();
    server.log.append(note('x'));
    server.log.append(note('a'));
    await server.append(0);
    expect(session.sequences).toEqual([3, 24, 26]);
    await server.evict({ late: true });
    server.log.append(note('a'));
    await server.append(1);
    expect(session.sequences).toEqual([3, 24, 26, 27]);
  });
});
