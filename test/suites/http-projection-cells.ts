// Cell events as they show over HTTP. The reducer's own rules in full are tests of src/.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  COMMAND_COMPLETED,
  DESTROYED,
  STARTED,
  cellDestroyed,
  cellStarted,
  commandCompleted,
  supervisorRun,
  unique,
} from '../support/events.ts';
import { expectProblem } from '../support/http-client.ts';
import type { Rig } from '../support/server-process.ts';
import { until } from '../support/wait.ts';

export function cellProjectionSuite(rig: () => Rig): void {
  const cell = (id: string) => rig().http.read(`/v1/cells/${encodeURIComponent(id)}`);

  test('PRJ-41 PRJ-39 what a real supervisor publishes for one cell', async () => {
    const id = unique('cell');
    await rig().publish(...supervisorRun(id));
    expect(await cell(id)).toEqual({
      id,
      spec_id: 'hello-spec',
      run_id: 'run-local-001',
      state: 'destroyed',
      status: 'destroyed',
      formation_id: null,
      created_at: '2026-11-20T19:33:26.212779419+00:00',
      started_at: '2026-11-20T19:33:26.212779419+00:00',
      finished_at: '2026-11-20T19:33:26.219000001+00:00',
      destroyed_at: '2026-11-20T19:33:26.219000001+00:00',
      outcome: 'succeeded',
      exit_code: 0,
    });
  });

  test('PRJ-2 PRJ-30 PRJ-31 PRJ-32 step by step, with nothing but type and data', async () => {
    const id = unique('cell');
    const data = { cellId: id, specId: 's' };
    const bare = { spec_id: 's', run_id: null, formation_id: null, created_at: null, started_at: null };
    await rig().publish({ type: STARTED, data });
    expect(await cell(id)).toEqual({
      id,
      ...bare,
      state: 'running',
      status: 'running',
      destroyed_at: null,
      finished_at: null,
      outcome: null,
      exit_code: null,
    });
    await rig().publish({ type: COMMAND_COMPLETED, data: { ...data, exitCode: -7 } });
    expect(await cell(id)).toMatchObject({ state: 'running', exit_code: -7 });
    await rig().publish({ type: DESTROYED, data: { ...data, outcome: 'failed' } });
    expect(await cell(id)).toMatchObject({
      state: 'destroyed',
      status: 'destroyed',
      outcome: 'failed',
      exit_code: -7,
    });
  });

  test('PRJ-37 destroyed is terminal; the cursor goes on, with a WARN', async () => {
    const id = unique('cell');
    await rig().publish(cellStarted(id), cellDestroyed(id));
    const record = await cell(id);
    const warned = rig().server.warnings;
    const last = await rig().publish(
      cellStarted(id, { runId: 'late' }, { time: 'late' }),
      commandCompleted(id, { exitCode: 9 }),
      cellDestroyed(id, { outcome: 'other' }, { time: 'late' }),
    );
    expect(await cell(id)).toEqual(record);
    expect((await rig().snapshot()).cursor).toBe(last);
    await until(() => rig().server.warnings > warned, { what: 'a WARN' });
  });

  test('PRJ-38 a first event that is not started', async () => {
    const [completed, destroyed] = [unique('cell'), unique('cell')];
    await rig().publish(commandCompleted(completed, { exitCode: 3 }), cellDestroyed(destroyed));
    expect(await cell(completed)).toMatchObject({
      state: 'pending',
      status: 'pending',
      exit_code: 3,
      started_at: null,
    });
    expect(await cell(destroyed)).toMatchObject({
      state: 'destroyed',
      started_at: null,
      outcome: 'succeeded',
    });
  });

  test('PRJ-33 PRJ-34 cells without an id or a spec are ignored; the first spec stays unless empty', async () => {
    const [id, absent] = [unique('cell'), unique('absent')];
    await rig().publish(
      { type: STARTED, data: { specId: 's' } },
      { type: STARTED, data: { cellId: 5, specId: 's' } },
      { type: STARTED, data: { cellId: null, specId: 's' } },
      { type: STARTED, data: { cellId: absent } },
      { type: STARTED, data: { cellId: absent, specId: 5 } },
      { type: STARTED },
      { type: STARTED, data: [id] },
      cellStarted(id, { specId: '' }),
    );
    expectProblem(await rig().http.get(`/v1/cells/${absent}`), 'not-found');
    expect((await cell(id))['spec_id']).toBe('');
    await rig().publish(cellStarted(id, { specId: 'one' }), cellStarted(id, { specId: 'two' }));
    expect((await cell(id))['spec_id']).toBe('one');
    await rig().publish({ type: COMMAND_COMPLETED, data: { cellId: id, exitCode: 4 } });
    expect((await cell(id))['exit_code']).toBeNull();
  });

  test('PRJ-35 PRJ-40 run and formation are filled in once', async () => {
    const [id, formationId] = [unique('cell'), randomUUID()];
    await rig().publish(cellStarted(id, { formationId: 'no-uuid' }));
    expect(await cell(id)).toMatchObject({ run_id: null, formation_id: null });
    await rig().publish(
      commandCompleted(id, { runId: 'one', correlation: { formationId: formationId.toUpperCase() } }),
      commandCompleted(id, { runId: 'two', formationId: randomUUID() }),
    );
    expect(await cell(id)).toMatchObject({ run_id: 'one', formation_id: formationId });
  });

  test('PRJ-36 what has the wrong type counts as absent', async () => {
    const id = unique('cell');
    await rig().publish(cellStarted(id, {}, { time: 'T0' }), commandCompleted(id, { exitCode: 3 }));
    for (const exitCode of ['1.5', '"1"', 'null', 'true', '[1]', '{}'])
      await rig().publish(
        `{"type":"${COMMAND_COMPLETED}","data":{"cellId":"${id}","specId":"s","exitCode":${exitCode}}}`,
      );
    expect((await cell(id))['exit_code']).toBe(3);
    await rig().publish(cellStarted(id, {}, { time: null }), cellStarted(id, {}, { time: 5 }));
    expect((await cell(id))['started_at']).toBe('T0');
    await rig().publish(cellDestroyed(id, { outcome: { ok: true } }, { time: 7 }));
    expect(await cell(id)).toMatchObject({
      state: 'destroyed',
      outcome: null,
      destroyed_at: null,
      finished_at: null,
    });
  });
}
