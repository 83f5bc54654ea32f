// The set-up step of npm's pre-scripts: what a command needs is there when it starts. Runs on the system's Node 20
// before anything is installed, hence built-in modules only. Flags:
//   --quiet              say nothing when there is nothing to do
//   --no-broker          nats-server is not needed
//   --external-broker-ok nats-server is not needed when CELLOS_NATS_URL names another broker
import { parseArgs } from 'node:util';

import { ensureDependencies } from './dependencies.mjs';
import { ensureNatsServer } from './nats-install.mjs';

const OLDEST_NODE_MAJOR = 20;

const say = (/** @type {string} */ line) => console.error(line);

async function setUp() {
  const { values: flags } = parseArgs({
    options: {
      quiet: { type: 'boolean', default: false },
      'no-broker': { type: 'boolean', default: false },
      'external-broker-ok': { type: 'boolean', default: false },
    },
  });
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE_MAJOR)
    throw new Error(
      `Node ${OLDEST_NODE_MAJOR} or newer is needed, this is ${process.version}. ` +
        'Install a newer one (your package manager, nvm, or nodejs.org); the rest is installed from here.',
    );

  const installed = await ensureDependencies(say);
  const external = flags['external-broker-ok'] && process.env['CELLOS_NATS_URL'];
  const broker = flags['no-broker'] || external ? undefined : await ensureNatsServer({ say });
  if (flags.quiet && !installed) return;
  say(
    broker
      ? `set-up: the npm packages are there, nats-server is ${broker}`
      : 'set-up: the npm packages are there',
  );
}

try {
  await setUp();
} catch (error) {
  say(`set-up failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
