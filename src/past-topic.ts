// What an event of the past is about, when it is read again. What was not believed when it came is about nothing: the index, which has not
// noted it, knows that, and only what is older than the index is verified once more.
import type { EntryReader } from './entry-reader.ts';
import { NO_TOPIC, topicOf } from './event-topic.ts';
import type { EventEntry, EventTopic, Position } from './model.ts';
import type { LogEntry } from './ports.ts';
import type { ProjectionState } from './projection.ts';
import { eventWithin } from './signed-envelopes.ts';

/** The view that decides, as it is now, and what it believes. */
export interface Believer {
  readonly reader: EntryReader;
  readonly state: ProjectionState;
}

/** The topic of an entry; `event` is what `decodeEntry` found in it. */
export function pastTopic(
  { reader, state }: Believer,
  entry: LogEntry,
  { event }: Pick<EventEntry, 'event'>,
): EventTopic | Promise<EventTopic> {
  const topic = topicOf(eventWithin(event));
  if (topic === NO_TOPIC || !reader.isVerifying) return topic;
  const { index, cursor } = state;
  const { seq } = entry;
  if (seq > index.floor && seq <= cursor)
    return index.has(seq, topic) ? notedTopic(state, seq, topic) : NO_TOPIC;
  return believedTopic(reader, entry);
}

/** Of an event that was noted: a cell's event may name a formation where its signature does not reach. */
function notedTopic({ index, cells }: ProjectionState, seq: Position, topic: EventTopic): EventTopic {
  const { cell, formation } = topic;
  if (cell === null || formation === null || cells.get(cell)?.formationId === formation) return topic;
  return index.has(seq, { cell: null, formation }) ? topic : { cell, formation: null };
}

async function believedTopic(reader: EntryReader, entry: LogEntry): Promise<EventTopic> {
  const { event, eventText } = await reader.read(entry);
  return eventText === null ? NO_TOPIC : topicOf(event);
}
