// What goes wrong during a run, and when: planned from the seed alone, then done to the broker, the wires and the processes.
import { setTimeout as delay } from 'node:timers/promises';
import type { Broker, Wire } from '../support/nats-server.ts';
import type { Disturbance, Violation } from './history.ts';
import type { Member } from './member.ts';
import type { Random } from './random.ts';

type BrokerFault = { readonly kind: 'kill-broker'; readonly downMs: number };
type WireFault = {
  readonly kind: 'cut' | 'cut-acknowledgement' | 'refuse' | 'stall' | 'stall-old';
  readonly forMs: number;
};
type ProcessFault = { readonly kind: 'SIGKILL' | 'SIGTERM'; readonly downMs: number };

/** A fault and the pause before it. */
type Planned<Fault> = Fault & { readonly afterMs: number };

const BROKER_PAUSE_MS = [2500, 7000] as const;
const WIRE_PAUSE_MS = [500, 4000] as const;
const PROCESS_PAUSE_MS = [2500, 8000] as const;
/** A part of every cycle begins without new faults: what a server has to know while nothing disturbs it is checked then. */
const CYCLE_MS = 15_000;
const CALM_MS = 6000;
/** A stall may outlast the contract's 5 s for an answer. */
const LONG_STALL_MS = [4000, 7000] as const;
/** What a broker's answer to a publish begins with. */
const ACKNOWLEDGEMENT = '{"stream":"CELLOS_EVENTS"';

function* planBroker(random: Random): Generator<Planned<BrokerFault>, never> {
  for (;;) {
    const afterMs = random.between(...BROKER_PAUSE_MS);
    const downMs = random.isChosen(0.2) ? random.between(2500, 5500) : random.between(0, 1200);
    yield { kind: 'kill-broker', afterMs, downMs };
  }
}

function* planWire(random: Random): Generator<Planned<WireFault>, never> {
  for (;;) {
    const afterMs = random.between(...WIRE_PAUSE_MS);
    const kind = random.weighted({
      cut: 2,
      'cut-acknowledgement': 4,
      refuse: 1,
      stall: 2,
      'stall-old': 1,
    });
    const isLong = kind !== 'refuse' && random.isChosen(0.2);
    const forMs = isLong ? random.between(...LONG_STALL_MS) : random.between(50, 1500);
    yield { kind, afterMs, forMs };
  }
}

function* planProcess(random: Random): Generator<Planned<ProcessFault>, never> {
  for (;;) {
    const afterMs = random.between(...PROCESS_PAUSE_MS);
    const kind = random.pick<'SIGKILL' | 'SIGTERM'>(['SIGKILL', 'SIGTERM']);
    yield { kind, afterMs, downMs: random.between(0, 800) };
  }
}

/** Does what is planned until it is told to end; then everything is as it should be again, but for what the caller mends. */
export class Faults {
  readonly disturbances: Disturbance[] = [];
  readonly violations: Violation[] = [];
  readonly #signal: AbortSignal;
  readonly #startedAt = Date.now();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  get counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { what } of this.disturbances) counts[what] = (counts[what] ?? 0) + 1;
    return counts;
  }

  async disturbBroker(broker: Broker, random: Random): Promise<void> {
    await this.#run(planBroker(random), null, async ({ downMs }) => {
      await broker.kill();
      await delay(downMs);
      await broker.restart();
    });
  }

  async disturbWire(wire: Wire, server: string, random: Random): Promise<void> {
    await this.#run(planWire(random), server, async ({ kind, forMs }) => {
      switch (kind) {
        case 'cut':
          wire.cut();
          return;
        case 'cut-acknowledgement':
          wire.cutBefore(ACKNOWLEDGEMENT);
          return;
        case 'refuse':
          wire.refuse(true);
          await this.#pause(forMs);
          wire.refuse(false);
          return;
        case 'stall':
        case 'stall-old':
          wire.stall({ onlyOld: kind === 'stall-old' });
          await this.#pause(forMs);
          // What waited passes now: also writes that have long been answered with 503.
          wire.release();
      }
    });
  }

  async disturbProcess(member: Member, random: Random): Promise<void> {
    await this.#run(planProcess(random), member.name, async ({ kind, downMs }) => {
      if (member.process.hasExited) this.#report('crashed', member);
      const code = await member.end(kind);
      if (kind === 'SIGTERM' && code !== 0) this.#report(`ended with ${code} at SIGTERM`, member);
      await delay(downMs);
      await member.begin();
      if (!(await member.isReady())) this.#report('not ready', member);
    });
  }

  async #run<Fault extends { kind: string; afterMs: number }>(
    plan: Generator<Fault, never>,
    server: string | null,
    apply: (fault: Fault) => Promise<void>,
  ): Promise<void> {
    for (;;) {
      const fault = plan.next().value;
      await this.#pause(fault.afterMs);
      const calmMs = CALM_MS - ((Date.now() - this.#startedAt) % CYCLE_MS);
      // Not all at once when it is over.
      if (calmMs > 0) await this.#pause(calmMs + fault.afterMs / 2);
      if (this.#signal.aborted) return;
      const from = Date.now();
      await apply(fault);
      this.disturbances.push({ server, what: fault.kind, from, to: Date.now() });
    }
  }

  #report(what: string, member: Member): void {
    const detail = `${member.name}/${member.life} ${what}: ${member.process.log.slice(-LOG_CHARACTERS)}`;
    this.violations.push({ kind: 'process', detail });
  }

  /** Ends early at the end of the run. */
  async #pause(ms: number): Promise<void> {
    if (ms > 0) await delay(ms, undefined, { signal: this.#signal }).catch(() => {});
  }
}

const LOG_CHARACTERS = 2000;
