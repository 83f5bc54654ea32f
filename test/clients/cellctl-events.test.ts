// What the real cellctl follows: the events of everything, of a formation, of a cell.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cellctl, parseEventLine } from '../support/cellctl.ts';
import {
  COMMAND_COMPLETED,
  DESTROYED,
  FORMATION,
  STARTED,
  cellDestroyed,
  cellStarted,
  commandCompleted,
  flatDocument,
  supervisorRun,
  unique,
} from '../support/events.ts';
import { findCellctl, requireClients } from '../support/real-clients.ts';
import { FINISHED_AT, STARTED_AT, startFormation, submitFormation } from '../support/running-formation.ts';
import { nodeTarget, useRig } from '../support/server-process.ts';
import { until } from '../support/wait.ts';

const cellctl = await findCellctl();

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

function linesOf(output: string): string[] {
  return output.split('\n').filter((line) => line !== '');
}

function belongsTo(data: unknown, formationId: string): boolean {
  return (data as { formationId?: string }).formationId === formationId;
}

test('CTL-1 events and logs of the real cellctl', (context) => requireClients(context, cellctl));

describe.runIf(cellctl.found)('cellctl', () => {
  const rig = useRig(nodeTarget);
  let user: Cellctl;
  beforeAll(async () => {
    if (cellctl.found) user = await Cellctl.create(cellctl.path, rig().http);
  });
  afterAll(() => user.remove());

  describe('events', () => {
    test('CTL-12 the retained events, from a sequence on and page by page', async () => {
      const since = await rig().broker.lastSequence();
      const { name, id, done } = await startFormation(rig());
      const all = await user.run(['events', '--since', `${since}`]);
      expect(all).toMatchObject({ code: 0, stderr: '' });
      const events = linesOf(all.stdout).map(parseEventLine);
      expect(events.map(({ type }) => type)).toEqual([
        `${FORMATION}created`,
        STARTED,
        STARTED,
        COMMAND_COMPLETED,
        DESTROYED,
      ]);
      expect(events[0]).toMatchObject({
        time: expect.stringMatching(TIME),
        data: { formationId: id, formationName: name, cellCount: 2, document: flatDocument(name) },
      });
      expect(events.at(-1)).toMatchObject({ time: FINISHED_AT, data: { cellId: done, outcome: 'failed' } });
      const page = await user.run(['events', '--since', `${since + 1}`, '--limit', '2']);
      expect(linesOf(page.stdout)).toEqual(linesOf(all.stdout).slice(1, 3));
    });

    test('CTL-13 --follow prints what is published from then on, at once and in order', async () => {
      const follower = user.follow('events', '--follow');
      try {
        // It says nothing when it is connected: publish until it shows something.
        await until(
          async () => {
            await rig().publish(cellStarted('early'));
            return follower.lines.length > 0;
          },
          { what: 'the first line', pollMs: 50 },
        );
        const name = unique();
        const id = await submitFormation(rig(), name);
        const cells = Array.from({ length: 50 }, () => unique('cell'));
        await rig().publish(
          ...cells.map((cell) => cellStarted(cell, { formationId: id }, { time: STARTED_AT })),
        );
        const events = await until(
          () => {
            const parsed = follower.lines.map(parseEventLine);
            return parsed.filter(({ data }) => belongsTo(data, id)).length === 51 && parsed;
          },
          { what: '51 events' },
        );
        const [created, ...started] = events.filter(({ data }) => belongsTo(data, id));
        expect(created).toMatchObject({ type: `${FORMATION}created`, data: { formationName: name } });
        expect(started.map(({ data }) => (data as { cellId: string }).cellId)).toEqual(cells);
        expect(started.every(({ time, type }) => time === STARTED_AT && type === STARTED)).toBe(true);
        expect(follower.hasExited).toBe(false);
      } finally {
        await follower.stop();
      }
    });
  });

  describe('events --formation', () => {
    test('CTL-16 its own events and those of its cells, by its name and by its id', async () => {
      const since = await rig().broker.lastSequence();
      const { name, id, done } = await startFormation(rig());
      await startFormation(rig());
      // The first names no formation itself; the second is of none.
      await rig().publish(commandCompleted(done), cellStarted(unique('stranger')));
      for (const formation of [name, id]) {
        const { code, stdout } = await user.run(['events', '--formation', formation]);
        expect(code).toBe(0);
        expect(linesOf(stdout).map((line) => parseEventLine(line).type)).toEqual([
          `${FORMATION}created`,
          STARTED,
          STARTED,
          COMMAND_COMPLETED,
          DESTROYED,
          COMMAND_COMPLETED,
        ]);
      }
      const page = ['events', '--formation', name, '--since', `${since + 1}`, '--limit', '2'];
      const { stdout } = await user.run(page);
      expect(linesOf(stdout).map((line) => parseEventLine(line).type)).toEqual([STARTED, STARTED]);
    });

    test('CTL-16 --follow prints what is published of it from then on', async () => {
      const { name, id, busy } = await startFormation(rig());
      const follower = user.follow('events', '--formation', name, '--follow');
      try {
        await until(
          async () => {
            await rig().publish(commandCompleted(busy, { specId: 'early' }));
            return follower.lines.length > 0;
          },
          { what: 'the first line', pollMs: 50 },
        );
        const late = unique('late');
        await startFormation(rig());
        await rig().publish(
          cellStarted(unique('stranger')),
          cellStarted(late, { formationId: id }),
          cellDestroyed(late),
        );
        const reply = await rig().http.post(`/v1/formations/${id}/status`, { state: 'COMPLETED' });
        expect(reply.status, reply.text).toBe(204);
        const types = await until(
          () => {
            const parsed = follower.lines.map((line) => parseEventLine(line));
            return parsed.at(-1)?.type === `${FORMATION}completed` && parsed;
          },
          { what: 'the event of its end' },
        );
        const rest = types.filter(({ data }) => (data as { specId?: string }).specId !== 'early');
        expect(rest.map(({ type }) => type)).toEqual([STARTED, DESTROYED, `${FORMATION}completed`]);
      } finally {
        await follower.stop();
      }
    });

    test('CTL-16 an unknown one is told, in both ways', async () => {
      const nobody = unique('nobody');
      const page = await user.run(['events', '--formation', nobody]);
      expect(page).toMatchObject({ code: 2, stdout: '' });
      expect(page.stderr).toContain('404 Not Found: {"type":"/problems/not-found"');
      expect(page.stderr).toContain(nobody);
      const feed = await user.run(['events', '--formation', nobody, '--follow']);
      expect(feed).toMatchObject({ code: 2, stdout: '' });
      expect(feed.stderr).toContain('404 Not Found');
    });
  });

  describe('logs', () => {
    /** A whole run of a supervisor, others' events before, between and after; returns the types of the cell's own. */
    async function runCell(cell: string): Promise<string[]> {
      const run = supervisorRun(cell);
      const others = supervisorRun(unique('other'));
      await rig().publish(...run.flatMap((event, index) => [others[index], event]));
      return run.filter(({ data }) => (data as { cellId?: string }).cellId === cell).map(({ type }) => type);
    }

    test("CTL-17 all of a cell's events in order, or the last ones", async () => {
      const cell = `cell/${unique()} ?#%ü`;
      const types = await runCell(cell);
      const all = await user.run(['logs', cell]);
      expect(all).toMatchObject({ code: 0, stderr: '' });
      const events = linesOf(all.stdout).map(parseEventLine);
      expect(events.map(({ type }) => type)).toEqual(types);
      expect(events.find(({ type }) => type === STARTED)).toMatchObject({
        time: STARTED_AT,
        data: { cellId: cell, runId: 'run-local-001', ttlSeconds: 60 },
      });
      const tail = await user.run(['logs', cell, '--tail', '2']);
      expect(linesOf(tail.stdout)).toEqual(linesOf(all.stdout).slice(-2));
      const more = await user.run(['logs', cell, '--tail', '1000']);
      expect(more.stdout).toBe(all.stdout);
    });

    test('CTL-17 --follow goes on with what is published, without a gap and without a repetition', async () => {
      const cell = unique('cell');
      await rig().publish(cellStarted(cell, { line: 0 }), cellStarted(cell, { line: 1 }));
      const follower = user.follow('logs', cell, '--follow', '--tail', '1');
      try {
        await follower.whenPrinted(1);
        for (let line = 2; line < 20; line += 1)
          await rig().publish(commandCompleted(cell, { line }), commandCompleted(unique('other'), { line }));
        const lines = (await follower.whenPrinted(19)).map((line) => parseEventLine(line).data);
        expect(lines).toEqual(
          Array.from({ length: 19 }, (_, index) =>
            expect.objectContaining({ cellId: cell, line: index + 1 }),
          ),
        );
        expect(follower.hasExited).toBe(false);
      } finally {
        await follower.stop();
      }
    });

    test('CTL-17 an unknown cell is told', async () => {
      for (const options of [[], ['--follow']]) {
        const outcome = await user.run(['logs', 'nobody', ...options]);
        expect(outcome).toMatchObject({ code: 2, stdout: '' });
        expect(outcome.stderr).toContain('404 Not Found: {"type":"/problems/not-found"');
        expect(outcome.stderr).toContain('cell \\"nobody\\" is not known');
      }
    });
  });
});
