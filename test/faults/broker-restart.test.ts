// The broker is killed under load: nothing is lost, nothing comes twice, what was acknowledged is true.
import { setTimeout as delay } from 'node:timers/promises';
import { headers } from 'nats';
import { describe, expect, test } from 'vitest';
import { cellDestroyed, cellStarted, flatDocument, unique } from '../support/events.ts';
import { expectProblem } from '../support/http-client.ts';
import { denoTarget } from '../support/deno-server.ts';
import { Broker, SUPERVISOR_SUBJECT } from '../support/nats-server.ts';
import { Rig, ServerProcess, nodeTarget, reportOnFailure } from '../support/server-process.ts';
import { workerdTarget } from '../support/workerd-server.ts';
import { timed } from '../support/wait.ts';

const BACK_MS = 2000;

/** Publishes until told to stop; what the broker did not acknowledge is sent again under the same message id. */
function startLoad(broker: Broker): { stop: () => Promise<number> } {
  const stopping = new AbortController();
  let sent = 0;
  const done = (async () => {
    while (!stopping.signal.aborted) {
      const cell = `load-${sent}`;
      const payload = JSON.stringify(sent % 2 === 0 ? cellStarted(cell) : cellDestroyed(`load-${sent - 1}`));
      const header = headers();
      header.set('Nats-Msg-Id', `load-${sent}`);
      try {
        const jetstream = await broker.jetstream();
        await jetstream.publish(SUPERVISOR_SUBJECT, payload, { headers: header, timeout: 1000 });
        sent += 1;
      } catch {
        await delay(20);
      }
    }
    return sent;
  })();
  return {
    stop: () => {
      stopping.abort();
      return done;
    },
  };
}

describe.each([nodeTarget, denoTarget, workerdTarget])('on $name', (target) => {
  test('RUN-4 LOG-10 LOG-5 kill -9 and restart, twice, with connected feeds', async () => {
    const broker = await Broker.start();
    const server = await ServerProcess.start(target, { CELLOS_NATS_URL: broker.websocketUrl });
    reportOnFailure(server);
    const rig = new Rig(broker, server);
    const feeds = await Promise.all([server.feed(), server.feed({ query: 'since=0' })]);
    const one = await server.feed({ query: `subject=${SUPERVISOR_SUBJECT}` });
    const load = startLoad(broker);
    for (let round = 0; round < 2; round += 1) {
      await delay(600);
      await broker.kill();
      await delay(300);
      await broker.restart();
      const { ms } = await timed(
        broker.publish('"back"', 'cellos.events.probe').then((seq) => rig.whenApplied(seq)),
      );
      console.log(`the tail went on ${Math.round(ms)} ms after the broker's return`);
      expect(ms).toBeLessThan(BACK_MS);
    }
    await delay(300);
    const sent = await load.stop();
    expect(sent).toBeGreaterThan(100);
    const last = await broker.publish('"end"', 'cellos.events.probe');
    await rig.whenApplied(last);

    const stored = await broker.messages();
    for (const feed of feeds) {
      await feed.whenSequence(last);
      expect(feed.closing).toBeNull();
      expect(feed.sequences).toEqual(stored.map((message) => message.seq));
      expect(feed.events).toEqual(stored.map((message) => message.text));
    }
    const selected = stored.filter((message) => message.subject === SUPERVISOR_SUBJECT);
    expect(one.sequences).toEqual(selected.map((message) => message.seq));

    const fresh = await ServerProcess.start(target, { CELLOS_NATS_URL: broker.websocketUrl });
    for (const path of ['/v1/cells', '/v1/formations'])
      expect((await server.http.get(path)).text).toBe((await fresh.http.get(path)).text);
    expect(await server.http.read('/v1/cells')).toHaveLength(Math.ceil(sent / 2));
    await fresh.stop();
    await server.stop();
    await broker.stop();
  });

  test('RUN-6 OUT-7 every 201 is in the log once, every 503 at most once, after a kill under load', async () => {
    const broker = await Broker.start();
    const server = await ServerProcess.start(target, { CELLOS_NATS_URL: broker.websocketUrl });
    reportOnFailure(server);
    const rig = new Rig(broker, server);
    const admitted = new Map<string, string>();
    const refused = new Set<string>();
    const stopping = new AbortController();
    const submit = async () => {
      const name = unique('load');
      const { value, ms } = await timed(server.http.post('/v1/formations', flatDocument(name)));
      expect(ms).toBeLessThan(5000);
      if (value.status === 201) admitted.set(name, (JSON.parse(value.text) as { id: string }).id);
      else {
        expectProblem(value, 'service-unavailable');
        expect(value.headers['retry-after']).toBeDefined();
        refused.add(name);
        // As its header asks, but not a whole second.
        await delay(50);
      }
    };
    const workers = Array.from({ length: 8 }, async () => {
      while (!stopping.signal.aborted) await submit();
    });
    for (let round = 0; round < 2; round += 1) {
      await delay(500);
      await broker.kill();
      await delay(300);
      // The workers' writes may all be in doubt, and wait for the broker; one that comes now has nothing to wait for.
      workers.push(submit());
      await delay(100);
      await broker.restart();
    }
    await delay(1000);
    stopping.abort();
    await Promise.all(workers);
    console.log(`${admitted.size} admitted, ${refused.size} refused`);
    expect(admitted.size).toBeGreaterThan(50);
    expect(refused.size).toBeGreaterThan(0);

    await rig.whenApplied();
    const created = new Map<string, string[]>();
    for (const { text } of await broker.messages()) {
      const { data } = JSON.parse(text) as { data: { formationId: string; formationName: string } };
      created.set(data.formationName, [...(created.get(data.formationName) ?? []), data.formationId]);
    }
    for (const [name, id] of admitted) expect([name, created.get(name)]).toEqual([name, [id]]);
    for (const name of refused) expect(created.get(name)?.length ?? 0).toBeLessThanOrEqual(1);
    const { formations } = await rig.snapshot();
    expect(formations.map((formation) => formation['name']).toSorted()).toEqual(
      [...created.keys()].toSorted(),
    );
    // A refused name can be submitted again: it is free, or its formation is there.
    for (const name of [...refused].slice(0, 20)) {
      const { status } = await server.http.post('/v1/formations', flatDocument(name));
      expect(status).toBe(created.has(name) ? 409 : 201);
    }
    await server.stop();
    await broker.stop();
  });
});
