// One client of the feed: what it wants, how far it is, and whether it takes what it is sent. It decides nothing.
import type { Position } from './model.ts';
import type { FeedSocket, Frame } from './ports.ts';

/**
 * opening: waits for the answer whether its `since` may be served. behind: is caught up from the ring or the log. live:
 * level with the feed, gets what is broadcast. ahead: waits for its sequence to come. closed: nothing is sent any more.
 */
export type SessionState = 'opening' | 'behind' | 'live' | 'ahead' | 'closed';

/** The sessions of one subject filter: those that are live are due the same frames, so these are chosen once. */
export interface Channel {
  readonly filter: string;
  readonly matches: (subject: string) => boolean;
  readonly sessions: Set<FeedSession>;
  readonly live: Set<FeedSession>;
}

/** The frames that pass a filter: the very same array when all do, so that what an adapter made of it is found again. */
export function chosen(frames: readonly Frame[], { matches }: Channel): readonly Frame[] {
  return frames.every((frame) => matches(frame.subject))
    ? frames
    : frames.filter((frame) => matches(frame.subject));
}

export class FeedSession {
  readonly socket: FeedSocket;
  readonly channel: Channel;
  state: SessionState = 'opening';
  /** Everything up to here was sent or is not for this session. */
  cursor: Position;
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

  constructor(socket: FeedSocket, channel: Channel, cursor: Position, now: number) {
    this.socket = socket;
    this.channel = channel;
    this.cursor = cursor;
    this.takingAt = now;
    this.receivedAt = now;
  }

  /** Sends frames that are for this session and lie behind its cursor, and moves it to `through`. */
  send(frames: readonly Frame[], through: Position): void {
    const last = frames.at(-1);
    if (last !== undefined) {
      this.#queued += this.socket.send(frames);
      this.lastSent = last.seq;
    }
    this.cursor = through;
  }

  /** Notes whether the client took anything since the last time it was asked. */
  observe(now: number): void {
    const buffered = this.socket.bufferedBytes;
    const taken = this.#queued - buffered;
    if (buffered === 0 || taken > this.#taken) this.takingAt = now;
    this.#taken = taken;
  }
}
