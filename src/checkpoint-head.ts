// The head of a checkpoint: where in the log the view was, and which blocks with which digests make it. It seals itself, so
// that with it everything is verified.
import * as v from 'valibot';

import type { Position } from './model.ts';
import type { LogAnchor } from './ports.ts';
import type { Verification } from './signers.ts';
import { encodeUtf8 } from './utf8.ts';

/** Raised whenever a head or a block is spelled in another way, or events are taken in another way: before 4 signed ones were not. */
const FORMAT = 4;

/** The seal ends the text and covers what is before it. */
const SEAL = /,"sha256":"([0-9a-f]{64})"\}$/;

const wholeNumber = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const headSchema = v.strictObject({
  format: v.number(),
  epoch: v.string(),
  cursor: wholeNumber,
  timestamp: v.nullable(v.strictObject({ seq: wholeNumber, nanos: v.string() })),
  indexFloor: wholeNumber,
  verification: v.strictObject({
    requireSigned: v.boolean(),
    digest: v.string(),
    signers: v.array(v.strictTuple([v.string(), v.string()])),
  }),
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
  /** What the index of events is complete behind. */
  readonly indexFloor: Position;
  readonly verification: Verification;
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

export async function writeHead(head: CheckpointHead): Promise<string> {
  const { anchor, verification, indexFloor, blocks } = head;
  const { position, epoch, timestamp } = anchor;
  const text = JSON.stringify({
    format: FORMAT,
    epoch,
    cursor: position,
    timestamp: timestamp === null ? null : { seq: timestamp.seq, nanos: timestamp.nanos },
    indexFloor,
    verification: {
      requireSigned: verification.requireSigned,
      digest: verification.digest,
      signers: [...verification.signers],
    },
    blocks: blocks.map(({ id, records, digest }) => [id, records, digest]),
  }).slice(0, -1);
  return `${text},"sha256":"${await digestOf(encodeUtf8(text))}"}`;
}

/** Throws UnusableCheckpointError unless this is what `writeHead` made. */
export async function readHead(text: string): Promise<CheckpointHead> {
  const value = parseJson(text);
  // Another format may be sealed in another way.
  if ((value as { format?: unknown } | null)?.format !== FORMAT) {
    throw new UnusableCheckpointError('the head is of another format');
  }
  const seal = SEAL.exec(text);
  if (seal === null || seal[1] !== (await digestOf(encodeUtf8(text.slice(0, seal.index))))) {
    throw new UnusableCheckpointError('the head is not what was written');
  }
  const parsed = v.safeParse(headSchema, value);
  if (!parsed.success) throw new UnusableCheckpointError('the head is not understood');
  const { cursor, epoch, timestamp, verification, indexFloor, blocks } = parsed.output;
  return {
    anchor: { position: cursor, epoch, timestamp },
    verification: { ...verification, signers: new Map(verification.signers) },
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
