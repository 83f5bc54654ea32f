// What an operation of the API says of itself in OpenAPI's words, and which operations there have to be.
import type { MethodOf, Template } from '../routes/table.ts';
import type { Answers } from './answers.ts';

/** An Operation Object. */
export interface Operation {
  readonly operationId: string;
  readonly tags: readonly [Tag];
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: readonly object[];
  readonly requestBody?: object;
  readonly responses: Answers;
}

export type Tag = 'formations' | 'cells' | 'events' | 'server';

/** Every operation of these templates; the table of routes says which methods they have. */
export type OperationsOf<T extends Template> = {
  readonly [Each in T]: { readonly [M in MethodOf<Each>]: Operation };
};
