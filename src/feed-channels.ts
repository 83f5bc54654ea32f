// The sessions of the feed by their subject filter and scope: those that are live are due the same frames, so these are chosen once.
import { isWithin } from './event-topic.ts';
import type { Channel, FeedSession } from './feed-session.ts';
import type { Cell, EventScope } from './model.ts';
import type { Frame } from './ports.ts';
import { compileFilter, isSubjectFilter } from './subjects.ts';

/** The frames that are for a channel: the very same array when all are, so that what an adapter made of it is found again. */
export function chosen(frames: readonly Frame[], { matches }: Channel): readonly Frame[] {
  return frames.every(matches) ? frames : frames.filter(matches);
}

/** What sessions ask for. */
export interface ChannelRequest {
  readonly filter: string;
  readonly scope?: EventScope | undefined;
}

export class FeedChannels {
  readonly #cells: () => ReadonlyMap<string, Cell>;
  readonly #channels = new Map<string, Channel>();

  /** `cells` are those of the view, which says whose they are. */
  constructor(cells: () => ReadonlyMap<string, Cell>) {
    this.#cells = cells;
  }

  /** The channel of a filter and a scope; it stays as long as it has sessions. */
  open({ filter, scope }: ChannelRequest): Channel {
    // A space is in no valid filter, and before the scope an invalid one cannot be mistaken.
    const key = scope === undefined ? filter : `${scope.kind} ${JSON.stringify(scope.id)} ${filter}`;
    let channel = this.#channels.get(key);
    if (channel === undefined) {
      const isValid = isSubjectFilter(filter);
      const matches = isValid ? this.#matcher(filter, scope) : () => false;
      channel = { key, filter, scope, isValid, matches, sessions: new Set(), live: new Set() };
      this.#channels.set(key, channel);
    }
    return channel;
  }

  /** Takes a session out of its channel. */
  leave(session: FeedSession): void {
    const { channel } = session;
    channel.live.delete(session);
    channel.sessions.delete(session);
    if (channel.sessions.size === 0 && this.#channels.get(channel.key) === channel) {
      this.#channels.delete(channel.key);
    }
  }

  [Symbol.iterator](): Iterator<Channel> {
    return this.#channels.values();
  }

  #matcher(filter: string, scope: EventScope | undefined): Channel['matches'] {
    const hasSubject = compileFilter(filter);
    if (scope === undefined) return ({ subject }) => hasSubject(subject);
    return ({ subject, topic }) => hasSubject(subject) && isWithin(scope, topic, this.#cells());
  }
}
