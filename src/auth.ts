// Who may ask: the bearer token, compared in constant time, from the Authorization header or, for browsers, which cannot
// set headers on a WebSocket, from a subprotocol (contract, sections 5 and 7).
import { encodeUtf8 } from './utf8.ts';

/** The subprotocol that the server selects when a client offers it. */
export const FEED_PROTOCOL = 'cellos.v1';

const SCHEME = 'Bearer ';
const PROTOCOL_PREFIX = 'cellos.bearer.';

/** Who a request comes from, or null. */
export interface Authenticator {
  readonly request: (headers: Headers) => string | null;
  /** For an upgrade: the header or the subprotocol. */
  readonly upgrade: (headers: Headers) => string | null;
}

/** One token, whose bearer acts as `operator`. */
export function createAuthenticator(token: string, operator: string): Authenticator {
  const bytes = byteString(encodeUtf8(token));
  // Header values arrive as one character per byte, as the standard has it, or decoded as UTF-8, as workerd has it.
  const expected = bytes === token ? [bytes] : [bytes, token];
  const expectedProtocol = base64url(bytes);
  const request = (headers: Headers) => {
    const value = headers.get('authorization');
    if (value === null || !value.startsWith(SCHEME)) return null;
    const presented = value.slice(SCHEME.length);
    return expected.some((spelling) => equalInConstantTime(presented, spelling)) ? operator : null;
  };
  return {
    request,
    upgrade(headers) {
      const byHeader = request(headers);
      if (byHeader !== null) return byHeader;
      const offered = offeredProtocols(headers);
      // Without one that can be selected the browser would drop the connection.
      if (!offered.includes(FEED_PROTOCOL)) return null;
      const bearers = offered.filter((protocol) => protocol.startsWith(PROTOCOL_PREFIX));
      return bearers.some((protocol) =>
        equalInConstantTime(protocol.slice(PROTOCOL_PREFIX.length), expectedProtocol),
      )
        ? operator
        : null;
    },
  };
}

/** The subprotocols of a handshake, in the client's order. */
export function offeredProtocols(headers: Headers): string[] {
  return (headers.get('sec-websocket-protocol') ?? '')
    .split(',')
    .map((protocol) => protocol.trim())
    .filter((protocol) => protocol !== '');
}

/** The time depends on the length of what was presented, which its sender knows, and on nothing else. */
function equalInConstantTime(presented: string, expected: string): boolean {
  let difference = presented.length ^ expected.length;
  for (let at = 0; at < presented.length; at++) {
    difference |= presented.charCodeAt(at) ^ expected.charCodeAt(at % expected.length);
  }
  return difference === 0;
}

function byteString(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
}

function base64url(bytes: string): string {
  return btoa(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
