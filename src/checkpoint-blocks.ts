// The blocks of a checkpoint: how records are spelled in them, how they are packed, and which older ones a save rewrites.
// The spelling is compact JSON, one array for each record; what is read here has passed its digest.
import { CHUNK, type ChunkRow, parseChunk } from './checkpoint-chunks.ts';
import type { IndexChunk } from './event-index-chunk.ts';
import { CHECKPOINT_BLOCK_LENGTH, CHECKPOINT_COMPACTIONS } from './limits.ts';
import type { Cell, CellState, Formation, FormationPhase, Position } from './model.ts';

/** A record and its text, made at one moment. */
export interface Piece<Of = Formation | Cell> {
  readonly record: Of;
  readonly text: string;
}

/** What is known of a block in the store. A record that is written again is dead in its old block. */
export interface KeptBlock {
  readonly id: number;
  readonly digest: string;
  readonly length: number;
  readonly records: number;
  live: number;
  /** A commit that failed would have removed it, and perhaps did: it cannot be relied on. */
  isDoubtful: boolean;
}

// Which kind of record an array is.
const FORMATION = 0;
const CELL = 1;

type FormationRow = readonly [
  kind: typeof FORMATION,
  id: string,
  name: string,
  phase: FormationPhase,
  reason: string | null,
  failedCells: readonly string[] | null,
  document: string,
  createdAt: string | null,
  updatedAt: string | null,
  firstSeq: Position,
  version: Position,
  receipts: readonly (readonly [key: string, request: string, seq: Position])[],
];

type CellRow = readonly [
  kind: typeof CELL,
  id: string,
  specId: string,
  runId: string | null,
  formationId: string | null,
  state: CellState,
  startedAt: string | null,
  destroyedAt: string | null,
  outcome: string | null,
  exitCode: string | null,
  createdAt: string | null,
  version: Position,
];

export function pieceOfFormation(record: Formation): Piece {
  const row: FormationRow = [
    FORMATION,
    record.id,
    record.name,
    record.phase,
    record.reason,
    record.failedCells,
    record.document,
    record.createdAt,
    record.updatedAt,
    record.firstSeq,
    record.version,
    (record.receipts ?? []).map(({ key, request, seq }) => [key, request, seq] as const),
  ];
  return { record, text: JSON.stringify(row) };
}

export function pieceOfCell(record: Cell): Piece {
  const row: CellRow = [
    CELL,
    record.id,
    record.specId,
    record.runId,
    record.formationId,
    record.state,
    record.startedAt,
    record.destroyedAt,
    record.outcome,
    record.exitCode,
    record.createdAt,
    record.version,
  ];
  return { record, text: JSON.stringify(row) };
}

/** The pieces in as few blocks as hold them, all about as full: a small one left over would have to be rewritten soon. */
export function packPieces<Of>(pieces: readonly Piece<Of>[]): Piece<Of>[][] {
  const whole = lengthOf(pieces);
  const fair = whole / Math.ceil(whole / CHECKPOINT_BLOCK_LENGTH);
  const packs: Piece<Of>[][] = [];
  let length = Number.POSITIVE_INFINITY;
  for (const piece of pieces) {
    const longer = length + piece.text.length;
    if (length >= fair || longer > CHECKPOINT_BLOCK_LENGTH) {
      packs.push([]);
      length = 0;
    }
    (packs.at(-1) as Piece<Of>[]).push(piece);
    length += piece.text.length;
  }
  return packs;
}

export function lengthOf(pieces: readonly Piece<unknown>[]): number {
  return pieces.reduce((length, { text }) => length + text.length, 0);
}

export function blockText(pieces: readonly Piece<unknown>[]): string {
  return `[${pieces.map(({ text }) => text).join(',')}]`;
}

/** What is in a block: records, or chunks of the index. */
export interface ParsedBlock {
  readonly formations: Formation[];
  readonly cells: Cell[];
  readonly chunks: IndexChunk[];
}

/** The records of a block. Throws when the text is something else. */
export function parseBlock(text: string, block: number): ParsedBlock {
  const formations: Formation[] = [];
  const cells: Cell[] = [];
  const chunks: IndexChunk[] = [];
  for (const row of JSON.parse(text) as readonly (FormationRow | CellRow | ChunkRow)[]) {
    if (row[0] === CHUNK) chunks.push(parseChunk(row));
    else if (row[0] === FORMATION) {
      const [, id, name, phase, reason, failedCells, document, createdAt, updatedAt, firstSeq, version] = row;
      const receipts = row[11].map(([key, request, seq]) => ({ key, request, seq }));
      formations.push({
        id,
        name,
        phase,
        reason,
        failedCells,
        document,
        createdAt,
        updatedAt,
        receipts: receipts.length === 0 ? null : receipts,
        firstSeq,
        version,
        json: null,
        block,
      });
    } else {
      const [, id, specId, runId, formationId, state] = row;
      const [, , , , , , startedAt, destroyedAt, outcome, exitCode, createdAt, version] = row;
      cells.push({
        id,
        specId,
        runId,
        formationId,
        state,
        startedAt,
        destroyedAt,
        outcome,
        exitCode,
        createdAt,
        version,
        json: null,
        block,
      });
    }
  }
  return { formations, cells, chunks };
}

/**
 * The blocks whose live records are to be written again together with a batch of `length`, from which records leave as
 * `leaving` says. Keeps the number of blocks that are not full logarithmic, and garbage about as small as what lives.
 */
export function blocksToAbsorb(
  blocks: Iterable<KeptBlock>,
  leaving: ReadonlyMap<number, number>,
  length: number,
): Set<number> {
  const candidates = Array.from(blocks, (block) => {
    const left = block.live - (leaving.get(block.id) ?? 0);
    return { ...block, left, leftLength: Math.ceil((block.length * left) / block.records) };
  }).filter(({ left }) => left > 0);
  const absorbed = new Set<number>();
  let sum = length;
  let compactions = 0;
  let compacted = 0;
  for (const block of candidates.sort((a, b) => a.leftLength - b.leftLength)) {
    // The logarithmic method: what stays is more than twice as large as what is made, and a record that is rewritten is in
    // a block half as large again.
    const isSmall = block.length < CHECKPOINT_BLOCK_LENGTH / 2 && block.leftLength <= 2 * sum;
    if (isSmall || block.isDoubtful) {
      absorbed.add(block.id);
      sum += block.leftLength;
    } else if (
      2 * block.left < block.records &&
      (compactions < CHECKPOINT_COMPACTIONS || compacted < length)
    ) {
      absorbed.add(block.id);
      compactions++;
      compacted += block.leftLength;
    }
  }
  return absorbed;
}
