// What routes share: the application type, what a request carries beside itself, the line between what the request alone
// decides and what needs the server, and the answer to a wrong method.
import type { Context, Hono } from 'hono';

import { parseTraceparent } from '../cloudevents.ts';
import type { ControlPlane } from '../control-plane.ts';
import { type EntityTags, isWeakMatch, readConditionOf, writeConditionOf } from '../entity-tags.ts';
import { json, notModified, type ResponseBody } from '../http.ts';
import { idempotencyKeyOf, markOf } from '../idempotency.ts';
import type { MetricsFormat } from '../metrics.ts';
import type { Clock, UpgradeSocket } from '../ports.ts';
import { ProblemError } from '../problems.ts';
import { excerpt } from '../text.ts';
import type { WriteContext, Written } from '../write-attempts.ts';
import type { Writer } from '../writer.ts';
import { type MethodOf, routeAt, routerPath, type RouterPath, ROUTES, type Template } from './table.ts';

export interface RequestBindings {
  /** What the client, the answer and the log know it by. */
  readonly id: string;
  /** Who asks; null until that is known, which it is for every handler. */
  operator: string | null;
  /** Accepts the WebSocket of this request; null when it is no upgrade. */
  readonly upgrade: UpgradeSocket | null;
  /** What is routed on: hono decodes parameters once, and finds them in the one spelling that survives that. */
  path: string;
  /** The route that answers, once it is found; it names the request where requests are counted. */
  route: Template | null;
  /** Whether the answer is a socket, or another server's. */
  outcome: 'answered' | 'upgraded' | 'forwarded';
}

export type App = Hono<{ Bindings: RequestBindings }>;
export type RequestContext = Context<{ Bindings: RequestBindings }>;

/** What the second half of a route answers from. */
export interface Server {
  readonly controlPlane: ControlPlane;
  readonly writer: Writer;
  readonly clock: Clock;
  /** The body of GET /v1/version. */
  readonly version: string;
  /** Bytes of any size as the runtime sends them best. */
  readonly toBody: (bytes: Uint8Array<ArrayBuffer>) => ResponseBody;
  /** The body of GET /metrics. */
  readonly metrics: (format: MetricsFormat) => Promise<string>;
}

/**
 * Ends the first half of a route, which has refused whatever the request alone shows to be wrong; `work` is the second half.
 * The server runs it at once, in this call; a gate passes the request on instead. A route that has read the body hands it in.
 */
export type Answer = (
  c: RequestContext,
  work: (server: Server) => Response | Promise<Response>,
  body?: string,
) => Response | Promise<Response>;

type Handler<T extends Template> = (
  c: Context<{ Bindings: RequestBindings }, RouterPath<T>>,
) => Response | Promise<Response>;

/** Gives an operation of the table its handler; what is not in the table is a type error. */
export type Register = <T extends Template>(method: MethodOf<T>, template: T, handler: Handler<T>) => void;

/** Lets `add` register the handlers. Throws when an operation of the table is left without one, or has got two. */
export function registerRoutes(app: App, add: (register: Register) => void): void {
  const missing = new Set(
    ROUTES.flatMap(({ template, methods }) => methods.map((each) => `${each} ${template}`)),
  );
  add((method, template, handler) => {
    if (!missing.delete(`${method} ${template}`)) throw new Error(`${method} ${template} has two handlers`);
    app.on(method, routerPath(template), (c) => {
      c.env.route = template;
      // The router's path is the one that the handler's type says.
      return handler(c as Parameters<typeof handler>[0]);
    });
  });
  if (missing.size > 0) throw new Error(`without a handler: ${[...missing].join(', ')}`);
}

/** The answer to a request that no handler takes: 405 where the path has others, else 404. */
export function noHandler(method: string, path: string): ProblemError {
  const known = routeAt(path);
  if (known === null) return new ProblemError('not-found', `there is nothing at ${excerpt(path)}`);
  return new ProblemError(
    'method-not-allowed',
    `${excerpt(method)} is not allowed on ${excerpt(path)}; allowed: ${known.allow}`,
    { headers: { allow: known.allow } },
  );
}

/** What a write's headers say, checked in the first half of a route. */
export interface WriteHeaders {
  readonly key: string | null;
  readonly condition: EntityTags | null;
}

/** Throws 400 for an Idempotency-Key or an If-Match that is none. */
export function parseWriteHeaders(c: RequestContext): WriteHeaders {
  const { headers } = c.req.raw;
  return { key: idempotencyKeyOf(headers), condition: writeConditionOf(headers) };
}

/** Who writes, on behalf of which trace, and what the request is known by. */
export async function writeContext(
  c: RequestContext,
  { key }: WriteHeaders,
  body: string,
): Promise<WriteContext> {
  const { method, path } = c.req;
  return {
    // There is one by now.
    operator: c.env.operator ?? '',
    traceparent: parseTraceparent(c.req.raw.headers.get('traceparent')),
    mark: key === null ? null : await markOf(key, { method, path, body }),
  };
}

/** What a write is answered with: where its event is in the log, and whether an earlier request has made it. */
export function writtenHeaders({ seq, isReplayed }: Written): Record<string, string> {
  return { 'cellos-cursor': String(seq), ...(isReplayed ? { 'idempotent-replayed': 'true' } : {}) };
}

/** A body that comes with headers of its own. */
export interface WithHeaders {
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What the view shows, with its cursor and an entity tag, or 304 when that is what the client has. */
export function view(
  c: RequestContext,
  { controlPlane, toBody }: Server,
  tag: string,
  body: () => string | Uint8Array<ArrayBuffer> | WithHeaders,
): Response {
  const headers = { 'cellos-cursor': String(controlPlane.state.cursor), etag: tag };
  const condition = readConditionOf(c.req.raw.headers);
  if (condition !== null && isWeakMatch(condition, tag)) return notModified(headers);
  const made = body();
  if (typeof made === 'string') return json(made, 200, headers);
  if (made instanceof Uint8Array) return json(toBody(made), 200, headers);
  return json(made.text, 200, { ...headers, ...made.headers });
}
