// Owns what the bench says at its end: the table, the notes under it, the raw numbers as JSON.
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { Measurement } from './measurement.ts';
import type { BenchOptions, Target } from './options.ts';

type Side = Target['side'];

interface Row {
  readonly group: string;
  readonly label: string;
  readonly unit: string;
  readonly better: Measurement['better'];
  readonly values: Record<Side, number[]>;
  readonly notes: Record<Side, Set<string>>;
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
      const row: Row = this.#rows.get(key) ?? {
        group,
        label,
        unit,
        better,
        values: { ours: [], peer: [] },
        notes: { ours: new Set(), peer: new Set() },
      };
      this.#rows.set(key, row);
      if (value !== null) row.values[side].push(value);
      if (note !== null) row.notes[side].add(note);
    }
  }

  addProblem(problem: Problem): void {
    this.#problems.push(problem);
  }

  /** Whether our own side failed somewhere; a peer's failures are reported only. */
  get isFailed(): boolean {
    return this.#problems.some(({ side }) => side === 'ours');
  }

  /** A table in aligned Markdown, then numbered notes, then problems. */
  toText(options: BenchOptions): string {
    const sides: Side[] = options.peer === null ? ['ours'] : ['ours', 'peer'];
    const header = ['row', 'unit', ...sides.map((side) => `${side}: min / median / max`)];
    if (options.peer !== null) header.push('ours better by');
    const notes: string[] = [];
    const lines = [...this.#rows.values()].map((row) => {
      const line = [`${row.group}: ${row.label}`, row.unit];
      for (const side of sides) line.push(toCell(row, side, notes));
      if (options.peer !== null) line.push(toRatio(row));
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
    const { ours, peer, runs, sizes } = options;
    const machine = { node: process.versions.node, cores: cpus().length, platform: process.platform };
    const rows = [...this.#rows.values()];
    const text = JSON.stringify(
      { machine, ours, peer, runs, sizes, rows, problems: this.#problems },
      setsAsArrays,
      2,
    );
    writeFileSync(file, `${text}\n`);
  }
}

function setsAsArrays(_key: string, value: unknown): unknown {
  return value instanceof Set ? [...value] : value;
}

function toCell(row: Row, side: Side, notes: string[]): string {
  const marks = [...row.notes[side]].map((note) => {
    const text = `${side}: ${note}`;
    if (!notes.includes(text)) notes.push(text);
    return ` [${notes.indexOf(text) + 1}]`;
  });
  const values = [...row.values[side]].sort((left, right) => left - right);
  const text =
    values.length === 0
      ? 'n/a'
      : [values[0], medianOf(values), values.at(-1)]
          .map((value) => formatNumber(value as number))
          .join(' / ');
  return `${text}${marks.join('')}`;
}

// Above 1 ours is better, whichever way the row counts.
function toRatio({ values, better }: Row): string {
  const [ours, peer] = [medianOf(values.ours), medianOf(values.peer)];
  if (ours === null || peer === null) return 'n/a';
  const ratio = better === 'higher' ? ours / peer : peer / ours;
  return Number.isFinite(ratio) ? `${formatNumber(ratio)}×` : 'n/a';
}

/** The middle value, or the mean of the middle two; null of nothing. */
function medianOf(values: readonly number[]): number | null {
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

function describe(options: BenchOptions): string[] {
  const runs = `${options.runs} ${options.runs === 1 ? 'run' : 'runs'} per side`;
  const machine = `Node ${process.versions.node}, ${cpus().length} cores, ${process.platform}`;
  if (options.peer === null) return [`ours: ${nameOf(options.ours)}; ${runs}; ${machine}`];
  return [
    `ours: ${nameOf(options.ours)}; peer: ${nameOf(options.peer)}; ${runs}, in pairs of random order; ${machine}`,
    'post: ours answers 201 when the broker has acknowledged the event and the view holds it; a peer need not',
    '(cellos-server 0.5.4 answers before its publish is acknowledged)',
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
