// The operations of src/routes/meta.ts and health.ts.
import { METRICS_TYPES } from '../metrics.ts';
import { answer, content, headerRefs, problems } from './answers.ts';
import type { OperationsOf } from './operation.ts';
import { parameterRefs } from './parameters.ts';

export const SERVER_OPERATIONS: OperationsOf<
  '/v1/version' | '/v1/openapi.json' | '/livez' | '/readyz' | '/metrics'
> = {
  '/v1/version': {
    GET: {
      operationId: 'getVersion',
      tags: ['server'],
      summary: 'What runs here',
      parameters: parameterRefs('MinCursor'),
      responses: { 200: answer('The versions.', 'VersionInfo'), ...problems('cursor-timeout') },
    },
  },
  '/v1/openapi.json': {
    GET: {
      operationId: 'getOpenApi',
      tags: ['server'],
      summary: 'This document',
      parameters: parameterRefs('IfNoneMatch'),
      responses: {
        200: {
          description: 'The description of this API.',
          headers: headerRefs('ETag'),
          content: content({ type: 'object' }),
        },
        304: { description: 'What the client has is the present one.', headers: headerRefs('ETag') },
        ...problems(),
      },
    },
  },
  '/livez': {
    GET: {
      operationId: 'getLiveness',
      tags: ['server'],
      summary: 'Whether the server runs',
      description: 'Answered from the first moment on, also while the event store is away.',
      parameters: parameterRefs('MinCursor'),
      responses: { 200: answer('It does.', 'Liveness'), ...problems('cursor-timeout') },
    },
  },
  '/readyz': {
    GET: {
      operationId: 'getReadiness',
      tags: ['server'],
      summary: 'Whether the server answers requests',
      description: 'While it starts this is a 503 with the progress, as `phase`, `cursor` and `target`.',
      parameters: parameterRefs('MinCursor'),
      responses: { 200: answer('It does.', 'Readiness'), ...problems('cursor-timeout') },
    },
  },
  '/metrics': {
    GET: {
      operationId: 'getMetrics',
      tags: ['server'],
      summary: 'Counters, gauges and histograms',
      description: 'OpenMetrics 1.0, or the older text format for clients that accept `text/plain` alone.',
      parameters: parameterRefs('MinCursor'),
      responses: {
        200: {
          description: 'What was counted since the server started.',
          content: Object.assign(
            {},
            ...Object.values(METRICS_TYPES).map((type) => content({ type: 'string' }, type)),
          ),
        },
        ...problems('cursor-timeout'),
      },
    },
  },
};
