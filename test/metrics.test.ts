// The texts of /metrics, letter by letter; that parsers of others read them is for the suites.
import { describe, expect, test } from 'vitest';

import { exposition, type Family, single } from '../src/metrics.ts';

const FAMILIES: readonly Family[] = [
  { name: 'a_things', type: 'counter', help: 'Things.', read: () => single(3, { kind: 'x', n: 1 }) },
  { name: 'b_seconds', type: 'gauge', unit: 'seconds', help: 'Time.', read: () => single(0.5) },
  { name: 'c_build', type: 'info', help: 'The build.', read: () => single(1, { version: '1' }) },
  {
    name: 'd_phase',
    type: 'stateset',
    help: 'The phase.',
    read: () => ['on', 'off'].map((each) => ({ labels: { d_phase: each }, value: Number(each === 'on') })),
  },
  {
    name: 'e_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Durations.',
    read: () => [{ labels: { route: '/x' }, bounds: [0.5, 1], counts: [1, 0, 2], sum: 7.25 }],
  },
  { name: 'f_unknown', type: 'gauge', help: 'Nothing yet.', read: () => single(null) },
];

describe('OPS-10 exposition', () => {
  test('as OpenMetrics', () => {
    expect(exposition(FAMILIES, 'openmetrics')).toBe(`# TYPE a_things counter
# HELP a_things Things.
a_things_total{kind="x",n="1"} 3
# TYPE b_seconds gauge
# UNIT b_seconds seconds
# HELP b_seconds Time.
b_seconds 0.5
# TYPE c_build info
# HELP c_build The build.
c_build_info{version="1"} 1
# TYPE d_phase stateset
# HELP d_phase The phase.
d_phase{d_phase="on"} 1
d_phase{d_phase="off"} 0
# TYPE e_seconds histogram
# UNIT e_seconds seconds
# HELP e_seconds Durations.
e_seconds_bucket{route="/x",le="0.5"} 1
e_seconds_bucket{route="/x",le="1.0"} 1
e_seconds_bucket{route="/x",le="+Inf"} 3
e_seconds_count{route="/x"} 3
e_seconds_sum{route="/x"} 7.25
# TYPE f_unknown gauge
# HELP f_unknown Nothing yet.
# EOF
`);
  });

  test('as the older text, which knows fewer types', () => {
    const text = exposition(FAMILIES, 'text');
    expect(text).toContain('# TYPE a_things_total counter\n# HELP a_things_total Things.\na_things_total{');
    expect(text).toContain('# TYPE c_build_info gauge\n');
    expect(text).toContain('# TYPE d_phase gauge\n');
    expect(text).not.toMatch(/# (UNIT|EOF)/);
  });

  test.each([
    [Infinity, '+Inf'],
    [-Infinity, '-Inf'],
    [NaN, 'NaN'],
    [1e21, '1e+21'],
    [-0.25, '-0.25'],
  ])('a value of %d', (value, spelled) => {
    const read = () => single(value);
    expect(exposition([{ name: 'a', type: 'gauge', help: 'A.', read }], 'text')).toContain(
      `\na ${spelled}\n`,
    );
  });

  test('what labels and help may hold', () => {
    const family: Family = {
      name: 'a',
      type: 'gauge',
      help: 'a "b" \\ c\nd',
      read: () => single(1, { label: '"\\\n' }),
    };
    expect(exposition([family], 'openmetrics')).toBe(
      '# TYPE a gauge\n# HELP a a \\"b\\" \\\\ c\\nd\na{label="\\"\\\\\\n"} 1\n# EOF\n',
    );
    expect(exposition([family], 'text')).toContain('# HELP a a "b" \\\\ c\\nd\n');
  });
});
