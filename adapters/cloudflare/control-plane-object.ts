// The Durable Object: one for all, it holds the view and the feed's sessions. It may be evicted at any time: the checkpoint
// brings the view back, the sockets remember their sessions, and the alarm sees to it that somebody asks.
import { DurableObject } from 'cloudflare:workers';

import { CORS_HEADERS } from '../../src/http.ts';
import { MAX_SLICE_PAUSE_MS, WATCHDOG_INTERVAL_MS } from '../../src/limits.ts';
import type { FeedConnection, UpgradeSocket } from '../../src/ports.ts';
import { CLOSE } from '../../src/problems.ts';
import { REQUEST_ID_HEADER } from '../../src/request-log.ts';
import { asksForWebSocket } from '../../src/routes/feed.ts';
import { messageBytes } from '../../src/utf8.ts';
import { answerClose, isOpen, sessionOf, toFeedSocket } from './feed-socket.ts';
import { ObjectServer } from './object-server.ts';
import {
  createSocketPair,
  type HibernatableWebSocket,
  switchProtocols,
  type WorkerEnvironment,
} from './runtime.ts';
import { misconfigured, readSettings, readSignatures } from './settings.ts';

export class ControlPlaneObject extends DurableObject<WorkerEnvironment> {
  /** The life that is starting or running; null between two, and resolves with null when the configuration allows none. */
  #server: Promise<ObjectServer | null> | null = null;
  /** The end of the life before. */
  #stopping: Promise<void> = Promise.resolve();
  readonly #connections = new Map<HibernatableWebSocket, FeedConnection>();
  #requests = 0;
  #usedAt = Date.now();
  #resumeReplay: () => void = () => {};

  async fetch(request: Request): Promise<Response> {
    this.#requests++;
    try {
      const server = await this.#running();
      if (server === null) return misconfigured();
      return await server.app.fetch(request, asksForWebSocket(request.headers) ? this.#upgrade : null);
    } finally {
      this.#requests--;
      this.#usedAt = Date.now();
    }
  }

  async webSocketMessage(socket: HibernatableWebSocket, message: string | ArrayBuffer): Promise<void> {
    if (!this.#connections.has(socket)) await this.#running();
    this.#connections.get(socket)?.received(messageBytes(message));
  }

  webSocketClose(socket: HibernatableWebSocket, code: number, reason: string): void {
    answerClose(socket, code, reason);
    this.#forget(socket);
  }

  webSocketError(socket: HibernatableWebSocket): void {
    this.#forget(socket);
  }

  /** The watchdog, and what lets a long replay go on. It is armed whenever there is a server, and survives an eviction. */
  async alarm(): Promise<void> {
    this.#resumeReplay();
    try {
      await this.#watch();
    } catch (error) {
      readSettings(this.env)?.logger.error('the alarm failed', { error: String(error) });
      // The platform would try again a few times and then never more.
      await this.ctx.storage.setAlarm(Date.now() + WATCHDOG_INTERVAL_MS);
    }
  }

  /**
   * Lets go of the broker and of the view and keeps the sessions; whatever comes next begins another life. While an object is
   * connected the platform does not evict it: a test that evicts one with sessions open calls this first.
   */
  async leave(): Promise<void> {
    const server = await this.#server;
    if (server === null) return;
    this.#end(server, 'leave');
    await this.#stopping;
  }

  async #watch(): Promise<void> {
    // Only an eviction leaves an alarm without a server: somebody may be waiting, or a replay may be half done.
    if (this.#server === null) {
      await this.#running();
      return;
    }
    const server = await this.#server;
    if (server === null) return;
    if (server.hasDeadTail()) {
      await this.leave();
      await this.#running();
    } else if (this.#isIdle(server)) {
      this.#end(server, 'close');
      await this.#stopping;
    } else {
      await server.renewConnection();
      await this.#arm(server);
    }
  }

  #running(): Promise<ObjectServer | null> {
    if (this.#server === null) {
      const starting = this.#start();
      this.#server = starting;
      // The next request tries again.
      starting.catch(() => {
        if (this.#server === starting) this.#server = null;
      });
    }
    return this.#server;
  }

  async #start(): Promise<ObjectServer | null> {
    const settings = readSettings(this.env);
    if (settings === null) return null;
    const signatures = await readSignatures(settings);
    if (signatures === null) return null;
    await this.#stopping;
    const server = ObjectServer.create(settings, signatures, this.ctx.storage, () => this.#whenNextSlice());
    this.#connections.clear();
    for (const socket of this.ctx.getWebSockets().filter(isOpen)) {
      const memory = sessionOf(socket);
      if (memory !== null) {
        this.#connections.set(socket, server.controlPlane.feed.resume(toFeedSocket(socket), memory));
      } else {
        toFeedSocket(socket).close(CLOSE.internal, 'the session cannot be resumed');
      }
    }
    this.#usedAt = Date.now();
    await this.#arm(server);
    server.controlPlane.start();
    return server;
  }

  /** The next request or alarm begins another life, when this one has let go of the broker. */
  #end(server: ObjectServer, sessions: 'close' | 'leave'): void {
    this.#server = null;
    this.#stopping = server
      .stop(sessions)
      .then(() => (sessions === 'close' ? this.ctx.storage.deleteAlarm() : undefined));
  }

  #isIdle({ controlPlane: { feed, serving }, idleMs }: ObjectServer): boolean {
    // A replay is brought to its end, so that it need not be done again.
    const isBusy = this.#requests > 0 || feed.size > 0 || !serving;
    return !isBusy && Date.now() - this.#usedAt >= idleMs;
  }

  async #arm({ idleMs }: ObjectServer): Promise<void> {
    const now = Date.now();
    const idleAt = this.#usedAt + idleMs;
    // In time for both; an alarm that comes too early for the one costs nothing.
    const watchAt = now + Math.min(WATCHDOG_INTERVAL_MS, idleMs);
    await this.ctx.storage.setAlarm(idleAt > now ? Math.min(idleAt, watchAt) : watchAt);
  }

  /** Resolves in an invocation of its own: the platform bounds how long one may work. */
  async #whenNextSlice(): Promise<void> {
    const next = Promise.withResolvers<void>();
    this.#resumeReplay = next.resolve;
    const timer = setTimeout(next.resolve, MAX_SLICE_PAUSE_MS);
    // If that fails, the timer is there.
    await this.ctx.storage.setAlarm(Date.now()).catch(() => {});
    await next.promise;
    clearTimeout(timer);
  }

  readonly #upgrade: UpgradeSocket = (onOpen, protocol, requestId) => {
    const { 0: theirs, 1: ours } = createSocketPair();
    this.ctx.acceptWebSocket(ours);
    this.#connections.set(ours, onOpen(toFeedSocket(ours)));
    return switchProtocols(theirs, {
      ...CORS_HEADERS,
      [REQUEST_ID_HEADER]: requestId,
      ...(protocol === null ? {} : { 'sec-websocket-protocol': protocol }),
    });
  };

  #forget(socket: HibernatableWebSocket): void {
    this.#connections.get(socket)?.closed();
    this.#connections.delete(socket);
    this.#usedAt = Date.now();
  }
}
