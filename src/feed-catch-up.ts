// Sessions that are not level with the feed: each is sent its snapshot, then what it is due from the log or the ring, as it can take
// it, up to the exact sequence at which it is live.
import type { FeedAdmission } from './feed-admission.ts';
import { chosen } from './feed-channels.ts';
import { type FeedHistory, hasGap } from './feed-history.ts';
import { isFull, type LiveFeed } from './feed-live.ts';
import type { FeedPace } from './feed-pace.ts';
import { type CloseSession, controlFrame, type FeedSession } from './feed-session.ts';
import * as limits from './limits.ts';
import type { Position } from './model.ts';
import type { Clock, Frame } from './ports.ts';
import { CLOSE } from './problems.ts';
import { Timer } from './timer.ts';

export interface CatchUpOptions {
  readonly live: LiveFeed;
  readonly history: FeedHistory;
  readonly pace: FeedPace;
  readonly admission: FeedAdmission;
  readonly clock: Clock;
  readonly close: CloseSession;
}

export class FeedCatchUp {
  readonly #options: CatchUpOptions;
  readonly #sessions = new Set<FeedSession>();
  /** Whether the log can be reached, and it is known where the tail is. */
  #isConnected = false;
  #isPlaced = false;
  readonly #retry: Timer;

  constructor(options: CatchUpOptions) {
    this.#options = options;
    this.#retry = new Timer(options.clock, limits.FEED_RETRY_MS, () => this.continue());
  }

  /** Whether the log can be reached: what waits for it is tried again. */
  setConnected(isConnected: boolean): void {
    this.#isConnected = isConnected;
    // The floor may have risen while we were away.
    this.#options.history.clear();
    if (isConnected) this.#scheduleRetry();
  }

  /** It is known where the tail is. */
  restart(): void {
    this.#options.history.clear();
    this.#isPlaced = true;
    this.continue();
  }

  /** A session that waits for its snapshot, or was open before. */
  add(session: FeedSession): void {
    this.#sessions.add(session);
    this.pump(session);
  }

  forget(session: FeedSession): void {
    this.#sessions.delete(session);
  }

  stop(): void {
    this.#retry.stop();
  }

  /** Asks the log whether the session may be served from its cursor, and serves it. */
  async admit(session: FeedSession): Promise<void> {
    const verdict = await this.#options.admission.check(session);
    // It may have been closed since the verdict.
    if (verdict === 'refused' || session.state === 'closed') return;
    if (verdict === 'admitted') this.place(session);
    else if (session.state === 'resuming') this.#scheduleRetry();
    else this.#options.close(session, CLOSE.policy, 'no upstream broker configured');
  }

  /** Puts a session where its cursor belongs and sends what it is due. */
  place(session: FeedSession): void {
    const { live } = this.#options;
    session.state = session.cursor > live.flushed ? 'ahead' : 'behind';
    session.levelBytes = live.ring.pushedBytes;
    session.remember();
    this.add(session);
  }

  /** A live session takes no more, or what it is due has left the ring. */
  fallBehind(session: FeedSession): void {
    session.state = 'behind';
    session.channel.live.delete(session);
    this.add(session);
  }

  /** The feed has come further: somebody may have waited for that. */
  wakeAhead(): void {
    for (const session of this.#sessions) if (session.state === 'ahead') this.pump(session);
  }

  /** More can be handed out than a moment ago. */
  continue(): void {
    for (const session of this.#sessions) this.pump(session);
  }

  /** Sends to a session until it is level or can take no more. */
  pump(session: FeedSession): void {
    const { live } = this.#options;
    if (session.state === 'resuming') {
      if (this.#isPlaced && this.#isConnected && !session.reading) void this.admit(session);
      return;
    }
    if (session.state === 'hydrating') {
      this.#hydrate(session);
      return;
    }
    if (session.state === 'ahead' && session.cursor <= live.flushed) session.state = 'behind';
    while (session.state === 'behind' && !session.reading) {
      if (session.cursor >= live.flushed) {
        this.#becomeLive(session);
        return;
      }
      if (!this.#hasRoom(session)) return;
      if (session.cursor < live.ring.floor) {
        // Away from the log it keeps its place; `setConnected` comes back to it.
        if (this.#isConnected) void this.#pumpHistory(session);
        return;
      }
      const most = Math.min(limits.CATCH_UP_BATCH_BYTES, this.#options.pace.left);
      const frames = live.ring.slice(session.cursor, live.flushed, most);
      this.#send(session, chosen(frames, session.channel), frames.at(-1)?.seq ?? live.flushed);
    }
  }

  /** The next pages of its snapshot; behind the last one it goes on at its cursor. */
  #hydrate(session: FeedSession): void {
    const left = session.pages as NonNullable<typeof session.pages>;
    while (left.next < left.snapshot.pages) {
      if (!this.#hasRoom(session)) return;
      const page = left.snapshot.page(left.next++);
      this.#options.pace.spend(session.tell(page, this.#options.clock.now()));
    }
    session.pages = null;
    this.place(session);
  }

  /** Whether it may be sent something now; if not, somebody comes back to it. */
  #hasRoom(session: FeedSession): boolean {
    if (isFull(session)) {
      this.#scheduleRetry();
      return false;
    }
    // Without a pace there is always something left; else `continue` comes back.
    return this.#options.pace.left > 0;
  }

  /** One page of the log, then on with what is next. */
  async #pumpHistory(session: FeedSession): Promise<void> {
    const { live, history, admission } = this.#options;
    session.reading = true;
    try {
      const page = await history.pageAfter(session.cursor);
      if (session.state !== 'behind') return;
      if (hasGap(session.cursor, page.bounds)) {
        admission.rehydrate(session, 'ws/retention-exhausted', page.bounds);
        return;
      }
      const through = Math.min(page.through, live.flushed);
      if (through <= session.cursor) {
        this.#scheduleRetry();
        return;
      }
      this.#send(session, chosen(page.slice(session.cursor, through), session.channel), through);
    } catch {
      // The session keeps its place; it is tried again when the log is back.
      this.#scheduleRetry();
      return;
    } finally {
      session.reading = false;
    }
    this.pump(session);
  }

  #becomeLive(session: FeedSession): void {
    session.state = 'live';
    session.levelBytes = this.#options.live.ring.pushedBytes;
    this.#sessions.delete(session);
    session.channel.live.add(session);
    if (session.control !== 'wanted') return;
    session.control = 'synced';
    session.tell([controlFrame('synced', session.cursor)], this.#options.clock.now());
    session.remember();
  }

  #send(session: FeedSession, frames: readonly Frame[], through: Position): void {
    this.#options.pace.spend(session.send(frames, through, this.#options.clock.now()));
  }

  /** Asks the sessions that wait for room or for the log again, as long as there are any. */
  #scheduleRetry(): void {
    if (this.#sessions.size > 0) this.#retry.start();
  }
}
