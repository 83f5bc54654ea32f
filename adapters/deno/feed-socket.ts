// A client's WebSocket on Deno as the core's FeedSocket. The runtime pings by itself, tells nobody of the answers, and ends a
// session that gives none; what waits in a socket it does tell.
import type { FeedConnection, FeedSocket } from '../../src/ports.ts';
import { messageBytes } from '../../src/utf8.ts';

/** Joins a WebSocket, which is about to open, and the feed; resolves when it is closed. */
export function connectFeed(
  webSocket: WebSocket,
  open: (socket: FeedSocket) => FeedConnection,
): Promise<void> {
  const { promise: whenClosed, resolve } = Promise.withResolvers<void>();
  let connection: FeedConnection | null = null;
  webSocket.binaryType = 'arraybuffer';
  webSocket.addEventListener('open', () => {
    connection = open(toFeedSocket(webSocket));
  });
  webSocket.addEventListener('message', ({ data }: MessageEvent<string | ArrayBuffer>) =>
    connection?.received(messageBytes(data)),
  );
  // A broken frame or connection is an `error` first, then this.
  webSocket.addEventListener('close', () => {
    connection?.closed();
    resolve();
  });
  return whenClosed;
}

function toFeedSocket(webSocket: WebSocket): FeedSocket {
  return {
    send(frames) {
      const before = webSocket.bufferedAmount;
      // One that the client has left would throw; its close event is under way.
      if (webSocket.readyState === WebSocket.OPEN) for (const { text } of frames) webSocket.send(text);
      // Nothing is taken from the buffer while this runs.
      return webSocket.bufferedAmount - before;
    },
    close: (code, reason) => webSocket.close(code, reason),
    get bufferedBytes() {
      return webSocket.bufferedAmount;
    },
  };
}
