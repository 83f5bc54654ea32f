// Owns the bench's events: shaped like those of real supervisors and of this server, deterministic but for their ids.
import { randomUUID } from 'node:crypto';
import { type SignedBy, toSigned } from './signing.ts';

const FORMATION_TYPE = 'dev.cellos.events.cell.formation.v1.';
const LIFECYCLE_TYPE = 'dev.cellos.events.cell.lifecycle.v1.';
const OBSERVABILITY_TYPE = 'dev.cellos.events.cell.observability.v1.';
const SPEC_HASH = 'a3ab0d8ad05d7d8e3c63273de8eb5dea6c2a5a43502155e68978037fa2b9ed7d';
const FIRST_EVENT_MS = Date.UTC(2026, 10, 20, 19, 33, 26);

/** How much of each kind a stream gets. */
export interface SeedPlan {
  readonly formations: number;
  readonly cellsPerFormation: number;
  /** Formation phases after `created`. */
  readonly phases: readonly string[];
  /** Whether cells are also destroyed, and what the projection ignores is there too. */
  readonly complete: boolean;
  /** All in signed envelopes. */
  readonly signedBy?: SignedBy;
}

/** Replay: twenty events per formation, three of it, nine of its cells, eight that are ignored. */
export function planReplay(events: number): SeedPlan {
  return { formations: events / 20, cellsPerFormation: 3, phases: ['launching', 'running'], complete: true };
}

/** Lists and single reads: as many cells as formations, nothing superfluous. */
export function planRecords(formations: number): SeedPlan {
  return { formations, cellsPerFormation: 1, phases: ['running'], complete: false };
}

/** All events of a plan, in the order in which their producers would have published them. */
export function* seedEvents({ signedBy, ...plan }: SeedPlan): Generator<string> {
  for (const event of plainEvents(plan)) yield signedBy === undefined ? event : toSigned(event, signedBy);
}

function* plainEvents(plan: SeedPlan): Generator<string> {
  for (let index = 0; index < plan.formations; index += 1) {
    yield formationEvent(index, 'created', plan.cellsPerFormation);
    for (const phase of plan.phases) yield formationEvent(index, phase, plan.cellsPerFormation);
    for (let member = 0; member < plan.cellsPerFormation; member += 1) {
      const cell = cellName(index, member);
      yield cellStarted(cell);
      if (plan.complete) yield* ignoredEvents(cell, member);
      yield commandCompleted(cell);
      if (plan.complete) yield cellDestroyed(cell);
    }
  }
}

/** The next events of a supply. Not the iterator's own `take`, which closes the supply when it has enough. */
export function takeEvents(supply: Iterator<string>, count: number): string[] {
  return Array.from({ length: count }, () => {
    const { done, value } = supply.next();
    if (done) throw new Error('the supply of events ran out');
    return value;
  });
}

/** A stable id: odd multiples modulo 2^32 never repeat, and scatter, so that lists are not already in order. */
export function formationId(index: number): string {
  const scattered = Math.imul(index + 1, 0x9e3779b1) >>> 0;
  return `${scattered.toString(16).padStart(8, '0')}-0000-4000-8000-${index.toString(16).padStart(12, '0')}`;
}

export function cellName(formation: number, member: number): string {
  return `bench-${formation}-${member === 0 ? 'coordinator' : `worker-${member}`}`;
}

/** The first event of a cell. */
export function cellStarted(cell: string): string {
  return toEvent(
    `${LIFECYCLE_TYPE}started`,
    { cellId: cell, runId: `run-${cell}`, specHash: SPEC_HASH, specId: cell, ttlSeconds: 60 },
    { cexauthorityclass: 'mutate', cextrustceiling: 'inferred', cexsessionid: '01M7X76324FYJHXGVH8H0S8DWF' },
  );
}

/** A flat document as operators submit it: a coordinator and three members with narrowing authority. */
export function formationDocument(name: string): string {
  const egressRules = [{ host: 'api.example.com', port: 443, protocol: 'tcp' }];
  const members = [{ id: 'coordinator', authority: { egressRules, secretRefs: ['api-key'] } }];
  const workers = ['fetch', 'parse', 'store'].map((id) => ({
    id,
    authorizedBy: 'coordinator',
    authority: { egressRules },
  }));
  return JSON.stringify({ name, coordinator: 'coordinator', members: [...members, ...workers] });
}

function formationEvent(index: number, phase: string, cells: number): string {
  return toEvent(`${FORMATION_TYPE}${phase}`, {
    formationId: formationId(index),
    formationName: `bench-formation-${index}`,
    cellCount: cells,
    failedCellIds: [],
  });
}

function commandCompleted(cell: string): string {
  return toEvent('dev.cellos.events.cell.command.v1.completed', {
    argv: ['/usr/bin/true', '--verbose'],
    cellId: cell,
    durationMs: 1,
    exitCode: 0,
    runId: `run-${cell}`,
    specId: cell,
  });
}

function cellDestroyed(cell: string): string {
  return toEvent(
    `${LIFECYCLE_TYPE}destroyed`,
    { cellId: cell, outcome: 'succeeded', runId: `run-${cell}`, specId: cell, ttlSeconds: 60 },
    { cexauthorityclass: 'destroy', cextrustceiling: 'inferred', cexsessionid: '01M7X76324FYJHXGVH8H0S8DWF' },
  );
}

// Three for the first two members and two for the third, eight per formation.
function* ignoredEvents(cell: string, member: number): Generator<string> {
  const ids = { runId: `run-${cell}`, specId: cell };
  yield toEvent(`${OBSERVABILITY_TYPE}dns_target_set`, {
    cellId: cell,
    currentDigest: `sha256:${SPEC_HASH}`,
    fqdn: 'declared-egress.trust.cellos.internal',
    issuerKid: 'cellos-local-resolve-v0',
    keysetId: 'cellos:builtin-v0',
    previousDigest: 'empty',
    reason: 'refresh',
    ...ids,
  });
  yield toEvent(`${OBSERVABILITY_TYPE}container_security`, {
    capAmb: '0000000000000000',
    capBnd: '000001fffeffffff',
    capEff: '000001fffeffffff',
    capInh: '0000000000000000',
    capPrm: '000001fffeffffff',
    cellId: cell,
    privileged: false,
    runId: ids.runId,
  });
  if (member === 2) return;
  yield toEvent('dev.cellos.events.cell.compliance.v1.summary', {
    cellId: cell,
    commandExitCode: 0,
    egressRuleCount: 0,
    exportTargetCount: 0,
    lifetimeTtlSeconds: 60,
    resourceLimitsPresent: false,
    secretDeliveryMode: 'env',
    ...ids,
  });
}

let clock = 0;

// Member order, nanosecond times and the null traceparent as in what a real supervisor publishes.
function toEvent(type: string, data: object, extensions: object = {}): string {
  clock += 1;
  const time = new Date(FIRST_EVENT_MS + clock).toISOString().replace('Z', '477484+00:00');
  return JSON.stringify({
    specversion: '1.0',
    id: randomUUID(),
    source: 'cellos-supervisor',
    type,
    datacontenttype: 'application/json',
    data,
    time,
    traceparent: null,
    ...extensions,
  });
}
