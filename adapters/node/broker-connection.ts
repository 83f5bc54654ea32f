// How Node reaches the broker: nats.ws over the `ws` package, or the TCP client of the same family for nats:// and tls://.
import { Buffer } from 'node:buffer';

import { WebSocket } from 'ws';

import type { BrokerConfig } from '../../src/config.ts';
import { CONNECT_TIMEOUT_MS } from '../../src/limits.ts';
import type { NatsEventLogOptions } from '../../src/nats-event-log.ts';
import { webSocketConnector } from '../../src/nats-websocket.ts';

type Connect = NatsEventLogOptions['connect'];

/** The connect function for the configured URLs. */
export function connector({ transport }: BrokerConfig): Connect {
  return transport === 'websocket' ? connectWebSocket : connectTcp;
}

/**
 * What is sent in one turn of the event loop goes out as one message: to the client this is a stream of bytes, and each message
 * would cost us and the broker a system call and a frame. Requests that arrive together are published together.
 */
class BrokerSocket extends WebSocket {
  #unsent: Buffer[] = [];

  /** The client sends buffers of its own and does not touch them again. */
  override send(part: ArrayBuffer): void {
    if (this.#unsent.push(Buffer.from(part)) === 1) setImmediate(() => this.#flush());
  }

  override close(code?: number, reason?: string): void {
    this.#flush();
    super.close(code, reason);
  }

  #flush(): void {
    const unsent = this.#unsent;
    this.#unsent = [];
    if (unsent.length === 0 || this.readyState !== WebSocket.OPEN) return;
    super.send(unsent.length === 1 ? (unsent[0] as Buffer) : Buffer.concat(unsent));
  }
}

/** Node's own WebSocket works too, but an error of it says neither "refused" nor "not found". */
const connectWebSocket: Connect = webSocketConnector(
  (url) =>
    new BrokerSocket(url, {
      // The broker does not compress unless told to, and NATS payloads are not text.
      perMessageDeflate: false,
      skipUTF8Validation: true,
      handshakeTimeout: CONNECT_TIMEOUT_MS,
    }),
);

/** Loaded only when asked for: most servers speak to a websocket listener. */
const connectTcp: Connect = async (options) => {
  const tcp = await import('nats');
  return await (tcp.connect as unknown as Connect)(options);
};
