// The store of the Durable Object keeps the port's promises. In workerd alone: only there is an object with a database.
import { env, runInDurableObject } from 'cloudflare:test';

import { SqlCheckpointStore } from '../adapters/cloudflare/sql-checkpoint-store.ts';
import type { SqlCheckpointStorage } from '../adapters/cloudflare/sql-checkpoint-store.ts';
import type { CheckpointStore } from '../src/ports.ts';
import { checkpointStoreSuite } from './suites/checkpoint-store.ts';

let objects = 0;

checkpointStoreSuite('in the database of an object', async () => {
  objects += 1;
  const stub = env.CONTROL_PLANE.getByName(`checkpoint-store-${objects}`);
  const inObject = <Result>(use: (storage: SqlCheckpointStorage) => Promise<Result>) =>
    runInDurableObject(stub, (_object, { storage }) => use(storage));
  let writesUntilFailure = Infinity;

  /** A store lives as long as its object does; the storage may be used from inside of it alone. */
  const open = (): CheckpointStore => {
    let opened: SqlCheckpointStore | null = null;
    const use = <Result>(run: (store: SqlCheckpointStore) => Promise<Result>) =>
      inObject((storage) => run((opened ??= new SqlCheckpointStore(failing(storage)))));
    return {
      load: () => use((store) => store.load()),
      commit: (change) => use((store) => store.commit(change)),
    };
  };

  const failing = (storage: SqlCheckpointStorage): SqlCheckpointStorage => ({
    sql: {
      exec(query, ...bindings) {
        if (/^(?:INSERT|DELETE)/.test(query) && writesUntilFailure-- === 0) throw new Error('refused');
        return storage.sql.exec(query, ...bindings);
      },
    },
    transactionSync: (run) => storage.transactionSync(run),
  });

  return {
    store: open(),
    reopen: async () => open(),
    breakNextCommit: async () => {
      writesUntilFailure = 1;
    },
    damage: () =>
      inObject(async ({ sql }) => {
        sql.exec('DROP TABLE IF EXISTS checkpoint_head');
        sql.exec('CREATE TABLE checkpoint_head (other TEXT)');
      }),
    dispose: async () => {},
  };
});
