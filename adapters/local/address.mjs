// Where the local server listens: CELLOS_SERVER_BIND, or the default with a way out when that is taken.
import { findFreePort, isPortFree } from './ports.mjs';

const DEFAULT_HOST = '127.0.0.1';
const DEFAULT_PORT = 8080;

/**
 * The address that the server will be told to listen on, and the URL at which this machine reaches it. A port that the
 * user named is never exchanged for another: then it throws, saying what to do.
 * @param {(line: string) => void} say
 * @returns {Promise<{ bind: string, url: string }>}
 */
export async function chooseAddress(say) {
  const named = process.env['CELLOS_SERVER_BIND'];
  if (!named) {
    const port = await findFreePort(DEFAULT_HOST, DEFAULT_PORT);
    if (port !== DEFAULT_PORT) say(`Port ${DEFAULT_PORT} is busy; the server takes ${port} instead.`);
    return { bind: `${DEFAULT_HOST}:${port}`, url: `http://${DEFAULT_HOST}:${port}` };
  }

  const { host, port } = parseBind(named);
  if (port === 0) {
    const free = await findFreePort(host);
    return { bind: toAuthority(host, free), url: toUrl(host, free) };
  }
  const free = await isPortFree(host, port).catch((error) => {
    throw new Error(`CELLOS_SERVER_BIND is ${named}, where this process cannot listen (${error.message}).`);
  });
  if (!free)
    throw new Error(
      `CELLOS_SERVER_BIND is ${named}, but another process listens there. ` +
        'End that one, name another port, or unset CELLOS_SERVER_BIND to have one chosen.',
    );
  return { bind: named, url: toUrl(host, port) };
}

/**
 * Throws, naming the variable, when it is not host:port.
 * @param {string} text
 */
export function parseBind(text) {
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<host>[^:[\]]+)):(?<port>\d{1,5})$/.exec(text);
  const port = Number(match?.groups?.['port']);
  if (!match?.groups || port > 65_535)
    throw new Error(
      `CELLOS_SERVER_BIND is ${text}; it must be HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080.`,
    );
  return { host: match.groups['v6'] ?? match.groups['host'] ?? DEFAULT_HOST, port };
}

/**
 * "All addresses" is something to listen on, not something to connect to.
 * @param {string} host
 * @param {number} port
 */
function toUrl(host, port) {
  const reachable = { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host;
  return `http://${toAuthority(reachable, port)}`;
}

/**
 * @param {string} host
 * @param {number} port
 */
function toAuthority(host, port) {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
