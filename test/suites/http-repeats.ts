// Requests with an Idempotency-Key: once in the log, however often they are sent.
import { describe, expect, test } from 'vitest';
import { flatDocument, unique } from '../support/events.ts';
import { expectProblem } from '../support/http-client.ts';
import type { Reply } from '../support/http-client.ts';
import type { Rig } from '../support/server-process.ts';

export function repeatsSuite(rig: () => Rig): void {
  const submit = (body: unknown, key?: string): Promise<Reply> =>
    rig().http.post('/v1/formations', body, key === undefined ? {} : { headers: { 'idempotency-key': key } });
  const move = (id: string, body: unknown, key: string) =>
    rig().http.post(`/v1/formations/${id}/status`, body, { headers: { 'idempotency-key': key } });
  const remove = (path: string, key: string) =>
    rig().http.send('DELETE', `/v1/formations/${path}`, { headers: { 'idempotency-key': key } });
  const last = () => rig().broker.lastSequence();
  const key = () => crypto.randomUUID();

  function expectReplay(reply: Reply, first: Reply): void {
    expect(first.headers['idempotent-replayed']).toBeUndefined();
    expect(reply.headers['idempotent-replayed']).toBe('true');
    expect([reply.status, reply.text]).toEqual([first.status, first.text]);
    expect(reply.headers['cellos-cursor']).toBe(first.headers['cellos-cursor']);
    expect(reply.headers['content-type']).toBe(first.headers['content-type']);
  }

  async function created(): Promise<{ id: string; name: string }> {
    const reply = await submit(flatDocument(unique()));
    expect(reply.status, reply.text).toBe(201);
    return JSON.parse(reply.text) as { id: string; name: string };
  }

  test('OUT-15 a submission is answered as the first time, and once in the log', async () => {
    const [document, again] = [flatDocument(unique()), key()];
    const first = await submit(document, again);
    expect(first.status, first.text).toBe(201);
    const seq = await last();
    expectReplay(await submit(document, again), first);
    const { id } = JSON.parse(first.text) as { id: string };
    expect((await rig().http.send('DELETE', `/v1/formations/${id}`)).status).toBe(204);
    expectReplay(await submit(document, again), first);
    expect(await last()).toBe(seq + 1);
    // Another key is another request: the name is free again.
    expect((await submit(document, key())).status).toBe(201);
  });

  test('OUT-15 the event carries digests of key and body, not them', async () => {
    const again = `secret-${key()}`;
    await submit(flatDocument(unique()), again);
    const { text } = await rig().broker.message(await last());
    const event = JSON.parse(text) as Record<string, string>;
    expect(event['idempotencykey']).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(event['requestdigest']).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(text).not.toContain('secret-');
  });

  test('OUT-15 so are a status and a deletion', async () => {
    const { id, name } = await created();
    const keys = [key(), key(), key()] as const;
    const requests = [
      () => move(id, { state: 'RUNNING' }, keys[0]),
      () => remove(id, keys[1]),
      () => remove(`by-name/${name}`, keys[2]),
    ];
    const firsts: Reply[] = [];
    for (const request of requests) firsts.push(await request());
    expect(firsts.map(({ status }) => status)).toEqual([204, 204, 204]);
    const seq = await last();
    for (const [at, request] of requests.entries()) expectReplay(await request(), firsts[at] as Reply);
    expect(await last()).toBe(seq);
  });

  test('OUT-15 a key belongs to its method and its path', async () => {
    const [one, other] = [await created(), await created()];
    const again = key();
    for (const { id } of [one, other]) {
      const moved = await move(id, { state: 'RUNNING' }, again);
      expect([moved.status, moved.headers['idempotent-replayed']]).toEqual([204, undefined]);
      const removed = await remove(id, again);
      expect([removed.status, removed.headers['idempotent-replayed']]).toEqual([204, undefined]);
    }
    const submitted = await submit(flatDocument(unique()), again);
    expect([submitted.status, submitted.headers['idempotent-replayed']]).toEqual([201, undefined]);
  });

  test('OUT-15 many at the same moment are one', async () => {
    const [document, again] = [flatDocument(unique()), key()];
    const seq = await last();
    const replies = await Promise.all(Array.from({ length: 12 }, () => submit(document, again)));
    expect(new Set(replies.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(replies.filter(({ headers }) => headers['idempotent-replayed'] === undefined)).toHaveLength(1);
    expect(await last()).toBe(seq + 1);
  });

  test('OUT-16 another body is a 422', async () => {
    const again = key();
    const document = flatDocument(unique());
    expect((await submit(document, again)).status).toBe(201);
    const seq = await last();
    expectProblem(await submit(flatDocument(unique()), again), 'idempotency-key-reused');
    // Bytes are compared, not what they mean.
    expectProblem(await submit(JSON.stringify(document, null, 1), again), 'idempotency-key-reused');
    const { id } = await created();
    expect((await move(id, { state: 'RUNNING' }, again)).status).toBe(204);
    expectProblem(await move(id, { state: 'FAILED' }, again), 'idempotency-key-reused');
    expect(await last()).toBe(seq + 2);
  });

  test('OUT-17 an answer that wrote nothing is not remembered', async () => {
    const [{ id, name }, again] = [await created(), key()];
    expectProblem(await submit({ name }, again), 'bad-request');
    expectProblem(await submit(flatDocument(name), again), 'conflict');
    expectProblem(await move(crypto.randomUUID(), { state: 'RUNNING' }, again), 'not-found');
    expect((await rig().http.send('DELETE', `/v1/formations/${id}`)).status).toBe(204);
    const reply = await submit(flatDocument(name), again);
    expect([reply.status, reply.headers['idempotent-replayed']]).toEqual([201, undefined]);
  });

  describe('OUT-15 a key is 1 to 255 printable ASCII characters', () => {
    test.each(['k', ' inner blank ', '"quoted"', '~!@#$%^&*()', 'k'.repeat(255)])('%j', async (spelled) => {
      const again = spelled.length < 200 ? spelled + key() : spelled;
      const document = flatDocument(unique());
      const first = await submit(document, again);
      expect(first.status, first.text).toBe(201);
      expectReplay(await submit(document, again), first);
    });

    test.each(['', 'k'.repeat(256), 'tab\tbed', 'ä', '\u007f'])('not %j', async (spelled) => {
      const seq = await last();
      const body = JSON.stringify(flatDocument(unique()));
      const received = await rig().http.exchange(
        `POST /v1/formations HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${rig().http.token}\r\n` +
          `idempotency-key: ${spelled}\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      expect(received).toMatch(/^HTTP\/1\.1 400 /);
      expect(await last()).toBe(seq);
    });

    test('whatever the method, where it means something', async () => {
      const { id } = await created();
      expectProblem(await move(id, { state: 'RUNNING' }, 'k'.repeat(256)), 'bad-request');
      expectProblem(await remove(id, 'k'.repeat(256)), 'bad-request');
      const reading = await rig().http.get(`/v1/formations/${id}`, {
        headers: { 'idempotency-key': 'k'.repeat(256) },
      });
      expect(reading.status).toBe(200);
    });
  });
}
