// The end of a run: what the servers show against what a server shows that has just replayed the stream, and both against
// the checker's own reading.
import { isDeepStrictEqual } from 'node:util';
import type { StoredMessage, Violation } from './history.ts';
import { parseFormationEvents, replay } from './replay.ts';

/** The bodies of a server's lists. */
export interface View {
  readonly server: string;
  readonly formations: string;
  readonly cells: string;
}

const SHOWN = ['id', 'name', 'phase', 'status', 'reason', 'document', 'created_at', 'updated_at'] as const;
/** Of a difference between two texts. */
const EXCERPT = 120;

/** Everything in which the views differ from the fresh one, byte for byte, and the fresh one from the stream. */
export function checkViews(
  views: readonly View[],
  fresh: View,
  messages: readonly StoredMessage[],
): Violation[] {
  return [
    ...views.flatMap((view) =>
      (['formations', 'cells'] as const)
        .filter((list) => view[list] !== fresh[list])
        .map((list) => ({
          kind: 'projection-differs',
          detail: `${view.server} /v1/${list}: ${difference(view[list], fresh[list])}`,
        })),
    ),
    ...checkFresh(fresh, messages),
  ];
}

function checkFresh(fresh: View, messages: readonly StoredMessage[]): Violation[] {
  const { formations, cursor } = JSON.parse(fresh.formations) as {
    formations: Record<string, unknown>[];
    cursor: number;
  };
  const found: Violation[] = [];
  const report = (detail: string) => found.push({ kind: 'replay-differs', detail });
  const last = Math.max(0, ...messages.slice(-1).map(({ seq }) => seq));
  if (cursor !== last) report(`the cursor is ${cursor}, the last sequence ${last}`);
  const { records } = replay(parseFormationEvents(messages));
  const shown = new Map(formations.map((formation) => [formation['id'], formation]));
  if (shown.size !== formations.length) report('an id is listed twice');
  for (const [id, record] of records) {
    const formation = shown.get(id);
    if (formation === undefined) report(`${id} is not listed`);
    else if (!SHOWN.every((key) => isDeepStrictEqual(formation[key] ?? null, record[key] ?? null)))
      report(`${JSON.stringify(formation)} should be ${JSON.stringify(record)}`);
  }
  for (const id of shown.keys()) if (!records.has(String(id))) report(`${String(id)} is not in the stream`);
  return found;
}

function difference(one: string, other: string): string {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at += 1;
  const from = Math.max(0, at - EXCERPT);
  return `at ${at} …${one.slice(from, at + EXCERPT)}… instead of …${other.slice(from, at + EXCERPT)}…`;
}
