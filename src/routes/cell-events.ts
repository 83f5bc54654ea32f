// GET /v1/cells/{id}/events: one cell's events as lines, the retained ones and, for who follows, those that come.
import { EventReader, startOfTail } from '../event-reader.ts';
import { stream } from '../http.ts';
import { READ_TIMEOUT_MS } from '../limits.ts';
import { lineStream } from '../line-stream.ts';
import type { EventScope } from '../model.ts';
import { EventLogError, type FeedSocket } from '../ports.ts';
import { ProblemError } from '../problems.ts';
import { parseUnsigned, queryParameters } from '../query.ts';
import { EVENT_SUBJECTS } from '../subjects.ts';
import { excerpt } from '../text.ts';
import { orUnavailable } from './events.ts';
import { parseFlag, requireRoom } from './feed.ts';
import type { Answer, Register } from './routing.ts';

export function cellEventRoutes(register: Register, answer: Answer): void {
  register('GET', '/v1/cells/{id}/events', (c) => {
    const { method } = c.req.raw;
    const query = queryParameters(c.req.url, ['tail', 'follow']);
    const tail = query.tail === undefined ? null : parseUnsigned('tail', query.tail);
    const isFollowing = parseFlag('follow', query.follow);
    return answer(c, ({ controlPlane }) => {
      const { feed, state, cursor, epoch } = controlPlane;
      const id = c.req.param('id');
      if (!state.cells.has(id)) throw new ProblemError('not-found', `cell "${excerpt(id)}" is not known`);
      if (isFollowing) requireRoom(feed);
      return orUnavailable(async () => {
        const scope: EventScope = { kind: 'cell', id };
        const { firstSeq } = await controlPlane.log.bounds();
        if (method === 'HEAD') return stream(null, 'application/x-ndjson');
        const range = { after: firstSeq - 1, until: cursor };
        const signal = () => {
          // Below the index this may be most of a long log.
          if (c.req.raw.signal.aborted) throw new EventLogError('unavailable', 'the client has left');
          return AbortSignal.timeout(READ_TIMEOUT_MS);
        };
        const after =
          tail === null
            ? range.after
            : await startOfTail(controlPlane, scope, { ...range, count: tail, signal });
        const past = new EventReader(controlPlane, scope, Math.min(after, cursor), cursor);
        const request = { since: cursor, filter: EVENT_SUBJECTS, scope, epoch };
        // The past takes a while, in which others may have come; 503 is said no more then.
        const follow = (socket: FeedSocket) => (feed.isFull ? null : feed.open(socket, request));
        const body = lineStream(past, isFollowing ? follow : null);
        return stream(body, 'application/x-ndjson');
      });
    });
  });
}
