// A server that was cut off for longer than the log's duplicate window meets a request again that another one has answered.
import { RetentionPolicy, StorageType, nanos } from 'nats';
import { expect, test } from 'vitest';
import { flatDocument, unique } from '../support/events.ts';
import { Broker, STREAM, Wire } from '../support/nats-server.ts';
import { Rig, ServerProcess, nodeTarget } from '../support/server-process.ts';
import { quiet, until } from '../support/wait.ts';

/** The contract has two minutes. */
const WINDOW_MS = 1000;
const ROUNDS = 3;

test(
  'OUT-15 a key is known to a server that has just come back from a long partition',
  { timeout: 60_000 + ROUNDS * (WINDOW_MS + 5000) },
  async () => {
    const broker = await Broker.start();
    // As it is created by a server, but for the window, so that the test does not take two minutes.
    await (
      await broker.manager()
    ).streams.add({
      name: STREAM,
      subjects: ['cellos.events.>'],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      duplicate_window: nanos(WINDOW_MS),
    });
    const wire = await Wire.to(broker.websocketPort);
    const [here, there] = await Promise.all([
      ServerProcess.start(nodeTarget, { CELLOS_NATS_URL: broker.websocketUrl }),
      ServerProcess.start(nodeTarget, { CELLOS_NATS_URL: `ws://127.0.0.1:${wire.port}` }),
    ]);
    const counts: number[] = [];
    const headers: unknown[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const created = await here.http.post('/v1/formations', flatDocument(unique()));
      const { id } = JSON.parse(created.text) as { id: string };
      await new Rig(broker, there).whenApplied();
      wire.refuse(true);
      const options = { headers: { 'idempotency-key': unique('key') } };
      const first = await here.http.send('DELETE', `/v1/formations/${id}`, options);
      expect(first.status).toBe(204);
      await quiet(WINDOW_MS + 500);
      wire.refuse(false);
      const again = await until(
        async () => {
          const reply = await there.http.send('DELETE', `/v1/formations/${id}`, options);
          return reply.status === 503 ? undefined : reply;
        },
        { what: 'an answer', pollMs: 0 },
      );
      expect(again.status).toBe(204);
      headers.push([
        first.headers['cellos-cursor'],
        again.headers['cellos-cursor'],
        again.headers['idempotent-replayed'],
      ]);
      const failed = (await broker.messages()).filter(({ subject }) => subject.endsWith(`${id}.failed`));
      counts.push(failed.length);
    }
    await Promise.all([here.stop(), there.stop()]);
    await wire.stop();
    await broker.stop();
    expect(counts).toEqual(counts.map(() => 1));
  },
);
