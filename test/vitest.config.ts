// Test projects. `node` runs everything that is not for workerd alone; `workerd` runs the tests of src/ again, in the runtime of
// Cloudflare, with the date and the flags of wrangler.toml.
import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';
import { BaseSequencer } from 'vitest/node';
import type { TestSpecification } from 'vitest/node';

const root = new URL('..', import.meta.url).pathname;

// No looking for a newer version, no statistics: tests use no network.
process.env['CLOUDFLARE_CF_FETCH_ENABLED'] = 'false';
process.env['WRANGLER_SEND_METRICS'] = 'false';

/** Files that mostly wait come first, the longest before all others: at the end nothing would be left to run beside them. */
const LONGEST = [
  'slow-consumer',
  'nats.test',
  'connection',
  'openapi/fuzz',
  'eviction',
  'adapters/deno',
  'adapters/node',
  'faults/',
  'clients/webui',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = LONGEST.findIndex((part) => moduleId.includes(part));
      return at < 0 ? LONGEST.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    // Suites start servers and brokers: more files at once than processors only make each of them late.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'node',
          root,
          include: ['test/**/*.test.ts'],
          exclude: ['**/*.workerd.test.ts'],
          globalSetup: ['test/support/global-setup.ts'],
          // A fault may take the contract's 5 s to be noticed, and two processors are shared by several files.
          testTimeout: 20_000,
          hookTimeout: 30_000,
        },
      },
      {
        plugins: [
          cloudflareTest(({ inject }) => ({
            wrangler: { configPath: `${root}wrangler.toml` },
            miniflare: {
              bindings: { CELLOS_NATS_URL: inject('natsUrl'), CELLOS_SERVER_API_TOKEN: 'inside-workerd' },
            },
          })),
        ],
        test: {
          name: 'workerd',
          root,
          include: ['test/*.test.ts', 'test/**/*.workerd.test.ts'],
          globalSetup: ['test/support/workerd-setup.ts'],
          // They start processes (brokers, servers, wrangler) or write files.
          exclude: ['test/{local,nats,bundle,checkpoint-bucket,checkpoint-file}.test.ts'],
          // Starting a workerd for each file takes as long as the tests do, and each file was alone on Node.
          isolate: false,
          testTimeout: 20_000,
        },
      },
    ],
  },
});
