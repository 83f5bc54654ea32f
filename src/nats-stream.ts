// The stream itself: get-or-create, its bounds, and whether it is still the one we knew (contract, section 2; design D10).
import type { JetStreamManager, MsgRequest, StreamConfig, StreamInfo } from 'nats.ws';

import { STREAM_DUPLICATE_WINDOW_MS, STREAM_MAX_AGE_MS } from './limits.ts';
import type { Position } from './model.ts';
import { apiErrorCode, askAgain, NO_MESSAGE } from './nats-link.ts';
import type { Clock, LogBounds } from './ports.ts';
import { EVENT_SUBJECTS } from './subjects.ts';

export const STREAM = 'CELLOS_EVENTS';

const STREAM_NOT_FOUND = 10_059;
const NANOS_PER_MS = 1_000_000;

/** Where a follower is, and what it knows of the stream there. */
export interface Anchor {
  /** `tail` before the first contact of a follower that starts there. */
  readonly position: Position | 'tail';
  /** Null before the first contact. */
  readonly epoch: string | null;
  /** The broker's time of the last entry delivered, with its sequence. */
  readonly timestamp: { readonly seq: Position; readonly nanos: string } | null;
}

/** An existing stream is used as it is; one that we create has the contract's configuration. */
export function getOrCreateStream(
  jsm: JetStreamManager,
  replicas: number,
  clock: Clock,
): Promise<StreamInfo> {
  return getOrAddStream(jsm, clock, {
    name: STREAM,
    subjects: [EVENT_SUBJECTS],
    retention: 'limits' as StreamConfig['retention'],
    storage: 'file' as StreamConfig['storage'],
    max_age: STREAM_MAX_AGE_MS * NANOS_PER_MS,
    duplicate_window: STREAM_DUPLICATE_WINDOW_MS * NANOS_PER_MS,
    num_replicas: replicas,
  });
}

/** The stream of that name, made with this configuration when there is none. */
export async function getOrAddStream(
  jsm: JetStreamManager,
  clock: Clock,
  config: Partial<StreamConfig> & { readonly name: string },
): Promise<StreamInfo> {
  try {
    return await askAgain(clock, () => jsm.streams.info(config.name));
  } catch (error) {
    if (!isStreamMissing(error)) throw error;
  }
  let failure: unknown = null;
  try {
    await jsm.streams.add(config);
  } catch (error) {
    // Another server may have been faster, with another configuration.
    failure = error;
  }
  try {
    // Asked for again: of several servers that make it at once a broker may tell one of a stream that did not come to be.
    return await askAgain(clock, () => jsm.streams.info(config.name));
  } catch (error) {
    throw failure ?? error;
  }
}

export function isStreamMissing(error: unknown): boolean {
  return (error as { api_error?: { err_code?: number } } | null)?.api_error?.err_code === STREAM_NOT_FOUND;
}

/** Sequences and epoch. An emptied stream reports a first sequence of its last plus one, a new one reports 0. */
export function boundsOf({ created, state }: StreamInfo): LogBounds {
  const lastSeq = state.last_seq;
  const firstSeq = state.messages === 0 ? lastSeq + 1 : state.first_seq;
  return { epoch: created, firstSeq, lastSeq };
}

/** False when the stream was recreated, or restored to a state that does not hold what the anchor has seen. */
export async function isSameStream(
  jsm: JetStreamManager,
  anchor: Anchor,
  bounds: LogBounds,
): Promise<boolean> {
  if (anchor.epoch === null || anchor.position === 'tail') return true;
  if (anchor.epoch !== bounds.epoch || bounds.lastSeq < anchor.position) return false;
  const { timestamp } = anchor;
  if (timestamp === null || timestamp.seq < bounds.firstSeq) return true;
  try {
    const stored = await jsm.streams.getMessage(STREAM, { seq: timestamp.seq });
    return toNanos(stored.timestamp) === timestamp.nanos;
  } catch (error) {
    // Deleted since: nothing to compare.
    if ((error as { api_error?: { code?: number } } | null)?.api_error?.code === 404) return true;
    throw error;
  }
}

/**
 * Whether the stream holds nothing of (after, end], asked of its leader: a consumer on a replica that lags behind says that there is
 * nothing pending although there is.
 */
export async function isNothingLeft(
  jsm: JetStreamManager,
  after: Position,
  end: Position,
  filter = '>',
): Promise<boolean> {
  if (after >= end) return true;
  try {
    // The client knows this way to ask; its types do not.
    const query = { seq: after + 1, next_by_subj: filter } as unknown as MsgRequest;
    return (await jsm.streams.getMessage(STREAM, query)).seq > end;
  } catch (error) {
    if (apiErrorCode(error) === NO_MESSAGE) return true;
    throw error;
  }
}

/** RFC 3339 with up to nine decimals, UTC, as nanoseconds since the epoch. */
function toNanos(time: string): string {
  const match = /^(.*?)(?:\.(\d{1,9}))?Z$/.exec(time);
  if (match === null) return time;
  const seconds = BigInt(Date.parse(`${match[1]}Z`)) / 1000n;
  return String(seconds * 1_000_000_000n + BigInt((match[2] ?? '').padEnd(9, '0')));
}
