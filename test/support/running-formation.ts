// A formation at work, for the tests that look at it through a client: one cell is done, one runs.
import { expect } from 'vitest';
import { cellDestroyed, cellStarted, commandCompleted, flatDocument, unique } from './events.ts';
import type { Rig } from './server-process.ts';

export const STARTED_AT = '2026-11-20T19:33:26.212779419+00:00';
export const FINISHED_AT = '2026-11-20T19:33:26.219000001+00:00';

/** Submits the smallest document; returns the record's id. */
export async function submitFormation({ http }: Pick<Rig, 'http'>, name: string): Promise<string> {
  const reply = await http.post('/v1/formations', flatDocument(name));
  expect(reply.status, reply.text).toBe(201);
  return (JSON.parse(reply.text) as { id: string }).id;
}

export interface RunningFormation {
  readonly name: string;
  readonly id: string;
  /** The cell that has failed with exit code 3. */
  readonly done: string;
  /** The cell that runs; the formation is named in its events' correlation. */
  readonly busy: string;
}

/** Submits one and has a supervisor start two cells of it, of which one ends: five events. */
export async function startFormation(rig: Pick<Rig, 'http' | 'publish'>): Promise<RunningFormation> {
  const [name, done, busy] = [unique(), unique('done'), unique('busy')];
  const id = await submitFormation(rig, name);
  await rig.publish(
    cellStarted(done, { specId: 'build', runId: 'run-7', formationId: id }, { time: STARTED_AT }),
    cellStarted(busy, { specId: 'serve', correlation: { formationId: id } }, { time: STARTED_AT }),
    commandCompleted(done, { specId: 'build', exitCode: 3 }),
    cellDestroyed(done, { specId: 'build', outcome: 'failed' }, { time: FINISHED_AT }),
  );
  return { name, id, done, busy };
}
