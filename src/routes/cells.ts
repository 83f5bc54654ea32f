// /v1/cells: list with filters, get.
import { entityTag } from '../entity-tags.ts';
import { parseUuid } from '../ids.ts';
import { MAX_CELLS_LIMIT } from '../limits.ts';
import type { CellState } from '../model.ts';
import { ProblemError } from '../problems.ts';
import { holderOf, type ProjectionState } from '../projection.ts';
import { MIN_CURSOR, parseUnsigned, queryParameters } from '../query.ts';
import { excerpt } from '../text.ts';
import { type Answer, type Register, view } from './routing.ts';

const STATES: readonly CellState[] = ['pending', 'running', 'destroyed'];

export function cellRoutes(register: Register, answer: Answer): void {
  register('GET', '/v1/cells', (c) => {
    const query = queryParameters(c.req.url, ['state', 'formation', 'limit', MIN_CURSOR], { strict: true });
    if (query.state === undefined && query.formation === undefined && query.limit === undefined) {
      return answer(c, (server) => {
        const { snapshots, state, epoch } = server.controlPlane;
        return view(c, server, entityTag(epoch, state.cellsVersion), () => snapshots.cells());
      });
    }
    const { formation } = query;
    const selection = {
      ...(query.state === undefined ? {} : { state: parseState(query.state) }),
      ...(query.limit === undefined
        ? {}
        : { limit: Math.min(parseUnsigned('limit', query.limit), MAX_CELLS_LIMIT) }),
    };
    return answer(c, (server) => {
      const { snapshots, state, epoch } = server.controlPlane;
      // Whom a name stands for may change with any formation.
      const version = Math.max(state.cellsVersion, formation === undefined ? 0 : state.formationsVersion);
      return view(c, server, entityTag(epoch, version), () =>
        snapshots.selectedCells(
          formation === undefined ? selection : { ...selection, formation: formationId(state, formation) },
        ),
      );
    });
  });

  register('GET', '/v1/cells/{id}', (c) =>
    answer(c, (server) => {
      const { snapshots, state, epoch } = server.controlPlane;
      const id = c.req.param('id');
      const cell = state.cells.get(id);
      if (cell === undefined) throw new ProblemError('not-found', `cell "${excerpt(id)}" is not known`);
      return view(c, server, entityTag(epoch, cell.version), () => snapshots.cell(cell));
    }),
  );
}

/** An id stands for itself, known or not: cells may name a formation that has no event yet. */
function formationId(state: ProjectionState, text: string): string | null {
  return parseUuid(text) ?? holderOf(state, text)?.id ?? null;
}

function parseState(text: string): CellState {
  const state = STATES.find((known) => known === text.toLowerCase());
  if (state === undefined) {
    throw new ProblemError('bad-request', `state "${excerpt(text)}" is none of ${STATES.join(', ')}`);
  }
  return state;
}
