// The head of a checkpoint: where in the log the view was, and which blocks with which digests make it. It seals itself, so
// that with it everything is verified.
import * as v from 'valibot';

import type { Position } from './model.ts';
import type { LogAnchor } from './ports.ts';
import { encodeUtf8 } from './utf8.ts';

/** Raised whenever a head or a block is spelled in another way. */
const FORMAT = 3;
/** What is understood: format 2 has no index of events, and the blocks of format 1 know no receipts either. */
const READABLE: ReadonlySet<unknown> = new Set([1, 2, FORMAT]);

/** The seal ends the text and covers what is before it. */
const SEAL = /,"sha256":"([0-9a-f]{64})"\}$/;

const wholeNumber = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const headSchema = v.strictObject({
  format: v.number(),
  epoch: v.string(),
  cursor: wholeNumber,
  timestamp: v.nullable(v.strictObject({ seq: wholeNumber, nanos: v.string() })),
  indexFloor: v.optional(wholeNumber),
  blocks: v.array(v.strictTuple([wholeNumber, wholeNumber, v.string()])),
  sha256: v.string(),
});

/** A block as the head lists it, with the number of records in it, whether they are still the last of their id or not. */
interface ListedBlock {
  readonly id: number;
  readonly records: number;
  /** SHA-256 of its text. */
  readonly digest: string;
}

export interface CheckpointHead {
  readonly anchor: LogAnchor;
  /** What the index of events is complete behind; null when there is none. */
  readonly indexFloor: Position | null;
  readonly blocks: readonly ListedBlock[];
}

/** Why a checkpoint is not used: a text for the operator, without anything of the content. */
export class UnusableCheckpointError extends Error {
  override readonly name = 'UnusableCheckpointError';
}

/** SHA-256 in hexadecimal digits. */
export async function digestOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export async function writeHead({ anchor, indexFloor, blocks }: CheckpointHead): Promise<string> {
  const { position, epoch, timestamp } = anchor;
  const text = JSON.stringify({
    format: FORMAT,
    epoch,
    cursor: position,
    timestamp: timestamp === null ? null : { seq: timestamp.seq, nanos: timestamp.nanos },
    ...(indexFloor === null ? {} : { indexFloor }),
    blocks: blocks.map(({ id, records, digest }) => [id, records, digest]),
  }).slice(0, -1);
  return `${text},"sha256":"${await digestOf(encodeUtf8(text))}"}`;
}

/** Throws UnusableCheckpointError unless this is what `writeHead` made. */
export async function readHead(text: string): Promise<CheckpointHead> {
  const value = parseJson(text);
  // Another format may be sealed in another way.
  if (!READABLE.has((value as { format?: unknown } | null)?.format)) {
    throw new UnusableCheckpointError('the head is of another format');
  }
  const seal = SEAL.exec(text);
  if (seal === null || seal[1] !== (await digestOf(encodeUtf8(text.slice(0, seal.index))))) {
    throw new UnusableCheckpointError('the head is not what was written');
  }
  const parsed = v.safeParse(headSchema, value);
  if (!parsed.success) throw new UnusableCheckpointError('the head is not understood');
  const { cursor, epoch, timestamp, indexFloor = null, blocks } = parsed.output;
  return {
    anchor: { position: cursor, epoch, timestamp },
    indexFloor,
    blocks: blocks.map(([id, records, digest]) => ({ id, records, digest })),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message would repeat a piece of the text.
    throw new UnusableCheckpointError('the head is not JSON');
  }
}
