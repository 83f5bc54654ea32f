// The room of the feed: one tail comes in through `broadcast`, every session gets each frame after its cursor once and in
// order. A session is a cursor: one that cannot take more is simply not sent to, and later caught up from the ring or
// the log to the exact sequence at which it is live again. No runtime in here; adapters tell about sockets.
import { chosen, FeedChannels } from './feed-channels.ts';
import { belowFloor, FeedHistory } from './feed-history.ts';
import { FrameRing } from './feed-ring.ts';
import { type FeedRequest, FeedSession } from './feed-session.ts';
import * as limits from './limits.ts';
import type { Position } from './model.ts';
import type { Clock, EventLog, FeedConnection, FeedSocket, Frame, Log, LogBounds } from './ports.ts';
import { CLOSE, closeReason, problemFrame } from './problems.ts';

export class Feed {
  readonly #log: EventLog;
  readonly #clock: Clock;
  readonly #logger: Log;
  readonly #ring: FrameRing;
  readonly #history: FeedHistory;
  readonly #sessions = new Set<FeedSession>();
  /** Sessions that are not live and should be sent to when they can take it. */
  readonly #laggards = new Set<FeedSession>();
  readonly #channels = new FeedChannels();
  /** Received but not yet handed out; frames of one input are handed out together. */
  #pending: Frame[] = [];
  #flushScheduled = false;
  #received: Position;
  #flushed: Position;
  #connected = false;
  #cancelRetry: (() => void) | null = null;
  #cancelSweep: (() => void) | null = null;
  #lastPing: number;

  constructor(log: EventLog, clock: Clock, logger: Log, ringBytes: number) {
    this.#log = log;
    this.#clock = clock;
    this.#logger = logger;
    this.#ring = new FrameRing(ringBytes);
    this.#history = new FeedHistory(log, clock, logger);
    this.#received = this.#flushed = 0;
    this.#lastPing = clock.now();
  }

  /** Open sessions. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Whether the log can be reached: a session that opens while it cannot is closed at once. */
  setConnected(connected: boolean): void {
    this.#connected = connected;
    // The floor may have risen while we were away.
    this.#history.clear();
    if (connected) this.#scheduleRetry();
  }

  /** Starts anew at `position`, before any session or after a reset. */
  restart(position: Position): void {
    this.#pending = [];
    this.#received = this.#flushed = position;
    this.#ring.reset(position);
    this.#history.clear();
  }

  /** The next frame of the tail. */
  broadcast(frame: Frame): void {
    this.#ring.push(frame);
    this.#received = frame.seq;
    if (this.#sessions.size === 0) {
      this.#flushed = frame.seq;
      return;
    }
    this.#pending.push(frame);
    this.#scheduleFlush();
  }

  /** The tail has passed `position` without a frame. */
  advance(position: Position): void {
    if (position <= this.#received) return;
    this.#received = position;
    if (this.#sessions.size === 0) this.#flushed = position;
    else this.#scheduleFlush();
  }

  /** A client's socket has opened; the returned handle takes what happens to it. */
  open(socket: FeedSocket, request: FeedRequest): FeedConnection {
    const now = this.#clock.now();
    const channel = this.#channels.open(request.filter);
    const session = new FeedSession(socket, channel, request.since ?? this.#received, now);
    this.#sessions.add(session);
    channel.sessions.add(session);
    this.#scheduleSweep();
    if (!this.#connected) this.#close(session, CLOSE.policy, 'no upstream broker configured');
    else if (!channel.isValid) this.#close(session, CLOSE.policy, 'subscribe failed');
    else if (request.since === null && request.epoch === null) this.#place(session);
    else void this.#admit(session, request);
    return {
      received: () => (session.receivedAt = this.#clock.now()),
      drained: () => this.#pump(session),
      closed: () => this.#forget(session),
    };
  }

  /** Every open session is told that the stream is another one (design D10). */
  closeReplaced(bounds: LogBounds): void {
    for (const session of this.#sessions) this.#rehydrate(session, 'ws/epoch-changed', bounds);
  }

  /** The server stops: 1001 to everybody. */
  shutdown(): void {
    this.#cancelRetry?.();
    this.#cancelSweep?.();
    for (const session of this.#sessions) this.#close(session, CLOSE.goingAway, 'server shutting down');
  }

  /** Compares what the client remembers with the log, which alone knows how far back it reaches. */
  async #admit(session: FeedSession, request: FeedRequest): Promise<void> {
    let bounds: LogBounds;
    try {
      bounds = await this.#log.bounds();
    } catch (error) {
      this.#logger.debug('feed: no bounds for a new session', { error: String(error) });
      this.#close(session, CLOSE.policy, 'no upstream broker configured');
      return;
    }
    if (session.state === 'closed') return;
    if (request.epoch !== null && request.epoch !== bounds.epoch) {
      this.#rehydrate(session, 'ws/epoch-changed', bounds);
    } else if (belowFloor(session.cursor, bounds)) {
      this.#rehydrate(session, 'ws/retention-exhausted', bounds);
    } else {
      // 0 means "from the oldest retained", whatever the ring still holds.
      if (session.cursor === 0) session.cursor = bounds.firstSeq - 1;
      this.#place(session);
    }
  }

  /** Puts a session where its cursor belongs and sends what it is due. */
  #place(session: FeedSession): void {
    session.state = session.cursor > this.#flushed ? 'ahead' : 'behind';
    session.levelBytes = this.#ring.pushedBytes;
    this.#laggards.add(session);
    this.#pump(session);
  }

  /** Sends to a session that is behind until it is level or can take no more. */
  #pump(session: FeedSession): void {
    if (session.state === 'ahead' && session.cursor <= this.#flushed) session.state = 'behind';
    while (session.state === 'behind' && !session.reading) {
      if (session.cursor >= this.#flushed) {
        this.#becomeLive(session);
        return;
      }
      if (this.#isFull(session)) {
        this.#scheduleRetry();
        return;
      }
      if (session.cursor < this.#ring.floor) {
        // Away from the log it keeps its place; `setConnected` comes back to it.
        if (this.#connected) void this.#pumpHistory(session);
        return;
      }
      const frames = this.#ring.slice(session.cursor, this.#flushed, limits.CATCH_UP_BATCH_BYTES);
      session.send(chosen(frames, session.channel), frames.at(-1)?.seq ?? this.#flushed);
    }
  }

  /** One page of the log, then on with what is next. */
  async #pumpHistory(session: FeedSession): Promise<void> {
    session.reading = true;
    try {
      const page = await this.#history.pageAfter(session.cursor);
      if (session.state !== 'behind') return;
      if (belowFloor(session.cursor, page.bounds)) {
        this.#rehydrate(session, 'ws/retention-exhausted', page.bounds);
        return;
      }
      const through = Math.min(page.through, this.#flushed);
      if (through <= session.cursor) {
        this.#scheduleRetry();
        return;
      }
      session.send(chosen(page.slice(session.cursor, through), session.channel), through);
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
    session.levelBytes = this.#ring.pushedBytes;
    this.#laggards.delete(session);
    session.channel.live.add(session);
  }

  #isFull(session: FeedSession): boolean {
    return session.socket.bufferedBytes > limits.MAX_SOCKET_BUFFER_BYTES;
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    this.#clock.soon(() => {
      this.#flushScheduled = false;
      this.#flush();
    });
  }

  /** Hands the pending frames to all live sessions: chosen once per filter, encoded once by the adapter. */
  #flush(): void {
    const frames = this.#pending;
    this.#pending = [];
    this.#flushed = this.#received;
    for (const channel of this.#channels) {
      if (channel.live.size === 0) continue;
      const due = chosen(frames, channel);
      for (const session of channel.live) {
        if (this.#isFull(session)) {
          session.state = 'behind';
          channel.live.delete(session);
          this.#laggards.add(session);
          this.#scheduleRetry();
          continue;
        }
        session.send(due, this.#flushed);
        session.levelBytes = this.#ring.pushedBytes;
      }
    }
    for (const session of this.#laggards) {
      if (session.state === 'ahead') this.#pump(session);
    }
  }

  /** Asks the sessions that wait for room or for the log again, as long as there are any. */
  #scheduleRetry(): void {
    if (this.#cancelRetry !== null || this.#laggards.size === 0) return;
    this.#cancelRetry = this.#clock.after(limits.FEED_RETRY_MS, () => {
      this.#cancelRetry = null;
      for (const session of this.#laggards) this.#pump(session);
    });
  }

  /** Heartbeats, and the end of those who take nothing. Runs while there are sessions. */
  #scheduleSweep(): void {
    if (this.#cancelSweep !== null) return;
    this.#cancelSweep = this.#clock.after(limits.FEED_SWEEP_MS, () => {
      this.#cancelSweep = null;
      this.#sweep();
      if (this.#sessions.size > 0) this.#scheduleSweep();
    });
  }

  #sweep(): void {
    const now = this.#clock.now();
    const ping = now - this.#lastPing >= limits.HEARTBEAT_INTERVAL_MS;
    if (ping) this.#lastPing = now;
    for (const session of this.#sessions) {
      const waiting = session.state === 'live' ? 0 : this.#ring.pushedBytes - session.levelBytes;
      if (session.isStuck(now, waiting)) {
        this.#logger.info('feed client closed: it takes nothing', {
          lastSent: session.lastSent,
          buffered: session.socket.bufferedBytes,
          sessions: this.#sessions.size - 1,
        });
        this.#close(session, CLOSE.slowConsumer, `slow-consumer ${session.lastSent}`);
      } else if (ping) {
        session.socket.ping?.();
      }
    }
  }

  #rehydrate(
    session: FeedSession,
    code: 'ws/retention-exhausted' | 'ws/epoch-changed',
    { epoch, firstSeq, lastSeq }: LogBounds,
  ): void {
    const text = problemFrame(code, { oldest_seq: firstSeq, latest_seq: lastSeq, epoch });
    if (session.state !== 'closed') session.socket.send([{ seq: session.lastSent, subject: '', text }]);
    this.#close(session, CLOSE.rehydrate, code.slice('ws/'.length));
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
