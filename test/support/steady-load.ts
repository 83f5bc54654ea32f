// Publishes at a rate, over crashes of the broker: what was not acknowledged is sent again under the same message id.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Broker } from './nats-server.ts';

const TICK_MS = 10;
/** More would only wait in the connection. */
const IN_FLIGHT = 1000;
const ACKNOWLEDGED_MS = 1000;

export interface Publication {
  readonly subject: string;
  readonly payload: string;
}

export class SteadyLoad {
  readonly #broker: Broker;
  readonly #make: (index: number) => Publication;
  readonly #perSecond: number;
  readonly #done: Promise<void>;
  readonly #id = randomUUID();
  #isStopping = false;
  #sent = 0;
  #waiting = 0;
  #acknowledged = 0;

  private constructor(broker: Broker, perSecond: number, make: (index: number) => Publication) {
    this.#broker = broker;
    this.#perSecond = perSecond;
    this.#make = make;
    this.#done = this.#run();
  }

  static start(broker: Broker, perSecond: number, make: (index: number) => Publication): SteadyLoad {
    return new SteadyLoad(broker, perSecond, make);
  }

  /** Nothing that was published has a higher sequence. */
  get highest(): number {
    return this.#acknowledged + this.#waiting;
  }

  /** Resolves with the number of events when each was acknowledged. */
  async stop(): Promise<number> {
    this.#isStopping = true;
    await this.#done;
    while (this.#waiting > 0) await delay(TICK_MS);
    return this.#sent;
  }

  async #run(): Promise<void> {
    let last = performance.now();
    let due = 0;
    while (!this.#isStopping) {
      await delay(TICK_MS);
      const now = performance.now();
      // What could not be sent while the broker was away is not made up for.
      due = Math.min(due + ((now - last) * this.#perSecond) / 1000, IN_FLIGHT);
      last = now;
      for (; due >= 1 && this.#waiting < IN_FLIGHT; due -= 1) void this.#publish(this.#sent++);
    }
  }

  async #publish(index: number): Promise<void> {
    this.#waiting += 1;
    const { subject, payload } = this.#make(index);
    for (;;) {
      try {
        const jetstream = await this.#broker.jetstream();
        const { seq } = await jetstream.publish(subject, payload, {
          msgID: `${this.#id}-${index}`,
          timeout: ACKNOWLEDGED_MS,
        });
        this.#acknowledged = Math.max(this.#acknowledged, seq);
        this.#waiting -= 1;
        return;
      } catch {
        await delay(2 * TICK_MS);
      }
    }
  }
}
