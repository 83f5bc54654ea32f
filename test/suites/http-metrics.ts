// The metrics of a server, as an independent parser reads them.
import { beforeAll, expect, test } from 'vitest';
import { cellStarted, flatDocument, unique } from '../support/events.ts';
import { EventStreamClient } from '../support/event-stream.ts';
import { INSTALL_TIMEOUT_MS, installParser, parseMetrics, scrape } from '../support/openmetrics.ts';
import type { ParsedMetrics, Sample } from '../support/openmetrics.ts';
import type { Rig } from '../support/server-process.ts';
import { until } from '../support/wait.ts';

export function metricsSuite(rig: () => Rig): void {
  beforeAll(installParser, INSTALL_TIMEOUT_MS);

  test('OPS-10 the formats', async () => {
    const { http } = rig();
    const modern = await http.get('/metrics', {
      headers: { accept: 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3' },
    });
    expect(modern.headers['content-type']).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
    expect(modern.text.endsWith('\n# EOF\n')).toBe(true);
    const old = await http.get('/metrics', { headers: { accept: 'text/plain;version=0.0.4' } });
    expect(old.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(old.text).not.toContain('# EOF');
    const [parsed, older] = [await parseMetrics(modern.text), await parseMetrics(old.text, 'text')];
    expect(parsed.families.size).toBeGreaterThan(15);
    for (const { name, type, help } of parsed.families.values()) {
      expect(name).toMatch(/^cellos_[a-z_]+$/);
      expect([name, type]).not.toEqual([name, 'unknown']);
      expect(help).toMatch(/^[A-Za-z].*\.$/);
    }
    expect(older.families.size).toBe(parsed.families.size);
    expect(older.value('cellos_formations')).toBe(parsed.value('cellos_formations'));
  });

  test('OPS-11 OPS-12 OPS-13 position, events, records, broker', async () => {
    const before = await scrape(rig().http);
    const seq = await rig().publish(cellStarted(unique('cell')), cellStarted(unique('cell')), 'no JSON');
    const after = await scrape(rig().http);
    const grown = (name: string, labels?: Record<string, string>) =>
      (after.value(name, labels) ?? NaN) - (before.value(name, labels) ?? NaN);
    expect(after.value('cellos_cursor')).toBe(seq);
    expect(after.value('cellos_lag_events')).toBe(0);
    expect(after.value('cellos_phase', { cellos_phase: 'live' })).toBe(1);
    expect(after.value('cellos_replay_target')).toBeLessThanOrEqual(seq);
    expect(after.value('cellos_replay_duration_seconds')).toBeGreaterThanOrEqual(0);
    expect(grown('cellos_events_total', { outcome: 'applied' })).toBe(2);
    expect(grown('cellos_events_total', { outcome: 'skipped' })).toBe(1);
    expect(grown('cellos_cells')).toBe(2);
    expect(grown('cellos_formations')).toBe(0);
    expect(grown('cellos_feed_ring_bytes')).toBeGreaterThan(0);
    expect(after.value('cellos_broker_connected')).toBe(1);
    expect(after.value('cellos_broker_opens_total')).toBe(1);
    expect(after.value('cellos_broker_lost_seconds')).toBe(0);
    expect(after.value('cellos_build_info', { version: '0.1.0' })).toBe(1);
    expect(Date.now() / 1000 - (after.value('cellos_start_time_seconds') ?? 0)).toBeLessThan(600);
  });

  test('OPS-12 sessions, and why the server ended them', async () => {
    const before = await scrape(rig().http);
    const feed = await rig().server.feed();
    const stream = await EventStreamClient.open(rig().http);
    const during = await scrape(rig().http);
    const change = (after: ParsedMetrics, name: string, labels?: Record<string, string>) =>
      (after.value(name, labels) ?? NaN) - (before.value(name, labels) ?? NaN);
    expect(change(during, 'cellos_feed_sessions')).toBe(2);
    expect(change(during, 'cellos_feed_sessions_opened_total')).toBe(2);
    stream.close();
    await feed.close();
    const stale = await rig().server.feed({ query: 'epoch=another' });
    expect((await stale.whenClosed()).code).toBe(4410);
    await until(
      async () => {
        // Where a runtime does not tell that the client of a stream has left, writing to it does.
        await rig().broker.publish(cellStarted(unique('cell')));
        return change(await scrape(rig().http), 'cellos_feed_sessions') === 0;
      },
      { what: 'the sessions to be gone' },
    );
    const after = await scrape(rig().http);
    const ended = (reason: string) => change(after, 'cellos_feed_sessions_ended_total', { reason });
    expect([ended('rehydrate'), ended('slow-consumer'), ended('shutdown')]).toEqual([1, 0, 0]);
  });

  test('OPS-15 OPS-16 requests by route, method and status', async () => {
    const { http } = rig();
    const before = await scrape(rig().http);
    const name = unique();
    await http.post('/v1/formations', flatDocument(name));
    await http.post('/v1/formations', flatDocument(name));
    for (let n = 0; n < 3; n++) await http.get(`/v1/formations/by-name/${name}`);
    await http.send('HEAD', '/v1/cells/unheard-of');
    await http.send('PATCH', '/v1/cells/x');
    await http.get(`/nowhere/${name}`);
    const after = await scrape(rig().http);
    const counted = (route: string, method: string, status: number) => {
      const labels = { route, method, status: String(status) };
      const value = (of: ParsedMetrics) => of.value('cellos_http_requests_total', labels) ?? 0;
      return value(after) - value(before);
    };
    const timedAt = (route: string, method: string) => {
      const value = (of: ParsedMetrics) =>
        of.value('cellos_http_request_duration_seconds_count', { route, method }) ?? 0;
      return value(after) - value(before);
    };
    // A gate in front has refused some of it; what it forwards the server counts.
    expect(counted('/v1/formations', 'POST', 201)).toBe(1);
    expect(counted('/v1/formations', 'POST', 409)).toBe(1);
    expect(timedAt('/v1/formations', 'POST')).toBe(2);
    expect(counted('/v1/formations/by-name/{name}', 'GET', 200)).toBe(3);
    expect(timedAt('/v1/formations/by-name/{name}', 'GET')).toBe(3);
    expect(counted('/v1/cells/{id}', 'HEAD', 404)).toBe(1);
    expect(counted('/metrics', 'GET', 200)).toBe(1);
    const labels = after.samples.flatMap((sample) => Object.values(sample.labels)).join(' ');
    for (const made of [name, 'unheard-of', 'nowhere', 'PATCH', http.token]) {
      expect(labels).not.toContain(made);
    }
    const route = '/v1/formations/by-name/{name}';
    const isAsked = ({ name: sample, labels: own }: Sample) =>
      sample.endsWith('_bucket') && own['route'] === route && own['method'] === 'GET';
    const durations = after.families.get('cellos_http_request_duration_seconds');
    const buckets = durations?.samples.filter(isAsked) ?? [];
    const values = buckets.map((sample) => sample.value);
    expect(values).toEqual(values.toSorted((a, b) => a - b));
    expect(buckets.at(-1)).toMatchObject({
      labels: { le: '+Inf' },
      value: after.value('cellos_http_request_duration_seconds_count', { route, method: 'GET' }),
    });
  });
}
