// Where a process keeps its checkpoint: in a folder, or with the broker.
import { SharedCheckpointStore } from '../../src/checkpoint-shared.ts';
import { type CheckpointConfig, ConfigError } from '../../src/config.ts';
import { NatsCheckpointObjects } from '../../src/nats-checkpoint-objects.ts';
import type { LinkOptions } from '../../src/nats-link.ts';
import type { CheckpointStore } from '../../src/ports.ts';
import { FileCheckpointObjects } from './file-checkpoint-objects.ts';

export interface OpenedCheckpointStore {
  readonly store: CheckpointStore;
  /** Lets go of what it holds open. */
  readonly close: () => Promise<void>;
}

/** Null when the configuration asks for none. Throws ConfigError when the folder cannot be used. */
export async function openCheckpointStore(
  config: CheckpointConfig,
  link: LinkOptions,
): Promise<OpenedCheckpointStore | null> {
  switch (config.kind) {
    case 'file': {
      const objects = new FileCheckpointObjects(config.directory);
      try {
        await objects.prepare();
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        const variable = 'CELLOS_SERVER_CHECKPOINT';
        throw new ConfigError(variable, `names a folder that cannot be used (${code ?? message})`);
      }
      return { store: new SharedCheckpointStore(objects), close: async () => {} };
    }
    case 'nats': {
      const objects = new NatsCheckpointObjects(link);
      return { store: new SharedCheckpointStore(objects), close: () => objects.close() };
    }
    case 'off':
    case 'own':
      return null;
  }
}
