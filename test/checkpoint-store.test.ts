// The store in memory keeps the port's promises, so that what is tested on it holds on the real ones.
import { checkpointStoreSuite } from './suites/checkpoint-store.ts';
import { MemoryCheckpointStore } from './support/memory-checkpoint-store.ts';

checkpointStoreSuite('in memory', async () => {
  const store = new MemoryCheckpointStore();
  const commit = store.commit.bind(store);
  return {
    store,
    reopen: async () => store,
    breakNextCommit: async () => {
      store.faults.commit = 'refused';
      store.commit = (change) =>
        commit(change).finally(() => {
          delete store.faults.commit;
          store.commit = commit;
        });
    },
    damage: async () => {
      store.faults.load = 'refused';
      store.commit = (change) => {
        if (change.remove === 'others') delete store.faults.load;
        return commit(change);
      };
    },
    dispose: async () => {},
  };
});
