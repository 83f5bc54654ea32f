// Whether a session may be served from its cursor: only the log knows how far back it reaches and which stream it is.
import { belowFloor } from './feed-history.ts';
import type { CloseSession, FeedSession } from './feed-session.ts';
import type { EventLog, Log, LogBounds } from './ports.ts';
import { CLOSE, problemFrame } from './problems.ts';

/** What became of a session that asked to be served from its cursor. `later`: the log cannot be asked just now. */
export type Verdict = 'admitted' | 'refused' | 'later';

type Refusal = 'ws/retention-exhausted' | 'ws/epoch-changed';

export class FeedAdmission {
  readonly #log: EventLog;
  readonly #logger: Log;
  readonly #close: CloseSession;

  constructor(log: EventLog, logger: Log, close: CloseSession) {
    this.#log = log;
    this.#logger = logger;
    this.#close = close;
  }

  /** Compares what the client remembers with the log, and closes a session that has to start anew. */
  async check(session: FeedSession): Promise<Verdict> {
    let bounds: LogBounds;
    session.reading = true;
    try {
      bounds = await this.#log.bounds();
    } catch (error) {
      this.#logger.debug('feed: no bounds for a session', { error: String(error) });
      return 'later';
    } finally {
      session.reading = false;
    }
    if (session.state === 'closed') return 'refused';
    if (session.epoch !== null && session.epoch !== bounds.epoch) {
      this.rehydrate(session, 'ws/epoch-changed', bounds);
      return 'refused';
    }
    if (belowFloor(session.cursor, bounds)) {
      this.rehydrate(session, 'ws/retention-exhausted', bounds);
      return 'refused';
    }
    session.epoch = bounds.epoch;
    // 0 means "from the oldest retained", whatever the ring still holds.
    if (session.cursor === 0) session.cursor = bounds.firstSeq - 1;
    return 'admitted';
  }

  /** Tells a client to drop its copy: the problem as a frame, then 4410. */
  rehydrate(session: FeedSession, code: Refusal, { epoch, firstSeq, lastSeq }: LogBounds): void {
    const text = problemFrame(code, { oldest_seq: firstSeq, latest_seq: lastSeq, epoch });
    if (session.state !== 'closed')
      session.socket.send([{ seq: session.lastSent, subject: '', text, name: 'problem' }]);
    this.#close(session, CLOSE.rehydrate, code.slice('ws/'.length));
  }
}
