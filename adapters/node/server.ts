// The server on Node: environment, log lines, one HTTP port, signals. Started by `npm run serve` or a service manager, and by
// `npm start` together with a broker.
import { readFileSync } from 'node:fs';
import process from 'node:process';

import { createApp } from '../../src/app.ts';
import { createAuthenticator } from '../../src/auth.ts';
import { type Config, ConfigError, parseConfig } from '../../src/config.ts';
import { ControlPlane } from '../../src/control-plane.ts';
import { createLogger, parseLogLevel } from '../../src/logger.ts';
import { toConnectionOptions } from '../../src/nats-connection.ts';
import { NatsEventLog } from '../../src/nats-event-log.ts';
import type { Clock, Log } from '../../src/ports.ts';
import { connector } from './broker-connection.ts';
import { createHttpServer, type NodeHttpServer } from './http-server.ts';

/** A stop in order takes less; whatever is left then is cut, so that the contract's 5 s hold. */
const DRAIN_MS = 3500;
const IDLE_CHECK_MS = 20;

const clock: Clock = {
  now: Date.now,
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  soon: (run) => void setImmediate(run),
};

const writeLine = (line: string) => void process.stderr.write(`${line}\n`);
// Whoever read the log may be gone, which is no reason to end.
process.stderr.on('error', () => {});

function readConfig(): Config {
  try {
    return parseConfig(process.env, { tcp: true, readTextFile: (path) => readFileSync(path, 'utf8') });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const level = parseLogLevel(process.env['RUST_LOG'] || process.env['LOG_LEVEL']);
    createLogger(level === 'off' ? 'error' : level, writeLine).error(error.message, {
      variable: error.variable,
    });
    process.exit(1);
  }
}

function listen({ server }: NodeHttpServer, { host, port }: Config['bind'], logger: Log): Promise<void> {
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const address = `${host}:${port}`;
      const busy = error.code === 'EADDRINUSE';
      logger.error(
        busy
          ? `${address} is in use: stop what listens there or set CELLOS_SERVER_BIND`
          : `cannot listen on CELLOS_SERVER_BIND ${address}: ${error.message}`,
      );
      process.exit(1);
    });
    server.listen(port, host, resolve);
  });
}

/** Stop accepting, close feeds with 1001, drain requests, leave the broker, exit 0. */
async function stop(
  http: NodeHttpServer,
  controlPlane: ControlPlane,
  logger: Log,
  signal: string,
): Promise<void> {
  logger.info('stopping', { signal });
  const closed = new Promise<void>((resolve) => {
    http.server.close(() => resolve());
  });
  controlPlane.feed.shutdown();
  // A kept-alive connection becomes idle when its request has been answered, and would hold the server open.
  const idle = setInterval(() => http.server.closeIdleConnections(), IDLE_CHECK_MS);
  const deadline = setTimeout(() => {
    http.destroyWebSockets();
    http.server.closeAllConnections();
  }, DRAIN_MS);
  await closed;
  clearTimeout(deadline);
  clearInterval(idle);
  await controlPlane.stop();
  logger.info('stopped');
  process.exit(0);
}

const config = readConfig();
const logger = createLogger(config.logLevel, writeLine);
const log = new NatsEventLog({
  connect: connector(config.broker),
  connection: toConnectionOptions(config.broker),
  replicas: config.replicas,
  clock,
  logger,
});
const controlPlane = new ControlPlane({ log, clock, logger, skipReplay: config.skipReplay });
const http = createHttpServer(
  createApp({
    controlPlane,
    authenticator: createAuthenticator(config.apiToken, config.operatorId),
    clock,
    logger,
    build: { gitSha: process.env['CELLOS_SERVER_GIT_SHA'] || null },
  }),
);
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => void stop(http, controlPlane, logger, signal));
}
controlPlane.start();
await listen(http, config.bind, logger);
logger.info('listening', { host: config.bind.host, port: config.bind.port });
await controlPlane.whenServing();
logger.info('ready');
