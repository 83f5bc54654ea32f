// /livez, /readyz and /metrics: what machines ask that look after the server. They need the token like everything else.
import type { ControlPlane } from '../control-plane.ts';
import { json, plain } from '../http.ts';
import { METRICS_TYPES } from '../metrics.ts';
import { ProblemError, unavailable } from '../problems.ts';
import type { Answer, Register } from './routing.ts';

const NO_STORE = { 'cache-control': 'no-store' };

/** Whether a path is answered by a server that cannot answer anything else yet. */
export function isProbe(path: string): boolean {
  return path === '/livez' || path === '/readyz';
}

export function healthRoutes(register: Register, answer: Answer): void {
  // That it answers is all that it says: what may be wrong with the event store is not mended by a restart.
  register('GET', '/livez', (c) => answer(c, () => json('{"status":"alive"}', 200, NO_STORE)));

  register('GET', '/readyz', (c) =>
    answer(c, ({ controlPlane }) => {
      const { serving, phase, vitals, progress } = controlPlane;
      if (!serving) {
        const { message, options } = notServing(controlPlane);
        throw new ProblemError('service-unavailable', message, {
          ...options,
          extensions: { phase, ...progress },
        });
      }
      // While the event store is away reads are answered from the view: no reason to send clients elsewhere.
      const store = vitals.isConnected ? 'connected' : 'away';
      const { cursor } = progress;
      return json(JSON.stringify({ status: 'ready', phase, event_store: store, cursor }), 200, NO_STORE);
    }),
  );

  register('GET', '/metrics', (c) => {
    const accept = c.req.raw.headers.get('accept') ?? '';
    const wantsText = accept.includes('text/plain') && !accept.includes('application/openmetrics-text');
    const format = wantsText ? 'text' : 'openmetrics';
    return answer(c, async ({ metrics }) => plain(await metrics(format), METRICS_TYPES[format], NO_STORE));
  });
}

/** The 503 of a server that does not answer requests yet, or no more. */
export function notServing({ phase, progress: { cursor, target } }: ControlPlane): ProblemError {
  if (phase === 'stopped') return unavailable('the server is shutting down');
  const so = target === null ? 'waiting for the event store' : `replayed ${cursor} of ${target}`;
  return unavailable(`the server is starting: ${so}`);
}
