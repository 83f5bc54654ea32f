// The contract suites against `node adapters/node.ts`.
import { nodeTarget } from '../support/server-process.ts';
import type { Capabilities } from '../support/server-process.ts';
import { feedSuite } from '../suites/feed.ts';
import { httpSuite } from '../suites/http.ts';
import { signedSuite } from '../suites/signed.ts';

const capabilities: Capabilities = {
  pings: true,
  parserErrors: true,
  noHttp: true,
  endsConnections: true,
  strictFrames: true,
  maskedFrames: true,
  explainsFrames: true,
};

httpSuite(nodeTarget, capabilities);
feedSuite(nodeTarget, capabilities);
signedSuite(nodeTarget);
