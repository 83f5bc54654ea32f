// The description of the API, and whether all that the server was seen to answer is what it says.
import { describe, expect, test } from 'vitest';

import { openApiDocument } from '../../src/openapi/document.ts';
import { cellStarted, flatDocument, unique } from '../support/events.ts';
import { expectProblem } from '../support/http-client.ts';
import { type Exchange, OpenApiChecker } from '../support/openapi-checker.ts';
import type { Rig } from '../support/server-process.ts';

const PATH = '/v1/openapi.json';

/** `seen` are the exchanges of the suites before this one, which go on to come. */
export function openApiSuite(rig: () => Rig, seen: readonly Exchange[]): void {
  const get = (headers: Record<string, string> = {}) => rig().http.get(PATH, { headers });

  describe('the document', () => {
    test('API-3 is JSON, the same on every runtime, and never again what the client has', async () => {
      const reply = await get();
      const { bytes, etag } = openApiDocument();
      expect(reply.status).toBe(200);
      expect(reply.headers['content-type']).toBe('application/json');
      expect(reply.text).toBe(new TextDecoder().decode(bytes));
      expect(reply.headers.etag).toBe(etag);
      for (const condition of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
        const again = await get({ 'if-none-match': condition });
        expect([again.status, again.text, again.headers.etag], condition).toEqual([304, '', etag]);
      }
      expect((await get({ 'if-none-match': '"other"' })).status).toBe(200);
    });

    test('API-3 HEAD, other methods, and the token', async () => {
      const head = await rig().http.send('HEAD', PATH);
      expect([head.status, head.text]).toEqual([200, '']);
      const refused = await rig().http.post(PATH, {});
      expectProblem(refused, 'method-not-allowed');
      expect(refused.headers['allow']).toBe('GET, HEAD');
      expectProblem(await rig().http.get(PATH, { authorization: null }), 'unauthorized');
    });
  });

  describe('answers', () => {
    test('API-4 every operation answers as it is described', async () => {
      const { http } = rig();
      const checker = new OpenApiChecker((await get()).text);
      const from = seen.length;
      const [name, other, cell] = [unique(), unique(), unique('cell')];
      const created = await http.post('/v1/formations', flatDocument(name));
      const { id } = JSON.parse(created.text) as { id: string };
      await http.post('/v1/formations', flatDocument(other));
      await rig().publish(cellStarted(cell, { formationId: id }), cellStarted(unique('cell')));
      await http.post(`/v1/formations/${id}/status`, {
        state: 'DEGRADED',
        reason: 'r',
        failed_cells: [cell],
      });
      for (const path of [
        '/v1/formations',
        '/v1/formations?limit=1',
        `/v1/formations/${id}`,
        `/v1/formations/by-name/${name}`,
        '/v1/cells',
        '/v1/cells?limit=1',
        `/v1/cells/${cell}`,
        `/v1/cells/${cell}/events?tail=1`,
        '/v1/events?limit=3',
        '/v1/version',
        PATH,
        '/livez',
        '/readyz',
        '/metrics',
      ]) {
        await http.get(path);
      }
      await http.send('DELETE', `/v1/formations/${id}`);
      await http.send('DELETE', `/v1/formations/by-name/${other}`);

      const exchanges = seen.slice(from);
      expect(exchanges.filter(({ status }) => status >= 300)).toEqual([]);
      expect(exchanges.flatMap((exchange) => checker.check(exchange))).toEqual([]);
      const answered = new Set(exchanges.map((exchange) => checker.operationOf(exchange)?.operationId));
      const described = Object.values(checker.document.paths).flatMap((item) =>
        Object.values(item).flatMap(({ operationId }) => operationId ?? []),
      );
      // A handshake is not for this client.
      expect(described.filter((each) => !answered.has(each))).toEqual(['openFeed']);
    });

    test('API-4 nothing that the server was seen to answer is missing in the description', async () => {
      const checker = new OpenApiChecker((await get()).text);
      const wrong = seen.flatMap((exchange) => checker.check(exchange));
      console.info(`${seen.length} answers were held against the description`);
      expect([...new Set(wrong)]).toEqual([]);
    });
  });
}
