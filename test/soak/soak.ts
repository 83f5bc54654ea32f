// One run: a broker, a server on Node and one on Deno, writers and a supervisor, faults; then quiet, and the comparison.
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { headers } from 'nats';
import { denoTarget } from '../support/deno-server.ts';
import { cellDestroyed, cellStarted } from '../support/events.ts';
import { Broker, SUPERVISOR_SUBJECT } from '../support/nats-server.ts';
import { Rig, ServerProcess, nodeTarget } from '../support/server-process.ts';
import { check } from './checker.ts';
import { Faults } from './faults.ts';
import type { Operation, Violation } from './history.ts';
import { isSuccess, isWrite, statusOf } from './history.ts';
import { Member } from './member.ts';
import { Random } from './random.ts';
import { checkViews } from './views.ts';
import type { View } from './views.ts';
import { SeededWriter, World } from './writers.ts';

const WRITERS = 6;
const SUPERVISOR_PAUSE_MS = 25;
const SETTLE_MS = 20_000;
/** How long nothing new may come before the stream counts as quiet. */
const QUIET_MS = 1000;

export interface SoakOptions {
  readonly seconds: number;
  readonly seed: string;
  /** Whether writers use Idempotency-Key; without, the servers are asked whether they know it. */
  readonly keys?: boolean;
}

export interface SoakResult {
  readonly violations: readonly Violation[];
  /** What happened, in a line. */
  readonly figures: string;
  /** Where the history and the stream were written to, when something was found. */
  readonly file: string | null;
  /** Writes that succeeded, and faults of each kind. */
  readonly successes: number;
  readonly faults: Readonly<Record<string, number>>;
}

/** Runs for so long, and as much longer as it takes until both servers are at the end of the stream. */
export async function runSoak({ seconds, seed, keys }: SoakOptions): Promise<SoakResult> {
  const choices = new Random(seed);
  const broker = await Broker.start();
  const nodeUrl = choices.isChosen(0.5) ? broker.websocketUrl : broker.url;
  const environment: Record<string, string> = choices.isChosen(0.5)
    ? { CELLOS_SERVER_CHECKPOINT: 'nats' }
    : {};
  const members = await Promise.all([
    Member.start(nodeTarget, nodeUrl, environment),
    Member.start(denoTarget, broker.websocketUrl, environment),
  ]);
  const world = new World(members, keys ?? false);
  if (keys === undefined) await world.probeKeys();

  const end = AbortSignal.timeout(seconds * 1000);
  const faults = new Faults(end);
  const done = await Promise.allSettled([
    ...Array.from({ length: WRITERS }, (_, number) =>
      new SeededWriter(world, number, new Random(`${seed} writer ${number}`)).run(end),
    ),
    supervise(broker, world, end),
    faults.disturbBroker(broker, new Random(`${seed} broker`)),
    ...members.flatMap((member) => [
      faults.disturbWire(member.wire, member.name, new Random(`${seed} wire ${member.name}`)),
      faults.disturbProcess(member, new Random(`${seed} process ${member.name}`)),
    ]),
  ]);
  for (const one of done) if (one.status === 'rejected') throw one.reason;

  const settled = await settle(broker, members);
  const fresh = await ServerProcess.start(nodeTarget, { CELLOS_NATS_URL: broker.websocketUrl });
  const views = await Promise.all(members.map(({ name, process }) => viewOf(name, process)));
  const freshView = await viewOf('fresh', fresh);
  const messages = await broker.messages();
  const history = { operations: world.operations, disturbances: faults.disturbances };
  const report = check(history, messages);
  const violations = [
    ...faults.violations,
    ...settled,
    ...report.violations,
    ...checkViews(views, freshView, messages),
  ];
  let file: string | null = null;
  if (violations.length > 0) {
    file = join(tmpdir(), `cellos-soak-${seed}.json`);
    const logs = Object.fromEntries(members.map(({ name, process }) => [name, process.log]));
    await writeFile(file, JSON.stringify({ seed, violations, ...history, messages, logs }, null, 1));
  }
  await Promise.all([fresh.stop(), ...members.map((member) => member.stop())]);
  await broker.stop();
  const checkpoint = environment['CELLOS_SERVER_CHECKPOINT'] ?? 'off';
  const setting = `Node on ${new URL(nodeUrl).protocol}//, checkpoint ${checkpoint}`;
  return {
    violations,
    figures: [
      `${setting}, keys ${world.hasKeys}`,
      describe(world.operations),
      `${messages.length} events, ${report.unansweredEvents} of them of requests without a success`,
      `${report.staleRefusals} refusals from the view of a server that was cut off`,
      JSON.stringify(faults.counts),
    ].join('; '),
    file,
    successes: world.operations.filter(isWrite).filter(isSuccess).length,
    faults: faults.counts,
  };
}

/** Cells that begin and end, published as a supervisor does it: again under the same id until it is acknowledged. */
async function supervise(broker: Broker, world: World, end: AbortSignal): Promise<void> {
  for (let sent = 0; !end.aborted;) {
    const cell = `cell-${sent >> 1}`;
    const formationId = world.ids.at(-1);
    const event =
      sent % 2 === 0
        ? cellStarted(cell, formationId === undefined ? {} : { formationId })
        : cellDestroyed(cell);
    const header = headers();
    header.set('Nats-Msg-Id', `supervisor-${sent}`);
    try {
      const jetstream = await broker.jetstream();
      await jetstream.publish(SUPERVISOR_SUBJECT, JSON.stringify(event), { headers: header, timeout: 1000 });
      sent += 1;
    } catch {
      // The broker is away.
    }
    await delay(SUPERVISOR_PAUSE_MS);
  }
}

/** Until what was held up on its way has come, and both servers have all of it. */
async function settle(broker: Broker, members: readonly Member[]): Promise<Violation[]> {
  for (let last = -1; ;) {
    const now = await broker.lastSequence();
    if (now === last) break;
    last = now;
    await delay(QUIET_MS);
  }
  const late = await Promise.all(
    members.map((member) =>
      new Rig(broker, member.process).whenApplied(undefined, SETTLE_MS).then(
        () => null,
        (error: unknown) => ({ kind: 'not-caught-up', detail: `${member.name}: ${String(error)}` }),
      ),
    ),
  );
  return late.filter((one) => one !== null);
}

async function viewOf(server: string, { http }: ServerProcess): Promise<View> {
  const [formations, cells] = await Promise.all([http.get('/v1/formations'), http.get('/v1/cells')]);
  return { server, formations: formations.text, cells: cells.text };
}

function describe(operations: readonly Operation[]): string {
  const counts = new Map<string, number>();
  for (const operation of operations) {
    const { outcome, request } = operation;
    const answer = outcome.kind === 'answered' ? statusOf(operation) : outcome.kind;
    const what = request.kind === 'read' ? 'reads' : `${answer}`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  const each = [...counts].toSorted().map(([what, count]) => `${what}: ${count}`);
  return `${operations.length} requests (${each.join(', ')})`;
}
