// TCP ports on this machine: which are free, and whether somebody answers.
import { connect, createServer } from 'node:net';

/**
 * `preferred` when nobody listens there, else any free port of `host`. Between the answer and its use another
 * process may take the port; whoever listens finds out.
 * @param {string} [host]
 * @param {number} [preferred]
 * @returns {Promise<number>}
 */
export async function findFreePort(host = '127.0.0.1', preferred = 0) {
  if (preferred !== 0) {
    const port = await tryListen(host, preferred).catch(() => undefined);
    if (port !== undefined) return port;
  }
  return await tryListen(host, 0);
}

/**
 * Whether a server on `host` could listen on `port` now. Rejects when the host is not one of this machine's.
 * @param {string} host
 * @param {number} port
 * @returns {Promise<boolean>}
 */
export async function isPortFree(host, port) {
  try {
    await tryListen(host, port);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return false;
    throw error;
  }
}

/**
 * Whether a TCP connection to `host:port` is accepted within a second.
 * @param {string} host
 * @param {number} port
 * @returns {Promise<boolean>}
 */
export function answers(host, port) {
  return new Promise((done) => {
    const socket = connect({ host, port, timeout: 1000 });
    const end = (/** @type {boolean} */ result) => {
      socket.destroy();
      done(result);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}

/**
 * @param {string} host
 * @param {number} port
 * @returns {Promise<number>}
 */
function tryListen(host, port) {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once('error', fail);
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      server.close(() =>
        address && typeof address === 'object' ? done(address.port) : fail(new Error('no address')),
      );
    });
  });
}
