// A client of the feed as server-sent events: lines as they come over the wire, taken apart by the rules of WHATWG HTML 9.2.6.
import { request } from 'node:http';
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { expect } from 'vitest';
import type { HttpClient } from './http-client.ts';
import { until } from './wait.ts';

export interface ServerSentEvent {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

export class EventStreamClient {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly events: ServerSentEvent[] = [];
  /** Comment lines. */
  comments = 0;
  /** As a browser would send it back. */
  lastEventId = '';
  hasEnded = false;
  readonly #request: ClientRequest;
  readonly #reply: IncomingMessage;
  #buffered = '';
  #id = '';
  #event = '';
  #data: string[] = [];

  private constructor(sent: ClientRequest, reply: IncomingMessage) {
    this.#request = sent;
    this.#reply = reply;
    this.status = reply.statusCode ?? 0;
    this.headers = reply.headers;
    reply.setEncoding('utf8');
    reply.on('data', (text: string) => this.#take(text));
    const end = () => (this.hasEnded = true);
    reply.on('end', end);
    reply.on('error', end);
    reply.on('close', end);
  }

  static open(
    { host, port, token }: HttpClient,
    query = '',
    headers: Record<string, string> = {},
  ): Promise<EventStreamClient> {
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host,
          port,
          path: `/v1/events${query}`,
          agent: false,
          headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream', ...headers },
        },
        (reply) => resolve(new EventStreamClient(sent, reply)),
      );
      sent.on('error', reject);
      sent.end();
    });
  }

  /** Sequences of the events that have no name. */
  get sequences(): number[] {
    return this.events.filter(({ event }) => event === 'message').map(({ id }) => Number(id));
  }

  async whenSequence(seq: number): Promise<void> {
    await until(() => this.sequences.at(-1) === seq, {
      what: `event ${seq}, behind ${this.sequences.at(-1)}`,
      timeoutMs: 10_000,
    });
  }

  /** Every event is the frame that a WebSocket would have got, under its own sequence. */
  expectFrames(): void {
    for (const { id, event, data } of this.events) {
      if (event === 'message') expect((JSON.parse(data) as { seq: number }).seq).toBe(Number(id));
    }
  }

  pause(): void {
    this.#reply.pause();
  }

  resume(): void {
    this.#reply.resume();
  }

  close(): void {
    this.#request.destroy();
  }

  #take(text: string): void {
    this.#buffered += text;
    for (let end = this.#buffered.indexOf('\n'); end >= 0; end = this.#buffered.indexOf('\n')) {
      this.#line(this.#buffered.slice(0, end));
      this.#buffered = this.#buffered.slice(end + 1);
    }
  }

  #line(line: string): void {
    if (line === '') {
      this.lastEventId = this.#id;
      if (this.#data.length > 0) {
        this.events.push({ id: this.#id, event: this.#event || 'message', data: this.#data.join('\n') });
      }
      this.#event = '';
      this.#data = [];
      return;
    }
    if (line.startsWith(':')) {
      this.comments++;
      return;
    }
    const [field = '', ...rest] = line.split(':');
    const value = rest.join(':').replace(/^ /, '');
    if (field === 'id') this.#id = value;
    else if (field === 'event') this.#event = value;
    else if (field === 'data') this.#data.push(value);
    else expect([field, value]).toEqual(['retry', expect.stringMatching(/^\d+$/)]);
  }
}
