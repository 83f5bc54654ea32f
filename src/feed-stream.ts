// A session of the feed without a WebSocket: a stream of server-sent events (WHATWG HTML, section 9.2). The same sessions, told
// apart by their socket alone; what a client has not taken yet is what waits in the stream.
import { MAX_SOCKET_BUFFER_BYTES } from './limits.ts';
import type { FeedConnection, FeedSocket, Frame } from './ports.ts';
import { CLOSE } from './problems.ts';
import { encodeUtf8 } from './utf8.ts';

/** How long a client waits before it comes back, in milliseconds; browsers would take some seconds. */
const OPENING = encodeUtf8('retry: 1000\n\n');
const LINE_END = /\r\n|\r|\n/;

const encoded = new WeakMap<readonly Frame[], Uint8Array<ArrayBuffer>>();

/** The body of the answer; `open` is called at once, and told when the client leaves. */
export function eventStream(open: (socket: FeedSocket) => FeedConnection): ReadableStream<Uint8Array> {
  let connection: FeedConnection | null = null;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        controller.enqueue(OPENING);
        connection = open(toFeedSocket(controller));
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

function toFeedSocket(controller: ReadableStreamDefaultController<Uint8Array>): FeedSocket {
  let isOpen = true;
  const put = (bytes: Uint8Array) => {
    if (isOpen) controller.enqueue(bytes);
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
    // A comment, and the cursor, which a client sends back as Last-Event-ID although its filter has left out everything since.
    keepAlive: (cursor) => void put(encodeUtf8(`:\nid: ${cursor}\n\n`)),
    get bufferedBytes() {
      return MAX_SOCKET_BUFFER_BYTES - (controller.desiredSize ?? MAX_SOCKET_BUFFER_BYTES);
    },
  };
}

/** Made once for all sessions that are due the same frames. */
function encode(frames: readonly Frame[]): Uint8Array<ArrayBuffer> {
  let bytes = encoded.get(frames);
  if (bytes === undefined) encoded.set(frames, (bytes = encodeUtf8(frames.map(eventOf).join(''))));
  return bytes;
}

function eventOf({ seq, text, name }: Frame): string {
  // A problem is no place to come back to.
  const id = name === 'problem' ? '' : `id: ${seq}\n`;
  const event = name === undefined ? '' : `event: ${name}\n`;
  const data = LINE_END.test(text) ? text.split(LINE_END).join('\ndata: ') : text;
  return `${id}${event}data: ${data}\n\n`;
}
