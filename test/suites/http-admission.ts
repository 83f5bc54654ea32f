// The rules of admission, in their order, and the names they hand out.
import { describe, expect, test } from 'vitest';
import { flatDocument, formationEvent, kubectlDocument, unique } from '../support/events.ts';
import { expectProblem } from '../support/http-client.ts';
import type { Rig } from '../support/server-process.ts';
import { admit, egressRule, flat, lead, refuse, submit, worker } from './http-admission-support.ts';
import type { Refusal } from './http-admission-support.ts';

const under = (parent: unknown, child: unknown) =>
  flat({ ...lead, authority: parent }, { ...worker, authority: child });
const rules = (...egressRules: unknown[]) => ({ egressRules });

export function admissionSuite(rig: () => Rig): void {
  test.each([
    '-a',
    '.a',
    'a-',
    'a.',
    'a b',
    'a/b',
    'ä',
    'a\n',
    'a\u0000',
    'a:b',
    '-',
    '.',
    'x'.repeat(254),
    '',
  ])('ADM-20 refused as bad-request: the name %j', async (name) => {
    await refuse(rig(), 'bad-request', { ...flat(lead), name }, ['name']);
  });

  test.each<Refusal>([
    ['no members at all', flat(), ['lead']],
    ['others', flat({ id: 'a' }, { id: 'b', authorizedBy: 'a' }), ['lead']],
    ['another letter case', flat({ id: 'Lead' }), ['lead']],
    ['duplicates besides', flat({ id: 'a' }, { id: 'a' }), ['lead']],
  ])('ADM-21 refused as no-coordinator: %s', async (_what, body, names) => {
    await refuse(rig(), 'formation/no-coordinator', body, names);
  });

  test.each<Refusal>([
    ['the coordinator twice', flat(lead, lead), ['lead']],
    ['a member twice, and a cycle', flat(lead, worker, worker, { id: 'x', authorizedBy: 'x' }), ['worker']],
    ['several', flat(lead, worker, { id: 'b', authorizedBy: 'lead' }, worker, { id: 'b' }), ['worker', 'b']],
  ])('ADM-22 refused as duplicate-member-id: %s', async (_what, body, names) => {
    await refuse(rig(), 'formation/duplicate-member-id', body, names);
  });

  test.each<Refusal>([
    ['a coordinator under another', flat({ ...lead, authorizedBy: 'worker' }, worker), ['lead']],
    ['a coordinator under itself', flat({ ...lead, authorizedBy: 'lead' }), ['lead']],
    ['a member without parent', flat(lead, { id: 'stray' }), ['stray']],
    ['a member whose parent is null', flat(lead, { id: 'stray', authorizedBy: null }), ['stray']],
    ['a parent that is no member', flat(lead, { id: 'w', authorizedBy: 'ghost' }), ['w', 'ghost']],
    ['several of them', flat(lead, { id: 's1' }, { id: 's2', authorizedBy: 'ghost' }), ['s1', 's2', 'ghost']],
    ['one besides a cycle', flat(lead, { id: 'self', authorizedBy: 'self' }, { id: 'stray' }), ['stray']],
  ])('ADM-23 refused as authority-not-narrowing: %s', async (_what, body, names) => {
    await refuse(rig(), 'formation/authority-not-narrowing', body, names);
  });

  test.each<Refusal>([
    ['a member under itself', flat(lead, { id: 'self', authorizedBy: 'self' }), ['self']],
    ['two', flat(lead, { id: 'a', authorizedBy: 'b' }, { id: 'b', authorizedBy: 'a' }), ['a', 'b']],
    [
      'three, and wider authority besides',
      flat(
        lead,
        { ...worker, authority: { secretRefs: ['s'] } },
        { id: 'p1', authorizedBy: 'p2' },
        { id: 'p2', authorizedBy: 'p3' },
        { id: 'p3', authorizedBy: 'p1' },
      ),
      ['p1', 'p2', 'p3'],
    ],
  ])('ADM-24 refused as cycle: %s', async (_what, body, names) => {
    await refuse(rig(), 'formation/cycle', body, names);
  });

  test.each<Refusal>([
    [
      'a secret of its own',
      under({ secretRefs: ['a'] }, { secretRefs: ['a', 'b'] }),
      ['worker', 'lead', 'b'],
    ],
    [
      'a secret in another letter case',
      under({ secretRefs: ['a'] }, { secretRefs: ['A'] }),
      ['worker', 'lead'],
    ],
    ['a host of its own', under(rules(egressRule('a', 1)), rules(egressRule('b', 1))), ['worker', 'lead']],
    ['another port', under(rules(egressRule('a', 1)), rules(egressRule('a', 2))), ['worker', 'lead']],
    [
      'another protocol',
      under(rules(egressRule('a', 1, 'tcp')), rules(egressRule('a', 1, 'TCP'))),
      ['worker', 'lead'],
    ],
    [
      'a protocol where the parent has none',
      under(rules(egressRule('a', 1)), rules(egressRule('a', 1, 'tcp'))),
      ['worker', 'lead'],
    ],
    [
      'no protocol where the parent has one',
      under(rules(egressRule('a', 1, 'tcp')), rules(egressRule('a', 1))),
      ['worker', 'lead'],
    ],
    [
      'anything under a parent without authority',
      flat(lead, { ...worker, authority: { secretRefs: ['a'] } }),
      ['worker', 'lead'],
    ],
    [
      'what only the grandparent has',
      flat({ ...lead, authority: { secretRefs: ['a'] } }, worker, {
        id: 'leaf',
        authorizedBy: 'worker',
        authority: { secretRefs: ['a'] },
      }),
      ['leaf', 'worker'],
    ],
  ])('ADM-25 refused as authority-not-narrowing: %s', async (_what, body, names) => {
    await refuse(rig(), 'formation/authority-not-narrowing', body, names);
  });

  describe('names', () => {
    test('ADM-26 a name is taken while its holder lives, and free again after', async () => {
      const name = unique();
      const { id } = await admit(rig(), flatDocument(name));
      await refuse(rig(), 'conflict', flatDocument(name), [name, id]);
      for (const state of ['LAUNCHING', 'DEGRADED']) {
        await rig().http.post(`/v1/formations/${id}/status`, { state });
        await refuse(rig(), 'conflict', kubectlDocument(name), [name, id]);
      }
      let holder = id;
      for (const phase of ['completed', 'failed', 'cancelled']) {
        await rig().publish(formationEvent(phase, { formationId: holder }));
        const next = await admit(rig(), flatDocument(name));
        expect(next.id).not.toBe(holder);
        await refuse(rig(), 'conflict', flatDocument(name), [name, next.id]);
        holder = next.id;
      }
      expect((await rig().http.send('DELETE', `/v1/formations/${holder}`)).status).toBe(204);
      await admit(rig(), flatDocument(name));
    });

    test('ADM-26 every other rule is checked before the name', async () => {
      const name = unique();
      await admit(rig(), flatDocument(name));
      await refuse(rig(), 'formation/no-coordinator', { name, coordinator: 'x', members: [] }, ['x']);
    });

    test('ADM-27 of many simultaneous submissions exactly one succeeds', async () => {
      const name = unique();
      const replies = await Promise.all(Array.from({ length: 24 }, () => submit(rig(), flatDocument(name))));
      const winners = replies.filter((reply) => reply.status === 201);
      expect(winners).toHaveLength(1);
      const { id } = JSON.parse(winners[0]?.text ?? '') as { id: string };
      for (const reply of replies.filter((one) => one.status !== 201))
        expectProblem(reply, 'conflict', { names: [name, id] });
      const { formations } = await rig().snapshot();
      expect(formations.filter((formation) => formation['name'] === name)).toHaveLength(1);
    });
  });
}
