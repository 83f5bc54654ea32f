// A CheckpointStore in memory, for tests of what stands on the port. It passes the same suite as the real ones
// (test/suites/checkpoint-store.ts); what disks do is done to it by its fields. Below it: views to be saved in it.
import { Checkpoint } from '../../src/checkpoint.ts';
import { digestOf } from '../../src/checkpoint-head.ts';
import type { Cell, Fact, Formation, FormationFact } from '../../src/model.ts';
import type { CheckpointChange, CheckpointStore, LogAnchor, StoredCheckpoint } from '../../src/ports.ts';
import { evolve, holderOf, liveHoldersOf, type ProjectionState } from '../../src/projection.ts';
import { Snapshots } from '../../src/snapshots.ts';
import { decodeUtf8, encodeUtf8 } from '../../src/utf8.ts';

/** What befalls a call: nothing of it is done, or all of it although it fails. */
export type StoreFault = 'refused' | 'unacknowledged';

export class MemoryCheckpointStore implements CheckpointStore {
  head: string | null = null;
  readonly blocks = new Map<number, string>();

  /** The commits that were made. */
  readonly commits: CheckpointChange[] = [];
  /** What befalls the calls from now on. */
  readonly faults: { load?: StoreFault; commit?: StoreFault } = {};
  /** Commits wait for this. */
  gate: Promise<void> = Promise.resolve();

  async load(): Promise<StoredCheckpoint | null> {
    this.#fail(this.faults.load !== undefined, 'load');
    if (this.head === null) return null;
    return { head: this.head, blocks: Array.from(this.blocks, ([id, text]) => ({ id, text })) };
  }

  async commit(change: CheckpointChange): Promise<void> {
    await this.gate;
    this.#fail(this.faults.commit === 'refused', 'commit');
    if (change.remove === 'others') this.blocks.clear();
    else for (const id of change.remove) this.blocks.delete(id);
    for (const { id, text } of change.put) this.blocks.set(id, text);
    this.head = change.head;
    this.commits.push(change);
    this.#fail(this.faults.commit === 'unacknowledged', 'commit');
  }

  /** UTF-16 units of all blocks. */
  get length(): number {
    return [...this.blocks.values()].reduce((length, text) => length + text.length, 0);
  }

  #fail(fails: boolean, call: string): void {
    if (fails) throw new Error(`the disk is gone: ${call}`);
  }
}

/** A checkpoint on the store, as a process that starts opens it, and what it warns of. */
export function openCheckpoint(store: CheckpointStore): { checkpoint: Checkpoint; warnings: unknown[] } {
  const warnings: unknown[] = [];
  const unexpected = (message: string) => {
    throw new Error(message);
  };
  const warn = (message: string, fields = {}) => warnings.push({ message, ...fields });
  return {
    checkpoint: new Checkpoint(store, { debug: unexpected, info: unexpected, warn, error: unexpected }),
    warnings,
  };
}

/** What a formation's event says. */
export const formation = (id: string, more: Partial<FormationFact> = {}): Fact => ({
  kind: 'formation',
  id,
  name: id,
  phase: 'PENDING',
  reason: null,
  failedCells: null,
  time: null,
  mark: null,
  document: () => '{}',
  ...more,
});

/** The state, after what comes next in its log. */
export function applyAll(state: ProjectionState, facts: readonly Fact[]): ProjectionState {
  for (const fact of facts) evolve(state, state.cursor + 1, fact);
  return state;
}

export function anchorOf(state: ProjectionState, timestamp: LogAnchor['timestamp'] = null): LogAnchor {
  return { position: state.cursor, epoch: 'epoch', timestamp };
}

/** Saves the state as it is now. */
export const save = (checkpoint: Checkpoint, state: ProjectionState) =>
  checkpoint.save(state, anchorOf(state));

/** The state that a process which starts now finds. */
export async function restored(store: MemoryCheckpointStore): Promise<ProjectionState | null> {
  const { checkpoint, warnings } = openCheckpoint(store);
  const result = await checkpoint.restore();
  if (warnings.length > 0) throw new Error(JSON.stringify(warnings));
  return result && result.state;
}

/** A head that says something else and is sealed all the same. */
export async function reseal(store: MemoryCheckpointStore, change: (head: Head) => object): Promise<void> {
  const head = JSON.parse(store.head as string) as Head;
  const text = JSON.stringify({ ...change(head), sha256: undefined }).slice(0, -1);
  store.head = `${text},"sha256":"${await digestOf(encodeUtf8(text))}"}`;
}

/** A head, as far as tests look into it. */
export interface Head {
  blocks: [id: number, records: number, digest: string][];
  [member: string]: unknown;
}

/** All that can be asked of a view, in an order that does not depend on how it came about. */
export function shown(state: ProjectionState): unknown {
  const snapshots = new Snapshots(state);
  const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1);
  const records = (items: Iterable<Formation | Cell>) =>
    [...items].map(({ json: _json, block: _block, ...item }) => item).sort(byId);
  const names = [...state.names.keys()].sort();
  return {
    texts: [snapshots.formations('epoch'), snapshots.cells()].map(decodeUtf8),
    formations: records(state.formations.values()),
    cells: records(state.cells.values()),
    names: names.map((name) => [
      name,
      { ...state.names.get(name), newestLive: null, all: state.names.get(name)?.all.map(({ id }) => id) },
      holderOf(state, name)?.id,
      liveHoldersOf(state, name).map(({ id }) => id),
    ]),
    cellsByFormation: [...state.cellsByFormation]
      .map(([id, cells]) => ({ id, cells: [...cells].sort(byId).map((cell) => cell.id) }))
      .sort(byId),
  };
}
