// The contract's HTTP side, for any runtime: mount it with what starts a server there.
import { beforeAll, describe } from 'vitest';
import type { Exchange } from '../support/openapi-checker.ts';
import { useRig } from '../support/server-process.ts';
import type { Capabilities, Target } from '../support/server-process.ts';
import { accessSuite } from './http-access.ts';
import { admissionSuite } from './http-admission.ts';
import { admissionShapesSuite } from './http-admission-shapes.ts';
import { authSuite } from './http-auth.ts';
import { cellEventsSuite } from './http-cell-events.ts';
import { cellsSuite } from './http-cells.ts';
import { edgeSuite } from './http-edge.ts';
import { eventsSuite } from './http-events.ts';
import { formationChangesSuite } from './http-formation-changes.ts';
import { formationsSuite } from './http-formations.ts';
import { pagesSuite } from './http-pages.ts';
import { metricsSuite } from './http-metrics.ts';
import { openApiSuite } from './http-openapi.ts';
import { probesSuite } from './http-probes.ts';
import { cellProjectionSuite } from './http-projection-cells.ts';
import { projectionSuite } from './http-projection.ts';
import { repeatsSuite } from './http-repeats.ts';
import { requestLogSuite } from './http-request-log.ts';
import { streamsSuite } from './http-streams.ts';
import { validatorsSuite } from './http-validators.ts';
import { writesSuite } from './http-writes.ts';

const OPERATOR = 'Zoë O’Hara/ops';

export function httpSuite(target: Target, capabilities: Capabilities): void {
  describe(`HTTP on ${target.name}`, () => {
    const rig = useRig(target, { CELLOS_SERVER_OPERATOR_ID: ` ${OPERATOR} ` });
    const seen: Exchange[] = [];
    beforeAll(() => {
      rig().http.onReply = (method, path, reply) => seen.push({ method, path, ...reply });
    });
    describe('auth and CORS', () => authSuite(rig));
    describe('edges', () => edgeSuite(rig, capabilities));
    describe('formations', () => formationsSuite(rig));
    describe('changes', () => formationChangesSuite(rig));
    describe('documents', () => admissionShapesSuite(rig));
    describe('admission', () => admissionSuite(rig));
    describe('writes', () => writesSuite(rig, OPERATOR));
    describe('repeated requests', () => repeatsSuite(rig));
    describe('cursors and entity tags', () => validatorsSuite(rig));
    describe('cells', () => cellsSuite(rig));
    describe('pages', () => pagesSuite(rig));
    describe('formation events', () => projectionSuite(rig));
    describe('cell events', () => cellProjectionSuite(rig));
    describe('events', () => eventsSuite(rig));
    describe('a cell’s events', () => cellEventsSuite(rig));
    describe('streams', () => streamsSuite(rig));
    describe('probes', () => probesSuite(rig, target));
    describe('metrics', () => metricsSuite(rig));
    describe('requests in the log', () => requestLogSuite(rig, OPERATOR));
    // The last one: it looks back.
    describe('the description of the API', () => openApiSuite(rig, seen));
  });
  describe(`access on ${target.name}`, () => accessSuite(target));
}
