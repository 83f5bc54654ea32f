// Several servers on one checkpoint, in memory: which of them writes.
import { beforeEach, describe, expect, test } from 'vitest';

import { Checkpoint } from '../src/checkpoint.ts';
import { whenRestored } from '../src/checkpoint-start.ts';
import { CHECKPOINT_PATIENCE, CHECKPOINT_WAIT_MS } from '../src/limits.ts';
import { type CheckpointStore, EventLogError, type Log } from '../src/ports.ts';
import { initialState, type ProjectionState } from '../src/projection.ts';
import { ManualClock } from './support/manual-clock.ts';
import {
  anchorOf,
  applyAll,
  formation,
  MemoryCheckpointStore,
  restored,
  save,
  shown,
} from './support/memory-checkpoint-store.ts';

const DUE = { records: 0, blocks: 0, bytes: 0, isDue: true };
const NOTHING = { records: 0, blocks: 0, bytes: 0 };

/** One of several servers on one store: it knows which head it has seen or written last. */
class Server {
  readonly logged: string[] = [];
  readonly checkpoint: Checkpoint;
  state: ProjectionState = initialState();
  #own: string | null = null;
  #seen: string | null = null;

  constructor(shared: MemoryCheckpointStore) {
    const store: CheckpointStore = {
      load: async () => {
        this.#own = shared.head;
        return shared.load();
      },
      commit: async (change) => {
        const base = change.remove === 'others' ? (this.#seen ?? this.#own) : this.#own;
        if ((shared.head ?? '') !== (base ?? ''))
          throw new Error('another server has written the checkpoint');
        await shared.commit(change);
        this.#own = change.head;
        this.#seen = null;
      },
      rivalHead: async () => {
        this.#seen = shared.head === this.#own ? null : (shared.head ?? '');
        return this.#seen;
      },
    };
    const note = (level: string) => (message: string) => void this.logged.push(`${level} ${message}`);
    const logger: Log = { debug() {}, info: note('INFO'), warn: note('WARN'), error: note('ERROR') };
    this.checkpoint = new Checkpoint(store, logger);
  }

  async start(): Promise<this> {
    this.state = (await this.checkpoint.restore())?.state ?? initialState();
    return this;
  }

  apply(...ids: string[]): void {
    applyAll(
      this.state,
      ids.map((id) => formation(id)),
    );
  }

  save() {
    return save(this.checkpoint, this.state);
  }
}

describe('several servers with one checkpoint', () => {
  let shared: MemoryCheckpointStore;
  let one: Server;
  let other: Server;
  beforeEach(async () => {
    shared = new MemoryCheckpointStore();
    one = await new Server(shared).start();
    other = await new Server(shared).start();
  });
  /** Both read the same log. */
  const apply = (...ids: string[]) => {
    for (const server of [one, other]) server.apply(...ids);
  };

  test('CKP-40 one writes as long as it goes on, the others leave it alone', async () => {
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) {
      apply(id);
      // It has not come so far yet.
      if (id !== 'a') expect(await other.save()).toEqual(DUE);
      expect((await one.save()).records).toBeGreaterThan(0);
      expect(await other.save()).toEqual(NOTHING);
    }
    expect(shared.commits).toHaveLength(7);
    expect(other.logged).toEqual(['INFO another server writes the checkpoint']);
  });

  test('CKP-41 when it stops another takes over after three saves that find it where it was', async () => {
    apply('a', 'b');
    await one.save();
    expect(await other.save()).toEqual(NOTHING);
    other.apply('c');
    for (let at = 1; at < CHECKPOINT_PATIENCE; at++) expect(await other.save()).toEqual(DUE);
    other.apply('d');
    expect(await other.save()).toMatchObject({ records: 4, blocks: 1 });
    expect(shared.blocks.size).toBe(1);
    expect(shown((await restored(shared)) as ProjectionState)).toEqual(shown(other.state));
    // From now on it writes what changed.
    other.apply('e');
    expect((await other.save()).records).toBeLessThanOrEqual(5);
    expect(other.logged.at(-1)).toBe('WARN the checkpoint of another server has fallen behind: replacing it');
    // And the first one, when it is back, leaves it alone.
    one.apply('c', 'd', 'e');
    expect(await one.save()).toEqual(NOTHING);
    expect(shown((await restored(shared)) as ProjectionState)).toEqual(shown(other.state));
  });

  test('CKP-41 one that goes on in the last moment keeps it', async () => {
    apply('a');
    await one.save();
    await other.save();
    for (const id of ['b', 'c', 'd', 'e']) {
      other.apply(id);
      for (let at = 1; at < CHECKPOINT_PATIENCE; at++) expect(await other.save()).toEqual(DUE);
      one.apply(id);
      await one.save();
    }
    expect(await other.save()).toEqual(NOTHING);
  });

  test('CKP-41 a quiet log is no reason', async () => {
    apply('a');
    await one.save();
    for (let at = 0; at < 3 * CHECKPOINT_PATIENCE; at++) expect(await other.save()).toEqual(NOTHING);
    apply('b');
    expect(await other.save()).toEqual(DUE);
    await one.save();
    expect(await other.save()).toEqual(NOTHING);
  });

  test('CKP-42 one that is gone is written anew at once', async () => {
    apply('a', 'b');
    await one.save();
    shared.head = null;
    shared.blocks.clear();
    one.apply('c');
    expect(await one.save()).toMatchObject({ records: 3 });
    expect(shown((await restored(shared)) as ProjectionState)).toEqual(shown(one.state));
    expect(one.logged).toEqual(['WARN the checkpoint is gone: writing it anew']);
  });

  test('CKP-42 who restores what another has written goes on with it', async () => {
    apply('a', 'b');
    await one.save();
    const next = await new Server(shared).start();
    expect(shown(next.state)).toEqual(shown(one.state));
    next.apply('c');
    expect(await next.save()).toMatchObject({ blocks: 1 });
    expect(shown((await restored(shared)) as ProjectionState)).toEqual(shown(next.state));
    one.apply('c');
    expect(await one.save()).toEqual(NOTHING);
  });

  test('CKP-42 a head of a newer format is left alone while it changes, and replaced when it does not', async () => {
    for (let at = 0; at < 2 * CHECKPOINT_PATIENCE; at++) {
      shared.head = JSON.stringify({ format: 2, cursor: at });
      one.apply(`${at}`);
      expect(await one.save()).toEqual(DUE);
    }
    for (let at = 2; at < CHECKPOINT_PATIENCE; at++) expect(await one.save()).toEqual(DUE);
    expect((await one.save()).records).toBe(2 * CHECKPOINT_PATIENCE);
    expect(shown((await restored(shared)) as ProjectionState)).toEqual(shown(one.state));
  });

  test('CKP-42 after a reset a server leaves the checkpoint of the new stream to who was faster', async () => {
    apply('a', 'b', 'c');
    await one.save();
    expect(await other.save()).toEqual(NOTHING);
    const renewed = async (server: Server) => {
      await server.checkpoint.reset();
      server.state = applyAll(initialState(), [formation('n')]);
      return server.checkpoint.save(server.state, { ...anchorOf(server.state), epoch: 'next' });
    };
    expect(await renewed(one)).toMatchObject({ records: 1 });
    expect(await renewed(other)).toEqual(NOTHING);
    expect([...((await restored(shared)) as ProjectionState).formations.keys()]).toEqual(['n']);
  });

  test('CKP-42 a commit that comes too late writes nothing, and waits its turn', async () => {
    apply('a');
    const gate = Promise.withResolvers<void>();
    const { commit } = shared;
    // Both have looked and found nobody.
    shared.commit = async (change) => {
      await gate.promise;
      shared.commit = commit;
      await commit.call(shared, change);
    };
    const saves = [one.save(), other.save()];
    await Promise.resolve();
    gate.resolve();
    const results = await Promise.allSettled(saves);
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(0);
    const [writer, loser] = shared.commits.length === 1 ? [one, other] : [other, one];
    expect(shown((await restored(shared)) as ProjectionState)).toEqual(shown(writer.state));
    await expect(loser.save()).resolves.toEqual(NOTHING);
  });
});

describe('a start whose checkpoint is with the broker', () => {
  const failing = (errors: (EventLogError | null)[]) => {
    const store = new MemoryCheckpointStore();
    const load = store.load.bind(store);
    store.load = async () => {
      const error = errors.length > 1 ? errors.shift() : errors[0];
      if (error) throw error;
      return load();
    };
    return store;
  };
  const start = (store: MemoryCheckpointStore) => {
    const clock = new ManualClock();
    const logged: string[] = [];
    const away: string[] = [];
    const note = (message: string) => void logged.push(message);
    const logger: Log = { debug: note, info: note, warn: note, error: note };
    let isStopped = false;
    const done = whenRestored(new Checkpoint(store, logger), {
      clock,
      logger,
      onAway: (reason) => void away.push(reason),
      isStopped: () => isStopped,
    });
    return { clock, logged, away, done, stop: () => void (isStopped = true) };
  };
  const UNREACHABLE = new EventLogError('unreachable', 'refused');
  const UNAVAILABLE = new EventLogError('unavailable', 'no answer');

  test('CKP-43 waits for a broker that is away, however long', async () => {
    const { clock, away, done, logged } = start(
      failing([...Array.from({ length: 200 }, () => UNREACHABLE), null]),
    );
    await clock.advance(10 * CHECKPOINT_WAIT_MS);
    expect(away.length).toBe(200);
    expect(new Set(away)).toEqual(new Set(['refused']));
    expect(await done).toBeNull();
    expect(logged).toEqual([]);
  });

  test('CKP-43 waits ten seconds for one that does not hand it out, and goes on without', async () => {
    const { clock, logged, done } = start(failing([UNAVAILABLE]));
    await clock.advance(CHECKPOINT_WAIT_MS - 1000);
    expect(logged).toEqual([]);
    await clock.advance(2000);
    expect(await done).toBeNull();
    expect(logged).toEqual(['checkpoint not used']);
  });

  test('CKP-43 stops waiting when the server is stopped', async () => {
    const { clock, stop, done, logged } = start(failing([UNREACHABLE]));
    await clock.advance(1000);
    stop();
    await clock.advance(1000);
    expect(await done).toBeNull();
    expect(logged).toEqual([]);
  });
});
