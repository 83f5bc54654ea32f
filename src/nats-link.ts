// One connection to the broker and what hangs on it: opened with our settings, known to be lost, closed without waiting for it.
import type { ConnectionOptions, JetStreamManager, NatsConnection } from 'nats.ws';

import * as limits from './limits.ts';
import { getOrCreateStream } from './nats-stream.ts';
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
  /** Replicas of the stream if this server creates it. */
  readonly replicas: number;
  readonly clock: Clock;
}

/** Connects and makes sure that the stream is there. Throws what the client throws. */
export async function openLink({ connect, connection, replicas, clock }: LinkOptions): Promise<BrokerLink> {
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
    await getOrCreateStream(jsm, replicas);
    return { nc, jsm, lost: lost.promise, abandon };
  } catch (error) {
    await closeConnection(nc, clock);
    throw error;
  }
}

/** A connection that no longer answers is left behind: the client waits for what it has buffered. */
export async function closeConnection(nc: NatsConnection, clock: Clock): Promise<void> {
  const late = Promise.withResolvers<void>();
  const cancel = clock.after(limits.CONNECTION_CLOSE_MS, late.resolve);
  await Promise.race([nc.close().catch(() => {}), late.promise]);
  cancel();
}
