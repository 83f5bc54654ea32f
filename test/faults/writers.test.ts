// Several writers against a server on Node and one on Deno, while everything that can fail does; then every answer is held
// against the stream. `npm run soak` is the same for longer.
import { expect, test } from 'vitest';
import { runSoak } from '../soak/soak.ts';

const SECONDS = Number(process.env['CELLOS_SOAK_SECONDS'] ?? 30);
/** The same in every run of the tests; `npm run soak` takes others. */
const SEED = process.env['CELLOS_SOAK_SEED'] ?? '20261121';
/** Starting, coming to rest and comparing. */
const AROUND_MS = 60_000 + SECONDS * 500;
const SHOWN = 20;
/** Of each at least one; a short run has room for few of the slower ones. */
const HAPPENED = [
  ['kill-broker'],
  ['SIGKILL', 'SIGTERM'],
  ['cut', 'cut-acknowledgement', 'refuse', 'stall', 'stall-old'],
];

test(
  'OUT-40 OUT-41 OUT-42 OUT-43 OUT-44 OUT-45 every answer agrees with the stream, whatever fails',
  { timeout: SECONDS * 1000 + AROUND_MS },
  async () => {
    console.log(`seed ${SEED}, ${SECONDS} s`);
    const { violations, figures, file, successes, faults } = await runSoak({ seconds: SECONDS, seed: SEED });
    console.log(`seed ${SEED}: ${figures}`);
    const shown = violations.slice(0, SHOWN).map(({ kind, detail }) => `${kind}: ${detail}`);
    expect(violations, `${violations.length} violations, all of it in ${file}:\n${shown.join('\n')}`).toEqual(
      [],
    );
    // A run in which nothing happened shows nothing.
    expect(successes).toBeGreaterThan(SECONDS * 5);
    for (const kinds of HAPPENED) expect(kinds.some((kind) => faults[kind] !== undefined)).toBe(true);
  },
);
