// DENO-1: the contract suites against `deno run … adapters/deno.ts`, with the flags of `deno task serve`.
import { denoTarget } from '../support/deno-server.ts';
import type { Capabilities } from '../support/server-process.ts';
import { feedSuite } from '../suites/feed.ts';
import { httpSuite } from '../suites/http.ts';
import { signedSuite } from '../suites/signed.ts';

const capabilities: Capabilities = {
  pings: true,
  parserErrors: true,
  noHttp: 'Deno.serve answers what is no HTTP by itself, with an empty 400',
  endsConnections: true,
  strictFrames: true,
  maskedFrames: 'the runtime takes frames that are not masked as they are',
  explainsFrames: 'the runtime ends the connection at such a frame without a close frame',
};

httpSuite(denoTarget, capabilities);
feedSuite(denoTarget, capabilities);
signedSuite(denoTarget);
