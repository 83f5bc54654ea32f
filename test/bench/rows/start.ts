// Rows about starting: start to ready, with an empty stream, after a cold replay, and from a checkpoint.
import { join } from 'node:path';
import { planReplay, seedEvents, takeEvents } from '../events.ts';
import type { SeedPlan } from '../events.ts';
import { withBroker, withServer } from '../measurement.ts';
import type { Recorder, RowGroup } from '../measurement.ts';
import type { Sizes } from '../options.ts';
import { createTemporaryDirectory, removeTemporaryDirectory } from '../processes.ts';
import { seed } from '../seed.ts';
import { Server } from '../server.ts';
import { type SignedBy, VERIFY_KEYS } from '../signing.ts';

// Saves when it has nothing to do any more, or is stopped, and says when it has.
const SAVES_SOON = { CELLOS_SERVER_IDLE_SECONDS: '1', RUST_LOG: 'debug' };
const LOGS_RESTORING = { RUST_LOG: 'info' };

/** An empty stream: what a process costs before it has done anything. */
export const emptyStart: RowGroup = {
  name: 'start',
  run: (context, record) =>
    withBroker((broker) =>
      withServer(context, broker, record, async (server) => {
        record.lower('start to ready, empty stream', 'ms', server.readyMs);
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
        record.lower(`start to ready, ${events.toLocaleString('en')} events`, 'ms', server.readyMs);
        await checkReplayed(server, plan, record);
      });
    },
  };
}

/** The same in signed envelopes, which every runtime verifies: 100,000 of them at 8,000/s and 20,000/s at the least. */
export function signedReplay(events: number, signedBy: SignedBy): RowGroup {
  const plan = { ...planReplay(events), signedBy };
  return {
    name: `replay-${events / 1_000}k-${signedBy}`,
    sides: ['node', 'deno', 'workerd'],
    run: async (context, record) => {
      const broker = await context.fixtures.get(plan);
      await withServer(
        context,
        broker,
        record,
        async (server) => {
          const title = `${events.toLocaleString('en')} events signed with ${signedBy}`;
          record.lower(`start to ready, ${title}`, 'ms', server.readyMs);
          await checkReplayed(server, plan, record);
        },
        { variables: { CELLOS_EVENT_VERIFY_KEYS: VERIFY_KEYS } },
      );
    },
  };
}

/** Where a checkpoint can be, and who can keep it there. */
const PLACES = {
  own: { sides: ['workerd'], title: 'checkpoint' },
  nats: { sides: ['node', 'deno'], title: 'checkpoint with the broker' },
  file: { sides: ['node'], title: 'checkpoint in a folder' },
} as const;

/** A start with a checkpoint, and some events after it: in the Worker's storage, with the broker, on Node in a folder too. */
export function restart({ saved, behind }: Sizes['restart'], place: keyof typeof PLACES): RowGroup {
  const plan = planReplay(saved + behind);
  return {
    name: `restart-${saved / 1_000}k${place === 'own' ? '' : `-${place}`}`,
    sides: PLACES[place].sides,
    run: (context, record) =>
      withBroker(async (broker) => {
        const supply = seedEvents(plan);
        await seed(broker, takeEvents(supply, saved));
        const directory = createTemporaryDirectory();
        const storage = join(directory, 'storage');
        const checkpoint: Readonly<Record<string, string>> =
          place === 'own' ? {} : { CELLOS_SERVER_CHECKPOINT: place === 'file' ? `file:${storage}` : place };
        const first = await Server.start(context.target, broker, {
          storage,
          variables: { ...SAVES_SOON, ...checkpoint },
        });
        try {
          // A process saves at the latest when it is stopped; every ten seconds is soon enough to see it do so.
          await first.whenLogged(new RegExp(`checkpoint saved.*"cursor":${saved}\\b`));
        } finally {
          await first.stop();
        }
        await seed(broker, takeEvents(supply, behind));
        await withServer(
          context,
          broker,
          record,
          async (server) => {
            const title = `${PLACES[place].title} of ${saved.toLocaleString('en')} events, ${behind.toLocaleString('en')} behind`;
            record.lower(`start to ready, ${title}`, 'ms', server.readyMs);
            record.check(
              server.hasLogged(new RegExp(`checkpoint restored.*"cursor":${saved}\\b`)),
              'the checkpoint was not what it started from',
            );
            await checkReplayed(server, plan, record);
          },
          { storage, variables: { ...LOGS_RESTORING, ...checkpoint } },
        );
        removeTemporaryDirectory(directory);
      }),
  };
}

/** The view must hold exactly what was seeded. */
async function checkReplayed(server: Server, plan: SeedPlan, record: Recorder): Promise<void> {
  const { formations } = (await server.getJson('/v1/formations')) as { formations: { status: string }[] };
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
}
