// GET /ws/events: everything that is decided before the upgrade; the session itself is the feed's.
import { FEED_PROTOCOL, offeredProtocols } from '../auth.ts';
import { MAX_EPOCH_CHARACTERS } from '../limits.ts';
import { ProblemError } from '../problems.ts';
import { parseUnsigned, queryParameters } from '../query.ts';
import { EVENT_SUBJECTS } from '../subjects.ts';
import type { Answer, App } from './routing.ts';

/** RFC 6455, section 4.1: sixteen bytes in base64. */
const HANDSHAKE_KEY = /^[A-Za-z0-9+/]{22}==$/;

export const FEED_PATH = '/ws/events';

/** Whether the headers ask for a WebSocket, on whatever path. */
export function asksForWebSocket(headers: Headers): boolean {
  return headers.get('upgrade')?.toLowerCase() === 'websocket';
}

export function feedRoutes(app: App, answer: Answer): void {
  app.get(FEED_PATH, (c) => {
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
    const protocols = offeredProtocols(headers);
    if (new Set(protocols).size !== protocols.length) {
      throw new ProblemError('bad-request', 'Sec-WebSocket-Protocol names a protocol more than once');
    }
    const query = queryParameters(c.req.url, ['since', 'subject', 'epoch']);
    const request = {
      since: query.since === undefined ? null : parseUnsigned('since', query.since),
      filter: query.subject || EVENT_SUBJECTS,
      epoch: query.epoch?.slice(0, MAX_EPOCH_CHARACTERS) || null,
    };
    const protocol = protocols.includes(FEED_PROTOCOL) ? FEED_PROTOCOL : null;
    return answer(c, ({ controlPlane }) =>
      upgrade((socket) => controlPlane.feed.open(socket, request), protocol),
    );
  });
}
