// Where things lie in this checkout. Only names: nobody is started and nothing is written here.
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

// `import.meta.dirname` is younger than the first Node 20.
const HERE = dirname(fileURLToPath(import.meta.url));

/** The checkout's root folder. */
export const PROJECT_DIRECTORY = resolve(HERE, '../..');

/** Everything that is worth keeping whoever runs: the broker's binary, the lock of the set-up. */
export const CACHE_DIRECTORY = join(PROJECT_DIRECTORY, '.cellos');

/** What a run leaves behind, broker data and token: git-ignored, or elsewhere for a second one beside it. */
export const DATA_DIRECTORY = resolve(process.env['CELLOS_LOCAL_DIRECTORY'] || CACHE_DIRECTORY);

/**
 * A path as it is told to people: within this checkout the one from its root.
 * @param {string} path
 */
export function shown(path) {
  const inside = relative(PROJECT_DIRECTORY, path);
  return inside.startsWith('..') || isAbsolute(inside) ? path : inside;
}

/** Configuration, log and store of the nats-server that `npm start` runs; kept between runs. */
export const BROKER_DIRECTORY = join(DATA_DIRECTORY, 'nats');

/** The server's view of the log, kept between runs. */
export const CHECKPOINT_DIRECTORY = join(DATA_DIRECTORY, 'checkpoint');
