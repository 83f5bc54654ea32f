// Test projects. `node` runs everything on Node; a file that another runtime runs too names it in its own project.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // Suites start servers and brokers: more files at once than processors only make each of them late.
    maxWorkers: 3,
    projects: [
      {
        test: {
          name: 'node',
          root: new URL('..', import.meta.url).pathname,
          include: ['test/**/*.test.ts'],
          globalSetup: ['test/support/global-setup.ts'],
          // A fault may take the contract's 5 s to be noticed, and two processors are shared by several files.
          testTimeout: 20_000,
          hookTimeout: 30_000,
        },
      },
    ],
  },
});
