// The server as a process: configuration from the environment, log lines on stderr, one port, signals. What a runtime does in
// its own way is handed in as a host.
import { createAccess } from '../../src/access.ts';
import { createApp, type ServerApp } from '../../src/app.ts';
import { Checkpoint } from '../../src/checkpoint.ts';
import {
  type BrokerConfig,
  type Config,
  type ConfigCapabilities,
  ConfigError,
  type Environment,
  logConfigError,
  parseConfig,
} from '../../src/config.ts';
import { ControlPlane } from '../../src/control-plane.ts';
import { type PaceLimits, UNPACED } from '../../src/feed-pace.ts';
import { createLogger } from '../../src/logger.ts';
import { toConnectionOptions } from '../../src/nats-connection.ts';
import { NatsEventLog } from '../../src/nats-event-log.ts';
import type { LinkOptions } from '../../src/nats-link.ts';
import type { Clock, Log } from '../../src/ports.ts';
import { createRequestLog } from '../../src/request-log.ts';
import { importSignatures } from '../../src/signatures.ts';
import { LineWriter } from './line-writer.ts';
import { openCheckpointStore } from './checkpoint-store.ts';

/** A stop in order takes less; whatever is left then is cut, so that the contract's 5 s hold. */
const DRAIN_MS = 3500;
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

type Signal = (typeof SIGNALS)[number];

/** One port, listened on. */
export interface Listener {
  /** Stops accepting; resolves when requests are answered and WebSockets closed. */
  readonly close: () => Promise<void>;
  /** Ends the connections that are left, where the end of the process would not. */
  readonly cut: () => void;
}

/** What a runtime does in its own way. */
export interface ProcessHost {
  readonly environment: Environment;
  readonly capabilities: ConfigCapabilities;
  readonly connector: (broker: BrokerConfig) => LinkOptions['connect'];
  readonly clock: Clock;
  /** Writes a line, or several with line feeds between them, to stderr; never throws. */
  readonly writeLine: (line: string) => void;
  /** Rejects when nothing can be listened on there; an error for a taken port has the code EADDRINUSE. */
  readonly listen: (app: ServerApp, bind: Config['bind']) => Promise<Listener>;
  readonly onSignal: (signal: Signal, run: () => void) => void;
  /** The process ends, for whatever reason it knows of. */
  readonly onExit: (run: () => void) => void;
  readonly exit: (code: number) => never;
  /** How fast its sockets are handed frames; by default as fast as they come. */
  readonly pace?: PaceLimits;
}

/** Runs the server until a signal ends it. */
export async function runServer(host: ProcessHost): Promise<void> {
  const { clock, pace = UNPACED } = host;
  const config = await orExit(host, () => parseConfig(host.environment, host.capabilities));
  const signatures = await orExit(host, () => importSignatures(config.signatures));
  const lines = new LineWriter(host.writeLine, clock);
  host.onExit(() => lines.flush());
  const logger = createLogger(config.logLevel, (line) => lines.write(line));
  const link: LinkOptions = {
    connect: host.connector(config.broker),
    connection: toConnectionOptions(config.broker),
    replicas: config.replicas,
    clock,
  };
  const kept = await orExit(host, () => openCheckpointStore(config.checkpoint, link));
  const controlPlane = new ControlPlane({
    log: new NatsEventLog({ ...link, logger }),
    clock,
    logger,
    skipReplay: config.skipReplay,
    maxSessions: config.maxSessions,
    ...(config.ringBytes === null ? {} : { ringBytes: config.ringBytes }),
    pace,
    signatures,
    checkpoint: kept && new Checkpoint(kept.store, logger, signatures),
  });
  const app = createApp({
    controlPlane,
    access: createAccess(config.access, clock),
    clock,
    logger,
    requestLog: createRequestLog(config.logLevel, (line) => lines.writeSoon(line)),
    build: { gitSha: host.environment['CELLOS_SERVER_GIT_SHA'] || null },
  });

  let listener: Listener | null = null;
  let stopping = false;
  for (const signal of SIGNALS) {
    host.onSignal(signal, () => {
      if (stopping) return;
      stopping = true;
      logger.info('stopping', { signal });
      void stop(listener, controlPlane, clock).then(async () => {
        await kept?.close();
        logger.info('stopped');
        host.exit(0);
      });
    });
  }
  controlPlane.start();
  listener = await listen(host, app, config.bind, logger);
  logger.info('listening', { host: config.bind.host, port: config.bind.port });
  await controlPlane.whenServing();
  logger.info('ready');
}

/** A configuration that cannot work ends the process with a message that names the variable. */
async function orExit<Result>(
  { environment, writeLine, exit }: ProcessHost,
  read: () => Result | Promise<Result>,
): Promise<Result> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    logConfigError(error, environment, writeLine);
    return exit(1);
  }
}

async function listen(
  host: ProcessHost,
  app: ServerApp,
  bind: Config['bind'],
  logger: Log,
): Promise<Listener> {
  try {
    return await host.listen(app, bind);
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const address = `${bind.host}:${bind.port}`;
    logger.error(
      code === 'EADDRINUSE'
        ? `${address} is in use: stop what listens there or set CELLOS_SERVER_BIND`
        : `cannot listen on CELLOS_SERVER_BIND ${address}: ${message}`,
    );
    return host.exit(1);
  }
}

/** Stop accepting, close feeds with 1001, drain requests, leave the broker. */
async function stop(listener: Listener | null, controlPlane: ControlPlane, clock: Clock): Promise<void> {
  const drained = listener?.close();
  controlPlane.feed.shutdown();
  const expired = Promise.withResolvers<void>();
  const cancel = clock.after(DRAIN_MS, () => {
    listener?.cut();
    expired.resolve();
  });
  await Promise.race([drained, expired.promise]);
  cancel();
  await controlPlane.stop();
}
