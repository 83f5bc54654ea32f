// Formations over HTTP: submitted, listed, read by id and by name.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { FORMATION, flatDocument, formationEvent, unique } from '../support/events.ts';
import { expectProblem } from '../support/http-client.ts';
import type { Rig } from '../support/server-process.ts';

interface Formation {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly [key: string]: unknown;
}

export function formationsSuite(rig: () => Rig): void {
  const submit = async (name = unique()): Promise<Formation> => {
    const reply = await rig().http.post('/v1/formations', flatDocument(name));
    expect(reply.status, reply.text).toBe(201);
    return JSON.parse(reply.text) as Formation;
  };
  const read = (id: string) => rig().http.read<Formation>(`/v1/formations/${id}`);

  test('HTTP-20 a submission is answered with id, name and PENDING, and is there at once', async () => {
    const { http } = rig();
    const name = unique();
    const reply = await http.post('/v1/formations', flatDocument(name));
    expect(reply.status).toBe(201);
    expect(reply.headers['content-type']).toMatch(/^application\/json(;|$)/);
    const body = JSON.parse(reply.text) as Formation;
    expect(body).toEqual({ id: body.id, name, status: 'PENDING' });
    expect(body.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
    const record = await read(body.id);
    expect(record).toEqual({
      id: body.id,
      name,
      status: 'PENDING',
      phase: 'PENDING',
      document: flatDocument(name),
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updated_at: record['created_at'],
      cells: [],
    });
  });

  test.each([undefined, 'text/plain', 'application/x-www-form-urlencoded', 'nonsense', ''])(
    'HTTP-20 the content type is not checked: %j',
    async (type) => {
      const body = JSON.stringify(flatDocument(unique()));
      const headers = type === undefined ? {} : { 'content-type': type };
      expect((await rig().http.send('POST', '/v1/formations', { body, headers })).status).toBe(201);
    },
  );

  test('HTTP-21 the list is ordered by id and stands at the log’s last sequence', async () => {
    const ids = await Promise.all(Array.from({ length: 8 }, async () => (await submit()).id));
    const list = await rig().http.read<{ formations: Formation[]; cursor: number; epoch: string }>(
      '/v1/formations?Limit=1&Limit=2&unknown=%ff&state=x',
    );
    expect(Object.keys(list).toSorted()).toEqual(['cursor', 'epoch', 'formations']);
    expect(list.cursor).toBe(await rig().broker.lastSequence());
    expect(list.epoch).toBeTypeOf('string');
    expect(list.epoch).not.toBe('');
    const listed = list.formations.map((formation) => formation.id);
    expect(listed).toEqual(listed.toSorted());
    expect(listed).toEqual(expect.arrayContaining(ids));
    expect(list.formations.find((formation) => formation.id === ids[0])).toEqual(
      await read(ids[0] as string),
    );
  });

  test('HTTP-14 HTTP-22 an id may be spelled in several ways', async () => {
    const { id } = await submit();
    const record = await read(id);
    for (const spelling of [
      id.toUpperCase(),
      id.replaceAll('-', ''),
      id.replaceAll('-', '').toUpperCase(),
      `{${id}}`,
      `%7B${id}%7D`,
      `urn:uuid:${id}`,
      `urn%3Auuid%3A${id.toUpperCase()}`,
      `%${id.charCodeAt(0).toString(16)}${id.slice(1)}`,
    ])
      expect(await read(spelling), spelling).toEqual(record);
    for (const spelling of [
      id.slice(1),
      `${id}0`,
      `{${id}`,
      `(${id})`,
      id.replace('-', ''),
      `x${id.slice(1)}`,
    ])
      expectProblem(await rig().http.get(`/v1/formations/${spelling}`), 'not-found');
  });

  test('HTTP-22 HTTP-23 HTTP-24 what is unknown is 404 and named', async () => {
    const { http } = rig();
    const id = randomUUID();
    expectProblem(await http.get(`/v1/formations/${id}`), 'not-found', { names: [id] });
    expectProblem(await http.get('/v1/formations/no-such-name'), 'not-found', { names: ['no-such-name'] });
    expectProblem(await http.get('/v1/formations/by-name/no%20such'), 'not-found', { names: ['no such'] });
    expectProblem(await http.get('/v1/formations/by-name/a%2Fb'), 'not-found', { names: ['a/b'] });
  });

  test('HTTP-23 HTTP-24 a formation is read by its name', async () => {
    const name = unique('By.Name_');
    const record = await read((await submit(name)).id);
    expect(await read(name)).toEqual(record);
    expect(await read(`by-name/${name}`)).toEqual(record);
    expect(await read(`by-name/%42${name.slice(1)}`)).toEqual(record);
    expectProblem(await rig().http.get(`/v1/formations/by-name/${name.toLowerCase()}`), 'not-found');
  });

  test('HTTP-24 by-name reads a name that looks like an id', async () => {
    const name = randomUUID();
    const { id } = await submit(name);
    expect((await read(`by-name/${name}`)).id).toBe(id);
    expectProblem(await rig().http.get(`/v1/formations/${name}`), 'not-found');
  });

  test('PRJ-16 HTTP-29 a name stands for its newest live formation, else its newest', async () => {
    const name = unique();
    const [first, second] = [randomUUID(), randomUUID()];
    const told = (phase: string, formationId: string) =>
      formationEvent(phase, { formationId, formationName: name });
    const holder = async () => (await read(name)).id;
    await rig().publish(told('created', first), told('created', second), told('running', first));
    expect(await holder()).toBe(second);
    await rig().publish(told('failed', second));
    expect(await holder()).toBe(first);
    await rig().publish(told('completed', first));
    expect(await holder()).toBe(second);
    expect((await read(`by-name/${name}`)).id).toBe(second);
    await rig().publish(told('launching', first));
    expect(await holder()).toBe(first);
  });

  test('PRJ-11 a formation that others cancelled shows so', async () => {
    const { id } = await submit();
    await rig().publish({ type: `${FORMATION}cancelled`, data: { formationId: id } });
    expect(await read(id)).toMatchObject({ status: 'CANCELLED', phase: 'CANCELLED' });
  });
}
