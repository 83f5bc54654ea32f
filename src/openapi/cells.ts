// The operations of src/routes/cells.ts.
import { answer, content, headerRefs, NOT_MODIFIED, problems } from './answers.ts';
import type { OperationsOf } from './operation.ts';
import { parameterRefs } from './parameters.ts';
import { schemaRef } from './schemas.ts';

export const CELL_OPERATIONS: OperationsOf<'/v1/cells' | '/v1/cells/{id}'> = {
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
};
