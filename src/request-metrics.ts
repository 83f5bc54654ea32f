// Requests as they are counted: by route, method and status, with how long their answers took. Labels are of a few known values,
// whatever clients send, and counting a request allocates nothing once its kind has been seen.
import type { Family, HistogramPoint, Labels, Point } from './metrics.ts';
import type { Template } from './routes/table.ts';

/** In seconds: from an answer out of memory to a write that waits for the log, and to a page that waits for an event. */
const BOUNDS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** What a path is called that is no route's, and a method that is none of ours. */
const OTHER = 'other';
const METHODS = ['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS', OTHER];

/** One route and method. */
interface Kind {
  readonly labels: Labels;
  readonly statuses: Map<number, number>;
  readonly counts: Float64Array;
  sum: number;
}

export class RequestMetrics {
  /** By route, then by the index of the method. */
  readonly #kinds = new Map<Template | null, (Kind | undefined)[]>();

  /** `route` is null where no route was found. */
  count(route: Template | null, method: string, status: number, seconds: number): void {
    const kind = this.#kindOf(route, method);
    kind.statuses.set(status, (kind.statuses.get(status) ?? 0) + 1);
    let at = 0;
    while (at < BOUNDS_SECONDS.length && seconds > (BOUNDS_SECONDS[at] as number)) at++;
    kind.counts[at] = (kind.counts[at] as number) + 1;
    kind.sum += seconds;
  }

  readonly families: readonly Family[] = [
    {
      name: 'cellos_http_requests',
      type: 'counter',
      help: 'Requests answered, by route, method and status.',
      read: () => this.#totals(),
    },
    {
      name: 'cellos_http_request_duration_seconds',
      type: 'histogram',
      unit: 'seconds',
      help: 'Time from a request to the head of its answer.',
      read: () => this.#durations(),
    },
  ];

  #kindOf(route: Template | null, method: string): Kind {
    let byMethod = this.#kinds.get(route);
    if (byMethod === undefined) this.#kinds.set(route, (byMethod = []));
    const found = METHODS.indexOf(method);
    const at = found < 0 ? METHODS.length - 1 : found;
    return (byMethod[at] ??= {
      labels: { route: route ?? OTHER, method: METHODS[at] as string },
      statuses: new Map(),
      counts: new Float64Array(BOUNDS_SECONDS.length + 1),
      sum: 0,
    });
  }

  *#each(): Iterable<Kind> {
    for (const byMethod of this.#kinds.values()) {
      for (const kind of byMethod) if (kind !== undefined) yield kind;
    }
  }

  *#totals(): Iterable<Point> {
    for (const { labels, statuses } of this.#each()) {
      for (const [status, value] of statuses) yield { labels: { ...labels, status }, value };
    }
  }

  *#durations(): Iterable<HistogramPoint> {
    for (const { labels, counts, sum } of this.#each()) yield { labels, bounds: BOUNDS_SECONDS, counts, sum };
  }
}
