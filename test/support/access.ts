// Access by tokens of a test's choice.
import { createAccess } from '../../src/access.ts';
import type { Access } from '../../src/access.ts';
import type { AccessToken, Principal } from '../../src/auth.ts';

/** A token whose bearer is called `operator`. */
export function accessToken(
  token: string,
  operator = 'operator',
  access: Principal['access'] = 'full',
): AccessToken {
  return { token, principal: { operator, access } };
}

/** What lets in the bearer of one token, from anywhere. */
export function accessBy(token: string): Access {
  return createAccess({ tokens: [accessToken(token)], allowedOrigins: null }, Date);
}
