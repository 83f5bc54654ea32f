// npm run soak: test/faults/writers.test.ts for as long as asked for, with a seed of one's choice.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const USAGE = `usage: npm run soak -- [options]

  --seconds N   how long writers and faults go on (default 300)
  --seed S      repeats the choices of a run; what they meet differs (default: a new one, which is printed)`;

const options = readOptions(process.argv.slice(2));
const root = fileURLToPath(new URL('../..', import.meta.url));
const vitest = spawn(
  process.execPath,
  [
    'node_modules/vitest/vitest.mjs',
    'run',
    'test/faults/writers.test.ts',
    '--config=test/vitest.config.ts',
    '--project=node',
    // The figures are for a person who watches, not for a report.
    '--disable-console-intercept',
  ],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      CELLOS_SOAK_SECONDS: String(options.seconds),
      CELLOS_SOAK_SEED: options.seed ?? String(Math.floor(Math.random() * 1e9)),
    },
  },
);
vitest.once('exit', (code) => process.exit(code ?? 1));

function readOptions(argv: string[]): { seconds: number; seed: string | undefined } {
  try {
    const { values } = parseArgs({
      args: argv,
      options: {
        seconds: { type: 'string' },
        seed: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    const seconds = Number(values.seconds ?? 300);
    if (!Number.isInteger(seconds) || seconds < 1) throw new Error(`--seconds is not ${values.seconds}`);
    return { seconds, seed: values.seed };
  } catch (error) {
    console.error(`soak: ${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return process.exit(2);
  }
}
