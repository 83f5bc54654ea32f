// The projection: evolve(state, seq, fact) is the one reducer, for replayed and for live events. It depends on nothing but
// its arguments and never throws; it changes the state it is given, because copying a view of 10^5 records per event
// would not end. Records keep their identity, so indexes hold references.
import { EventIndex } from './event-index.ts';
import type { Cell, CellFact, Fact, Formation, FormationFact, Position } from './model.ts';
import { isLive } from './formation-status.ts';
import { indexName, type NameIndex, noteLife, unindexName } from './name-index.ts';
import { forgetReceiptsBefore, indexReceipts, keepReceipt, type ReceiptIndex } from './receipts.ts';
import type { Signers } from './signers.ts';

/** The view of the log up to `cursor`. Read it freely; only the functions here change it. */
export interface ProjectionState {
  cursor: Position;
  readonly formations: Map<string, Formation>;
  readonly cells: Map<string, Cell>;
  readonly names: NameIndex;
  /** Cells by the formation they name, whether that one is known or not. */
  readonly cellsByFormation: Map<string, Set<Cell>>;
  /** The formations' receipts by their keys. */
  readonly receipts: ReceiptIndex;
  /** Where in the log the events of a cell or a formation are. Fed by the control plane, which has them parsed. */
  readonly index: EventIndex;
  /** Who signed what the view was made of; kept by the control plane. */
  readonly signers: Signers;
  /** The log's oldest entry, as far as is known: receipts of older ones are of no use. */
  firstSeq: Position;
  /** Sequence of the last change of any formation (or of a cell shown in one), and of any cell. */
  formationsVersion: Position;
  cellsVersion: Position;
}

/**
 * What became of an entry. applied: it says something of a formation or a cell, be it that a destroyed one stays as it is.
 * ignored: it is about something else. skipped: it should say something and does not.
 */
export type Effect = 'applied' | 'ignored' | 'skipped';

/** What an entry did: `changed` is false for what was ignored or refused, `warning` is for the operator's log. */
export interface Outcome {
  readonly changed: boolean;
  readonly effect: Effect;
  readonly warning: string | null;
}

const CHANGED: Outcome = { changed: true, effect: 'applied', warning: null };
const UNCHANGED: Outcome = { changed: false, effect: 'ignored', warning: null };
const AFTER_THE_END: Outcome = {
  changed: false,
  effect: 'applied',
  warning: 'event for a cell that is already destroyed',
};

const NO_CELLS: ReadonlySet<Cell> = new Set();

/** An empty view at `cursor`. */
export function initialState(cursor: Position = 0): ProjectionState {
  return {
    cursor,
    formations: new Map(),
    cells: new Map(),
    names: new Map(),
    cellsByFormation: new Map(),
    receipts: new Map(),
    index: new EventIndex(cursor),
    signers: new Map(),
    firstSeq: 0,
    formationsVersion: cursor,
    cellsVersion: cursor,
  };
}

/** Applies what the entry at `seq` says and moves the cursor there, also over what is ignored. */
export function evolve(state: ProjectionState, seq: Position, fact: Fact): Outcome {
  advance(state, seq);
  switch (fact.kind) {
    case 'formation':
      return applyFormation(state, seq, fact);
    case 'cell':
      return applyCell(state, seq, fact);
    case 'none':
      return fact.warning === null ? UNCHANGED : { changed: false, effect: 'skipped', warning: fact.warning };
  }
}

/** Moves the cursor over sequences that hold nothing any more. */
export function advance(state: ProjectionState, seq: Position): void {
  if (seq > state.cursor) state.cursor = seq;
}

/** The view begins behind `seq`, and knows nothing of what is before it. */
export function beginAt(state: ProjectionState, seq: Position): void {
  if (seq <= state.cursor) return;
  advance(state, seq);
  state.index.startAt(seq);
}

/** The log holds nothing before `firstSeq` any more. */
export function retain(state: ProjectionState, firstSeq: Position): void {
  state.firstSeq = firstSeq;
  state.index.forgetBefore(firstSeq);
  forgetReceiptsBefore(state.receipts, firstSeq);
}

/** Puts a record that was saved into the view, in any order. False, and nothing done, when the id is already there. */
export function restoreFormation(state: ProjectionState, formation: Formation): boolean {
  if (state.formations.has(formation.id)) return false;
  state.formations.set(formation.id, formation);
  indexName(state.names, formation);
  indexReceipts(state.receipts, formation);
  return true;
}

/** The same for a cell. */
export function restoreCell(state: ProjectionState, cell: Cell): boolean {
  if (state.cells.has(cell.id)) return false;
  state.cells.set(cell.id, cell);
  indexCell(state, cell);
  return true;
}

/** Whom the name stands for: the newest live formation of that name, else the newest. */
export function holderOf(state: ProjectionState, name: string): Formation | null {
  const holders = state.names.get(name);
  return holders?.newestLive ?? holders?.all.at(-1) ?? null;
}

/** The live formations of a name, oldest first: more than one only when others than this server wrote them. */
export function liveHoldersOf(state: ProjectionState, name: string): readonly Formation[] {
  return state.names.get(name)?.all.filter(isLive) ?? [];
}

/** The cells that name this formation, as they came. None is removed; a formation without cells has no set of its own yet. */
export function cellsOf(state: ProjectionState, formationId: string): ReadonlySet<Cell> {
  return state.cellsByFormation.get(formationId) ?? NO_CELLS;
}

function applyFormation(state: ProjectionState, seq: Position, fact: FormationFact): Outcome {
  let formation = state.formations.get(fact.id);
  if (formation === undefined) {
    formation = {
      id: fact.id,
      name: fact.name,
      phase: fact.phase,
      reason: fact.reason,
      failedCells: fact.failedCells,
      document: fact.document(true) ?? 'null',
      createdAt: fact.time,
      updatedAt: fact.time,
      receipts: null,
      firstSeq: seq,
      version: seq,
      json: null,
      block: 0,
    };
    state.formations.set(formation.id, formation);
    indexName(state.names, formation);
  } else {
    const { name } = formation;
    const wasLive = isLive(formation);
    if (fact.name !== '') formation.name = fact.name;
    formation.phase = fact.phase;
    formation.reason = fact.reason;
    formation.failedCells = fact.failedCells;
    formation.document = fact.document(false) ?? formation.document;
    formation.updatedAt = fact.time ?? formation.updatedAt;
    if (name !== formation.name) {
      unindexName(state.names, formation, name, wasLive);
      indexName(state.names, formation);
    } else if (wasLive !== isLive(formation)) {
      noteLife(state.names.get(name), formation);
    }
  }
  if (fact.mark !== null)
    keepReceipt(state.receipts, formation, fact.mark, { seq, firstSeq: state.firstSeq });
  touchFormation(state, formation, seq);
  return CHANGED;
}

function applyCell(state: ProjectionState, seq: Position, fact: CellFact): Outcome {
  let cell = state.cells.get(fact.id);
  if (cell?.state === 'destroyed') return AFTER_THE_END;
  if (cell === undefined) {
    cell = {
      id: fact.id,
      specId: fact.specId,
      runId: fact.runId,
      formationId: null,
      state: 'pending',
      startedAt: null,
      destroyedAt: null,
      outcome: null,
      exitCode: null,
      createdAt: fact.time,
      version: seq,
      json: null,
      block: 0,
    };
    state.cells.set(cell.id, cell);
  }
  if (cell.specId === '') cell.specId = fact.specId;
  cell.runId ??= fact.runId;
  if (cell.formationId === null && fact.formationId !== null) {
    cell.formationId = fact.formationId;
    indexCell(state, cell);
  }
  switch (fact.effect) {
    case 'started':
      cell.state = 'running';
      cell.startedAt = fact.time ?? cell.startedAt;
      break;
    case 'completed':
      cell.exitCode = fact.exitCode ?? cell.exitCode;
      break;
    case 'destroyed':
      cell.state = 'destroyed';
      cell.destroyedAt = fact.time;
      cell.outcome = fact.outcome;
      break;
  }
  cell.version = seq;
  cell.json = null;
  state.cellsVersion = seq;
  // A formation shows the records of its cells.
  const formation = cell.formationId === null ? undefined : state.formations.get(cell.formationId);
  if (formation !== undefined) touchFormation(state, formation, seq);
  return CHANGED;
}

function touchFormation(state: ProjectionState, formation: Formation, seq: Position): void {
  formation.version = seq;
  formation.json = null;
  state.formationsVersion = seq;
}

function indexCell(state: ProjectionState, cell: Cell): void {
  if (cell.formationId === null) return;
  const siblings = state.cellsByFormation.get(cell.formationId);
  if (siblings === undefined) state.cellsByFormation.set(cell.formationId, new Set([cell]));
  else siblings.add(cell);
}
