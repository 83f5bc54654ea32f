// How numbers are shown to who scrapes them: OpenMetrics 1.0 text, and the older text format of Prometheus. A family is read
// when it is asked for; whoever counts keeps plain numbers, and pays nothing for being shown. (Clients on npm want an object of
// labels for each observation, or Node.)

export type Labels = Readonly<Record<string, string | number>>;

/** What a family consists of when it is read. */
export interface Point {
  readonly labels?: Labels;
  readonly value: number;
}

/** A histogram as it is counted: `counts` has an entry for each bound, and one for what is above all of them. */
export interface HistogramPoint {
  readonly labels?: Labels;
  readonly bounds: readonly number[];
  readonly counts: ArrayLike<number>;
  readonly sum: number;
}

interface FamilyHead {
  /** Without the suffixes that the format adds: `_total`, `_info`, `_bucket`. */
  readonly name: string;
  /** One sentence, in plain words. */
  readonly help: string;
  /** The name ends with it. */
  readonly unit?: 'seconds' | 'bytes';
}

export type Family =
  | (FamilyHead & {
      readonly type: 'counter' | 'gauge' | 'info' | 'stateset';
      readonly read: () => Iterable<Point>;
    })
  | (FamilyHead & { readonly type: 'histogram'; readonly read: () => Iterable<HistogramPoint> });

export type MetricsFormat = 'openmetrics' | 'text';

export const METRICS_TYPES: Readonly<Record<MetricsFormat, string>> = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  text: 'text/plain; version=0.0.4; charset=utf-8',
};

/** A family of one number, or of none while there is nothing to tell. */
export function single(value: number | null, labels: Labels = {}): readonly Point[] {
  return value === null ? [] : [{ labels, value }];
}

/** The whole answer. Throws nothing: a family that cannot be read has no points. */
export function exposition(families: readonly Family[], format: MetricsFormat): string {
  const lines: string[] = [];
  for (const family of families) addFamily(lines, family, format);
  if (format === 'openmetrics') lines.push('# EOF');
  return `${lines.join('\n')}\n`;
}

function addFamily(lines: string[], family: Family, format: MetricsFormat): void {
  const { name, type, help, unit } = family;
  const sampled = name + suffixOf(type);
  // Metadata carries the family's name in OpenMetrics, that of the samples in the older format, which knows fewer types.
  const [called, as] = format === 'openmetrics' ? [name, type] : [sampled, olderType(type)];
  lines.push(`# TYPE ${called} ${as}`);
  if (unit !== undefined && format === 'openmetrics') lines.push(`# UNIT ${called} ${unit}`);
  lines.push(`# HELP ${called} ${format === 'openmetrics' ? escaped(help) : escapedLine(help)}`);
  if (family.type === 'histogram') for (const point of family.read()) addHistogram(lines, name, point);
  else for (const { labels, value } of family.read()) lines.push(sample(sampled, labels, value));
}

function addHistogram(lines: string[], name: string, { labels, bounds, counts, sum }: HistogramPoint): void {
  let count = 0;
  for (let at = 0; at <= bounds.length; at++) {
    const bound = bounds[at];
    count += counts[at] ?? 0;
    const le = bound === undefined ? '+Inf' : canonical(bound);
    lines.push(sample(`${name}_bucket`, { ...labels, le }, count));
  }
  lines.push(sample(`${name}_count`, labels, count), sample(`${name}_sum`, labels, sum));
}

function suffixOf(type: Family['type']): string {
  return type === 'counter' ? '_total' : type === 'info' ? '_info' : '';
}

function olderType(type: Family['type']): string {
  return type === 'info' || type === 'stateset' ? 'gauge' : type;
}

function sample(name: string, labels: Labels | undefined, value: number): string {
  const pairs = Object.entries(labels ?? {}).map(([label, text]) => `${label}="${escaped(String(text))}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${numberText(value)}`;
}

/** A bound as the specification wants it: a float always shows that it is one. */
function canonical(bound: number): string {
  return Number.isInteger(bound) ? `${bound}.0` : String(bound);
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

function escapedLine(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escaped(text: string): string {
  return escapedLine(text).replaceAll('"', '\\"');
}
