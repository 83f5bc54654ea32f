// The in-memory log keeps the port's promises, so that what is tested on it holds on the real one.
import { MemoryEventLog } from './support/memory-event-log.ts';
import { eventLogSuite } from './suites/event-log.ts';

eventLogSuite('in memory', async () => {
  const log = new MemoryEventLog();
  const logs = [log];
  return {
    log,
    another() {
      const other = log.another();
      logs.push(other);
      return other;
    },
    append: async (payload, subject) => log.append(payload, subject),
    async appendMany(count) {
      let last = 0;
      for (let n = 0; n < count; n++) last = log.append({ n });
      return last;
    },
    async disconnect() {
      for (const each of logs) each.disconnect();
    },
    async reconnect() {
      for (const each of logs) each.connect();
    },
    replace: async () => log.replace(),
    remove: async (seq) => log.remove(seq),
    purge: async (through) => log.purge(through),
    patienceMs: 0,
    dispose: () => log.close(),
  };
});
