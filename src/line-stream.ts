// Events as lines (NDJSON), pulled by the client: first those of the past, then, for who follows, a session of the feed.
import { eventTextOf } from './cloudevents.ts';
import type { EventReader } from './event-reader.ts';
import { EVENT_LOOKUP_BATCH, MAX_SOCKET_BUFFER_BYTES, READ_TIMEOUT_MS } from './limits.ts';
import type { FeedConnection, FeedSocket } from './ports.ts';
import { eventTextWithin } from './signed-envelopes.ts';
import { StreamFormat } from './stream-format.ts';
import { encodeUtf8 } from './utf8.ts';

/** A JSON text has line ends between its tokens alone. */
const LINE_ENDS = /[\r\n]+/g;

/** Problems have no line: the stream ends. A heartbeat is white space in front of the next event. */
const LINES = new StreamFormat(
  (frames) =>
    frames
      .filter(({ name }) => name === undefined)
      .map((frame) => lineOf(eventTextOf(frame)))
      .join(''),
  () => ' ',
);

/**
 * The body of the answer. `follow` opens the session when all of the past was sent; without one, or when it opens none, the stream ends
 * there. Of the past no more is read than the client takes.
 */
export function lineStream(
  past: EventReader,
  follow: ((socket: FeedSocket) => FeedConnection | null) | null,
): ReadableStream<Uint8Array> {
  let connection: FeedConnection | null = null;
  let isCancelled = false;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        while (!past.isDone) {
          const events = await past.next(EVENT_LOOKUP_BATCH, AbortSignal.timeout(READ_TIMEOUT_MS));
          if (isCancelled) return;
          if (events.length === 0) continue;
          controller.enqueue(encodeUtf8(events.map(({ text }) => lineOf(text)).join('')));
          return;
        }
        if (connection === null) {
          connection = follow?.(LINES.socket(controller)) ?? null;
          if (connection === null) controller.close();
        } else {
          // The runtime may ask for more from within `enqueue`, where the feed is in the middle of sending.
          await Promise.resolve();
          connection.drained();
        }
      },
      cancel() {
        isCancelled = true;
        connection?.closed();
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: MAX_SOCKET_BUFFER_BYTES }),
  );
}

/** What is shown of an event as it was published: who asks for a cell's events has no use for their signatures. */
function lineOf(text: string): string {
  return `${eventTextWithin(text).replaceAll(LINE_ENDS, ' ')}\n`;
}
