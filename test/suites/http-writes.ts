// What the server writes to the log for each accepted request, read from the log itself.
import { describe, expect, test } from 'vitest';
import { FORMATION, flatDocument, formationEvent, kubectlDocument, unique } from '../support/events.ts';
import type { Rig } from '../support/server-process.ts';

interface Written {
  readonly subject: string;
  readonly event: Record<string, unknown> & { data: Record<string, unknown> };
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

/** `operator` is what the server was started with. */
export function writesSuite(rig: () => Rig, operator: string): void {
  const submit = async (document: unknown, headers = {}) => {
    const reply = await rig().http.post('/v1/formations', document, { headers });
    expect(reply.status, reply.text).toBe(201);
    return JSON.parse(reply.text) as { id: string; name: string };
  };
  const lastWritten = async (): Promise<Written> => {
    const { subject, text } = await rig().broker.message(await rig().broker.lastSequence());
    return { subject, event: JSON.parse(text) as Written['event'] };
  };
  const move = async (id: string, body: unknown, headers = {}) => {
    expect((await rig().http.post(`/v1/formations/${id}/status`, body, { headers })).status).toBe(204);
    return lastWritten();
  };
  const remove = async (path: string) => {
    expect((await rig().http.send('DELETE', `/v1/formations/${path}`)).status).toBe(204);
    return lastWritten();
  };

  test('OUT-1 OUT-2 OUT-4 OUT-5 a submission', async () => {
    const document = { ...flatDocument(unique()), note: 'kept' };
    const asked = Date.now();
    const { id, name } = await submit(document);
    const { subject, event } = await lastWritten();
    expect(subject).toBe(`cellos.events.formations.${id}.created`);
    expect(event).toEqual({
      specversion: '1.0',
      id: expect.stringMatching(UUID),
      source: `principal://operator/${encodeURIComponent(operator)}`,
      type: `${FORMATION}created`,
      datacontenttype: 'application/json',
      data: { formationId: id, formationName: name, cellCount: 2, failedCellIds: [], document },
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      traceparent: null,
    });
    expect(Math.abs(Date.parse(event['time'] as string) - asked)).toBeLessThan(5000);
    expect(event['id']).not.toBe(id);
  });

  test('OUT-5 the document in the event is the normalised one, numbers as they were spelled', async () => {
    const manifest = kubectlDocument(unique());
    const body = JSON.stringify(manifest).replace('{"name":"lead"}', '{"name":"lead","cpu":1.50}');
    const { name } = await submit(body);
    const { text } = await rig().broker.message(await rig().broker.lastSequence());
    expect(text).toContain('"cpu":1.50');
    expect((JSON.parse(text) as Written['event']).data['document']).toEqual({
      ...flatDocument(name),
      members: [
        { id: 'lead', cpu: 1.5 },
        { id: 'worker', authorizedBy: 'lead' },
      ],
    });
  });

  test('OUT-1 OUT-4 a deletion', async () => {
    const { id, name } = await submit(flatDocument(unique()));
    for (const path of [id, `by-name/${name}`]) {
      const { subject, event } = await remove(path);
      expect(subject).toBe(`cellos.events.formations.${id}.failed`);
      expect(event['type']).toBe(`${FORMATION}failed`);
      expect(event.data).toEqual({
        formationId: id,
        formationName: name,
        cellCount: 2,
        failedCellIds: [],
        reason: 'deleted by operator',
      });
    }
  });

  test.each(['launching', 'running', 'degraded', 'completed', 'failed'])(
    'OUT-1 OUT-4 a move to %s',
    async (phase) => {
      const { id, name } = await submit(flatDocument(unique()));
      const plain = { formationId: id, formationName: name, cellCount: 2, failedCellIds: [] as string[] };
      const { subject, event } = await move(id, { state: phase.toUpperCase() });
      expect(subject).toBe(`cellos.events.formations.${id}.${phase}`);
      expect(event['type']).toBe(FORMATION + phase);
      expect(event['source']).toBe(`principal://operator/${encodeURIComponent(operator)}`);
      expect(event.data).toEqual(plain);
      const explained = await move(id, { state: phase, reason: 'why "so"', failed_cells: ['worker', 'x'] });
      const named = phase === 'degraded' || phase === 'failed' ? ['worker', 'x'] : [];
      expect(explained.event.data).toEqual({ ...plain, failedCellIds: named, reason: 'why "so"' });
      expect(explained.event['id']).not.toBe(event['id']);
    },
  );

  test('OUT-4 a formation without a document has no cells to count', async () => {
    const id = crypto.randomUUID();
    await rig().publish(formationEvent('created', { formationId: id }));
    const { event } = await move(id, { state: 'running' });
    expect(event.data).toEqual({ formationId: id, formationName: '', cellCount: 0, failedCellIds: [] });
  });

  describe('traceparent', () => {
    test('OUT-3 the request’s, when it is valid', async () => {
      const headers = { traceparent: TRACEPARENT };
      const { id } = await submit(flatDocument(unique()), headers);
      expect((await lastWritten()).event['traceparent']).toBe(TRACEPARENT);
      expect((await move(id, { state: 'running' }, headers)).event['traceparent']).toBe(TRACEPARENT);
      await rig().http.send('DELETE', `/v1/formations/${id}`, { headers });
      expect((await lastWritten()).event['traceparent']).toBe(TRACEPARENT);
    });

    test.each([
      'nonsense',
      TRACEPARENT.slice(0, -1),
      TRACEPARENT.toUpperCase(),
      TRACEPARENT.replace('00-', 'ff-'),
      `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
      `00-4bf92f3577b34da6a3ce929d0e0e4736-${'0'.repeat(16)}-01`,
      `${TRACEPARENT}-extra`,
    ])('OUT-3 %j is none', async (traceparent) => {
      await submit(flatDocument(unique()), { traceparent });
      expect((await lastWritten()).event['traceparent']).toBeNull();
    });
  });

  test('OUT-6 what follows an answer sees it, whoever asks', async () => {
    const { http } = rig();
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const { id, name } = await submit(flatDocument(unique()));
        expect((await http.get(`/v1/formations/by-name/${name}`)).status).toBe(200);
        for (const state of ['LAUNCHING', 'RUNNING', 'COMPLETED']) {
          expect((await http.post(`/v1/formations/${id}/status`, { state })).status).toBe(204);
          const record = await http.read(`/v1/formations/${id}`);
          expect(record['phase']).toBe(state);
        }
      }),
    );
  });

  test('OUT-8 every accepted move and deletion is one event, also when it repeats the state', async () => {
    const { id } = await submit(flatDocument(unique()));
    const before = await rig().broker.lastSequence();
    for (let round = 0; round < 3; round += 1) await move(id, { state: 'RUNNING' });
    for (let round = 0; round < 3; round += 1) await remove(id);
    const written = await rig().broker.messages(before + 1);
    expect(written.map((message) => message.subject.split('.').at(-1))).toEqual([
      ...Array.from({ length: 3 }, () => 'running'),
      ...Array.from({ length: 3 }, () => 'failed'),
    ]);
    const ids = written.map((message) => (JSON.parse(message.text) as { id: string }).id);
    expect(new Set(ids).size).toBe(6);
  });

  test('OUT-9 a refused request writes nothing', async () => {
    const { http } = rig();
    const { id, name } = await submit(flatDocument(unique()));
    const before = await rig().broker.lastSequence();
    const statuses = [
      await http.post('/v1/formations', flatDocument(name)),
      await http.post('/v1/formations', '{'),
      await http.post(`/v1/formations/${id}/status`, { state: 'x' }),
      await http.send('DELETE', `/v1/formations/${crypto.randomUUID()}`),
      await http.send('DELETE', '/v1/formations/by-name/nobody'),
      await http.send('DELETE', `/v1/formations/${id}`, { authorization: null }),
    ].map((reply) => reply.status);
    expect(statuses).toEqual([409, 400, 400, 404, 404, 401]);
    expect(await rig().broker.lastSequence()).toBe(before);
  });
}
