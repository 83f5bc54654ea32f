// Every operation of the server, by path and method: the type of the table of routes asks for each of them, and for no other.
import type { Template } from '../routes/table.ts';
import { CELL_OPERATIONS } from './cells.ts';
import { EVENT_OPERATIONS } from './events.ts';
import { FORMATION_OPERATIONS } from './formations.ts';
import type { OperationsOf } from './operation.ts';
import { SERVER_OPERATIONS } from './server.ts';

export const OPERATIONS: OperationsOf<Template> = {
  ...FORMATION_OPERATIONS,
  ...CELL_OPERATIONS,
  ...EVENT_OPERATIONS,
  ...SERVER_OPERATIONS,
};
