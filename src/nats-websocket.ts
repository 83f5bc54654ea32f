// The websocket under nats.ws: whichever a runtime has, with the one thing mended that the client leaves out.
import { connect, type ConnectionOptions } from 'nats.ws';

import type { LinkOptions } from './nats-link.ts';

/** The part of a WebSocket that is of interest here; nats.ws sets `onerror`. */
interface ClientSocket {
  onerror: unknown;
  addEventListener: (type: 'close', listener: (event: { readonly code: number }) => void) => void;
}

/** `connect` of nats.ws over sockets that the runtime opens. */
export function webSocketConnector(open: (url: string) => ClientSocket): LinkOptions['connect'] {
  const wsFactory = async (url: string) => {
    const socket = open(url);
    // nats.ws 1.30.3 overlooks a socket that is closed before the broker's first word, and waits for its timeout; an error ends
    // the attempt at once. Later it ignores errors, so that there is no need to know how far it is.
    socket.addEventListener('close', ({ code }) => {
      // The type is what the client reads of it; its handler is there, since nothing can be closed before it was set.
      (socket.onerror as ((event: { message: string }) => void) | null)?.({
        message: `the connection was closed with ${code}`,
      });
    });
    return { socket, encrypted: url.startsWith('wss:') };
  };
  // The client documents `wsFactory` and leaves it out of its types.
  return (options) => connect({ ...options, wsFactory } as ConnectionOptions);
}

/** The same over the WebSocket that runtimes of the web have. */
export const connectWebSocket: LinkOptions['connect'] = webSocketConnector((url) => new WebSocket(url));
