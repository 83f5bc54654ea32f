// The EventLog over nats.ws and over TCP with a real broker.
import { connect as connectTcp } from 'nats';
import { connect as connectWebSocket } from 'nats.ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { NatsEventLog, type NatsEventLogOptions } from '../src/nats-event-log.ts';
import { Broker, STREAM } from './support/nats-server.ts';
import { silentLogger, systemClock } from './support/system.ts';
import { type EventLogHarness, eventLogSuite } from './suites/event-log.ts';

type Transport = 'websocket' | 'tcp';

function createLog(broker: Broker, transport: Transport): NatsEventLog {
  const connect = (transport === 'tcp' ? connectTcp : connectWebSocket) as NatsEventLogOptions['connect'];
  const servers = [transport === 'tcp' ? broker.url : broker.websocketUrl];
  return new NatsEventLog({
    connect,
    connection: { servers },
    replicas: 1,
    clock: systemClock,
    logger: silentLogger,
  });
}

async function startHarness(transport: Transport): Promise<EventLogHarness> {
  const broker = await Broker.start();
  const logs = [createLog(broker, transport)];
  const [log] = logs as [NatsEventLog];
  const streams = async () => (await broker.manager()).streams;
  return {
    log,
    another() {
      const other = createLog(broker, transport);
      logs.push(other);
      return other;
    },
    append: (payload, subject) => broker.publish(payload, subject),
    disconnect: () => broker.kill(),
    reconnect: () => broker.restart(),
    replace: async () => void (await (await streams()).delete(STREAM)),
    remove: async (seq) => void (await (await streams()).deleteMessage(STREAM, seq)),
    purge: async (through) => void (await (await streams()).purge(STREAM, { seq: through + 1 })),
    async dispose() {
      await Promise.all(logs.map((each) => each.close()));
      await broker.stop();
    },
  };
}

eventLogSuite('NATS over its websocket listener', () => startHarness('websocket'));
eventLogSuite('NATS over TCP', () => startHarness('tcp'));

describe('the stream and its consumers', () => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start();
  });
  afterAll(() => broker.stop());

  it('LOG-1 LOG-3 LOG-4 makes the stream and one consumer as the contract has them, and leaves none', async () => {
    const log = createLog(broker, 'websocket');
    const opened = Promise.withResolvers<void>();
    log.follow(0, {
      onOpened: () => opened.resolve(),
      onEntry: () => {},
      onCaughtUp: () => {},
      onReset: () => {},
      onLost: () => {},
    });
    await opened.promise;
    const { config } = await broker.info();
    expect(config).toMatchObject({
      subjects: ['cellos.events.>'],
      retention: 'limits',
      storage: 'file',
      max_age: 90 * 24 * 3600 * 1e9,
      duplicate_window: 120 * 1e9,
      num_replicas: 1,
    });
    await broker.publishAll(Array.from({ length: 50 }, (_, n) => ({ n })));
    const signal = AbortSignal.timeout(5000);
    await Promise.all(Array.from({ length: 20 }, () => log.read({ after: 0, limit: 10, signal })));
    const consumers = await broker.consumers();
    expect(consumers).toHaveLength(1);
    expect(consumers[0]?.config).toMatchObject({ ack_policy: 'none', inactive_threshold: 300 * 1e9 });
    expect(consumers[0]?.config.durable_name).toBeUndefined();
    await log.close();
    expect(await broker.consumers()).toHaveLength(0);
  });
});
