// The clock of a runtime that has Node's timers, as Deno has too.
import { setImmediate } from 'node:timers';

import type { Clock } from '../../src/ports.ts';

export const processClock: Clock = {
  now: Date.now,
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  soon: (run) => void setImmediate(run),
};
