// The room of the feed: one tail comes in through `broadcast`, every session gets each frame after its cursor once and in
// order. A session is a cursor: one that cannot take more is simply not sent to, and later caught up from the ring or
// the log to the exact sequence at which it is live again. No runtime in here; adapters tell about sockets.
import { FeedAdmission } from './feed-admission.ts';
import { chosen, FeedChannels } from './feed-channels.ts';
import { belowFloor, FeedHistory } from './feed-history.ts';
import { isFull, LiveFeed } from './feed-live.ts';
import { FeedPace, type PaceLimits } from './feed-pace.ts';
import { type CloseSession, type FeedRequest, FeedSession } from './feed-session.ts';
import { FeedSweep } from './feed-sweep.ts';
import * as limits from './limits.ts';
import type { Position } from './model.ts';
import type {
  Clock,
  EventLog,
  FeedConnection,
  FeedSocket,
  Frame,
  Log,
  LogBounds,
  SessionMemory,
} from './ports.ts';
import { CLOSE, closeReason } from './problems.ts';

export interface FeedOptions {
  /** Frames kept in memory. */
  readonly ringBytes: number;
  readonly pace: PaceLimits;
}

export class Feed {
  readonly #clock: Clock;
  readonly #live: LiveFeed;
  readonly #history: FeedHistory;
  readonly #sessions = new Set<FeedSession>();
  /** Sessions that are not live and should be sent to when they can take it. */
  readonly #laggards = new Set<FeedSession>();
  readonly #channels = new FeedChannels();
  /** The incarnation of the log while it can be reached. */
  #epoch: string | null = null;
  /** Whether it is known where the tail is. */
  #isPlaced = false;
  #cancelRetry: (() => void) | null = null;
  readonly #pace: FeedPace;
  readonly #sweep: FeedSweep;
  readonly #admission: FeedAdmission;

  constructor(log: EventLog, clock: Clock, logger: Log, { ringBytes, pace }: FeedOptions) {
    this.#clock = clock;
    this.#history = new FeedHistory(log, clock, logger);
    this.#pace = new FeedPace(pace, clock, () => this.#continue());
    this.#live = new LiveFeed(ringBytes, {
      channels: this.#channels,
      sessions: this.#sessions,
      pace: this.#pace,
      onBehind: (session) => this.#fallBehind(session),
      onFlushed: () => this.#wakeAhead(),
    });
    const close: CloseSession = (session, code, reason) => this.#close(session, code, reason);
    this.#admission = new FeedAdmission(log, logger, close);
    const waiting = ({ state, levelBytes }: FeedSession) =>
      state === 'live' ? 0 : this.#live.ring.pushedBytes - levelBytes;
    this.#sweep = new FeedSweep(this.#sessions, waiting, close, clock, logger);
  }

  /** Open sessions. */
  get size(): number {
    return this.#sessions.size;
  }

  /** The log's incarnation, null while it is out of reach: a session that opens then is closed at once. */
  setEpoch(epoch: string | null): void {
    this.#epoch = epoch;
    // The floor may have risen while we were away.
    this.#history.clear();
    if (epoch !== null) this.#scheduleRetry();
  }

  /** Starts anew at `position`, before any session or after a reset. */
  restart(position: Position): void {
    this.#live.restart(position);
    this.#history.clear();
    this.#isPlaced = true;
    for (const session of this.#laggards) this.#pump(session);
  }

  /** The next frame of the tail. */
  broadcast(frame: Frame): void {
    this.#live.push(frame);
  }

  /** The tail has passed `position` without a frame. */
  advance(position: Position): void {
    this.#live.advance(position);
  }

  /** A client's socket has opened; the returned handle takes what happens to it. */
  open(socket: FeedSocket, request: FeedRequest): FeedConnection {
    const session = this.#join(socket, {
      filter: request.filter,
      cursor: request.since ?? this.#live.received,
      epoch: request.epoch ?? this.#epoch,
    });
    if (this.#epoch === null) this.#close(session, CLOSE.policy, 'no upstream broker configured');
    else if (!session.channel.isValid) this.#close(session, CLOSE.policy, 'subscribe failed');
    else {
      session.remember();
      if (request.since === null && request.epoch === null) this.#place(session);
      else void this.#admit(session);
    }
    return this.#connection(session);
  }

  /** A session that was open before the runtime forgot it goes on at its cursor, as soon as the log is there. */
  resume(socket: FeedSocket, memory: SessionMemory): FeedConnection {
    const session = this.#join(socket, memory);
    session.state = 'resuming';
    this.#laggards.add(session);
    this.#pump(session);
    return this.#connection(session);
  }

  /** Every open session is told that the stream is another one (design D10). */
  closeReplaced(bounds: LogBounds): void {
    for (const session of this.#sessions) this.#admission.rehydrate(session, 'ws/epoch-changed', bounds);
  }

  /** The server stops: 1001 to everybody. */
  shutdown(): void {
    for (const session of this.#sessions) this.#close(session, CLOSE.goingAway, 'server shutting down');
    this.detach();
  }

  /** Forgets the sessions without a word to them. */
  detach(): void {
    this.#cancelRetry?.();
    this.#sweep.stop();
    this.#pace.stop();
    for (const session of this.#sessions) this.#forget(session);
  }

  #join(socket: FeedSocket, { filter, cursor, epoch }: SessionMemory): FeedSession {
    const channel = this.#channels.open(filter);
    const session = new FeedSession(socket, channel, { cursor, epoch, now: this.#clock.now() });
    this.#sessions.add(session);
    channel.sessions.add(session);
    this.#sweep.start();
    return session;
  }

  #connection(session: FeedSession): FeedConnection {
    return {
      received: (bytes = 0) => {
        session.receivedAt = this.#clock.now();
        if (bytes > limits.MAX_INBOUND_MESSAGE_BYTES) this.#close(session, CLOSE.tooBig, 'message too big');
      },
      drained: () => this.#pump(session),
      closed: () => this.#forget(session),
    };
  }

  async #admit(session: FeedSession): Promise<void> {
    const verdict = await this.#admission.check(session);
    // It may have been closed since the verdict.
    if (verdict === 'refused' || session.state === 'closed') return;
    if (verdict === 'admitted') this.#place(session);
    else if (session.state === 'resuming') this.#scheduleRetry();
    else this.#close(session, CLOSE.policy, 'no upstream broker configured');
  }

  /** Puts a session where its cursor belongs and sends what it is due. */
  #place(session: FeedSession): void {
    session.state = session.cursor > this.#live.flushed ? 'ahead' : 'behind';
    session.levelBytes = this.#live.ring.pushedBytes;
    session.remember();
    this.#laggards.add(session);
    this.#pump(session);
  }

  /** Sends to a session that is behind until it is level or can take no more. */
  #pump(session: FeedSession): void {
    if (session.state === 'resuming') {
      if (this.#isPlaced && this.#epoch !== null && !session.reading) void this.#admit(session);
      return;
    }
    if (session.state === 'ahead' && session.cursor <= this.#live.flushed) session.state = 'behind';
    while (session.state === 'behind' && !session.reading) {
      if (session.cursor >= this.#live.flushed) {
        this.#becomeLive(session);
        return;
      }
      if (isFull(session)) {
        this.#scheduleRetry();
        return;
      }
      // `#continue` comes back to it.
      if (this.#pace.left <= 0) return;
      if (session.cursor < this.#live.ring.floor) {
        // Away from the log it keeps its place; `setEpoch` comes back to it.
        if (this.#epoch !== null) void this.#pumpHistory(session);
        return;
      }
      const most = Math.min(limits.CATCH_UP_BATCH_BYTES, this.#pace.left);
      const frames = this.#live.ring.slice(session.cursor, this.#live.flushed, most);
      this.#send(session, chosen(frames, session.channel), frames.at(-1)?.seq ?? this.#live.flushed);
    }
  }

  /** One page of the log, then on with what is next. */
  async #pumpHistory(session: FeedSession): Promise<void> {
    session.reading = true;
    try {
      const page = await this.#history.pageAfter(session.cursor);
      if (session.state !== 'behind') return;
      if (belowFloor(session.cursor, page.bounds)) {
        this.#admission.rehydrate(session, 'ws/retention-exhausted', page.bounds);
        return;
      }
      const through = Math.min(page.through, this.#live.flushed);
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
    this.#pump(session);
  }

  #becomeLive(session: FeedSession): void {
    session.state = 'live';
    session.levelBytes = this.#live.ring.pushedBytes;
    this.#laggards.delete(session);
    session.channel.live.add(session);
  }

  #fallBehind(session: FeedSession): void {
    session.state = 'behind';
    session.channel.live.delete(session);
    this.#laggards.add(session);
    this.#pump(session);
  }

  #wakeAhead(): void {
    for (const session of this.#laggards) if (session.state === 'ahead') this.#pump(session);
  }

  #send(session: FeedSession, frames: readonly Frame[], through: Position): void {
    this.#pace.spend(session.send(frames, through));
  }

  /** A turn has passed in which nothing more could be handed out. */
  #continue(): void {
    this.#live.schedule();
    for (const session of this.#laggards) this.#pump(session);
  }

  /** Asks the sessions that wait for room or for the log again, as long as there are any. */
  #scheduleRetry(): void {
    if (this.#cancelRetry !== null || this.#laggards.size === 0) return;
    this.#cancelRetry = this.#clock.after(limits.FEED_RETRY_MS, () => {
      this.#cancelRetry = null;
      for (const session of this.#laggards) this.#pump(session);
    });
  }

  #close(session: FeedSession, code: number, reason: string): void {
    if (session.state === 'closed') return;
    this.#forget(session);
    session.socket.close(code, closeReason(reason));
  }

  #forget(session: FeedSession): void {
    session.state = 'closed';
    this.#sessions.delete(session);
    this.#laggards.delete(session);
    this.#channels.leave(session);
  }
}
