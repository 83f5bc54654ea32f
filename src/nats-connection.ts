// From the checked configuration to what the NATS clients take; the same for the websocket and the TCP client.
import { type ConnectionOptions, credsAuthenticator } from 'nats.ws';

import type { BrokerConfig } from './config.ts';
import { encodeUtf8 } from './utf8.ts';

export function toConnectionOptions(broker: BrokerConfig): ConnectionOptions {
  const { servers, user, password, token, credentials } = broker;
  return {
    servers: [...servers],
    ...(user === null ? {} : { user }),
    ...(password === null ? {} : { pass: password }),
    ...(token === null ? {} : { token }),
    ...(credentials === null ? {} : { authenticator: credsAuthenticator(encodeUtf8(credentials)) }),
    // tls:// asks for TLS also where the broker would do without; the websocket client takes it from wss://.
    ...(servers.some((server) => server.startsWith('tls:')) ? { tls: {} } : {}),
  };
}
