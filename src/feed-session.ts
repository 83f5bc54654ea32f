// One client of the feed: what it wants, how far it is, and whether it takes what it is sent. It decides nothing.
import type { FeedSnapshot, SnapshotKind } from './feed-snapshot.ts';
import {
  FEED_SWEEP_MS,
  MAX_INBOUND_PER_SWEEP,
  MAX_SESSION_BACKLOG_BYTES,
  OVERFLOW_GRACE_MS,
  SLOW_CLIENT_MS,
} from './limits.ts';
import type { EventScope, Position } from './model.ts';
import type { FeedSocket, Frame, SessionMemory } from './ports.ts';

/** What a client asked for. */
export interface FeedRequest {
  /** Everything after this; null for live only. */
  readonly since: Position | null;
  readonly filter: string;
  /** Whose events alone it wants; absent: everybody's. */
  readonly scope?: EventScope | undefined;
  /** The incarnation that `since` belongs to, when the client says so. */
  readonly epoch: string | null;
  /** Whether it wants to be told where it is. */
  readonly control?: boolean;
  /** A snapshot is not to be older than that. */
  readonly atLeast?: Position | null;
  /** The records that it wants first; `since` is then null. */
  readonly snapshot?: readonly SnapshotKind[] | null;
}

/**
 * opening: waits for the answer whether its `since` may be served. hydrating: is sent a snapshot. resuming: the same, but it was open before and waits for
 * as long as that takes. behind: is caught up from the ring or the log. live:
 * level with the feed, gets what is broadcast. ahead: waits for its sequence to come. closed: nothing is sent any more.
 */
export type SessionState = 'opening' | 'hydrating' | 'resuming' | 'behind' | 'live' | 'ahead' | 'closed';

/** Ends a session with a close code and reason. */
export type CloseSession = (session: FeedSession, code: number, reason: string) => void;

/** The sessions of one subject filter and one scope. */
export interface Channel {
  readonly key: string;
  readonly filter: string;
  readonly scope: EventScope | undefined;
  /** An invalid filter has a channel too, until its session is closed. */
  readonly isValid: boolean;
  readonly matches: (frame: Frame) => boolean;
  readonly sessions: Set<FeedSession>;
  readonly live: Set<FeedSession>;
}

export class FeedSession {
  readonly socket: FeedSocket;
  readonly channel: Channel;
  state: SessionState = 'opening';
  /** Everything up to here was sent or is not for this session. */
  cursor: Position;
  /** The incarnation that the cursor belongs to; null when nobody said. */
  epoch: string | null;
  lastSent: Position = 0;
  /** A page is being read for it. */
  reading = false;
  /** What the ring had been pushed when the session was last level with it. */
  levelBytes = 0;
  /** Last time the client took bytes while some were waiting, or had taken all. */
  takingAt: number;
  /** Last time anything came from the client. */
  receivedAt: number;
  /** Last time it was sent anything. */
  sentAt: number;
  /** Whether it is told where it is, and has been told that it is level. */
  control: SessionMemory['control'];
  /** The pages of its snapshot that are still to be sent. */
  pages: { readonly snapshot: FeedSnapshot; next: number } | null = null;
  #received = 0;
  #queued = 0;
  #taken = 0;

  constructor(
    socket: FeedSocket,
    channel: Channel,
    { cursor, epoch, control, now }: Omit<SessionMemory, 'filter' | 'scope'> & { readonly now: number },
  ) {
    this.socket = socket;
    this.channel = channel;
    this.cursor = cursor;
    this.epoch = epoch;
    this.takingAt = now;
    this.receivedAt = now;
    this.sentAt = now;
    this.control = control;
  }

  /**
   * Sends frames that are for this session and lie behind its cursor, and moves it to `through`; returns the bytes sent. `now` is
   * when.
   */
  send(frames: readonly Frame[], through: Position, now: number): number {
    const last = frames.at(-1);
    const bytes = last === undefined ? 0 : this.#put(frames, now);
    this.lastSent = last?.seq ?? this.lastSent;
    this.cursor = through;
    this.remember();
    return bytes;
  }

  /** Sends what is no event; the cursor stays. */
  tell(frames: readonly Frame[], now: number): number {
    return this.#put(frames, now);
  }

  /** Lets the socket keep what a runtime that forgets us has to know. */
  remember(): void {
    if (this.socket.remember === undefined) return;
    const { channel, cursor, epoch, control } = this;
    this.socket.remember({
      filter: channel.filter,
      ...(channel.scope === undefined ? {} : { scope: channel.scope }),
      cursor,
      epoch,
      ...(control === undefined ? {} : { control }),
      ...(this.pages === null ? {} : { isHydrating: true }),
    });
  }

  /** Something came from the client; true when that is too much. `sweep` says when counting begins anew. */
  hasFlooded(now: number): boolean {
    this.receivedAt = now;
    return ++this.#received > MAX_INBOUND_PER_SWEEP;
  }

  /** A second has passed. */
  sweep(): void {
    this.#received = 0;
  }

  #put(frames: readonly Frame[], now: number): number {
    const bytes = this.socket.send(frames);
    this.#queued += bytes;
    this.sentAt = now;
    return bytes;
  }

  /** Whether the client takes or answers nothing for too long; `waiting` is what the ring holds for it, in bytes. */
  isStuck(now: number, waiting: number): boolean {
    this.#observe(now);
    const idle = now - this.takingAt;
    const overflown = idle >= OVERFLOW_GRACE_MS && waiting > MAX_SESSION_BACKLOG_BYTES;
    // Without pings nothing need ever come from a client.
    const silent = this.socket.ping !== undefined && now - this.receivedAt >= SLOW_CLIENT_MS + FEED_SWEEP_MS;
    return overflown || idle >= SLOW_CLIENT_MS || silent;
  }

  /** Notes whether the client took anything since it was last asked. */
  #observe(now: number): void {
    const buffered = this.socket.bufferedBytes;
    const taken = this.#queued - buffered;
    if (buffered === 0 || taken > this.#taken) this.takingAt = now;
    this.#taken = taken;
  }
}

/** `{"synced":true,"seq":N}`: everything up to N was sent. `{"bookmark":true,"seq":N}`: the same, now and then. */
export function controlFrame(name: 'synced' | 'bookmark', seq: Position): Frame {
  return { seq, subject: '', text: `{"${name}":true,"seq":${seq}}`, name };
}
