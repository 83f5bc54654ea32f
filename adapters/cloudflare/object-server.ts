// One life of the server inside the Durable Object, from restoring the checkpoint to leaving the broker: the core with this
// runtime's ports. Sockets and alarms come from the object.
import { createAccess } from '../../src/access.ts';
import { createApp, type ServerApp } from '../../src/app.ts';
import { Checkpoint } from '../../src/checkpoint.ts';
import { ControlPlane } from '../../src/control-plane.ts';
import type { PaceLimits } from '../../src/feed-pace.ts';
import { BROKER_CONNECTION_AGE_MS, DEAD_TAIL_MS, HOLD_WHILE_STARTING_MS } from '../../src/limits.ts';
import { toConnectionOptions } from '../../src/nats-connection.ts';
import { NatsEventLog } from '../../src/nats-event-log.ts';
import { connectWebSocket } from '../../src/nats-websocket.ts';
import type { Clock, Log } from '../../src/ports.ts';
import { toBody } from './runtime.ts';
import { createRequestLog } from '../../src/request-log.ts';
import type { Signatures } from '../../src/signatures.ts';
import type { Settings } from './settings.ts';
import { SqlCheckpointStore, type SqlCheckpointStorage } from './sql-checkpoint-store.ts';

/** A quarter of what a process keeps: the platform gives an object 128 MB in all. */
const FEED_RING_BYTES = 4 * 1024 * 1024;

/**
 * Sockets here take all they are given: beyond so many bytes a turn the queue would be memory of ours. And a message costs a third when
 * several go to a socket at once: 6 us instead of 16.
 */
const FEED_PACE: PaceLimits = { turnBytes: 4 * 1024 * 1024, busyMsPerSession: 0.02 };

const clock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  // All messages of one input are handed out before the first microtask runs.
  soon: (run) => queueMicrotask(run),
};

export class ObjectServer {
  readonly app: ServerApp;
  readonly controlPlane: ControlPlane;
  readonly #log: NatsEventLog;
  readonly #logger: Log;
  /** How long it stays without requests and sessions. */
  readonly idleMs: number;
  #renewedAt = clock.now();

  private constructor(
    app: ServerApp,
    controlPlane: ControlPlane,
    log: NatsEventLog,
    idleMs: number,
    logger: Log,
  ) {
    this.app = app;
    this.controlPlane = controlPlane;
    this.idleMs = idleMs;
    this.#log = log;
    this.#logger = logger;
  }

  /** `nextSlice` is awaited between slices of a long replay. */
  static create(
    { config, logger, writeLine, gitSha }: Settings,
    signatures: Signatures,
    storage: SqlCheckpointStorage,
    nextSlice: () => Promise<void>,
  ): ObjectServer {
    const log = new NatsEventLog({
      connect: connectWebSocket,
      connection: toConnectionOptions(config.broker),
      replicas: config.replicas,
      clock,
      logger,
    });
    const checkpoint =
      config.checkpoint.kind === 'off'
        ? null
        : new Checkpoint(new SqlCheckpointStore(storage), logger, signatures);
    const controlPlane = new ControlPlane({
      log,
      clock,
      logger,
      skipReplay: config.skipReplay,
      maxSessions: config.maxSessions,
      ringBytes: config.ringBytes ?? FEED_RING_BYTES,
      pace: FEED_PACE,
      signatures,
      checkpoint,
      nextSlice,
    });
    const app = createApp({
      controlPlane,
      access: createAccess(config.access, clock),
      clock,
      logger,
      requestLog: createRequestLog(config.logLevel, writeLine),
      build: { gitSha },
      holdWhileStartingMs: HOLD_WHILE_STARTING_MS,
      toBody,
    });
    return new ObjectServer(app, controlPlane, log, config.idleMs, logger);
  }

  /** Whether the continuous read of the log has gone quiet in a way that it does not mend by itself. */
  hasDeadTail(): boolean {
    const quietMs = clock.now() - this.#log.contactAt;
    if (quietMs <= DEAD_TAIL_MS) return false;
    this.#logger.error('the tail is dead', { quietMs, cursor: this.controlPlane.state.cursor });
    return true;
  }

  /** Saves the view and leaves the broker; sessions are left to the next life where they are not closed. Never rejects. */
  async stop(sessions: 'close' | 'leave'): Promise<void> {
    const { state, feed } = this.controlPlane;
    this.#logger.info('leaving the broker', { cursor: state.cursor, sessions: feed.size });
    try {
      await this.controlPlane.stop(sessions);
    } catch (error) {
      this.#logger.error('the server did not stop in order', { error: String(error) });
    }
  }

  /** Moves to a new connection when this one is as old as the platform allows. Never rejects: the next call tries again. */
  async renewConnection(): Promise<void> {
    if (clock.now() - this.#renewedAt < BROKER_CONNECTION_AGE_MS) return;
    try {
      await this.#log.renew();
      this.#renewedAt = clock.now();
    } catch (error) {
      this.#logger.warn('the connection to the broker could not be renewed', { error: String(error) });
    }
  }
}
