// Single entries of the stream, asked for one by one: several requests are under way at once, and their answers come in order. This needs no
// consumer, and works on every stream; the broker's direct reads would have to be allowed by its configuration.
import type { JetStreamManager, MsgRequest, StoredMsg } from 'nats.ws';

import { ENTRY_REQUESTS } from './limits.ts';
import type { Position } from './model.ts';
import { apiErrorCode, NO_MESSAGE } from './nats-link.ts';
import { STREAM } from './nats-stream.ts';
import type { LogEntry } from './ports.ts';

/** The entry that the stream's leader finds, or null. */
export async function storedEntry(jsm: JetStreamManager, query: MsgRequest): Promise<LogEntry | null> {
  let message: StoredMsg;
  try {
    message = await jsm.streams.getMessage(STREAM, query);
  } catch (error) {
    if (apiErrorCode(error) === NO_MESSAGE) return null;
    throw error;
  }
  return { seq: message.seq, subject: message.subject, payload: message.data };
}

/** What `read` finds at these sequences, in their order. Throws what the first one that fails throws. */
export async function* entriesInOrder(
  sequences: readonly Position[],
  read: (seq: Position) => Promise<LogEntry | null>,
): AsyncGenerator<LogEntry> {
  const underWay: Promise<LogEntry | null>[] = [];
  const left = sequences.values();
  const ask = () => {
    const { value: seq } = left.next();
    if (seq === undefined) return;
    const answer = read(seq);
    // Whoever leaves early does not wait for it.
    answer.catch(() => {});
    underWay.push(answer);
  };
  for (let count = 0; count < ENTRY_REQUESTS; count++) ask();
  for (let next = underWay.shift(); next !== undefined; next = underWay.shift()) {
    const entry = await next;
    ask();
    if (entry !== null) yield entry;
  }
}
