// Rows about latency at a low fixed rate: publish to frame on one WebSocket, publish to visible over HTTP.
import { cellStarted } from '../events.ts';
import { FeedLoad } from '../feed-load.ts';
import { Histogram } from '../histogram.ts';
import { encodeRequest, HttpConnection } from '../http-connection.ts';
import { withBroker, withServer } from '../measurement.ts';
import type { RowGroup } from '../measurement.ts';
import { Publisher } from '../publisher.ts';
import type { Server } from '../server.ts';
import { monotonicMs } from '../usage.ts';

const RATE_PER_SECOND = 100;
const LATE_MS = 5_000;

/** One subscriber, then one reader that polls for the newest cell as fast as it is answered. */
export const live: RowGroup = {
  name: 'live',
  run: (context, record) =>
    withBroker((broker) =>
      withServer(context, broker, record, async (server) => {
        const publisher = await Publisher.connect(broker);
        const count = Math.ceil((context.sizes.liveMs * RATE_PER_SECOND) / 1e3);
        const load = await FeedLoad.open(server, broker, publisher, 1, cellStarted('live-marker'));
        try {
          const events = Array.from({ length: count }, (_, index) => cellStarted(`frame-${index}`));
          const phase = await load.run(
            events,
            (all) => publisher.publishAtRate(all, RATE_PER_SECOND),
            LATE_MS,
          );
          record.latency(`publish to frame, ${RATE_PER_SECOND} events/s`, phase.latencies);
          for (const problem of phase.problems) record.check(false, `publish to frame: ${problem}`);
        } finally {
          await load.stop();
        }
        const visible = await measureVisible(server, publisher, count);
        record.latency(`publish to visible, ${RATE_PER_SECOND} events/s`, visible);
        record.check(
          visible.total === count,
          `${count} cells published, ${visible.total} became visible in time`,
        );
        publisher.close();
      }),
    ),
};

// The log is applied in order, so polling for the oldest cell that is not there yet finds every one's moment.
async function measureVisible(server: Server, publisher: Publisher, count: number): Promise<Histogram> {
  const cells = Array.from({ length: count }, (_, index) => `visible-${index}`);
  const requests = cells.map((cell) => encodeRequest(server.address, `/v1/cells/${cell}`));
  const latencies = new Histogram();
  const connection = new HttpConnection(server.address);
  connection.keepBodies = false;
  await connection.whenOpen();
  const publishedAt: number[] = [];
  let onPublished: (() => void) | null = null;
  let endsAt = Number.POSITIVE_INFINITY;
  const poll = async () => {
    while (latencies.total < count && monotonicMs() < endsAt) {
      const at = publishedAt[latencies.total];
      if (at === undefined) {
        await new Promise<void>((resolve) => (onPublished = resolve));
        continue;
      }
      const { status } = await connection.request(requests[latencies.total] as Buffer);
      if (status === 200) latencies.add(monotonicMs() - at);
      else if (status !== 404) throw new Error(`GET /v1/cells answered ${status}`);
    }
  };
  const publish = async () => {
    await publisher.publishAtRate(cells.map(cellStarted), RATE_PER_SECOND, (at) => {
      publishedAt.push(at);
      onPublished?.();
    });
    endsAt = monotonicMs() + LATE_MS;
  };
  try {
    await Promise.all([poll(), publish()]);
  } finally {
    connection.close();
  }
  return latencies;
}
