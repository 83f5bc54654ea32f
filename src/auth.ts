// Whose token a request carries: bearer tokens, compared in constant time, from the Authorization header or, for browsers, which
// cannot set headers on a WebSocket, from a subprotocol (contract, sections 5 and 7). What follows from it is access.ts's.
import { toBase64url } from './base64url.ts';
import { encodeUtf8 } from './utf8.ts';

/** The subprotocol that the server selects when a client offers it. */
export const FEED_PROTOCOL = 'cellos.v1';

const SCHEME = 'Bearer ';
const PROTOCOL_PREFIX = 'cellos.bearer.';

/** Who asks, and whether writing is allowed. Each token has one of its own, by which it can be told from others. */
export interface Principal {
  /** The name in events and logs. */
  readonly operator: string;
  readonly access: 'full' | 'read';
}

export interface AccessToken {
  readonly token: string;
  readonly principal: Principal;
}

/** Who a request comes from, or null. */
export interface Authenticator {
  readonly request: (headers: Headers) => Principal | null;
  /** For an upgrade: the header or the subprotocol. */
  readonly upgrade: (headers: Headers) => Principal | null;
}

/** Knows the bearers of these tokens, of which there is one at least and no two are spelled the same. */
export function createAuthenticator(tokens: readonly AccessToken[]): Authenticator {
  const byHeader = createMatcher(
    tokens.flatMap(({ token, principal }) =>
      tokenSpellings(token).map((spelling) => ({ text: SCHEME + spelling, principal })),
    ),
  );
  const byProtocol = createMatcher(
    tokens.map(({ token, principal }) => ({
      text: PROTOCOL_PREFIX + toBase64url(encodeUtf8(token)),
      principal,
    })),
  );
  const request = (headers: Headers) => {
    const value = headers.get('authorization');
    return value === null ? null : byHeader(value);
  };
  return {
    request,
    upgrade(headers) {
      const principal = request(headers);
      if (principal !== null) return principal;
      const offered = offeredProtocols(headers);
      // Without one that can be selected the browser would drop the connection.
      if (!offered.includes(FEED_PROTOCOL)) return null;
      const [bearer, another] = offered.filter((protocol) => protocol.startsWith(PROTOCOL_PREFIX));
      // A single one: a handshake has room for hundreds of guesses.
      return bearer === undefined || another !== undefined ? null : byProtocol(bearer);
    },
  };
}

/** Whether a request tries to log in at all, in whatever way and with whatever. */
export function presentsToken(headers: Headers): boolean {
  return (
    headers.has('authorization') ||
    offeredProtocols(headers).some((protocol) => protocol.startsWith(PROTOCOL_PREFIX))
  );
}

/** How a token may arrive in a header: one character per byte, as the standard has it, or decoded as UTF-8, as workerd has it. */
export function tokenSpellings(token: string): string[] {
  return [...new Set([byteString(encodeUtf8(token)), token])];
}

/** The subprotocols of a handshake, in the client's order. */
export function offeredProtocols(headers: Headers): string[] {
  return (headers.get('sec-websocket-protocol') ?? '')
    .split(',')
    .map((protocol) => protocol.trim())
    .filter((protocol) => protocol !== '');
}

interface Candidate {
  readonly text: string;
  readonly principal: Principal;
}

/**
 * Finds whose text was presented, in a time that depends on the length of that and on nothing else. Comparing it with each would cost
 * as much again for each token (2.1 us for ten, 0.2 for one): a fingerprint under a secret key, which tells nothing to who does not know
 * the key, selects the one that it is compared with (0.3 us).
 */
function createMatcher(candidates: readonly Candidate[]): (presented: string) => Principal | null {
  if (candidates.length === 1) {
    const { text, principal } = candidates[0] as Candidate;
    return (presented) => (equalInConstantTime(presented, text) ? principal : null);
  }
  let key: number;
  let fingerprints: Int32Array;
  do {
    key = (crypto.getRandomValues(new Uint32Array(1))[0] as number) | 1;
    fingerprints = Int32Array.from(candidates, ({ text }) => fingerprint(text, key));
  } while (new Set(fingerprints).size < candidates.length);
  return (presented) => {
    const print = fingerprint(presented, key);
    let found = 0;
    for (let at = 0; at < fingerprints.length; at++) {
      const difference = (fingerprints[at] as number) ^ print;
      // All ones where they are the same, without a branch.
      found |= ~((difference | -difference) >> 31) & (at + 1);
    }
    const { text, principal } = candidates[Math.max(found - 1, 0)] as Candidate;
    const isEqual = equalInConstantTime(presented, text);
    return isEqual && found > 0 ? principal : null;
  };
}

function fingerprint(text: string, key: number): number {
  let hash = key;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), key);
    hash ^= hash >>> 15;
  }
  return hash | 0;
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
