// A process that asks a server over N connections, each sending its next request when the last is answered.
import { Histogram } from './histogram.ts';
import { encodeRequest, HttpConnection } from './http-connection.ts';
import type { Address, TimedResponse } from './http-connection.ts';
import { monotonicMs } from './usage.ts';
import { serveCommands } from './workers.ts';

// Looking into every body would cost more than the requests: one in so many is compared with what was asked.
const CHECK_EVERY = 64;

export interface ReadCommand {
  readonly address: Address;
  readonly connections: number;
  /** Asked round robin; the last path segment must appear in the body when `checkIds`. */
  readonly paths: readonly string[];
  readonly checkIds: boolean;
  readonly warmUpMs: number;
  readonly durationMs: number;
}

export interface ReadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly latencies: readonly number[];
  readonly cpuShare: number;
  /** Entries in the first answer when it is a list or a page of formations. */
  readonly entries: number | null;
  readonly wrong: number;
}

interface PostCommand {
  readonly address: Address;
  readonly connections: number;
  readonly path: string;
  readonly bodies: readonly string[];
  readonly growthWindow: number;
}

export interface PostResult {
  readonly ids: readonly string[];
  readonly seconds: number;
  readonly latencies: readonly number[];
  readonly cpuShare: number;
  /** Rates over the first and the last `growthWindow` answers, per second. */
  readonly firstRate: number;
  readonly lastRate: number;
  /** Statuses other than 201, with how often. */
  readonly refused: Readonly<Record<string, number>>;
}

export type HttpCommands = {
  read: { command: ReadCommand; result: ReadResult };
  post: { command: PostCommand; result: PostResult };
};

type HttpCommand = (ReadCommand & { kind: 'read' }) | (PostCommand & { kind: 'post' });

serveCommands<HttpCommand>((command) => (command.kind === 'read' ? read(command) : post(command)));

async function read(command: ReadCommand): Promise<ReadResult> {
  const requests = command.paths.map((path) => ({
    bytes: encodeRequest(command.address, path),
    id: Buffer.from(path.slice(path.lastIndexOf('/') + 1)),
  }));
  const connections = await open(command.address, command.connections);
  const first = await (connections[0] as HttpConnection).request(requests[0]?.bytes as Buffer);
  for (const connection of connections) connection.keepBodies = command.checkIds;

  const latencies = new Histogram();
  let next = 0;
  let wrong = 0;
  let measuring = false;
  let ended = false;
  const failures: Error[] = [];
  const loops = connections.map(
    (connection) =>
      new Promise<void>((resolve) => {
        let sentAt = 0;
        let asked = requests[0];
        const send = () => {
          asked = requests[next % requests.length];
          next += 1;
          sentAt = monotonicMs();
          connection.send(asked?.bytes as Buffer);
        };
        const onResponse = (response: TimedResponse) => {
          if (measuring) latencies.add(monotonicMs() - sentAt);
          if (!isRight(response, asked?.id as Buffer, next)) wrong += 1;
          if (ended) resolve();
          else send();
        };
        connection.listen(onResponse, (error) => {
          failures.push(error);
          resolve();
        });
        send();
      }),
  );
  const isRight = (response: TimedResponse, id: Buffer, count: number) => {
    if (response.status !== 200) return false;
    if (!command.checkIds) return response.length === first.length;
    return count % CHECK_EVERY !== 0 || response.body.includes(id);
  };

  await new Promise((resolve) => setTimeout(resolve, command.warmUpMs));
  measuring = true;
  const startedAt = monotonicMs();
  const startCpu = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, command.durationMs));
  const requestsDone = latencies.total;
  const seconds = (monotonicMs() - startedAt) / 1e3;
  const cpuShare = toCpuShare(startCpu, seconds);
  measuring = false;
  ended = true;
  await Promise.all(loops);
  for (const connection of connections) connection.close();
  if (failures[0] !== undefined) throw failures[0];
  return {
    requests: requestsDone,
    seconds,
    latencies: latencies.counts,
    cpuShare,
    entries: countEntries(first),
    wrong,
  };
}

async function post(command: PostCommand): Promise<PostResult> {
  const { bodies, growthWindow } = command;
  const requests = bodies.map((body) => encodeRequest(command.address, command.path, body));
  const connections = await open(command.address, command.connections);
  const latencies = new Histogram();
  const answeredAt = new Float64Array(bodies.length);
  const ids: string[] = [];
  const refused: Record<string, number> = {};
  let sent = 0;
  let answered = 0;
  const startedAt = monotonicMs();
  const startCpu = process.cpuUsage();
  await Promise.all(
    connections.map(async (connection) => {
      while (sent < requests.length) {
        const request = requests[sent] as Buffer;
        sent += 1;
        const sentAt = monotonicMs();
        const response = await connection.request(request);
        const now = monotonicMs();
        latencies.add(now - sentAt);
        answeredAt[answered] = now;
        answered += 1;
        if (response.status === 201)
          ids.push((JSON.parse(response.body.toString('utf8')) as { id: string }).id);
        else refused[response.status] = (refused[response.status] ?? 0) + 1;
      }
    }),
  );
  const last = answeredAt[answered - 1] ?? startedAt;
  const cpuShare = toCpuShare(startCpu, (last - startedAt) / 1e3);
  for (const connection of connections) connection.close();
  return {
    ids,
    seconds: (last - startedAt) / 1e3,
    latencies: latencies.counts,
    cpuShare,
    firstRate: toRate(growthWindow, (answeredAt[growthWindow - 1] ?? last) - startedAt),
    lastRate: toRate(growthWindow, last - (answeredAt[answered - 1 - growthWindow] ?? startedAt)),
    refused,
  };
}

async function open(address: Address, count: number): Promise<HttpConnection[]> {
  const connections = Array.from({ length: count }, () => new HttpConnection(address));
  await Promise.all(connections.map((connection) => connection.whenOpen()));
  return connections;
}

function toCpuShare(start: NodeJS.CpuUsage, seconds: number): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e6 / seconds;
}

function toRate(count: number, ms: number): number {
  return (count / ms) * 1e3;
}

function countEntries(response: TimedResponse): number | null {
  const body = JSON.parse(response.body.toString('utf8')) as unknown[] | { formations?: unknown[] };
  if (Array.isArray(body)) return body.length;
  return body.formations?.length ?? null;
}
