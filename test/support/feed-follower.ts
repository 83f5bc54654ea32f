// A client of the feed as real ones are: it reads at its own pace, leaves, and comes back with the last sequence it was told. It
// judges what can be judged at once, and keeps the rest to be held against the stream.
import { setTimeout as delay } from 'node:timers/promises';
import { EventStreamClient } from './event-stream.ts';
import { FeedClient } from './feed-client.ts';
import type { HttpClient } from './http-client.ts';
import type { Random } from '../soak/random.ts';

const RETRY_MS = 50;
const POLL_MS = 25;
const KINDS = ['event', 'synced', 'bookmark', 'snapshot'] as const;
type Kind = (typeof KINDS)[number];

/** What one client asks for, and how it behaves. */
export interface Habits {
  readonly via: 'websocket' | 'event stream';
  /** Null asks for what is live only. */
  readonly since: number | null;
  /** Instead of `since`: the view first. */
  readonly snapshot: boolean;
  readonly filter: string;
  readonly control: boolean;
  /** Now and then it reads nothing for a while. */
  readonly isSlow: boolean;
  /** Now and then it goes away and comes back. */
  readonly isRestless: boolean;
}

/** The first text of each sequence that anybody was sent: the others' are compared as they come, and not kept. */
export class Heard {
  readonly texts = new Map<number, string>();

  isSame(seq: number, text: string): boolean {
    const first = this.texts.get(seq);
    if (first === undefined) this.texts.set(seq, text);
    return first === undefined || first === text;
  }
}

interface Connection {
  readonly hasEnded: boolean;
  pause(): void;
  resume(): void;
  end(): void;
}

/** All sessions of one client, one after the other. */
export class Follower {
  readonly habits: Habits;
  /** Of the events it was sent, over all sessions. */
  readonly sequences: number[] = [];
  /** What no client may see. */
  readonly faults: string[] = [];
  /** Everything behind it is due; null: everything behind `joinedBefore`, and what it was sent before. */
  base: number | null;
  joinedBefore = 0;
  /** Cells of the snapshot, id and state. */
  cells: Map<string, string> | null = null;
  sessions = 0;
  /** Of the session that is open. */
  isSynced = false;
  readonly #http: HttpClient;
  readonly #heard: Heard;
  readonly #random: Random;
  readonly #highest: () => number;
  #cursor: number | null;
  #pages: { readonly seq: number; readonly cells: Map<string, string> } | null = null;
  #isCalm = false;
  #hasStopped = false;

  /** `highest`: no event has a higher sequence at that moment. */
  constructor(http: HttpClient, heard: Heard, random: Random, highest: () => number, habits: Habits) {
    this.#http = http;
    this.#heard = heard;
    this.#random = random;
    this.#highest = highest;
    this.habits = habits;
    this.base = habits.since;
    this.#cursor = habits.since;
  }

  /** The last sequence that it knows of. */
  get cursor(): number {
    return this.#cursor ?? 0;
  }

  /** From now on it reads what comes and stays. */
  calm(): void {
    this.#isCalm = true;
  }

  stop(): void {
    this.#hasStopped = true;
  }

  /** Joins within that time, and goes on until it is stopped. */
  async run(withinMs: number): Promise<void> {
    await delay(this.#random.between(0, withinMs));
    while (!this.#hasStopped) {
      let connection: Connection | null;
      try {
        connection = await (this.habits.via === 'websocket' ? this.#openSocket() : this.#openStream());
      } catch {
        // Refused or not upgraded: the broker is away.
        connection = null;
      }
      if (connection === null) {
        await delay(RETRY_MS);
        continue;
      }
      await this.#stay(connection);
    }
  }

  async #stay(connection: Connection): Promise<void> {
    const leavesAt = performance.now() + this.#random.between(200, 2500);
    while (!this.#hasStopped && !connection.hasEnded) {
      if (!this.#isCalm && this.habits.isRestless && performance.now() > leavesAt) break;
      if (!this.#isCalm && this.habits.isSlow && this.#random.isChosen(0.1)) {
        connection.pause();
        await delay(this.#random.between(50, 1000));
        connection.resume();
      }
      await delay(POLL_MS);
    }
    connection.end();
    if (!this.#isCalm) await delay(this.#random.between(0, 500));
  }

  async #openSocket(): Promise<Connection> {
    let isOver = false;
    const isNew = this.#begin();
    const client = await FeedClient.open(this.#http.port, this.#http.token, {
      query: this.#query(),
      // What a client has left is not told to it any more.
      onText: (text) => isOver || this.#hear(kindOf(text), text),
    });
    if (isNew) this.joinedBefore = this.#highest();
    const over = () => {
      const ended = client.closing !== null;
      if (ended && !isOver) this.#closed(client.closing?.code ?? 0, client.closing?.reason ?? '');
      isOver ||= ended;
      return ended;
    };
    return {
      get hasEnded() {
        return over();
      },
      pause: () => client.socket.pause(),
      resume: () => client.socket.resume(),
      end: () => {
        isOver = true;
        client.socket.terminate();
      },
    };
  }

  async #openStream(): Promise<Connection | null> {
    const isNew = this.#begin();
    // Both ways to say where: by the browser's header when it comes back.
    const isBack = this.sessions > 1 && this.#cursor !== null;
    const client = await EventStreamClient.open(
      this.#http,
      `?${this.#query(!isBack)}`,
      isBack ? { 'last-event-id': String(this.#cursor) } : {},
    );
    if (client.status !== 200) {
      if (client.status !== 503) this.faults.push(`an event stream was refused with ${client.status}`);
      client.close();
      return null;
    }
    if (isNew) this.joinedBefore = this.#highest();
    let taken = 0;
    const take = () => {
      for (; taken < client.events.length; taken += 1) {
        const { id, event, data } = client.events[taken] as (typeof client.events)[number];
        const kind = event === 'message' ? 'event' : (event as Kind);
        if (kind !== kindOf(data)) this.faults.push(`event ${event}: ${data.slice(0, 80)}`);
        if (Number(id) !== sequenceOf(kind, data)) this.faults.push(`id ${id}: ${data.slice(0, 80)}`);
        this.#hear(kind, data);
      }
      return client.hasEnded;
    };
    return {
      get hasEnded() {
        return take();
      },
      pause: () => client.pause(),
      resume: () => client.resume(),
      end: () => {
        take();
        client.close();
      },
    };
  }

  #query(withSince = true): string {
    const { filter, control, snapshot } = this.habits;
    const parameters = new URLSearchParams({ subject: filter });
    if (control) parameters.set('control', 'true');
    if (this.#cursor !== null && withSince) parameters.set('since', String(this.#cursor));
    else if (this.#cursor === null && snapshot) parameters.set('snapshot', 'formations,cells');
    return parameters.toString();
  }

  /** Whether it has no place to come back to: then what is published once it has joined is due. */
  #begin(): boolean {
    this.sessions += 1;
    this.isSynced = false;
    this.#pages = null;
    return this.#cursor === null;
  }

  #closed(code: number, reason: string): void {
    if (code === 1008 && reason === 'no upstream broker configured') return;
    const last = /^slow-consumer (\d+)$/.exec(reason)?.[1];
    if (code === 4408 && last !== undefined && Number(last) >= this.cursor) return;
    this.faults.push(`closed with ${code} ${reason}, behind ${this.cursor}`);
  }

  #hear(kind: Kind | undefined, text: string): void {
    const seq = kind === undefined ? Number.NaN : sequenceOf(kind, text);
    const at = `${text.slice(0, 60)} in session ${this.sessions}, behind ${this.cursor}`;
    if (kind === undefined || !Number.isSafeInteger(seq)) this.faults.push(`unexpected: ${at}`);
    else if (kind === 'snapshot') this.#hearPage(seq, text, at);
    else if (kind === 'event') {
      if (this.#cursor !== null && seq <= this.#cursor) this.faults.push(`again or late: ${at}`);
      if (!this.#heard.isSame(seq, text)) this.faults.push(`another text than others were sent: ${at}`);
      if (this.#isWaitingForSnapshot) this.faults.push(`before the end of the snapshot: ${at}`);
      this.sequences.push(seq);
      this.#cursor = seq;
    } else {
      if (!this.habits.control) this.faults.push(`not asked for: ${at}`);
      if (kind === 'synced' && this.isSynced) this.faults.push(`twice: ${at}`);
      if (kind === 'bookmark' && !this.isSynced) this.faults.push(`too early: ${at}`);
      if (this.#isWaitingForSnapshot) this.faults.push(`before the end of the snapshot: ${at}`);
      if (this.#cursor !== null && seq < this.#cursor) this.faults.push(`of the past: ${at}`);
      this.isSynced = true;
      this.base ??= this.sequences.length === 0 ? seq : null;
      this.#cursor = seq;
    }
  }

  get #isWaitingForSnapshot(): boolean {
    return this.habits.snapshot && this.cells === null;
  }

  #hearPage(seq: number, text: string, at: string): void {
    const page = JSON.parse(text) as {
      snapshot: { cells?: { id: string; state: string }[] };
      more: boolean;
    };
    if (!this.#isWaitingForSnapshot) this.faults.push(`not asked for: ${at}`);
    this.#pages ??= { seq, cells: new Map() };
    if (this.#pages.seq !== seq) this.faults.push(`of another moment: ${at}`);
    for (const { id, state } of page.snapshot.cells ?? []) this.#pages.cells.set(id, state);
    if (page.more) return;
    this.cells = this.#pages.cells;
    this.base = seq;
    this.#cursor = seq;
  }
}

function kindOf(text: string): Kind | undefined {
  return text.startsWith('{"seq":') ? 'event' : KINDS.find((kind) => text.startsWith(`{"${kind}":`));
}

function sequenceOf(kind: Kind, text: string): number {
  if (kind === 'event') return Number(text.slice('{"seq":'.length, text.indexOf(',')));
  return (JSON.parse(text) as { seq: number }).seq;
}
