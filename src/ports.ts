// What the core needs from outside, as small as it can be: an event log, sockets to clients, a clock and a log. Adapters and
// nats-event-log.ts implement these; nothing here listens, connects or reads an environment.
import type { EventScope, EventTopic, Position } from './model.ts';

/** One message as the log holds it. */
export interface LogEntry {
  readonly seq: Position;
  readonly subject: string;
  readonly payload: Uint8Array;
}

/** The retained range and the incarnation it belongs to. `firstSeq` is `lastSeq + 1` when nothing is retained. */
export interface LogBounds {
  /** Opaque; another value means another stream. */
  readonly epoch: string;
  readonly firstSeq: Position;
  readonly lastSeq: Position;
}

/** Told about the tail, in order, never concurrently. It must not throw. */
export interface LogFollower {
  /** Connected; the entries after this position come next. Also after each loss. */
  onOpened: (bounds: LogBounds, after: Position) => void;
  onEntry: (entry: LogEntry) => void;
  /** Everything up to `position` has been delivered or is not retained. */
  onCaughtUp: (position: Position) => void;
  /** The stream is another one: forget everything, entries begin anew at its start. `onOpened` follows. */
  onReset: (bounds: LogBounds) => void;
  onLost: (reason: string) => void;
}

/** A page of history, cut at MAX_PAGE_BYTES of payload; `entries` is empty when nothing was left. */
export interface LogPage {
  readonly entries: readonly LogEntry[];
  /** Everything up to here was looked at; the stream's last sequence when nothing is left after it. */
  readonly through: Position;
  /** As they were when the page was read. */
  readonly bounds: LogBounds;
}

export interface LogReadOptions {
  readonly after: Position;
  /** Last sequence of interest, included. */
  readonly until?: Position;
  readonly limit: number;
  /** Subject filter within `cellos.events.>`. */
  readonly filter?: string;
  readonly signal: AbortSignal;
}

export interface LogPublishOptions {
  /** For the log's own de-duplication: a retry with the same id is stored once. */
  readonly messageId: string;
  /** Refuse with `conflict` unless this is the last sequence on the subject; 0 = the subject is empty. */
  readonly expectedLastOnSubject?: Position;
  /** Refuse with `conflict` unless this is the last sequence of all. */
  readonly expectedLast?: Position;
  readonly signal: AbortSignal;
}

/** What the log says of a message that it holds. */
export interface LogAcknowledgement {
  readonly seq: Position;
  /** It was there before, under the same message id, whatever its content. */
  readonly isDuplicate: boolean;
}

/**
 * The stream of events. Reconnecting, and finding out that a stream was replaced, is its job; deciding what an entry means
 * is not. Everything but `follow` throws EventLogError.
 */
export interface EventLog {
  /** Starts the one continuous read and keeps it up until `close`; called once. `tail` starts behind the last entry there is. */
  follow: (from: Position | 'tail' | LogAnchor, follower: LogFollower) => void;
  /** How far the follower was served; null before the first contact of one that had no anchor. */
  readonly anchor: LogAnchor | null;
  /** When the continuous read last proved to be alive, in the clock's time: old means that it never will again. */
  readonly contactAt: number;
  /** Stops asking for entries; some that are under way still come. */
  pause: () => void;
  resume: () => void;
  /** Moves to a fresh connection without a gap, where connections may not grow old. Rejects, and changes nothing, when it cannot. */
  renew: () => Promise<void>;
  read: (options: LogReadOptions) => Promise<LogPage>;
  /** The entries at these sequences, in their order, without those that the log does not hold. A bounded number is asked for ahead. */
  entries: (sequences: readonly Position[], signal: AbortSignal) => AsyncIterable<LogEntry>;
  /** Resolves once the log has acknowledged the entry. */
  publish: (subject: string, payload: Uint8Array, options: LogPublishOptions) => Promise<LogAcknowledgement>;
  /** The last entry on a subject, or null. */
  last: (subject: string, signal: AbortSignal) => Promise<LogEntry | null>;
  /** Not older than the call. */
  bounds: () => Promise<LogBounds>;
  close: () => Promise<void>;
}

/**
 * `unreachable`: there is no connection or no stream, nothing was stored. `unavailable`: no answer, whatever was sent may have
 * arrived. `conflict`: the expectation of a publish did not hold. `full`: the log refuses the message for its size, or for that of all.
 */
export class EventLogError extends Error {
  readonly code: 'unreachable' | 'unavailable' | 'conflict' | 'full';

  constructor(code: EventLogError['code'], message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'EventLogError';
    this.code = code;
  }
}

/** What a session is sent: one text message. */
export interface Frame {
  readonly seq: Position;
  readonly subject: string;
  readonly text: string;
  /** What the event is about; found out once, for all who want the events of a cell or a formation. */
  readonly topic?: EventTopic;
  /** What it is, unless it is an event. */
  readonly name?: 'synced' | 'bookmark' | 'snapshot' | 'problem';
}

/** A session as its socket remembers it where a runtime may forget the rest (a Durable Object's attachment). */
export interface SessionMemory {
  readonly filter: string;
  /** Whose events alone it gets. */
  readonly scope?: EventScope | undefined;
  /** Everything up to here was sent or is not for this session. */
  readonly cursor: Position;
  /** The incarnation that the cursor belongs to; null while that is not known. */
  readonly epoch: string | null;
  /** Of one that asked for control frames, whether it has been told that it is synced. */
  readonly control?: 'wanted' | 'synced' | undefined;
  /** It has not got all of its snapshot yet, and so cannot go on from its cursor. */
  readonly isHydrating?: true | undefined;
}

/** A client's socket, open. Listening to it is the adapter's job. */
export interface FeedSocket {
  /**
   * Sends the frames as one text message each and returns the bytes that this puts on the wire. The same array is handed to
   * every session that is due the same frames, so an adapter may keep what it made of it.
   */
  send: (frames: readonly Frame[]) => number;
  close: (code: number, reason: string) => void;
  /** Absent where the runtime cannot ping; who has it expects answers. */
  ping?: () => void;
  /** The same where nobody answers: shows that the line is alive, and that everything up to `cursor` was sent. */
  keepAlive?: (cursor: Position) => void;
  /** Bytes not yet taken by the client's side; 0 where the runtime does not tell. */
  readonly bufferedBytes: number;
  /** Called with every step of the session, where the runtime may forget it. */
  remember?: (memory: SessionMemory) => void;
}

/** What an adapter tells the feed about a socket. */
export interface FeedConnection {
  /** The client is alive: any inbound message or pong. `bytes` of a message where the runtime does not bound them. */
  received: (bytes?: number) => void;
  /** The socket has room again. Not to be called from within `send`. */
  drained: () => void;
  closed: () => void;
}

/** Accepts a WebSocket; `onOpen` runs with the open socket. The answer, with the id in its head, goes back through the HTTP handler. */
export type UpgradeSocket = (
  onOpen: (socket: FeedSocket) => FeedConnection,
  protocol: string | null,
  requestId: string,
) => Response;

/** Where a follower is in the log, and what it knows of the stream there. */
export interface LogAnchor {
  readonly position: Position;
  readonly epoch: string;
  /** The broker's time of the last entry delivered, with its sequence; null when none was. */
  readonly timestamp: { readonly seq: Position; readonly nanos: string } | null;
}

/** A piece of a checkpoint, never changed once stored. Ids are positive integers, the text is well-formed UTF-16. */
export interface CheckpointBlock {
  readonly id: number;
  readonly text: string;
}

/** What was committed: the last head, and every block that was put and not removed, in any order. */
export interface StoredCheckpoint {
  readonly head: string;
  readonly blocks: readonly CheckpointBlock[];
}

/** What one save changes. No id is put twice. */
export interface CheckpointChange {
  readonly head: string;
  readonly put: readonly CheckpointBlock[];
  /** Ids, which may be unknown; or `others`: everything that is not put, whatever state the store is in. */
  readonly remove: readonly number[] | 'others';
}

/** Keeps one checkpoint. What is in it, and whether it is whole, is not its business. */
export interface CheckpointStore {
  /** Null when nothing was committed. Throws EventLogError where the broker keeps it and is away. */
  load: () => Promise<StoredCheckpoint | null>;
  /** All of it or nothing, also when the process dies on the way. */
  commit: (change: CheckpointChange) => Promise<void>;
  /**
   * Where others may write too: the head that one of them has committed since this store was last loaded or committed to, an
   * empty text when what was there is gone, else null. While there is one, `commit` rejects; but for one that removes the others and comes after this was asked.
   */
  readonly rivalHead?: () => Promise<string | null>;
}

/** Where the parts of a checkpoint lie that several servers may keep. Compressing and understanding them is not its business. */
export interface CheckpointObjects {
  /** Of the last head; 0 when there is none. */
  headRevision: () => Promise<number>;
  readHead: () => Promise<{ revision: number; bytes: Uint8Array<ArrayBuffer> } | null>;
  /** Replaces the head of revision `after`, 0 meaning that there is none; null, and nothing is done, when that is not the last. */
  writeHead: (bytes: Uint8Array<ArrayBuffer>, after: number) => Promise<number | null>;
  /** Null when there is none of that name. */
  read: (name: string) => Promise<Uint8Array<ArrayBuffer> | null>;
  /** Names are made of letters, digits, `-` and `.`, and are never used twice. */
  write: (name: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  /** One that is not there is no error. */
  remove: (name: string) => Promise<void>;
  /** Names of what was written longer ago than that, heads left out. */
  listOlderThan: (ms: number) => Promise<readonly string[]>;
}

/** Time, so that tests own it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now: () => number;
  /** Runs once; the returned function cancels. */
  after: (ms: number, run: () => void) => () => void;
  /** Runs soon, after the input that is already here has been handled. */
  soon: (run: () => void) => void;
}

/** Structured log lines. Fields never carry secrets. */
export interface Log {
  debug: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
  info: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
  warn: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
  error: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
}
