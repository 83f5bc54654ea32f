// What a server does that finds a checkpoint: it reads on from there, and ends where a full replay would.
import * as fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';

import { CHECKPOINT_INTERVAL_MS } from '../src/limits.ts';
import { cellEvent, DESTROYED, formationEvent, STARTED } from './support/given.ts';
import { Lives } from './support/lives.ts';
import { shown } from './support/memory-checkpoint-store.ts';

const ID = '0f8fad5b-d9cb-469f-a165-70867728950e';

describe('a start with a checkpoint', () => {
  let lives: Lives;
  beforeEach(() => {
    lives = new Lives();
  });

  it('RUN-18 reads only what is after it', async () => {
    await lives.start();
    await lives.append(5, cellEvent(STARTED, 'a'));
    await lives.stop();
    lives.log.append(cellEvent(DESTROYED, 'a', { outcome: 'succeeded' }));
    lives.log.append(cellEvent(STARTED, 'b'));
    await lives.start();
    expect(lives.delivered).toEqual([6, 7]);
    expect(shown(lives.controlPlane.state)).toEqual(shown(await lives.replayed()));
  });

  it('RUN-18 answers from it while the broker is away', async () => {
    await lives.start();
    await lives.append(3, cellEvent(STARTED, 'a'));
    const { epoch } = lives.controlPlane;
    await lives.stop();
    lives.log.disconnect();
    await lives.start();
    await lives.pass(2000);
    expect([lives.controlPlane.serving, lives.cursor]).toEqual([true, 3]);
    // A cursor is worth nothing to a client that is not told what it belongs to.
    expect(lives.controlPlane.epoch).toBe(epoch);
    expect([...lives.controlPlane.state.cells.keys()]).toEqual(['a']);
  });

  it('RUN-18 feeds sessions from behind its position', async () => {
    await lives.start();
    await lives.append(5);
    await lives.stop();
    await lives.start();
    const texts: string[] = [];
    const socket = {
      send: (frames: readonly { text: string }[]) => frames.forEach(({ text }) => texts.push(text)) ?? 0,
      close() {},
      bufferedBytes: 0,
    };
    lives.controlPlane.feed.open(socket, { since: 3, filter: 'cellos.events.>', epoch: null });
    await lives.append(1);
    expect(texts.map((text) => (JSON.parse(text) as { seq: number }).seq)).toEqual([4, 5, 6]);
  });

  it('CFG-7 a start at the tail neither uses nor touches it', async () => {
    await lives.start();
    await lives.append(3, cellEvent(STARTED, 'a'));
    await lives.stop();
    const { head } = lives.store;
    const { length } = lives.store.commits;
    await lives.start({ skipReplay: true });
    expect(lives.controlPlane.state.cells.size).toBe(0);
    await lives.append(2, cellEvent(STARTED, 'b'));
    await lives.pass(2 * CHECKPOINT_INTERVAL_MS);
    await lives.stop();
    expect([lives.store.commits.length, lives.store.head]).toEqual([length, head]);
    await lives.start();
    expect(shown(lives.controlPlane.state)).toEqual(shown(await lives.replayed()));
  });

  it('RUN-18 any events, stops and crashes: the view is that of a full replay', async () => {
    const id = fc.constantFrom('a', 'b', 'c');
    const event = fc.oneof(
      id.map((cell) => cellEvent(STARTED, cell, { formationId: ID })),
      id.map((cell) => cellEvent(DESTROYED, cell, { outcome: 'failed' })),
      fc
        .constantFrom('created', 'running', 'failed', 'completed')
        .map((phase) => formationEvent(phase, { formationId: ID, formationName: 'web' })),
      fc.uuid().map((formationId) => formationEvent('created', { formationId, formationName: 'web' })),
      fc.constant('not an event'),
    );
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.record({ event }) },
      { weight: 2, arbitrary: fc.record({ pass: fc.constantFrom(4000, CHECKPOINT_INTERVAL_MS) }) },
      // A save may be under way when the next step comes.
      { weight: 2, arbitrary: fc.record({ rush: fc.constant(CHECKPOINT_INTERVAL_MS) }) },
      { weight: 2, arbitrary: fc.record({ end: fc.constantFrom('stop', 'crash') }) },
      { weight: 1, arbitrary: fc.record({ does: fc.constantFrom('replace', 'cut', 'fail', 'remove') }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
        const run = new Lives();
        await run.start();
        for (const each of steps) {
          if ('event' in each) run.log.append(each.event);
          else if ('pass' in each) await run.pass(each.pass);
          else if ('rush' in each) await run.clock.advance(each.rush);
          else if ('end' in each) {
            if (each.end === 'stop') await run.stop();
            else await run.crash();
            delete run.store.faults.commit;
            await run.start();
          } else if (each.does === 'replace') run.log.replace();
          else if (each.does === 'fail') run.store.faults.commit = 'refused';
          else if (each.does === 'remove') run.log.remove(run.cursor);
          else {
            run.log.disconnect();
            run.log.connect();
          }
        }
        await run.settle();
        const other = await run.replayed();
        // What was seen before it was deleted stays.
        if (!steps.some((each) => 'does' in each && each.does === 'remove')) {
          expect(shown(run.controlPlane.state)).toEqual(shown(other));
        }
        expect(run.cursor).toBe(other.cursor);
        await run.stop();
      }),
      { numRuns: 100 },
    );
  });
});
