// GET /v1/version.
import { json } from '../http.ts';
import { VERSION } from '../version.ts';
import type { App } from './routing.ts';

export interface BuildInfo {
  /** The commit the server was built from, when its environment says. */
  readonly gitSha: string | null;
}

export function metaRoutes(app: App, { gitSha }: BuildInfo): void {
  const body = JSON.stringify({
    server: { version: VERSION, ...(gitSha === null ? {} : { gitSha }), buildProfile: 'release' },
    api: { version: 'v1' },
  });
  app.get('/v1/version', () => json(body));
}
