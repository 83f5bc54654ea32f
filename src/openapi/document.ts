// GET /v1/openapi.json: the description of the API (OpenAPI 3.1), put together from its parts when somebody asks for the first time.
import { textDigest } from '../ids.ts';
import { MAX_ECHO_CHARACTERS } from '../limits.ts';
import { ROUTES } from '../routes/table.ts';
import { encodeUtf8 } from '../utf8.ts';
import { VERSION } from '../version.ts';
import { componentHeaders, componentResponses, identified } from './answers.ts';
import type { Operation, Tag } from './operation.ts';
import { OPERATIONS } from './operations.ts';
import { componentParameters, parameterRefs } from './parameters.ts';
import { componentSchemas } from './schemas.ts';

/** What GET /v1/openapi.json answers. */
export interface OpenApiDocument {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly etag: string;
}

const DESCRIPTION = `The control plane of CellOS: admits formations, projects the event log into a view, feeds events to clients.

Every request carries a bearer token; with one for reading a write is a 403. HEAD works wherever GET does, OPTIONS everywhere and without a token. Errors are problems (RFC 9457)
whose \`detail\` names the culprit, with at most ${MAX_ECHO_CHARACTERS} characters of what was sent. A query parameter that is given twice is refused.
CORS: any origin may read, and sees the headers Cellos-Cursor, ETag, Link, Retry-After and Idempotent-Replayed.`;

const TAGS: Readonly<Record<Tag, string>> = {
  formations: 'A coordinator cell and members that derive their authority from one another.',
  cells: 'What supervisors run.',
  events: 'The event log itself.',
  server: 'The server itself.',
};

let made: OpenApiDocument | null = null;

/** The document, which stays the same as long as the code does. */
export function openApiDocument(): OpenApiDocument {
  return (made ??= make());
}

// Nothing is awaited here: a Worker's first request could end in the middle, and leave those that wait with it without an answer.
function make(): OpenApiDocument {
  // The one number that is none in JavaScript (query.ts).
  const text = JSON.stringify(describeApi()).replaceAll('18446744073709552000', '18446744073709551615');
  return { bytes: encodeUtf8(text), etag: `"${textDigest(text)}"` };
}

function describeApi(): object {
  const paths = Object.fromEntries(ROUTES.map(({ template }) => [template, pathItem(OPERATIONS[template])]));
  return {
    openapi: '3.1.0',
    info: { title: 'cellos-server', version: VERSION, description: DESCRIPTION },
    // Wherever this document comes from.
    servers: [{ url: '/' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    security: [{ bearer: [] }],
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: componentSchemas(),
      parameters: componentParameters,
      headers: componentHeaders,
      responses: usedIn(paths, componentResponses()),
    },
  };
}

function pathItem(operations: Readonly<Record<string, Operation>>): object {
  const described = Object.entries(operations).map(([method, { responses, ...operation }]) => [
    method.toLowerCase(),
    { ...operation, responses: identified(responses) },
  ]);
  return { parameters: parameterRefs('RequestId'), ...Object.fromEntries(described) };
}

/** Of all problems those that some operation answers with by themselves. */
function usedIn(paths: object, responses: Record<string, object>): Record<string, object> {
  const text = JSON.stringify(paths);
  return Object.fromEntries(
    Object.entries(responses).filter(([name]) => text.includes(`"#/components/responses/${name}"`)),
  );
}
