// The in-memory log keeps the port's promises, so that what is tested on it holds on the real one.
import { MemoryEventLog } from './support/memory-event-log.ts';
import { eventLogSuite } from './suites/event-log.ts';

eventLogSuite('in memory', async () => {
  const log = new MemoryEventLog();
  return {
    log,
    another: () => log.another(),
    append: async (payload, subject) => log.append(payload, subject),
    disconnect: async () => log.disconnect(),
    reconnect: async () => log.connect(),
    replace: async () => log.replace(),
    remove: async (seq) => log.remove(seq),
    purge: async (through) => log.purge(through),
    dispose: () => log.close(),
  };
});
