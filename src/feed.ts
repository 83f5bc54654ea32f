// The room of the feed: one tail comes in through `broadcast`, every session gets each frame after its cursor once and in
// order. A session is a cursor: one that cannot take more is simply not sent to, and later caught up from the ring or
// the log (feed-catch-up.ts) to the exact sequence at which it is live again. No runtime in here; adapters tell about sockets.
import { FeedAdmission } from './feed-admission.ts';
import { FeedCatchUp } from './feed-catch-up.ts';
import { FeedChannels } from './feed-channels.ts';
import { FeedHistory, hasGap } from './feed-history.ts';
import { LiveFeed } from './feed-live.ts';
import { FeedPace, type PaceLimits } from './feed-pace.ts';
import { type CloseSession, type FeedRequest, FeedSession } from './feed-session.ts';
import { FeedSnapshots, type SnapshotSource } from './feed-snapshot.ts';
import { FeedSweep } from './feed-sweep.ts';
import { MAX_INBOUND_MESSAGE_BYTES } from './limits.ts';
import type { Position } from './model.ts';
import type { Believer } from './past-topic.ts';
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

/** Why the server ended sessions: what operators count. */
export type EndReason =
  | 'slow-consumer'
  | 'rehydrate'
  | 'flood'
  | 'too-big'
  | 'shutdown'
  | 'refused'
  | 'internal';

/** The close code says it but for what shares the one of policy. */
const END_REASONS: Readonly<Record<number, EndReason>> = {
  [CLOSE.slowConsumer]: 'slow-consumer',
  [CLOSE.rehydrate]: 'rehydrate',
  [CLOSE.tooBig]: 'too-big',
  [CLOSE.goingAway]: 'shutdown',
  [CLOSE.policy]: 'refused',
};
const FLOOD = 'too many messages';

/** Where a session's snapshot comes from, whose a cell is as the view is now, and what is believed. */
interface FeedView extends SnapshotSource, Believer {}

export interface FeedOptions {
  /** Frames kept in memory. */
  readonly ringBytes: number;
  readonly pace: PaceLimits;
  readonly maxSessions: number;
  readonly view: FeedView;
}

export class Feed {
  readonly #clock: Clock;
  readonly #live: LiveFeed;
  readonly #catchUp: FeedCatchUp;
  readonly #snapshots: FeedSnapshots;
  readonly #sessions = new Set<FeedSession>();
  readonly #channels: FeedChannels;
  readonly #pace: FeedPace;
  readonly #sweep: FeedSweep;
  readonly #admission: FeedAdmission;
  readonly #maxSessions: number;
  /** Sessions opened, those that were resumed included, and ended by us. */
  opened = 0;
  readonly ended: Record<EndReason, number> = {
    'slow-consumer': 0,
    rehydrate: 0,
    flood: 0,
    'too-big': 0,
    shutdown: 0,
    refused: 0,
    internal: 0,
  };
  /** The incarnation of the log while it can be reached. */
  #epoch: string | null = null;

  constructor(log: EventLog, clock: Clock, logger: Log, options: FeedOptions) {
    this.#clock = clock;
    this.#maxSessions = options.maxSessions;
    this.#channels = new FeedChannels(() => options.view.state.cells);
    this.#snapshots = new FeedSnapshots(options.view, clock);
    this.#pace = new FeedPace(options.pace, clock, () => this.#continue());
    this.#live = new LiveFeed(options.ringBytes, {
      channels: this.#channels,
      sessions: this.#sessions,
      pace: this.#pace,
      clock,
      onBehind: (session) => this.#catchUp.fallBehind(session),
      onFlushed: () => this.#catchUp.wakeAhead(),
    });
    const close: CloseSession = (session, code, reason) => this.#close(session, code, reason);
    this.#admission = new FeedAdmission(log, logger, close);
    this.#catchUp = new FeedCatchUp({
      live: this.#live,
      history: new FeedHistory(log, options.view, clock, logger),
      pace: this.#pace,
      admission: this.#admission,
      clock,
      close,
    });
    const waiting = ({ state, levelBytes }: FeedSession) =>
      state === 'live' ? 0 : this.#live.ring.pushedBytes - levelBytes;
    this.#sweep = new FeedSweep(this.#sessions, waiting, close, clock, logger);
  }

  /** Open sessions. */
  get size(): number {
    return this.#sessions.size;
  }

  get maxSessions(): number {
    return this.#maxSessions;
  }

  /** What the recent frames take. */
  get ringBytes(): number {
    return this.#live.ring.bytes;
  }

  /** Whether no more sessions should be opened. */
  get isFull(): boolean {
    return this.#sessions.size >= this.#maxSessions;
  }

  /** The log's incarnation, null while it is out of reach: a session that opens then is closed at once. */
  setEpoch(epoch: string | null): void {
    this.#epoch = epoch;
    this.#catchUp.setConnected(epoch !== null);
  }

  /** Starts anew at `position`, before any session or after a reset. */
  restart(position: Position): void {
    this.#live.restart(position);
    this.#catchUp.restart();
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
    const { filter, scope, since, epoch, control = false, snapshot = null } = request;
    const session = this.#join(socket, {
      filter,
      ...(scope === undefined ? {} : { scope }),
      cursor: since ?? this.#live.received,
      epoch: epoch ?? this.#epoch,
      ...(control ? { control: 'wanted' } : {}),
    });
    if (this.#epoch === null) this.#close(session, CLOSE.policy, 'no upstream broker configured');
    else if (!session.channel.isValid) this.#close(session, CLOSE.policy, 'subscribe failed');
    else if (snapshot !== null) {
      const oldest = Math.max(this.#live.ring.floor, request.atLeast ?? 0);
      const taken = this.#snapshots.take(snapshot, oldest);
      session.pages = { snapshot: taken, next: 0 };
      session.cursor = taken.seq;
      session.epoch = this.#epoch;
      session.state = 'hydrating';
      session.levelBytes = this.#live.ring.pushedBytes;
      session.remember();
      this.#catchUp.add(session);
    } else {
      session.remember();
      if (since === null && epoch === null) this.#catchUp.place(session);
      else void this.#catchUp.admit(session);
    }
    return this.#connection(session);
  }

  /** A session that was open before the runtime forgot it goes on at its cursor, as soon as the log is there. */
  resume(socket: FeedSocket, memory: SessionMemory): FeedConnection {
    const session = this.#join(socket, memory);
    if (memory.isHydrating) {
      // The view that it was being sent is gone; nothing in front of an event has been missed by whoever begins anew.
      this.#close(session, CLOSE.goingAway, 'the snapshot was interrupted');
    } else {
      session.state = 'resuming';
      this.#catchUp.add(session);
    }
    return this.#connection(session);
  }

  /** Every open session is told that the stream is another one (design D10). */
  closeReplaced(bounds: LogBounds): void {
    this.#snapshots.clear();
    for (const session of this.#sessions) this.#admission.rehydrate(session, 'ws/epoch-changed', bounds);
  }

  /** The tail has passed over events that the log had dropped before it could read them: who was due them is told so. */
  closeSkipped(bounds: LogBounds): void {
    for (const session of this.#sessions) {
      // Those that are yet to be admitted are compared with the log then.
      const isAdmitted = session.state !== 'opening' && session.state !== 'resuming';
      if (isAdmitted && hasGap(session.cursor, bounds)) {
        this.#admission.rehydrate(session, 'ws/retention-exhausted', bounds);
      }
    }
  }

  /** The server stops: 1001 to everybody. */
  shutdown(): void {
    for (const session of this.#sessions) this.#close(session, CLOSE.goingAway, 'server shutting down');
    this.detach();
  }

  /** Forgets the sessions without a word to them. */
  detach(): void {
    this.#catchUp.stop();
    this.#sweep.stop();
    this.#pace.stop();
    for (const session of this.#sessions) this.#forget(session);
  }

  #join(socket: FeedSocket, memory: SessionMemory): FeedSession {
    const channel = this.#channels.open(memory);
    const session = new FeedSession(socket, channel, { ...memory, now: this.#clock.now() });
    this.#sessions.add(session);
    this.opened++;
    channel.sessions.add(session);
    this.#sweep.start();
    return session;
  }

  #connection(session: FeedSession): FeedConnection {
    return {
      received: (bytes = 0) => {
        const hasFlooded = session.hasFlooded(this.#clock.now());
        if (bytes > MAX_INBOUND_MESSAGE_BYTES) this.#close(session, CLOSE.tooBig, 'message too big');
        else if (hasFlooded) this.#close(session, CLOSE.policy, FLOOD);
      },
      drained: () => this.#catchUp.pump(session),
      closed: () => this.#forget(session),
    };
  }

  /** A turn has passed in which nothing more could be handed out. */
  #continue(): void {
    this.#live.schedule();
    this.#catchUp.continue();
  }

  #close(session: FeedSession, code: number, reason: string): void {
    if (session.state === 'closed') return;
    this.ended[reason === FLOOD ? 'flood' : (END_REASONS[code] ?? 'internal')]++;
    this.#forget(session);
    session.socket.close(code, closeReason(reason));
  }

  #forget(session: FeedSession): void {
    // Of one that we close its socket tells as well, when another may have taken its place.
    if (session.state === 'closed') return;
    session.state = 'closed';
    session.pages = null;
    this.#sessions.delete(session);
    this.#catchUp.forget(session);
    this.#channels.leave(session);
  }
}
