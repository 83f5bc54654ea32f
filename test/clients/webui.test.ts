// The web page of the real cellctl in a real Chromium: what its user sees of this server, over restarts too.
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import {
  STARTED,
  cellStarted,
  flatDocument,
  formationEvent,
  supervisorRun,
  unique,
} from '../support/events.ts';
import { Broker } from '../support/nats-server.ts';
import { findCellctl, findChromium, requireClients } from '../support/real-clients.ts';
import { submitFormation } from '../support/running-formation.ts';
import { Rig, ServerProcess, nodeTarget, reportOnFailure } from '../support/server-process.ts';
import { Webui, launchBrowser } from '../support/webui.ts';

const cellctl = await findCellctl();
const chromium = await findChromium();

/** The page waits a second before it connects anew, and longer when that fails. */
const SEEN = { timeout: 10_000, interval: 50 };

test('WEB-1 the web page of cellctl in Chromium', (context) => requireClients(context, cellctl, chromium));

describe.runIf(cellctl.found && chromium.found)('the web page', () => {
  let browser: Browser;
  let broker: Broker;
  let rig: Rig;
  let webui: Webui;

  const start = async (at?: number): Promise<void> => {
    rig = new Rig(
      broker,
      await ServerProcess.start(nodeTarget, { CELLOS_NATS_URL: broker.websocketUrl }, at),
    );
  };
  const open = async (): Promise<void> => {
    if (!cellctl.found) return;
    webui = await Webui.open({ cellctl: cellctl.path, browser, server: rig.http });
    onTestFinished(() => webui.close());
    await expect.poll(() => webui.badge.innerText(), SEEN).toMatch(/\blive\b/i);
  };
  const restart = async (meanwhile?: () => Promise<unknown>): Promise<void> => {
    const { port } = rig.server;
    await rig.server.stop();
    await expect.poll(() => webui.badge.innerText(), SEEN).not.toMatch(/\blive\b/i);
    await meanwhile?.();
    await start(port);
    await expect.poll(() => webui.badge.innerText(), SEEN).toMatch(/\blive\b/i);
  };

  beforeAll(async () => {
    if (chromium.found) browser = await launchBrowser(chromium.path);
  });
  afterAll(() => browser.close());
  // A log of its own each: the page shows all there is.
  beforeEach(async () => {
    broker = await Broker.start();
    await start();
    reportOnFailure(rig.server);
  });
  afterEach(async () => {
    await rig.server.stop();
    await broker.stop();
  });

  test('WEB-2 lists the formations, each with its state and its members', async () => {
    const ids = new Map<string, string>();
    for (const name of ['pending', 'running', 'done', 'broken'])
      ids.set(name, await submitFormation(rig, name));
    for (const [name, state] of [
      ['running', 'RUNNING'],
      ['done', 'COMPLETED'],
      ['broken', 'FAILED'],
    ] as const)
      await rig.http.post(`/v1/formations/${ids.get(name)}/status`, { state });
    await open();
    const members = (name: string) => `2 cells · ${ids.get(name)?.slice(0, 8)}`;
    await expect
      .poll(async () => (await webui.formations()).toSorted(), SEEN)
      .toEqual([
        ['broken', 'FAILED', members('broken')],
        ['done', 'COMPLETED', members('done')],
        ['pending', 'PENDING', members('pending')],
        ['running', 'RUNNING', members('running')],
      ]);
    expect(webui.errors).toEqual([]);
  });

  test('WEB-3 draws the graph of a formation, as it was submitted, also after a restart of the server', async () => {
    const name = unique();
    const members = [
      { id: 'lead' },
      { id: 'left', authorizedBy: 'lead' },
      { id: 'right', authorizedBy: 'lead' },
      { id: 'leaf', authorizedBy: 'left' },
    ];
    await submitFormation(rig, unique('other'));
    const reply = await rig.http.post('/v1/formations', flatDocument(name, { members }));
    expect(reply.status, reply.text).toBe(201);
    // Later events carry no document.
    await rig.http.post(`/v1/formations/${JSON.parse(reply.text).id}/status`, { state: 'RUNNING' });
    await open();
    const drawn = {
      nodes: ['lead', 'leaf', 'left', 'right'],
      edges: ['Edge from lead to left', 'Edge from lead to right', 'Edge from left to leaf'],
    };
    await webui.select(name);
    await expect.poll(() => webui.graph(), SEEN).toEqual(drawn);
    await restart();
    await expect.poll(() => webui.graph(), SEEN).toEqual(drawn);
    await webui.page.reload();
    await webui.select(name);
    await expect.poll(() => webui.graph(), SEEN).toEqual(drawn);
  });

  test('WEB-4 shows events as they are published, each once and in order', async () => {
    await open();
    const name = unique();
    await submitFormation(rig, name);
    await expect
      .poll(() => webui.events(), SEEN)
      .toEqual([expect.stringMatching(/^\d\d:\d\d:\d\d cell\.formation\.v1\.created$/)]);
    await rig.publish(...supervisorRun(unique('cell')));
    const types = supervisorRun('any').map(({ type }) => type.replace('dev.cellos.events.', ''));
    await expect
      .poll(async () => (await webui.events()).map((line) => line.split(' ')[1]), SEEN)
      .toEqual([...types.toReversed(), 'cell.formation.v1.created']);
    expect(await webui.events()).toContain('19:33:26 cell.lifecycle.v1.started');
    // The page shows times and types: each has a second of its own.
    const seconds = Array.from({ length: 40 }, (_, index) => `20:00:${index + 10}`);
    await rig.publish(
      ...seconds.map((time) => cellStarted(unique(), {}, { time: `2026-11-20T${time}.5+00:00` })),
    );
    await expect
      .poll(async () => (await webui.events()).slice(0, seconds.length), SEEN)
      .toEqual(seconds.toReversed().map((time) => `${time} cell.lifecycle.v1.started`));
    expect(webui.errors).toEqual([]);
    // One snapshot, and the feed from its cursor on.
    expect(webui.asked).toEqual(['/v1/formations', '/ws/events?subject=cellos.events.%3E&since=0']);
  });

  test('WEB-5 while the server is away it says so; back, it shows what has happened since', async () => {
    await submitFormation(rig, 'before');
    await open();
    await restart(() =>
      broker.publish(
        formationEvent('created', {
          formationId: '0ab5f7a4-7f01-4b6c-9c52-1df80cd8c9a1',
          formationName: 'meanwhile',
          document: flatDocument('meanwhile'),
        }),
      ),
    );
    await expect
      .poll(async () => (await webui.formations()).map(([name]) => name).toSorted(), SEEN)
      .toEqual(['before', 'meanwhile']);
    await rig.publish(cellStarted(unique()));
    await expect
      .poll(() => webui.events(), SEEN)
      .toContain(`19:33:26 ${STARTED.replace('dev.cellos.events.', '')}`);
  });

  test('WEB-6 of a log that is another one it shows that one', async () => {
    await submitFormation(rig, 'gone');
    await open();
    await expect.poll(() => webui.formations(), SEEN).toHaveLength(1);
    await broker.kill();
    await broker.restart({ wipe: true });
    // Empty at once, without a reload by the user: the feed's close code tells the page.
    await expect.poll(() => webui.formations(), SEEN).toEqual([]);
    await expect.poll(() => webui.badge.innerText(), SEEN).toMatch(/\blive\b/i);
    await submitFormation(rig, 'new');
    await webui.page.reload();
    await expect.poll(async () => (await webui.formations()).map(([name]) => name), SEEN).toEqual(['new']);
  });
});
