// Given events, when more events come, then the view is so: the reducer as the control plane runs it, without mocks.
import { decodeEntry } from '../../src/cloudevents.ts';
import { toFact } from '../../src/facts.ts';
import type { Position } from '../../src/model.ts';
import type { LogEntry } from '../../src/ports.ts';
import { evolve, initialState, type Outcome, type ProjectionState } from '../../src/projection.ts';
import { Snapshots } from '../../src/snapshots.ts';
import { decodeUtf8, encodeUtf8 } from '../../src/utf8.ts';

export const FORMATION = 'dev.cellos.events.cell.formation.v1.';
export const LEGACY_FORMATION = 'io.cellos.formation.v1.';
export const STARTED = 'dev.cellos.events.cell.lifecycle.v1.started';
export const COMPLETED = 'dev.cellos.events.cell.command.v1.completed';
export const DESTROYED = 'dev.cellos.events.cell.lifecycle.v1.destroyed';

/** What is published: bytes and texts as they are, anything else as JSON. */
export type Payload = string | Uint8Array | object | number | null;

/** One message of the log. */
export function entryOf(seq: Position, payload: Payload, subject = 'cellos.events.v1'): LogEntry {
  if (payload instanceof Uint8Array) return { seq, subject, payload };
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  return { seq, subject, payload: encodeUtf8(text) };
}

/** A view and what the events did to it; sequences count from 1. */
export class View {
  readonly state: ProjectionState = initialState();
  readonly snapshots = new Snapshots(this.state);
  readonly outcomes: Outcome[] = [];

  apply(...payloads: readonly Payload[]): this {
    for (const payload of payloads) {
      const entry = decodeEntry(entryOf(this.state.cursor + 1, payload));
      this.outcomes.push(evolve(this.state, entry.seq, toFact(entry)));
    }
    return this;
  }

  /** CellRecord as clients see it; null when unknown. */
  cell(id: string): Record<string, unknown> | null {
    const cell = this.state.cells.get(id);
    return cell === undefined ? null : (JSON.parse(this.snapshots.cell(cell)) as Record<string, unknown>);
  }

  /** FormationRecord as clients see it; null when unknown. */
  formation(id: string): Record<string, unknown> | null {
    const formation = this.state.formations.get(id);
    if (formation === undefined) return null;
    return JSON.parse(this.snapshots.formation(formation)) as Record<string, unknown>;
  }

  /** Every text that clients may be shown. */
  texts(): string[] {
    return [
      decodeUtf8(this.snapshots.formations('epoch')) as string,
      decodeUtf8(this.snapshots.cells()) as string,
      ...(['pending', 'running', 'destroyed'] as const).map(
        (state) => this.snapshots.selectedCells({ state }, null, null).text,
      ),
      ...[...this.state.formations.keys()].map(
        (formation) => this.snapshots.selectedCells({ formation }, null, null).text,
      ),
    ];
  }
}

/** A state as plain data, without what is only kept to be fast. */
export function plain(state: ProjectionState): unknown {
  const { cursor, formationsVersion, cellsVersion } = state;
  const withoutJson = <Item extends object>(item: Item) => ({ ...item, json: null });
  return {
    cursor,
    formationsVersion,
    cellsVersion,
    formations: [...state.formations].map(([id, formation]) => [id, withoutJson(formation)]),
    cells: [...state.cells].map(([id, cell]) => [id, withoutJson(cell)]),
    names: [...state.names]
      .map(([name, { all, liveCount, newestLive }]) => ({
        name,
        all: all.map(({ id }) => id),
        liveCount,
        newestLive: newestLive?.id ?? null,
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    cellsByFormation: [...state.cellsByFormation].map(([id, cells]) => [
      id,
      [...cells].map((cell) => cell.id),
    ]),
  };
}

interface Then {
  /** Outcomes are those of the events in `when`. */
  readonly thenView: (check: (view: View, outcomes: readonly Outcome[]) => void) => void;
}

/** The view after `before`, to which `when` applies more. */
export function given(...before: readonly Payload[]): { when: (...events: readonly Payload[]) => Then } {
  return {
    when: (...events) => ({
      thenView(check) {
        const view = new View().apply(...before);
        view.apply(...events);
        check(view, view.outcomes.slice(before.length));
      },
    }),
  };
}

/** A formation's event with as little as possible. */
export function formationEvent(
  phase: string,
  data: Record<string, unknown>,
  attributes: Record<string, unknown> = {},
): Record<string, unknown> {
  return { type: FORMATION + phase, data, ...attributes };
}

/** A cell's event with as little as possible. */
export function cellEvent(
  type: string,
  cellId: string,
  data: Record<string, unknown> = {},
  attributes: Record<string, unknown> = {},
): Record<string, unknown> {
  return { type, data: { cellId, specId: 'spec', ...data }, ...attributes };
}
