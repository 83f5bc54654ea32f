// What a start finds in its checkpoint. One that the broker keeps is waited for as the log is: a server that went on without it would
// in the end replace it, and lose what the log no longer holds.
import type { Checkpoint, Restored } from './checkpoint.ts';
import { CHECKPOINT_WAIT_MS, RECONNECT_MAX_MS } from './limits.ts';
import { type Clock, EventLogError, type Log } from './ports.ts';
import { excerpt } from './text.ts';

export interface RestoreOptions {
  readonly clock: Clock;
  readonly logger: Log;
  /** The store is out of reach; told with every attempt. */
  readonly onAway: (reason: string) => void;
  /** Asked between attempts. */
  readonly isStopped: () => boolean;
}

/** The view that the checkpoint holds; null when there is none to be used, or the server has been stopped meanwhile. Never rejects. */
export async function whenRestored(
  checkpoint: Checkpoint,
  { clock, logger, onAway, isStopped }: RestoreOptions,
): Promise<Restored | null> {
  const startedAt = clock.now();
  let unavailableSince: number | null = null;
  while (!isStopped()) {
    try {
      const restored = await checkpoint.restore();
      if (restored !== null) {
        const { formations, cells, cursor } = restored.state;
        const ms = clock.now() - startedAt;
        logger.info('checkpoint restored', { cursor, formations: formations.size, cells: cells.size, ms });
      }
      return restored;
    } catch (error) {
      const reason = excerpt(error instanceof Error ? error.message : String(error));
      if (error instanceof EventLogError && error.code === 'unreachable') {
        unavailableSince = null;
        onAway(reason);
      } else {
        // The broker is there; the log may be as well.
        unavailableSince ??= clock.now();
        if (clock.now() - unavailableSince >= CHECKPOINT_WAIT_MS) {
          logger.warn('checkpoint not used', { reason });
          return null;
        }
      }
    }
    await new Promise<void>((resolve) => void clock.after(RECONNECT_MAX_MS, resolve));
  }
  return null;
}
