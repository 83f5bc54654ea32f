// Owns streams with known contents: published with acknowledgements, kept for all runs that only read them.
import { EVENT_SUBJECT, startBroker } from './broker.ts';
import type { Broker } from './broker.ts';
import { seedEvents } from './events.ts';
import type { SeedPlan } from './events.ts';

// More publishes in flight than this make the broker's connection the bottleneck, not faster.
const IN_FLIGHT = 1_000;

/** Publishes the events in order and fails unless the stream holds exactly so many more. */
export async function seed(broker: Broker, events: Iterable<string>): Promise<number> {
  const jetstream = broker.connection.jetstream();
  const encoder = new TextEncoder();
  const before = await broker.lastSequence();
  let published = 0;
  let waiting: Promise<unknown>[] = [];
  for (const event of events) {
    waiting.push(jetstream.publish(EVENT_SUBJECT, encoder.encode(event)));
    published += 1;
    if (waiting.length < IN_FLIGHT) continue;
    await Promise.all(waiting);
    waiting = [];
  }
  await Promise.all(waiting);
  const after = await broker.lastSequence();
  if (after - before !== published)
    throw new Error(`seeded ${published} events, the stream took ${after - before}`);
  return published;
}

/** Brokers whose streams several runs only read: seeded once each, stopped together. */
export class Fixtures {
  readonly #brokers = new Map<string, Promise<Broker>>();

  get(plan: SeedPlan): Promise<Broker> {
    const key = JSON.stringify(plan);
    const known = this.#brokers.get(key);
    if (known !== undefined) return known;
    const created = startSeeded(plan);
    this.#brokers.set(key, created);
    return created;
  }

  async stop(): Promise<void> {
    const brokers = [...this.#brokers.values()];
    this.#brokers.clear();
    // One that could not be seeded has been reported by the runs that wanted it.
    await Promise.allSettled(brokers.map(async (broker) => (await broker).stop()));
  }
}

async function startSeeded(plan: SeedPlan): Promise<Broker> {
  const broker = await startBroker();
  await seed(broker, seedEvents(plan));
  return broker;
}
