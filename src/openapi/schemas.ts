// The bodies of requests and answers as JSON Schemas, generated from the valibot schemas that the server validates with
// (schemas.ts) and that tests hold its answers against (wire-schemas.ts), completed by the rules that are code.
import { type JsonSchema, toJsonSchemaDefs } from '@valibot/to-json-schema';
import type * as v from 'valibot';

import { NAME } from '../admission.ts';
import { KUBECTL_KEYS } from '../documents.ts';
import { TRANSITIONS } from '../routes/formations.ts';
import { authority, flatDocument, kubectlDocument, statusChange } from '../schemas.ts';
import {
  cellRecord,
  createdFormation,
  eventsPage,
  formationList,
  formationRecord,
  liveness,
  problem,
  readiness,
  versionInfo,
} from '../wire-schemas.ts';

const SOURCES = {
  FormationDocument: flatDocument,
  KubectlDocument: kubectlDocument,
  Authority: authority,
  StatusChange: statusChange,
  CreatedFormation: createdFormation,
  FormationRecord: formationRecord,
  FormationList: formationList,
  CellRecord: cellRecord,
  EventsPage: eventsPage,
  VersionInfo: versionInfo,
  Liveness: liveness,
  Readiness: readiness,
  Problem: problem,
} as const satisfies Record<string, v.GenericSchema>;

export type SchemaName = keyof typeof SOURCES;

/** A reference to one of them. */
export function schemaRef(name: SchemaName): { readonly $ref: string } {
  return { $ref: `#/components/schemas/${name}` };
}

/** What `components.schemas` holds. */
export function componentSchemas(): Record<SchemaName, JsonSchema> {
  const schemas = toJsonSchemaDefs(SOURCES, {
    target: 'draft-2020-12',
    // A body is first asked whether it is an object and then for its members: the second says all of it.
    typeMode: 'output',
    overrideSchema: ({ valibotSchema }) => (valibotSchema.type === 'custom' ? { type: 'object' } : undefined),
    overrideRef: ({ referenceId }) => `#/components/schemas/${referenceId}`,
  });
  const { FormationDocument: flat, KubectlDocument: kubectl, StatusChange: status } = schemas;
  Object.assign(flat, {
    description:
      'A formation, flat. The coordinator is a member without `authorizedBy`; every other member names the member that authorizes it, ' +
      'without cycles and with no more `authority` than that one has. Other fields are kept as they are spelled.',
    // A document is of one shape.
    properties: { ...flat.properties, ...Object.fromEntries(KUBECTL_KEYS.map((key) => [key, { not: {} }])) },
  });
  Object.assign(kubectl, {
    description: 'The same as kubectl users write it; of `metadata`, labels and annotations are kept.',
  });
  Object.assign(status, { description: 'Null stands for absent, but not for the state.' });
  complete(flat, 'name', NAME_RULES);
  complete(flat, 'members', { minItems: 1 });
  complete(propertyOf(kubectl, 'spec'), 'members', { minItems: 1 });
  complete(propertyOf(kubectl, 'metadata'), 'name', NAME_RULES);
  complete(status, 'state', { enum: [...TRANSITIONS], description: 'In any letter case.' });
  return schemas;
}

const NAME_RULES = {
  pattern: NAME.source,
  description:
    'Unique among live formations: another may have it when its holder is SUCCEEDED, FAILED or CANCELLED.',
};

function complete(schema: JsonSchema, property: string, rules: JsonSchema): void {
  Object.assign(propertyOf(schema, property), rules);
}

/** Throws when a schema has lost what is said about it here. */
function propertyOf({ properties = {} }: JsonSchema, name: string): JsonSchema {
  const property = properties[name];
  if (typeof property === 'object') return property;
  throw new Error(`the schema has no property ${name}`);
}
