// The few members of the Workers runtime that this adapter uses, after developers.cloudflare.com/durable-objects/api.
import type { ResponseBody } from '../../src/http.ts';

/** The server's end of a WebSocket that a Durable Object has accepted for hibernation. */
export interface HibernatableWebSocket {
  /** 1: open, 2: the client has sent its close frame, 3: closed. */
  readonly readyState: number;
  send: (text: string) => void;
  close: (code?: number, reason?: string) => void;
  /** At most 16,384 bytes; survives when the object does not. */
  serializeAttachment: (value: unknown) => void;
  deserializeAttachment: () => unknown;
}

/** The object's address: there is one for all. */
export interface ObjectNamespace {
  getByName: (name: string) => { fetch: (request: Request) => Promise<Response> };
}

/** The variables and secrets, among them the binding to the object. */
export interface WorkerEnvironment {
  readonly CONTROL_PLANE: ObjectNamespace;
  readonly [variable: string]: unknown;
}

interface SocketPair {
  /** What goes into the response. */
  readonly 0: unknown;
  readonly 1: HibernatableWebSocket;
}

declare const WebSocketPair: new () => SocketPair;

/** A response that hands a socket to the client; the type of the web platform knows no such thing. */
export function switchProtocols(socket: unknown, headers: Record<string, string>): Response {
  return new Response(null, { status: 101, webSocket: socket, headers } as ResponseInit);
}

declare const FixedLengthStream: new (length: number) => {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
};

/** Below this a copy does not matter. */
const LARGE_BODY_BYTES = 64 * 1024;

/**
 * A large body as a stream: of a response made of bytes the runtime keeps a copy until garbage is collected, which lists of 3 MB,
 * asked for in a row, turned into gigabytes (workerd 1.20261023).
 */
export function toBody(bytes: Uint8Array<ArrayBuffer>): ResponseBody {
  if (bytes.byteLength <= LARGE_BODY_BYTES) return bytes;
  const { readable, writable } = new FixedLengthStream(bytes.byteLength);
  const writer = writable.getWriter();
  // A client that leaves in the middle is no failure of ours.
  void Promise.allSettled([writer.write(bytes), writer.close()]);
  return readable;
}

export function createSocketPair(): SocketPair {
  return new WebSocketPair();
}
