// `npm start`, the demo and the follow client, as programs, with data and ports of their own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';

import { findFreePort } from './support/nats-server.ts';
import { until } from './support/wait.ts';

const ADAPTERS = fileURLToPath(new URL('../adapters/', import.meta.url));

/** A program of adapters/ with what it has printed so far. */
class Program {
  output = '';
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;

  constructor(environment: NodeJS.ProcessEnv, script: string, ...args: string[]) {
    this.child = spawn(process.execPath, [join(ADAPTERS, script), ...args], {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk) => (this.output += String(chunk)));
    }
    this.exited = once(this.child, 'close').then(([code]) => code as number | null);
  }

  async whenPrinted(text: string): Promise<void> {
    await until(() => this.output.includes(text), {
      what: `"${text}" in: ${this.output}`,
      timeoutMs: 15_000,
    });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('npm start', () => {
  let directory: string;
  let environment: NodeJS.ProcessEnv;
  let program: Program;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cellos-local-'));
    const { CELLOS_NATS_URL: _url, CELLOS_SERVER_API_TOKEN: _token, ...inherited } = process.env;
    environment = {
      ...inherited,
      CELLOS_LOCAL_DIRECTORY: directory,
      CELLOS_SERVER_BIND: `127.0.0.1:${await findFreePort()}`,
      NATS_SERVER: inject('natsServer'),
    };
    program = new Program(environment, 'local.mjs');
    await program.whenPrinted('cellctl events --follow');
  });
  afterAll(async () => {
    program.child.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  });

  const run = async (...script: [string, ...string[]]) => {
    const other = new Program(environment, ...script);
    return { code: await other.exited, output: other.output };
  };
  const recorded = async () =>
    JSON.parse(await readFile(join(directory, 'run.json'), 'utf8')) as Record<
      'natsPid' | 'serverPid',
      number
    >;

  it('RUN-9 prints where it is, a token that only its owner may read, and lines to paste', async () => {
    const token = (await readFile(join(directory, 'token'), 'utf8')).trim();
    expect((await stat(join(directory, 'token'))).mode & 0o777).toBe(0o600);
    expect(program.output).toContain(`http://${environment['CELLOS_SERVER_BIND']}`);
    expect(program.output).toContain(`Authorization: Bearer ${token}`);
    expect(program.output).toContain(`(kept in ${join(directory, 'token')})`);
    expect(program.output).toContain(`data kept in ${join(directory, 'nats')})`);
    const response = await fetch(`http://${environment['CELLOS_SERVER_BIND']}/v1/formations`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(response.status).toBe(200);
  });

  it('RUN-10 the demo plays a formation from launch to completion, and the follow client sees it', async () => {
    const follow = new Program(environment, 'local/follow.mjs', '0');
    const demo = await run('local/demo.mjs', '--fast');
    expect(demo.output).toContain('12/12');
    expect(demo.output).toContain('SUCCEEDED (COMPLETED)');
    expect(demo.code).toBe(0);
    await follow.whenPrinted('"seq":13');
    expect(follow.output).toContain('dev.cellos.events.cell.formation.v1.completed');
    follow.child.kill();
  });

  it('RUN-11 a second one in the same folder says so and ends, and leaves the first alone', async () => {
    const second = await run('local.mjs');
    expect(second.output).toMatch(/runs already in this checkout: process \d+ at http/);
    expect(second.code).toBe(1);
    expect(isAlive((await recorded()).serverPid)).toBe(true);
  });

  it('RUN-12 ends both processes on SIGINT and finds its data again', async () => {
    const { natsPid, serverPid } = await recorded();
    program.child.kill('SIGINT');
    expect(await program.exited).toBe(0);
    expect([isAlive(natsPid), isAlive(serverPid)]).toEqual([false, false]);
    // The view is kept beside the broker's data.
    expect(await readdir(join(directory, 'checkpoint'))).toContain('head.000000000001');
    const start = performance.now();
    const file = { CELLOS_SERVER_API_TOKEN_FILE: join(directory, 'token') };
    program = new Program({ ...environment, ...file, LOG_LEVEL: 'info' }, 'local.mjs');
    await program.whenPrinted('cellctl events --follow');
    expect(performance.now() - start).toBeLessThan(3000);
    expect(program.output).toContain('from the file that CELLOS_SERVER_API_TOKEN_FILE names');
    expect(program.output).toMatch(/checkpoint restored.*"cursor":13\b/);
    const follow = new Program(environment, 'local/follow.mjs', '0');
    await follow.whenPrinted('"seq":13');
    follow.child.kill();
    program.child.kill('SIGTERM');
    expect(await program.exited).toBe(0);
  });
});
