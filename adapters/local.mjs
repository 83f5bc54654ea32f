// `npm start`: a nats-server and the server as children of this process, in this order, and ended in the other one.
// What they need is there when this runs: adapters/local/setup.mjs was the step before.
import { chooseAddress } from './local/address.mjs';
import { ensureNatsServer, findFreePort, readLastLines, startNatsServer } from './local/nats-server.mjs';
import { BROKER_DIRECTORY, CHECKPOINT_DIRECTORY, shown } from './local/project.mjs';
import { claimRun, noteRun, releaseRun } from './local/run-file.mjs';
import { startServer, whenServing } from './local/server-process.mjs';
import { ensureToken } from './local/token.mjs';
import { welcome } from './local/welcome.mjs';

// The ports that NATS documentation uses for these two listeners.
const BROKER_PORT = 4222;
const BROKER_WEBSOCKET_PORT = 9222;

const say = (/** @type {string} */ line) => console.error(line);

/** What has to be stopped, in the order it was started. @type {(() => Promise<void>)[]} */
const stops = [];
/** Processes to take along when this one ends in a way nobody planned. @type {Set<number>} */
const children = new Set();
const ending = new AbortController();

/**
 * Stops what was started and ends the process; the first call decides why.
 * @param {number} code
 * @param {string} [message]
 */
async function end(code, message) {
  if (ending.signal.aborted) return;
  ending.abort();
  if (message) say(message);
  for (const stop of stops.toReversed())
    await stop().catch((error) => say(`While stopping: ${error.message}`));
  await releaseRun();
  children.clear();
  process.exit(code);
}

async function main() {
  const other = await claimRun(say);
  if (other) {
    const where = other.url ? ` at ${other.url}` : '';
    say(
      `npm start runs already in this checkout: process ${other.pid}${where}. Stop that one first (Ctrl-C there).`,
    );
    process.exitCode = 1;
    return;
  }
  const { bind, url } = await chooseAddress(say);
  const { token, kept, source } = await ensureToken();
  const broker = await startBroker();
  if (ending.signal.aborted) return;

  const server = startServer({
    CELLOS_NATS_URL: broker.url,
    ...tokenVariables(token),
    CELLOS_SERVER_BIND: bind,
    CELLOS_SERVER_CHECKPOINT: process.env['CELLOS_SERVER_CHECKPOINT'] || `file:${CHECKPOINT_DIRECTORY}`,
    // One line per request is not what a newcomer should have to read past.
    ...(process.env['RUST_LOG'] || process.env['LOG_LEVEL'] ? {} : { LOG_LEVEL: 'warn' }),
  });
  stops.push(server.stop);
  if (server.pid) children.add(server.pid);
  void server.gone.then((why) =>
    end(1, `The server ended by itself (${why})${lastPrinted(server.lastLines())}\nStopping the rest.`),
  );
  await noteRun({ url, natsUrl: broker.url, serverPid: server.pid });

  if (await whenServing(url, token, ending.signal, say))
    console.log(welcome({ url, token, tokenKept: kept, tokenSource: source, broker: broker.description }));
}

/**
 * The server reads the file itself when the environment names one.
 * @param {string} token
 * @returns {Record<string, string>}
 */
function tokenVariables(token) {
  return process.env['CELLOS_SERVER_API_TOKEN_FILE']?.trim() ? {} : { CELLOS_SERVER_API_TOKEN: token };
}

/** Somebody else's broker when CELLOS_NATS_URL names one, else our own. */
async function startBroker() {
  const named = process.env['CELLOS_NATS_URL'];
  if (named) return { url: named, description: [`${withoutCredentials(named)}   (CELLOS_NATS_URL)`] };

  const binary = await ensureNatsServer({ say });
  const [port, websocketPort] = [
    await findFreePort('127.0.0.1', BROKER_PORT),
    await findFreePort('127.0.0.1', BROKER_WEBSOCKET_PORT),
  ];
  if (port !== BROKER_PORT) say(`Port ${BROKER_PORT} is busy; nats-server takes ${port} instead.`);
  if (websocketPort !== BROKER_WEBSOCKET_PORT)
    say(
      `Port ${BROKER_WEBSOCKET_PORT} is busy; nats-server's websocket listener takes ${websocketPort} instead.`,
    );
  const starting = startNatsServer({
    binary,
    directory: BROKER_DIRECTORY,
    port,
    websocketPort,
    // Ctrl-C reaches the whole process group of the terminal: the server needs its broker a little longer.
    detached: true,
    onExit: async (code, signal) => {
      const last = await readLastLines(`${BROKER_DIRECTORY}/nats-server.log`);
      const why = signal ? `signal ${signal}` : `exit code ${code}`;
      await end(1, `nats-server ended by itself (${why})${lastPrinted(last)}\nStopping the rest.`);
    },
  });
  // Before it is awaited: a Ctrl-C that comes in between has something to stop.
  stops.push(async () => (await starting.catch(() => undefined))?.stop());
  const nats = await starting;
  children.add(nats.pid);
  await noteRun({ natsPid: nats.pid, natsUrl: nats.websocketUrl });
  return {
    url: nats.websocketUrl,
    description: [
      `${nats.url} and ${nats.websocketUrl}   (nats-server, data kept in ${shown(BROKER_DIRECTORY)})`,
    ],
  };
}

/** @param {string} lines */
function lastPrinted(lines) {
  return lines === '' ? ', without a word.' : `. It printed last:\n${lines}`;
}

/** @param {string} urls */
function withoutCredentials(urls) {
  return urls.replaceAll(/\/\/[^/@,]*@/g, '//…@');
}

// SIGHUP: the terminal was closed. Whoever reads our output may be gone then, which is no reason to fail.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void end(0, '\nStopping …'));
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});
process.on('exit', () => {
  for (const pid of children)
    try {
      process.kill(pid, 'SIGTERM');
    } catch {
      // Gone already.
    }
});

await main().catch((error) => end(1, error instanceof Error ? error.message : String(error)));
