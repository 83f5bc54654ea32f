// The objects of a checkpoint in a JetStream object store (ADR-20), which all servers on a broker share. Over a connection of its
// own, since a checkpoint is read before the log is followed; it is closed when it is not used for a while.
import type {
  JetStreamManager,
  JetStreamManagerOptions,
  NatsConnection,
  ObjectInfo,
  ObjectStore,
  StoredMsg,
  StreamConfig,
} from 'nats.ws';

import * as limits from './limits.ts';
import {
  apiErrorCode,
  type BrokerLink,
  closeConnection,
  describeError,
  isConflict,
  type LinkOptions,
  NO_MESSAGE,
  openLink,
} from './nats-link.ts';
import { getOrAddStream } from './nats-stream.ts';
import { type CheckpointObjects, EventLogError } from './ports.ts';
import { concat } from './utf8.ts';

const BUCKET = 'CELLOS_CHECKPOINTS';
const STREAM = `OBJ_${BUCKET}`;
const HEAD = 'head';

interface BucketLink extends BrokerLink {
  readonly store: ObjectStore;
}

/** The bucket is made when it is missing. Throws EventLogError: `unreachable` without a connection, else `unavailable`. */
export class NatsCheckpointObjects implements CheckpointObjects {
  readonly #options: LinkOptions;
  #link: Promise<BucketLink> | null = null;
  #uses = 0;
  #cancelIdle: () => void = () => {};

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  headRevision(): Promise<number> {
    return this.#use(async ({ store }) => (await store.info(HEAD))?.revision ?? 0);
  }

  readHead(): Promise<{ revision: number; bytes: Uint8Array<ArrayBuffer> } | null> {
    return this.#use(async (link) => {
      for (let before = -1; ;) {
        const found = await readObject(link, HEAD);
        if (found === null) return null;
        const { revision, bytes } = found;
        if (bytes !== null) return { revision, bytes };
        // Replaced in this moment, unless it is still the same.
        if (revision === before) return { revision, bytes: new Uint8Array() };
        before = revision;
      }
    });
  }

  writeHead(bytes: Uint8Array<ArrayBuffer>, after: number): Promise<number | null> {
    return this.#use(async ({ store }) => {
      try {
        const { revision } = await store.putBlob({ name: HEAD }, bytes, { previousRevision: after });
        return revision;
      } catch (error) {
        if (isConflict(error)) return null;
        throw error;
      }
    });
  }

  read(name: string): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.#use(async (link) => (await readObject(link, name))?.bytes ?? null);
  }

  write(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#use(async ({ store }) => void (await store.putBlob({ name }, bytes)));
  }

  /** Without the mark of a deletion that the client leaves behind: names are never used again, and marks would pile up. */
  remove(name: string): Promise<void> {
    return this.#use(async (link) => {
      const info = await link.store.info(name);
      if (info === null) return;
      await purge(link, chunksOf(info.nuid));
      await purge(link, descriptionOf(base64Url(name)));
    });
  }

  listOlderThan(ms: number): Promise<readonly string[]> {
    return this.#use(async (link) => {
      const before = this.#options.clock.now() - ms;
      const names: string[] = [];
      const chunks = new Set(await subjectsOf(link, chunksOf('>')));
      // Not the client's own list, which leaves a consumer behind.
      for (const subject of await subjectsOf(link, descriptionOf('>'))) {
        const info = (await messageOf(link, { last_by_subj: subject }))?.json<ObjectInfo>();
        if (info === undefined) continue;
        chunks.delete(chunksOf(info.nuid));
        if (info.name !== HEAD && Date.parse(info.mtime) < before) names.push(info.name);
      }
      // What is left belongs to objects whose writer died before it named them.
      for (const subject of chunks) {
        const last = await messageOf(link, { last_by_subj: subject });
        if (last !== null && last.time.getTime() < before) await purge(link, subject);
      }
      return names;
    });
  }

  /** Leaves the broker; whatever comes later connects again. */
  async close(): Promise<void> {
    this.#cancelIdle();
    const link = await this.#link?.catch(() => null);
    this.#link = null;
    if (link) await closeConnection(link.nc, this.#options.clock);
  }

  async #use<Result>(work: (link: BucketLink) => Promise<Result>): Promise<Result> {
    this.#uses++;
    this.#cancelIdle();
    try {
      return await this.#perform(work);
    } finally {
      if (--this.#uses === 0) {
        this.#cancelIdle = this.#options.clock.after(limits.CHECKPOINT_IDLE_MS, () => void this.close());
      }
    }
  }

  async #perform<Result>(work: (link: BucketLink) => Promise<Result>): Promise<Result> {
    const link = await this.#open();
    const late = Promise.withResolvers<never>();
    const cancel = this.#options.clock.after(limits.CHECKPOINT_TRANSFER_MS, () =>
      late.reject(new Error('the broker takes too long')),
    );
    try {
      return await Promise.race([work(link), link.lost, late.promise]);
    } catch (error) {
      // Whatever is under way on it, the next attempt begins anew.
      this.#link = null;
      void closeConnection(link.nc, this.#options.clock);
      if (error instanceof EventLogError) throw error;
      throw new EventLogError('unavailable', describeError(error), error);
    } finally {
      cancel();
    }
  }

  #open(): Promise<BucketLink> {
    if (this.#link === null) {
      const opening = this.#connect();
      this.#link = opening;
      const forget = () => {
        if (this.#link === opening) this.#link = null;
      };
      opening.then(({ lost }) => lost.catch(forget), forget);
    }
    return this.#link;
  }

  async #connect(): Promise<BucketLink> {
    const opened: { store?: ObjectStore } = {};
    let isConnected = false;
    try {
      const link = await openLink(this.#options, async (nc, jsm) => {
        isConnected = true;
        opened.store = await openStore(nc, jsm, this.#options);
      });
      return { ...link, store: opened.store as ObjectStore };
    } catch (error) {
      throw new EventLogError(isConnected ? 'unavailable' : 'unreachable', describeError(error), error);
    }
  }
}

async function openStore(
  nc: NatsConnection,
  jsm: JetStreamManager,
  { replicas, clock }: LinkOptions,
): Promise<ObjectStore> {
  // The client would send `replicas` along as it is spelled there, which brokers from 2.12 on refuse.
  await getOrAddStream(jsm, clock, {
    name: STREAM,
    description: 'Views of the event log, kept by cellos-server; may be deleted at any time',
    subjects: [chunksOf('>'), descriptionOf('>')],
    storage: 'file' as StreamConfig['storage'],
    discard: 'new' as StreamConfig['discard'],
    num_replicas: replicas,
    allow_rollup_hdrs: true,
    allow_direct: true,
  });
  // It would ask for the account's limits otherwise, which is nobody's business here.
  const options: JetStreamManagerOptions = { timeout: limits.CHECKPOINT_TRANSFER_MS, checkAPI: false };
  return await nc.jetstream(options).views.os(BUCKET);
}

/** Null when there is no such object; no bytes when they have been removed or replaced while they were being read. */
async function readObject(
  link: BucketLink,
  name: string,
): Promise<{ revision: number; bytes: Uint8Array<ArrayBuffer> | null } | null> {
  const info = await link.store.info(name);
  if (info === null || info.deleted) return null;
  const { revision, nuid } = info;
  const chunks: Uint8Array[] = [];
  // One by one, not through a consumer, which would not tell of a chunk that is removed under it.
  for (let seq = 0; chunks.length < info.chunks; seq++) {
    const chunk = await messageOf(link, { seq, next_by_subj: chunksOf(nuid) });
    if (chunk === null) return { revision, bytes: null };
    chunks.push(chunk.data);
    ({ seq } = chunk);
  }
  return { revision, bytes: concat(chunks) };
}

/** The client knows both ways to ask; its types one of them. */
type MessageQuery =
  | { readonly last_by_subj: string }
  | { readonly seq: number; readonly next_by_subj: string };

/** Null when there is none. */
async function messageOf({ jsm }: BucketLink, query: MessageQuery): Promise<StoredMsg | null> {
  try {
    return await jsm.streams.getMessage(STREAM, query);
  } catch (error) {
    if (apiErrorCode(error) === NO_MESSAGE) return null;
    throw error;
  }
}

async function subjectsOf({ jsm }: BucketLink, filter: string): Promise<string[]> {
  const { state } = await jsm.streams.info(STREAM, { subjects_filter: filter });
  return Object.keys(state.subjects ?? {});
}

async function purge({ jsm }: BucketLink, filter: string): Promise<void> {
  await jsm.streams.purge(STREAM, { filter });
}

function chunksOf(nuid: string): string {
  return `$O.${BUCKET}.C.${nuid}`;
}

/** Of the message that describes an object: a name as the client spells it there, or `>` for all. */
function descriptionOf(token: string): string {
  return `$O.${BUCKET}.M.${token}`;
}

/** With padding. Names are ASCII. */
function base64Url(name: string): string {
  return btoa(name).replaceAll('+', '-').replaceAll('/', '_');
}
