// Owns what the bench says at its end: the table, the notes under it, the raw numbers as JSON.
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { Measurement } from './measurement.ts';
import type { BenchOptions, Side, Target } from './options.ts';

/** What one column has of a row; numbers that could not be measured leave notes only. */
interface Cell {
  readonly values: number[];
  readonly notes: Set<string>;
}

interface Row {
  readonly group: string;
  readonly label: string;
  readonly unit: string;
  readonly better: Measurement['better'];
  readonly cells: Map<Side, Cell>;
}

/** One run that failed, or a number of it that did not pass its check. */
export interface Problem {
  readonly group: string;
  readonly side: Side;
  readonly text: string;
}

/** Gathers the rows of all runs. */
export class Report {
  readonly #rows = new Map<string, Row>();
  readonly #problems: Problem[] = [];

  add(group: string, side: Side, measurements: readonly Measurement[]): void {
    for (const { label, unit, better, value, note } of measurements) {
      const key = `${group}: ${label}`;
      const row: Row = this.#rows.get(key) ?? { group, label, unit, better, cells: new Map() };
      this.#rows.set(key, row);
      const cell: Cell = row.cells.get(side) ?? { values: [], notes: new Set() };
      row.cells.set(side, cell);
      if (value !== null) cell.values.push(value);
      if (note !== null) cell.notes.add(note);
    }
  }

  addProblem(problem: Problem): void {
    this.#problems.push(problem);
  }

  /** Whether this server failed somewhere; a peer's failures are reported only. */
  get isFailed(): boolean {
    return this.#problems.some(({ side }) => side !== 'peer');
  }

  /** A table in aligned Markdown, then numbered notes, then problems. */
  toText(options: BenchOptions): string {
    const [{ side: first }, ...others] = options.targets;
    const spread = options.runs === 1 ? '' : ': min / median / max';
    const header = ['row', 'unit', `${first}${spread}`];
    for (const { side } of others) header.push(`${side}${spread}`, `${first} better by`);
    const notes: string[] = [];
    const lines = [...this.#rows.values()].map((row) => {
      const line = [`${row.group}: ${row.label}`, row.unit, toCell(row, first, notes)];
      for (const { side } of others) line.push(toCell(row, side, notes), toRatio(row, first, side));
      return line;
    });
    return [
      ...alignTable([header, ...lines]),
      '',
      ...notes.map((note, index) => `[${index + 1}] ${note}`),
      ...describe(options),
      ...countProblems(this.#problems),
    ].join('\n');
  }

  writeJson(file: string, options: BenchOptions): void {
    const { targets, runs, sizes } = options;
    const machine = { node: process.versions.node, cores: cpus().length, platform: process.platform };
    const rows = [...this.#rows.values()];
    const text = JSON.stringify(
      { machine, targets, runs, sizes, rows, problems: this.#problems },
      toPlain,
      2,
    );
    writeFileSync(file, `${text}\n`);
  }
}

function toPlain(_key: string, value: unknown): unknown {
  if (value instanceof Set) return [...value];
  return value instanceof Map ? Object.fromEntries(value) : value;
}

// A dash: the row is not about this column. n/a: it is, and could not be measured.
function toCell(row: Row, side: Side, notes: string[]): string {
  const cell = row.cells.get(side);
  if (cell === undefined) return '–';
  const marks = [...cell.notes].map((note) => {
    const text = `${side}: ${note}`;
    if (!notes.includes(text)) notes.push(text);
    return ` [${notes.indexOf(text) + 1}]`;
  });
  return `${toSpread(cell.values)}${marks.join('')}`;
}

function toSpread(values: readonly number[]): string {
  const sorted = [...values].sort((left, right) => left - right);
  const [least] = sorted;
  if (least === undefined) return 'n/a';
  if (sorted.length === 1) return formatNumber(least);
  return [least, medianOf(sorted), sorted.at(-1)].map((value) => formatNumber(value as number)).join(' / ');
}

// Above 1 the first is better, whichever way the row counts.
function toRatio({ cells, better }: Row, first: Side, other: Side): string {
  if (!cells.has(first) || !cells.has(other)) return '–';
  const [ours, theirs] = [medianOf(cells.get(first)?.values), medianOf(cells.get(other)?.values)];
  if (ours === null || theirs === null) return 'n/a';
  const ratio = better === 'higher' ? ours / theirs : theirs / ours;
  return Number.isFinite(ratio) ? `${formatNumber(ratio)}×` : 'n/a';
}

/** The middle value, or the mean of the middle two; null of nothing. */
function medianOf(values: readonly number[] = []): number | null {
  const sorted = [...values].sort((left, right) => left - right);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  return upper === undefined || lower === undefined ? null : (upper + lower) / 2;
}

function formatNumber(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function alignTable(lines: readonly string[][]): string[] {
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? '').length)),
  );
  const draw = (line: readonly string[]) =>
    `| ${line.map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, column) => (column < 2 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  const [header = [], ...rows] = lines;
  return [draw(header), rule, ...rows.map(draw)];
}

function describe({ targets, runs: count }: BenchOptions): string[] {
  const runs = `${count} ${count === 1 ? 'run' : 'runs'} per column${targets.length === 1 ? '' : ', in turns of random order'}`;
  const machine = `Node ${process.versions.node}, ${cpus().length} cores, ${process.platform}`;
  return [
    ...targets.map((target) => `${target.side}: ${nameOf(target)}`),
    `${runs}; ${machine}`,
    ...(targets.some(({ kind }) => kind === 'worker')
      ? [
          'workerd: ready counts from the first request to an object that does not run; CPU and memory are those of the workerd process,',
          'in which the Worker in front and the object share one thread; what 1,000 clients may be sent: --only capacity',
        ]
      : []),
    ...(targets.some(({ side }) => side === 'peer')
      ? [
          'post: this server answers 201 when the broker has acknowledged the event and the view holds it; a peer need not',
          '(cellos-server 0.5.4 answers before its publish is acknowledged)',
        ]
      : []),
  ];
}

function nameOf({ command, scheme }: Target): string {
  return `${command.map((word) => word.slice(word.lastIndexOf('/') + 1)).join(' ')} (broker over ${scheme})`;
}

function countProblems(problems: readonly Problem[]): string[] {
  if (problems.length === 0)
    return ['every check passed: counts, order of sequences, a created event for every 201'];
  const counts = new Map<string, number>();
  for (const { group, side, text } of problems) {
    const line = `FAILED ${group}, ${side}: ${text}`;
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  return [...counts].map(([line, count]) => (count === 1 ? line : `${line} (${count} runs)`));
}
