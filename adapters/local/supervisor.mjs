// The part that a cell supervisor plays in the demo: publishing CloudEvents to the broker, on one subject and without
// the attribute `subject`, as real supervisors do.
import { randomUUID } from 'node:crypto';

const SUBJECT = 'cellos.events.v1';
const CONNECT_TIMEOUT_MS = 3_000;

/**
 * Connects to the broker (`ws://`, `wss://`, `nats://` or `tls://`, several separated by commas). Throws with
 * instructions when that fails.
 * @param {string} brokerUrl
 */
export async function connectSupervisor(brokerUrl) {
  const urls = brokerUrl.split(',').map((url) => new URL(url.trim()));
  // Imported here, for this file is loaded where a message should be shown even when the packages are missing.
  const { connect } = urls.every((url) => url.protocol.startsWith('ws'))
    ? await import('nats.ws')
    : await import('nats');
  const connection = await connect({
    servers: urls.map((url) => `${url.protocol}//${url.host}`),
    ...credentials(urls[0]),
    name: 'cellos-demo',
    reconnect: false,
    timeout: CONNECT_TIMEOUT_MS,
  }).catch((error) => {
    const hosts = urls.map((url) => url.host).join(', ');
    // A refused websocket has no message: the web platform hides the reason.
    const why = error.message ? ` (${error.message})` : '';
    throw new Error(
      `No NATS broker answers at ${hosts}${why}. Is \`npm start\` running? CELLOS_NATS_URL names another.`,
    );
  });

  return {
    /**
     * Resolves when the event log has the event.
     * @param {string} type
     * @param {object} data
     */
    publish: async (type, data) => {
      const event = {
        specversion: '1.0',
        id: randomUUID(),
        source: 'cellos-supervisor',
        type,
        datacontenttype: 'application/json',
        data,
        time: new Date().toISOString(),
        traceparent: null,
      };
      await connection
        .jetstream()
        .publish(SUBJECT, new TextEncoder().encode(JSON.stringify(event)), { msgID: event.id })
        .catch((error) => {
          throw new Error(
            `The broker did not take an event (${error.message}). Is it the one that the server reads from? ` +
              'CELLOS_NATS_URL names it.',
          );
        });
    },
    close: async () => await connection.close(),
  };
}

/** @param {URL | undefined} url */
function credentials(url) {
  if (!url?.username) return {};
  const [user, pass] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  return pass === '' ? { token: user } : { user, pass };
}
