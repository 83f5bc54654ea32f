// Writes of one server side by side: none waits for another's way to the log and back.
import { expect, test } from 'vitest';

import { ControlPlane } from '../src/control-plane.ts';
import { parseDocument } from '../src/documents.ts';
import { Writer } from '../src/writer.ts';
import { flatDocument } from './support/events.ts';
import { ManualClock } from './support/manual-clock.ts';
import { MemoryEventLog } from './support/memory-event-log.ts';
import { silentLogger } from './support/system.ts';

const CONTEXT = { operator: 'ops', traceparent: null, mark: null };

test('OUT-30 all writes that are under way are with the log at once', async () => {
  const log = new MemoryEventLog();
  const clock = new ManualClock();
  const controlPlane = new ControlPlane({ log, clock, logger: silentLogger });
  const writer = new Writer(controlPlane, clock);
  controlPlane.start();
  await controlPlane.whenServing();
  const subjects: string[] = [];
  const acknowledge = Promise.withResolvers<void>();
  const publish = log.publish.bind(log);
  log.publish = async (subject, payload, options) => {
    subjects.push(subject);
    await acknowledge.promise;
    return publish(subject, payload, options);
  };
  const writes = Array.from({ length: 64 }, (_, index) => {
    const parsed = parseDocument(JSON.stringify(flatDocument(`web-${index}`)));
    if (!parsed.ok) throw new Error(parsed.detail);
    return writer.create(parsed.document, CONTEXT);
  });
  await clock.settle();
  expect(new Set(subjects).size).toBe(64);
  acknowledge.resolve();
  const written = await Promise.all(writes);
  expect(written.map(({ seq }) => seq)).toEqual(written.map((_, index) => index + 1));
});
