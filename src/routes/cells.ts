// /v1/cells: list with filters, get.
import { entityTag } from '../entity-tags.ts';
import { parseUuid } from '../ids.ts';
import { parsePage, requireEpoch } from '../list-pages.ts';
import type { CellState } from '../model.ts';
import { ProblemError } from '../problems.ts';
import { holderOf, type ProjectionState } from '../projection.ts';
import { MIN_CURSOR, queryParameters } from '../query.ts';
import { excerpt } from '../text.ts';
import { CELL_STATES } from '../wire-schemas.ts';
import { type Answer, type Register, view } from './routing.ts';

const PARAMETERS = ['state', 'formation', 'limit', 'continue', MIN_CURSOR] as const;

export function cellRoutes(register: Register, answer: Answer): void {
  register('GET', '/v1/cells', (c) => {
    const query = queryParameters(c.req.url, PARAMETERS, { strict: true });
    const { formation } = query;
    const filter = query.state === undefined ? {} : { state: parseState(query.state) };
    const spelled = formation === undefined ? null : (parseUuid(formation) ?? formation);
    const page = parsePage({ list: 'cells', filters: [filter.state ?? null, spelled] }, query);
    if (page === null && query.state === undefined && formation === undefined) {
      return answer(c, (server) => {
        const { snapshots, state, edition } = server.controlPlane;
        return view(c, server, entityTag(edition, state.cellsVersion), () => snapshots.cells());
      });
    }
    return answer(c, (server) => {
      const { snapshots, state, epoch, edition } = server.controlPlane;
      requireEpoch(page?.place ?? null, epoch);
      // Whom a name stands for may change with any formation.
      const version = Math.max(state.cellsVersion, formation === undefined ? 0 : state.formationsVersion);
      return view(c, server, entityTag(edition, version), () => {
        const of =
          formation === undefined
            ? {}
            : { formation: page?.place?.formation ?? formationId(state, formation) };
        const { text, next } = snapshots.selectedCells({ ...filter, ...of }, page, epoch);
        return next === null ? text : { text, headers: { link: linkTo(query, next) } };
      });
    });
  });

  register('GET', '/v1/cells/{id}', (c) =>
    answer(c, (server) => {
      const { snapshots, state, edition } = server.controlPlane;
      const id = c.req.param('id');
      const cell = state.cells.get(id);
      if (cell === undefined) throw new ProblemError('not-found', `cell "${excerpt(id)}" is not known`);
      return view(c, server, entityTag(edition, cell.version), () => snapshots.cell(cell));
    }),
  );
}

/** RFC 8288; the next page's address is this one's but for the token. */
function linkTo(query: Partial<Record<string, string>>, token: string): string {
  const pairs = Object.entries({ ...query, continue: token }).map(
    ([name, value = '']) => `${name}=${encodeURIComponent(value)}`,
  );
  return `</v1/cells?${pairs.join('&')}>; rel="next"`;
}

/** An id stands for itself, known or not: cells may name a formation that has no event yet. */
function formationId(state: ProjectionState, text: string): string | null {
  return parseUuid(text) ?? holderOf(state, text)?.id ?? null;
}

function parseState(text: string): CellState {
  const state = CELL_STATES.find((known) => known === text.toLowerCase());
  if (state === undefined) {
    throw new ProblemError('bad-request', `state "${excerpt(text)}" is none of ${CELL_STATES.join(', ')}`);
  }
  return state;
}
