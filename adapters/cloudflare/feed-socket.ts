// A hibernatable WebSocket as the core's FeedSocket. The runtime sends, answers pings and closes; it can neither ping nor tell
// what a client has not taken yet.
import * as v from 'valibot';

import type { FeedSocket, SessionMemory } from '../../src/ports.ts';
import { sessionMemory } from '../../src/schemas.ts';
import type { HibernatableWebSocket } from './runtime.ts';

const OPEN = 1;
const CLOSED = 3;
/** Codes that say how a connection ended and that no close frame may carry (RFC 6455, section 7.4.1). */
const NEVER_SENT: ReadonlySet<number> = new Set([1005, 1006, 1015]);
const NORMAL_CLOSURE = 1000;

export function toFeedSocket(socket: HibernatableWebSocket): FeedSocket {
  return {
    send(frames) {
      let length = 0;
      for (const { text } of frames) {
        // One that the client has left would throw; its close event is under way.
        if (isOpen(socket)) socket.send(text);
        length += text.length;
      }
      return length;
    },
    close(code, reason) {
      if (socket.readyState !== CLOSED) socket.close(code, reason);
    },
    bufferedBytes: 0,
    remember: (memory) => socket.serializeAttachment(memory),
  };
}

/** Neither side has closed it. */
export function isOpen(socket: HibernatableWebSocket): boolean {
  return socket.readyState === OPEN;
}

/** What a socket remembers of its session; null when it is nothing that could be resumed. */
export function sessionOf(socket: HibernatableWebSocket): SessionMemory | null {
  const parsed = v.safeParse(sessionMemory, socket.deserializeAttachment());
  return parsed.success ? parsed.output : null;
}

/** A client's close frame is answered with its code; the runtime leaves that to us. */
export function answerClose(socket: HibernatableWebSocket, code: number, reason: string): void {
  if (socket.readyState === CLOSED) return;
  if (NEVER_SENT.has(code)) socket.close(NORMAL_CLOSURE);
  else socket.close(code, reason);
}
