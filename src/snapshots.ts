// JSON texts of the view, made when a record has changed and somebody asks, never per request: a record's text stays with the
// record, lists are kept as bytes in chunks of which only the changed ones are made anew.
import type { Cell, Formation, Position } from './model.ts';
import { statusOf } from './formation-status.ts';
import { cellsOf, type ProjectionState } from './projection.ts';
import { compareUtf8 } from './text.ts';
import { concat, encodeUtf8 } from './utf8.ts';

const CHUNK_RECORDS = 128;

interface Versioned {
  readonly version: Position;
}

/** Bytes of consecutive records, comma-separated, and the youngest version among them. */
interface Chunk {
  readonly version: Position;
  readonly bytes: Uint8Array;
}

/** One ordered list of records as bytes. */
class ListBody<Item extends Versioned> {
  #items: readonly Item[] = [];
  #chunks: Chunk[] = [];
  #size = -1;
  readonly #order: (a: Item, b: Item) => number;
  readonly #toJson: (item: Item) => string;

  constructor(order: (a: Item, b: Item) => number, toJson: (item: Item) => string) {
    this.#order = order;
    this.#toJson = toJson;
  }

  /** All records in order. They are never removed from a state, so their number tells whether the order still holds. */
  items(records: ReadonlyMap<string, Item>): readonly Item[] {
    if (this.#size !== records.size) {
      this.#items = [...records.values()].sort(this.#order);
      this.#chunks = [];
      this.#size = records.size;
    }
    return this.#items;
  }

  /** The records' texts between `head` and `tail`. */
  body(records: ReadonlyMap<string, Item>, head: string, tail: string): Uint8Array<ArrayBuffer> {
    const items = this.items(records);
    const parts: Uint8Array[] = [encodeUtf8(head)];
    for (let from = 0, at = 0; from < items.length; from += CHUNK_RECORDS, at++) {
      const version = youngest(items, from);
      let chunk = this.#chunks[at];
      if (chunk?.version !== version) {
        const texts = items.slice(from, from + CHUNK_RECORDS).map(this.#toJson);
        const bytes = encodeUtf8(`${from === 0 ? '' : ','}${texts.join(',')}`);
        this.#chunks[at] = chunk = { version, bytes };
      }
      parts.push(chunk.bytes);
    }
    parts.push(encodeUtf8(tail));
    return concat(parts);
  }
}

function youngest(items: readonly Versioned[], from: number): Position {
  let version = 0;
  const end = Math.min(from + CHUNK_RECORDS, items.length);
  for (let at = from; at < end; at++) version = Math.max(version, (items[at] as Versioned).version);
  return version;
}

/** The texts of one state. A new state needs a new instance. */
export class Snapshots {
  readonly #state: ProjectionState;
  readonly #formations: ListBody<Formation>;
  readonly #cells: ListBody<Cell>;
  #formationsBody: { key: string; bytes: Uint8Array<ArrayBuffer> } | null = null;
  #cellsBody: { version: Position; bytes: Uint8Array<ArrayBuffer> } | null = null;

  constructor(state: ProjectionState) {
    this.#state = state;
    this.#formations = new ListBody<Formation>(
      // Ids are hexadecimal digits and hyphens.
      (a, b) => (a.id < b.id ? -1 : 1),
      (formation) => this.formation(formation),
    );
    this.#cells = new ListBody<Cell>((a, b) => compareUtf8(a.id, b.id), cellJson);
  }

  /** FormationRecord. */
  formation(formation: Formation): string {
    return (formation.json ??= formationJson(this.#state, formation));
  }

  /** CellRecord. */
  cell(cell: Cell): string {
    return cellJson(cell);
  }

  /** `{formations, cursor, epoch}`, ordered by id. */
  formations(epoch: string | null): Uint8Array<ArrayBuffer> {
    const { cursor, formationsVersion, formations } = this.#state;
    const key = `${formationsVersion} ${cursor} ${epoch}`;
    if (this.#formationsBody?.key !== key) {
      const tail = `],"cursor":${cursor},"epoch":${JSON.stringify(epoch)}}`;
      this.#formationsBody = { key, bytes: this.#formations.body(formations, '{"formations":[', tail) };
    }
    return this.#formationsBody.bytes;
  }

  /** The texts of all formations, ordered by id. */
  formationTexts(): string[] {
    return this.#formations.items(this.#state.formations).map((formation) => this.formation(formation));
  }

  /** The texts of all cells in the order of their list. */
  cellTexts(): string[] {
    return this.#cells.items(this.#state.cells).map(cellJson);
  }

  /** All cells as one array. */
  cells(): Uint8Array<ArrayBuffer> {
    const { cells, cellsVersion } = this.#state;
    if (this.#cellsBody?.version !== cellsVersion) {
      this.#cellsBody = { version: cellsVersion, bytes: this.#cells.body(cells, '[', ']') };
    }
    return this.#cellsBody.bytes;
  }

  /** The cells that pass the filters, at most `limit`, as one array. */
  selectedCells(filter: {
    state?: Cell['state'];
    /** A formation's id; null selects nothing. */
    formation?: string | null;
    limit?: number;
  }): string {
    const limit = filter.limit ?? Number.POSITIVE_INFINITY;
    const candidates =
      filter.formation === undefined
        ? this.#cells.items(this.#state.cells)
        : filter.formation === null
          ? []
          : sortedCells(this.#state, filter.formation);
    const texts: string[] = [];
    for (const cell of candidates) {
      if (texts.length >= limit) break;
      if (filter.state === undefined || cell.state === filter.state) texts.push(cellJson(cell));
    }
    return `[${texts.join(',')}]`;
  }
}

function sortedCells(state: ProjectionState, formationId: string): Cell[] {
  return [...cellsOf(state, formationId)].sort((a, b) => compareUtf8(a.id, b.id));
}

function formationJson(state: ProjectionState, formation: Formation): string {
  const cells = sortedCells(state, formation.id).map(cellJson);
  const head = JSON.stringify({
    id: formation.id,
    name: formation.name,
    status: statusOf(formation),
    phase: formation.phase,
    ...(formation.reason === null ? {} : { reason: formation.reason }),
    ...(formation.failedCells === null ? {} : { failed_cells: formation.failedCells }),
    created_at: formation.createdAt,
    updated_at: formation.updatedAt,
  });
  // join makes one flat text; what + and templates make would be put together again for every answer.
  return [head.slice(0, -1), ',"document":', formation.document, ',"cells":[', cells.join(','), ']}'].join(
    '',
  );
}

function cellJson(cell: Cell): string {
  if (cell.json !== null) return cell.json;
  const head = JSON.stringify({
    id: cell.id,
    spec_id: cell.specId,
    run_id: cell.runId,
    state: cell.state,
    status: cell.state,
    formation_id: cell.formationId,
    started_at: cell.startedAt,
    destroyed_at: cell.destroyedAt,
    outcome: cell.outcome,
  });
  const tail = JSON.stringify({ created_at: cell.createdAt, finished_at: cell.destroyedAt });
  cell.json = [head.slice(0, -1), ',"exit_code":', cell.exitCode ?? 'null', ',', tail.slice(1)].join('');
  return cell.json;
}
