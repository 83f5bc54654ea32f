// Slow and silent clients of the server on Deno; a file of its own, so that the minute passes beside the one on Node.
import { denoTarget } from '../support/deno-server.ts';
import { slowConsumerSuite } from '../suites/slow-consumer.ts';

// The runtime, which alone sees whether its pings are answered, closes who is silent. While frames wait in the socket its ping
// waits behind them, so who takes nothing is closed by the feed.
slowConsumerSuite(denoTarget, { code: 1001, reason: /ping/ });
