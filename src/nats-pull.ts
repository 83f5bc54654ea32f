// One ephemeral pull consumer on the stream, spoken to in JetStream's own protocol (ADR-13): the library's consumer cannot
// bound messages and bytes at once, and a burst beyond the broker's 64 MiB per connection would cut us off.
import type { ConsumerConfig, JetStreamManager, Msg, NatsConnection, Subscription } from 'nats.ws';

import { CONSUMER_INACTIVE_MS, PULL_BYTES, PULL_EXPIRES_MS } from './limits.ts';
import type { Position } from './model.ts';
import { askAgain } from './nats-link.ts';
import type { Clock, LogEntry } from './ports.ts';

/** An entry with what its delivery says: the broker's time and how many more there are. */
export interface Delivery extends LogEntry {
  /** Nanoseconds since the epoch. */
  readonly timestamp: string;
  readonly pending: number;
}

export interface PullHandlers {
  readonly onDelivery: (delivery: Delivery) => void;
  /** A pull has ended before it was filled, which is ordinary. */
  readonly onPullEnded: () => void;
  /** The consumer is of no more use: it is gone, or a delivery was lost. */
  readonly onBroken: (reason: string) => void;
}

export interface PullConsumerOptions {
  readonly stream: string;
  readonly after: Position;
  readonly filter?: string;
  readonly clock: Clock;
}

/** Pulls under way, oldest first; the broker fills them in this order. */
interface Pull {
  readonly subject: string;
  left: number;
}

const NANOS_PER_MS = 1_000_000;

export class PullConsumer {
  /** Entries behind the start when the consumer was made. */
  readonly pendingAtStart: number;
  readonly #nc: NatsConnection;
  readonly #jsm: JetStreamManager;
  readonly #stream: string;
  readonly #name: string;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #pulls: Pull[] = [];
  #delivered = 0;
  #replyPrefix = '';
  #pullNumber = 0;
  #closed = false;

  private constructor(
    nc: NatsConnection,
    jsm: JetStreamManager,
    consumer: { stream: string; name: string; pending: number },
    handlers: PullHandlers,
  ) {
    this.#nc = nc;
    this.#jsm = jsm;
    this.#stream = consumer.stream;
    this.#name = consumer.name;
    this.pendingAtStart = consumer.pending;
    this.#inbox = `_INBOX.${crypto.randomUUID()}`;
    this.#subscription = nc.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (this.#closed) return;
        if (error !== null) handlers.onBroken(error.message);
        else if (message.subject.startsWith(this.#inbox)) this.#status(message, handlers);
        else this.#message(message, handlers);
      },
    });
  }

  /** Makes the consumer. Nothing is delivered before the first `pull`. */
  static async open(
    nc: NatsConnection,
    jsm: JetStreamManager,
    options: PullConsumerOptions,
    handlers: PullHandlers,
  ): Promise<PullConsumer> {
    const config: Partial<ConsumerConfig> = {
      // The enumerations are plain strings; importing them would tie this file to one copy of the client.
      ack_policy: 'none' as ConsumerConfig['ack_policy'],
      deliver_policy: 'by_start_sequence' as ConsumerConfig['deliver_policy'],
      replay_policy: 'instant' as ConsumerConfig['replay_policy'],
      opt_start_seq: options.after + 1,
      inactive_threshold: CONSUMER_INACTIVE_MS * NANOS_PER_MS,
      mem_storage: true,
      num_replicas: 1,
      ...(options.filter === undefined ? {} : { filter_subject: options.filter }),
    };
    let isMade = false;
    const { name, num_pending: pending } = await askAgain(options.clock, async () => {
      const made = await jsm.consumers.add(options.stream, config);
      // Not asked for by name: a cluster that has just lost a node may put one there, and the next one elsewhere.
      if (isMade) void jsm.consumers.delete(options.stream, made.name).catch(() => {});
      isMade = true;
      return made;
    });
    return new PullConsumer(nc, jsm, { stream: options.stream, name, pending }, handlers);
  }

  /** Pulls under way that are not filled yet. */
  get pulls(): number {
    return this.#pulls.length;
  }

  /** Asks for up to `batch` entries. */
  pull(batch: number): void {
    const subject = `${this.#inbox}.${++this.#pullNumber}`;
    // A message larger than the bound would never be delivered.
    const maxBytes = Math.max(PULL_BYTES, 2 * (this.#nc.info?.max_payload ?? 0));
    this.#pulls.push({ subject, left: batch });
    this.#nc.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${this.#name}`,
      JSON.stringify({ batch, max_bytes: maxBytes, expires: PULL_EXPIRES_MS * NANOS_PER_MS }),
      { reply: subject },
    );
  }

  /** Removes the consumer from the broker, which limits their number. Never throws: a broker that is away forgets it. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscription.unsubscribe();
    if (this.#nc.isClosed()) return;
    try {
      await this.#jsm.consumers.delete(this.#stream, this.#name);
    } catch {
      // It is gone already, or it will be after its inactive threshold.
    }
  }

  #message(message: Msg, handlers: PullHandlers): void {
    // $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>; newer brokers put a domain and
    // an account behind ACK. Up to <delivered>, which is 1 without acknowledgements, it is the same for every message.
    const reply = message.reply ?? '';
    if (this.#replyPrefix === '' || !reply.startsWith(this.#replyPrefix)) {
      const tokens = reply.split('.');
      this.#replyPrefix = `${tokens.slice(0, tokens.length > 9 ? 7 : 5).join('.')}.`;
    }
    const [seq, delivered, timestamp, pending] = reply.slice(this.#replyPrefix.length).split('.', 4);
    if (Number(delivered) !== ++this.#delivered) {
      handlers.onBroken(`delivery ${delivered} came where ${this.#delivered} was due`);
      return;
    }
    const pull = this.#pulls[0];
    if (pull !== undefined && --pull.left === 0) this.#pulls.shift();
    handlers.onDelivery({
      seq: Number(seq),
      subject: message.subject,
      payload: message.data,
      timestamp: timestamp ?? '',
      pending: Number(pending),
    });
  }

  #status(message: Msg, handlers: PullHandlers): void {
    const code = message.headers?.code ?? 0;
    const description = message.headers?.description ?? '';
    if (code === 100) return;
    const at = this.#pulls.findIndex((pull) => pull.subject === message.subject);
    if (at >= 0) this.#pulls.splice(at, 1);
    // 404 and 408: nothing there in time. 409 is also said of a pull that reached its bytes.
    const ordinary = code === 404 || code === 408 || (code === 409 && /maxbytes|batch/i.test(description));
    if (ordinary) handlers.onPullEnded();
    else handlers.onBroken(`${code} ${description}`);
  }
}
