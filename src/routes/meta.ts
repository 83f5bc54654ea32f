// GET /v1/version.
import { json } from '../http.ts';
import { VERSION } from '../version.ts';
import type { Answer, Register } from './routing.ts';

export interface BuildInfo {
  /** The commit the server was built from, when its environment says. */
  readonly gitSha: string | null;
}

export function metaRoutes(register: Register, answer: Answer): void {
  register('GET', '/v1/version', (c) => answer(c, ({ version }) => json(version)));
}

/** The body of the answer, which stays the same as long as the server runs. */
export function versionText({ gitSha }: BuildInfo): string {
  return JSON.stringify({
    server: { version: VERSION, ...(gitSha === null ? {} : { gitSha }), buildProfile: 'release' },
    api: { version: 'v1' },
  });
}
