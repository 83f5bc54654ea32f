// Several servers may keep one checkpoint, of which one at a time writes: who finds that another has written leaves it to that one,
// and takes over when it has fallen behind and stays there.
import { type CheckpointHead, readHead } from './checkpoint-head.ts';
import { CHECKPOINT_PATIENCE } from './limits.ts';
import type { Position } from './model.ts';
import type { Log } from './ports.ts';

/**
 * `write`: nobody else does. `yield`: somebody else does and has not come as far yet. `level`: what would be saved is there.
 * `replace`: whoever did has stopped.
 */
type Verdict = 'write' | 'yield' | 'level' | 'replace';

/** Remembers one rival from save to save. */
export class RivalWatch {
  readonly #logger: Log;
  /** The head that was found last, and how often in a row. */
  #seen: { readonly head: string; times: number } | null = null;

  constructor(logger: Log) {
    this.#logger = logger;
  }

  /** What to do about the head that somebody else has committed, if any; `here` is what would be saved. */
  async judge(head: string | null, here: { epoch: string; position: Position }): Promise<Verdict> {
    if (head === null) {
      this.#seen = null;
      return 'write';
    }
    if (head === '') {
      this.#logger.warn('the checkpoint is gone: writing it anew');
      return 'replace';
    }
    if (this.#seen === null) this.#logger.info('another server writes the checkpoint');
    if (this.#seen?.head !== head) this.#seen = { head, times: 0 };
    const read = await readableHead(head);
    if (read !== null && read.anchor.epoch === here.epoch && read.anchor.position >= here.position) {
      this.#seen.times = 0;
      return 'level';
    }
    this.#seen.times += 1;
    if (this.#seen.times < CHECKPOINT_PATIENCE) return 'yield';
    const { position = null, epoch = null } = read?.anchor ?? {};
    this.#logger.warn('the checkpoint of another server has fallen behind: replacing it', {
      position,
      epoch,
    });
    this.#seen = null;
    return 'replace';
  }
}

async function readableHead(text: string): Promise<CheckpointHead | null> {
  try {
    return await readHead(text);
  } catch {
    // Of another format, perhaps a newer server's: as good as one that is far behind.
    return null;
  }
}
