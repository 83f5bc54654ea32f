// Valibot schemas of what the server answers (contract, sections 3 to 7). They describe it in GET /v1/openapi.json, and the
// suites hold real answers against them; nothing is validated with them while the server runs.
import * as v from 'valibot';

import { PHASES, STATUSES } from './formation-status.ts';
import { isServing, PHASES as SERVER_PHASES } from './lifecycle.ts';
import type { CellState } from './model.ts';
import { PROBLEMS, type ProblemCode } from './problems.ts';

/** In the order in which errors name them. */
export const CELL_STATES = ['pending', 'running', 'destroyed'] as const satisfies readonly CellState[];

const PROBLEM_TYPES = Object.keys(PROBLEMS).map((code) => `/problems/${code as ProblemCode}` as const);

function described<Schema extends v.GenericSchema>(schema: Schema, description: string) {
  return v.pipe(schema, v.description(description));
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const sequence = described(count, 'A sequence of the event log; 0 stands before the first event.');

const epoch = described(
  v.string(),
  'Names the incarnation of the event log, opaque. Sequences of different epochs have nothing to do with each other.',
);

const uuid = v.pipe(v.string(), v.regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/));

const formationId = described(uuid, 'A UUID in lower case with hyphens.');

const time = v.nullable(
  described(v.string(), 'As the event spelled it, usually RFC 3339; null when the event had none.'),
);

const cellState = v.picklist(CELL_STATES);

/** Exactly these members, in the contract's words; others would be a change of the contract. */
export const cellRecord = v.strictObject({
  id: described(v.string(), 'Any string, the empty one too.'),
  spec_id: v.string(),
  run_id: v.nullable(v.string()),
  state: described(cellState, '`destroyed` is terminal.'),
  status: described(cellState, 'The same as `state`.'),
  formation_id: v.nullable(formationId),
  started_at: time,
  destroyed_at: time,
  outcome: v.nullable(v.string()),
  exit_code: v.nullable(v.pipe(v.number(), v.integer())),
  created_at: time,
  finished_at: described(time, 'The same as `destroyed_at`.'),
});

/** Absent is only what the last event did not give. */
export const formationRecord = v.object({
  id: formationId,
  name: v.string(),
  status: v.picklist([...new Set(Object.values(STATUSES))]),
  phase: described(v.picklist(PHASES), 'Finer than `status`.'),
  reason: v.optional(described(v.string(), 'Of the last event; absent without one.')),
  failed_cells: v.optional(described(v.array(v.string()), 'Of the last event; absent when it names none.')),
  created_at: time,
  updated_at: time,
  document: described(
    v.unknown(),
    'The admitted document, spelled as it was published; what a foreign event carried for a formation that was not admitted here.',
  ),
  cells: described(v.array(cellRecord), 'The cells whose `formation_id` is this one.'),
});

/** The snapshot that a feed can go on from. */
export const formationList = v.object({
  formations: described(v.array(formationRecord), 'Ordered by id.'),
  cursor: described(sequence, 'How far the list is: hand it to the feed as `since`.'),
  epoch: described(v.nullable(epoch), 'Null while there has been no event log yet.'),
  continue: v.optional(described(v.string(), 'Asks for the next page; absent on the last one.')),
});

/** The answer to a submission: no other members. */
export const createdFormation = v.strictObject({
  id: formationId,
  name: v.string(),
  status: v.literal('PENDING'),
});

/** A page of the log. */
export const eventsPage = v.object({
  events: v.array(
    v.object({
      seq: sequence,
      event: described(v.unknown(), 'The payload exactly as it was published, usually a CloudEvent.'),
    }),
  ),
  cursor: described(sequence, 'Everything up to here was looked at: the next `since`.'),
  epoch,
  truncated: v.optional(
    described(
      v.literal(true),
      'Events after `since` are not retained any more: the page starts at the oldest.',
    ),
  ),
  oldest_seq: v.optional(described(sequence, 'Beside `truncated`: the oldest event that is retained.')),
});

/** What runs, and which API it speaks. */
export const versionInfo = v.object({
  server: v.object({
    version: described(v.string(), 'Semantic version.'),
    gitSha: v.optional(v.string()),
    buildProfile: v.picklist(['release', 'debug']),
  }),
  api: v.object({ version: v.literal('v1') }),
});

/** GET /livez. */
export const liveness = v.object({ status: v.literal('alive') });

/** GET /readyz, of a server that answers requests; of another one it is a problem. */
export const readiness = v.object({
  status: v.literal('ready'),
  phase: described(
    v.picklist(SERVER_PHASES.filter(isServing)),
    'What the server does about the event store.',
  ),
  event_store: described(v.picklist(['connected', 'away']), 'While it is away reads go on.'),
  cursor: sequence,
});

/** RFC 9457. */
export const problem = v.looseObject({
  type: described(v.picklist(PROBLEM_TYPES), 'What to tell problems apart by.'),
  title: v.string(),
  status: v.pipe(v.number(), v.integer(), v.minValue(400), v.maxValue(599)),
  detail: described(v.string(), 'Names the culprit.'),
});
