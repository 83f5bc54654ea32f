// The operations of src/routes/events.ts and feed.ts.
import { content, problems } from './answers.ts';
import type { OperationsOf } from './operation.ts';
import { parameterRefs } from './parameters.ts';
import { schemaRef } from './schemas.ts';

export const EVENT_OPERATIONS: OperationsOf<'/v1/events' | '/ws/events'> = {
  '/v1/events': {
    GET: {
      operationId: 'listEvents',
      tags: ['events'],
      summary: 'A page of the event log, or the feed as a stream',
      description:
        'For `Accept: text/event-stream` the answer is the feed: each event has its sequence as `id` and as `data` ' +
        '`{"seq":N,"event":…}`; a problem at its end is an `event: problem`. Otherwise it is a page, which may wait for what comes ' +
        'next; `epoch` and `control` change nothing then.',
      parameters: parameterRefs(
        'EventsSince',
        'EventsLimit',
        'Subject',
        'EventsFormation',
        'EventsWait',
        'Epoch',
        'Control',
        'LastEventId',
        'MinCursor',
      ),
      responses: {
        200: {
          description: 'A page, or a stream that does not end by itself.',
          content: {
            ...content(schemaRef('EventsPage')),
            ...content({ type: 'string' }, 'text/event-stream'),
          },
        },
        ...problems(
          'not-found',
          'ws/retention-exhausted',
          'ws/epoch-changed',
          'too-many-sessions',
          'cursor-timeout',
        ),
      },
    },
  },
  '/ws/events': {
    GET: {
      operationId: 'openFeed',
      tags: ['events'],
      summary: 'The feed over a WebSocket',
      description: `The request is a WebSocket handshake (RFC 6455, version 13); without one it is refused with 400. Browsers, which cannot set
headers on it, offer the subprotocols \`cellos.v1\` and \`cellos.bearer.<token in base64url>\`; the server selects \`cellos.v1\`.

Each message is a text frame \`{"seq":N,"event":<the payload as it was published>}\`. With \`control=true\` also \`{"synced":true,"seq":N}\`,
once, when all of the past was sent, and \`{"bookmark":true,"seq":N}\` when nothing was sent for a while. With \`snapshot\` the session begins with
\`{"snapshot":{"formations":[…]},"seq":N,"epoch":…,"more":true}\`, the last of them with \`"more":false\`. What clients send is ignored, at most 64 KiB
a message.

The session ends with 1001 when the server stops, 1008 for a filter that is none or while the event store is out of reach, 1009 for a message that
is too long, 4408 \`slow-consumer N\` for a client that does not take what it is sent (come back with \`since=N\`), and 4410 when \`since\` cannot be
served: a frame of type \`/problems/ws/retention-exhausted\` or \`/problems/ws/epoch-changed\` before it says \`oldest_seq\`, \`latest_seq\` and \`epoch\`; drop
your copy, read a snapshot, and begin at its cursor.`,
      parameters: parameterRefs(
        'FeedSince',
        'FeedSubject',
        'EventsFormation',
        'Epoch',
        'Control',
        'Snapshot',
        'MinCursor',
      ),
      responses: {
        101: { description: 'The session is open.' },
        ...problems('not-found', 'too-many-sessions'),
      },
    },
  },
};
