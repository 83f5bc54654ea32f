import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { decide, nameTaken } from '../src/admission.ts';
import { type FormationDocument, parseDocument } from '../src/documents.ts';
import { initialState, type ProjectionState } from '../src/projection.ts';
import { FORMATION_IDS, jsonText } from './support/arbitraries.ts';
import { formationEvent, View } from './support/given.ts';

const [ID, OTHER_ID] = FORMATION_IDS;

type Member = Record<string, unknown> & { id: string };

const LEAD: Member = { id: 'lead' };
const worker = (more: Record<string, unknown> = {}): Member => ({
  id: 'worker',
  authorizedBy: 'lead',
  ...more,
});

function documentOf(value: unknown): FormationDocument {
  const parsed = parseDocument(JSON.stringify(value));
  if (!parsed.ok) throw new Error(parsed.detail);
  return parsed.document;
}

const submit = (
  members: Member[],
  more: Record<string, unknown> = {},
  state: ProjectionState = initialState(),
) => decide(documentOf({ name: 'demo', coordinator: 'lead', members, ...more }), state);

/** The code of a refusal, and its detail. */
function refused(verdict: ReturnType<typeof decide>): [string, string] {
  if (verdict.ok) throw new Error('was admitted');
  return [verdict.code, verdict.detail];
}

describe('rules', () => {
  test.each(['a', 'A', '0', '_', 'a.b', 'a-b', '-a'.slice(1), 'a_', '0'.repeat(253), 'A.z_-9'])(
    'ADM-20 name %s',
    (name) => {
      expect(submit([LEAD], { name })).toEqual({ ok: true });
    },
  );

  test.each([
    '',
    '-',
    '.',
    '-a',
    '.a',
    'a-',
    'a.',
    'a b',
    ' a',
    'a\n',
    'ä',
    'a/b',
    'a:b',
    '😀',
    '__proto__-',
    'a\u0000',
    'a'.repeat(254),
    'a'.repeat(10_000),
  ])('ADM-20 not name %j', (name) => {
    const [code, detail] = refused(submit([LEAD], { name }));
    expect(code).toBe('bad-request');
    expect(detail).toContain('name');
    expect(detail.length).toBeLessThan(400);
  });

  test('ADM-21 the coordinator is a member', () => {
    const [code, detail] = refused(submit([worker()]));
    expect([code, detail]).toEqual(['formation/no-coordinator', expect.stringContaining('"lead"')]);
    expect(refused(submit([]))[0]).toBe('formation/no-coordinator');
  });

  test('ADM-22 ids are unique; all that are not are named, once', () => {
    const [code, detail] = refused(submit([LEAD, worker(), worker(), worker(), { id: 'x' }, { id: 'x' }]));
    expect(code).toBe('formation/duplicate-member-id');
    expect(detail.match(/"[^"]*"/g)).toEqual(['"worker"', '"x"']);
  });

  test('ADM-23 authority has a source; all members without are named', () => {
    const [code, detail] = refused(
      submit([
        { id: 'lead', authorizedBy: 'worker' },
        worker(),
        { id: 'orphan' },
        { id: 'null', authorizedBy: null },
        { id: 'stray', authorizedBy: 'nobody' },
      ]),
    );
    expect(code).toBe('formation/authority-not-narrowing');
    for (const culprit of ['lead', 'worker', 'orphan', 'null', 'stray', 'nobody']) {
      expect(detail).toContain(`"${culprit}"`);
    }
  });

  test('ADM-24 cycles, self-references included; every one is named', () => {
    const [code, detail] = refused(
      submit([
        LEAD,
        worker(),
        { id: 'self', authorizedBy: 'self' },
        { id: 'a', authorizedBy: 'b' },
        { id: 'b', authorizedBy: 'c' },
        { id: 'c', authorizedBy: 'a' },
        { id: 'tail', authorizedBy: 'a' },
      ]),
    );
    expect(code).toBe('formation/cycle');
    for (const culprit of ['self', 'a', 'b', 'c']) expect(detail).toContain(`"${culprit}"`);
    for (const innocent of ['worker', 'tail', 'lead']) expect(detail).not.toContain(`"${innocent}"`);
  });

  const egress = (...rules: [host: string, port: number, protocol?: string | null][]) => ({
    egressRules: rules.map(([host, port, protocol]) => ({ host, port, protocol })),
  });
  const secrets = (...secretRefs: string[]) => ({ secretRefs });

  test.each([
    ['nothing of nothing', undefined, undefined],
    ['nothing of something', egress(['a', 1]), undefined],
    ['empty of nothing', undefined, { egressRules: [], secretRefs: [] }],
    ['the same', egress(['a', 1, 'tcp']), egress(['a', 1, 'tcp'])],
    ['another letter case of the host', egress(['API.example', 1]), egress(['api.EXAMPLE', 1])],
    ['one of two', egress(['a', 1], ['b', 2]), egress(['b', 2])],
    ['a secret', secrets('x', 'y'), secrets('y')],
    ['a secret twice', secrets('x'), secrets('x', 'x')],
  ])('ADM-25 narrows: %s', (_what, parent, child) => {
    expect(submit([{ ...LEAD, authority: parent }, worker({ authority: child })])).toEqual({ ok: true });
  });

  test.each([
    ['a secret of nothing', undefined, secrets('x'), 'x'],
    ['a rule of nothing', undefined, egress(['api', 1]), 'api'],
    ['another host', egress(['a', 1]), egress(['b.a', 1]), 'b.a'],
    ['another port', egress(['a', 1]), egress(['a', 2]), '2'],
    ['another protocol', egress(['a', 1, 'tcp']), egress(['a', 1, 'udp']), 'udp'],
    ['another letter case of the protocol', egress(['a', 1, 'tcp']), egress(['a', 1, 'TCP']), 'TCP'],
    ['a protocol where there is none', egress(['a', 1]), egress(['a', 1, 'tcp']), 'tcp'],
    ['no protocol where there is one', egress(['a', 1, 'tcp']), egress(['a', 1]), 'a:1'],
    ['another letter case of a secret', secrets('x'), secrets('X'), 'X'],
    ['a secret that looks like a rule', egress(['a', 1]), secrets('a'), 'a'],
  ])('ADM-25 does not narrow: %s', (_what, parent, child, culprit) => {
    const [code, detail] = refused(submit([{ ...LEAD, authority: parent }, worker({ authority: child })]));
    expect(code).toBe('formation/authority-not-narrowing');
    for (const named of ['"worker"', '"lead"', culprit]) expect(detail).toContain(named);
  });

  test('ADM-25 compares with the parent, not with the coordinator; every excess is named', () => {
    const [, detail] = refused(
      submit([
        { ...LEAD, authority: secrets('x', 'y') },
        worker({ authority: secrets('x') }),
        { id: 'deep', authorizedBy: 'worker', authority: secrets('x', 'y') },
        { id: 'other', authorizedBy: 'lead', authority: secrets('z', 'w') },
      ]),
    );
    for (const named of ['"deep"', '"worker"', '"y"', '"other"', '"lead"', '"z"', '"w"']) {
      expect(detail).toContain(named);
    }
  });

  test('ADM-26 the name is free, or free again', () => {
    const view = new View().apply(formationEvent('created', { formationId: ID, name: 'demo' }));
    expect(submit([LEAD], {}, view.state)).toEqual(nameTaken('demo', ID));
    const [code, detail] = refused(nameTaken('demo', ID));
    expect([code, detail.includes('"demo"'), detail.includes(ID)]).toEqual(['conflict', true, true]);
    expect(submit([LEAD], { name: 'Demo' }, view.state)).toEqual({ ok: true });
    for (const phase of ['completed', 'failed', 'cancelled']) {
      view.apply(formationEvent(phase, { formationId: ID }));
      expect(submit([LEAD], {}, view.state)).toEqual({ ok: true });
    }
    for (const phase of ['launching', 'running', 'degraded']) {
      view.apply(formationEvent(phase, { formationId: OTHER_ID, name: 'demo' }));
      expect(submit([LEAD], {}, view.state)).toEqual(nameTaken('demo', OTHER_ID));
    }
  });
});

/** The rules as they are written in the contract, without regard to cost. */
function naive(name: string, coordinator: string, members: Member[], taken: readonly string[]): string {
  const ids = members.map(({ id }) => id);
  const parent = (id: unknown) => members.find((member) => member.id === id);
  if (!/^[A-Za-z0-9._-]{1,253}$/.test(name) || /^[-.]|[-.]$/.test(name)) return 'bad-request';
  if (!ids.includes(coordinator)) return 'formation/no-coordinator';
  if (new Set(ids).size < ids.length) return 'formation/duplicate-member-id';
  for (const { id, authorizedBy = null } of members) {
    const fine = id === coordinator ? authorizedBy === null : parent(authorizedBy) !== undefined;
    if (!fine) return 'formation/authority-not-narrowing';
  }
  for (const member of members) {
    let at: Member | undefined = member;
    for (let step = 0; at !== undefined; step++, at = parent(at['authorizedBy'])) {
      if (step > members.length) return 'formation/cycle';
    }
  }
  const secretsOf = (member: Member | undefined) =>
    ((member?.['authority'] ?? {}) as { secretRefs?: string[] }).secretRefs ?? [];
  for (const member of members) {
    const above = parent(member['authorizedBy']);
    if (above !== undefined && !secretsOf(member).every((secret) => secretsOf(above).includes(secret))) {
      return 'formation/authority-not-narrowing';
    }
  }
  return taken.includes(name) ? 'conflict' : 'ok';
}

describe('any document', () => {
  const id = fc.constantFrom('a', 'b', 'c', 'd', '__proto__', '');
  const member = fc.record(
    {
      id,
      authorizedBy: fc.oneof(id, fc.constant(null)),
      authority: fc.record({ secretRefs: fc.subarray(['x', 'y', 'z']) }, { requiredKeys: [] }),
    },
    { requiredKeys: ['id'] },
  );
  /** A tree, but for the last member: most random graphs break an early rule. */
  const tree = fc
    .tuple(fc.uniqueArray(id, { minLength: 1 }), fc.array(fc.nat()), fc.array(fc.subarray(['x', 'y'])))
    .map(([ids, parents, secrets]): Member[] =>
      ids.map((name, at) => ({
        id: name,
        ...(at === 0 ? {} : { authorizedBy: ids[(parents[at] ?? 0) % at] }),
        ...(secrets[at] === undefined ? {} : { authority: { secretRefs: secrets[at] } }),
      })),
    );
  const title = fc.constantFrom('demo', 'free', 'Demo', '.x', '');

  test('ADM-29 the first broken rule decides, as in a naive reading', () => {
    const { state } = new View().apply(formationEvent('created', { formationId: ID, name: 'demo' }));
    const seen = new Map<string, number>();
    const members = fc.oneof(
      fc.array(member, { maxLength: 4 }),
      tree,
      fc.tuple(tree, member).map(([most, last]) => most.concat(last)),
      fc
        .tuple(tree, member)
        .map(([most, last]) => most.slice(0, -1).concat({ ...last, id: most.at(-1)?.id ?? '' })),
    );
    fc.assert(
      fc.property(title, id, fc.boolean(), members, (name, other, first, list) => {
        const coordinator = first ? (list[0]?.id ?? other) : other;
        const verdict = decide(documentOf({ name, coordinator, members: list }), state);
        const code = naive(name, coordinator, list, ['demo']);
        seen.set(code, (seen.get(code) ?? 0) + 1);
        expect(verdict.ok ? 'ok' : verdict.code).toBe(code);
      }),
      { numRuns: 3000 },
    );
    // Nothing is proved about a rule that no document broke.
    expect([...seen.keys()].sort()).toEqual([
      'bad-request',
      'conflict',
      'formation/authority-not-narrowing',
      'formation/cycle',
      'formation/duplicate-member-id',
      'formation/no-coordinator',
      'ok',
    ]);
  });

  test('ADM-10 nothing throws', () => {
    const body = fc
      .tuple(jsonText, jsonText, title, id)
      .map(
        ([a, b, name, coordinator]) =>
          `{"name":${JSON.stringify(name)},"coordinator":${JSON.stringify(coordinator)},"x":${a.text},"members":` +
          `[{"id":"a","authority":${a.text}},{"id":"b","authorizedBy":"a","authority":{"secretRefs":${b.text}}}]}`,
      );
    fc.assert(
      fc.property(body, (text) => {
        const parsed = parseDocument(text);
        if (parsed.ok) expect(typeof decide(parsed.document, initialState()).ok).toBe('boolean');
      }),
      { numRuns: 500 },
    );
  });
});
