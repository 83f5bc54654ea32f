// Events as producers of all kinds publish them.
import { randomUUID } from 'node:crypto';

export const FORMATION = 'dev.cellos.events.cell.formation.v1.';
export const LEGACY_FORMATION = 'io.cellos.formation.v1.';
export const STARTED = 'dev.cellos.events.cell.lifecycle.v1.started';
export const COMMAND_COMPLETED = 'dev.cellos.events.cell.command.v1.completed';
export const DESTROYED = 'dev.cellos.events.cell.lifecycle.v1.destroyed';

export interface CloudEvent {
  readonly type: string;
  readonly data?: unknown;
  readonly [attribute: string]: unknown;
}

/** A whole CloudEvent of a supervisor, attributes of its own included. */
function event(type: string, data: unknown, attributes: Record<string, unknown> = {}): CloudEvent {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: 'cellos-supervisor',
    type,
    datacontenttype: 'application/json',
    data,
    time: '2026-11-20T19:33:26.210477484+00:00',
    traceparent: null,
    cexsessionid: '01M7X76324FYJHXGVH8H0S8DWF',
    ...attributes,
  };
}

export function formationEvent(
  phase: string,
  data: Record<string, unknown>,
  attributes: Record<string, unknown> = {},
): CloudEvent {
  return event(FORMATION + phase, data, attributes);
}

export function cellStarted(cellId: string, data: Record<string, unknown> = {}, attributes = {}): CloudEvent {
  return event(STARTED, { cellId, specId: 'spec', ...data }, attributes);
}

export function commandCompleted(
  cellId: string,
  data: Record<string, unknown> = {},
  attributes = {},
): CloudEvent {
  return event(COMMAND_COMPLETED, { cellId, specId: 'spec', exitCode: 0, ...data }, attributes);
}

export function cellDestroyed(
  cellId: string,
  data: Record<string, unknown> = {},
  attributes = {},
): CloudEvent {
  return event(DESTROYED, { cellId, specId: 'spec', outcome: 'succeeded', ...data }, attributes);
}

/** A name or an id that no other test uses. */
export function unique(prefix = 'f'): string {
  return `${prefix}-${randomUUID()}`;
}

/** The smallest document with two members. */
export function flatDocument(name: string, extra: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name,
    coordinator: 'lead',
    members: [{ id: 'lead' }, { id: 'worker', authorizedBy: 'lead' }],
    ...extra,
  };
}

/** The same, as it is written for kubectl. */
export function kubectlDocument(name: string): {
  apiVersion: string;
  kind: string;
  metadata: Record<string, unknown>;
  spec: { coordinator: string; members: Record<string, unknown>[] };
} {
  return {
    apiVersion: 'cellos.dev/v1',
    kind: 'Formation',
    metadata: { name },
    spec: { coordinator: 'lead', members: [{ name: 'lead' }, { name: 'worker', authorizedBy: 'lead' }] },
  };
}

/**
 * What a real supervisor publishes for one cell, in its order and with its spellings; one subject, no `subject`
 * attribute, extension attributes, a `time` that is null.
 */
export function supervisorRun(cellId: string, data: Record<string, unknown> = {}): CloudEvent[] {
  const run = { cellId, runId: 'run-local-001', specId: 'hello-spec', ...data };
  const OBSERVED = 'dev.cellos.events.cell.observability.v1.';
  return [
    event('dev.cellos.events.cell.host.v1.baseline-attestation', { signed: false }, { time: null }),
    event('dev.cellos.events.cell.admission.v1.allowed', {
      admitted: true,
      runId: run.runId,
      specId: run.specId,
    }),
    event(`${OBSERVED}network_scope`, { ...run, egressRuleCount: 0 }),
    event(
      STARTED,
      { ...run, specHash: 'b'.repeat(64), ttlSeconds: 60 },
      { time: '2026-11-20T19:33:26.212779419+00:00' },
    ),
    event(`${OBSERVED}process_spawned`, { ...run, argv: ['/bin/true'] }),
    event(
      COMMAND_COMPLETED,
      { ...run, durationMs: 1, exitCode: 0 },
      { time: '2026-11-20T19:33:26.216+00:00' },
    ),
    event(DESTROYED, { ...run, outcome: 'succeeded' }, { time: '2026-11-20T19:33:26.219000001+00:00' }),
  ];
}
