// Cells over HTTP: the list with its filters, one record.
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  cellDestroyed,
  cellStarted,
  commandCompleted,
  flatDocument,
  formationEvent,
  unique,
} from '../support/events.ts';
import { expectProblem } from '../support/http-client.ts';
import type { Rig } from '../support/server-process.ts';

interface Cell {
  readonly id: string;
  readonly state: string;
  readonly formation_id: string | null;
}

export function cellsSuite(rig: () => Rig): void {
  const list = (query = '') => rig().http.read<Cell[]>(`/v1/cells${query}`);
  const ids = async (query: string, mark: string) =>
    (await list(query)).map((cell) => cell.id).filter((id) => id.startsWith(mark));

  test('HTTP-30 ordered by the UTF-8 bytes of the id', async () => {
    const mark = unique('order');
    // UTF-16 would put the last one before U+FF5E.
    const suffixes = ['', '!', '0', '10', '9', 'A', 'Z', 'a', 'b', '~', 'é', '～', '\u{1f600}'];
    await rig().publish(...suffixes.toReversed().map((suffix) => cellStarted(mark + suffix)));
    expect(await ids('', mark)).toEqual(suffixes.map((suffix) => mark + suffix));
    const all = (await list()).map((cell) => cell.id);
    expect(all).toEqual(all.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
  });

  test('HTTP-31 by state, in any letter case', async () => {
    const mark = unique('state');
    await rig().publish(
      cellStarted(`${mark}-r`),
      commandCompleted(`${mark}-p`),
      cellStarted(`${mark}-d`),
      cellDestroyed(`${mark}-d`),
    );
    for (const [state, suffix] of [
      ['running', 'r'],
      ['PENDING', 'p'],
      ['Destroyed', 'd'],
      ['%64estroyed', 'd'],
    ] as const)
      expect(await ids(`?state=${state}`, mark)).toEqual([`${mark}-${suffix}`]);
  });

  test.each(['', 'x', 'running+', '%20running', 'terminated', 'running,pending'])(
    'HTTP-31 state=%s is 400',
    async (state) => {
      const names = state === 'x' || state === 'terminated' ? [state] : [];
      expectProblem(await rig().http.get(`/v1/cells?state=${state}`), 'bad-request', { names });
    },
  );

  describe('by formation', () => {
    test('HTTP-32 by id in any spelling, or by name', async () => {
      const mark = unique('of');
      const name = unique();
      const reply = await rig().http.post('/v1/formations', flatDocument(name));
      const { id } = JSON.parse(reply.text) as { id: string };
      await rig().publish(
        cellStarted(`${mark}-a`, { formationId: id.toUpperCase() }),
        cellStarted(`${mark}-b`, { correlation: { formationId: `urn:uuid:${id}` } }),
        cellStarted(`${mark}-c`, { formationId: randomUUID() }),
        cellStarted(`${mark}-d`),
      );
      for (const formation of [
        id,
        id.toUpperCase(),
        id.replaceAll('-', ''),
        `{${id}}`,
        `urn:uuid:${id}`,
        name,
      ])
        expect(await ids(`?formation=${formation}`, '')).toEqual([`${mark}-a`, `${mark}-b`]);
      const record = await rig().http.read<{ cells: Cell[] }>(`/v1/formations/${id}`);
      expect(record.cells).toEqual(await list(`?formation=${id}`));
      const { formations } = await rig().snapshot();
      expect(formations.find((formation) => formation['id'] === id)?.['cells']).toEqual(record.cells);
      expect(await ids(`?formation=${id}&state=pending`, '')).toEqual([]);
    });

    test('HTTP-32 PRJ-40 an id that no formation event told of still selects its cells', async () => {
      const [formationId, cell] = [randomUUID(), unique('cell')];
      await rig().publish(cellStarted(cell, { formationId }));
      expect(await ids(`?formation=${formationId}`, '')).toEqual([cell]);
    });

    test('HTTP-32 HTTP-29 a name stands for its holder', async () => {
      const name = unique();
      const [first, second] = [randomUUID(), randomUUID()];
      const [cell1, cell2] = [unique('cell'), unique('cell')];
      await rig().publish(
        formationEvent('created', { formationId: first, name }),
        formationEvent('created', { formationId: second, name }),
        cellStarted(cell1, { formationId: first }),
        cellStarted(cell2, { formationId: second }),
      );
      expect(await ids(`?formation=${name}`, '')).toEqual([cell2]);
      await rig().publish(formationEvent('failed', { formationId: second }));
      expect(await ids(`?formation=${name}`, '')).toEqual([cell1]);
    });

    test.each(['', 'no-such-name', '00000000-0000-4000-8000-00000000dead', '%20'])(
      'HTTP-32 formation=%s selects nothing',
      async (formation) => {
        await rig().publish(cellStarted(unique('cell')));
        expect(await list(`?formation=${formation}`)).toEqual([]);
      },
    );
  });

  test('HTTP-33 the limit applies after the filters', async () => {
    const formationId = randomUUID();
    const cells = Array.from({ length: 5 }, (_, index) => unique(`limit-${index}`));
    await rig().publish(
      ...cells.map((cell) => cellStarted(cell, { formationId })),
      cellDestroyed(cells[0] as string),
    );
    expect(await ids(`?formation=${formationId}&limit=2`, '')).toEqual(cells.slice(0, 2));
    expect(await ids(`?limit=2&state=running&formation=${formationId}`, '')).toEqual(cells.slice(1, 3));
    expect(await ids(`?limit=0&formation=${formationId}`, '')).toEqual([]);
    expect(await ids(`?limit=18446744073709551615&formation=${formationId}`, '')).toEqual(cells);
  });

  test('HTTP-33 the limit is capped at 1000, and unlimited when absent', async () => {
    const formationId = randomUUID();
    await rig().publish(...Array.from({ length: 1005 }, () => cellStarted(unique('cap'), { formationId })));
    expect(await list(`?formation=${formationId}`)).toHaveLength(1005);
    for (const limit of ['1000', '1001', '5000', '18446744073709551615'])
      expect(await list(`?formation=${formationId}&limit=${limit}`)).toHaveLength(1000);
    expect(await list(`?formation=${formationId}&limit=999`)).toHaveLength(999);
  });

  test.each(['foo=1', 'foo', 'Limit=1', 'STATE=running', 'limit=1&x=', '=1', 'since=0', 'cursor=1'])(
    'HTTP-34 ?%s is 400',
    async (query) => {
      expectProblem(await rig().http.get(`/v1/cells?${query}`), 'bad-request');
    },
  );

  test('HTTP-34 HTTP-16 the unknown parameter is named', async () => {
    expectProblem(await rig().http.get('/v1/cells?limit=1&colour=red'), 'bad-request', { names: ['colour'] });
  });

  test('HTTP-35 one cell, the same record as in the list', async () => {
    const cell = unique('cell');
    await rig().publish(cellStarted(cell));
    const record = await rig().http.read<Cell>(`/v1/cells/${cell}`);
    expect((await list()).find((one) => one.id === cell)).toEqual(record);
    expectProblem(await rig().http.get('/v1/cells/no%2Fsuch'), 'not-found', { names: ['no/such'] });
    expectProblem(await rig().http.get(`/v1/cells/${cell.toUpperCase()}`), 'not-found');
  });
}
