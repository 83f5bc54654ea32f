// How requests are counted, whatever clients make up.
import { describe, expect, test } from 'vitest';

import { exposition } from '../src/metrics.ts';
import { RequestMetrics } from '../src/request-metrics.ts';

/** The lines of the samples. */
function shown(metrics: RequestMetrics): string[] {
  return exposition(metrics.families, 'openmetrics')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
}

describe('requests', () => {
  test('OPS-15 are counted by route, method and status', () => {
    const metrics = new RequestMetrics();
    expect(shown(metrics)).toEqual([]);
    metrics.count('/v1/cells', 'GET', 200, 0.001);
    metrics.count('/v1/cells', 'GET', 200, 0.001);
    metrics.count('/v1/cells', 'GET', 503, 0.001);
    metrics.count('/v1/cells', 'HEAD', 200, 0.001);
    metrics.count('/livez', 'GET', 200, 0.001);
    expect(shown(metrics).filter((line) => line.includes('_total'))).toEqual([
      'cellos_http_requests_total{route="/v1/cells",method="GET",status="200"} 2',
      'cellos_http_requests_total{route="/v1/cells",method="GET",status="503"} 1',
      'cellos_http_requests_total{route="/v1/cells",method="HEAD",status="200"} 1',
      'cellos_http_requests_total{route="/livez",method="GET",status="200"} 1',
    ]);
  });

  test('OPS-15 a time that is a bound belongs below it; longer ones than the last are counted too', () => {
    const metrics = new RequestMetrics();
    for (const seconds of [0, 0.0005, 0.00051, 30, 31]) metrics.count('/livez', 'GET', 200, seconds);
    const lines = shown(metrics);
    const bucket = (le: string) =>
      lines.find((line) => line.includes('_bucket') && line.includes(`le="${le}"`))?.split(' ')[1];
    expect(['0.0005', '0.001', '10.0', '30.0', '+Inf'].map(bucket)).toEqual(['2', '3', '3', '4', '5']);
    const end = '{route="/livez",method="GET"}';
    expect(lines).toContain(`cellos_http_request_duration_seconds_count${end} 5`);
    expect(lines).toContain(`cellos_http_request_duration_seconds_sum${end} ${0.0005 + 0.00051 + 30 + 31}`);
  });

  test('OPS-16 what is no route and no method of ours shares one label', () => {
    const metrics = new RequestMetrics();
    for (let n = 0; n < 1000; n++) metrics.count(null, `METHOD${n}`, 404, 0);
    metrics.count(null, 'other', 404, 0);
    const lines = shown(metrics);
    expect(lines[0]).toBe('cellos_http_requests_total{route="other",method="other",status="404"} 1001');
    expect(lines.join('\n')).not.toContain('METHOD');
  });
});
