// Owns the bench's command line: what may be asked, its defaults and the sizes behind --quick.
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';

/** How a server reaches the broker: its websocket listener or plain TCP. */
export type BrokerScheme = 'ws' | 'nats';

/** One of the two sides of a comparison. */
export interface Target {
  readonly side: 'ours' | 'peer';
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
}

const FULL_SIZES: Sizes = {
  replays: [10_000, 100_000],
  lists: [1_000, 10_000],
  readMs: 1_500,
  serialPosts: 500,
  parallelPosts: 10_000,
  growthWindow: 1_000,
  liveMs: 5_000,
  feeds: [1, 100, 1_000],
  feedMs: 4_000,
  feedLateMs: 4_000,
  burstEvents: 5_000,
  burstLateMs: 8_000,
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
};

/** What one invocation measures. */
export interface BenchOptions {
  readonly ours: Target;
  readonly peer: Target | null;
  readonly runs: number;
  readonly only: readonly string[];
  readonly sizes: Sizes;
  readonly jsonFile: string | null;
}

const USAGE = `usage: npm run bench -- [options]

  --only NAME,NAME      only these row groups; a prefix selects several (feed, replay-10k, ...)
  --runs N              server starts per side and group (default 3, with --quick 1)
  --quick               small sizes, under a minute
  --server 'COMMAND'    what to measure (default: adapters/node.ts of this project)
  --server-broker ws|nats   which broker listener it is given (default ws)
  --peer 'COMMAND'      another server of the same contract, run alternately
  --peer-broker ws|nats     (default nats)
  --control             the measured server as its own peer: the ratio column is the noise
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
  const ours: Target = {
    side: 'ours',
    command: values.server === undefined ? defaultCommand() : splitCommand(values.server),
    scheme: toScheme(values['server-broker'] ?? 'ws'),
  };
  return {
    ours,
    peer: toPeer(ours, values),
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

function toPeer(
  ours: Target,
  values: { peer?: string | undefined; 'peer-broker'?: string | undefined; control?: boolean | undefined },
): Target | null {
  if (values.control) {
    if (values.peer !== undefined) fail('--control is its own peer: leave out --peer');
    return { ...ours, side: 'peer' };
  }
  if (values.peer === undefined) return null;
  return {
    side: 'peer',
    command: splitCommand(values.peer),
    scheme: toScheme(values['peer-broker'] ?? 'nats'),
  };
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
