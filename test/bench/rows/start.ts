// Rows about starting: process start to ready, with an empty stream and after a cold replay.
import { planReplay } from '../events.ts';
import { withBroker, withServer } from '../measurement.ts';
import type { RowGroup } from '../measurement.ts';

/** An empty stream: what a process costs before it has done anything. */
export const emptyStart: RowGroup = {
  name: 'start',
  run: (context, record) =>
    withBroker((broker) =>
      withServer(context, broker, record, async (server) => {
        record.lower('spawn to ready, empty stream', 'ms', server.readyMs);
        const { formations } = (await server.getJson('/v1/formations')) as { formations: unknown[] };
        record.check(formations.length === 0, `an empty stream shows ${formations.length} formations`);
      }),
    ),
};

/** A replay of so many events; the view must hold exactly what was seeded. */
export function replay(events: number): RowGroup {
  const plan = planReplay(events);
  return {
    name: `replay-${events / 1_000}k`,
    run: async (context, record) => {
      const broker = await context.fixtures.get(plan);
      await withServer(context, broker, record, async (server) => {
        record.lower(`spawn to ready, ${events.toLocaleString('en')} events`, 'ms', server.readyMs);
        const { formations } = (await server.getJson('/v1/formations')) as {
          formations: { status: string }[];
        };
        const cells = (await server.getJson('/v1/cells')) as { state: string; exit_code: number }[];
        const running = formations.filter(({ status }) => status === 'RUNNING').length;
        const destroyed = cells.filter((cell) => cell.state === 'destroyed' && cell.exit_code === 0).length;
        const expectedCells = plan.formations * plan.cellsPerFormation;
        record.check(
          formations.length === plan.formations && running === plan.formations,
          `${plan.formations} running formations seeded, ${running} of ${formations.length} shown`,
        );
        record.check(
          cells.length === expectedCells && destroyed === expectedCells,
          `${expectedCells} destroyed cells seeded, ${destroyed} of ${cells.length} shown`,
        );
      });
    },
  };
}
