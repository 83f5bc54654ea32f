// The contract suites against the Worker and its Durable Object in workerd.
import type { Capabilities } from '../support/server-process.ts';
import { workerdTarget } from '../support/workerd-server.ts';
import { feedSuite } from '../suites/feed.ts';
import { httpSuite } from '../suites/http.ts';

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
