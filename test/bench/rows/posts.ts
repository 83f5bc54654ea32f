// Rows about admitting formations: rate and latency, growth with the number of formations, and whether the log
// really holds what was answered with 201.
import { setTimeout as sleep } from 'node:timers/promises';
import { STREAM } from '../broker.ts';
import type { Broker } from '../broker.ts';
import { formationDocument } from '../events.ts';
import { Histogram } from '../histogram.ts';
import type { HttpCommands, PostResult } from '../load-http.ts';
import { noteClientBound, withBroker, withServer } from '../measurement.ts';
import type { RowGroup, RunContext } from '../measurement.ts';
import { monotonicMs } from '../usage.ts';
import { LoadWorker } from '../workers.ts';

const TIMEOUT_MS = 120_000;
// A server that runs for months is not measured by its first half second of compiling. Counted in the checks.
const WARM_UP_POSTS = 300;
// A server that does not wait for acknowledgements may still be publishing when its last answer is here.
const SETTLE_MS = 5_000;
const POLL_MS = 50;

/** POST /v1/formations with unique names over `connections` connections. */
export function posts(connections: number): RowGroup {
  return {
    name: `post-${connections}`,
    // Deno 2.9.5 ends the connection behind a body of more than some 300 bytes (github.com/denoland/deno/issues/36657).
    sides: ['node', 'workerd', 'peer'],
    run: (context, record) =>
      withBroker((broker) =>
        withServer(context, broker, record, async (server) => {
          const count = connections === 1 ? context.sizes.serialPosts : context.sizes.parallelPosts;
          const bodies = Array.from({ length: WARM_UP_POSTS + count }, (_, index) =>
            formationDocument(`bench-${index}`),
          );
          const { growthWindow } = context.sizes;
          const command = { address: server.address, connections, path: '/v1/formations', growthWindow };
          const worker = new LoadWorker<HttpCommands>('./load-http.ts');
          let warmUp: PostResult;
          let result: PostResult;
          try {
            const warmUpBodies = bodies.splice(0, WARM_UP_POSTS);
            warmUp = await worker.call('post', { ...command, bodies: warmUpBodies }, TIMEOUT_MS);
            result = await worker.call('post', { ...command, bodies }, TIMEOUT_MS);
          } finally {
            await worker.stop();
          }
          const ids = [...warmUp.ids, ...result.ids];
          const title = `${count.toLocaleString('en')} formations, ${connections === 1 ? 'one at a time' : `${connections} at a time`}`;
          const note = noteClientBound(result.cpuShare);
          record.higher(`${title}, rate`, '201s/s', result.ids.length / result.seconds, note);
          record.latency(title, new Histogram(result.latencies), note);
          if (connections > 1) {
            const window = growthWindow.toLocaleString('en');
            record.higher(`the first ${window} of these, rate`, '201s/s', result.firstRate, note);
            record.higher(`the last ${window} of these, rate`, '201s/s', result.lastRate, note);
          }
          record.check(
            result.ids.length === count,
            `${count} posted, refused: ${JSON.stringify(result.refused)}`,
          );
          await checkCreated(context, broker, ids, (problem) => record.check(false, problem));
          const { formations } = (await server.getJson('/v1/formations')) as { formations: { id: string }[] };
          const shown = new Set(formations.map(({ id }) => id));
          const hidden = ids.filter((id) => !shown.has(id)).length;
          record.check(hidden === 0, `${hidden} formations answered with 201 are not listed`);
        }),
      ),
  };
}

// Exactly one created event per answered id, told by type and data, as the contract has consumers do it.
async function checkCreated(
  { target }: RunContext,
  broker: Broker,
  ids: readonly string[],
  report: (problem: string) => void,
): Promise<void> {
  const deadline = monotonicMs() + SETTLE_MS;
  let last = await broker.lastSequence();
  while (last < ids.length && monotonicMs() < deadline) {
    await sleep(POLL_MS);
    last = await broker.lastSequence();
  }
  const created = new Map<string, number>();
  if (last > 0) {
    const consumer = await broker.connection.jetstream().consumers.get(STREAM);
    const messages = await consumer.consume({ max_messages: 5_000 });
    for await (const message of messages) {
      const event = message.json<{ type: string; data: { formationId?: string } }>();
      const id = event.data.formationId;
      if (id !== undefined && event.type.endsWith('.formation.v1.created'))
        created.set(id, (created.get(id) ?? 0) + 1);
      if (message.seq >= last) break;
    }
  }
  const lost = ids.filter((id) => !created.has(id)).length;
  const repeated = ids.filter((id) => (created.get(id) ?? 0) > 1).length;
  if (lost > 0)
    report(`${target.side}: ${lost} of ${ids.length} formations answered with 201 are not in the stream`);
  if (repeated > 0) report(`${target.side}: ${repeated} formations have several created events`);
}
