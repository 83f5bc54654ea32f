// A server that may be evicted and started again at any moment, in memory, with its log and its clients' sockets outside of it.
import { ControlPlane } from '../../src/control-plane.ts';
import type { FeedRequest } from '../../src/feed-session.ts';
import type { SessionMemory } from '../../src/ports.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryEventLog } from './memory-event-log.ts';
import { silentLogger } from './system.ts';
import { TestSocket } from './test-socket.ts';

const ALL = 'cellos.events.>';

export class EvictableServer {
  readonly clock = new ManualClock();
  readonly ringBytes: number;
  log = new MemoryEventLog();
  controlPlane: ControlPlane;
  /** The clients' ends, which nothing happens to. */
  readonly sockets = new Set<TestSocket>();
  isAway = false;

  constructor(ringBytes = 1_000_000) {
    this.ringBytes = ringBytes;
    this.controlPlane = this.#create();
  }

  get feed(): ControlPlane['feed'] {
    return this.controlPlane.feed;
  }

  async start(history = 0): Promise<this> {
    for (let n = 1; n <= history; n++) this.log.append({ n });
    this.controlPlane.start();
    await this.clock.settle();
    return this;
  }

  async append(count: number, subject?: string): Promise<void> {
    for (let n = 0; n < count; n++) this.log.append({ n }, subject);
    await this.clock.settle();
  }

  open(request: Partial<FeedRequest> = {}, socket = new TestSocket()): TestSocket {
    this.sockets.add(socket);
    socket.connection = this.feed.open(socket, { since: null, filter: ALL, epoch: null, ...request });
    return socket;
  }

  /** A socket of a life before this one. */
  resume(memory: SessionMemory, socket = new TestSocket()): TestSocket {
    this.sockets.add(socket);
    socket.connection = this.feed.resume(socket, structuredClone(memory));
    return socket;
  }

  /** Forgets everything but the sockets; another server takes them over, before it follows the log or at its tail. */
  async evict({ late = false } = {}): Promise<void> {
    this.feed.detach();
    void this.log.close();
    this.log = this.log.another();
    if (this.isAway) this.log.disconnect();
    this.controlPlane = this.#create();
    if (late) {
      this.controlPlane.start();
      await this.clock.settle();
    }
    for (const socket of this.sockets) {
      if (socket.closed === null) this.resume(socket.memory as SessionMemory, socket);
    }
    if (!late) this.controlPlane.start();
  }

  setAway(isAway: boolean): void {
    if (this.isAway === isAway) return;
    this.isAway = isAway;
    if (isAway) this.log.disconnect();
    else this.log.connect();
  }

  #create(): ControlPlane {
    const { log, clock, ringBytes } = this;
    return new ControlPlane({ log, clock, logger: silentLogger, ringBytes });
  }
}
