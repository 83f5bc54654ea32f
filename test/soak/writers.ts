// Concurrent writers: each chooses by its seed what to ask of which server, and everything they ask and are told is recorded.
import { setTimeout as delay } from 'node:timers/promises';
import { flatDocument } from '../support/events.ts';
import type { HttpClient, Reply } from '../support/http-client.ts';
import { createdId } from './claims.ts';
import type { Operation, Outcome, ReadRequest, Write, WriteRequest } from './history.ts';
import { isSuccess, statusOf } from './history.ts';
import type { Incarnation, Member } from './member.ts';
import type { Random } from './random.ts';

const POOL = ['pool-0', 'pool-1', 'pool-2', 'pool-3'] as const;
const PHASES = ['LAUNCHING', 'RUNNING', 'DEGRADED', 'COMPLETED', 'FAILED'] as const;
const HEADERS = ['cellos-cursor', 'etag', 'idempotent-replayed', 'retry-after'] as const;
/** What is chosen from when something known is asked for; old ones are revived long after they ended. */
const REMEMBERED = 60;
const MOST_RETRIES = 4;
const MOST_PAUSE_MS = 40;
/** The share of writes whose answer is not waited for. */
const HASTY = 0.06;

interface AskOptions {
  readonly key?: string | null;
  /** How long to wait for the answer before the connection is closed. */
  readonly patienceMs?: number;
}

/** What the writers of a run have in common. */
export class World {
  readonly members: readonly [Member, ...Member[]];
  readonly operations: Operation[] = [];
  /** Admitted formations, the newest last. */
  readonly ids: string[] = [];
  /** Writes under a key that may be sent again. */
  readonly keyed: { request: WriteRequest; key: string }[] = [];
  /** Whether the servers know Idempotency-Key. */
  hasKeys: boolean;
  #marks = 0;
  #numbers = 0;

  constructor(members: readonly [Member, ...Member[]], hasKeys: boolean) {
    this.members = members;
    this.hasKeys = hasKeys;
  }

  /** A text that no other request has. */
  mark(): string {
    this.#marks += 1;
    return `mark-${this.#marks}`;
  }

  /** Sends a request and records what became of it. */
  async ask<Request extends WriteRequest | ReadRequest>(
    writer: number,
    { server, life, http }: Incarnation,
    request: Request,
    { key = null, patienceMs }: AskOptions = {},
  ): Promise<Operation<Request>> {
    this.#numbers += 1;
    const number = this.#numbers;
    const startedAt = Date.now();
    const patience = patienceMs === undefined ? undefined : AbortSignal.timeout(patienceMs);
    const outcome = await outcomeOf(send(http, request, key, patience), patience);
    const endedAt = Date.now();
    const operation = { number, writer, server, life, request, key, startedAt, endedAt, outcome };
    this.operations.push(operation);
    const id =
      request.kind === 'create' && outcome.kind === 'answered' && outcome.status === 201
        ? createdId(outcome.text)
        : null;
    if (id !== null) remember(this.ids, id);
    return operation;
  }

  /** Sends one write twice under one key: a server that knows keys says that the second answer is the first one's. */
  async probeKeys(): Promise<boolean> {
    const request = createOf('probe', this.mark());
    const [{ incarnation }] = this.members;
    await this.ask(0, incarnation, request, { key: 'probe' });
    const { outcome } = await this.ask(0, incarnation, request, { key: 'probe' });
    this.hasKeys = outcome.kind === 'answered' && outcome.headers['idempotent-replayed'] === 'true';
    // Without keys these are two requests.
    if (!this.hasKeys) this.operations.splice(0, 2, ...this.operations.map((one) => ({ ...one, key: null })));
    return this.hasKeys;
  }
}

function remember<T>(list: T[], one: T): void {
  list.push(one);
  if (list.length > REMEMBERED) list.shift();
}

function createOf(name: string, mark: string): WriteRequest & { kind: 'create' } {
  return { kind: 'create', name, mark, document: flatDocument(name, { mark }) };
}

function send(
  http: HttpClient,
  request: WriteRequest | ReadRequest,
  key: string | null,
  signal: AbortSignal | undefined,
): Promise<Reply> {
  const seen = request.kind === 'status' || request.kind === 'delete' ? request.seen : undefined;
  const headers = {
    ...(key === null ? {} : { 'idempotency-key': key }),
    ...(seen === undefined ? {} : { 'if-match': seen.tag }),
  };
  const options = signal === undefined ? { headers } : { headers, signal };
  switch (request.kind) {
    case 'create':
      return http.post('/v1/formations', request.document, options);
    case 'status': {
      const { id, phase, reason } = request;
      return http.post(`/v1/formations/${id}/status`, { state: phase, reason }, options);
    }
    case 'delete':
      return http.send('DELETE', `/v1/formations/${request.id}`, options);
    case 'delete-by-name':
      return http.send('DELETE', `/v1/formations/by-name/${request.name}`, options);
    case 'read':
      return http.get(`/v1/formations/${request.id}`);
  }
}

async function outcomeOf(reply: Promise<Reply>, patience: AbortSignal | undefined): Promise<Outcome> {
  try {
    const { status, text, headers } = await reply;
    const kept = HEADERS.flatMap((name) => {
      const value = headers[name];
      return value === undefined ? [] : [[name, String(value)] as const];
    });
    return { kind: 'answered', status, text, headers: Object.fromEntries(kept) };
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ECONNREFUSED') return { kind: 'refused' };
    if (patience?.aborted) return { kind: 'abandoned' };
    return { kind: 'lost', error: error instanceof Error ? error.message : String(error) };
  }
}

/** One writer: a request at a time, but for pairs that race under one key. */
export class SeededWriter {
  readonly #world: World;
  readonly #number: number;
  readonly #random: Random;

  constructor(world: World, number: number, random: Random) {
    this.#world = world;
    this.#number = number;
    this.#random = random;
  }

  /** Goes on until the signal; the request that is under way is awaited. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#turn(signal);
      await delay(this.#random.between(0, MOST_PAUSE_MS));
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const random = this.#random;
    const world = this.#world;
    const [old, ...others] = world.keyed;
    if (old !== undefined && random.isChosen(0.1)) {
      // Long answered, perhaps by a server that has been restarted since.
      const { request, key } = random.pick([old, ...others]);
      // The same key for something else.
      const isOther = random.isChosen(0.2);
      await this.#ask(this.#anyone(), isOther ? this.#otherFor(request) : request, key);
      return;
    }
    const request = await this.#conditioned(this.#request());
    if (request.kind === 'status' && request.seen !== undefined && random.isChosen(0.5)) {
      // Both saw the same record, and only one of them may change it.
      const rivals = world.members.map(({ incarnation }) => ({ incarnation, reason: world.mark() }));
      await Promise.all(
        rivals.map(({ incarnation, reason }) => this.#ask(incarnation, { ...request, reason }, null)),
      );
      return;
    }
    const key = world.hasKeys && random.isChosen(0.5) ? `key-${world.mark()}` : null;
    if (key !== null) remember(world.keyed, { request, key });
    if (key !== null && random.isChosen(0.1)) {
      await Promise.all(world.members.map(({ incarnation }) => this.#ask(incarnation, request, key)));
      return;
    }
    await this.#persist(request, key, signal);
  }

  /** Sends it again while nobody can tell what became of it, to any server; and, under a key, at times although it is clear. */
  async #persist(request: WriteRequest, key: string | null, signal: AbortSignal): Promise<void> {
    const random = this.#random;
    for (let attempt = 0; attempt <= MOST_RETRIES && !signal.aborted; attempt += 1) {
      const write = await this.#ask(this.#anyone(), request, key);
      const status = statusOf(write);
      const isUnclear = status === 0 || status >= 500;
      if (!random.isChosen(isUnclear ? 0.7 : key === null ? 0.02 : 0.15)) return;
      // Less than a Retry-After asks for: the moment of the return is what is interesting.
      await delay(random.between(5, 300));
    }
  }

  async #ask(incarnation: Incarnation, request: WriteRequest, key: string | null): Promise<Write> {
    // A client that goes away in the middle: it cannot know what became of its request.
    const haste = this.#random.isChosen(HASTY) ? { patienceMs: this.#random.between(1, 12) } : {};
    const write = await this.#world.ask(this.#number, incarnation, request, { key, ...haste });
    const { outcome } = write;
    if (!isSuccess(write) || outcome.kind !== 'answered' || this.#random.isChosen(0.4)) return write;
    const id =
      request.kind === 'create'
        ? createdId(outcome.text)
        : request.kind === 'delete-by-name'
          ? null
          : request.id;
    if (id !== null) {
      await this.#world.ask(this.#number, incarnation, { kind: 'read', id, after: write.number });
    }
    return write;
  }

  #anyone(): Incarnation {
    return this.#random.pick(this.#world.members).incarnation;
  }

  /** At times a change of a record is made conditional on what the writer finds there. */
  async #conditioned(request: WriteRequest): Promise<WriteRequest> {
    if (!this.#world.hasKeys || (request.kind !== 'status' && request.kind !== 'delete')) return request;
    if (!this.#random.isChosen(0.3)) return request;
    const read = { kind: 'read', id: request.id, after: 0 } as const;
    const { outcome } = await this.#world.ask(this.#number, this.#anyone(), read);
    const tag = outcome.kind === 'answered' ? outcome.headers['etag'] : undefined;
    if (outcome.kind !== 'answered' || outcome.status !== 200 || tag === undefined) return request;
    const record = JSON.parse(outcome.text) as { phase: string; reason?: string; updated_at: string };
    const { phase, reason = null, updated_at: time } = record;
    // As long as a person takes to decide: others may be faster.
    if (this.#random.isChosen(0.5)) await delay(this.#random.between(1, 100));
    return { ...request, seen: { tag, phase, reason, time } };
  }

  /** Something else under the same method and path, where that is possible. */
  #otherFor(request: WriteRequest): WriteRequest {
    const mark = this.#world.mark();
    if (request.kind === 'create') return createOf(this.#random.pick(POOL), mark);
    return request.kind === 'status' ? { ...request, reason: mark } : request;
  }

  #request(): WriteRequest {
    const random = this.#random;
    const [known, ...others] = this.#world.ids;
    const mark = this.#world.mark();
    const kind = random.weighted({
      'create-pooled': 30,
      'create-unique': 12,
      status: 22,
      delete: 14,
      'delete-by-name': 12,
      'delete-unknown': 1,
    });
    if (kind === 'create-unique') return createOf(`unique-${mark}`, mark);
    if (kind === 'delete-by-name') return { kind, name: random.pick(POOL) };
    if (kind === 'delete-unknown') return { kind: 'delete', id: crypto.randomUUID() };
    if (kind === 'create-pooled' || known === undefined) return createOf(random.pick(POOL), mark);
    const id = random.pick([known, ...others]);
    return kind === 'delete' ? { kind, id } : { kind, id, phase: random.pick(PHASES), reason: mark };
  }
}
