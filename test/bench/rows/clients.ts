// Rows about what feed clients do to each other and to publishers: many that come back at once, acknowledgements beside many,
// and one that reads nothing.
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { EVENT_SUBJECT } from '../broker.ts';
import type { Broker } from '../broker.ts';
import { planReplay, seedEvents, takeEvents } from '../events.ts';
import { FeedLoad } from '../feed-load.ts';
import { Histogram } from '../histogram.ts';
import type { Address } from '../http-connection.ts';
import { noteClientBound, withBroker, withServer } from '../measurement.ts';
import type { Recorder, RowGroup } from '../measurement.ts';
import type { Side, Sizes } from '../options.ts';
import { Publisher } from '../publisher.ts';
import { seed } from '../seed.ts';
import { monotonicMs } from '../usage.ts';

const RATE_PER_SECOND = 200;
const RESUME_TIMEOUT_MS = 30_000;
// What comes before the events that are resumed, so that nobody is served "everything".
const EARLIER_EVENTS = 100;
// Far more than the kernel keeps for one connection: a client that takes none of it has a backlog.
const BULK_EVENTS = 400;
const BULK_BYTES = 100_000;
const STUCK_SETTLE_MS = 1_000;
const SUPPLY = planReplay(40_000);
// As in rows/feed.ts.
const MAX_WORKERD_CLIENTS = 100;
const WITHOUT_WORKERD: readonly Side[] = ['node', 'deno', 'peer'];

/** So many clients that resume at once: the time until the last one has everything, and how many do not get it. */
export function resume({ clients, events }: Sizes['resume']): RowGroup {
  return {
    name: `resume-${clients}`,
    run: (context, record) =>
      withBroker(async (broker) => {
        await seed(broker, takeEvents(seedEvents(SUPPLY), EARLIER_EVENTS + events));
        await withServer(context, broker, record, async (server) => {
          const done = await FeedLoad.resume(server, broker, clients, events, RESUME_TIMEOUT_MS);
          const row = `${clients} clients, ${events.toLocaleString('en')} events back`;
          record.lower(`${row}, until all have all`, 's', done.complete === clients ? done.seconds : null);
          record.higher(`${row}, complete`, '', done.complete);
          record.lower(`${row}, refused or cut`, '', done.refused);
          record.higher(`${row}, delivered`, 'frames/s', done.frames / done.seconds);
          record.lower(`${row}, server CPU`, 's', done.serverCpu);
          record.lower(`${row}, broker CPU`, 's', done.brokerCpu);
          record.lower(`${row}, consumers on the stream at most`, '', done.consumers);
          for (const problem of done.problems) record.check(false, `${row}: ${problem}`);
        });
      }),
  };
}

/** How long a publisher waits for JetStream's acknowledgement while so many clients are fed what it publishes. */
export function acknowledgements(clients: number): RowGroup {
  return {
    name: `acknowledgements-${clients}`,
    ...(clients > MAX_WORKERD_CLIENTS ? { sides: WITHOUT_WORKERD } : {}),
    run: (context, record) =>
      withBroker((broker) =>
        withServer(context, broker, record, async (server) => {
          const supply = seedEvents(SUPPLY);
          const publisher = await Publisher.connect(broker);
          const load = await FeedLoad.open(server, broker, publisher, clients, takeOne(supply));
          try {
            const events = takeEvents(supply, (RATE_PER_SECOND * context.sizes.feedMs) / 1e3);
            const acknowledged = new Histogram();
            const publish = (all: readonly string[]) => publishAcknowledged(broker, all, acknowledged);
            const phase = await load.run(events, publish, context.sizes.feedLateMs);
            const row = `acknowledgement, ${clients.toLocaleString('en')} ${clients === 1 ? 'client' : 'clients'} at ${RATE_PER_SECOND} events/s`;
            record.latency(row, acknowledged, noteClientBound(phase.clientCpuShare));
            record.check(acknowledged.total === events.length, `${row}: not every publish was acknowledged`);
          } finally {
            await load.stop();
            publisher.close();
          }
        }),
      ),
  };
}

/** The latency that so many clients see, alone and then beside one more that reads nothing of a long past. */
export function besideStuck(clients: number): RowGroup {
  return {
    name: `stuck-${clients}`,
    run: (context, record) =>
      withBroker(async (broker) => {
        const bulk = JSON.stringify({ type: 'dev.cellos.bench.bulk', data: 'x'.repeat(BULK_BYTES) });
        await seed(
          broker,
          Array.from({ length: BULK_EVENTS }, () => bulk),
        );
        await withServer(context, broker, record, async (server) => {
          const supply = seedEvents(SUPPLY);
          const publisher = await Publisher.connect(broker);
          const load = await FeedLoad.open(server, broker, publisher, clients, takeOne(supply));
          let stuck: Socket | null = null;
          try {
            const measure = (beside: string) =>
              measureLatency(record, load, publisher, supply, context.sizes, `${clients} clients, ${beside}`);
            await measure('nobody stuck');
            stuck = await openStuck(server.address);
            await sleep(STUCK_SETTLE_MS);
            await measure('one stuck');
          } finally {
            stuck?.destroy();
            await load.stop();
            publisher.close();
          }
        });
      }),
  };
}

async function measureLatency(
  record: Recorder,
  load: FeedLoad,
  publisher: Publisher,
  supply: Iterator<string>,
  sizes: Sizes,
  title: string,
): Promise<void> {
  const events = takeEvents(supply, (RATE_PER_SECOND * sizes.feedMs) / 1e3);
  const publish = (all: readonly string[]) => publisher.publishAtRate(all, RATE_PER_SECOND);
  const phase = await load.run(events, publish, sizes.feedLateMs);
  const row = `${title}, ${RATE_PER_SECOND} events/s`;
  record.latency(row, phase.latencies, noteClientBound(phase.clientCpuShare));
  for (const problem of phase.problems) record.check(false, `${row}: ${problem}`);
}

// On the schedule of Publisher.publishAtRate, whatever the acknowledgements take.
async function publishAcknowledged(
  broker: Broker,
  events: readonly string[],
  acknowledged: Histogram,
): Promise<number[]> {
  const jetstream = broker.connection.jetstream();
  const encoder = new TextEncoder();
  const publishedAt: number[] = [];
  const waiting: Promise<void>[] = [];
  const startedAt = monotonicMs();
  for (const [index, event] of events.entries()) {
    const delay = startedAt + (index * 1e3) / RATE_PER_SECOND - monotonicMs();
    if (delay > 0) await sleep(delay);
    const at = monotonicMs();
    publishedAt.push(at);
    const acknowledgement = jetstream.publish(EVENT_SUBJECT, encoder.encode(event));
    waiting.push(acknowledgement.then(() => acknowledged.add(monotonicMs() - at)));
  }
  // One that fails is missing in the histogram, whose total is checked.
  await Promise.allSettled(waiting);
  return publishedAt;
}

/** A session from the first event on whose client reads the answer's head and then nothing more. */
function openStuck({ host, port, token }: Address): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port }, () =>
      socket.write(
        `GET /ws/events?since=0 HTTP/1.1\r\nHost: ${host}:${port}\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
      ),
    );
    socket.on('error', reject);
    socket.once('data', () => {
      socket.pause();
      resolve(socket);
    });
  });
}

function takeOne(supply: Iterator<string>): string {
  const [event = ''] = takeEvents(supply, 1);
  return event;
}
