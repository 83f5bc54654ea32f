// Joins log, projection and feed: entries come in from the one tail, go through the reducer, and on to the feed and to
// those who wait for their write. It owns the lifecycle; HTTP is the routes', deciding and publishing the writer's.
import type { Checkpoint } from './checkpoint.ts';
import { CheckpointKeeper } from './checkpoint-keeper.ts';
import { whenRestored } from './checkpoint-start.ts';
import { frameText } from './cloudevents.ts';
import { EntryReader } from './entry-reader.ts';
import { NO_TOPIC, topicOf } from './event-topic.ts';
import { EventWatches } from './event-watches.ts';
import { toFact } from './facts.ts';
import { Feed } from './feed.ts';
import { type PaceLimits, UNPACED } from './feed-pace.ts';
import type { SnapshotKind, SnapshotSource } from './feed-snapshot.ts';
import { Intake } from './intake.ts';
import { Lifecycle, type Phase } from './lifecycle.ts';
import { BROKER_GRACE_MS, MAX_SESSIONS, RING_BYTES } from './limits.ts';
import type { EventEntry, Position } from './model.ts';
import type { Clock, EventLog, Log, LogAnchor, LogBounds } from './ports.ts';
import { unavailable } from './problems.ts';
import { advance, beginAt, evolve, initialState, type ProjectionState, retain } from './projection.ts';
import { type EventSigner, NO_SIGNATURES, type Signatures } from './signatures.ts';
import { noteSigner } from './signers.ts';
import { SkipReport } from './skip-report.ts';
import { Snapshots } from './snapshots.ts';
import { Timer } from './timer.ts';
import { Vitals } from './vitals.ts';
import { Waiters } from './waiters.ts';

export interface ControlPlaneOptions {
  readonly log: EventLog;
  readonly clock: Clock;
  readonly logger: Log;
  /** Start at the live tail with an empty view. */
  readonly skipReplay?: boolean;
  /** Frames kept in memory for the feed. */
  readonly ringBytes?: number;
  readonly maxSessions?: number;
  /** For sockets that do not tell what a client has not taken yet. */
  readonly pace?: PaceLimits;
  /** Where the view is kept over restarts; absent: every start replays. */
  readonly checkpoint?: Checkpoint | null;
  /** Which keys verify events and sign ours; by default none. */
  readonly signatures?: Signatures;
  /** Awaited between two slices of a long replay. */
  readonly nextSlice?: () => Promise<void>;
}

export class ControlPlane implements SnapshotSource {
  readonly log: EventLog;
  readonly feed: Feed;
  /** Tells what an entry of the log says, also one that did not come through the tail. */
  readonly reader: EntryReader;
  /** Signs what this server writes; null when it does not. */
  readonly signer: EventSigner | null;
  readonly watches = new EventWatches();
  readonly vitals: Vitals;
  readonly #clock: Clock;
  readonly #logger: Log;
  readonly #skipReplay: boolean;
  readonly #checkpoint: Checkpoint | null;
  /** Null where no checkpoint is kept. */
  readonly keeper: CheckpointKeeper | null;
  readonly #intake: Intake;
  readonly #applied = new Waiters();
  #state: ProjectionState;
  #snapshots: Snapshots;
  readonly #lifecycle = new Lifecycle();
  #bounds: LogBounds | null = null;
  #startedAt = 0;
  readonly #grace: Timer;
  readonly #skips: SkipReport;

  constructor({ log, clock, logger, ...options }: ControlPlaneOptions) {
    this.log = log;
    const { ringBytes = RING_BYTES, maxSessions = MAX_SESSIONS, pace = UNPACED } = options;
    this.feed = new Feed(log, clock, logger, { ringBytes, maxSessions, pace, view: this });
    this.#clock = clock;
    this.vitals = new Vitals(clock.now());
    this.#grace = new Timer(clock, BROKER_GRACE_MS, () => this.#overdue());
    this.#logger = logger;
    this.#skips = new SkipReport(clock, logger);
    const { signatures = NO_SIGNATURES, skipReplay = false, nextSlice } = options;
    this.reader = new EntryReader(signatures);
    this.signer = signatures.signer;
    this.#intake = new Intake(log, this.reader);
    this.#skipReplay = skipReplay;
    // A view that begins at the tail is not the one that a checkpoint holds.
    const checkpoint = (this.#checkpoint = skipReplay ? null : (options.checkpoint ?? null));
    this.#state = initialState();
    this.#snapshots = new Snapshots(this.#state);
    const state = () => this.#state;
    this.keeper =
      checkpoint && new CheckpointKeeper({ checkpoint, log: this.#intake, clock, logger, state, nextSlice });
  }

  get state(): ProjectionState {
    return this.#state;
  }

  get snapshots(): Snapshots {
    return this.#snapshots;
  }

  get phase(): Phase {
    return this.#lifecycle.phase;
  }

  /** The stream's incarnation, the checkpoint's before there is contact; null when neither is known. */
  get epoch(): string | null {
    return this.#bounds?.epoch ?? this.log.anchor?.epoch ?? null;
  }

  /** What versions count in: at the same sequence, another stream and other keys make another view. */
  get edition(): string {
    return `${this.epoch ?? ''}${this.reader.trust}`;
  }

  get cursor(): Position {
    return this.#state.cursor;
  }

  /** The JSON texts of all records of a kind, in the order of its list. */
  recordsOf(kind: SnapshotKind): readonly string[] {
    return kind === 'formations' ? this.#snapshots.formationTexts() : this.#snapshots.cellTexts();
  }

  /** Whether requests are answered; until then they get a 503 with the progress. */
  get serving(): boolean {
    return this.#lifecycle.serving;
  }

  /** For the 503 of a server that is not ready: cursor and the tail's sequence when last seen. */
  get progress(): { cursor: Position; target: Position | null } {
    return { cursor: this.#state.cursor, target: this.#bounds?.lastSeq ?? null };
  }

  /** Restores the checkpoint and follows the log from there. Called once. */
  start(): void {
    this.#startedAt = this.#clock.now();
    this.#grace.start();
    if (this.#checkpoint === null) this.#follow(this.#skipReplay ? 'tail' : 0);
    else void this.#startRestored(this.#checkpoint);
  }

  async #startRestored(checkpoint: Checkpoint): Promise<void> {
    const restored = await whenRestored(checkpoint, {
      clock: this.#clock,
      logger: this.#logger,
      onAway: (reason) => this.#lost(reason),
      isStopped: () => this.#lifecycle.phase === 'stopped',
    });
    if (this.#lifecycle.phase === 'stopped') return;
    if (restored !== null) {
      this.#state = restored.state;
      this.#snapshots = new Snapshots(this.#state);
    }
    this.#follow(restored?.anchor ?? 0);
  }

  #follow(from: Position | 'tail' | LogAnchor): void {
    this.#intake.follow(from, {
      onOpened: (bounds, after) => this.#opened(bounds, after),
      onEntry: (entry) => this.#entry(entry),
      onCaughtUp: (position) => this.#caughtUp(position),
      onReset: (bounds) => this.#reset(bounds),
      onLost: (reason) => this.#lost(reason),
    });
  }

  /** Resolves when requests are answered. */
  whenServing(): Promise<void> {
    return this.#lifecycle.whenServing();
  }

  /** Resolves when requests are answered, when it is known that this takes longer than one slice, or after `ms`. */
  whenAnswerable(ms: number): Promise<void> {
    return this.#lifecycle.whenAnswerable(this.#clock, ms);
  }

  /**
   * Resolves with true once the view has everything that the log held when this was called; with false when that cannot be told
   * before the signal.
   */
  async whenCurrent(signal: AbortSignal): Promise<boolean> {
    try {
      const { lastSeq } = await this.log.bounds();
      await this.whenApplied(lastSeq, signal);
      return true;
    } catch {
      return false;
    }
  }

  /** Resolves once the projection has `position`. Rejects with the signal's reason, or 503 when it will never come. */
  whenApplied(position: Position, signal: AbortSignal): Promise<void> {
    if (this.#state.cursor >= position) return Promise.resolve();
    return this.#applied.until(position, signal);
  }

  /**
   * Refuses who still waits, saves the view, and leaves the broker. Feed sessions are closed with 1001, or left to a successor
   * that resumes them from what their sockets remember.
   */
  async stop(sessions: 'close' | 'leave' = 'close'): Promise<void> {
    this.#lifecycle.apply('stopped');
    this.#lifecycle.sliced();
    this.#grace.stop();
    this.#skips.stop();
    if (sessions === 'close') this.feed.shutdown();
    else this.feed.detach();
    this.#applied.rejectAll(unavailable('the server is shutting down'));
    await this.keeper?.stop();
    await this.log.close();
  }

  #opened(bounds: LogBounds, after: Position): void {
    const first = this.#bounds === null;
    this.#bounds = bounds;
    this.vitals.opened();
    this.#startedAt = this.#clock.now();
    // A view that starts at the tail begins with what comes after it.
    if (first) beginAt(this.#state, after);
    retain(this.#state, bounds.firstSeq);
    this.#grace.stop();
    this.#lifecycle.apply('opened');
    this.feed.setEpoch(bounds.epoch);
    if (after + 1 < bounds.firstSeq) this.feed.closeSkipped(bounds);
    this.#logger.info(first ? 'event log opened' : 'event log reopened', { ...bounds });
  }

  #entry(entry: EventEntry): void {
    const { seq, subject, text, event, eventText, signature } = entry;
    const fact = toFact(entry);
    const { warning, effect } = evolve(this.#state, seq, fact);
    // What is not believed is nobody's.
    const topic = eventText === null ? NO_TOPIC : topicOf(event, fact);
    // Behind the reducer, which may just have learned whose cell it is.
    this.#state.index.note(seq, topic, this.#state.cells);
    this.vitals.events[effect]++;
    if (signature !== null) {
      this.vitals.signatures[signature.outcome]++;
      noteSigner(this.#state.signers, signature);
    }
    if (warning !== null) this.#skips.skipped(seq, warning, signature);
    if (eventText !== null) this.watches.notice(seq, event);
    // While nobody can be connected the feed is not fed: keeping the frames of a replay would cost a fifth of its time.
    if (this.serving) {
      if (text === null) this.feed.advance(seq);
      else this.feed.broadcast({ seq, subject, text: frameText(seq, text), topic });
      this.keeper?.applied();
    } else if (this.keeper?.replayed()) {
      this.#lifecycle.sliced();
    }
    this.#applied.reached(seq);
  }

  #caughtUp(position: Position): void {
    advance(this.#state, position);
    if (this.serving) this.feed.advance(position);
    else this.feed.restart(position);
    this.#applied.reached(position);
    if (this.#lifecycle.phase === 'live') return;
    this.#lifecycle.apply('caughtUp');
    this.keeper?.applied();
    this.vitals.catchUpMs = this.#clock.now() - this.#startedAt;
    const { cursor, formations, cells } = this.#state;
    const counts = { formations: formations.size, cells: cells.size };
    this.#logger.info('projection is live', { cursor, ...counts, ms: this.vitals.catchUpMs });
  }

  #reset(bounds: LogBounds): void {
    const change = { was: this.epoch, is: bounds.epoch, cursor: this.#state.cursor };
    this.#logger.warn('the event log is another one: rebuilding the projection', change);
    this.#state = initialState();
    this.#snapshots = new Snapshots(this.#state);
    this.#startedAt = this.#clock.now();
    void this.keeper?.reset();
    this.#lifecycle.apply('reset');
    this.feed.closeReplaced(bounds);
    this.#applied.rejectAll(unavailable('the event store was replaced'));
  }

  #lost(reason: string): void {
    const { cursor } = this.#state;
    if (this.vitals.lost(reason, this.#clock.now()))
      this.#logger.warn('event log out of reach', { reason, cursor });
    this.#lifecycle.apply('lost');
    this.feed.setEpoch(null);
    if (this.#lifecycle.phase === 'starting') this.#grace.start();
  }

  #overdue(): void {
    if (this.phase === 'starting')
      this.#logger.warn('answering reads from what there is until the event log can be reached');
    this.#lifecycle.apply('overdue');
  }
}
