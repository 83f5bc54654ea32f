// The entry point on Deno and on Deno Deploy: `deno task serve`.
import type { Environment } from '../src/config.ts';
import type { PaceLimits } from '../src/feed-pace.ts';
import { connectWebSocket } from '../src/nats-websocket.ts';
import { listen } from './deno/http-server.ts';
import { processClock } from './process/clock.ts';
import { runServer } from './process/server.ts';

/**
 * Sockets tell what waits, but Deno 2.9 keeps a task and a text of its own for each message to each client: of usual events some three
 * times what it tells. Beyond so many bytes a turn that is memory of ours, and slower memory: half of it delivers 15 % less, four times as
 * much no more. A message is a write to the kernel however many are sent together, so waiting for more gains nothing.
 */
const FEED_PACE: PaceLimits = { turnBytes: 8 * 1024 * 1024, busyMsPerSession: 0 };

/** Each variable is asked for by its name: the permission to read them is for those of the server alone. */
const environment: Environment = new Proxy({}, { get: (_, name) => Deno.env.get(String(name)) });

function readTextFile(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    throw Object.assign(new Error('no permission'), { code: 'reading it needs --allow-read' });
  }
}

function writeLine(line: string): void {
  try {
    console.error(line);
  } catch {
    // Whoever read the log is gone, which is no reason to end.
  }
}

await runServer({
  environment,
  capabilities: { tcp: false, readTextFile },
  connector: () => connectWebSocket,
  clock: processClock,
  writeLine,
  listen,
  onSignal: (signal, run) => Deno.addSignalListener(signal, run),
  // An error that nobody caught ends the process without `unload`.
  onExit: (run) => {
    for (const event of ['unload', 'error', 'unhandledrejection']) addEventListener(event, run);
  },
  exit: (code) => Deno.exit(code),
  pace: FEED_PACE,
});
