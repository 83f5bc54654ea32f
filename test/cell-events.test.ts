// What one cell's events cost a server whose client has left.
import { expect, test } from 'vitest';

import { createApp } from '../src/app.ts';
import { ControlPlane } from '../src/control-plane.ts';
import { HISTORY_PAGE_SEQUENCES } from '../src/limits.ts';
import { accessBy } from './support/access.ts';
import { cellEvent, STARTED } from './support/given.ts';
import { ManualClock } from './support/manual-clock.ts';
import { MemoryEventLog } from './support/memory-event-log.ts';
import { silentLogger } from './support/system.ts';

const PAGES = 20;

test('HTTP-81 nothing more is read below the index for a client that has left', async () => {
  const log = new MemoryEventLog();
  log.append(cellEvent(STARTED, 'c'));
  for (let n = 1; n < PAGES * HISTORY_PAGE_SEQUENCES; n++) log.append({ type: 'note' });
  const clock = new ManualClock();
  const controlPlane = new ControlPlane({ log, clock, logger: silentLogger });
  controlPlane.start();
  await controlPlane.whenServing();
  const { index, cursor } = controlPlane.state;
  index.seal();
  index.forgetBefore(cursor + 1);
  index.startAt(cursor);
  const client = new AbortController();
  const read = log.read.bind(log);
  let reads = 0;
  log.read = (options) => {
    if (++reads === 2) client.abort();
    return read(options);
  };
  const access = accessBy('t');
  const app = createApp({ controlPlane, access, clock, logger: silentLogger, build: { gitSha: null } });
  const headers = { authorization: 'Bearer t' };
  const url = 'http://server/v1/cells/c/events?tail=5';
  const answer = await app.fetch(new Request(url, { headers, signal: client.signal }), null);
  expect([answer.status, reads]).toEqual([503, 2]);
  await controlPlane.stop();
});
