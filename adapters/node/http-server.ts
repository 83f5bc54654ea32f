// HTTP and WebSocket on one port: node:http in front of the core's fetch handler. Whatever node:http would answer by itself
// is answered as a problem too.
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { Duplex } from 'node:stream';

import { getRequestListener, RequestError } from '@hono/node-server';
import { type ServerOptions, WebSocketServer } from 'ws';

import type { IdCarrier, ServerApp } from '../../src/app.ts';
import { FEED_PROTOCOL } from '../../src/auth.ts';
import type { Config } from '../../src/config.ts';
import { CORS_HEADERS, problemResponse } from '../../src/http.ts';
import { MAX_INBOUND_MESSAGE_BYTES, MAX_INBOUND_PER_SWEEP } from '../../src/limits.ts';
import type { UpgradeSocket } from '../../src/ports.ts';
import { ProblemError, type ProblemOptions } from '../../src/problems.ts';
import { canonicalPath } from '../../src/query.ts';
import { REQUEST_ID_HEADER } from '../../src/request-log.ts';
import { FEED_PATH } from '../../src/routes/feed.ts';
import type { Listener } from '../process/server.ts';
import { connectFeed } from './feed-socket.ts';
import { mayStream, sendStream } from './streams.ts';

/** Request line and headers; Node's own default, written down. */
const MAX_HEADER_BYTES = 16 * 1024;
/** A client that dawdles over its headers or its 64 KiB of body holds a connection, no more than this long. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** Longer than the 60 s that proxies commonly keep idle connections, so that they close first. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** How often a server that stops looks for connections that have become idle. */
const IDLE_CHECK_MS = 20;
/** A client that has its last answer and does not hang up itself: node:http has let go of its connection, and bounds nothing there. */
const LINGER_MS = 1000;

interface NodeHttpServer {
  readonly server: Server;
  /** Ends the WebSockets that are still open. */
  readonly destroyWebSockets: () => void;
  /** From now on each answer is the last one on its connection, and says so. */
  readonly announceEnd: () => void;
}

/** Rejects with Node's error when the address cannot be listened on. */
export async function listen(app: ServerApp, { host, port }: Config['bind']): Promise<Listener> {
  const { server, destroyWebSockets, announceEnd } = createHttpServer(app);
  server.listen(port, host);
  await once(server, 'listening');
  return {
    async close() {
      const closed = once(server, 'close');
      announceEnd();
      server.close();
      // A kept-alive connection becomes idle when its request has been answered, and would hold the server open.
      const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
      await closed;
      clearInterval(idle);
    },
    cut() {
      destroyWebSockets();
      server.closeAllConnections();
    },
  };
}

function createHttpServer(app: ServerApp): NodeHttpServer {
  const end = { isNear: false };
  /** Adds what the listener's responses leave out: a header that is set on one of them costs as much as the rest of an answer. */
  class Answer<Asked extends IncomingMessage> extends ServerResponse<Asked> implements IdCarrier {
    requestId: string | null = null;

    /** The listener calls it with headers in a plain object, or without any. */
    override writeHead(status: number, headers?: unknown): this {
      if (end.isNear) this.shouldKeepAlive = false;
      if (this.requestId === null) return super.writeHead(status, headers as OutgoingHttpHeaders);
      return super.writeHead(status, {
        ...(headers as OutgoingHttpHeaders),
        [REQUEST_ID_HEADER]: this.requestId,
      });
    }
  }
  const answer = getRequestListener(
    (request, env) => {
      const { incoming, outgoing } = env as { incoming: IncomingMessage; outgoing: Answer<IncomingMessage> };
      const response = app.fetch(request, null, incoming.socket.remoteAddress, outgoing);
      return mayStream(incoming)
        ? Promise.resolve(response).then((answered) => sendStream(answered, outgoing))
        : response;
    },
    {
      errorHandler: answerError,
      // HTTP/1.0 needs no Host.
      hostname: 'localhost',
    },
  );
  const listener = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    if (incoming.headers.host === undefined && incoming.httpVersion === '1.1') {
      // RFC 9112, section 3.2.
      void writeProblem(incoming.socket, badRequest('the request has no Host header'));
      return;
    }
    // The asterisk form, which no URL can be made of.
    if (incoming.method === 'OPTIONS' && incoming.url === '*') incoming.url = '/';
    void answer(incoming, outgoing);
  };
  const server = createServer(
    {
      ServerResponse: Answer,
      maxHeaderSize: MAX_HEADER_BYTES,
      // Node's own answer to a missing Host has no body.
      requireHostHeader: false,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      shouldUpgradeCallback: isFeedUpgrade,
    },
    listener,
  );
  // By default Node answers an unknown Expect with an empty 417.
  server.on('checkExpectation', listener);
  server.on('clientError', answerClientError);
  server.on('connect', (_incoming, socket) => {
    // A client that leaves now must not end the process.
    socket.on('error', () => {});
    void writeProblem(socket, badRequest('CONNECT is for proxies'));
  });

  const webSockets = new Set<Duplex>();
  const options: ServerOptions & { readonly maxPendingAutoPongs: number } = {
    noServer: true,
    clientTracking: false,
    // Compression costs memory per socket and invites bombs; connectFeed relies on its absence.
    perMessageDeflate: false,
    maxPayload: MAX_INBOUND_MESSAGE_BYTES,
    // The feed counts pings; ws would cut the connection without a word, and sooner.
    maxPendingAutoPongs: MAX_INBOUND_PER_SWEEP + 1,
    handleProtocols: (offered) => (offered.has(FEED_PROTOCOL) ? FEED_PROTOCOL : false),
  };
  const webSocketServer = new WebSocketServer(options);
  const requestIds = new WeakMap<IncomingMessage, string>();
  webSocketServer.on('headers', (headers, incoming) => {
    headers.push(`${REQUEST_ID_HEADER}: ${requestIds.get(incoming)}`);
    for (const [name, value] of Object.entries(CORS_HEADERS)) headers.push(`${name}: ${value}`);
  });
  server.on('upgrade', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    // A client that leaves now must not end the process.
    socket.on('error', () => {});
    let upgraded = false;
    const upgrade: UpgradeSocket = (onOpen, _protocol, requestId) => {
      upgraded = true;
      requestIds.set(incoming, requestId);
      webSocketServer.handleUpgrade(incoming, socket, head, (webSocket) => {
        webSockets.add(socket);
        socket.on('close', () => webSockets.delete(socket));
        connectFeed(webSocket, socket, onOpen);
      });
      return new Response(null);
    };
    void answerUpgrade(app, incoming, upgrade)
      .then((response) => (upgraded ? undefined : writeResponse(incoming, socket, response)))
      // The client left before it was answered.
      .catch(() => socket.destroy());
  });
  return {
    server,
    destroyWebSockets: () => {
      for (const socket of webSockets) socket.destroy();
    },
    announceEnd: () => {
      end.isNear = true;
    },
  };
}

/**
 * Whether a request leaves the HTTP path, where bodies are read and streams sent: others that offer an upgrade, as `curl --http2` does
 * to h2c, are answered without one.
 */
function isFeedUpgrade({ headers, url = '' }: IncomingMessage): boolean {
  if (headers.upgrade?.toLowerCase() !== 'websocket') return false;
  const address = `http://localhost${url}`;
  return URL.canParse(address) && canonicalPath(new URL(address).pathname) === FEED_PATH;
}

async function answerUpgrade(
  app: ServerApp,
  incoming: IncomingMessage,
  upgrade: UpgradeSocket,
): Promise<Response> {
  try {
    return await app.fetch(toRequest(incoming), upgrade, incoming.socket.remoteAddress);
  } catch (error) {
    return answerError(error);
  }
}

/** The listener makes requests of its own kind; an upgrade does not pass it. */
function toRequest(incoming: IncomingMessage): Request {
  const headers = new Headers();
  for (const [name, values] of Object.entries(incoming.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  try {
    const url = `http://${incoming.headers.host ?? 'localhost'}${incoming.url ?? '/'}`;
    return new Request(url, { method: incoming.method ?? 'GET', headers });
  } catch {
    throw badRequest('the request line or the Host header is not valid');
  }
}

/** A refused upgrade; the connection is closed behind it. */
async function writeResponse(incoming: IncomingMessage, socket: Duplex, response: Response): Promise<void> {
  const outgoing = new ServerResponse(incoming);
  outgoing.shouldKeepAlive = false;
  outgoing.assignSocket(socket as Parameters<ServerResponse['assignSocket']>[0]);
  const body = new Uint8Array(await response.arrayBuffer());
  outgoing.writeHead(response.status, {
    ...Object.fromEntries(response.headers),
    'content-length': body.byteLength,
  });
  outgoing.end(body, () => hangUp(socket));
}

function badRequest(detail: string, options: ProblemOptions = {}): ProblemError {
  return new ProblemError('bad-request', detail, options);
}

function answerError(error: unknown): Response {
  const isOurs = !(error instanceof RequestError);
  return problemResponse(isOurs ? error : badRequest('the request line or the Host header is not valid'));
}

/** What the HTTP parser refuses never becomes a request. */
function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
  else void writeProblem(socket, clientProblem(error.code));
}

function clientProblem(code: string | undefined): ProblemError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return badRequest(`the headers are larger than ${MAX_HEADER_BYTES} bytes`, { status: 431 });
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return badRequest('the request took too long to arrive', { status: 408 });
    case 'HPE_INVALID_METHOD':
      return badRequest('the method is none of HTTP');
    default:
      return badRequest('this is not a well-formed HTTP/1.1 request');
  }
}

/** An answer where there is nothing to answer to but a socket; the connection ends with it. */
async function writeProblem(socket: Duplex, problem: ProblemError): Promise<void> {
  const response = problemResponse(problem);
  const body = await response.text();
  const lines = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    ...[...response.headers].map(([name, value]) => `${name}: ${value}`),
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  hangUp(socket, `${lines.join('\r\n')}\r\n\r\n${body}`);
}

/** Ends the connection, and waits for the client's end no longer than it must. */
function hangUp(socket: Duplex, lastWords = ''): void {
  socket.end(lastWords);
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}
