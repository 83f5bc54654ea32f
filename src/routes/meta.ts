// GET /v1/version and GET /v1/openapi.json.
import { isWeakMatch, readConditionOf } from '../entity-tags.ts';
import { json, notModified } from '../http.ts';
import { VERSION } from '../version.ts';
import type { Answer, Register } from './routing.ts';

export interface BuildInfo {
  /** The commit the server was built from, when its environment says. */
  readonly gitSha: string | null;
}

export function metaRoutes(register: Register, answer: Answer): void {
  register('GET', '/v1/version', (c) => answer(c, ({ version }) => json(version)));

  // It is about the code alone: who asks a gate does not wake the server for it, and there is no view to wait for.
  register('GET', '/v1/openapi.json', async (c) => {
    // Loaded for who asks: few do, and it would be a sixth of each start.
    const { openApiDocument } = await import('../openapi/document.ts');
    const { bytes, etag } = openApiDocument();
    const condition = readConditionOf(c.req.raw.headers);
    if (condition !== null && isWeakMatch(condition, etag)) return notModified({ etag });
    return json(bytes, 200, { etag });
  });
}

/** The body of the answer, which stays the same as long as the server runs. */
export function versionText({ gitSha }: BuildInfo): string {
  return JSON.stringify({
    server: { version: VERSION, ...(gitSha === null ? {} : { gitSha }), buildProfile: 'release' },
    api: { version: 'v1' },
  });
}
