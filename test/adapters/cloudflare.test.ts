// The contract suites against the Worker and its Durable Object in workerd.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Capabilities } from '../support/server-process.ts';
import { until } from '../support/wait.ts';
import { workerdTarget } from '../support/workerd-server.ts';
import { feedSuite } from '../suites/feed.ts';
import { httpSuite } from '../suites/http.ts';
import { signedSuite } from '../suites/signed.ts';

const capabilities: Capabilities = {
  pings: 'the runtime has no way to send a ping',
  parserErrors: 'the HTTP parser in front answers what it refuses by itself, in plain text',
  noHttp: 'the HTTP parser in front answers it by itself, in plain text',
  endsConnections:
    'the runtime sends the close frame of a hibernatable WebSocket and leaves the connection to the client',
  strictFrames: 'the runtime takes frames that are not UTF-8 or too long for a ping as they are',
  maskedFrames: 'the runtime takes frames that are not masked as they are',
  explainsFrames: true,
};

httpSuite(workerdTarget, capabilities);
feedSuite(workerdTarget, capabilities);
signedSuite(workerdTarget, async () => {
  const storage = await mkdtemp(join(tmpdir(), 'cellos-kept-'));
  onTestFinished(() => rm(storage, { recursive: true, force: true }));
  return {
    // A process that is ended takes its object with it: it has to have saved by itself, which it does when it is idle.
    environment: { CELLOS_TEST_STORAGE: storage, CELLOS_SERVER_IDLE_SECONDS: '1', RUST_LOG: 'debug' },
    async whenSaved(server) {
      await until(() => server.log.includes('checkpoint saved'), { what: 'the object to save' });
      // An object's answers are held back until what it has written is on disk.
      await server.http.get('/v1/version');
    },
  };
});
