// A proxy between a server and its broker that reads what the broker says, over TCP or websocket, and keeps chosen parts of it
// back: acknowledgements that are lost, a broker that takes everything and answers nothing.
import { createConnection, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { once } from 'node:events';
import { WebSocket, WebSocketServer } from 'ws';
import type { Broker } from './nats-server.ts';
import { until } from './wait.ts';

/** What a broker says in one go: a line, with the payload when it is a message. */
export interface Operation {
  readonly bytes: Buffer;
  /** Null when it is no message. */
  readonly payload: Buffer | null;
}

export type Scheme = 'nats' | 'ws';

/** What becomes of a new connection: it is passed on, closed as HTTP servers do it, or reset, both after the upgrade. */
export type Reception = 'pass' | 'close' | 'reset';

/** Every answer to a publish, success and refusal. */
export function isPublishAnswer({ payload }: Operation): boolean {
  if (payload === null) return false;
  try {
    const answer = JSON.parse(payload.toString()) as Record<string, unknown> | null;
    return typeof answer?.['seq'] === 'number' && typeof answer['stream'] === 'string' && !('type' in answer);
  } catch {
    return false;
  }
}

/** Every message, so that the connection is alive and nothing comes of it: how JetStream without a quorum looks. */
export function isMessage({ payload }: Operation): boolean {
  return payload !== null;
}

/** Pings and greetings, too: nothing comes back any more. */
export function isAnything(): boolean {
  return true;
}

/** What the server sends is always passed on. */
export class NatsProxy {
  readonly scheme: Scheme;
  readonly #server: Server | WebSocketServer;
  readonly #cuts = new Set<() => void>();
  #keepsBack: (operation: Operation) => boolean = () => false;
  #reception: Reception = 'pass';
  /** How many operations were kept back. */
  swallowed = 0;
  /** How many connections were not passed on. */
  turnedAway = 0;

  private constructor(scheme: Scheme, target: Broker) {
    this.scheme = scheme;
    if (scheme === 'nats') {
      this.#server = createServer((near) => this.#joinTcp(near, target.port));
      this.#server.listen(0, '127.0.0.1');
    } else {
      this.#server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
      this.#server.on('connection', (near: WebSocket) => this.#joinWebSocket(near, target.websocketUrl));
    }
  }

  static async to(broker: Broker, scheme: Scheme): Promise<NatsProxy> {
    const proxy = new NatsProxy(scheme, broker);
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get url(): string {
    return `${this.scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From now on what is chosen does not reach the server, and never will. */
  swallow(chosen: (operation: Operation) => boolean): void {
    this.swallowed = 0;
    this.#keepsBack = chosen;
  }

  /** Everything passes again. */
  pass(): void {
    this.#keepsBack = () => false;
    this.#reception = 'pass';
  }

  receive(reception: Reception): void {
    this.turnedAway = 0;
    this.#reception = reception;
  }

  /** Resets every connection; new ones are received. */
  cut(): void {
    for (const cut of this.#cuts) cut();
  }

  async whenSwallowed(): Promise<void> {
    await until(() => this.swallowed > 0, { what: 'the broker to say what is kept back' });
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #joinTcp(near: Socket, port: number): void {
    near.on('error', () => {});
    if (this.#reception !== 'pass') {
      this.turnedAway += 1;
      if (this.#reception === 'close') near.destroy();
      else near.resetAndDestroy();
      return;
    }
    const far = createConnection({ host: '127.0.0.1', port });
    far.on('error', () => {});
    const reader = new OperationReader();
    near.on('data', (chunk: Buffer) => far.write(chunk));
    far.on('data', (chunk: Buffer) => {
      for (const bytes of this.#passing(reader.read(chunk))) near.write(bytes);
    });
    const cut = () => {
      this.#cuts.delete(cut);
      near.resetAndDestroy();
      far.destroy();
    };
    this.#cuts.add(cut);
    near.on('close', cut);
    far.on('close', cut);
  }

  #joinWebSocket(near: WebSocket, url: string): void {
    near.on('error', () => {});
    if (this.#reception !== 'pass') {
      this.turnedAway += 1;
      if (this.#reception === 'close') near.close(1001);
      else near.terminate();
      return;
    }
    const far = new WebSocket(url, { perMessageDeflate: false });
    far.on('error', () => {});
    const reader = new OperationReader();
    // A client speaks when it was greeted, so the other side is open by then.
    near.on('message', (data: Buffer) => far.send(data));
    far.on('message', (data: Buffer) => {
      for (const bytes of this.#passing(reader.read(data))) near.send(bytes);
    });
    const cut = () => {
      this.#cuts.delete(cut);
      near.terminate();
      far.terminate();
    };
    this.#cuts.add(cut);
    near.on('close', cut);
    far.on('close', cut);
  }

  *#passing(operations: Iterable<Operation>): Iterable<Buffer> {
    for (const operation of operations) {
      if (this.#keepsBack(operation)) this.swallowed += 1;
      else yield operation.bytes;
    }
  }
}

const LINE_END = '\r\n';

/** Cuts a broker's side of a connection into whole operations (the protocol: docs.nats.io/reference/nats-protocol). */
class OperationReader {
  #rest: Buffer = Buffer.alloc(0);

  *read(chunk: Buffer): Iterable<Operation> {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const lineEnd = this.#rest.indexOf(LINE_END);
      if (lineEnd < 0) return;
      const [verb = '', ...rest] = this.#rest.toString('latin1', 0, lineEnd).split(' ');
      const isWithHeaders = verb.toUpperCase() === 'HMSG';
      const start = lineEnd + LINE_END.length;
      let end = start;
      let payload: Buffer | null = null;
      if (isWithHeaders || verb.toUpperCase() === 'MSG') {
        const size = Number(rest.at(-1));
        end = start + size + LINE_END.length;
        if (this.#rest.length < end) return;
        payload = this.#rest.subarray(start + (isWithHeaders ? Number(rest.at(-2)) : 0), start + size);
      }
      const bytes = this.#rest.subarray(0, end);
      this.#rest = this.#rest.subarray(end);
      yield { bytes, payload };
    }
  }
}
