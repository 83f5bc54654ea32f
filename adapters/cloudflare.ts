// The entry point on Cloudflare Workers. The Worker refuses what the request alone shows to be wrong; the rest goes to the one
// Durable Object, which is not woken for less.
import type { ObjectNamespace, WorkerEnvironment } from './cloudflare/runtime.ts';
import { createAccess } from '../src/access.ts';
import { createGate, type Gate } from '../src/gate.ts';
import { createRequestLog } from '../src/request-log.ts';
import { misconfigured, readSettings } from './cloudflare/settings.ts';

export { ControlPlaneObject } from './cloudflare/control-plane-object.ts';

/** The object's name; renaming it would leave its checkpoint behind. */
const OBJECT_NAME = 'control-plane';

/** An isolate serves one environment. */
const gates = new WeakMap<ObjectNamespace, Gate>();

function gateOf(environment: WorkerEnvironment): Gate | null {
  const { CONTROL_PLANE: namespace } = environment;
  const known = gates.get(namespace);
  if (known !== undefined) return known;
  const settings = readSettings(environment);
  if (settings === null) return null;
  const { config, logger, writeLine } = settings;
  const gate = createGate({
    access: createAccess(config.access, Date),
    logger,
    requestLog: createRequestLog(config.logLevel, writeLine),
    forward: (request) => namespace.getByName(OBJECT_NAME).fetch(request),
  });
  gates.set(namespace, gate);
  return gate;
}

export default {
  fetch(request: Request, environment: WorkerEnvironment): Response | Promise<Response> {
    // Cloudflare says who the client is, and lets no client say so.
    const address = request.headers.get('cf-connecting-ip');
    return gateOf(environment)?.fetch(request, address) ?? misconfigured();
  },
};
