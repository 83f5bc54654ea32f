// Objects of a checkpoint that fail when a test says so.
import type { CheckpointObjects } from '../../src/ports.ts';

/** For a copy of which some methods are others. */
export function methodsOf(objects: CheckpointObjects): CheckpointObjects {
  return {
    headRevision: () => objects.headRevision(),
    readHead: () => objects.readHead(),
    writeHead: (bytes, after) => objects.writeHead(bytes, after),
    read: (name) => objects.read(name),
    write: (name, bytes) => objects.write(name, bytes),
    remove: (name) => objects.remove(name),
    listOlderThan: (ms) => objects.listOlderThan(ms),
  };
}

/** After `failNext` the next head is not written, though blocks are. */
export function failingOnce(objects: CheckpointObjects): {
  objects: CheckpointObjects;
  failNext: () => void;
} {
  let fails = false;
  return {
    objects: {
      ...methodsOf(objects),
      async writeHead(bytes, after) {
        if (!fails) return objects.writeHead(bytes, after);
        fails = false;
        throw new Error('refused');
      },
    },
    failNext: () => {
      fails = true;
    },
  };
}
