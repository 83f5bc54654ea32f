// Writes of all three kinds while the broker is in trouble, what a reader sees meanwhile, and what the log must say afterwards.
import { expect, onTestFinished } from 'vitest';
import { flatDocument, unique } from './events.ts';
import { expectCors, expectProblem } from './http-client.ts';
import type { HttpClient, ProblemCode, Reply } from './http-client.ts';
import type { Broker } from './nats-server.ts';
import { Rig, ServerProcess } from './server-process.ts';
import type { Target } from './server-process.ts';
import { quiet, timed } from './wait.ts';

const WRITE_MS = 5000;
const READ_EVERY_MS = 20;

/** A request that writes one event, and its answer. */
export interface Write {
  readonly what: 'POST' | 'DELETE' | 'status';
  readonly reply: Reply;
  readonly ms: number;
  /** Which events of the log are this one. */
  readonly isMine: (message: LogMessage) => boolean;
}

interface LogMessage {
  readonly subject: string;
  readonly text: string;
}

/** Formations that a server has admitted, for the requests that need one. */
export interface Admitted {
  readonly doomed: string;
  readonly reported: string;
}

export async function admit(http: HttpClient, name = unique()): Promise<string> {
  const reply = await http.post('/v1/formations', flatDocument(name));
  expect(reply.status, reply.text).toBe(201);
  return (JSON.parse(reply.text) as { id: string }).id;
}

/** Two formations for the next round of `writeAll`. */
export async function admitTwo(http: HttpClient): Promise<Admitted> {
  return { doomed: await admit(http), reported: await admit(http) };
}

/** POST, DELETE and a status at the same time. */
export async function writeAll(http: HttpClient, { doomed, reported }: Admitted): Promise<Write[]> {
  const [name, reason] = [unique('new'), unique('because')];
  const requests: [Write['what'], Promise<Reply>, Write['isMine']][] = [
    ['POST', http.post('/v1/formations', flatDocument(name)), ({ text }) => text.includes(name)],
    [
      'DELETE',
      http.send('DELETE', `/v1/formations/${doomed}`),
      ({ subject, text }) => subject.includes(doomed) && text.includes('deleted by operator'),
    ],
    [
      'status',
      http.post(`/v1/formations/${reported}/status`, { state: 'RUNNING', reason }),
      ({ text }) => text.includes(reason),
    ],
  ];
  return await Promise.all(
    requests.map(async ([what, request, isMine]) => {
      const { value, ms } = await timed(request);
      return { what, reply: value, ms, isMine };
    }),
  );
}

export function isDone({ reply }: Write): boolean {
  return reply.status === 201 || reply.status === 204;
}

/** Every write was refused with this problem, in time. */
export function expectRefused(writes: readonly Write[], code: ProblemCode): void {
  for (const write of writes) expectRefusal(write, code);
}

/** Done or 503, in time, and nothing else: a name that is our own is no conflict. */
export function expectDoneOrUnavailable(writes: readonly Write[]): void {
  for (const write of writes) {
    if (isDone(write)) expect(write.ms, write.what).toBeLessThan(WRITE_MS);
    else expectRefusal(write, 'service-unavailable');
  }
}

function expectRefusal({ what, reply, ms }: Write, code: ProblemCode): void {
  expect([what, reply.status, reply.text]).toEqual([
    what,
    code === 'event-store-full' ? 507 : 503,
    reply.text,
  ]);
  expectProblem(reply, code);
  expectCors(reply);
  expect(reply.headers['retry-after']).toMatch(/^[1-9]\d*$/);
  expect(ms, what).toBeLessThan(WRITE_MS);
}

/** What was done is in the log once, what was refused at most once. Says how many of them the log has. */
export function expectInLog(writes: readonly Write[], messages: readonly LogMessage[]): number {
  let found = 0;
  for (const write of writes) {
    const events = messages.filter((message) => write.isMine(message)).length;
    if (isDone(write)) expect([write.what, events]).toEqual([write.what, 1]);
    else expect(events, write.what).toBeLessThanOrEqual(1);
    found += events;
  }
  return found;
}

/** Reads a server's formations over and over, as a dashboard does, and remembers what it was shown. */
export class Reader {
  readonly #stopping = new AbortController();
  readonly #shown = new Map<string, string>();
  readonly #done: Promise<void>;
  /** Answers other than 200. */
  readonly refusals: Reply[] = [];

  constructor(http: HttpClient) {
    this.#done = this.#read(http);
    onTestFinished(() => this.stop());
  }

  /** Stops reading; every state that a formation was shown in has an event in the log. */
  async expectHonest(messages: readonly LogMessage[]): Promise<void> {
    await this.stop();
    const published = new Set(
      messages.map(({ subject }) => subject.split('.').slice(-2).join(' ').toUpperCase()),
    );
    const invented = [...this.#shown.keys()].filter((state) => !published.has(state));
    expect(invented.map((state) => this.#shown.get(state))).toEqual([]);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  async #read(http: HttpClient): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const reply = await http.get('/v1/formations');
      if (reply.status !== 200) this.refusals.push(reply);
      else {
        const { formations } = JSON.parse(reply.text) as { formations: { id: string; phase: string }[] };
        for (const formation of formations)
          this.#shown.set(
            `${formation.id} ${nameOf(formation.phase)}`.toUpperCase(),
            JSON.stringify(formation),
          );
      }
      await quiet(READ_EVERY_MS);
    }
  }
}

/** Of a phase, as subjects have it. */
function nameOf(phase: string): string {
  return phase === 'PENDING' ? 'created' : phase;
}

/** Every server's lists are those of one that has just read the log, byte for byte. */
export async function expectFaithful(
  broker: Broker,
  servers: readonly ServerProcess[],
  target: Target,
): Promise<void> {
  const fresh = await ServerProcess.start(target, { CELLOS_NATS_URL: broker.websocketUrl });
  const last = await broker.lastSequence();
  await Promise.all([...servers, fresh].map((server) => new Rig(broker, server).whenApplied(last)));
  for (const path of ['/v1/formations', '/v1/cells']) {
    const expected = await fresh.http.get(path);
    expect(expected.status).toBe(200);
    for (const server of servers) expectSameList((await server.http.get(path)).text, expected.text);
  }
  await fresh.stop();
}

/** Names what is missing or too much, since a difference between two long texts says nothing. */
function expectSameList(text: string, expected: string): void {
  const [has, wants] = [text, expected].map(idsOf) as [Set<string>, Set<string>];
  const missing = [...wants].filter((id) => !has.has(id));
  const tooMuch = [...has].filter((id) => !wants.has(id));
  expect({ missing, tooMuch }).toEqual({ missing: [], tooMuch: [] });
  expect(text === expected, 'byte for byte').toBe(true);
}

function idsOf(text: string): Set<string> {
  const list = JSON.parse(text) as { id: string }[] | { formations: { id: string }[] };
  return new Set((Array.isArray(list) ? list : list.formations).map(({ id }) => id));
}
