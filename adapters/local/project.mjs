// Where things lie in this checkout. Only names: nobody is started and nothing is written here.
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

// `import.meta.dirname` is younger than the first Node 20.
const HERE = dirname(fileURLToPath(import.meta.url));

/** The checkout's root folder. */
export const PROJECT_DIRECTORY = resolve(HERE, '../..');

/** The git-ignored folder with everything that a run leaves behind: broker data, token, caches. */
export const DATA_DIRECTORY = join(PROJECT_DIRECTORY, '.cellos');

/** Configuration, log and store of the nats-server that `npm start` runs; kept between runs. */
export const BROKER_DIRECTORY = join(DATA_DIRECTORY, 'nats');
