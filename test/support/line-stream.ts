// A client of events as lines (NDJSON), as they come over the wire.
import { request } from 'node:http';
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { HttpClient } from './http-client.ts';
import { until } from './wait.ts';

export class LineStreamClient {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Those that are not empty. */
  readonly lines: string[] = [];
  /** Whether the body is over, and how. */
  end: 'open' | 'complete' | 'broken' = 'open';
  readonly #request: ClientRequest;
  readonly #reply: IncomingMessage;
  #buffered = '';

  private constructor(sent: ClientRequest, reply: IncomingMessage) {
    this.#request = sent;
    this.#reply = reply;
    this.status = reply.statusCode ?? 0;
    this.headers = reply.headers;
    reply.setEncoding('utf8');
    reply.on('data', (text: string) => {
      const lines = (this.#buffered + text).split('\n');
      this.#buffered = lines.pop() as string;
      this.lines.push(...lines.filter((line) => line !== ''));
    });
    reply.on('end', () => (this.end = 'complete'));
    reply.on('error', () => (this.end = 'broken'));
  }

  static open({ host, port, token }: HttpClient, path: string): Promise<LineStreamClient> {
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}` };
      const sent = request({ host, port, path, agent: false, headers }, (reply) =>
        resolve(new LineStreamClient(sent, reply)),
      );
      sent.on('error', reject);
      sent.end();
    });
  }

  whenLines(count: number): Promise<unknown> {
    return until(() => this.lines.length >= count, {
      what: `${count} lines, with ${this.lines.length}`,
      timeoutMs: 10_000,
    });
  }

  whenEnded(): Promise<unknown> {
    return until(() => this.end !== 'open', { what: 'the end of the stream', timeoutMs: 10_000 });
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
}
