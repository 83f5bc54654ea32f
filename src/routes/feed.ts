// GET /ws/events: everything that is decided before the upgrade; the session itself is the feed's.
import { FEED_PROTOCOL, offeredProtocols } from '../auth.ts';
import type { Feed } from '../feed.ts';
import type { FeedRequest } from '../feed-session.ts';
import { SNAPSHOT_KINDS, type SnapshotKind } from '../feed-snapshot.ts';
import { parseUuid } from '../ids.ts';
import { MAX_EPOCH_CHARACTERS } from '../limits.ts';
import type { EventScope } from '../model.ts';
import { ProblemError, retryLater } from '../problems.ts';
import { holderOf, type ProjectionState } from '../projection.ts';
import { minCursorOf, parseUnsigned, queryParameters } from '../query.ts';
import { EVENT_SUBJECTS } from '../subjects.ts';
import { excerpt } from '../text.ts';
import type { Answer, Register } from './routing.ts';

/** RFC 6455, section 4.1: sixteen bytes in base64. */
const HANDSHAKE_KEY = /^[A-Za-z0-9+/]{22}==$/;
/** RFC 6455, section 11.3.4. Some runtimes refuse what is none in words of their own, others do not. */
const PROTOCOLS = /^[\w!#$%&'*+.^`|~-]+(?:[\t ]*,[\t ]*[\w!#$%&'*+.^`|~-]+)*$/;

export const FEED_PATH = '/ws/events';

/** Whether the headers ask for a WebSocket, on whatever path. */
export function asksForWebSocket(headers: Headers): boolean {
  return headers.get('upgrade')?.toLowerCase() === 'websocket';
}

export function feedRoutes(register: Register, answer: Answer): void {
  register('GET', FEED_PATH, (c) => {
    const { headers, method } = c.req.raw;
    const { upgrade } = c.env;
    // hono answers HEAD with GET's handler.
    if (upgrade === null || method !== 'GET' || !asksForWebSocket(headers)) {
      throw new ProblemError('bad-request', 'this is a WebSocket: the request has to ask for an upgrade');
    }
    if (headers.get('sec-websocket-version') !== '13') {
      throw new ProblemError('bad-request', 'Sec-WebSocket-Version is not 13', {
        headers: { 'sec-websocket-version': '13' },
      });
    }
    if (!HANDSHAKE_KEY.test(headers.get('sec-websocket-key') ?? '')) {
      throw new ProblemError('bad-request', 'Sec-WebSocket-Key is not sixteen bytes in base64');
    }
    if (!PROTOCOLS.test(headers.get('sec-websocket-protocol') ?? FEED_PROTOCOL)) {
      throw new ProblemError('bad-request', 'Sec-WebSocket-Protocol is not a list of protocols');
    }
    const protocols = offeredProtocols(headers);
    if (new Set(protocols).size !== protocols.length) {
      throw new ProblemError('bad-request', 'Sec-WebSocket-Protocol names a protocol more than once');
    }
    const query = queryParameters(c.req.url, [...FEED_PARAMETERS, 'snapshot']);
    const snapshot = parseSnapshot(query.snapshot);
    if (snapshot !== null && query.since !== undefined) {
      throw new ProblemError('bad-request', 'query parameters "since" and "snapshot" exclude each other');
    }
    const request = { ...parseFeedRequest(query), snapshot, atLeast: minCursorOf(c.req.url) };
    const protocol = protocols.includes(FEED_PROTOCOL) ? FEED_PROTOCOL : null;
    return answer(c, ({ controlPlane: { feed, state } }) => {
      requireRoom(feed);
      const scope = scopeOf(state, query.formation);
      const response = upgrade((socket) => feed.open(socket, { ...request, scope }), protocol, c.env.id);
      c.env.outcome = 'upgraded';
      return response;
    });
  });
}

/** What a client of the feed may ask for, over a WebSocket or a stream of events. */
export const FEED_PARAMETERS = ['since', 'subject', 'formation', 'epoch', 'control'] as const;

/** Throws 400. */
export function parseFeedRequest(
  query: Partial<Record<(typeof FEED_PARAMETERS)[number], string>>,
): FeedRequest {
  return {
    since: query.since === undefined ? null : parseUnsigned('since', query.since),
    filter: query.subject || EVENT_SUBJECTS,
    epoch: query.epoch?.slice(0, MAX_EPOCH_CHARACTERS) || null,
    control: parseFlag('control', query.control),
  };
}

/** Whose events are meant: those of a formation, by its id or by a name that it holds. Throws 404. */
export function scopeOf(state: ProjectionState, formation: string | undefined): EventScope | undefined {
  if (formation === undefined) return undefined;
  const id = parseUuid(formation);
  const known = id === null ? holderOf(state, formation) : state.formations.get(id);
  if (known) return { kind: 'formation', id: known.id };
  throw new ProblemError('not-found', `formation "${excerpt(formation)}" is not known`);
}

/** Throws 503 when there are as many sessions as there may be. */
export function requireRoom(feed: Feed): void {
  if (feed.isFull) throw retryLater('too-many-sessions', `there are ${feed.size} sessions already`);
}

/** Absent and empty mean false. Throws 400. */
export function parseFlag(name: string, text = ''): boolean {
  if (text === '' || text === 'false') return false;
  if (text === 'true') return true;
  throw new ProblemError(
    'bad-request',
    `query parameter "${name}" is neither true nor false: "${excerpt(text)}"`,
  );
}

/** Absent and empty mean none. */
function parseSnapshot(text = ''): readonly SnapshotKind[] | null {
  if (text === '') return null;
  const kinds = new Set(text.split(','));
  const known = SNAPSHOT_KINDS.filter((kind) => kinds.delete(kind));
  if (kinds.size === 0) return known;
  throw new ProblemError(
    'bad-request',
    `query parameter "snapshot" is not of ${SNAPSHOT_KINDS.join(', ')}: "${excerpt(text)}"`,
  );
}
