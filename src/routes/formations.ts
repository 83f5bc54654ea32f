// /v1/formations: create, list, get by id or name, delete, and status transitions.
import * as v from 'valibot';

import { decide } from '../admission.ts';
import { parseDocument } from '../documents.ts';
import { json, noContent, readBody } from '../http.ts';
import { parseUuid } from '../ids.ts';
import { unportablePiece } from '../json-text.ts';
import type { Formation, FormationPhase } from '../model.ts';
import { ProblemError } from '../problems.ts';
import { holderOf, initialState, liveHoldersOf, type ProjectionState } from '../projection.ts';
import { describeIssue, statusChange } from '../schemas.ts';
import { excerpt } from '../text.ts';
import type { PhaseChange } from '../writer.ts';
import { type Answer, type App, type Server, writeContext } from './routing.ts';

const TRANSITIONS: ReadonlySet<string> = new Set<FormationPhase>([
  'LAUNCHING',
  'RUNNING',
  'DEGRADED',
  'COMPLETED',
  'FAILED',
]);

const DELETED = { phase: 'FAILED', reason: 'deleted by operator', failedCellIds: [] } as const;

/** Knows no formation: what admission refuses against it, it refuses whatever names are taken. */
const EMPTY_VIEW = initialState();

export function formationRoutes(app: App, answer: Answer): void {
  app.post('/v1/formations', async (c) => {
    const body = await readBody(c.req.raw);
    const parsed = parseDocument(body);
    if (!parsed.ok) throw new ProblemError('bad-request', parsed.detail);
    const { document } = parsed;
    const verdict = decide(document, EMPTY_VIEW);
    if (!verdict.ok) throw new ProblemError(verdict.code, verdict.detail);
    const work = async ({ writer }: Server) => {
      const id = await writer.create(document, writeContext(c));
      return json(JSON.stringify({ id, name: document.name, status: 'PENDING' }), 201);
    };
    return answer(c, work, body);
  });
  app.get('/v1/formations', (c) =>
    answer(c, ({ controlPlane, toBody }) =>
      json(toBody(controlPlane.snapshots.formations(controlPlane.epoch))),
    ),
  );

  app.get('/v1/formations/by-name/:name', (c) =>
    answer(c, ({ controlPlane: { snapshots, state } }) =>
      json(snapshots.formation(byName(state, c.req.param('name')))),
    ),
  );
  app.delete('/v1/formations/by-name/:name', (c) =>
    answer(c, async ({ controlPlane: { state }, writer }) => {
      const name = c.req.param('name');
      const live = liveHoldersOf(state, name);
      if (live.length > 1) {
        const ids = live.map((formation) => formation.id).join(', ');
        throw new ProblemError(
          'conflict',
          `formation name "${excerpt(name)}" has several live holders: ${ids}`,
        );
      }
      await writer.changePhase(byName(state, name), DELETED, writeContext(c));
      return noContent();
    }),
  );

  app.post('/v1/formations/:id/status', async (c) => {
    const { raw } = c.req;
    const id = requireUuid(c.req.param('id'));
    if (!isJson(raw.headers.get('content-type'))) {
      throw new ProblemError('unsupported-media-type', 'the content type is not application/json');
    }
    const body = await readBody(raw);
    const change = parseStatusChange(body);
    const work = async ({ controlPlane: { state }, writer }: Server) => {
      // An unknown id goes before an unknown state (contract, section 5), so the state waits for the view.
      const formation = knownId(state, id);
      await writer.changePhase(formation, toPhaseChange(change), writeContext(c));
      return noContent();
    };
    return answer(c, work, body);
  });

  app.get('/v1/formations/:id', (c) =>
    answer(c, ({ controlPlane: { snapshots, state } }) => {
      const idOrName = c.req.param('id');
      const id = parseUuid(idOrName);
      const formation = id === null ? byName(state, idOrName) : knownId(state, id);
      return json(snapshots.formation(formation));
    }),
  );
  app.delete('/v1/formations/:id', (c) => {
    const id = requireUuid(c.req.param('id'));
    return answer(c, async ({ controlPlane: { state }, writer }) => {
      await writer.changePhase(knownId(state, id), DELETED, writeContext(c));
      return noContent();
    });
  });
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
