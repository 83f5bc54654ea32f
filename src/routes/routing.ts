// What routes share: the application type, what a request carries beside itself, and the answer to a wrong method.
import type { Context, Hono } from 'hono';

import { parseTraceparent } from '../cloudevents.ts';
import type { UpgradeSocket } from '../ports.ts';
import { ProblemError } from '../problems.ts';
import { excerpt } from '../text.ts';
import type { WriteContext } from '../writer.ts';

export interface RequestBindings {
  /** Who asks. */
  readonly operator: string;
  /** Accepts the WebSocket of this request; null when it is no upgrade. */
  readonly upgrade: UpgradeSocket | null;
}

export type App = Hono<{ Bindings: RequestBindings }>;
export type RequestContext = Context<{ Bindings: RequestBindings }>;

/** Answers every method that has no handler on `path` with 405; registered behind those that have. */
export function otherMethods(app: App, path: string, allow: string): void {
  app.all(path, (c) => {
    throw new ProblemError(
      'method-not-allowed',
      `${excerpt(c.req.method)} is not allowed on ${excerpt(c.req.path)}; allowed: ${allow}`,
      { headers: { allow } },
    );
  });
}

/** Who writes and on behalf of which trace. */
export function writeContext(c: RequestContext): WriteContext {
  return { operator: c.env.operator, traceparent: parseTraceparent(c.req.raw.headers.get('traceparent')) };
}
