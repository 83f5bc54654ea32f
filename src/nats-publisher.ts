// Acknowledged publishes, spoken to JetStream in its own protocol (ADR-1, ADR-22): one subscription takes all acknowledgements. The
// library's publish makes headers by way of a map, three promises, and for each message an error with its stack, thrown away when
// the acknowledgement is there: a sixth of a write's time.
import type { Msg, MsgHdrs, NatsConnection } from 'nats.ws';

import { ACKNOWLEDGEMENT_TIMEOUT_MS } from './limits.ts';
import { toLogError } from './nats-link.ts';
import { STREAM } from './nats-stream.ts';
import { type Clock, EventLogError, type LogAcknowledgement, type LogPublishOptions } from './ports.ts';
import { decodeUtf8, encodeUtf8 } from './utf8.ts';

interface Publish {
  readonly resolve: (acknowledgement: LogAcknowledgement) => void;
  readonly reject: (error: EventLogError) => void;
}

/** The broker's answer to a publish. */
interface Answer {
  readonly seq?: number;
  readonly duplicate?: boolean;
  readonly error?: { readonly err_code?: number; readonly description?: string };
}

export class NatsPublisher {
  readonly #nc: NatsConnection;
  readonly #clock: Clock;
  readonly #inbox = `_INBOX.${crypto.randomUUID()}.`;
  readonly #underWay = new Map<string, Publish>();
  #number = 0;
  #lost: EventLogError | null = null;

  /** `lost` rejects when the connection is of no more use. */
  constructor(nc: NatsConnection, lost: Promise<never>, clock: Clock) {
    this.#nc = nc;
    this.#clock = clock;
    nc.subscribe(`${this.#inbox}*`, { callback: (_error, message) => this.#answered(message) });
    lost.catch((error: unknown) => {
      this.#lost = toLogError(error);
      for (const publish of this.#underWay.values()) publish.reject(this.#lost);
    });
  }

  /**
   * Rejects with EventLogError alone, at the latest when the signal aborts, the connection is lost, or the acknowledgement does not
   * come in its time.
   */
  publish(subject: string, payload: Uint8Array, options: LogPublishOptions): Promise<LogAcknowledgement> {
    const { signal } = options;
    if (this.#lost !== null) return Promise.reject(this.#lost);
    if (signal.aborted) return Promise.reject(timedOut(signal.reason));
    return new Promise((resolve, reject) => {
      const token = String(++this.#number);
      const end = () => {
        this.#underWay.delete(token);
        cancel();
        signal.removeEventListener('abort', onAbort);
      };
      const publish: Publish = {
        resolve(acknowledgement) {
          end();
          resolve(acknowledgement);
        },
        reject(error) {
          end();
          reject(error);
        },
      };
      const onAbort = () => publish.reject(timedOut(signal.reason));
      const cancel = this.#clock.after(ACKNOWLEDGEMENT_TIMEOUT_MS, () => publish.reject(timedOut()));
      signal.addEventListener('abort', onAbort);
      this.#underWay.set(token, publish);
      try {
        const headers = headersOf(options);
        this.#nc.publish(subject, payload, { reply: `${this.#inbox}${token}`, headers });
      } catch (error) {
        publish.reject(toLogError(error));
      }
    });
  }

  #answered(message: Msg): void {
    const publish = this.#underWay.get(message.subject.slice(this.#inbox.length));
    if (publish === undefined) return;
    const { seq, duplicate = false, error } = parseAnswer(message);
    if (error !== undefined) {
      publish.reject(toLogError(Object.assign(new Error(error.description), { api_error: error })));
    } else if (seq === undefined) {
      // Nobody listens, or it is none of JetStream's.
      const code = String(message.headers?.code ?? '');
      publish.reject(toLogError(Object.assign(new Error('no acknowledgement'), { code })));
    } else {
      publish.resolve({ seq, isDuplicate: duplicate });
    }
  }
}

function timedOut(cause?: unknown): EventLogError {
  return new EventLogError('unavailable', 'timed out', cause);
}

function parseAnswer({ data }: Msg): Answer {
  try {
    return JSON.parse(decodeUtf8(data) ?? '') as Answer;
  } catch {
    return {};
  }
}

/** Of the library's headers its publish calls `encode` alone. No value holds a line break. */
function headersOf({ messageId, expectedLast, expectedLastOnSubject }: LogPublishOptions): MsgHdrs {
  const text =
    `NATS/1.0\r\nNats-Msg-Id: ${messageId}\r\nNats-Expected-Stream: ${STREAM}\r\n` +
    (expectedLast === undefined ? '' : `Nats-Expected-Last-Sequence: ${expectedLast}\r\n`) +
    (expectedLastOnSubject === undefined
      ? ''
      : `Nats-Expected-Last-Subject-Sequence: ${expectedLastOnSubject}\r\n`);
  return { encode: () => encodeUtf8(`${text}\r\n`) } as unknown as MsgHdrs;
}
