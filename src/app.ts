// The HTTP application: what every request passes before its route, in the contract's order (preflight, authentication,
// readiness, path), then the routes. The first steps are a plain function and routes answer synchronously where they can: a
// middleware chain costs more than most answers here. gate.ts has the same way in, and forwards where this answers.
import { Hono } from 'hono';

import type { Access } from './access.ts';
import type { ControlPlane } from './control-plane.ts';
import { preflight, problemResponse } from './http.ts';
import { MIN_CURSOR_TIMEOUT_MS } from './limits.ts';
import { exposition } from './metrics.ts';
import type { Position } from './model.ts';
import type { Clock, Log, UpgradeSocket } from './ports.ts';
import { ProblemError, toProblem } from './problems.ts';
import { canonicalPath, minCursorOf, rawPathOf } from './query.ts';
import { createRequestIds, REQUEST_ID_HEADER, type RequestLog } from './request-log.ts';
import { RequestMetrics } from './request-metrics.ts';
import { cellEventRoutes } from './routes/cell-events.ts';
import { cellRoutes } from './routes/cells.ts';
import { eventRoutes } from './routes/events.ts';
import { FEED_PATH, feedRoutes } from './routes/feed.ts';
import { formationRoutes } from './routes/formations.ts';
import { healthRoutes, isProbe, notServing } from './routes/health.ts';
import { type BuildInfo, metaRoutes, versionText } from './routes/meta.ts';
import {
  type Answer,
  noHandler,
  registerRoutes,
  type RequestBindings,
  type Server,
} from './routes/routing.ts';
import { routeAt } from './routes/table.ts';
import { ServerMetrics } from './server-metrics.ts';
import { Writer } from './writer.ts';

export interface AppOptions {
  readonly controlPlane: ControlPlane;
  readonly access: Access;
  readonly clock: Clock;
  readonly logger: Log;
  /** Told of every request; default: nobody is. */
  readonly requestLog?: RequestLog | null;
  readonly build: BuildInfo;
  /** Where a runtime sends large bodies better in another form; default: as they are. */
  readonly toBody?: Server['toBody'];
  /** How long a request waits for a server that starts before it gets its 503; absent: not at all. */
  readonly holdWhileStartingMs?: number;
}

export interface ServerApp {
  /**
   * Answers one request; `upgrade` accepts its WebSocket and is null when the request asks for none. `address` is the client's, by which
   * failed logins are limited; null where it is not known, or where somebody in front has done so. With a `carrier` the answer lacks its
   * id, which is the carrier's to add: for a runtime where a header is dear once the response is made.
   */
  readonly fetch: (
    request: Request,
    upgrade?: UpgradeSocket | null,
    address?: string | null,
    carrier?: IdCarrier | null,
  ) => Response | Promise<Response>;
}

/** Is told what the request is known by, before the answer is there. */
export interface IdCarrier {
  requestId: string | null;
}

export function createApp(options: AppOptions): ServerApp {
  const { controlPlane, access, clock, logger, build, holdWhileStartingMs: holdMs } = options;
  const { requestLog = null } = options;
  const requests = new RequestMetrics();
  const metrics = new ServerMetrics(controlPlane, clock, build);
  const server: Server = {
    controlPlane,
    writer: new Writer(controlPlane, clock),
    clock,
    version: versionText(build),
    toBody: options.toBody ?? ((bytes) => bytes),
    async metrics(format) {
      await metrics.lookAtLog();
      return exposition([...metrics.families, ...requests.families], format);
    },
  };
  return createEntrance({
    access,
    logger,
    onAnswered(request, method, status, ms) {
      requests.count(request.route, method, status, ms / 1000);
      requestLog?.(request, method, status, ms);
    },
    notReady: () => (controlPlane.serving ? null : notServing(controlPlane)),
    ...(holdMs === undefined ? {} : { hold: () => controlPlane.whenAnswerable(holdMs) }),
    answer: (_c, work) => work(server),
  });
}

export interface EntranceOptions {
  readonly access: Access;
  readonly logger: Log;
  /** Told of every request that was not forwarded. */
  readonly onAnswered?: RequestLog | null;
  /** Why no request can be answered yet, or null. */
  readonly notReady: () => ProblemError | null;
  /** Awaited once before a request that is not ready is refused. */
  readonly hold?: () => Promise<void>;
  readonly answer: Answer;
}

/** The way from a request to `answer`: every refusal that needs no view is made on it, once for server and gate. */
export function createEntrance(options: EntranceOptions): ServerApp {
  const { access, logger, onAnswered = null, notReady, hold, answer } = options;
  const idOf = createRequestIds();
  const app = new Hono<{ Bindings: RequestBindings }>({
    getPath: (request, context) => context?.env?.path ?? request.url,
  });
  const answerInTime = whenReached(answer);
  registerRoutes(app, (register) => {
    formationRoutes(register, answerInTime);
    cellRoutes(register, answerInTime);
    cellEventRoutes(register, answerInTime);
    eventRoutes(register, answerInTime);
    feedRoutes(register, answerInTime);
    metaRoutes(register, answerInTime);
    healthRoutes(register, answerInTime);
  });
  app.notFound((c) => problemResponse(noHandler(c.req.method, c.req.path)));
  app.onError((error, { env: { id } }) => {
    const problem = toProblem(error);
    const { cause } = problem.options;
    if (problem.status === 500) logger.error('request failed', { id, error: describe(cause) });
    else if (problem.status > 500 && cause !== undefined)
      logger.warn('request refused', { id, detail: problem.message, error: String(cause) });
    return problemResponse(problem);
  });

  const enter = (
    request: Request,
    bindings: RequestBindings,
    address: string | null,
  ): Response | Promise<Response> => {
    if (request.method === 'OPTIONS') return preflight();
    const { path: rawPath } = bindings;
    const isFeed = bindings.upgrade !== null && rawPath === FEED_PATH;
    const { principal, refusal } = access.admit(request, isFeed, address);
    if (principal !== null) bindings.operator = principal.operator;
    if (refusal !== null) return problemResponse(refusal);
    const route = () => {
      const unready = notReady();
      if (unready !== null && !isProbe(rawPath)) return problemResponse(unready);
      const path = canonicalPath(rawPath);
      if (path === null) return problemResponse(new ProblemError('bad-request', 'the path is not UTF-8'));
      bindings.path = path;
      return app.fetch(request, bindings);
    };
    return hold === undefined || notReady() === null || isProbe(rawPath) ? route() : hold().then(route);
  };

  return {
    fetch(request, upgrade = null, address = null, carrier = null) {
      const startedAt = performance.now();
      const bindings: RequestBindings = {
        id: idOf(request.headers),
        operator: null,
        upgrade,
        path: rawPathOf(request.url),
        route: null,
        outcome: 'answered',
      };
      if (carrier !== null) carrier.requestId = bindings.id;
      const leave = (response: Response) => {
        if (bindings.outcome === 'forwarded') return response;
        const isUpgraded = bindings.outcome === 'upgraded';
        if (!isUpgraded && carrier === null) response.headers.set(REQUEST_ID_HEADER, bindings.id);
        // What was refused on the way has not found its route yet.
        bindings.route ??= routeAt(bindings.path)?.template ?? null;
        const status = isUpgraded ? 101 : response.status;
        onAnswered?.(bindings, request.method, status, performance.now() - startedAt);
        return response;
      };
      const response = enter(request, bindings, address);
      return response instanceof Promise ? response.then(leave) : leave(response);
    },
  };
}

/** A GET that asks for `min_cursor` is answered when the view has it (contract, section 5, Further). */
function whenReached(answer: Answer): Answer {
  return (c, work, body) => {
    const { method, url } = c.req;
    const position = method === 'GET' || method === 'HEAD' ? minCursorOf(url) : null;
    if (position === null) return answer(c, work, body);
    const waiting = async (server: Server) => {
      await whenViewHas(server.controlPlane, position);
      return work(server);
    };
    return answer(c, waiting, body);
  };
}

/** Throws 504 with the cursor when the view has not got there within the contract's 3 s. */
async function whenViewHas(controlPlane: ControlPlane, position: Position): Promise<void> {
  try {
    await controlPlane.whenApplied(position, AbortSignal.timeout(MIN_CURSOR_TIMEOUT_MS));
  } catch (error) {
    if (error instanceof ProblemError) throw error;
    const { cursor } = controlPlane;
    throw new ProblemError(
      'cursor-timeout',
      `the view is at ${cursor}, and not yet where min_cursor asks for`,
      {
        extensions: { cursor },
      },
    );
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
