// Slow and silent clients of the server on Node.
import { nodeTarget } from '../support/server-process.ts';
import { slowConsumerSuite } from '../suites/slow-consumer.ts';

slowConsumerSuite(nodeTarget, { code: 4408, reason: /^slow-consumer \d+$/ });
