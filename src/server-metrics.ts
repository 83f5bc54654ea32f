// The numbers of one server beside its requests: where it is in the log, what became of the events, who listens, what is kept.
import type { ControlPlane } from './control-plane.ts';
import { PHASES } from './lifecycle.ts';
import { type Family, type Labels, type Point, single } from './metrics.ts';
import type { Position } from './model.ts';
import type { Clock } from './ports.ts';
import type { BuildInfo } from './routes/meta.ts';
import { VERSION } from './version.ts';

export class ServerMetrics {
  readonly families: readonly Family[];
  readonly #controlPlane: ControlPlane;
  #lastSeq: Position | null = null;

  constructor(controlPlane: ControlPlane, clock: Clock, { gitSha }: BuildInfo) {
    this.#controlPlane = controlPlane;
    const { feed, keeper, vitals } = controlPlane;
    const startedAt = clock.now();
    const build: Labels = { version: VERSION, ...(gitSha === null ? {} : { git_sha: gitSha }) };
    const secondsSince = (at: number) => Math.max(0, clock.now() - at) / 1000;
    const since = () => (keeper?.lastSave ? secondsSince(keeper.lastSave.at) : null);
    this.families = [
      info('cellos_build', 'The build that runs.', () => single(1, build)),
      gauge(
        'cellos_start_time_seconds',
        'When this server began, in Unix time.',
        () => startedAt / 1000,
        'seconds',
      ),
      {
        name: 'cellos_phase',
        type: 'stateset',
        help: 'live: the view follows the log. lost, offline: reads are answered from the view without the log.',
        read: () =>
          PHASES.map((phase) => ({
            labels: { cellos_phase: phase },
            value: Number(controlPlane.phase === phase),
          })),
      },
      gauge(
        'cellos_cursor',
        'Sequence of the last event that the view has processed.',
        () => controlPlane.cursor,
      ),
      gauge(
        'cellos_lag_events',
        'Sequences that the log has and the view has not; none while the log is out of reach.',
        () => this.#lag(),
      ),
      counter('cellos_events', 'Events by what became of them, those of replays included.', () =>
        by('outcome', vitals.events),
      ),
      counter(
        'cellos_signed_events',
        'Events in signed envelopes, and those that are refused without one, by what became of the signature.',
        () => by('signature', vitals.signatures),
      ),
      gauge(
        'cellos_replay_target',
        "The log's last sequence when reading it began; the view is complete there.",
        () => controlPlane.progress.target,
      ),
      gauge(
        'cellos_replay_duration_seconds',
        'How long the last catching up with the log took.',
        () => (vitals.catchUpMs === null ? null : vitals.catchUpMs / 1000),
        'seconds',
      ),
      gauge('cellos_formations', 'Formations in the view.', () => controlPlane.state.formations.size),
      gauge('cellos_cells', 'Cells in the view.', () => controlPlane.state.cells.size),
      gauge('cellos_broker_connected', 'Whether the broker can be reached.', () =>
        Number(vitals.isConnected),
      ),
      counter(
        'cellos_broker_opens',
        'How often the read of the log was opened: once, and after each loss.',
        () => single(vitals.opens),
      ),
      gauge(
        'cellos_broker_lost_seconds',
        'How long the broker has been out of reach; 0 while it is not.',
        () => (vitals.lostAt === null ? 0 : secondsSince(vitals.lostAt)),
        'seconds',
      ),
      gauge(
        'cellos_feed_sessions',
        'Open sessions of the feed, streams and waiting pages included.',
        () => feed.size,
      ),
      gauge('cellos_feed_sessions_limit', 'As many may be open.', () => feed.maxSessions),
      counter('cellos_feed_sessions_opened', 'Sessions opened.', () => single(feed.opened)),
      counter('cellos_feed_sessions_ended', 'Sessions that the server ended, by reason.', () =>
        by('reason', feed.ended),
      ),
      gauge(
        'cellos_feed_ring_bytes',
        'Recent events kept in memory for the feed.',
        () => feed.ringBytes,
        'bytes',
      ),
      ...(keeper === null
        ? []
        : [
            gauge(
              'cellos_checkpoint_age_seconds',
              'Since the view was last saved; a view that has not changed is not.',
              since,
              'seconds',
            ),
            gauge(
              'cellos_checkpoint_cursor',
              'Sequence of the last event in what was last saved.',
              () => keeper.lastSave?.cursor ?? null,
            ),
            counter('cellos_checkpoint_saves', 'Attempts to save the view, by result.', () =>
              by('result', { saved: keeper.saves, failed: keeper.failures }),
            ),
          ]),
    ];
  }

  /** Asks how far the log is. Never rejects: while it is out of reach that is not known. */
  async lookAtLog(): Promise<void> {
    try {
      this.#lastSeq = (await this.#controlPlane.log.bounds()).lastSeq;
    } catch {
      this.#lastSeq = null;
    }
  }

  /** What has come since the log was asked is no lag. */
  #lag(): number | null {
    return this.#lastSeq === null ? null : Math.max(0, this.#lastSeq - this.#controlPlane.cursor);
  }
}

function gauge(name: string, help: string, read: () => number | null, unit?: Family['unit']): Family {
  return { name, type: 'gauge', help, read: () => single(read()), ...(unit === undefined ? {} : { unit }) };
}

function counter(name: string, help: string, read: () => Iterable<Point>): Family {
  return { name, type: 'counter', help, read };
}

function info(name: string, help: string, read: () => Iterable<Point>): Family {
  return { name, type: 'info', help, read };
}

/** A point for each member. */
function by(label: string, values: Readonly<Record<string, number>>): Point[] {
  return Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }));
}
