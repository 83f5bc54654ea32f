// What the metrics say to somebody who did not write them: the parsers of Prometheus' own client for Python, which is installed
// into the project's cache once, as the broker is.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { HttpClient } from './http-client.ts';

/** Pinned, so that two machines judge alike. */
const VERSION = '0.26.0';
const LIBRARY = fileURLToPath(new URL(`../../.cellos/python/prometheus-client-${VERSION}`, import.meta.url));
/** For the hook that waits for it; a file that comes second waits for nothing. */
export const INSTALL_TIMEOUT_MS = 150_000;
const PIP_TIMEOUT_MS = 120_000;
const PARSE_TIMEOUT_MS = 15_000;

const PARSE = `
import json, sys
if sys.argv[1] == 'openmetrics':
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
else:
    from prometheus_client.parser import text_string_to_metric_families as parse
print(json.dumps([
    [f.name, f.type, f.documentation, f.unit, [[s.name, s.labels, s.value] for s in f.samples]]
    for f in parse(sys.stdin.read())
]))
`;

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ParsedFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly unit: string;
  readonly samples: readonly Sample[];
}

/** An answer of /metrics, as the parser sees it. */
export class ParsedMetrics {
  readonly families: ReadonlyMap<string, ParsedFamily>;

  constructor(families: readonly ParsedFamily[]) {
    this.families = new Map(families.map((family) => [family.name, family]));
  }

  get samples(): Sample[] {
    return [...this.families.values()].flatMap(({ samples }) => samples);
  }

  /** The one sample of that name that has these labels, among others perhaps; undefined when there is none. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const found = this.samples.filter(
      (sample) =>
        sample.name === name &&
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
    if (found.length > 1) throw new Error(`${found.length} samples of ${name} ${JSON.stringify(labels)}`);
    return found[0]?.value;
  }
}

/** For a set-up: several files may call it at once. Rejects with pip's last line when it cannot be installed. */
export async function installParser(): Promise<void> {
  if (existsSync(LIBRARY)) return;
  await mkdir(dirname(LIBRARY), { recursive: true });
  const folder = await mkdtemp(join(dirname(LIBRARY), 'install-'));
  try {
    const what = ['--no-deps', '--no-input', '--quiet', '--disable-pip-version-check', '--target', folder];
    await python(['-m', 'pip', 'install', ...what, `prometheus-client==${VERSION}`], PIP_TIMEOUT_MS);
    // Another file may have been faster, with the same.
    await rename(folder, LIBRARY).catch((error: unknown) => {
      if (!existsSync(LIBRARY)) throw error;
    });
  } catch (error) {
    throw new Error('the tests of /metrics need Python 3 with pip, and the network once', { cause: error });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What a server shows just now. */
export async function scrape(http: HttpClient): Promise<ParsedMetrics> {
  const { status, text } = await http.get('/metrics');
  if (status !== 200) throw new Error(`GET /metrics: ${status} ${text}`);
  return parseMetrics(text);
}

/** Rejects when the text is not of that format. */
export async function parseMetrics(
  text: string,
  format: 'openmetrics' | 'text' = 'openmetrics',
): Promise<ParsedMetrics> {
  const parsed = JSON.parse(await python(['-c', PARSE, format], PARSE_TIMEOUT_MS, text)) as [
    string,
    string,
    string,
    string,
    [string, Record<string, string>, number][],
  ][];
  return new ParsedMetrics(
    parsed.map(([name, type, help, unit, samples]) => ({
      name,
      type,
      help,
      unit,
      samples: samples.map(([sample, labels, value]) => ({ name: sample, labels, value })),
    })),
  );
}

/** The output of a run that ended well. */
function python(args: readonly string[], timeoutMs: number, input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('python3', args, {
      // Settings that people keep for their own packages and that contradict --target.
      env: { ...process.env, PYTHONPATH: LIBRARY, PIP_USER: '0', PIP_REQUIRE_VIRTUALENV: '0' },
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new Error(errors.trim().split('\n').at(-1) || `python3 ended with ${signal ?? code}`));
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}
