// Who is let in, and who is told what instead: token, budget of failures, origin, and what a token for reading may do. All of it is
// decided by the request's head, in this order, before a path is looked at or a body read.
import type { AccessConfig } from './access-config.ts';
import { createAuthenticator, presentsToken, type Principal } from './auth.ts';
import { FailedLogins } from './failed-logins.ts';
import { serializedOrigin } from './origins.ts';
import type { Clock } from './ports.ts';
import { ProblemError, retryLater } from './problems.ts';
import { excerpt } from './text.ts';

/** Who asks, as far as that is known, and why the request is refused, if it is. */
type Admission =
  | { readonly principal: Principal; readonly refusal: null }
  | { readonly principal: Principal | null; readonly refusal: ProblemError };

export interface Access {
  /** `isFeed` for an upgrade to the feed. An address of null, where nobody knows it or another has counted, is not limited. */
  readonly admit: (request: Request, isFeed: boolean, address: string | null) => Admission;
}

const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

export function createAccess({ tokens, allowedOrigins }: AccessConfig, clock: Pick<Clock, 'now'>): Access {
  const authenticator = createAuthenticator(tokens);
  const failedLogins = new FailedLogins(clock);
  return {
    admit({ headers, method }, isFeed, address) {
      const principal = isFeed ? authenticator.upgrade(headers) : authenticator.request(headers);
      if (address !== null && !failedLogins.admits(address, principal)) {
        const detail = 'too many wrong tokens came from this address';
        return { principal: null, refusal: retryLater('too-many-requests', detail) };
      }
      if (principal === null) {
        // Who presents nothing, as health checks do, guesses nothing.
        if (address !== null && presentsToken(headers)) failedLogins.failed(address);
        return { principal, refusal: unauthorized() };
      }
      const origin = allowedOrigins === null ? null : headers.get('origin');
      if (origin !== null && !isAllowed(origin, allowedOrigins as ReadonlySet<string>)) {
        const detail = `requests of the origin "${excerpt(origin)}" are not allowed`;
        return { principal, refusal: new ProblemError('forbidden', detail) };
      }
      if (principal.access === 'read' && !READING.has(method)) {
        const detail = `this token is for reading: ${excerpt(method)} is not allowed with it`;
        return { principal, refusal: new ProblemError('forbidden', detail) };
      }
      return { principal, refusal: null };
    },
  };
}

function unauthorized(): ProblemError {
  return new ProblemError('unauthorized', 'the bearer token is missing or not valid', {
    headers: { 'www-authenticate': 'Bearer' },
  });
}

function isAllowed(origin: string, allowed: ReadonlySet<string>): boolean {
  // As browsers send it; others may spell it otherwise.
  return allowed.has(origin) || allowed.has(serializedOrigin(origin) ?? '');
}
