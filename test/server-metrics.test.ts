// The numbers of a server's life, as its log and its checkpoint move them.
import { beforeEach, describe, expect, test } from 'vitest';

import { CHECKPOINT_INTERVAL_MS } from '../src/limits.ts';
import { exposition } from '../src/metrics.ts';
import { ServerMetrics } from '../src/server-metrics.ts';
import { IGNORED, Lives } from './support/lives.ts';

describe('metrics of a server', () => {
  let lives: Lives;
  let metrics: ServerMetrics;
  beforeEach(async () => {
    lives = new Lives();
    for (let n = 0; n < 3; n++) lives.log.append(IGNORED);
    await lives.start();
    metrics = new ServerMetrics(lives.controlPlane, lives.clock, { gitSha: 'abc' });
  });

  /** The text behind a sample's name and labels; undefined when there is none. */
  const valueOf = (sample: string) =>
    exposition(metrics.families, 'openmetrics')
      .split('\n')
      .find((line) => line.startsWith(`${sample} `))
      ?.slice(sample.length + 1);

  test('OPS-11 OPS-12 position, events, and what is kept', async () => {
    expect(['cellos_cursor', 'cellos_replay_target', 'cellos_cells'].map(valueOf)).toEqual(['3', '3', '0']);
    expect(valueOf('cellos_events_total{outcome="ignored"}')).toBe('3');
    expect(valueOf('cellos_events_total{outcome="applied"}')).toBe('0');
    expect(valueOf('cellos_phase{cellos_phase="live"}')).toBe('1');
    expect(valueOf('cellos_phase{cellos_phase="starting"}')).toBe('0');
    expect(valueOf('cellos_build_info{version="0.1.0",git_sha="abc"}')).toBe('1');
    await lives.append(2);
    expect(['cellos_cursor', 'cellos_replay_target'].map(valueOf)).toEqual(['5', '3']);
  });

  test('OPS-11 the lag is known when the log has been asked, and no more when it cannot be', async () => {
    expect(valueOf('cellos_lag_events')).toBeUndefined();
    const bounds = await lives.log.bounds();
    lives.log.bounds = () => Promise.resolve({ ...bounds, lastSeq: bounds.lastSeq + 4 });
    await metrics.lookAtLog();
    expect(valueOf('cellos_lag_events')).toBe('4');
    await lives.append(6);
    expect(valueOf('cellos_lag_events')).toBe('0');
    lives.log.bounds = () => Promise.reject(new Error('away'));
    await metrics.lookAtLog();
    expect(valueOf('cellos_lag_events')).toBeUndefined();
  });

  test('OPS-14 saves of the view', async () => {
    const age = 'cellos_checkpoint_age_seconds';
    const saved = (result: string) => valueOf(`cellos_checkpoint_saves_total{result="${result}"}`);
    expect([valueOf(age), valueOf('cellos_checkpoint_cursor'), saved('saved')]).toEqual([
      undefined,
      undefined,
      '0',
    ]);
    await lives.pass(CHECKPOINT_INTERVAL_MS);
    expect([valueOf('cellos_checkpoint_cursor'), saved('saved'), saved('failed')]).toEqual(['3', '1', '0']);
    await lives.pass(5000);
    expect(valueOf(age)).toBe('5');
    await lives.append(1);
    lives.store.faults.commit = 'refused';
    await lives.pass(CHECKPOINT_INTERVAL_MS);
    expect([valueOf('cellos_checkpoint_cursor'), saved('saved'), saved('failed')]).toEqual(['3', '1', '1']);
  });

  test('OPS-14 no checkpoint, no family', async () => {
    await lives.start({ skipReplay: true });
    metrics = new ServerMetrics(lives.controlPlane, lives.clock, { gitSha: null });
    const text = exposition(metrics.families, 'openmetrics');
    expect(text).not.toContain('checkpoint');
    expect(text).toContain('cellos_build_info{version="0.1.0"} 1\n');
  });
});
