// What one event of the log means: the contract's section 3 from a parsed payload to a fact. Total: any JSON value is
// taken, nothing throws. What a fact does to the view is the projection's.
import { parseUuid } from './ids.ts';
import { memberOf } from './json-text.ts';
import type { CellFact, EventEntry, Fact, FormationPhase, RequestMark } from './model.ts';

const FORMATION_PREFIXES = ['dev.cellos.events.cell.formation.v1.', 'io.cellos.formation.v1.'] as const;

const PHASES: Readonly<Record<string, FormationPhase>> = {
  created: 'PENDING',
  launching: 'LAUNCHING',
  running: 'RUNNING',
  degraded: 'DEGRADED',
  completed: 'COMPLETED',
  failed: 'FAILED',
  cancelled: 'CANCELLED',
};

const CELL_EFFECTS: Readonly<Record<string, CellFact['effect']>> = {
  'dev.cellos.events.cell.lifecycle.v1.started': 'started',
  'dev.cellos.events.cell.command.v1.completed': 'completed',
  'dev.cellos.events.cell.lifecycle.v1.destroyed': 'destroyed',
};

/** At most the nineteen digits of a 64-bit integer: converting a longer one costs the square of its length. */
const INTEGER = /^(?:0|-?[1-9]\d{0,18})$/;
const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;

const NOTHING: Fact = { kind: 'none', warning: null };

export type Members = Readonly<Record<string, unknown>>;

/** A JSON object, as opposed to an array or a scalar. */
export function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function stringOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** The phase named by an event type, or null when the type is no formation's. Own keys only: `constructor` is none. */
function phaseOf(type: string): FormationPhase | null {
  for (const prefix of FORMATION_PREFIXES) {
    if (!type.startsWith(prefix)) continue;
    const phase = type.slice(prefix.length);
    return Object.hasOwn(PHASES, phase) ? (PHASES[phase] as FormationPhase) : null;
  }
  return null;
}

/** Whether an event of this type is a formation's, whatever its phase. */
export function isFormationType(type: string): boolean {
  return type.startsWith(FORMATION_PREFIXES[0]) || type.startsWith(FORMATION_PREFIXES[1]);
}

/** Which formation a formation's event names; null when it names none validly. */
export function formationIdOf(event: Members, data: Members): string | null {
  const spelled =
    stringOrNull(data['formationId']) ?? stringOrNull(data['formation_id']) ?? stringOrNull(event['subject']);
  return spelled === null ? null : parseUuid(spelled);
}

function formationFact(event: Members, text: string, phase: FormationPhase): Fact {
  const data = isObject(event['data']) ? event['data'] : {};
  const id = formationIdOf(event, data);
  if (id === null) return { kind: 'none', warning: 'formation event without a valid formation id' };
  const failed = data['failedCellIds'];
  const failedCells = Array.isArray(failed) ? failed.filter((cell) => typeof cell === 'string') : [];
  return {
    kind: 'formation',
    id,
    name: stringOrNull(data['formationName']) ?? stringOrNull(data['name']) ?? '',
    phase,
    reason: stringOrNull(data['reason']) || null,
    failedCells: failedCells.length > 0 ? failedCells : null,
    time: stringOrNull(event['time']),
    mark: markOf(event),
    document(isNew) {
      const carried = data['document'] !== undefined && data['document'] !== null;
      if (!carried && !isNew) return null;
      return carried ? memberOf(text, 'data', 'document') : (memberOf(text, 'data') ?? 'null');
    },
  };
}

function markOf({ idempotencykey: key, requestdigest: request }: Members): RequestMark | null {
  return typeof key === 'string' && typeof request === 'string' ? { key, request } : null;
}

/** The integer at `data.exitCode` as it was spelled; 1.0, 1e3, -0 and what does not fit 64 bits are not integers. */
function exitCodeOf(data: Members, text: string): string | null {
  if (typeof data['exitCode'] !== 'number') return null;
  const spelled = memberOf(text, 'data', 'exitCode') ?? '';
  if (!INTEGER.test(spelled)) return null;
  if (Number.isSafeInteger(data['exitCode'])) return spelled;
  const value = BigInt(spelled);
  return value >= MIN_INT64 && value <= MAX_INT64 ? spelled : null;
}

/** Which formation another event than a formation's belongs to, as far as it says so. */
export function relatedFormation(data: Members): string | null {
  const { formationId, correlation } = data;
  const id = typeof formationId === 'string' ? parseUuid(formationId) : null;
  if (id !== null || !isObject(correlation)) return id;
  const { formationId: correlated } = correlation;
  return typeof correlated === 'string' ? parseUuid(correlated) : null;
}

function cellFact(event: Members, text: string, effect: CellFact['effect']): Fact {
  const data = isObject(event['data']) ? event['data'] : {};
  const id = data['cellId'];
  if (typeof id !== 'string') return NOTHING;
  const specId = data['specId'];
  if (typeof specId !== 'string') return { kind: 'none', warning: 'cell event without a specId' };
  return {
    kind: 'cell',
    effect,
    id,
    specId,
    runId: stringOrNull(data['runId']),
    formationId: relatedFormation(data),
    exitCode: effect === 'completed' ? exitCodeOf(data, text) : null,
    outcome: stringOrNull(data['outcome']),
    time: stringOrNull(event['time']),
  };
}

/** What the entry says to the projection. Never throws. */
export function toFact(entry: EventEntry): Fact {
  if (entry.text === null) return { kind: 'none', warning: 'payload is not UTF-8 JSON' };
  const { event, eventText } = entry;
  if (eventText === null) return { kind: 'none', warning: entry.signature?.refusal ?? null };
  if (!isObject(event) || typeof event['type'] !== 'string') return NOTHING;
  const type = event['type'];
  if (Object.hasOwn(CELL_EFFECTS, type)) {
    return cellFact(event, eventText, CELL_EFFECTS[type] as CellFact['effect']);
  }
  const phase = phaseOf(type);
  return phase === null ? NOTHING : formationFact(event, eventText, phase);
}
