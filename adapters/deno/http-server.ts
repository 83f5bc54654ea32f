// HTTP and WebSocket on one port: Deno.serve in front of the core's fetch handler.
import type { ServerApp } from '../../src/app.ts';
import type { Config } from '../../src/config.ts';
import { CORS_HEADERS, problemResponse } from '../../src/http.ts';
import { HEARTBEAT_INTERVAL_MS } from '../../src/limits.ts';
import type { UpgradeSocket } from '../../src/ports.ts';
import { REQUEST_ID_HEADER } from '../../src/request-log.ts';
import { asksForWebSocket } from '../../src/routes/feed.ts';
import type { Listener } from '../process/server.ts';
import { connectFeed } from './feed-socket.ts';

/** In seconds. The runtime pings when half of it has passed without a word, and ends who does not answer when all has. */
const IDLE_TIMEOUT = (2 * HEARTBEAT_INTERVAL_MS) / 1000;

/** Rejects with Deno's error when the address cannot be listened on. */
export async function listen(app: ServerApp, { host, port }: Config['bind']): Promise<Listener> {
  const webSockets = new Set<Promise<void>>();
  const upgradeOf =
    (request: Request): UpgradeSocket =>
    (onOpen, protocol, requestId) => {
      const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: IDLE_TIMEOUT });
      for (const [name, value] of Object.entries(CORS_HEADERS)) response.headers.set(name, value);
      response.headers.set(REQUEST_ID_HEADER, requestId);
      // Deno 2.9 does not find a protocol in a list without blanks behind its commas, which is as good.
      if (protocol !== null) response.headers.set('sec-websocket-protocol', protocol);
      const closed = connectFeed(socket, onOpen).then(() => void webSockets.delete(closed));
      webSockets.add(closed);
      return response;
    };
  const server = Deno.serve(
    // It would announce on stdout where it listens.
    { hostname: host, port, onListen() {}, onError: problemResponse },
    (request, { remoteAddr }) =>
      app.fetch(
        request,
        isUpgrade(request.headers) ? upgradeOf(request) : null,
        'hostname' in remoteAddr ? remoteAddr.hostname : null,
      ),
  );
  return {
    async close() {
      await Promise.all([server.shutdown(), ...webSockets]);
    },
    // What is open then ends with the process; the runtime offers nothing else.
    cut() {},
  };
}

/** Without `Connection: Upgrade`, as behind a proxy that takes it away, the runtime would throw. */
function isUpgrade(headers: Headers): boolean {
  const connection = headers.get('connection') ?? '';
  return (
    asksForWebSocket(headers) &&
    connection.split(',').some((option) => option.trim().toLowerCase() === 'upgrade')
  );
}
