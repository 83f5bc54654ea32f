// GET /v1/events: pages of the log itself.
import { decodeEntry, frameText } from '../cloudevents.ts';
import type { ControlPlane } from '../control-plane.ts';
import { json } from '../http.ts';
import { DEFAULT_PAGE_EVENTS, MAX_PAGE_BYTES, MAX_PAGE_EVENTS, READ_TIMEOUT_MS } from '../limits.ts';
import type { Position } from '../model.ts';
import { EventLogError, type LogBounds, type LogPage } from '../ports.ts';
import { ProblemError, unavailable } from '../problems.ts';
import { parseUnsigned, queryParameters } from '../query.ts';
import { EVENT_SUBJECTS, isSubjectFilter, withinEvents } from '../subjects.ts';
import { excerpt } from '../text.ts';
import type { Answer, App } from './routing.ts';

/** Entries read at once beyond what is asked for: where payloads are no events, a page takes several reads. */
const MIN_READ_ENTRIES = 64;

export function eventRoutes(app: App, answer: Answer): void {
  app.get('/v1/events', (c) => {
    const query = queryParameters(c.req.url, ['since', 'limit', 'subject']);
    const since = parseUnsigned('since', query.since ?? '0');
    const limit = parseUnsigned('limit', query.limit ?? '0') || DEFAULT_PAGE_EVENTS;
    const subject = query.subject || EVENT_SUBJECTS;
    if (!isSubjectFilter(subject)) {
      throw new ProblemError('bad-request', `query parameter "subject" is no filter: "${excerpt(subject)}"`);
    }
    return answer(c, async ({ controlPlane }) => {
      try {
        return json(await eventsPage(controlPlane, since, Math.min(limit, MAX_PAGE_EVENTS), subject));
      } catch (error) {
        if (!(error instanceof EventLogError)) throw error;
        throw unavailable('the event store cannot be read', error);
      }
    });
  });
}

async function eventsPage(
  { log }: ControlPlane,
  since: Position,
  limit: number,
  subject: string,
): Promise<string> {
  const signal = AbortSignal.timeout(READ_TIMEOUT_MS);
  const within = withinEvents(subject);
  // A filter outside our subjects matches nothing; the default one needs no filtering by the broker.
  if (within === null) return pageText([], await log.bounds(), since, null);
  const filter = within === EVENT_SUBJECTS ? {} : { filter: within };
  const events: string[] = [];
  let bytes = 0;
  let cursor = since;
  let first: LogPage | null = null;
  for (;;) {
    const wanted = Math.max(limit - events.length, MIN_READ_ENTRIES);
    const page = await log.read({ after: cursor, limit: wanted, signal, ...filter });
    first ??= page;
    for (const entry of page.entries) {
      const { seq, text } = decodeEntry(entry);
      if (text === null) continue;
      events.push(frameText(seq, text));
      bytes += entry.payload.byteLength;
      if (events.length < limit && bytes < MAX_PAGE_BYTES) continue;
      // Full. When it ends with the last entry of all, what was looked at reaches further.
      const isLast = entry === page.entries.at(-1);
      return pageText(events, first.bounds, since, isLast ? page.through : seq);
    }
    if (page.through >= page.bounds.lastSeq) return pageText(events, first.bounds, since, page.through);
    cursor = page.through;
  }
}

function pageText(
  events: readonly string[],
  bounds: LogBounds,
  since: Position,
  cursor: Position | null,
): string {
  const truncated = since > 0 && since + 1 < bounds.firstSeq;
  const tail = JSON.stringify({
    cursor: cursor ?? bounds.lastSeq,
    epoch: bounds.epoch,
    ...(truncated ? { truncated: true, oldest_seq: bounds.firstSeq } : {}),
  });
  return `{"events":[${events.join(',')}],${tail.slice(1)}`;
}
