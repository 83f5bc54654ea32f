// Rows about reading the projection: single records at several concurrencies, and whole lists.
import { cellName, formationId, planRecords } from '../events.ts';
import { Histogram } from '../histogram.ts';
import type { HttpCommands, ReadCommand, ReadResult } from '../load-http.ts';
import { noteClientBound, withServer } from '../measurement.ts';
import type { Recorder, RowGroup } from '../measurement.ts';
import type { Server } from '../server.ts';
import { LoadWorker } from '../workers.ts';

const CONNECTIONS = [1, 16, 64];
const LIST_CONNECTIONS = 4;
const DISTINCT_PATHS = 1_000;
// The load is a fresh process, which compiles what it runs as well.
const WARM_UP_MS = 1_000;
// The first load of a kind also warms up what a server compiles while it runs: servers live for weeks, not for seconds.
const FIRST_WARM_UP_MS = 2_000;
const GRACE_MS = 30_000;

/** GET of one formation and of one cell out of `records` each. */
export function singleReads(records: number): RowGroup {
  return {
    name: 'get',
    run: async (context, record) => {
      const broker = await context.fixtures.get(planRecords(records));
      const step = Math.max(1, Math.floor(records / DISTINCT_PATHS));
      const indexes = Array.from({ length: Math.min(records, DISTINCT_PATHS) }, (_, index) => index * step);
      const kinds = [
        { kind: 'formation', paths: indexes.map((index) => `/v1/formations/${formationId(index)}`) },
        { kind: 'cell', paths: indexes.map((index) => `/v1/cells/${cellName(index, 0)}`) },
      ];
      await withServer(context, broker, record, async (server) => {
        for (const { kind, paths } of kinds) {
          for (const connections of CONNECTIONS) {
            const result = await load(server, {
              connections,
              paths,
              checkIds: true,
              warmUpMs: connections === CONNECTIONS[0] ? FIRST_WARM_UP_MS : WARM_UP_MS,
              durationMs: context.sizes.readMs,
            });
            const title = `one ${kind}, ${connections === 1 ? '1 connection' : `${connections} connections`}`;
            reportReads(record, title, result);
          }
        }
      });
    },
  };
}

/** GET of all formations and of all cells, `records` each. */
export function lists(records: number): RowGroup {
  const name = `list-${records / 1_000}k`;
  return {
    name,
    run: async (context, record) => {
      const broker = await context.fixtures.get(planRecords(records));
      await withServer(context, broker, record, async (server) => {
        for (const kind of ['formations', 'cells']) {
          const result = await load(server, {
            connections: LIST_CONNECTIONS,
            paths: [`/v1/${kind}`],
            checkIds: false,
            warmUpMs: WARM_UP_MS,
            durationMs: context.sizes.readMs,
          });
          reportReads(
            record,
            `${records.toLocaleString('en')} ${kind}, ${LIST_CONNECTIONS} connections`,
            result,
          );
          record.check(
            result.entries === records,
            `${records} ${kind} seeded, the list has ${result.entries}`,
          );
        }
      });
    },
  };
}

async function load(server: Server, command: Omit<ReadCommand, 'address'>): Promise<ReadResult> {
  const worker = new LoadWorker<HttpCommands>('./load-http.ts');
  try {
    const complete = { ...command, address: server.address };
    return await worker.call('read', complete, command.durationMs + GRACE_MS);
  } finally {
    await worker.stop();
  }
}

function reportReads(record: Recorder, title: string, result: ReadResult): void {
  const note = noteClientBound(result.cpuShare);
  record.higher(`${title}, rate`, 'req/s', result.requests / result.seconds, note);
  record.latency(title, new Histogram(result.latencies), note);
  record.check(result.wrong === 0, `${title}: ${result.wrong} wrong answers`);
}
