// Both shapes of a document: what they are admitted as, and what is malformed.
import { describe, expect, test } from 'vitest';
import { flatDocument, kubectlDocument, unique } from '../support/events.ts';
import type { Rig } from '../support/server-process.ts';
import {
  admit,
  egressRule,
  flat,
  kubectl,
  kubectlWithout,
  lead,
  refuse,
  submit,
  worker,
} from './http-admission-support.ts';
import type { Member, Refusal } from './http-admission-support.ts';

export function admissionShapesSuite(rig: () => Rig): void {
  describe('documents that are admitted', () => {
    test('ADM-2 ADM-3 flat: extra fields and numbers stay as they were sent', async () => {
      const name = unique();
      const members = `[{"id":"lead","authorizedBy":null,"cpu":1.0,"deep":{"z":[1e3,-0],"a":null}},{"authorizedBy":"lead","id":"w"}]`;
      const { text, document } = await admit(
        rig(),
        `{"name":"${name}","coordinator":"lead","members":${members},"big":12345678901234567890,"e":1E+2,"s":"\\u00e9"}`,
      );
      for (const piece of [
        '"cpu":1.0',
        '1e3',
        '"big":12345678901234567890',
        '"e":1E+2',
        '"authorizedBy":null',
      ])
        expect(text).toContain(piece);
      expect(document).toEqual({
        name,
        coordinator: 'lead',
        members: JSON.parse(members) as unknown,
        big: Number('12345678901234567890'),
        e: 100,
        s: 'é',
      });
    });

    test('ADM-4 kubectl: names move, labels and annotations stay, the rest of metadata and spec goes', async () => {
      const manifest = kubectlDocument(unique());
      const { name } = manifest.metadata as { name: string };
      const labels = { tier: 'a', nested: { n: 1 } };
      Object.assign(manifest.metadata, { labels, annotations: {}, uid: 'u', generation: 3 });
      Object.assign(manifest.spec, { paused: true });
      Object.assign(manifest.spec.members[1] as Member, { image: 'x', authority: { secretRefs: [] } });
      expect((await admit(rig(), manifest)).document).toEqual({
        name,
        coordinator: 'lead',
        members: [
          { id: 'lead' },
          { id: 'worker', authorizedBy: 'lead', image: 'x', authority: { secretRefs: [] } },
        ],
        metadata: { labels, annotations: {} },
      });
    });

    test('ADM-4 kubectl: each of labels and annotations only when given', async () => {
      const bare = kubectlDocument(unique());
      expect((await admit(rig(), bare)).document).toEqual(flatDocument(bare.metadata['name'] as string));
      const labelled = kubectlDocument(unique());
      labelled.metadata['labels'] = { a: 'b' };
      expect((await admit(rig(), labelled)).document).toMatchObject({ metadata: { labels: { a: 'b' } } });
    });

    test('ADM-8 of duplicate keys the last counts', async () => {
      const name = unique();
      const body = `{"name":5,"coordinator":"x","members":[],"members":[{"id":"no","id":"lead"}],"coordinator":"lead","name":"${name}"}`;
      expect((await admit(rig(), body)).document).toMatchObject({
        name,
        coordinator: 'lead',
        members: [{ id: 'lead' }],
      });
    });

    test.each(['', '__proto__', 'constructor', 'ü ✓', '10', 'a/b', ' '])(
      'ADM-9 a member may be called %j',
      async (id) => {
        const body = JSON.stringify({
          name: unique(),
          coordinator: id,
          members: [{ id }, { id: 'w', authorizedBy: id }],
        });
        expect((await admit(rig(), body)).document).toMatchObject({ coordinator: id });
      },
    );

    test.each(['a', 'A', '0', '_', '_a_', 'a.b-c_d', 'a-.b', 'x'.repeat(253)])(
      'ADM-20 the name %j',
      async (name) => {
        // A short name may still be held by an earlier run of this test on the same log.
        const reply = await submit(rig(), { ...flatDocument(name) });
        expect([201, 409], reply.text).toContain(reply.status);
      },
    );

    test('ADM-25 authority that narrows, over several levels', async () => {
      const wide = {
        egressRules: [egressRule('API.example', 443, 'tcp'), egressRule('db', 5432)],
        secretRefs: ['a', 'b'],
      };
      await admit(
        rig(),
        flat(
          { ...lead, authority: wide },
          {
            ...worker,
            authority: { egressRules: [egressRule('api.EXAMPLE', 443, 'tcp')], secretRefs: ['b', 'b'] },
          },
          {
            id: 'leaf',
            authorizedBy: 'worker',
            authority: { egressRules: [egressRule('Api.Example', 443, 'tcp')] },
          },
          { id: 'none', authorizedBy: 'worker' },
          { id: 'empty', authorizedBy: 'none', authority: {} },
          { id: 'hollow', authorizedBy: 'none', authority: { egressRules: [], secretRefs: [] } },
        ),
      );
    });
  });

  const shapes: Refusal[] = [
    ['nothing', '', []],
    ['no JSON', '{"name":', []],
    ['an array', [], []],
    ['null', 'null', []],
    ['a string', '"name"', []],
    ['a document and another', `${JSON.stringify(flat(lead))}{}`, []],
    ['a document and a word', `${JSON.stringify(flat(lead))} x`, []],
    ['a NUL behind it', `${JSON.stringify(flat(lead))}\0`, []],
    ['neither shape', {}, []],
    ['neither shape, but something', { foo: 1 }, []],
    ['both shapes', { ...kubectlDocument('a'), name: 'a' }, ['name']],
    ['both shapes, by spec', { ...flat(lead), spec: {} }, ['spec']],
    ['no name', { coordinator: 'lead', members: [lead] }, ['name']],
    ['a name that is none', { ...flat(lead), name: 7 }, ['name']],
    ['a name that is null', { ...flat(lead), name: null }, ['name']],
    ['no coordinator', { name: 'a', members: [lead] }, ['coordinator']],
    ['a coordinator that is none', { ...flat(lead), coordinator: { id: 'lead' } }, ['coordinator']],
    ['no members', { name: 'a', coordinator: 'lead' }, ['members']],
    ['members that are none', { ...flat(), members: { lead } }, ['members']],
    ['only members', { members: [lead] }, ['name']],
    ['a member that is none', { ...flat(lead), members: [lead, 'worker'] }, ['members[1]']],
    ['a member without id', flat(lead, { authorizedBy: 'lead' }), ['members[1].id']],
    ['a member with a wrong id', flat(lead, { id: 1 }), ['members[1].id']],
    ['a wrong authorizedBy', flat(lead, { id: 'w', authorizedBy: ['lead'] }), ['members[1].authorizedBy']],
    ['a wrong authority', flat({ ...lead, authority: 'all' }), ['members[0].authority']],
    ['wrong rules', flat({ ...lead, authority: { egressRules: {} } }), ['members[0].authority.egressRules']],
    [
      'a wrong rule',
      flat({ ...lead, authority: { egressRules: ['x'] } }),
      ['members[0].authority.egressRules[0]'],
    ],
    [
      'a rule without host',
      flat({ ...lead, authority: { egressRules: [{ port: 1 }] } }),
      ['egressRules[0].host'],
    ],
    [
      'a rule without port',
      flat({ ...lead, authority: { egressRules: [{ host: 'h' }] } }),
      ['egressRules[0].port'],
    ],
    [
      'a wrong port',
      flat({ ...lead, authority: { egressRules: [{ host: 'h', port: '80' }] } }),
      ['egressRules[0].port'],
    ],
    [
      'a wrong protocol',
      flat({ ...lead, authority: { egressRules: [{ ...egressRule('h', 1), protocol: 6 }] } }),
      ['egressRules[0].protocol'],
    ],
    ['wrong secrets', flat({ ...lead, authority: { secretRefs: 's' } }), ['members[0].authority.secretRefs']],
    [
      'a wrong secret',
      flat({ ...lead, authority: { secretRefs: ['s', 1] } }),
      ['members[0].authority.secretRefs[1]'],
    ],
    ['kubectl: an unknown key', kubectl((m) => ({ ...m, status: {} })), ['status']],
    [
      'kubectl: another apiVersion',
      kubectl((m) => ({ ...m, apiVersion: 'cellos.dev/v2' })),
      ['apiVersion', 'cellos.dev/v2'],
    ],
    ['kubectl: no apiVersion', kubectlWithout('apiVersion'), ['apiVersion']],
    ['kubectl: another kind', kubectl((m) => ({ ...m, kind: 'formation' })), ['kind', 'formation']],
    ['kubectl: no kind', kubectlWithout('kind'), ['kind']],
    ['kubectl: no metadata', kubectlWithout('metadata'), ['metadata']],
    ['kubectl: metadata that is none', kubectl((m) => ({ ...m, metadata: [] })), ['metadata']],
    ['kubectl: no name', kubectl((m) => ({ ...m, metadata: {} })), ['metadata.name']],
    ['kubectl: a wrong name', kubectl((m) => ({ ...m, metadata: { name: 1 } })), ['metadata.name']],
    ['kubectl: no spec', kubectlWithout('spec'), ['spec']],
    [
      'kubectl: no coordinator',
      kubectl((m) => ({ ...m, spec: { members: m.spec.members } })),
      ['spec.coordinator'],
    ],
    ['kubectl: no members', kubectl((m) => ({ ...m, spec: { coordinator: 'lead' } })), ['spec.members']],
    [
      'kubectl: a member without name',
      kubectl((m) => void (m.spec.members[1] = { x: 1 })),
      ['spec.members[1].name'],
    ],
    [
      'kubectl: a member with an id only',
      kubectl((m) => void (m.spec.members[0] = lead)),
      ['spec.members[0]'],
    ],
    [
      'kubectl: a member with both',
      kubectl((m) => void (m.spec.members[0] = { name: 'lead', ...lead })),
      ['spec.members[0]', 'name', 'id'],
    ],
    [
      'kubectl: labels that are none',
      kubectl((m) => void (m.metadata['labels'] = ['a'])),
      ['metadata.labels'],
    ],
    [
      'kubectl: labels that are null',
      kubectl((m) => void (m.metadata['labels'] = null)),
      ['metadata.labels'],
    ],
    [
      'kubectl: annotations that are none',
      kubectl((m) => void (m.metadata['annotations'] = 'a')),
      ['metadata.annotations'],
    ],
    [
      'kubectl: a wrong authority',
      kubectl((m) => void (m.spec.members[0] = { name: 'lead', authority: [] })),
      ['spec.members[0].authority'],
    ],
  ];
  test.each(shapes)(
    'ADM-1 ADM-5 ADM-6 ADM-7 ADM-8 refused as bad-request: %s',
    async (_what, body, names) => {
      await refuse(rig(), 'bad-request', body, names);
    },
  );
}
