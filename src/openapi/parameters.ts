// Parameters of requests as OpenAPI has them, each described once. What a value may be is said beside the parser that takes it.
import { IDEMPOTENCY_KEY } from '../idempotency.ts';
import { CONDITION_PATTERN } from '../entity-tags.ts';
import { SNAPSHOT_KINDS } from '../feed-snapshot.ts';
import { UUID_PATTERN } from '../ids.ts';
import {
  DEFAULT_PAGE_EVENTS,
  MAX_LIST_RECORDS,
  MAX_PAGE_EVENTS,
  MAX_POLL_SECONDS,
  MAX_TOKEN_CHARACTERS,
  MIN_CURSOR_TIMEOUT_MS,
} from '../limits.ts';
import { MIN_CURSOR, UNSIGNED } from '../query.ts';
import { EVENT_SUBJECTS, SUBJECT_FILTER } from '../subjects.ts';
import { CELL_STATES } from '../wire-schemas.ts';

const ID_EXAMPLE = '1080a51a-d63d-581e-bdfa-10c06055ab8c';

const TEXT = { type: 'string' } as const;

function path(name: string, description: string, schema: object) {
  return { name, in: 'path', required: true, description, schema };
}

function query(name: string, description: string, schema: object) {
  return { name, in: 'query', description, schema };
}

function header(name: string, description: string, schema: object) {
  return { name, in: 'header', description, schema };
}

const PARAMETERS = {
  FormationId: path(
    'id',
    'A UUID: upper case, without hyphens, in braces and as urn:uuid: are understood, too.',
    {
      type: 'string',
      pattern: UUID_PATTERN,
      examples: [ID_EXAMPLE],
    },
  ),
  FormationIdOrName: path('id', 'A UUID, or a name, which stands for its holder.', {
    type: 'string',
    minLength: 1,
    examples: [ID_EXAMPLE, 'hello'],
  }),
  FormationName: path(
    'name',
    'Stands for its holder: the newest live formation of this name, else the newest one.',
    {
      type: 'string',
      minLength: 1,
      examples: ['hello'],
    },
  ),
  CellId: path('id', 'Any string.', { type: 'string', minLength: 1, examples: ['demo-cb9092-planner'] }),

  MinCursor: query(
    MIN_CURSOR,
    `The view must have come at least here, for instance the \`Cellos-Cursor\` of a write: waits up to ${MIN_CURSOR_TIMEOUT_MS / 1000} s, then 504.`,
    UNSIGNED,
  ),
  CellState: query('state', 'Cells in this state, in any letter case.', {
    type: 'string',
    enum: CELL_STATES,
  }),
  CellFormation: query(
    'formation',
    'Cells of this formation, an id or a name; of one that is not known there are none.',
    TEXT,
  ),
  ListLimit: query(
    'limit',
    `At most so many records, capped at ${MAX_LIST_RECORDS}; all when absent, but of the next page as many as there are left.`,
    UNSIGNED,
  ),
  Continue: query(
    'continue',
    'The token of the next page, empty for the first one. It is for the same list with the same filters; `limit` may be another.',
    { type: 'string', pattern: '^[A-Za-z0-9_-]*$', maxLength: MAX_TOKEN_CHARACTERS },
  ),
  EventsSince: query(
    'since',
    'Only what is after this sequence. Of a page the default is 0, from the oldest event that is retained; of a stream, only what comes.',
    UNSIGNED,
  ),
  EventsLimit: query(
    'limit',
    `At most so many, capped at ${MAX_PAGE_EVENTS}; 0 stands for ${DEFAULT_PAGE_EVENTS}.`,
    {
      ...UNSIGNED,
      default: DEFAULT_PAGE_EVENTS,
    },
  ),
  EventsWait: query(
    'wait',
    `Seconds to wait when there is nothing yet, at most ${MAX_POLL_SECONDS}. Not for streams.`,
    {
      ...UNSIGNED,
      default: 0,
    },
  ),
  EventsTail: query('tail', 'Only the last so many of the past.', UNSIGNED),
  EventsFollow: query('follow', 'Whether to go on with what comes.', { type: 'boolean', default: false }),
  EventsFormation: query(
    'formation',
    'Only the events of this formation and of its cells, an id or a name; 404 for one that is not known.',
    TEXT,
  ),
  Subject: query('subject', 'A filter with `*` for one token and `>` for all that follow.', {
    ...SUBJECT_FILTER,
    default: EVENT_SUBJECTS,
  }),
  FeedSince: query(
    'since',
    'Everything after this sequence, then what comes; a sequence beyond the last one is waited for. Absent: only what comes.',
    UNSIGNED,
  ),
  // An invalid one is told by the close code.
  FeedSubject: query('subject', 'A filter with `*` for one token and `>` for all that follow.', {
    type: 'string',
    default: EVENT_SUBJECTS,
  }),
  Epoch: query(
    'epoch',
    'The epoch that `since` belongs to: another one is told at once instead of going on.',
    TEXT,
  ),
  Control: query('control', 'Whether to be told `synced` and bookmarks.', {
    type: 'boolean',
    default: false,
  }),
  Snapshot: {
    ...query('snapshot', 'Begins with the view itself; not together with `since`.', {
      type: 'array',
      items: { type: 'string', enum: SNAPSHOT_KINDS },
    }),
    style: 'form',
    explode: false,
  },

  IdempotencyKey: header(
    'Idempotency-Key',
    'Makes the request safe to send again: the same key with the same method, path and body is answered as the first time.',
    IDEMPOTENCY_KEY,
  ),
  IfMatch: header('If-Match', 'Writes only if the record still has one of these entity tags, else 412.', {
    type: 'string',
    pattern: CONDITION_PATTERN,
  }),
  IfNoneMatch: header('If-None-Match', 'Answers 304 when one of these entity tags is the present one.', TEXT),
  LastEventId: header(
    'Last-Event-ID',
    'For a stream of events: goes on after this sequence, before `since`.',
    TEXT,
  ),
  RequestId: header(
    'X-Request-Id',
    'What the answer and the log know the request by; one that is longer or has other characters is replaced.',
    { type: 'string' },
  ),
  Traceparent: header(
    'traceparent',
    'W3C trace context, carried into the event that the request causes; ignored when it is none.',
    TEXT,
  ),
} as const;

export type ParameterName = keyof typeof PARAMETERS;

/** What `components.parameters` holds. */
export const componentParameters: Readonly<Record<ParameterName, object>> = PARAMETERS;

/** References to them. */
export function parameterRefs(...names: readonly ParameterName[]): { readonly $ref: string }[] {
  return names.map((name) => ({ $ref: `#/components/parameters/${name}` }));
}
