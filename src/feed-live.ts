// The live side of the feed: what the tail brings is kept in the ring and handed to the sessions that are level, all of one input
// at once, chosen once per filter and encoded once by the adapter.
import { chosen, type FeedChannels } from './feed-channels.ts';
import type { FeedPace } from './feed-pace.ts';
import { FrameRing } from './feed-ring.ts';
import type { FeedSession } from './feed-session.ts';
import { MAX_SOCKET_BUFFER_BYTES } from './limits.ts';
import type { Position } from './model.ts';
import type { Clock, Frame } from './ports.ts';

/** What the live side is told of sessions, and tells. */
export interface LiveFeedOptions {
  readonly channels: FeedChannels;
  readonly sessions: ReadonlySet<FeedSession>;
  readonly pace: FeedPace;
  readonly clock: Clock;
  /** A session is no longer level: it takes no more, or what it is due has left the ring. */
  readonly onBehind: (session: FeedSession) => void;
  readonly onFlushed: () => void;
}

export class LiveFeed {
  readonly ring: FrameRing;
  readonly #options: LiveFeedOptions;
  #received: Position = 0;
  #flushed: Position = 0;
  #isScheduled = false;

  constructor(ringBytes: number, options: LiveFeedOptions) {
    this.ring = new FrameRing(ringBytes);
    this.#options = options;
  }

  /** How far the tail has come. */
  get received(): Position {
    return this.#received;
  }

  /** How far the sessions that are level have been served. */
  get flushed(): Position {
    return this.#flushed;
  }

  restart(position: Position): void {
    this.#received = this.#flushed = position;
    this.ring.reset(position);
  }

  /** The next frame of the tail. */
  push(frame: Frame): void {
    this.ring.push(frame);
    this.#passed(frame.seq);
  }

  /** The tail has passed `position` without a frame. */
  advance(position: Position): void {
    if (position > this.#received) this.#passed(position);
  }

  /** Hands out what is due, as soon as the pace allows. */
  schedule(): void {
    if (this.#isScheduled || this.#flushed === this.#received) return;
    this.#isScheduled = true;
    const { pace, sessions } = this.#options;
    pace.schedule(sessions.size, () => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  #passed(position: Position): void {
    this.#received = position;
    if (this.#options.sessions.size === 0) this.#flushed = position;
    else this.schedule();
  }

  #flush(): void {
    const { channels, sessions, pace, clock, onBehind, onFlushed } = this.#options;
    // Scheduled when there were other sessions, and done when there were none.
    if (pace.left <= 0 || this.#flushed === this.#received) return;
    const now = clock.now();
    const isLost = this.#flushed < this.ring.floor;
    const most = pace.left / Math.max(sessions.size, 1);
    const frames = isLost ? [] : this.ring.cut(this.#flushed, this.#received, most);
    const last = frames.at(-1);
    // Cut where the turn's bytes end; behind the youngest frame there may be sequences without one.
    const isCut = last !== undefined && last.seq < this.ring.lastSeq;
    this.#flushed = isCut ? last.seq : this.#received;
    for (const channel of channels) {
      if (channel.live.size === 0) continue;
      const due = chosen(frames, channel);
      for (const session of channel.live) {
        if (isLost || isFull(session)) {
          onBehind(session);
          continue;
        }
        pace.spend(session.send(due, this.#flushed, now));
        session.levelBytes = this.ring.pushedBytes;
      }
    }
    onFlushed();
    this.schedule();
  }
}

/** Whether a session's socket holds so much already that it is better not given more. */
export function isFull({ socket }: FeedSession): boolean {
  return socket.bufferedBytes > MAX_SOCKET_BUFFER_BYTES;
}
