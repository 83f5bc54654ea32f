// Every path of the server with its methods, once: what is registered, what a 405 allows, how requests are labelled in logs and
// metrics, and what a description of the API lists all come from here.

/** HEAD is not among them: it works wherever GET does. */
type Method = 'GET' | 'POST' | 'DELETE';

interface Route {
  /** A path whose parameters stand in braces; each takes one segment that is not empty. */
  readonly template: string;
  readonly methods: readonly Method[];
}

/** Of templates that fit the same path the first one names it. */
export const ROUTES = [
  { template: '/v1/formations', methods: ['GET', 'POST'] },
  { template: '/v1/formations/by-name/{name}', methods: ['GET', 'DELETE'] },
  { template: '/v1/formations/{id}/status', methods: ['POST'] },
  { template: '/v1/formations/{id}', methods: ['GET', 'DELETE'] },
  { template: '/v1/cells', methods: ['GET'] },
  { template: '/v1/cells/{id}', methods: ['GET'] },
  { template: '/v1/cells/{id}/events', methods: ['GET'] },
  { template: '/v1/events', methods: ['GET'] },
  { template: '/v1/version', methods: ['GET'] },
  { template: '/v1/openapi.json', methods: ['GET'] },
  { template: '/ws/events', methods: ['GET'] },
  { template: '/livez', methods: ['GET'] },
  { template: '/readyz', methods: ['GET'] },
  { template: '/metrics', methods: ['GET'] },
] as const satisfies readonly Route[];

export type Template = (typeof ROUTES)[number]['template'];
export type MethodOf<T extends Template> = Extract<
  (typeof ROUTES)[number],
  { template: T }
>['methods'][number];

/** The template as the router spells it, for the types of a handler's parameters. */
export type RouterPath<T extends string> = T extends `${infer Start}{${infer Name}}${infer Rest}`
  ? `${Start}:${Name}${RouterPath<Rest>}`
  : T;

export function routerPath<T extends Template>(template: T): RouterPath<T> {
  // The type does the same replacement.
  return template.replaceAll(/\{(\w+)\}/g, ':$1') as RouterPath<T>;
}

/** A route as a request finds it that has no handler. */
export interface KnownRoute {
  readonly template: Template;
  /** The value of `Allow`. */
  readonly allow: string;
}

const PATTERNS: readonly (KnownRoute & { readonly pattern: RegExp })[] = ROUTES.map(
  ({ template, methods }) => ({
    template,
    allow: methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(', '),
    pattern: new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
  }),
);

/** The route of a path, whatever the method; null when there is none. Not for the way of a request that has a handler. */
export function routeAt(path: string): KnownRoute | null {
  return PATTERNS.find(({ pattern }) => pattern.test(path)) ?? null;
}
