// /v1/formations: create, list, get by id or name, delete, and status transitions.
import * as v from 'valibot';

import type { ControlPlane } from '../control-plane.ts';
import { parseDocument } from '../documents.ts';
import { json, noContent, readBody } from '../http.ts';
import { parseUuid } from '../ids.ts';
import { unportablePiece } from '../json-text.ts';
import type { Formation, FormationPhase } from '../model.ts';
import { ProblemError } from '../problems.ts';
import { holderOf, liveHoldersOf } from '../projection.ts';
import { describeIssue, statusChange } from '../schemas.ts';
import { excerpt } from '../text.ts';
import type { Writer } from '../writer.ts';
import { type App, writeContext } from './routing.ts';

const TRANSITIONS: ReadonlySet<string> = new Set<FormationPhase>([
  'LAUNCHING',
  'RUNNING',
  'DEGRADED',
  'COMPLETED',
  'FAILED',
]);

const DELETED = { phase: 'FAILED', reason: 'deleted by operator', failedCellIds: [] } as const;

export function formationRoutes(app: App, controlPlane: ControlPlane, writer: Writer): void {
  const knownId = (id: string): Formation =>
    controlPlane.state.formations.get(id) ?? notFound(`formation ${id}`);
  const byName = (name: string): Formation =>
    holderOf(controlPlane.state, name) ?? notFound(`formation "${excerpt(name)}"`);

  app.post('/v1/formations', async (c) => {
    const parsed = parseDocument(await readBody(c.req.raw));
    if (!parsed.ok) throw new ProblemError('bad-request', parsed.detail);
    const id = await writer.create(parsed.document, writeContext(c));
    return json(JSON.stringify({ id, name: parsed.document.name, status: 'PENDING' }), 201);
  });
  app.get('/v1/formations', () => json(controlPlane.snapshots.formations(controlPlane.epoch)));

  app.get('/v1/formations/by-name/:name', (c) =>
    json(controlPlane.snapshots.formation(byName(c.req.param('name')))),
  );
  app.delete('/v1/formations/by-name/:name', async (c) => {
    const name = c.req.param('name');
    const live = liveHoldersOf(controlPlane.state, name);
    if (live.length > 1) {
      const ids = live.map((formation) => formation.id).join(', ');
      throw new ProblemError(
        'conflict',
        `formation name "${excerpt(name)}" has several live holders: ${ids}`,
      );
    }
    await writer.changePhase(byName(name), DELETED, writeContext(c));
    return noContent();
  });

  app.post('/v1/formations/:id/status', async (c) => {
    const { raw } = c.req;
    const id = requireUuid(c.req.param('id'));
    if (!isJson(raw.headers.get('content-type'))) {
      throw new ProblemError('unsupported-media-type', 'the content type is not application/json');
    }
    const body = parseStatusChange(await readBody(raw));
    const formation = knownId(id);
    const phase = /^[A-Za-z]+$/.test(body.state) ? body.state.toUpperCase() : '';
    if (!TRANSITIONS.has(phase)) {
      throw new ProblemError(
        'bad-request',
        `state "${excerpt(body.state)}" is none of ${[...TRANSITIONS].join(', ')}`,
      );
    }
    const namesFailedCells = phase === 'DEGRADED' || phase === 'FAILED';
    const change = {
      phase: phase as FormationPhase,
      reason: body.reason || null,
      failedCellIds: namesFailedCells ? (body.failed_cells ?? []) : [],
    };
    await writer.changePhase(formation, change, writeContext(c));
    return noContent();
  });

  app.get('/v1/formations/:id', (c) => {
    const idOrName = c.req.param('id');
    const id = parseUuid(idOrName);
    const formation = id === null ? byName(idOrName) : knownId(id);
    return json(controlPlane.snapshots.formation(formation));
  });
  app.delete('/v1/formations/:id', async (c) => {
    await writer.changePhase(knownId(requireUuid(c.req.param('id'))), DELETED, writeContext(c));
    return noContent();
  });
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

function parseStatusChange(body: string): v.InferOutput<typeof statusChange> {
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
