// A client's WebSocket on Node as the core's FeedSocket. Frames are written to the TCP socket as they go on the wire, header
// included, made once for all sessions that are due the same frames; `ws` does the handshake, reading, pings and closing.
import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';

import type { WebSocket } from 'ws';

import type { FeedConnection, FeedSocket, Frame } from '../../src/ports.ts';

/** RFC 6455, section 5.2: final fragment, text. Servers do not mask. */
const TEXT_FRAME = 0x81;

const encoded = new WeakMap<readonly Frame[], Buffer>();

/** The frames as WebSocket messages, one behind the other. */
function encode(frames: readonly Frame[]): Buffer {
  let bytes = encoded.get(frames);
  if (bytes !== undefined) return bytes;
  const lengths = frames.map((frame) => Buffer.byteLength(frame.text));
  const total = lengths.reduce((sum, length) => sum + headerLength(length) + length, 0);
  bytes = Buffer.allocUnsafe(total);
  let at = 0;
  for (const [index, frame] of frames.entries()) {
    const length = lengths[index] as number;
    at = writeHeader(bytes, at, length);
    at += bytes.write(frame.text, at, length, 'utf8');
  }
  encoded.set(frames, bytes);
  return bytes;
}

function headerLength(length: number): number {
  if (length < 126) return 2;
  return length < 65_536 ? 4 : 10;
}

function writeHeader(bytes: Buffer, at: number, length: number): number {
  bytes[at] = TEXT_FRAME;
  if (length < 126) {
    bytes[at + 1] = length;
    return at + 2;
  }
  if (length < 65_536) {
    bytes[at + 1] = 126;
    return bytes.writeUInt16BE(length, at + 2);
  }
  bytes[at + 1] = 127;
  return bytes.writeBigUInt64BE(BigInt(length), at + 2);
}

/** Joins an open WebSocket and the feed. `socket` is the TCP socket below `webSocket`, which must not compress. */
export function connectFeed(
  webSocket: WebSocket,
  socket: Duplex,
  open: (socket: FeedSocket) => FeedConnection,
): void {
  const connection = open({
    send(frames) {
      const bytes = encode(frames);
      socket.write(bytes);
      return bytes.byteLength;
    },
    close: (code, reason) => webSocket.close(code, reason),
    ping: () => webSocket.ping(),
    get bufferedBytes() {
      return socket.writableLength;
    },
  });
  webSocket.on('message', connection.received);
  webSocket.on('ping', connection.received);
  webSocket.on('pong', connection.received);
  webSocket.on('close', connection.closed);
  // A broken frame or connection; `close` follows, and ws has answered it with the right code.
  webSocket.on('error', () => {});
  socket.on('drain', connection.drained);
}
