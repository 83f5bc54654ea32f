// Valibot schemas of the bodies that come from outside (contract, sections 5 and 6), and how a failed one is told.
import * as v from 'valibot';

import { excerpt } from './text.ts';

/** Valibot's own object schemas take arrays as well. */
const plainObject = v.custom<Record<string, unknown>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'must be an object',
);

const text = v.string('must be a string');

const egressRule = v.pipe(
  plainObject,
  v.object({
    host: text,
    port: v.pipe(
      v.number('must be a number'),
      v.integer('must be an integer'),
      v.minValue(0, 'must be a port'),
      v.maxValue(65_535, 'must be a port'),
    ),
    protocol: v.optional(text),
  }),
);

/** What a member may reach; the fields beside these are kept, too. */
export const authority = v.pipe(
  plainObject,
  v.object({
    egressRules: v.optional(v.array(egressRule, 'must be an array')),
    secretRefs: v.optional(v.array(text, 'must be an array')),
  }),
);

/** What a member may reach: the part of a member that admission compares. */
export type Authority = v.InferOutput<typeof authority>;

/** Null stands for absent in `authorizedBy` alone. */
const grants = { authorizedBy: v.nullish(text), authority: v.optional(authority) };

const flatMember = v.pipe(plainObject, v.object({ id: text, ...grants }));

const kubectlMember = v.pipe(
  plainObject,
  v.object({ name: text, ...grants, id: v.optional(v.never('must not stand beside name')) }),
);

/** `{name, coordinator, members: [{id, authorizedBy?, authority?}]}` and anything else. */
export const flatDocument = v.object({
  name: text,
  coordinator: text,
  members: v.array(flatMember, 'must be an array'),
});

/** The same as `kubectl` users write it. */
export const kubectlDocument = v.strictObject({
  apiVersion: v.literal('cellos.dev/v1', 'must be "cellos.dev/v1"'),
  kind: v.literal('Formation', 'must be "Formation"'),
  metadata: v.pipe(
    plainObject,
    v.object({
      name: text,
      labels: v.optional(plainObject),
      annotations: v.optional(plainObject),
    }),
  ),
  spec: v.pipe(
    plainObject,
    v.object({ coordinator: text, members: v.array(kubectlMember, 'must be an array') }),
  ),
});

/** The body of POST /v1/formations/{id}/status; null stands for absent, but not for the state. */
export const statusChange = v.pipe(
  plainObject,
  v.object({
    state: text,
    reason: v.nullish(text),
    failed_cells: v.nullish(v.array(text, 'must be an array')),
  }),
);

/** What a socket remembers of its session (a Durable Object's attachment). */
export const sessionMemory = v.strictObject({
  filter: v.string(),
  scope: v.optional(v.strictObject({ kind: v.picklist(['cell', 'formation']), id: v.string() })),
  cursor: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  epoch: v.nullable(v.string()),
  control: v.optional(v.picklist(['wanted', 'synced'])),
  isHydrating: v.optional(v.literal(true)),
});

/** What valibot calls by the names of classes. */
const RECEIVED: Readonly<Record<string, string>> = { Object: 'an object', Array: 'an array' };

/** Where and why a value does not fit its schema: `spec.members[1].name is missing`. */
export function describeIssue(issue: v.BaseIssue<unknown>): string {
  let path = '';
  for (const item of issue.path ?? []) {
    const key = item.key as string | number;
    if (typeof key === 'number') path += `[${key}]`;
    else path += path === '' ? key : `.${key}`;
  }
  const subject = path === '' ? 'the body' : excerpt(path);
  if (issue.kind === 'schema' && issue.expected === 'never' && issue.type === 'strict_object') {
    return `${subject} is not a known field`;
  }
  if (issue.received === 'undefined') return `${subject} is missing`;
  // A forbidden field is told without its value.
  if (issue.expected === 'never') return `${subject} ${issue.message}`;
  return `${subject} ${issue.message}, not ${RECEIVED[issue.received] ?? excerpt(issue.received)}`;
}
