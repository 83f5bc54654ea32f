// A request that waits for what comes next: a session of the feed that ends with the first frames it is sent.
import type { Feed } from './feed.ts';
import type { EventScope, Position } from './model.ts';
import type { Clock, Frame } from './ports.ts';

export interface PollOptions {
  readonly after: Position;
  readonly filter: string;
  readonly scope?: EventScope | undefined;
  readonly epoch: string;
  readonly ms: number;
  readonly clock: Clock;
  /** Aborted when the client leaves. */
  readonly signal: AbortSignal;
}

export interface Polled {
  /** None when the time is over, or the session was closed. */
  readonly frames: readonly Frame[];
  /** Everything up to here was looked at. */
  readonly cursor: Position;
}

/** Resolves with what comes after `after`, as soon as there is something. Never rejects. */
export async function nextFrames(
  feed: Feed,
  { after, filter, scope, epoch, ms, clock, signal }: PollOptions,
): Promise<Polled> {
  const { promise, resolve } = Promise.withResolvers<readonly Frame[]>();
  let cursor = after;
  const finish = () => resolve([]);
  const connection = feed.open(
    {
      send(frames) {
        // A problem says no more than that the session ends.
        resolve(frames.filter(({ name }) => name === undefined));
        return 0;
      },
      close: finish,
      bufferedBytes: 0,
      remember: (memory) => {
        cursor = memory.cursor;
      },
    },
    { since: after, filter, scope, epoch },
  );
  const cancel = clock.after(ms, finish);
  signal.addEventListener('abort', finish);
  if (signal.aborted) finish();
  const frames = await promise;
  signal.removeEventListener('abort', finish);
  cancel();
  connection.closed();
  return { frames, cursor: frames.at(-1)?.seq ?? cursor };
}
