// The real command-line client as its users run it: with a home of its own, and its output taken apart.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { until, within } from './wait.ts';

const COMMAND_TIMEOUT_MS = 10_000;

export interface Outcome {
  readonly code: number | null;
  /** Without colours. */
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** What is typed; by default nothing, and the input is at its end. */
  readonly input?: string;
}

/** A user of `cellctl` with an empty home folder. */
export class Cellctl {
  readonly home: string;
  readonly #path: string;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #children = new Set<ChildProcess>();

  private constructor(path: string, home: string, environment: Readonly<Record<string, string>>) {
    this.#path = path;
    this.home = home;
    this.#environment = environment;
  }

  /** For a server's port and token; without them the user has no settings in the environment. */
  static async create(path: string, server?: { port: number; token: string }): Promise<Cellctl> {
    const home = await mkdtemp(join(tmpdir(), 'cellos-cellctl-'));
    const environment = server && {
      CELLCTL_SERVER: `http://127.0.0.1:${server.port}`,
      CELLCTL_TOKEN: server.token,
    };
    return new Cellctl(path, home, environment ?? {});
  }

  /** Ends what still runs and removes the home. */
  async remove(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await rm(this.home, { recursive: true, force: true });
  }

  /** A file in the user's home; returns its path. */
  async write(name: string, text: string): Promise<string> {
    const path = join(this.home, name);
    await writeFile(path, text);
    return path;
  }

  async run(args: readonly string[], { environment = {}, input }: RunOptions = {}): Promise<Outcome> {
    const child = this.#spawn(args, environment);
    const output = collect(child);
    if (input === undefined) child.stdin?.end();
    else child.stdin?.end(input);
    await within(COMMAND_TIMEOUT_MS, `cellctl ${args.join(' ')} to end`, once(child, 'close'));
    return { code: child.exitCode, stdout: output.stdout, stderr: output.stderr };
  }

  /** Starts a command that goes on until it is stopped. */
  follow(...args: readonly string[]): Follower {
    const child = this.#spawn(args, {});
    child.stdin?.end();
    return new Follower(child);
  }

  #spawn(args: readonly string[], environment: Readonly<Record<string, string>>): ChildProcess {
    const child = spawn(this.#path, args, {
      cwd: this.home,
      env: { HOME: this.home, ...this.#environment, ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    // It may end before it has read what is typed.
    child.stdin?.on('error', () => {});
    return child;
  }
}

/** A command that goes on, with the lines that it has printed. */
export class Follower {
  readonly #child: ChildProcess;
  readonly #output: { readonly stdout: string; readonly stderr: string };

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#output = collect(child);
  }

  get lines(): string[] {
    return this.#output.stdout.split('\n').filter((line) => line !== '');
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** The lines once there are as many. */
  async whenPrinted(count: number): Promise<string[]> {
    await until(() => this.lines.length >= count, { what: `${count} lines of cellctl` });
    return this.lines;
  }

  /** What the whole output matches. */
  async whenMatches(pattern: RegExp): Promise<RegExpExecArray> {
    return until(() => pattern.exec(this.#output.stdout + this.#output.stderr) ?? undefined, {
      what: `${pattern} in the output`,
    });
  }

  /** Ctrl-C. */
  async stop(): Promise<void> {
    if (this.hasExited) return;
    this.#child.kill('SIGINT');
    await within(COMMAND_TIMEOUT_MS, 'cellctl to end', once(this.#child, 'exit'));
  }
}

function collect(child: ChildProcess): { readonly stdout: string; readonly stderr: string } {
  const raw = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (raw.stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (raw.stderr += text));
  return {
    get stdout() {
      return stripVTControlCharacters(raw.stdout);
    },
    get stderr() {
      return stripVTControlCharacters(raw.stderr);
    },
  };
}

/** The rows of a printed table by the names of its columns. */
export function parseTable(stdout: string): Record<string, string>[] {
  const [head = [], ...rows] = stdout
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.trim().split(/ {2,}/));
  return rows.map((row) => Object.fromEntries(head.map((name, index) => [name, row[index] ?? ''])));
}

/** The `Label: value` lines of a description; the JSON behind `Extra:` under that name. */
export function parseDescription(stdout: string): { fields: Record<string, string>; extra: unknown } {
  const [text = '', extra] = stdout.split('Extra:\n');
  const fields: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const match = /^ *([A-Z][a-z]+|ID): +(\S.*)$/.exec(line);
    if (match?.[1] && match[2]) fields[match[1]] = match[2];
  }
  return { fields, extra: extra === undefined ? undefined : JSON.parse(extra) };
}

/** Lines of `events` and `logs`: time, type, subject, data. */
export function parseEventLine(line: string): { time: string; type: string; subject: string; data: unknown } {
  const [time = '', type = '', subject = '', ...rest] = line.split('  ');
  const data = rest.join('  ');
  return { time, type, subject, data: data === '' ? undefined : JSON.parse(data) };
}
