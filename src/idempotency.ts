// Requests that may be sent again: the Idempotency-Key of a write, as it is remembered in the event that the write makes. The
// log keeps it, so every server on it knows, for as long as the log holds the event.
import { toBase64url } from './base64url.ts';
import { MAX_IDEMPOTENCY_KEY_CHARACTERS } from './limits.ts';
import type { RequestMark } from './model.ts';
import { ProblemError } from './problems.ts';
import { encodeUtf8 } from './utf8.ts';

const PRINTABLE = /^[\x20-\x7e]+$/;

/** What an Idempotency-Key may be, as a JSON Schema. Of one that is all spaces HTTP leaves nothing. */
export const IDEMPOTENCY_KEY = {
  type: 'string',
  pattern: '^[ -~]*[!-~][ -~]*$',
  maxLength: MAX_IDEMPOTENCY_KEY_CHARACTERS,
} as const;

/** The header's value, or null without one. Throws 400 for what is no key. */
export function idempotencyKeyOf(headers: Headers): string | null {
  const key = headers.get('idempotency-key');
  if (key === null) return null;
  if (key.length <= MAX_IDEMPOTENCY_KEY_CHARACTERS && PRINTABLE.test(key)) return key;
  throw new ProblemError(
    'bad-request',
    `the header Idempotency-Key is not 1 to ${MAX_IDEMPOTENCY_KEY_CHARACTERS} printable ASCII characters`,
  );
}

/** What the event carries of a request: digests, since keys and bodies are the client's. `path` is in its canonical spelling. */
export async function markOf(
  key: string,
  { method, path, body }: { method: string; path: string; body: string },
): Promise<RequestMark> {
  const [keyDigest, request] = await Promise.all([digestOf(`${method} ${path}\n${key}`), digestOf(body)]);
  return { key: keyDigest, request };
}

async function digestOf(text: string): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', encodeUtf8(text)));
  return toBase64url(bytes);
}
