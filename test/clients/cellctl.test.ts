// The real cellctl against the server: what it prints and how it ends, command by command. What follows events is in
// cellctl-events.test.ts.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cellctl, parseDescription, parseTable } from '../support/cellctl.ts';
import { cellStarted, flatDocument, formationEvent, kubectlDocument, unique } from '../support/events.ts';
import { findFreePort } from '../support/nats-server.ts';
import { findCellctl, requireClients } from '../support/real-clients.ts';
import { FINISHED_AT, STARTED_AT, startFormation, submitFormation } from '../support/running-formation.ts';
import { ServerProcess, nodeTarget, reportOnFailure, useRig } from '../support/server-process.ts';

const cellctl = await findCellctl();

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** The same documents in YAML, as people write them. */
const flatYaml = (name: string): string => `# a comment
name: ${name}
coordinator: lead
members:
  - id: lead
  - id: worker
    authorizedBy: lead
`;
const kubectlYaml = (name: string): string => `apiVersion: cellos.dev/v1
kind: Formation
metadata:
  name: ${name}
spec:
  coordinator: lead
  members:
    - name: lead
    - name: worker
      authorizedBy: lead
`;

test('CTL-1 the real cellctl', (context) => requireClients(context, cellctl));

describe.runIf(cellctl.found)('cellctl', () => {
  const rig = useRig(nodeTarget);
  let user: Cellctl;
  beforeAll(async () => {
    if (cellctl.found) user = await Cellctl.create(cellctl.path, rig().http);
  });
  afterAll(() => user.remove());

  const submit = (name: string) => submitFormation(rig(), name);
  const runningFormation = () => startFormation(rig());

  async function report(id: string, status: Record<string, unknown>): Promise<void> {
    const reply = await rig().http.post(`/v1/formations/${id}/status`, status);
    expect(reply.status, reply.text).toBe(204);
  }

  describe('apply', () => {
    test.each([
      ['flat JSON', 'json', (name: string) => JSON.stringify(flatDocument(name))],
      ['flat YAML', 'yaml', flatYaml],
      ["kubectl's JSON", 'json', (name: string) => JSON.stringify(kubectlDocument(name))],
      ["kubectl's YAML", 'yaml', kubectlYaml],
    ])('CTL-2 %s is submitted', async (_shape, extension, text) => {
      const name = unique();
      const file = await user.write(`${name}.${extension}`, text(name));
      expect(await user.run(['apply', '-f', file])).toEqual({
        code: 0,
        stdout: `formation/${name} created (state=PENDING)\n`,
        stderr: '',
      });
      const record = await rig().http.read(`/v1/formations/by-name/${name}`);
      expect(record['document']).toEqual(flatDocument(name));
    });

    test('CTL-3 a name that is taken and a cycle are told with the problem', async () => {
      const name = unique();
      const id = await submit(name);
      const file = await user.write(`${name}.yaml`, flatYaml(name));
      const taken = await user.run(['apply', '-f', file]);
      expect(taken).toMatchObject({ code: 2, stdout: '' });
      expect(taken.stderr).toContain('409 Conflict: {"type":"/problems/conflict"');
      expect(taken.stderr).toContain(id);

      const members = [{ id: 'lead' }, { id: 'a', authorizedBy: 'b' }, { id: 'b', authorizedBy: 'a' }];
      const cycle = await user.write('cycle.json', JSON.stringify(flatDocument(unique(), { members })));
      const refused = await user.run(['apply', '-f', cycle]);
      // What the server calls a bad request has an exit code of its own.
      expect(refused).toMatchObject({ code: 3, stdout: '' });
      expect(refused.stderr).toContain('"title":"Formation rejected: authority cycle"');
    });
  });

  describe('what ends with another code', () => {
    test.each([
      ['get', 'formations'],
      ['logs', 'some-cell', '--follow'],
      ['events', '--follow'],
    ])('CTL-15 a wrong token: %s %s', async (...args) => {
      const outcome = await user.run(args, { environment: { CELLCTL_TOKEN: 'wrong' } });
      expect(outcome).toMatchObject({ code: 2, stdout: '' });
      expect(outcome.stderr).toContain('401 Unauthorized');
    });

    test('CTL-15 no server, a file that is not there, an output format that it does not have', async () => {
      const nowhere = { CELLCTL_SERVER: `http://127.0.0.1:${await findFreePort()}` };
      expect(await user.run(['get', 'formations'], { environment: nowhere })).toMatchObject({ code: 2 });
      expect(await user.run(['apply', '-f', 'nothing.yaml'])).toMatchObject({ code: 1 });
      const yaml = await user.run(['get', 'formations', '-o', 'yaml']);
      expect(yaml).toMatchObject({ code: 1, stdout: '' });
      expect(yaml.stderr).toContain('expected: table|wide|json|name');
    });
  });

  describe('get', () => {
    test('CTL-4 formations: state, cells, age and both times are there', async () => {
      const { name, id, busy, done } = await runningFormation();
      await report(id, { state: 'DEGRADED', reason: 'one is gone', failed_cells: [done] });
      const old = unique('old');
      const created = new Date(Date.now() - 2 * 3_600_000 - 60_000).toISOString();
      await rig().publish(
        formationEvent(
          'created',
          { formationId: '0ab5f7a4-7f01-4b6c-9c52-1df80cd8c9a1', formationName: old },
          { time: created },
        ),
      );

      const table = await user.run(['get', 'formations']);
      expect(table.code).toBe(0);
      expect(parseTable(table.stdout)).toEqual(
        expect.arrayContaining([
          { NAME: name, STATE: 'RUNNING', CELLS: '2', AGE: expect.stringMatching(/^\d+s$/) },
          { NAME: old, STATE: 'PENDING', CELLS: '0', AGE: '2h' },
        ]),
      );

      const wide = parseTable((await user.run(['get', 'formations', '-o', 'wide'])).stdout);
      const row = wide.find((candidate) => candidate['NAME'] === name);
      expect(row).toMatchObject({ STATE: 'RUNNING', CELLS: '2' });
      expect(id.startsWith(row?.['ID'] ?? '-')).toBe(true);
      expect(row?.['CREATED']).toMatch(TIME);
      expect(row?.['UPDATED']).toMatch(TIME);
      expect(Date.parse(row?.['UPDATED'] ?? '')).toBeGreaterThanOrEqual(Date.parse(row?.['CREATED'] ?? ''));

      const names = (await user.run(['get', 'formations', '-o', 'name'])).stdout.split('\n');
      expect(names).toEqual(expect.arrayContaining([name, old]));

      const json = await user.run(['get', 'formations', '-o', 'json']);
      const records = JSON.parse(json.stdout) as Record<string, unknown>[];
      expect(records.find((record) => record['id'] === id)).toMatchObject({
        name,
        state: 'RUNNING',
        phase: 'DEGRADED',
        reason: 'one is gone',
        failed_cells: [done],
        created_at: row?.['CREATED'],
        updated_at: row?.['UPDATED'],
        document: flatDocument(name),
        cells: expect.arrayContaining([
          expect.objectContaining({ id: busy, state: 'running' }),
          expect.objectContaining({ id: done, state: 'destroyed' }),
        ]),
      });
    });

    test('CTL-5 cells of a formation, by its name and by its id', async () => {
      const { name, id, done, busy } = await runningFormation();
      const rows = [
        { NAME: busy, STATE: 'RUNNING', FORMATION: id, AGE: expect.stringMatching(/^\d+[smhd]$/) },
        { NAME: done, STATE: 'DESTROYED', FORMATION: id, AGE: expect.stringMatching(/^\d+[smhd]$/) },
      ];
      for (const formation of [name, id]) {
        const { code, stdout } = await user.run(['get', 'cells', '--formation', formation]);
        expect(code).toBe(0);
        expect(parseTable(stdout)).toEqual(rows);
      }
      expect(parseTable((await user.run(['get', 'cells'])).stdout)).toEqual(expect.arrayContaining(rows));

      const wide = await user.run(['get', 'cells', '--formation', name, '-o', 'wide']);
      expect(parseTable(wide.stdout)).toMatchObject([
        { NAME: busy, ID: busy.slice(0, 12), FORMATION: id, STARTED: STARTED_AT, FINISHED: '-' },
        { NAME: done, ID: done.slice(0, 12), FORMATION: id, STARTED: STARTED_AT, FINISHED: FINISHED_AT },
      ]);

      const names = await user.run(['get', 'cells', '--formation', name, '-o', 'name']);
      expect(names.stdout).toBe(`${busy}\n${done}\n`);

      const json = await user.run(['get', 'cells', '--formation', id, '-o', 'json']);
      expect(JSON.parse(json.stdout)).toMatchObject([
        { id: busy, state: 'running', spec_id: 'serve', run_id: null, created_at: STARTED_AT },
        {
          id: done,
          formation_id: id,
          state: 'destroyed',
          spec_id: 'build',
          run_id: 'run-7',
          exit_code: 3,
          outcome: 'failed',
          created_at: STARTED_AT,
          started_at: STARTED_AT,
          finished_at: FINISHED_AT,
          destroyed_at: FINISHED_AT,
        },
      ]);
    });

    test('CTL-5 an unknown formation has no cells', async () => {
      expect(await user.run(['get', 'cells', '--formation', unique('nobody')])).toEqual({
        code: 0,
        stdout: '',
        stderr: 'No resources found.\n',
      });
    });
  });

  describe('describe', () => {
    test('CTL-6 a formation, by its name and by its id', async () => {
      const { name, id, done, busy } = await runningFormation();
      await report(id, { state: 'FAILED', reason: 'no quota', failed_cells: [done] });
      for (const spelling of [name, id]) {
        const { code, stdout } = await user.run(['describe', 'formation', spelling]);
        expect(code).toBe(0);
        const { fields, extra } = parseDescription(stdout);
        expect(fields).toMatchObject({
          Formation: name,
          ID: id,
          State: 'FAILED',
          Created: expect.stringMatching(TIME),
          Updated: expect.stringMatching(TIME),
        });
        expect(stdout).toContain(`- ${busy} [running]`);
        expect(stdout).toContain(`- ${done} [destroyed]`);
        expect(extra).toEqual({
          document: flatDocument(name),
          phase: 'FAILED',
          reason: 'no quota',
          failed_cells: [done],
        });
      }
    });

    test('CTL-6 a cell: when it came, started and ended, and how', async () => {
      const { id, done, busy } = await runningFormation();
      const ended = parseDescription((await user.run(['describe', 'cell', done])).stdout);
      expect(ended.fields).toMatchObject({
        Cell: done,
        ID: done,
        State: 'destroyed',
        Formation: id,
        Created: STARTED_AT,
        Started: STARTED_AT,
        Finished: FINISHED_AT,
        Outcome: 'failed',
      });
      expect(ended.extra).toMatchObject({ exit_code: 3, run_id: 'run-7', spec_id: 'build' });
      const { fields } = parseDescription((await user.run(['describe', 'cell', busy])).stdout);
      expect(fields).toMatchObject({ State: 'running', Formation: id, Started: STARTED_AT, Finished: '-' });
    });

    test.each(['formation', 'cell'])('CTL-6 an unknown %s', async (kind) => {
      const { code, stdout, stderr } = await user.run(['describe', kind, 'nobody']);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toContain('404 Not Found: {"type":"/problems/not-found"');
      expect(stderr).toContain(`${kind} \\"nobody\\" is not known`);
    });
  });

  describe('diff', () => {
    test('CTL-7 a file beside what the server has', async () => {
      const name = unique();
      const id = await submit(name);
      const members = [...(flatDocument(name)['members'] as object[]), { id: 'added', authorizedBy: 'lead' }];
      const file = await user.write('changed.json', JSON.stringify(flatDocument(name, { members })));
      const { code, stdout, stderr } = await user.run(['diff', '-f', file]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain('--- server (current)\n+++ local  (proposed)\n');
      expect(stdout).toContain(`"id": "${id}"`);
      expect(stdout).toMatch(/^\+ +"id": "added"/m);
      // It lays the whole record beside the file: the server's own fields always count as a change.
      expect(stdout).toMatch(/^- +"state": "PENDING"/m);
    });

    test('CTL-7 a formation that is not there would be created', async () => {
      const name = unique();
      const file = await user.write('new.yaml', flatYaml(name));
      const { code, stdout, stderr } = await user.run(['diff', '-f', file]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain(`(formation/${name} not found on server`);
      expect(stdout).toContain(`+ name: ${name}\n`);
    });
  });

  describe('delete', () => {
    test('CTL-8 by name and by id, again and again; then the name is free', async () => {
      const name = unique();
      const id = await submit(name);
      for (const spelling of [name, name, id]) {
        expect(await user.run(['delete', 'formation', spelling, '--yes'])).toEqual({
          code: 0,
          stdout: `formation/${spelling} deleted\n`,
          stderr: '',
        });
      }
      expect(await rig().http.read(`/v1/formations/${id}`)).toMatchObject({
        status: 'FAILED',
        reason: 'deleted by operator',
      });
      const file = await user.write('again.yaml', flatYaml(name));
      expect(await user.run(['apply', '-f', file])).toMatchObject({ code: 0 });
    });

    test('CTL-8 only when it is confirmed, and only what is there', async () => {
      const name = unique();
      await submit(name);
      expect(await user.run(['delete', 'formation', name], { input: 'n\n' })).toMatchObject({ code: 1 });
      expect(await rig().http.read(`/v1/formations/by-name/${name}`)).toMatchObject({ status: 'PENDING' });
      expect(await user.run(['delete', 'formation', name], { input: 'y\n' })).toMatchObject({ code: 0 });
      expect(await rig().http.read(`/v1/formations/by-name/${name}`)).toMatchObject({ status: 'FAILED' });
      const unknown = await user.run(['delete', 'formation', unique('nobody'), '--yes']);
      expect(unknown.code).toBe(2);
      expect(unknown.stderr).toContain('404 Not Found');
    });
  });

  describe('rollout status', () => {
    test('CTL-9 waits as long as the formation is at work, and ends when it has failed', async () => {
      const name = unique();
      const id = await submit(name);
      await report(id, { state: 'RUNNING' });
      const waiting = user.run(['rollout', 'status', name, '--timeout', '1']);
      expect(await waiting).toMatchObject({
        code: 2,
        stderr: `cellctl: api: timed out waiting for formation/${name}\n`,
      });
      await report(id, { state: 'FAILED', reason: 'no quota' });
      for (const spelling of [name, id])
        expect(await user.run(['rollout', 'status', spelling])).toMatchObject({
          code: 2,
          stderr: `cellctl: api: formation/${spelling} FAILED\n`,
        });
      const unknown = await user.run(['rollout', 'status', unique('nobody')]);
      expect(unknown.code).toBe(2);
      expect(unknown.stderr).toContain('404 Not Found');
    });
  });

  describe('version and config', () => {
    test('CTL-10 the version of the client and of the server', async () => {
      const { server } = await rig().http.read<{ server: Record<string, string> }>('/v1/version');
      const { code, stdout } = await user.run(['version']);
      expect(code).toBe(0);
      expect(stdout).toBe(
        `client: cellctl 0.5.6\nserver: cellos-server ${server['version']} (${server['buildProfile']})\n`,
      );
    });

    test('CTL-10 address and token from its own configuration', async () => {
      if (!cellctl.found) return;
      const configured = await Cellctl.create(cellctl.path);
      try {
        const { port, token } = rig().http;
        for (const args of [
          ['set-server', `http://127.0.0.1:${port}`],
          ['set-token', token],
        ])
          expect(await configured.run(['config', ...args])).toMatchObject({ code: 0 });
        const file = await stat(join(configured.home, '.cellctl', 'config'));
        expect(file.mode & 0o077).toBe(0);
        expect(await configured.run(['get', 'formations'])).toMatchObject({ code: 0 });
      } finally {
        await configured.remove();
      }
    });
  });

  test('CTL-14 of a server that was started anew it reads the same, byte for byte', async () => {
    const { name, id, done } = await runningFormation();
    await report(id, { state: 'DEGRADED', reason: 'one is gone', failed_cells: [done] });
    const file = await user.write('same.json', JSON.stringify(flatDocument(name)));
    const commands = [
      ['get', 'formations', '-o', 'json'],
      ['get', 'cells', '-o', 'wide'],
      ['get', 'cells', '--formation', name, '-o', 'json'],
      ['describe', 'formation', name],
      ['describe', 'cell', done],
      ['diff', '-f', file],
      ['events', '--limit', '1000'],
    ];
    // Another process on the same log, at another address: nothing is left of the first one's memory.
    const restarted = await ServerProcess.start(nodeTarget, { CELLOS_NATS_URL: rig().broker.websocketUrl });
    reportOnFailure(restarted);
    const environment = { CELLCTL_SERVER: `http://127.0.0.1:${restarted.port}` };
    for (const args of commands) {
      const before = await user.run(args);
      expect(before.code, args.join(' ')).toBe(0);
      expect(await user.run(args, { environment }), args.join(' ')).toEqual(before);
    }
    await restarted.stop();
  });

  describe('ids', () => {
    test('CTL-11 names and cells that need escaping in a URL are found', async () => {
      const name = `a.b_c-${unique()}`;
      const id = await submit(name);
      expect(id).toMatch(UUID);
      const cell = `cell/${unique()} ?#%ü`;
      await rig().publish(cellStarted(cell, { formationId: id }));
      expect((await user.run(['get', 'cells', '--formation', name, '-o', 'name'])).stdout).toBe(`${cell}\n`);
      const { fields } = parseDescription((await user.run(['describe', 'cell', cell])).stdout);
      expect(fields).toMatchObject({ ID: cell, Formation: id });
    });
  });
});
