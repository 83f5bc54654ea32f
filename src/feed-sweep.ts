// Looks after all sessions once a second while there are any: heartbeats, bookmarks, and the end of those who take nothing.
import { type CloseSession, controlFrame, type FeedSession } from './feed-session.ts';
import { BOOKMARK_INTERVAL_MS, FEED_SWEEP_MS, HEARTBEAT_INTERVAL_MS } from './limits.ts';
import type { Clock, Log } from './ports.ts';
import { CLOSE } from './problems.ts';
import { Timer } from './timer.ts';

export class FeedSweep {
  readonly #sessions: ReadonlySet<FeedSession>;
  readonly #waiting: (session: FeedSession) => number;
  readonly #close: CloseSession;
  readonly #clock: Clock;
  readonly #logger: Log;
  #lastPing: number;
  readonly #timer: Timer;

  /** `waiting` tells how many bytes the ring holds for a session. */
  constructor(
    sessions: ReadonlySet<FeedSession>,
    waiting: (session: FeedSession) => number,
    close: CloseSession,
    clock: Clock,
    logger: Log,
  ) {
    this.#sessions = sessions;
    this.#waiting = waiting;
    this.#close = close;
    this.#clock = clock;
    this.#logger = logger;
    this.#lastPing = clock.now();
    this.#timer = new Timer(clock, FEED_SWEEP_MS, () => {
      this.#sweep();
      if (sessions.size > 0) this.start();
    });
  }

  /** Goes on as long as there are sessions. */
  start(): void {
    this.#timer.start();
  }

  stop(): void {
    this.#timer.stop();
  }

  #sweep(): void {
    const now = this.#clock.now();
    const ping = now - this.#lastPing >= HEARTBEAT_INTERVAL_MS;
    if (ping) this.#lastPing = now;
    for (const session of this.#sessions) {
      session.sweep();
      if (session.isStuck(now, this.#waiting(session))) this.#closeStuck(session);
      else {
        if (ping) {
          session.socket.ping?.();
          session.socket.keepAlive?.(session.cursor);
        }
        if (session.control !== undefined && now - session.sentAt >= BOOKMARK_INTERVAL_MS)
          this.#bookmark(session, now);
      }
    }
  }

  /** Tells a quiet session how far it is, if it is anywhere yet. */
  #bookmark(session: FeedSession, now: number): void {
    if (session.state === 'live' || session.state === 'behind') {
      session.tell([controlFrame('bookmark', session.cursor)], now);
    }
  }

  #closeStuck(session: FeedSession): void {
    this.#logger.info('feed client closed: it takes nothing', {
      lastSent: session.lastSent,
      buffered: session.socket.bufferedBytes,
      sessions: this.#sessions.size - 1,
    });
    this.#close(session, CLOSE.slowConsumer, `slow-consumer ${session.lastSent}`);
  }
}
