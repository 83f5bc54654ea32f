// One page of the events of a formation, as GET /v1/events answers with: as many as may be, and how far it looked.
import { frameText } from './cloudevents.ts';
import type { ControlPlane } from './control-plane.ts';
import { EventReader } from './event-reader.ts';
import { MAX_PAGE_BYTES, READ_TIMEOUT_MS } from './limits.ts';
import type { EventScope, Position } from './model.ts';
import { EventLogError, type LogBounds } from './ports.ts';
import { compileFilter } from './subjects.ts';

/** Events as frames, which are spelled alike, and what is known around them. */
export interface EventsPage {
  readonly events: readonly string[];
  readonly bounds: LogBounds;
  readonly cursor: Position;
}

export interface ScopedPageRequest {
  readonly scope: EventScope;
  readonly since: Position;
  readonly limit: number;
  /** A valid filter. */
  readonly subject: string;
}

/** Below the index a page ends when this much of its time is used, with what it has got and the place where it is. */
const ENOUGH_MS = READ_TIMEOUT_MS / 2;

/** Throws EventLogError. */
export async function readScopedPage(
  controlPlane: ControlPlane,
  { scope, since, limit, subject }: ScopedPageRequest,
): Promise<EventsPage> {
  const deadline = performance.now() + ENOUGH_MS;
  const signal = AbortSignal.timeout(READ_TIMEOUT_MS);
  const bounds = await controlPlane.log.bounds();
  const { lastSeq, firstSeq } = bounds;
  await whenApplied(controlPlane, lastSeq, signal);
  const until = Math.min(controlPlane.cursor, lastSeq);
  const reader = new EventReader(controlPlane, scope, Math.max(since, firstSeq - 1), until);
  const matches = compileFilter(subject);
  const events: string[] = [];
  let bytes = 0;
  while (!reader.isDone && performance.now() < deadline) {
    for (const { seq, subject: on, text } of await reader.next(limit - events.length, signal)) {
      if (!matches(on)) continue;
      events.push(frameText(seq, text));
      bytes += text.length;
      if (events.length === limit || bytes >= MAX_PAGE_BYTES) return { events, bounds, cursor: seq };
    }
  }
  const looked = Math.max(Math.min(reader.position, lastSeq), Math.min(since, lastSeq));
  return { events, bounds, cursor: looked };
}

/** What the log has should be found, as in a page of all events, where the view gets there in time. */
async function whenApplied(
  controlPlane: ControlPlane,
  position: Position,
  signal: AbortSignal,
): Promise<void> {
  try {
    await controlPlane.whenApplied(position, signal);
  } catch (error) {
    throw new EventLogError('unavailable', 'the view is behind the log', error);
  }
}
