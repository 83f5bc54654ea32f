// The table of routes: that it names paths as the router does, and that handlers and table cannot differ.
import { Hono } from 'hono';
import { describe, expect, test } from 'vitest';

import { type App, type Register, registerRoutes } from '../src/routes/routing.ts';
import { routeAt, routerPath, ROUTES } from '../src/routes/table.ts';

const handler = () => new Response();

const registerAll = (register: Register) => {
  for (const { template, methods } of ROUTES)
    for (const method of methods) register(method, template, handler);
};

const register = (add: (register: Register) => void) => () => registerRoutes(new Hono() as App, add);

describe('OPS-1 the table of routes', () => {
  test.for(ROUTES)('$template is the name of its own paths', ({ template }) => {
    const path = template.replaceAll(/\{\w+\}/g, 'a%2Fb');
    expect(routeAt(path)?.template).toBe(template);
    expect(routerPath(template)).not.toContain('{');
    for (const other of [`${path}/`, `/${path}`, `${path}/x/y`, path.toUpperCase()]) {
      expect(routeAt(other)).toBeNull();
    }
  });

  test('the first template that fits names a path', () => {
    expect(routeAt('/v1/formations/by-name/status')).toEqual({
      template: '/v1/formations/by-name/{name}',
      allow: 'GET, HEAD, DELETE',
      pattern: expect.any(RegExp),
    });
    expect(routeAt('/v1/formations/x/status')?.allow).toBe('POST');
  });

  test('every operation needs a handler, and takes one', () => {
    expect(register(registerAll)).not.toThrow();
    expect(register(() => {})).toThrow('without a handler: GET /v1/formations, POST /v1/formations, ');
    const twice = (each: Register) => {
      registerAll(each);
      each('GET', '/v1/version', handler);
    };
    expect(register(twice)).toThrow('GET /v1/version has two handlers');
  });
});
