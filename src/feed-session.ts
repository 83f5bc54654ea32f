// One client of the feed: what it wants, how far it is, and whether it takes what it is sent. It decides nothing.
import { FEED_SWEEP_MS, MAX_SESSION_BACKLOG_BYTES, OVERFLOW_GRACE_MS, SLOW_CLIENT_MS } from './limits.ts';
import type { Position } from './model.ts';
import type { FeedSocket, Frame } from './ports.ts';

/** What a client asked for. */
export interface FeedRequest {
  /** Everything after this; null for live only. */
  readonly since: Position | null;
  readonly filter: string;
  /** The incarnation that `since` belongs to, when the client says so. */
  readonly epoch: string | null;
}

/**
 * opening: waits for the answer whether its `since` may be served. resuming: the same, but it was open before and waits for
 * as long as that takes. behind: is caught up from the ring or the log. live:
 * level with the feed, gets what is broadcast. ahead: waits for its sequence to come. closed: nothing is sent any more.
 */
export type SessionState = 'opening' | 'resuming' | 'behind' | 'live' | 'ahead' | 'closed';

/** Ends a session with a close code and reason. */
export type CloseSession = (session: FeedSession, code: number, reason: string) => void;

/** The sessions of one subject filter. */
export interface Channel {
  readonly filter: string;
  /** An invalid filter has a channel too, until its session is closed. */
  readonly isValid: boolean;
  readonly matches: (subject: string) => boolean;
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
  #queued = 0;
  #taken = 0;

  constructor(
    socket: FeedSocket,
    channel: Channel,
    { cursor, epoch, now }: { cursor: Position; epoch: string | null; now: number },
  ) {
    this.socket = socket;
    this.channel = channel;
    this.cursor = cursor;
    this.epoch = epoch;
    this.takingAt = now;
    this.receivedAt = now;
  }

  /** Sends frames that are for this session and lie behind its cursor, and moves it to `through`; returns the bytes sent. */
  send(frames: readonly Frame[], through: Position): number {
    const last = frames.at(-1);
    const bytes = last === undefined ? 0 : this.socket.send(frames);
    this.#queued += bytes;
    this.lastSent = last?.seq ?? this.lastSent;
    this.cursor = through;
    this.remember();
    return bytes;
  }

  /** Lets the socket keep what a runtime that forgets us has to know. */
  remember(): void {
    this.socket.remember?.({ filter: this.channel.filter, cursor: this.cursor, epoch: this.epoch });
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
