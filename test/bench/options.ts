// Owns the bench's command line: what may be asked, its defaults and the sizes behind --quick.
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { denoCommand } from '../support/deno-command.ts';
import { WORKERD_MAIN } from './workerd.ts';

/** How a server reaches the broker: its websocket listener or plain TCP. */
export type BrokerScheme = 'ws' | 'nats';

/** Where this server runs. */
type Runtime = 'node' | 'deno' | 'workerd';

/** A column of the table. */
export type Side = Runtime | 'peer';

/** What is measured: a program that listens, or the Worker in a workerd of its own. */
export interface Target {
  readonly side: Side;
  readonly kind: 'process' | 'worker';
  readonly command: readonly [string, ...string[]];
  readonly scheme: BrokerScheme;
}

/** Every size and duration a row depends on, so that --quick is one other set of numbers. */
export interface Sizes {
  readonly replays: readonly number[];
  readonly lists: readonly number[];
  readonly readMs: number;
  readonly serialPosts: number;
  readonly parallelPosts: number;
  readonly growthWindow: number;
  readonly liveMs: number;
  readonly feeds: readonly number[];
  readonly feedMs: number;
  /** How long after the last publish frames may still come. */
  readonly feedLateMs: number;
  readonly burstEvents: number;
  readonly burstLateMs: number;
  /** Clients that come back at once, so many events behind. */
  readonly resume: { readonly clients: number; readonly events: number };
  /** Clients beside which a publisher waits for its acknowledgements. */
  readonly acknowledged: readonly number[];
  /** Clients beside one that reads nothing. */
  readonly besideStuck: number;
  /** Events in a checkpoint, and those published after it. */
  readonly restart: { readonly saved: number; readonly behind: number };
  /** Sessions that are only held, each number on a server of its own. */
  readonly idleSessions: readonly number[];
  /** Sessions to which events come ever faster, and for how long at each rate. */
  readonly loadedSessions: readonly number[];
  readonly capacityMs: number;
}

const FULL_SIZES: Sizes = {
  replays: [10_000, 100_000],
  lists: [1_000, 10_000],
  readMs: 1_500,
  serialPosts: 500,
  parallelPosts: 10_000,
  growthWindow: 1_000,
  liveMs: 5_000,
  feeds: [1, 10, 100, 500, 1_000],
  feedMs: 4_000,
  feedLateMs: 4_000,
  burstEvents: 5_000,
  burstLateMs: 8_000,
  resume: { clients: 200, events: 5_000 },
  acknowledged: [1, 1_000],
  besideStuck: 100,
  restart: { saved: 100_000, behind: 1_000 },
  idleSessions: [100, 1_000, 5_000, 10_000],
  loadedSessions: [100, 1_000],
  capacityMs: 5_000,
};

const QUICK_SIZES: Sizes = {
  replays: [10_000],
  lists: [1_000],
  readMs: 300,
  serialPosts: 100,
  parallelPosts: 1_000,
  growthWindow: 200,
  liveMs: 1_000,
  feeds: [1, 100],
  feedMs: 1_000,
  feedLateMs: 3_000,
  burstEvents: 1_000,
  burstLateMs: 5_000,
  resume: { clients: 20, events: 1_000 },
  acknowledged: [1, 100],
  besideStuck: 10,
  restart: { saved: 10_000, behind: 1_000 },
  idleSessions: [100, 1_000],
  loadedSessions: [100],
  capacityMs: 1_000,
};

/** What one invocation measures. */
export interface BenchOptions {
  /** In the order of the table's columns: the first is what the others are compared with. */
  readonly targets: readonly [Target, ...Target[]];
  readonly runs: number;
  readonly only: readonly string[];
  readonly sizes: Sizes;
  readonly jsonFile: string | null;
}

const USAGE = `usage: npm run bench -- [options]

  --runtimes NAME,NAME  where this server is measured: node, deno, workerd (default all); a column each
  --only NAME,NAME      only these row groups; a prefix selects several (feed, replay-10k, ...);
                        capacity, how much one server holds and sustains, is measured only when asked for
  --runs N              server starts per column and group (default 3, with --quick 1)
  --quick               small sizes, a minute
  --server 'COMMAND'    what to measure as node (default: adapters/node.ts of this project)
  --server-broker ws|nats   which broker listener it is given (default ws)
  --peer 'COMMAND'      another server of the same contract, a further column
  --peer-broker ws|nats     (default nats)
  --control             the first runtime as its own peer: the ratio column is the noise
  --json FILE           raw numbers`;

/** Reads argv; prints the usage and exits for --help, exits with 2 for what it does not understand. */
export function parseOptions(argv: string[]): BenchOptions {
  const { values } = readArguments(argv);
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const quick = values.quick === true;
  const runs = Number(values.runs ?? (quick ? 1 : 3));
  if (!Number.isInteger(runs) || runs < 1 || runs > 100) fail(`--runs must be 1 to 100, not ${values.runs}`);
  return {
    targets: toTargets(values),
    runs,
    only: values.only?.split(',').filter((name) => name !== '') ?? [],
    sizes: quick ? QUICK_SIZES : FULL_SIZES,
    jsonFile: values.json ?? null,
  };
}

function readArguments(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      options: {
        only: { type: 'string' },
        runtimes: { type: 'string' },
        runs: { type: 'string' },
        quick: { type: 'boolean' },
        server: { type: 'string' },
        'server-broker': { type: 'string' },
        peer: { type: 'string' },
        'peer-broker': { type: 'string' },
        control: { type: 'boolean' },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function toTargets(values: ReturnType<typeof readArguments>['values']): [Target, ...Target[]] {
  const [first, ...others] = toRuntimes(values.runtimes ?? 'node,deno,workerd').map((runtime): Target => {
    if (runtime === 'workerd')
      return { side: runtime, kind: 'worker', command: [process.execPath, WORKERD_MAIN], scheme: 'ws' };
    if (runtime === 'deno') return { side: runtime, kind: 'process', command: denoCommand(), scheme: 'ws' };
    const command = values.server === undefined ? defaultCommand() : splitCommand(values.server);
    return { side: runtime, kind: 'process', command, scheme: toScheme(values['server-broker'] ?? 'ws') };
  });
  if (first === undefined) return fail('no runtime to measure');
  if (values.control) {
    if (values.peer !== undefined) fail('--control is its own peer: leave out --peer');
    return [first, { ...first, side: 'peer' }];
  }
  if (values.peer === undefined) return [first, ...others];
  const command = splitCommand(values.peer);
  const scheme = toScheme(values['peer-broker'] ?? 'nats');
  return [first, ...others, { side: 'peer', kind: 'process', command, scheme }];
}

function toRuntimes(text: string): Runtime[] {
  const names = new Set(text.split(',').filter((name) => name !== ''));
  return [...names].map((name) =>
    name === 'node' || name === 'deno' || name === 'workerd'
      ? name
      : fail(`a runtime is node, deno or workerd, not ${name}`),
  );
}

function toScheme(text: string): BrokerScheme {
  return text === 'ws' || text === 'nats' ? text : fail(`a broker listener is ws or nats, not ${text}`);
}

function defaultCommand(): [string, ...string[]] {
  return [process.execPath, fileURLToPath(new URL('../../adapters/node.ts', import.meta.url))];
}

// No shell in between: its process would be the one whose memory and CPU are read.
function splitCommand(text: string): [string, ...string[]] {
  const words = [...text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    (match) => match[1] ?? match[2] ?? match[3] ?? '',
  );
  const [program, ...rest] = words;
  return program === undefined ? fail('an empty command') : [program, ...rest];
}

function fail(message: string): never {
  console.error(`bench: ${message}\n\n${USAGE}`);
  process.exit(2);
}
