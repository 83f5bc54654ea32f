// /v1/formations: create, list, get by id or name, delete, and status transitions.
import * as v from 'valibot';

import { decide } from '../admission.ts';
import { parseDocument } from '../documents.ts';
import { entityTag, weakEntityTag } from '../entity-tags.ts';
import { json, noContent, readBody } from '../http.ts';
import { parseUuid } from '../ids.ts';
import { unportablePiece } from '../json-text.ts';
import { parsePage, requireEpoch } from '../list-pages.ts';
import type { Formation, FormationPhase } from '../model.ts';
import { ProblemError } from '../problems.ts';
import { holderOf, initialState, liveHoldersOf, type ProjectionState } from '../projection.ts';
import { queryParameters } from '../query.ts';
import { describeIssue, statusChange } from '../schemas.ts';
import { excerpt } from '../text.ts';
import type { PhaseChange } from '../writer.ts';
import {
  type Answer,
  parseWriteHeaders,
  type Register,
  type RequestContext,
  type Server,
  view,
  writeContext,
  writtenHeaders,
} from './routing.ts';

/** The states of POST …/status. */
export const TRANSITIONS: ReadonlySet<string> = new Set<FormationPhase>([
  'LAUNCHING',
  'RUNNING',
  'DEGRADED',
  'COMPLETED',
  'FAILED',
]);

const DELETED = { phase: 'FAILED', reason: 'deleted by operator', failedCellIds: [] } as const;

/** Knows no formation: what admission refuses against it, it refuses whatever names are taken. */
const EMPTY_VIEW = initialState();

export function formationRoutes(register: Register, answer: Answer): void {
  register('POST', '/v1/formations', async (c) => {
    const headers = parseWriteHeaders(c);
    const body = await readBody(c.req.raw);
    const parsed = parseDocument(body);
    if (!parsed.ok) throw new ProblemError('bad-request', parsed.detail);
    const { document } = parsed;
    const verdict = decide(document, EMPTY_VIEW);
    if (!verdict.ok) throw new ProblemError(verdict.code, verdict.detail);
    const work = async ({ writer }: Server) => {
      const written = await writer.create(document, await writeContext(c, headers, body));
      const { formationId: id } = written;
      const created = JSON.stringify({ id, name: document.name, status: 'PENDING' });
      return json(created, 201, writtenHeaders(written));
    };
    return answer(c, work, body);
  });
  register('GET', '/v1/formations', (c) => {
    const query = queryParameters(c.req.url, ['limit', 'continue']);
    const page = parsePage({ list: 'formations', filters: [] }, query);
    return answer(c, (server) => {
      const { snapshots, state, epoch, edition } = server.controlPlane;
      // The body's cursor moves with every event; the formations may be those that the client has.
      const tag = weakEntityTag(edition, state.formationsVersion);
      if (page === null) return view(c, server, tag, () => snapshots.formations(epoch));
      requireEpoch(page.place, epoch);
      return view(c, server, tag, () => snapshots.formationsPage(page, epoch));
    });
  });

  register('GET', '/v1/formations/by-name/{name}', (c) =>
    answer(c, (server) => record(c, server, byName(server.controlPlane.state, c.req.param('name')))),
  );
  register('DELETE', '/v1/formations/by-name/{name}', (c) => {
    const name = c.req.param('name');
    return remove(c, (state) => {
      const live = liveHoldersOf(state, name);
      if (live.length > 1) {
        const ids = live.map((formation) => formation.id).join(', ');
        throw new ProblemError(
          'conflict',
          `formation name "${excerpt(name)}" has several live holders: ${ids}`,
        );
      }
      return byName(state, name);
    });
  });

  register('POST', '/v1/formations/{id}/status', async (c) => {
    const { raw } = c.req;
    const headers = parseWriteHeaders(c);
    const id = requireUuid(c.req.param('id'));
    if (!isJson(raw.headers.get('content-type'))) {
      throw new ProblemError('unsupported-media-type', 'the content type is not application/json');
    }
    const body = await readBody(raw);
    const change = parseStatusChange(body);
    const work = async ({ writer }: Server) => {
      const context = await writeContext(c, headers, body);
      // An unknown id goes before an unknown state (contract, section 5), so the state waits for the view.
      const phase = () => toPhaseChange(change);
      const find = (state: ProjectionState) => knownId(state, id);
      return noContent(writtenHeaders(await writer.changePhase(find, phase, context, headers.condition)));
    };
    return answer(c, work, body);
  });

  register('GET', '/v1/formations/{id}', (c) =>
    answer(c, (server) => {
      const { state } = server.controlPlane;
      const idOrName = c.req.param('id');
      const id = parseUuid(idOrName);
      return record(c, server, id === null ? byName(state, idOrName) : knownId(state, id));
    }),
  );
  register('DELETE', '/v1/formations/{id}', (c) => {
    const id = requireUuid(c.req.param('id'));
    return remove(c, (state) => knownId(state, id));
  });

  /** The second half of both DELETE routes. */
  function remove(c: RequestContext, find: (state: ProjectionState) => Formation) {
    const headers = parseWriteHeaders(c);
    return answer(c, async ({ writer }) => {
      const context = await writeContext(c, headers, '');
      return noContent(
        writtenHeaders(await writer.changePhase(find, () => DELETED, context, headers.condition)),
      );
    });
  }
}

function record(c: RequestContext, server: Server, formation: Formation): Response {
  const { snapshots, edition } = server.controlPlane;
  return view(c, server, entityTag(edition, formation.version), () => snapshots.formation(formation));
}

function knownId(state: ProjectionState, id: string): Formation {
  return state.formations.get(id) ?? notFound(`formation ${id}`);
}

function byName(state: ProjectionState, name: string): Formation {
  return holderOf(state, name) ?? notFound(`formation "${excerpt(name)}"`);
}

function requireUuid(text: string): string {
  const id = parseUuid(text);
  if (id === null) throw new ProblemError('bad-request', `formation id "${excerpt(text)}" is not a UUID`);
  return id;
}

function notFound(what: string): never {
  throw new ProblemError('not-found', `${what} is not known`);
}

function isJson(contentType: string | null): boolean {
  const essence = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  return essence === 'application/json' || /^application\/[^/ ]+\+json$/.test(essence);
}

type StatusChange = v.InferOutput<typeof statusChange>;

function parseStatusChange(body: string): StatusChange {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new ProblemError('bad-request', 'the body is not JSON');
  }
  const unportable = unportablePiece(body);
  if (unportable !== null) {
    throw new ProblemError('bad-request', `the body ${unportable}`);
  }
  const parsed = v.safeParse(statusChange, value, { abortEarly: true });
  if (parsed.success) return parsed.output;
  throw new ProblemError('bad-request', describeIssue(parsed.issues[0]), { status: 422 });
}

function toPhaseChange(change: StatusChange): PhaseChange {
  const phase = /^[A-Za-z]+$/.test(change.state) ? change.state.toUpperCase() : '';
  if (!TRANSITIONS.has(phase)) {
    throw new ProblemError(
      'bad-request',
      `state "${excerpt(change.state)}" is none of ${[...TRANSITIONS].join(', ')}`,
    );
  }
  const namesFailedCells = phase === 'DEGRADED' || phase === 'FAILED';
  return {
    phase: phase as FormationPhase,
    reason: change.reason || null,
    failedCellIds: namesFailedCells ? (change.failed_cells ?? []) : [],
  };
}
