// JSON texts of the view, made when a record has changed and somebody asks, never per request: a record's text stays with the
// record, whole lists are kept as bytes (ordered-records.ts), pages are put together from the texts.
import { statusOf } from './formation-status.ts';
import { isIdOf, nextToken, type PageRequest } from './list-pages.ts';
import type { Cell, Formation, Position } from './model.ts';
import { OrderedRecords, type Selected } from './ordered-records.ts';
import { cellsOf, type ProjectionState } from './projection.ts';
import { compareUtf8 } from './text.ts';

/** The order of a formation's cells is kept when there are more; few are put in order faster than they are looked up. */
const MANY_CELLS = 128;

/** A page of a list, and the token of the next one; null when this is the last. */
export interface Page {
  readonly text: string;
  readonly next: string | null;
}

/** The texts of one state. A new state needs a new instance. */
export class Snapshots {
  readonly #state: ProjectionState;
  readonly #formations: OrderedRecords<Formation>;
  readonly #cells: OrderedRecords<Cell>;
  readonly #cellsOfLarge = new WeakMap<ReadonlySet<Cell>, OrderedRecords<Cell>>();
  #formationsBody: { key: string; bytes: Uint8Array<ArrayBuffer> } | null = null;
  #cellsBody: { version: Position; bytes: Uint8Array<ArrayBuffer> } | null = null;

  constructor(state: ProjectionState) {
    this.#state = state;
    // Ids are hexadecimal digits and hyphens.
    this.#formations = new OrderedRecords(state.formations, (a, b) => (a < b ? -1 : a === b ? 0 : 1));
    this.#cells = new OrderedRecords(state.cells, compareUtf8);
  }

  /** FormationRecord. */
  formation(formation: Formation): string {
    return (formation.json ??= formationJson(formation, this.#cellsOf(formation.id)));
  }

  /** CellRecord. */
  cell(cell: Cell): string {
    return cellJson(cell);
  }

  /** `{formations, cursor, epoch}`, ordered by id. */
  formations(epoch: string | null): Uint8Array<ArrayBuffer> {
    const { cursor, formationsVersion } = this.#state;
    const key = `${formationsVersion} ${cursor} ${epoch}`;
    if (this.#formationsBody?.key !== key) {
      const tail = `],"cursor":${cursor},"epoch":${JSON.stringify(epoch)}}`;
      this.#formationsBody = {
        key,
        bytes: this.#formations.body(this.#formationText, '{"formations":[', tail),
      };
    }
    return this.#formationsBody.bytes;
  }

  /** `{formations, cursor, epoch}` of one page, with the next one's token as `continue`. */
  formationsPage(page: PageRequest, epoch: string | null): string {
    const selected = this.#formations.select(selectionOf(page, this.#formations));
    const next = tokenBehind(selected, page, epoch);
    const tail = JSON.stringify({ cursor: this.#state.cursor, epoch, ...(next && { continue: next }) });
    const texts = selected.items.map(this.#formationText).join(',');
    return ['{"formations":[', texts, '],', tail.slice(1)].join('');
  }

  /** The texts of all formations, ordered by id. */
  formationTexts(): string[] {
    return this.#formations.texts(this.#formationText);
  }

  /** The texts of all cells in the order of their list. */
  cellTexts(): string[] {
    return this.#cells.texts(cellJson);
  }

  /** All cells as one array. */
  cells(): Uint8Array<ArrayBuffer> {
    const { cellsVersion } = this.#state;
    if (this.#cellsBody?.version !== cellsVersion) {
      this.#cellsBody = { version: cellsVersion, bytes: this.#cells.body(cellJson, '[', ']') };
    }
    return this.#cellsBody.bytes;
  }

  /** The cells that pass the filters, those of one page if it is given, as one array. */
  selectedCells(
    filter: {
      state?: Cell['state'];
      /** A formation's id; null selects nothing. */
      formation?: string | null;
    },
    page: PageRequest | null,
    epoch: string | null,
  ): Page {
    const { state, formation } = filter;
    if (formation === null) return { text: '[]', next: null };
    const records = formation === undefined ? this.#cells : this.#cellsOf(formation);
    const selected = records.select({
      ...(page === null ? {} : selectionOf(page, records)),
      ...(state === undefined ? {} : { accepts: (cell: Cell) => cell.state === state }),
    });
    return {
      text: `[${selected.items.map(cellJson).join(',')}]`,
      next: page === null ? null : tokenBehind(selected, page, epoch, formation),
    };
  }

  readonly #formationText = (formation: Formation): string => this.formation(formation);

  #cellsOf(formationId: string): OrderedRecords<Cell> {
    const cells = cellsOf(this.#state, formationId);
    let ordered = this.#cellsOfLarge.get(cells);
    if (ordered === undefined) {
      ordered = new OrderedRecords(cells, compareUtf8);
      if (cells.size > MANY_CELLS) this.#cellsOfLarge.set(cells, ordered);
    }
    return ordered;
  }
}

/** A place that has only the beginning of an id is behind that id; where a view does not know it yet, before all that begin so. */
function selectionOf<Item extends Formation | Cell>(
  { limit, place }: PageRequest,
  records: OrderedRecords<Item>,
): { after: string | null; limit: number | undefined } {
  if (place?.digest === undefined) return { after: place?.after ?? null, limit };
  const found = records.find(place.after, ({ id }) => isIdOf(place, id));
  return { after: found?.id ?? place.after, limit };
}

function tokenBehind(
  { items, isLast }: Selected<Formation | Cell>,
  page: PageRequest,
  epoch: string | null,
  formation?: string,
): string | null {
  const last = items.at(-1);
  if (isLast || last === undefined) return null;
  return nextToken(page, { epoch, lastId: last.id, ...(formation === undefined ? {} : { formation }) });
}

function formationJson(formation: Formation, cells: OrderedRecords<Cell>): string {
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
  return [
    head.slice(0, -1),
    ',"document":',
    formation.document,
    ',"cells":[',
    cells.texts(cellJson).join(','),
    ']}',
  ].join('');
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
