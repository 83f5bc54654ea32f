// What becomes of requests while a server starts: held, answered, or told how far it is. The log says when it goes on.
import { beforeEach, describe, expect, it } from 'vitest';

import { type AppOptions, createApp, type ServerApp } from '../src/app.ts';
import { Checkpoint } from '../src/checkpoint.ts';
import { ControlPlane } from '../src/control-plane.ts';
import { REPLAY_SLICE_ENTRIES } from '../src/limits.ts';
import type { FeedSocket, LogFollower, UpgradeSocket } from '../src/ports.ts';
import { encodeUtf8 } from '../src/utf8.ts';
import { accessBy } from './support/access.ts';
import { ManualClock } from './support/manual-clock.ts';
import { MemoryCheckpointStore } from './support/memory-checkpoint-store.ts';
import { MemoryEventLog } from './support/memory-event-log.ts';
import { silentLogger } from './support/system.ts';
import { TestSocket } from './support/test-socket.ts';

const HOLD_MS = 10_000;
const TARGET = 2 * REPLAY_SLICE_ENTRIES;
const BOUNDS = { epoch: 'e', firstSeq: 1, lastSeq: TARGET };
const IGNORED = encodeUtf8('{"type":"x"}');

describe('requests to a server that starts', () => {
  let clock: ManualClock;
  let controlPlane: ControlPlane;
  let follower: LogFollower;

  beforeEach(() => {
    clock = new ManualClock();
    const log = new MemoryEventLog();
    // A replay that goes on when the test says so.
    log.follow = (_from, told) => void (follower = told);
    controlPlane = new ControlPlane({
      log,
      clock,
      logger: silentLogger,
      checkpoint: new Checkpoint(new MemoryCheckpointStore(), silentLogger),
      nextSlice: () => new Promise(() => {}),
    });
    controlPlane.start();
  });

  const createServer = (options: Partial<AppOptions> = { holdWhileStartingMs: HOLD_MS }): ServerApp =>
    createApp({
      controlPlane,
      access: accessBy('t'),
      clock,
      logger: silentLogger,
      build: { gitSha: null },
      ...options,
    });
  const request = (path: string, init: RequestInit = {}) =>
    new Request(`http://server${path}`, { headers: { authorization: 'Bearer t' }, ...init });
  /** The answer as soon as there is one. */
  const send = (app: ServerApp, sent = request('/v1/formations'), upgrade: UpgradeSocket | null = null) => {
    const seen: { answer: Response | null } = { answer: null };
    const answer = app.fetch(sent, upgrade);
    if (answer instanceof Response) seen.answer = answer;
    else void answer.then((each) => (seen.answer = each));
    return seen;
  };
  const replayTo = (last: number) => {
    for (let seq = controlPlane.state.cursor + 1; seq <= last; seq++) {
      follower.onEntry({ seq, subject: 'cellos.events.v1', payload: IGNORED });
    }
  };
  const expectRefusal = async (answer: Response | null, detail: string) => {
    expect(answer?.status).toBe(503);
    expect(answer?.headers.get('retry-after')).toBe('1');
    expect(answer?.headers.get('access-control-allow-origin')).toBe('*');
    expect(await answer?.json()).toEqual({
      type: '/problems/service-unavailable',
      title: 'Event store unavailable',
      status: 503,
      detail,
    });
  };

  it('RUN-19 are held until it serves, and then answered', async () => {
    const app = createServer();
    const held = [send(app), send(app, request('/v1/cells')), send(app, request('/nowhere'))];
    await clock.advance(1000);
    follower.onOpened(BOUNDS, 0);
    replayTo(10);
    await clock.advance(HOLD_MS - 1001);
    expect(held.map(({ answer }) => answer)).toEqual([null, null, null]);
    follower.onCaughtUp(TARGET);
    await clock.settle();
    expect(held.map(({ answer }) => answer?.status)).toEqual([200, 200, 404]);
    expect(await held[0]?.answer?.json()).toEqual({ formations: [], cursor: TARGET, epoch: 'e' });
  });

  it('RUN-19 are not held when it serves, with or without a log', async () => {
    const app = createServer();
    const held = send(app);
    await clock.advance(2000);
    // The log was out of reach for as long as a start may wait.
    expect(held.answer?.status).toBe(200);
    expect(send(app).answer?.status).toBe(200);
  });

  it('RUN-19 are held no longer than said, and then told how far it is', async () => {
    const app = createServer({ holdWhileStartingMs: 1500 });
    const early = send(app);
    await clock.advance(1499);
    expect(early.answer).toBeNull();
    await clock.advance(1);
    await expectRefusal(early.answer, 'the server is starting: waiting for the event store');
    follower.onOpened(BOUNDS, 0);
    replayTo(7);
    const late = send(app);
    await clock.advance(1499);
    expect(late.answer).toBeNull();
    await clock.advance(1);
    await expectRefusal(late.answer, `the server is starting: replayed 7 of ${TARGET}`);
  });

  it('RUN-19 are released when the first slice of a long replay is over, later ones at once', async () => {
    const app = createServer();
    follower.onOpened(BOUNDS, 0);
    const held = send(app);
    replayTo(REPLAY_SLICE_ENTRIES - 1);
    await clock.settle();
    expect(held.answer).toBeNull();
    replayTo(REPLAY_SLICE_ENTRIES);
    await clock.settle();
    const detail = `the server is starting: replayed ${REPLAY_SLICE_ENTRIES} of ${TARGET}`;
    await expectRefusal(held.answer, detail);
    const next = send(app);
    await clock.settle();
    await expectRefusal(next.answer, detail);
    follower.onCaughtUp(TARGET);
    expect(send(app).answer?.status).toBe(200);
  });

  it('RUN-19 RUN-8 are held again when the stream is read anew', async () => {
    const app = createServer();
    follower.onOpened(BOUNDS, 0);
    replayTo(REPLAY_SLICE_ENTRIES);
    follower.onCaughtUp(TARGET);
    follower.onReset({ epoch: 'f', firstSeq: 1, lastSeq: 1 });
    const held = send(app);
    await clock.advance(100);
    expect(held.answer).toBeNull();
    follower.onOpened({ epoch: 'f', firstSeq: 1, lastSeq: 1 }, 0);
    follower.onCaughtUp(1);
    await clock.settle();
    expect(await held.answer?.json()).toEqual({ formations: [], cursor: 1, epoch: 'f' });
  });

  it('RUN-7 RUN-19 are refused at once when the server stops', async () => {
    const app = createServer();
    const held = send(app);
    await clock.settle();
    void controlPlane.stop('leave');
    await clock.settle();
    expect(held.answer?.status).toBe(503);
    const late = send(app);
    await clock.settle();
    expect(late.answer?.status).toBe(503);
  });

  it('OPS-3 OPS-4 OPS-5 are answered when they ask how far it is, and never held', async () => {
    const app = createServer();
    const alive = () => send(app, request('/livez')).answer?.status;
    const readiness = async () => {
      const { answer } = send(app, request('/readyz'));
      return {
        status: answer?.status,
        retry: answer?.headers.get('retry-after'),
        body: await answer?.json(),
      };
    };
    const problem = { type: '/problems/service-unavailable', title: 'Event store unavailable', status: 503 };
    const starting = (detail: string, phase: string, cursor: number, target: number | null) => ({
      status: 503,
      retry: '1',
      body: { ...problem, detail: `the server is starting: ${detail}`, phase, cursor, target },
    });
    expect(alive()).toBe(200);
    expect(await readiness()).toEqual(starting('waiting for the event store', 'starting', 0, null));
    follower.onOpened(BOUNDS, 0);
    replayTo(7);
    expect(alive()).toBe(200);
    expect(await readiness()).toEqual(starting(`replayed 7 of ${TARGET}`, 'replaying', 7, TARGET));
    follower.onCaughtUp(TARGET);
    const ready = { status: 'ready', phase: 'live', event_store: 'connected', cursor: TARGET };
    expect(await readiness()).toEqual({ status: 200, retry: null, body: ready });
    follower.onLost('gone');
    const away = { ...ready, phase: 'lost', event_store: 'away' };
    expect(await readiness()).toEqual({ status: 200, retry: null, body: away });
    follower.onReset({ epoch: 'f', firstSeq: 1, lastSeq: 1 });
    follower.onOpened({ epoch: 'f', firstSeq: 1, lastSeq: 1 }, 0);
    expect(await readiness()).toEqual(starting('replayed 0 of 1', 'replaying', 0, 1));
    void controlPlane.stop('leave');
    expect(alive()).toBe(200);
    expect((await readiness()).body).toMatchObject({
      detail: 'the server is shutting down',
      phase: 'stopped',
    });
  });

  it('OPS-2 OPS-5 refuse a probe without the token, also then', () => {
    const app = createServer();
    for (const path of ['/livez', '/readyz', '/metrics']) {
      expect(send(app, request(path, { headers: {} })).answer?.status).toBe(401);
    }
    // What a server that starts could show of itself is no reason to let anything but the two through.
    expect(send(createServer({}), request('/metrics')).answer?.status).toBe(503);
    expect(send(createServer({}), request('/livez/')).answer?.status).toBe(503);
  });

  it('RUN-19 HTTP-1 HTTP-7 are not held without the token, nor when they are preflights', () => {
    const app = createServer();
    for (const authorization of ['', 'Bearer x', 'bearer t']) {
      const { answer } = send(app, request('/v1/formations', { headers: { authorization } }));
      expect(answer?.status).toBe(401);
    }
    expect(send(app, request('/ws/events', { headers: {} }), () => new Response()).answer?.status).toBe(401);
    expect(send(app, request('/v1/formations', { method: 'OPTIONS', headers: {} })).answer?.status).toBe(200);
  });

  it('RUN-19 are upgraded when it serves and no sooner', async () => {
    const app = createServer();
    const sockets: FeedSocket[] = [];
    const upgrade: UpgradeSocket = (onOpen) => {
      const socket = new TestSocket();
      sockets.push(socket);
      socket.connection = onOpen(socket);
      return new Response('open');
    };
    const headers = {
      authorization: 'Bearer t',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    };
    const handshake = new Request('http://server/ws/events');
    // fetch's own requests may not carry some of these.
    Object.defineProperty(handshake, 'headers', { value: new Headers(headers) });
    const held = send(app, handshake, upgrade);
    await clock.advance(100);
    expect([held.answer, sockets.length]).toEqual([null, 0]);
    follower.onOpened(BOUNDS, 0);
    follower.onCaughtUp(TARGET);
    await clock.settle();
    expect([await held.answer?.text(), sockets.length, controlPlane.feed.size]).toEqual(['open', 1, 1]);
  });

  it('RUN-1 RUN-19 are refused at once by a server that holds none', async () => {
    const app = createServer({});
    await expectRefusal(send(app).answer, 'the server is starting: waiting for the event store');
    follower.onOpened(BOUNDS, 0);
    replayTo(3);
    await expectRefusal(send(app).answer, `the server is starting: replayed 3 of ${TARGET}`);
    follower.onCaughtUp(TARGET);
    expect(send(app).answer?.status).toBe(200);
  });
});
