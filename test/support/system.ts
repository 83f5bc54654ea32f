// The ports that a test takes as the runtime has them.
import type { Clock, Log } from '../../src/ports.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  soon: (run) => void setTimeout(run, 0),
};

const ignore = (): void => {};

export const silentLogger: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
