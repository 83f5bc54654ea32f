// The types of the domain: what the event log says (facts) and what the projection holds (records).
// Wire shapes are in the contract, sections 3 to 5; parsing is in facts.ts, JSON texts in snapshots.ts.

/** A stream sequence, 0 for "before the first event". Texts above 2^53 - 1 saturate there: no stream gets that far. */
export type Position = number;

/** What a formation is shown as in `status`. */
export type FormationStatus = 'PENDING' | 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'CANCELLED';

/** The last segment of a formation event's type, in the spelling of the `phase` field. */
export type FormationPhase =
  | 'PENDING'
  | 'LAUNCHING'
  | 'RUNNING'
  | 'DEGRADED'
  | 'COMPLETED'
  | 'FAILED'
  | 'CANCELLED';

export type CellState = 'pending' | 'running' | 'destroyed';

/** How an event that came in a signed envelope, or should have, was taken. */
export type SignatureOutcome =
  /** Unwrapped without a look at the signature: no keys are configured. */
  | 'unverified'
  | 'verified'
  /** Not projected, like all that follow. */
  | 'unsigned'
  | 'malformed'
  | 'unknown-key'
  | 'bad-signature'
  | 'outside-its-time';

/** What was found out about an event's signature. */
export interface SignatureVerdict {
  readonly outcome: SignatureOutcome;
  /**
   * The id of a key, and which one it was for: what another set of keys would have to agree on, so that the verdict would be the same
   * (signers.ts). Null when keys do not matter.
   */
  readonly basis: { readonly kid: string; readonly key: string } | null;
  /** Why the event is not projected; null when it is. */
  readonly refusal: string | null;
}

/** One message of the event log, decoded once for everybody. */
export interface EventEntry {
  readonly seq: Position;
  readonly subject: string;
  /** As it was published, for those who show it; null when the payload is not UTF-8 JSON. */
  readonly text: string | null;
  /** What it says, parsed and out of its envelope, whether it is believed or not; undefined when `text` is null. */
  readonly event: unknown;
  /** The JSON text of `event`; null when that says nothing that counts. */
  readonly eventText: string | null;
  /** Null for an event that came without an envelope and may. */
  readonly signature: SignatureVerdict | null;
}

/** What one event is about; each null when it is about none. */
export interface EventTopic {
  /** A cell's id, of whatever type the event is. */
  readonly cell: string | null;
  /** The formation that the event names itself; that of its cell may be known from another event. */
  readonly formation: string | null;
}

/** The events of one cell, or those of one formation and its cells. */
export interface EventScope {
  readonly kind: 'cell' | 'formation';
  readonly id: string;
}

/** What an event carries of the request that made it, when that had an Idempotency-Key: two digests (idempotency.ts). */
export interface RequestMark {
  /** Of method, path and key: what one request is told from another by. SHA-256 in base64url. */
  readonly key: string;
  /** Of the body: what a request must have in common with the one that it repeats. */
  readonly request: string;
}

/** What a formation event says. */
export interface FormationFact {
  readonly kind: 'formation';
  readonly id: string;
  /** Empty when the event names none. */
  readonly name: string;
  readonly phase: FormationPhase;
  readonly reason: string | null;
  readonly failedCells: readonly string[] | null;
  readonly time: string | null;
  readonly mark: RequestMark | null;
  /** The JSON text of `data.document`, or of the whole `data` when asked for a new record; null when neither applies. */
  readonly document: (isNew: boolean) => string | null;
}

/** What a cell event says; null stands for absent or of the wrong type. */
export interface CellFact {
  readonly kind: 'cell';
  readonly effect: 'started' | 'completed' | 'destroyed';
  readonly id: string;
  readonly specId: string;
  readonly runId: string | null;
  readonly formationId: string | null;
  /** An integer as it was spelled. */
  readonly exitCode: string | null;
  readonly outcome: string | null;
  readonly time: string | null;
}

/** What one log entry means to the projection. `warning` is for the operator's log. */
export type Fact = FormationFact | CellFact | { readonly kind: 'none'; readonly warning: string | null };

/** A request with an Idempotency-Key, and its event. */
export interface Receipt extends RequestMark {
  readonly seq: Position;
}

/** A formation as projected. Only projection.ts changes one, but for what is kept by others. */
export interface Formation {
  readonly id: string;
  name: string;
  phase: FormationPhase;
  reason: string | null;
  failedCells: readonly string[] | null;
  /** JSON text, spelled as it was published. */
  document: string;
  createdAt: string | null;
  updatedAt: string | null;
  /** Requests that made events of it which the log may still hold, oldest first; null for none. */
  receipts: Receipt[] | null;
  /** Sequence of the event that created the record: decides which holder of a name is the newest. */
  readonly firstSeq: Position;
  /** Sequence of the last event that changed the record or one of its cells. */
  version: Position;
  /** The record's JSON text, kept by snapshots.ts until the next change. */
  json: string | null;
  /** Which block of the checkpoint holds the record as it was saved last, 0 for none; kept by checkpoint.ts. */
  block: number;
}

/** A cell as projected. Only projection.ts changes one, but for what is kept by others. */
export interface Cell {
  readonly id: string;
  specId: string;
  runId: string | null;
  formationId: string | null;
  state: CellState;
  startedAt: string | null;
  destroyedAt: string | null;
  outcome: string | null;
  exitCode: string | null;
  readonly createdAt: string | null;
  version: Position;
  json: string | null;
  block: number;
}
