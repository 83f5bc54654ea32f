// Answers that are streams, on their way past the listener, which is made for bodies with an end.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline, Readable } from 'node:stream';

import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';

import type { StreamType } from '../../src/http.ts';

/** What is sent for as long as the client stays. */
const STREAMS: ReadonlySet<string | null> = new Set<StreamType>([
  'text/event-stream',
  'application/x-ndjson',
]);

/** A media type has no letter case. */
const EVENTS = /event-stream/i;
/** The lines of one cell; streams of events are told by what their client accepts. */
const LINES = /^\/v1\/cells\/[^/]+\/events(?:\?|$)/;

/** Whether the answer to a request may be a stream, as far as the request shows. */
export function mayStream({ headers, url = '' }: IncomingMessage): boolean {
  return (headers.accept !== undefined && EVENTS.test(headers.accept)) || LINES.test(url);
}

/**
 * A stream goes past the listener, which would print a line of its own when the stream breaks off, show the error to the client, and end
 * the answer as if it were whole.
 */
export function sendStream(response: Response, outgoing: ServerResponse): Response {
  const { status, headers, body } = response;
  if (!STREAMS.has(headers.get('content-type')) || body === null) return response;
  outgoing.writeHead(status, Object.fromEntries(headers));
  // Who follows may have nothing to read for long.
  outgoing.flushHeaders();
  // An error on either side ends the other; the feed knows of both.
  pipeline(Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]), outgoing, () => {});
  return RESPONSE_ALREADY_SENT;
}
