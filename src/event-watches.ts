// Events that writers of this server look out for: seen in the tail, an event is in the log, whatever became of its acknowledgement.
import type { Position } from './model.ts';

export interface EventWatch {
  /** Null as long as the view has not got it. */
  readonly seq: Position | null;
  readonly stop: () => void;
}

export class EventWatches {
  readonly #watches = new Map<string, { seq: Position | null }>();

  /** Looks out for the event with this id until it is stopped. */
  watch(eventId: string): EventWatch {
    const watch = { seq: null as Position | null, stop: () => void this.#watches.delete(eventId) };
    this.#watches.set(eventId, watch);
    return watch;
  }

  /** The view has this event, as it was parsed. */
  notice(seq: Position, event: unknown): void {
    if (this.#watches.size === 0) return;
    const id = (event as { readonly id?: unknown } | null | undefined)?.id;
    const watch = typeof id === 'string' ? this.#watches.get(id) : undefined;
    if (watch !== undefined) watch.seq ??= seq;
  }
}
