// The checker's own reading of the stream: contract section 3, written a second time and as plainly as possible. It shares no
// code with src/, since it is there to find that wrong.
import type { StoredMessage } from './history.ts';

/** An event of a formation, as far as it is checked. */
export interface FormationEvent {
  readonly seq: number;
  readonly subject: string;
  readonly id: string;
  readonly name: string;
  /** As in the type, in capitals; `created` is PENDING. */
  readonly phase: string;
  readonly isCreated: boolean;
  readonly reason: string | null;
  readonly document: unknown;
  /** As spelled, and as milliseconds. */
  readonly time: string;
  readonly at: number;
}

interface FormationRecord {
  readonly id: string;
  name: string;
  phase: string;
  status: string;
  reason: string | null;
  document: unknown;
  created_at: string;
  updated_at: string;
}

/** From an event that made the formation live to the one that ended it. */
export interface Life {
  readonly from: number;
  /** The sequence of the end, null while there is none. */
  to: number | null;
  /** By a status event, not by being created. */
  readonly isRevival: boolean;
}

/** An admission beside which a formation of the same name was live. */
interface SharedName {
  readonly event: FormationEvent;
  readonly other: string;
  readonly otherLife: Life;
}

export interface Replay {
  readonly events: readonly FormationEvent[];
  readonly records: ReadonlyMap<string, FormationRecord>;
  readonly lives: ReadonlyMap<string, readonly Life[]>;
  readonly shared: readonly SharedName[];
}

const TYPE = /^dev\.cellos\.events\.cell\.formation\.v1\.([a-z]+)$/;
const STATUSES: Readonly<Record<string, string>> = {
  PENDING: 'PENDING',
  LAUNCHING: 'RUNNING',
  RUNNING: 'RUNNING',
  DEGRADED: 'RUNNING',
  COMPLETED: 'SUCCEEDED',
  FAILED: 'FAILED',
};

/** The events of formations among the messages, in the stream's order. */
export function parseFormationEvents(messages: readonly StoredMessage[]): FormationEvent[] {
  return messages
    .toSorted((left, right) => left.seq - right.seq)
    .flatMap((message) => parseFormationEvent(message) ?? []);
}

function parseFormationEvent({ seq, subject, text }: StoredMessage): FormationEvent | null {
  const event = JSON.parse(text) as { type: string; time: string; data: Record<string, unknown> };
  const word = TYPE.exec(event.type)?.[1];
  if (word === undefined) return null;
  const { formationId, formationName, reason, document } = event.data;
  return {
    seq,
    subject,
    id: String(formationId),
    name: String(formationName),
    phase: word === 'created' ? 'PENDING' : word.toUpperCase(),
    isCreated: word === 'created',
    reason: typeof reason === 'string' ? reason : null,
    document,
    time: event.time,
    at: Date.parse(event.time),
  };
}

/** The last event wins, and whoever is neither finished nor failed holds the name. */
export function replay(events: readonly FormationEvent[]): Replay {
  const records = new Map<string, FormationRecord>();
  const lives = new Map<string, Life[]>();
  const byName = new Map<string, Set<string>>();
  const shared: SharedName[] = [];
  for (const event of events) {
    const { id, name, phase } = event;
    const status = STATUSES[phase] ?? '';
    const record = records.get(id);
    if (record === undefined) {
      records.set(id, {
        id,
        name,
        phase,
        status,
        reason: event.reason,
        document: event.document,
        created_at: event.time,
        updated_at: event.time,
      });
    } else {
      Object.assign(record, { phase, status, reason: event.reason, updated_at: event.time });
      if (event.document !== undefined) record.document = event.document;
    }
    const ofName = byName.get(name) ?? new Set();
    byName.set(name, ofName.add(id));
    if (event.isCreated) {
      for (const other of ofName) {
        const otherLife = lives.get(other)?.at(-1);
        if (other !== id && otherLife?.to === null) shared.push({ event, other, otherLife });
      }
    }
    const own = lives.get(id) ?? [];
    lives.set(id, own);
    const last = own.at(-1);
    const isLive = status === 'PENDING' || status === 'RUNNING';
    const wasLive = last?.to === null;
    if (isLive && !wasLive) own.push({ from: event.seq, to: null, isRevival: !event.isCreated });
    else if (!isLive && wasLive) last.to = event.seq;
  }
  return { events, records, lives, shared };
}
