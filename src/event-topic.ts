// What an event is about: which cell, which formation. Pure, and found out once for each event; who wants the events of one of them
// compares what was found. An index by topic is event-index.ts.
import { formationIdOf, isFormationType, isObject, type Members, relatedFormation } from './facts.ts';
import type { Cell, EventScope, EventTopic, Fact } from './model.ts';

/** About nothing that anybody could ask for. */
export const NO_TOPIC: EventTopic = { cell: null, formation: null };

/** The cells of a view. */
type Cells = ReadonlyMap<string, Cell>;

/**
 * The topic of a parsed payload. A cell's events are those with its id as `data.cellId`, whatever their type; a formation's own are
 * those of a formation's type with its id, and others that name it. What the event's fact says already is not looked for again.
 */
export function topicOf(event: unknown, fact?: Fact): EventTopic {
  if (fact?.kind === 'cell') return { cell: fact.id, formation: fact.formationId };
  if (!isObject(event)) return NO_TOPIC;
  const { type } = event;
  const data = isObject(event['data']) ? event['data'] : {};
  const isFormations = typeof type === 'string' && isFormationType(type);
  const formation = isFormations ? formationOf(event, data, fact) : relatedFormation(data);
  const { cellId } = data;
  if (typeof cellId === 'string') return { cell: cellId, formation };
  return formation === null ? NO_TOPIC : { cell: null, formation };
}

function formationOf(event: Members, data: Members, fact: Fact | undefined): string | null {
  return fact?.kind === 'formation' ? fact.id : formationIdOf(event, data);
}

/**
 * Whether an event of this topic is among those. Which formation a cell belongs to is asked of the view as it is now: supervisors tell
 * it after the first events of a cell. Without a topic an event is among none.
 */
export function isWithin(scope: EventScope, topic: EventTopic | undefined, cells: Cells): boolean {
  if (topic === undefined) return false;
  const { cell, formation } = topic;
  if (scope.kind === 'cell') return cell === scope.id;
  return formation === scope.id || (cell !== null && cells.get(cell)?.formationId === scope.id);
}
