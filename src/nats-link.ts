// One connection to the broker and what hangs on it: opened with our settings, known to be lost, closed without waiting for it.
import type { ConnectionOptions, JetStreamManager, NatsConnection } from 'nats.ws';

import * as limits from './limits.ts';
import { type Clock, EventLogError } from './ports.ts';

export interface BrokerLink {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  /** Rejects when the connection is lost or given up. */
  readonly lost: Promise<never>;
  /** Gives up a connection that no longer answers: closing it properly would wait for it. */
  readonly abandon: (reason: string) => void;
}

export interface LinkOptions {
  /** `connect` of nats.ws, or of another client of the same family. */
  readonly connect: (options: ConnectionOptions) => Promise<NatsConnection>;
  /** Servers and credentials. */
  readonly connection: ConnectionOptions;
  /** Replicas of what this server creates: the stream, the bucket of checkpoints. */
  readonly replicas: number;
  readonly clock: Clock;
}

/** Connects, and awaits `prepare` with the connection. Throws what the client throws. */
export async function openLink(
  { connect, connection, clock }: LinkOptions,
  prepare: (nc: NatsConnection, jsm: JetStreamManager) => Promise<unknown>,
): Promise<BrokerLink> {
  const nc = await connect({
    name: 'cellos-server',
    ...connection,
    reconnect: false,
    timeout: limits.CONNECT_TIMEOUT_MS,
    pingInterval: limits.BROKER_PING_MS,
    maxPingOut: 2,
    // A stack trace per request costs a seventh of a write.
    noAsyncTraces: true,
  });
  const lost = Promise.withResolvers<never>();
  // Whoever races against it handles it; nobody need.
  lost.promise.catch(() => {});
  const abandon = (reason: string) => lost.reject(new EventLogError('unavailable', reason));
  void nc.closed().then((error) => abandon(`connection closed${error ? `: ${error.message}` : ''}`));
  try {
    const jsm = await nc.jetstreamManager({ timeout: limits.BROKER_REQUEST_TIMEOUT_MS, checkAPI: false });
    await prepare(nc, jsm);
    return { nc, jsm, lost: lost.promise, abandon };
  } catch (error) {
    await closeConnection(nc, clock);
    throw error;
  }
}

/**
 * The first answer to a request that may be made several times, which it is until then. Rejects like the first one of them that
 * fails, so after the request's own timeout at the latest.
 */
export async function askAgain<Answer>(clock: Clock, request: () => Promise<Answer>): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  let cancel = () => {};
  const ask = () => {
    request().then(resolve, reject);
    cancel = clock.after(limits.BROKER_ASK_AGAIN_MS, ask);
  };
  ask();
  try {
    return await promise;
  } finally {
    cancel();
  }
}

/** A connection that no longer answers is left behind: the client waits for what it has buffered. */
export async function closeConnection(nc: NatsConnection, clock: Clock): Promise<void> {
  const late = Promise.withResolvers<void>();
  const cancel = clock.after(limits.CONNECTION_CLOSE_MS, late.resolve);
  await Promise.race([nc.close().catch(() => {}), late.promise]);
  cancel();
}

/** What the client says of a failure, which is often a code without a message. */
export function describeError(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string };
  const known = code === undefined || code === 'UNKNOWN_ERROR' ? '' : code;
  return [known, message].filter((part) => part).join(': ') || String(error);
}

/** JetStream's own error number. Duck-typed: errors come from whichever copy of the client is connected. */
export function apiErrorCode(error: unknown): number | undefined {
  return (error as { api_error?: { err_code?: number } } | null)?.api_error?.err_code;
}

/** JetStream's own words; the client's message is but the code where that is 503, as for a stream that is full. */
function apiErrorText(error: unknown): string {
  return (error as { api_error?: { description?: string } } | null)?.api_error?.description ?? '';
}

/** JetStream's number for a message that is not there. */
export const NO_MESSAGE = 10_037;

// An expectation of a publish that did not hold: what single servers say, and what clusters say from 2.12 on.
const CONFLICTS = new Set([10_071, 10_164]);

/** The message is too large; the account, the server or the disk has no room. */
const FULL = new Set([10_054, 10_002, 10_023, 10_028, 10_047]);

/** The stream did not store the message, and the text says why: that it has its maximum of messages or bytes, or anything else. */
const STORE_FAILED = 10_077;

const NO_STREAM = 10_059;

/** Whether an expectation of a publish did not hold. */
export function isConflict(error: unknown): boolean {
  return CONFLICTS.has(apiErrorCode(error) ?? 0);
}

/** What any failure of a request to the broker means to the log's callers. */
export function toLogError(error: unknown): EventLogError {
  if (error instanceof EventLogError) return error;
  return new EventLogError(
    logErrorCode(error),
    error instanceof Error ? error.message : String(error),
    error,
  );
}

function logErrorCode(error: unknown): EventLogError['code'] {
  if (isConflict(error)) return 'conflict';
  const number = apiErrorCode(error);
  const { code } = (error ?? {}) as { code?: string };
  if (number === undefined) {
    // Nobody listens for the stream's subjects; the client itself refuses what the broker would not take.
    if (code === '503') return 'unreachable';
    return code === 'MAX_PAYLOAD_EXCEEDED' ? 'full' : 'unavailable';
  }
  if (FULL.has(number) || (number === STORE_FAILED && apiErrorText(error).includes('maximum'))) return 'full';
  return number === NO_STREAM ? 'unreachable' : 'unavailable';
}
