// How the demo and the follow client find this checkout's server, and say clearly when it is not there.
import { isAlive } from './processes.mjs';
import { readRun } from './run-file.mjs';
import { findToken } from './token.mjs';

const DEFAULT_URL = 'http://127.0.0.1:8080';
const DEFAULT_BROKER_URL = 'ws://127.0.0.1:9222';
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * Environment first, then the run that is recorded in .cellos/run.json, then the defaults; the server has answered
 * with this token when it resolves. Throws with instructions otherwise.
 */
export async function findServer() {
  const recorded = await readRun();
  const run = recorded && isAlive(recorded.pid) ? recorded : undefined;
  const url = (process.env['CELLOS_SERVER_URL'] || run?.url || DEFAULT_URL).replace(/\/+$/, '');
  const token = await findToken();
  if (token === undefined)
    throw new Error(
      "There is no token: run `npm start` first, or set CELLOS_SERVER_API_TOKEN to the server's.",
    );

  const server = {
    url,
    token,
    brokerUrl: process.env['CELLOS_NATS_URL'] || run?.natsUrl || DEFAULT_BROKER_URL,
    /**
     * A JSON answer of the server; throws with the problem's own words on anything but success.
     * @param {string} path
     * @param {unknown} [body] Makes it a POST.
     */
    request: async (path, body) => await request(url, token, path, body),
  };
  await server.request('/v1/version');
  return server;
}

/**
 * @param {string} url
 * @param {string} token
 * @param {string} path
 * @param {unknown} body
 */
async function request(url, token, path, body) {
  const response = await fetch(`${url}${path}`, {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
  }).catch((error) => {
    const why = error.cause?.code ?? error.cause?.message ?? error.message;
    throw new Error(
      `No server answers at ${url} (${why}). Is \`npm start\` running? CELLOS_SERVER_URL names another.`,
    );
  });
  const text = await response.text();
  if (response.status === 401)
    throw new Error(
      `The server at ${url} refuses the token. Set CELLOS_SERVER_API_TOKEN to the one that it was started with.`,
    );
  if (!response.ok)
    throw new Error(`The server answered ${response.status} to ${path}: ${text.slice(0, 500)}`);
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`What answers at ${url} is not this server. CELLOS_SERVER_URL names another address.`);
  }
}
