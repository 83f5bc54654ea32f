// CloudEvents in and out: decoding a log entry once, the envelope of our own events, and feed frames spliced from the
// published text, never serialised again (design D4).
import type { EventEntry, FormationPhase, Position, RequestMark } from './model.ts';
import type { LogEntry } from './ports.ts';
import { decodeUtf8 } from './utf8.ts';

/** Decodes and parses the payload, for those who show it: what it says is the event reader's to tell. Never throws. */
export function decodeEntry({ seq, subject, payload }: LogEntry): EventEntry {
  const text = decodeUtf8(payload);
  if (text !== null) {
    try {
      return { seq, subject, text, event: JSON.parse(text) as unknown, eventText: text, signature: null };
    } catch {
      // Not JSON: the entry has no text, like one that is not UTF-8.
    }
  }
  return { seq, subject, text: null, event: undefined, eventText: null, signature: null };
}

/** What the feed and the pages of events show for one entry. */
export function frameText(seq: Position, text: string): string {
  return `{"seq":${seq},"event":${text}}`;
}

/** The event of a frame as it was published. */
export function eventTextOf({ seq, text }: { readonly seq: Position; readonly text: string }): string {
  return text.slice(`{"seq":${seq},"event":`.length, -1);
}

const TYPE_PREFIX = 'dev.cellos.events.cell.formation.v1.';

/** The last segment of a formation event's type and subject. */
function phaseSegment(phase: FormationPhase): string {
  return phase === 'PENDING' ? 'created' : phase.toLowerCase();
}

/** `cellos.events.formations.{id}.{phase}` */
export function formationSubject(id: string, phase: FormationPhase): string {
  return `cellos.events.formations.${id}.${phaseSegment(phase)}`;
}

export interface FormationEvent {
  readonly eventId: string;
  readonly operator: string;
  readonly time: Date;
  /** A valid W3C traceparent or null. */
  readonly traceparent: string | null;
  readonly phase: FormationPhase;
  readonly formationId: string;
  readonly formationName: string;
  readonly cellCount: number;
  readonly failedCellIds: readonly string[];
  readonly reason: string | null;
  /** JSON text, with `created` only. */
  readonly document: string | null;
  readonly mark: RequestMark | null;
}

/**
 * The event as JSON text (contract, section 4); the document is spliced in as it is spelled. What cannot hold a character that JSON
 * escapes is put in as it is: ids, the source, the type, the time, digests.
 */
export function formationEventText(event: FormationEvent): string {
  const { reason, document, traceparent, failedCellIds, mark } = event;
  const source = `principal://operator/${encodeURIComponent(event.operator.toWellFormed())}`;
  return (
    `{"specversion":"1.0","id":"${event.eventId}","source":"${source}",` +
    `"type":"${TYPE_PREFIX}${phaseSegment(event.phase)}","datacontenttype":"application/json",` +
    `"data":{"formationId":"${event.formationId}","formationName":${JSON.stringify(event.formationName)},` +
    `"cellCount":${event.cellCount},"failedCellIds":${failedCellIds.length === 0 ? '[]' : JSON.stringify(failedCellIds)}` +
    (reason === null ? '' : `,"reason":${JSON.stringify(reason)}`) +
    (document === null ? '' : `,"document":${document}`) +
    `},"time":"${event.time.toISOString()}","traceparent":${JSON.stringify(traceparent)}` +
    // Names of extension attributes are lower-case letters and digits; both values are digests.
    (mark === null ? '}' : `,"idempotencykey":"${mark.key}","requestdigest":"${mark.request}"}`)
  );
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/;

/** The header's value when W3C Trace Context (section 3.2) calls it valid, else null. */
export function parseTraceparent(value: string | null): string | null {
  const match = value === null ? null : TRACEPARENT.exec(value);
  if (value === null || match === null) return null;
  if (/^0+$/.test(match[1] as string) || /^0+$/.test(match[2] as string)) return null;
  // Version ff is forbidden; version 00 has exactly four fields.
  if (value.startsWith('ff') || (value.startsWith('00') && match[3] !== undefined)) return null;
  return value;
}
