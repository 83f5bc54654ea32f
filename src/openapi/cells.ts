// The operations of src/routes/cells.ts and cell-events.ts.
import { answer, content, headerRefs, NOT_MODIFIED, problems } from './answers.ts';
import type { OperationsOf } from './operation.ts';
import { parameterRefs } from './parameters.ts';
import { schemaRef } from './schemas.ts';

export const CELL_OPERATIONS: OperationsOf<'/v1/cells' | '/v1/cells/{id}' | '/v1/cells/{id}/events'> = {
  '/v1/cells': {
    GET: {
      operationId: 'listCells',
      tags: ['cells'],
      summary: 'All cells, or those that pass the filters',
      description: 'A query parameter that is not known is refused.',
      parameters: parameterRefs(
        'CellState',
        'CellFormation',
        'ListLimit',
        'Continue',
        'MinCursor',
        'IfNoneMatch',
      ),
      responses: {
        200: {
          description: 'The cells, ordered by the UTF-8 bytes of their ids.',
          headers: headerRefs('Cellos-Cursor', 'ETag', 'Link'),
          content: content({ type: 'array', items: schemaRef('CellRecord') }),
          links: { firstCell: { operationId: 'getCell', parameters: { id: '$response.body#/0/id' } } },
        },
        ...NOT_MODIFIED,
        ...problems('ws/epoch-changed', 'cursor-timeout'),
      },
    },
  },
  '/v1/cells/{id}': {
    GET: {
      operationId: 'getCell',
      tags: ['cells'],
      summary: 'A cell',
      parameters: parameterRefs('CellId', 'MinCursor', 'IfNoneMatch'),
      responses: {
        200: answer('The cell.', 'CellRecord', 'Cellos-Cursor', 'ETag'),
        ...NOT_MODIFIED,
        ...problems('not-found', 'cursor-timeout'),
      },
    },
  },
  '/v1/cells/{id}/events': {
    GET: {
      operationId: 'listCellEvents',
      tags: ['cells'],
      summary: "A cell's events, one on each line",
      description:
        "The cell's retained events in the order of the log, as CloudEvents; then those that come, for who follows. While nothing comes there is a space every 25 s, in front of the next line.",
      parameters: parameterRefs('CellId', 'EventsTail', 'EventsFollow', 'MinCursor'),
      responses: {
        200: {
          description: 'Lines of JSON; with `follow=true` they do not end by themselves.',
          content: content({ type: 'string' }, 'application/x-ndjson'),
        },
        ...problems('not-found', 'too-many-sessions', 'cursor-timeout'),
      },
    },
  },
};
