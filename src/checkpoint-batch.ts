// What a save is to write, taken from the view at one moment: the records that changed and the chunks of the index that are new, and with
// them those of older blocks that are small or mostly superseded.
import {
  blocksToAbsorb,
  blockText,
  type KeptBlock,
  lengthOf,
  packPieces,
  type Piece,
  pieceOfCell,
  pieceOfFormation,
} from './checkpoint-blocks.ts';
import { type KeptChunks, lengthOfChunks } from './checkpoint-chunks.ts';
import type { IndexChunk } from './event-index-chunk.ts';
import type { Position } from './model.ts';
import type { CheckpointBlock } from './ports.ts';
import type { ProjectionState } from './projection.ts';

/** A block that is to be written: of records, or of chunks of the index. */
interface NewBlock extends CheckpointBlock {
  readonly records: readonly Piece['record'][];
  readonly chunks: readonly IndexChunk[];
}

export interface Batch {
  readonly blocks: readonly NewBlock[];
  /** How many live rows leave each older block, because they are written again or of no use any more. */
  readonly leaving: ReadonlyMap<number, number>;
  /** The index, as it was then. */
  readonly chunks: readonly IndexChunk[];
  readonly indexFloor: Position;
}

/** What the store holds. */
export interface Kept {
  readonly blocks: ReadonlyMap<number, KeptBlock>;
  readonly chunks: KeptChunks;
  /** The view's cursor when it was written: records with a higher version are dirty. */
  readonly position: Position;
}

/** Joins chunks of the index, and changes nothing else. `newId` gives each block its id. */
export function gatherBatch(
  state: ProjectionState,
  { blocks, chunks, position }: Kept,
  newId: () => number,
): Batch {
  const { formations, cells, index } = state;
  const pieces: Piece[] = [];
  const leaving = new Map<number, number>();
  const leave = (block: number) => leaving.set(block, (leaving.get(block) ?? 0) + 1);
  const add = (piece: Piece) => {
    pieces.push(piece);
    leave(piece.record.block);
  };
  for (const formation of formations.values()) {
    if (formation.version > position) add(pieceOfFormation(formation));
  }
  for (const cell of cells.values()) if (cell.version > position) add(pieceOfCell(cell));
  const { fresh, gone } = chunks.compare(index);
  for (const block of gone) leave(block);
  const absorbed = blocksToAbsorb(blocks.values(), leaving, lengthOf(pieces) + lengthOfChunks(fresh));
  if (absorbed.size > 0) {
    for (const formation of formations.values()) {
      if (formation.version <= position && absorbed.has(formation.block)) add(pieceOfFormation(formation));
    }
    for (const cell of cells.values()) {
      if (cell.version <= position && absorbed.has(cell.block)) add(pieceOfCell(cell));
    }
    for (const [chunk, block] of chunks.within(absorbed, index)) {
      fresh.add(chunk);
      leave(block);
    }
  }
  const written: NewBlock[] = [];
  for (const pack of packPieces(pieces)) {
    written.push({ id: newId(), text: blockText(pack), records: pack.map(recordOf), chunks: [] });
  }
  for (const pack of packPieces(chunks.pieces(index, fresh))) {
    written.push({ id: newId(), text: blockText(pack), records: [], chunks: pack.map(recordOf) });
  }
  return { blocks: written, leaving, chunks: [...index.chunks], indexFloor: index.floor };
}

function recordOf<Of>({ record }: Piece<Of>): Of {
  return record;
}
