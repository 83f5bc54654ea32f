// Events as lines (NDJSON), pulled by the client: first those of the past, then, for who follows, a session of the feed.
import { eventTextOf } from './cloudevents.ts';
import type { EventReader } from './event-reader.ts';
import { EVENT_LOOKUP_BATCH, MAX_SOCKET_BUFFER_BYTES, READ_TIMEOUT_MS } from './limits.ts';
import type { FeedConnection, FeedSocket, Frame } from './ports.ts';
import { CLOSE } from './problems.ts';
import { eventTextWithin } from './signed-envelopes.ts';
import { encodeUtf8 } from './utf8.ts';

/** A JSON text has line ends between its tokens alone. */
const LINE_ENDS = /[\r\n]+/g;

/** Shows that the line is alive, and is white space in front of the next event. */
const BLANK = encodeUtf8(' ');

const encoded = new WeakMap<readonly Frame[], Uint8Array<ArrayBuffer>>();

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
          connection = follow?.(toFeedSocket(controller)) ?? null;
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

function toFeedSocket(controller: ReadableStreamDefaultController<Uint8Array>): FeedSocket {
  let isOpen = true;
  const put = (bytes: Uint8Array) => {
    if (isOpen && bytes.byteLength > 0) controller.enqueue(bytes);
    return bytes.byteLength;
  };
  return {
    send: (frames) => put(encode(frames)),
    close(code) {
      if (!isOpen) return;
      isOpen = false;
      // Who takes nothing would not take the end either.
      if (code === CLOSE.slowConsumer) controller.error(new Error('slow consumer'));
      else controller.close();
    },
    keepAlive: () => void put(BLANK),
    get bufferedBytes() {
      return MAX_SOCKET_BUFFER_BYTES - (controller.desiredSize ?? MAX_SOCKET_BUFFER_BYTES);
    },
  };
}

/** Made once for all sessions that are due the same frames. Problems have no line: the stream ends. */
function encode(frames: readonly Frame[]): Uint8Array<ArrayBuffer> {
  let bytes = encoded.get(frames);
  if (bytes === undefined) {
    const events = frames.filter(({ name }) => name === undefined);
    encoded.set(frames, (bytes = encodeUtf8(events.map((frame) => lineOf(eventTextOf(frame))).join(''))));
  }
  return bytes;
}

/** What is shown of an event as it was published: who asks for a cell's events has no use for their signatures. */
function lineOf(text: string): string {
  return `${eventTextWithin(text).replaceAll(LINE_ENDS, ' ')}\n`;
}
