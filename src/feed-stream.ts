// A session of the feed without a WebSocket: a stream of server-sent events (WHATWG HTML, section 9.2). The same sessions, told
// apart by their socket alone.
import { MAX_SOCKET_BUFFER_BYTES } from './limits.ts';
import type { FeedConnection, FeedSocket, Frame } from './ports.ts';
import { StreamFormat } from './stream-format.ts';
import { encodeUtf8 } from './utf8.ts';

/** How long a client waits before it comes back, in milliseconds; browsers would take some seconds. */
const OPENING = encodeUtf8('retry: 1000\n\n');
const LINE_END = /\r\n|\r|\n/;

/** A heartbeat is a comment, and the cursor, which a client sends back as Last-Event-ID although its filter has left out everything since. */
const EVENT_STREAM = new StreamFormat(
  (frames) => frames.map(eventOf).join(''),
  (cursor) => `:\nid: ${cursor}\n\n`,
);

/** The body of the answer; `open` is called at once, and told when the client leaves. */
export function eventStream(open: (socket: FeedSocket) => FeedConnection): ReadableStream<Uint8Array> {
  let connection: FeedConnection | null = null;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        controller.enqueue(OPENING);
        connection = open(EVENT_STREAM.socket(controller));
      },
      // The runtime asks for more from within `enqueue`, where the feed is in the middle of sending.
      pull: async () => {
        await Promise.resolve();
        connection?.drained();
      },
      cancel: () => connection?.closed(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: MAX_SOCKET_BUFFER_BYTES }),
  );
}

function eventOf({ seq, text, name }: Frame): string {
  // A problem is no place to come back to.
  const id = name === 'problem' ? '' : `id: ${seq}\n`;
  const event = name === undefined ? '' : `event: ${name}\n`;
  const data = LINE_END.test(text) ? text.split(LINE_END).join('\ndata: ') : text;
  return `${id}${event}data: ${data}\n\n`;
}
