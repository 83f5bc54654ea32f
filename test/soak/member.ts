// One of the servers of a run: a name that outlives its processes, and the wire between it and the broker.
import { Wire } from '../support/nats-server.ts';
import { ServerProcess } from '../support/server-process.ts';
import type { Environment, Target } from '../support/server-process.ts';
import type { HttpClient } from '../support/http-client.ts';

/** What a start may take while the broker is away and other processes start, too. */
const READY_MS = 20_000;

/** A process of a server, and which one it is. */
export interface Incarnation {
  readonly server: string;
  readonly life: number;
  readonly http: HttpClient;
}

export class Member {
  readonly name: string;
  readonly wire: Wire;
  readonly #target: Target;
  readonly #environment: Environment;
  #process: ServerProcess | null = null;
  #life = 0;

  private constructor(target: Target, wire: Wire, environment: Environment) {
    this.name = target.name;
    this.wire = wire;
    this.#target = target;
    this.#environment = environment;
  }

  /** `brokerUrl` is where the broker listens; the server is told of the wire to it. */
  static async start(target: Target, brokerUrl: string, environment: Environment = {}): Promise<Member> {
    const { protocol, port } = new URL(brokerUrl);
    const wire = await Wire.to(Number(port));
    const member = new Member(target, wire, {
      CELLOS_NATS_URL: `${protocol}//127.0.0.1:${wire.port}`,
      ...environment,
    });
    await member.begin();
    if (!(await member.isReady())) throw new Error(`${target.name} did not start: ${member.process.log}`);
    return member;
  }

  get process(): ServerProcess {
    if (this.#process === null) throw new Error('not begun');
    return this.#process;
  }

  get life(): number {
    return this.#life;
  }

  /** The process there is now; requests to it fail once it has ended. */
  get incarnation(): Incarnation {
    return { server: this.name, life: this.#life, http: this.process.http };
  }

  /** Starts a process, on a port of its own; writers ask it before it is ready. */
  async begin(): Promise<void> {
    this.#process = await ServerProcess.spawn(this.#target, this.#environment);
    this.#life += 1;
  }

  /** The exit code, null after a signal. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    await this.process.stop(signal);
    return this.process.child.exitCode;
  }

  async isReady(): Promise<boolean> {
    return this.process.whenReady(READY_MS).then(
      () => true,
      () => false,
    );
  }

  async stop(): Promise<void> {
    await this.process.stop();
    await this.wire.stop();
  }
}
