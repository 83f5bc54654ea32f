// How Node reaches the broker: nats.ws over the `ws` package, or the TCP client of the same family for nats:// and tls://.
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

/** Node's own WebSocket works too, but an error of it says neither "refused" nor "not found". */
const connectWebSocket: Connect = webSocketConnector(
  (url) =>
    new WebSocket(url, {
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
