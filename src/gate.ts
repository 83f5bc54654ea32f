// The gate in front of a server that runs elsewhere: it refuses what the request alone shows to be wrong, in the server's words
// and order because it is the server's code, and forwards the rest. It knows neither the view nor whether there is one.
import type { Access } from './access.ts';
import { createEntrance } from './app.ts';
import type { Log, UpgradeSocket } from './ports.ts';
import { unavailable } from './problems.ts';
import type { RequestLog } from './request-log.ts';
import { asksForWebSocket } from './routes/feed.ts';
import { encodeUtf8 } from './utf8.ts';

export interface GateOptions {
  readonly access: Access;
  readonly logger: Log;
  /** Told of the requests that are refused here; the server has its own. */
  readonly requestLog?: RequestLog | null;
  /** Hands a request, its body unread, to the server. A rejection means that it could not be reached. */
  readonly forward: (request: Request) => Promise<Response>;
}

export interface Gate {
  readonly fetch: (request: Request, address?: string | null) => Response | Promise<Response>;
}

export function createGate({ access, logger, requestLog = null, forward }: GateOptions): Gate {
  const entrance = createEntrance({
    access,
    logger,
    onAnswered: requestLog,
    // Only the server knows, and it says so itself.
    notReady: () => null,
    async answer(c, _work, body) {
      try {
        const answered = await forward(unread(c.req.raw, body));
        c.env.outcome = 'forwarded';
        return answered;
      } catch (error) {
        throw unavailable('the server cannot be reached just now', error);
      }
    },
  });
  return {
    fetch: (request, address) =>
      entrance.fetch(request, asksForWebSocket(request.headers) ? acceptedElsewhere : null, address),
  };
}

/** Tells the feed's route that there is an upgrade; the server accepts it. */
const acceptedElsewhere: UpgradeSocket = () => {
  throw new Error('a gate accepts no WebSocket');
};

/**
 * The request as it came. One whose body was read is made again: readBody takes well-formed UTF-8 alone and keeps a byte order
 * mark, so its text stands for the very bytes. Bytes, because a text as a body would bring a content type along.
 */
function unread(request: Request, body: string | undefined): Request {
  if (body === undefined) return request;
  const { url, method, headers } = request;
  return new Request(url, { method, headers, body: encodeUtf8(body) });
}
