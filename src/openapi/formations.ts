// The operations of src/routes/formations.ts.
import { type Answer, answer, type Answers, headerRefs, NOT_MODIFIED, problems } from './answers.ts';
import type { OperationsOf } from './operation.ts';
import { parameterRefs } from './parameters.ts';
import { schemaRef } from './schemas.ts';

const FORMATION: Answers = {
  200: answer('The formation.', 'FormationRecord', 'Cellos-Cursor', 'ETag'),
  ...NOT_MODIFIED,
};

const WRITTEN: Answer = {
  description: 'The event is in the log, and the view has it.',
  headers: headerRefs('Cellos-Cursor', 'Idempotent-Replayed'),
};

const WRITE_PROBLEMS = ['idempotency-key-reused', 'event-store-full'] as const;

const DOCUMENT = {
  name: 'hello',
  coordinator: 'lead',
  members: [
    { id: 'lead', authority: { secretRefs: ['registry'] } },
    { id: 'worker', authorizedBy: 'lead' },
  ],
};

const KUBECTL_DOCUMENT = {
  apiVersion: 'cellos.dev/v1',
  kind: 'Formation',
  metadata: { name: 'hello-again', labels: { team: 'one' } },
  spec: { coordinator: 'lead', members: [{ name: 'lead' }, { name: 'worker', authorizedBy: 'lead' }] },
};

/** How a client of a 201 goes on. */
const FORMATION_LINKS = Object.fromEntries(
  ['getFormation', 'deleteFormation', 'changeFormationStatus'].map((operationId) => [
    operationId,
    { operationId, parameters: { id: '$response.body#/id' } },
  ]),
);

export const FORMATION_OPERATIONS: OperationsOf<
  '/v1/formations' | '/v1/formations/by-name/{name}' | '/v1/formations/{id}/status' | '/v1/formations/{id}'
> = {
  '/v1/formations': {
    GET: {
      operationId: 'listFormations',
      tags: ['formations'],
      summary: 'All formations, with the cursor that a feed goes on from',
      description: 'With `limit` a page of them; `continue` of one page, handed back, asks for the next.',
      parameters: parameterRefs('ListLimit', 'Continue', 'MinCursor', 'IfNoneMatch'),
      responses: {
        200: {
          ...answer('The formations.', 'FormationList', 'Cellos-Cursor', 'ETag'),
          links: {
            nextPage: { operationId: 'listFormations', parameters: { continue: '$response.body#/continue' } },
          },
        },
        ...NOT_MODIFIED,
        ...problems('ws/epoch-changed', 'cursor-timeout'),
      },
    },
    POST: {
      operationId: 'createFormation',
      tags: ['formations'],
      summary: 'Submit a formation',
      description:
        'The body is JSON of at most 64 KiB, whatever its content type says. It is refused when clients in other languages could not ' +
        'read it back: half a surrogate pair, a number beyond a double, more than 120 levels. A rejection names every culprit.',
      parameters: parameterRefs('IdempotencyKey', 'Traceparent'),
      requestBody: {
        required: true,
        content: {
          'application/json': {
            schema: { oneOf: [schemaRef('FormationDocument'), schemaRef('KubectlDocument')] },
            examples: { flat: { value: DOCUMENT }, kubectl: { value: KUBECTL_DOCUMENT } },
          },
        },
      },
      responses: {
        201: {
          ...answer('Admitted.', 'CreatedFormation', 'Cellos-Cursor', 'Idempotent-Replayed'),
          links: FORMATION_LINKS,
        },
        ...problems(
          'formation/no-coordinator',
          'formation/duplicate-member-id',
          'formation/authority-not-narrowing',
          'formation/cycle',
          'conflict',
          'payload-too-large',
          ...WRITE_PROBLEMS,
        ),
      },
    },
  },
  '/v1/formations/by-name/{name}': {
    GET: {
      operationId: 'getFormationByName',
      tags: ['formations'],
      summary: 'A formation by its name',
      parameters: parameterRefs('FormationName', 'MinCursor', 'IfNoneMatch'),
      responses: { ...FORMATION, ...problems('not-found', 'cursor-timeout') },
    },
    DELETE: {
      operationId: 'deleteFormationByName',
      tags: ['formations'],
      summary: 'End a formation by its name',
      description: 'The record stays, as FAILED. 409 when several live formations have the name.',
      parameters: parameterRefs('FormationName', 'IdempotencyKey', 'IfMatch', 'Traceparent'),
      responses: {
        204: WRITTEN,
        ...problems('not-found', 'conflict', 'precondition-failed', ...WRITE_PROBLEMS),
      },
    },
  },
  '/v1/formations/{id}/status': {
    POST: {
      operationId: 'changeFormationStatus',
      tags: ['formations'],
      summary: 'Move a formation to another state',
      parameters: parameterRefs('FormationId', 'IdempotencyKey', 'IfMatch', 'Traceparent'),
      requestBody: {
        required: true,
        content: {
          'application/json': {
            schema: schemaRef('StatusChange'),
            examples: {
              degraded: { value: { state: 'DEGRADED', reason: 'lost a cell', failed_cells: ['a'] } },
            },
          },
        },
      },
      responses: {
        204: WRITTEN,
        ...problems(
          'wrong-shape',
          'not-found',
          'precondition-failed',
          'payload-too-large',
          'unsupported-media-type',
          ...WRITE_PROBLEMS,
        ),
      },
    },
  },
  '/v1/formations/{id}': {
    GET: {
      operationId: 'getFormation',
      tags: ['formations'],
      summary: 'A formation by its id or name',
      parameters: parameterRefs('FormationIdOrName', 'MinCursor', 'IfNoneMatch'),
      responses: { ...FORMATION, ...problems('not-found', 'cursor-timeout') },
    },
    DELETE: {
      operationId: 'deleteFormation',
      tags: ['formations'],
      summary: 'End a formation',
      description: 'The record stays, as FAILED.',
      parameters: parameterRefs('FormationId', 'IdempotencyKey', 'IfMatch', 'Traceparent'),
      responses: { 204: WRITTEN, ...problems('not-found', 'precondition-failed', ...WRITE_PROBLEMS) },
    },
  },
};
