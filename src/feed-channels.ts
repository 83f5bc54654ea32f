// The sessions of the feed by their subject filter: those that are live are due the same frames, so these are chosen once.
import type { Channel, FeedSession } from './feed-session.ts';
import type { Frame } from './ports.ts';
import { compileFilter, isSubjectFilter } from './subjects.ts';

/** The frames that pass a filter: the very same array when all do, so that what an adapter made of it is found again. */
export function chosen(frames: readonly Frame[], { matches }: Channel): readonly Frame[] {
  return frames.every((frame) => matches(frame.subject))
    ? frames
    : frames.filter((frame) => matches(frame.subject));
}

export class FeedChannels {
  readonly #channels = new Map<string, Channel>();

  /** The channel of a filter; it stays as long as it has sessions. */
  open(filter: string): Channel {
    let channel = this.#channels.get(filter);
    if (channel === undefined) {
      const isValid = isSubjectFilter(filter);
      const matches = isValid ? compileFilter(filter) : () => false;
      channel = { filter, isValid, matches, sessions: new Set(), live: new Set() };
      this.#channels.set(filter, channel);
    }
    return channel;
  }

  /** Takes a session out of its channel. */
  leave(session: FeedSession): void {
    const { channel } = session;
    channel.live.delete(session);
    channel.sessions.delete(session);
    if (channel.sessions.size === 0 && this.#channels.get(channel.filter) === channel) {
      this.#channels.delete(channel.filter);
    }
  }

  [Symbol.iterator](): Iterator<Channel> {
    return this.#channels.values();
  }
}
