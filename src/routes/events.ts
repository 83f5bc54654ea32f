// GET /v1/events: pages of the log itself, which may wait for the next event; or, for who accepts it, the feed as a stream.
import { decodeEntry, frameText } from '../cloudevents.ts';
import type { ControlPlane } from '../control-plane.ts';
import { type EventsPage, readScopedPage } from '../event-page.ts';
import { belowFloor } from '../feed-history.ts';
import { nextFrames } from '../feed-poll.ts';
import type { FeedRequest } from '../feed-session.ts';
import { eventStream } from '../feed-stream.ts';
import { json, stream } from '../http.ts';
import {
  DEFAULT_PAGE_EVENTS,
  MAX_PAGE_BYTES,
  MAX_PAGE_EVENTS,
  MAX_POLL_SECONDS,
  READ_TIMEOUT_MS,
} from '../limits.ts';
import type { Position } from '../model.ts';
import { EventLogError, type LogBounds, type LogPage } from '../ports.ts';
import { type ProblemCode, ProblemError, unavailable } from '../problems.ts';
import { parseUnsigned, queryParameters } from '../query.ts';
import { EVENT_SUBJECTS, isSubjectFilter, withinEvents } from '../subjects.ts';
import { excerpt } from '../text.ts';
import { FEED_PARAMETERS, parseFeedRequest, parseFlag, requireRoom, scopeOf } from './feed.ts';
import type { Answer, Register, RequestContext, Server } from './routing.ts';

/** Entries read at once beyond what is asked for: where payloads are no events, a page takes several reads. */
const MIN_READ_ENTRIES = 64;

interface PageRequest {
  readonly since: Position;
  readonly limit: number;
  readonly subject: string;
  /** An id or a name; absent: everybody's. */
  readonly formation: string | undefined;
  /** How long to wait when there is nothing yet. */
  readonly waitMs: number;
}

export function eventRoutes(register: Register, answer: Answer): void {
  register('GET', '/v1/events', (c) => {
    if (acceptsStream(c.req.raw.headers)) return streamEvents(c, answer);
    const query = queryParameters(c.req.url, [...FEED_PARAMETERS, 'limit', 'wait']);
    // Of no use to a page, but whoever sends it means something.
    parseFlag('control', query.control);
    const limit = parseUnsigned('limit', query.limit ?? '0') || DEFAULT_PAGE_EVENTS;
    const request = {
      since: parseUnsigned('since', query.since ?? '0'),
      limit: Math.min(limit, MAX_PAGE_EVENTS),
      subject: parseSubject(query.subject),
      formation: query.formation,
      waitMs: Math.min(parseUnsigned('wait', query.wait ?? '0'), MAX_POLL_SECONDS) * 1000,
    };
    return answer(c, (server) => orUnavailable(() => answerPage(c, server, request)));
  });
}

/** Whether the client names the media type; a wildcard does not. */
function acceptsStream(headers: Headers): boolean {
  const accept = headers.get('accept');
  if (accept === null) return false;
  return accept.split(',').some((range) => {
    const [type, ...parameters] = range.toLowerCase().split(';');
    const isRefused = parameters.some((parameter) => /^\s*q\s*=\s*0(?:\.0*)?\s*$/.test(parameter));
    return type?.trim() === 'text/event-stream' && !isRefused;
  });
}

function streamEvents(c: RequestContext, answer: Answer): Response | Promise<Response> {
  const { headers, method } = c.req.raw;
  const query = queryParameters(c.req.url, [...FEED_PARAMETERS, 'snapshot']);
  parseSubject(query.subject);
  if (query.snapshot) {
    throw new ProblemError('bad-request', 'query parameter "snapshot" is for the WebSocket alone');
  }
  const asked = parseFeedRequest(query);
  // Whoever comes back asks at the same URL, and says here how far he is.
  const lastEventId = headers.get('last-event-id') || null;
  const request =
    lastEventId === null ? asked : { ...asked, since: parseUnsigned('Last-Event-ID', lastEventId, 'header') };
  return answer(c, ({ controlPlane }) => {
    const scope = scopeOf(controlPlane.state, query.formation);
    return orUnavailable(async () => {
      requireServable(request, await controlPlane.log.bounds());
      // Right before the session opens: meanwhile others may have.
      requireRoom(controlPlane.feed);
      // hono answers HEAD with GET's handler.
      return stream(
        method === 'HEAD'
          ? null
          : eventStream((socket) => controlPlane.feed.open(socket, { ...request, scope })),
        'text/event-stream',
      );
    });
  });
}

/** Over HTTP what the feed would say with a frame and 4410. Throws 410. */
function requireServable({ since, epoch }: FeedRequest, bounds: LogBounds): void {
  const gone = (code: ProblemCode, detail: string) =>
    new ProblemError(code, detail, {
      extensions: { oldest_seq: bounds.firstSeq, latest_seq: bounds.lastSeq, epoch: bounds.epoch },
    });
  if (epoch !== null && epoch !== bounds.epoch) {
    throw gone('ws/epoch-changed', 'the event store was replaced: read a snapshot and begin there');
  }
  if (since !== null && belowFloor(since, bounds)) {
    throw gone('ws/retention-exhausted', `events after ${since} are not retained any more`);
  }
}

function parseSubject(text: string | undefined): string {
  const subject = text || EVENT_SUBJECTS;
  if (isSubjectFilter(subject)) return subject;
  throw new ProblemError('bad-request', `query parameter "subject" is no filter: "${excerpt(subject)}"`);
}

/** Throws 503 where the log cannot be read. */
export async function orUnavailable(work: () => Promise<Response>): Promise<Response> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof EventLogError)) throw error;
    throw unavailable('the event store cannot be read', error);
  }
}

async function answerPage(
  c: RequestContext,
  { controlPlane, clock }: Server,
  request: PageRequest,
): Promise<Response> {
  const { since, limit, subject, waitMs } = request;
  const scope = scopeOf(controlPlane.state, request.formation);
  const page =
    scope === undefined
      ? await readPage(controlPlane.log, request)
      : await readScopedPage(controlPlane, { ...request, scope });
  if (waitMs === 0 || page.events.length > 0) return json(pageText(page, since));
  requireRoom(controlPlane.feed);
  const { frames, cursor } = await nextFrames(controlPlane.feed, {
    // What was looked at already; a `since` beyond the tail is waited for.
    after: Math.max(since, page.cursor),
    filter: subject,
    scope,
    epoch: page.bounds.epoch,
    ms: waitMs,
    clock,
    signal: c.req.raw.signal,
  });
  const events = cutToPage(frames.map(({ text }) => text).slice(0, limit));
  const last = frames[events.length - 1]?.seq ?? Math.max(page.cursor, Math.min(cursor, controlPlane.cursor));
  return json(pageText({ ...page, events, cursor: last }, since));
}

async function readPage(
  log: ControlPlane['log'],
  { since, limit, subject }: PageRequest,
): Promise<EventsPage> {
  const signal = AbortSignal.timeout(READ_TIMEOUT_MS);
  const within = withinEvents(subject);
  // A filter outside our subjects matches nothing; the default one needs no filtering by the broker.
  if (within === null) {
    const bounds = await log.bounds();
    return { events: [], bounds, cursor: bounds.lastSeq };
  }
  const filter = within === EVENT_SUBJECTS ? {} : { filter: within };
  const events: string[] = [];
  let bytes = 0;
  let cursor = since;
  let first: LogPage | null = null;
  for (;;) {
    const wanted = Math.max(limit - events.length, MIN_READ_ENTRIES);
    const page = await log.read({ after: cursor, limit: wanted, signal, ...filter });
    first ??= page;
    const { bounds } = first;
    for (const entry of page.entries) {
      const { seq, text } = decodeEntry(entry);
      if (text === null) continue;
      events.push(frameText(seq, text));
      bytes += entry.payload.byteLength;
      if (events.length < limit && bytes < MAX_PAGE_BYTES) continue;
      // Full. When it ends with the last entry of all, what was looked at reaches further.
      const isLast = entry === page.entries.at(-1);
      return { events, bounds, cursor: isLast ? page.through : seq };
    }
    if (page.through >= page.bounds.lastSeq) return { events, bounds, cursor: page.through };
    cursor = page.through;
  }
}

/** As many of them as a page may hold, and at least one. */
function cutToPage(texts: readonly string[]): readonly string[] {
  let length = 0;
  const end = texts.findIndex((text) => (length += text.length) >= MAX_PAGE_BYTES);
  return end < 0 ? texts : texts.slice(0, end + 1);
}

function pageText({ events, bounds, cursor }: EventsPage, since: Position): string {
  const tail = JSON.stringify({
    cursor,
    epoch: bounds.epoch,
    ...(belowFloor(since, bounds) ? { truncated: true, oldest_seq: bounds.firstSeq } : {}),
  });
  return `{"events":[${events.join(',')}],${tail.slice(1)}`;
}
