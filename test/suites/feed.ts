// The contract's feed, for any runtime: mount it with what starts a server there.
import { beforeAll, describe } from 'vitest';
import type { FeedClient } from '../support/feed-client.ts';
import { useRig } from '../support/server-process.ts';
import type { Capabilities, Target } from '../support/server-process.ts';
import { controlSuite, sessionLimitSuite } from './feed-control.ts';
import { framesSuite } from './feed-frames.ts';
import { formationEventsSuite } from './formation-events.ts';
import { retentionSuite } from './feed-retention.ts';
import { sessionsSuite } from './feed-sessions.ts';
import { upgradesSuite } from './feed-upgrades.ts';

export function feedSuite(target: Target, capabilities: Capabilities): void {
  describe(`feed on ${target.name}`, () => {
    const rig = useRig(target);
    let idle: FeedClient;
    beforeAll(async () => {
      idle = await rig().server.feed({ query: 'subject=cellos.events.none' });
    });
    describe('upgrades', () => upgradesSuite(rig));
    describe('frames', () => framesSuite(rig));
    describe('formations', () => formationEventsSuite(rig));
    describe('control', () => controlSuite(rig));
    describe('sessions', () => sessionsSuite(rig, () => idle, capabilities));
  });
  describe(`sessions on ${target.name}`, () =>
    sessionLimitSuite(useRig(target, { CELLOS_SERVER_MAX_SESSIONS: '3' })));
  describe(`retention on ${target.name}`, () => retentionSuite(useRig(target)));
}
