// API-5: a fuzzer that reads the description asks the server what follows from it. On Node alone: the suites hold the same answers
// against the description on every runtime.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { cellStarted, flatDocument } from '../support/events.ts';
import { ensureSchemathesis, fuzz, missingPython } from '../support/schemathesis.ts';
import { nodeTarget, TOKEN, useRig } from '../support/server-process.ts';

/** Installing it once, and the run itself, which takes less than half a minute alone and twice as long beside others. */
const TIMEOUT_MS = 450_000;

const rig = useRig(nodeTarget);

test(
  'API-5 a fuzzer finds no answer that the description does not expect',
  { timeout: TIMEOUT_MS },
  async (context) => {
    const missing = await missingPython();
    if (missing !== null && process.env['CI'] === undefined) {
      console.warn(`skipped: ${context.task.name} (${missing})`);
      context.skip(missing);
    }
    const modules = await ensureSchemathesis();
    const { http } = rig();
    // What the examples of the description are about: requests that find nothing would prove little.
    const { id } = JSON.parse((await http.post('/v1/formations', flatDocument('hello'))).text) as {
      id: string;
    };
    await http.post('/v1/formations', flatDocument('other'));
    await rig().publish(cellStarted('demo-cb9092-planner', { formationId: id }), cellStarted('a/b c'));

    const directory = await mkdtemp(join(tmpdir(), 'cellos-fuzz-'));
    try {
      const file = join(directory, 'openapi.json');
      await writeFile(file, (await http.get('/v1/openapi.json')).text);
      const { code, output } = await fuzz(modules, {
        file,
        url: `http://127.0.0.1:${http.port}`,
        token: TOKEN,
        directory,
      });
      console.info(output.slice(output.indexOf('= SUMMARY =')));
      expect(code, output.slice(0, 20_000)).toBe(0);
      // That it has asked at all.
      expect(Number(/(\d+) generated/.exec(output)?.[1])).toBeGreaterThan(1000);
      expect((await http.get('/readyz')).status).toBe(200);
      expect(rig().server.log).not.toContain('"level":"error"');
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
);
