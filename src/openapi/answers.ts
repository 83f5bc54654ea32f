// Answers as OpenAPI has them: bodies, the headers that come with them, and problems grouped by status.
import { type ProblemCode, PROBLEMS } from '../problems.ts';
import { UNSIGNED } from '../query.ts';
import { type SchemaName, schemaRef } from './schemas.ts';

/** A Response Object. */
export interface Answer {
  readonly description: string;
  readonly headers?: Readonly<Record<string, object>>;
  readonly content?: Readonly<Record<string, object>>;
  readonly links?: Readonly<Record<string, object>>;
}

/** By status. */
export type Answers = Readonly<Record<string, Answer | { readonly $ref: string }>>;

const HEADERS = {
  'Cellos-Cursor': {
    description: 'Of a write the sequence of its event, of what is read how far the view is.',
    required: true,
    schema: UNSIGNED,
  },
  ETag: {
    description: 'Another one when something has changed; the same on every server.',
    required: true,
    schema: { type: 'string' },
  },
  'Idempotent-Replayed': {
    description: 'The request was known by its Idempotency-Key: nothing was written now.',
    schema: { type: 'string', const: 'true' },
  },
  Link: {
    description: 'The next page, as `rel="next"` (RFC 8288); absent on the last one.',
    schema: { type: 'string' },
  },
  'Retry-After': { description: 'Seconds.', required: true, schema: { type: 'integer', minimum: 1 } },
  'X-Request-Id': {
    description: 'What the log knows the request by.',
    required: true,
    schema: { type: 'string' },
  },
  'WWW-Authenticate': { required: true, schema: { type: 'string', const: 'Bearer' } },
} as const;

export type HeaderName = keyof typeof HEADERS;

/** What `components.headers` holds. */
export const componentHeaders: Readonly<Record<HeaderName, object>> = HEADERS;

/** References to them, by name. */
export function headerRefs(...names: readonly HeaderName[]): Record<string, object> {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

/** A body of this media type. */
export function content(schema: object, type = 'application/json'): Record<string, object> {
  return { [type]: { schema } };
}

/** An answer whose body is one of the schemas. */
export function answer(description: string, schema: SchemaName, ...headers: readonly HeaderName[]): Answer {
  return { description, content: content(schemaRef(schema)), headers: headerRefs(...headers) };
}

/** The answers with the header that all of them have; a handshake is answered by the runtime, without it. */
export function identified(answers: Answers): Answers {
  return Object.fromEntries(
    Object.entries(answers).map(([key, each]) => {
      if ('$ref' in each || key === '101') return [key, each];
      return [key, { ...each, headers: { ...each.headers, ...headerRefs('X-Request-Id') } }];
    }),
  );
}

/** 304, of what has an entity tag. */
export const NOT_MODIFIED: Answers = {
  304: {
    description: 'What the client has is the present one.',
    headers: headerRefs('Cellos-Cursor', 'ETag'),
  },
};

/** Every answer of these codes carries it. */
const PROBLEM_HEADERS: Partial<Record<ProblemCode, HeaderName>> = {
  unauthorized: 'WWW-Authenticate',
  'too-many-requests': 'Retry-After',
  'service-unavailable': 'Retry-After',
  'too-many-sessions': 'Retry-After',
  'event-store-full': 'Retry-After',
  'precondition-failed': 'ETag',
};

/** Bad requests that come with a status of their own. */
const BAD_REQUESTS = { 'wrong-shape': 422, 'slow-request': 408, 'large-headers': 431 } as const;

type Cause = ProblemCode | keyof typeof BAD_REQUESTS;

/** What a listener says before there is a request that could have an id. */
const OF_THE_LISTENER: ReadonlySet<Cause> = new Set(['slow-request', 'large-headers']);

/** A path or a query that is not UTF-8 is a bad request wherever it is sent. */
const EVERYWHERE: readonly Cause[] = [
  'bad-request',
  'unauthorized',
  'forbidden',
  'too-many-requests',
  'slow-request',
  'large-headers',
  'internal',
  'service-unavailable',
];

/** The problems that an operation may answer with, beside those that every operation may. */
export function problems(...causes: readonly Cause[]): Answers {
  const byStatus = new Map<number, Cause[]>();
  for (const cause of [...EVERYWHERE, ...causes]) {
    const { status } = meaningOf(cause);
    byStatus.set(status, [...(byStatus.get(status) ?? []), cause]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, known]) => [
      status,
      known.length === 1
        ? { $ref: `#/components/responses/${nameOf(known[0] as Cause)}` }
        : problemAnswer(known),
    ]),
  );
}

/** What `components.responses` may hold: one answer for each cause. */
export function componentResponses(): Record<string, Answer> {
  const causes = [...Object.keys(PROBLEMS), ...Object.keys(BAD_REQUESTS)] as Cause[];
  return Object.fromEntries(causes.map((cause) => [nameOf(cause), problemAnswer([cause])]));
}

function meaningOf(cause: Cause): { code: ProblemCode; status: number } {
  return cause in BAD_REQUESTS
    ? { code: 'bad-request', status: BAD_REQUESTS[cause as keyof typeof BAD_REQUESTS] }
    : { code: cause as ProblemCode, status: PROBLEMS[cause as ProblemCode].status };
}

/** Of causes with the same status. */
function problemAnswer(causes: readonly Cause[]): Answer {
  const codes = causes.map((cause) => meaningOf(cause).code);
  const names = new Set(codes.flatMap((code) => PROBLEM_HEADERS[code] ?? []));
  if (!causes.some((cause) => OF_THE_LISTENER.has(cause))) names.add('X-Request-Id');
  const types = codes.map((code) => `/problems/${code}`);
  return {
    description: [...new Set(codes.map((code) => PROBLEMS[code].title))].join('; '),
    headers: headerRefs(...names),
    content: content(
      {
        allOf: [
          schemaRef('Problem'),
          { type: 'object', properties: { type: { type: 'string', enum: types } } },
        ],
      },
      'application/problem+json',
    ),
  };
}

/** `formation/no-coordinator` → `FormationNoCoordinator`. */
function nameOf(cause: Cause): string {
  return cause.replaceAll(/(?:^|[-/])(\w)/g, (_, letter: string) => letter.toUpperCase());
}
