// Formations over HTTP: moved on and deleted.
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { flatDocument, formationEvent, unique } from '../support/events.ts';
import { expectProblem } from '../support/http-client.ts';
import type { Rig } from '../support/server-process.ts';

interface Formation {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly [key: string]: unknown;
}

export function formationChangesSuite(rig: () => Rig): void {
  const submit = async (name = unique()): Promise<Formation> => {
    const reply = await rig().http.post('/v1/formations', flatDocument(name));
    expect(reply.status, reply.text).toBe(201);
    return JSON.parse(reply.text) as Formation;
  };
  const read = (id: string) => rig().http.read<Formation>(`/v1/formations/${id}`);
  const move = (id: string, body: unknown, headers = {}) =>
    rig().http.post(`/v1/formations/${id}/status`, body, { headers });

  describe('deleting', () => {
    test('HTTP-25 by id: 204, the record stays as FAILED, again 204', async () => {
      const { http } = rig();
      const { id } = await submit();
      for (const spelling of [id, id, id.toUpperCase(), `urn:uuid:${id}`]) {
        const reply = await http.send('DELETE', `/v1/formations/${spelling}`);
        expect([reply.status, reply.text]).toEqual([204, '']);
        expect(await read(id)).toMatchObject({
          status: 'FAILED',
          phase: 'FAILED',
          reason: 'deleted by operator',
        });
      }
      const { formations } = await rig().snapshot();
      expect(formations.filter((formation) => formation['id'] === id)).toHaveLength(1);
    });

    test('HTTP-25 by name: the same', async () => {
      const { http } = rig();
      const { id, name } = await submit();
      for (let round = 0; round < 2; round += 1) {
        expect((await http.send('DELETE', `/v1/formations/by-name/${name}`)).status).toBe(204);
        expect((await read(id)).status).toBe('FAILED');
      }
    });

    test('HTTP-25 unknown is 404; by id what is not a UUID is 400, also when it is a name', async () => {
      const { http } = rig();
      const [id, { name }] = [randomUUID(), await submit()];
      expectProblem(await http.send('DELETE', `/v1/formations/${id}`), 'not-found', { names: [id] });
      expectProblem(await http.send('DELETE', '/v1/formations/by-name/nobody'), 'not-found', {
        names: ['nobody'],
      });
      expectProblem(await http.send('DELETE', `/v1/formations/${name}`), 'bad-request', { names: [name] });
      expect((await read(name)).status).toBe('PENDING');
    });

    test('HTTP-26 by name with several live holders: 409 with the name and the ids, nothing deleted', async () => {
      const { http } = rig();
      const name = unique();
      const ids = [randomUUID(), randomUUID()];
      const events = ids.map((formationId) =>
        formationEvent('running', { formationId, formationName: name }),
      );
      const last = await rig().publish(...events);
      const reply = await http.send('DELETE', `/v1/formations/by-name/${name}`);
      expectProblem(reply, 'conflict', { names: [name, ...ids] });
      expect(await rig().broker.lastSequence()).toBe(last);
      await rig().publish(formationEvent('completed', { formationId: ids[1] }));
      expect((await http.send('DELETE', `/v1/formations/by-name/${name}`)).status).toBe(204);
      expect([(await read(ids[0] as string)).status, (await read(ids[1] as string)).status]).toEqual([
        'FAILED',
        'SUCCEEDED',
      ]);
    });
  });

  describe('moving on', () => {
    test.each([
      ['LAUNCHING', 'RUNNING'],
      ['RUNNING', 'RUNNING'],
      ['DEGRADED', 'RUNNING'],
      ['COMPLETED', 'SUCCEEDED'],
      ['FAILED', 'FAILED'],
    ])('HTTP-27 %s shows as %s', async (state, status) => {
      const { id } = await submit();
      for (const spelling of [state, state.toLowerCase(), state[0] + state.slice(1).toLowerCase()]) {
        const reply = await move(id, { state: spelling, reason: null, failed_cells: null, extra: [1] });
        expect([reply.status, reply.text]).toEqual([204, '']);
        expect(await read(id)).toMatchObject({ status, phase: state });
      }
    });

    test('HTTP-27 PRJ-18 reason and failed cells show as given, until an event without them', async () => {
      const { id } = await submit();
      await move(id, { state: 'degraded', reason: 'lost one', failed_cells: ['b', 'a', 'b'] });
      expect(await read(id)).toMatchObject({
        phase: 'DEGRADED',
        reason: 'lost one',
        failed_cells: ['b', 'a', 'b'],
      });
      await move(id, { state: 'running', reason: 'found it', failed_cells: ['a'] });
      const running = await read(id);
      expect(running).toMatchObject({ phase: 'RUNNING', reason: 'found it' });
      expect(running).not.toHaveProperty('failed_cells');
      await move(id, { state: 'running' });
      const plain = await read(id);
      expect(plain).not.toHaveProperty('reason');
      expect(plain).not.toHaveProperty('state');
    });

    test('HTTP-27 PRJ-17 a finished formation may move again, in any spelling of its id', async () => {
      const { id } = await submit();
      for (const state of ['COMPLETED', 'RUNNING', 'FAILED', 'LAUNCHING']) {
        expect((await move(`urn:uuid:${id.toUpperCase()}`, { state })).status).toBe(204);
        expect((await read(id))['phase']).toBe(state);
      }
    });

    test.each([
      'application/json; charset=utf-8',
      'APPLICATION/JSON',
      'application/json;',
      'application/merge-patch+json',
      'application/ld+JSON; profile="x"',
    ])('HTTP-28 content type %s is taken', async (type) => {
      const { id } = await submit();
      expect((await move(id, { state: 'running' }, { 'content-type': type })).status).toBe(204);
    });

    test.each([
      'text/json',
      'application/jsonp',
      'application/x-www-form-urlencoded',
      'json',
      'application',
      '',
    ])('HTTP-28 content type %j is 415', async (type) => {
      const { id } = await submit();
      expectProblem(await move(id, { state: 'running' }, { 'content-type': type }), 'unsupported-media-type');
      expect((await read(id)).status).toBe('PENDING');
    });

    test('HTTP-28 the refusals come in order', async () => {
      const { http } = rig();
      const { id, name } = await submit();
      const unknown = randomUUID();
      const before = await rig().broker.lastSequence();
      const bare = (path: string, body: string) =>
        http.send('POST', `/v1/formations/${path}/status`, { body });
      for (const path of ['no-id', name])
        expectProblem(await bare(path, '{'), 'bad-request', { names: [path] });
      expectProblem(await bare(unknown, '{'), 'unsupported-media-type');
      for (const body of [
        '',
        '{',
        '{"state":"running"} x',
        '{"state":"running"}{}',
        '{"state":"running",}',
        "{'state':1}",
      ])
        expectProblem(await move(unknown, body), 'bad-request', { status: 400 });
      for (const body of ['[]', '["running"]', 'null', '"running"', '1', 'true', '{}'])
        expectProblem(await move(unknown, body), 'bad-request', { status: 422 });
      const wrong = [{ state: null }, { state: 1 }, { state: ['running'] }, { state: 'running', reason: 1 }];
      for (const body of wrong) expectProblem(await move(unknown, body), 'bad-request', { status: 422 });
      for (const failed_cells of ['a', {}, [1], ['a', null]])
        expectProblem(await move(unknown, { state: 'running', failed_cells }), 'bad-request', {
          status: 422,
        });
      expectProblem(await move(unknown, { state: 'nonsense' }), 'not-found', { names: [unknown] });
      for (const state of [
        'nonsense',
        '',
        ' running',
        'running ',
        'PENDING',
        'CANCELLED',
        'SUCCEEDED',
        'created',
      ])
        expectProblem(await move(id, { state }), 'bad-request', { names: [state.trim()] });
      expect(await rig().broker.lastSequence()).toBe(before);
    });

    test('HTTP-28 white space around the object is not anything after it', async () => {
      const { id } = await submit();
      expect((await move(id, ` \r\n\t{"state":"running"}\n `)).status).toBe(204);
      expect((await read(id))['phase']).toBe('RUNNING');
    });
  });
}
