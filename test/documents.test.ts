import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parseDocument } from '../src/documents.ts';
import { elementsOf, memberOf, membersOf, unportablePiece } from '../src/json-text.ts';
import { MAX_DOCUMENT_DEPTH } from '../src/limits.ts';
import { anyString, canonical, deepText, jsonText, numberText } from './support/arbitraries.ts';

const LEAD = '{"id":"lead"}';
const flat = (members = LEAD, more = '') =>
  `{"name":"demo","coordinator":"lead","members":[${members}]${more}}`;
const kubectl = (members = '{"name":"lead"}', metadata = '', spec = '', more = '') =>
  `{"apiVersion":"cellos.dev/v1","kind":"Formation","metadata":{"name":"demo"${metadata}},` +
  `"spec":{"coordinator":"lead","members":[${members}]${spec}}${more}}`;

function accepted(body: string) {
  const parsed = parseDocument(body);
  if (!parsed.ok) throw new Error(parsed.detail);
  return parsed.document;
}

function refusal(body: string): string {
  const parsed = parseDocument(body);
  if (parsed.ok) throw new Error(`accepted: ${parsed.document.text}`);
  return parsed.detail;
}

const without = (value: Record<string, unknown>, dropped: string) =>
  Object.entries(value).filter(([key]) => key !== dropped);

/** Kubectl to flat, with what the language has. */
function naive(value: Record<string, unknown>): unknown {
  if (!('spec' in value)) return value;
  const metadata = value['metadata'] as Record<string, unknown>;
  const spec = value['spec'] as { coordinator: unknown; members: Record<string, unknown>[] };
  const kept = Object.entries(metadata).filter(([key]) => key === 'labels' || key === 'annotations');
  return {
    name: metadata['name'],
    coordinator: spec.coordinator,
    members: spec.members.map((member) =>
      Object.fromEntries([['id', member['name']], ...without(member, 'name')]),
    ),
    ...(kept.length > 0 ? { metadata: Object.fromEntries(kept) } : {}),
  };
}

/** Extra members, none of a name that means something. */
const MEANT = ['name', 'id', 'coordinator', 'members', 'authorizedBy', 'authority', 'apiVersion', 'kind'];
const extra = fc
  .array(fc.tuple(fc.oneof(anyString, fc.constantFrom('__proto__', 'constructor', '10', '9')), jsonText), {
    maxLength: 3,
  })
  .map((members) =>
    members
      // No backslash in a key: V8 of Node 24 compares the key that an object's shape expects next with the text before its
      // escapes are undone. After JSON.parse('{"\\"":0,"\\\\":0}') the second key of '{"\\"":0,"\\"":0}' is a backslash.
      .filter(([key]) => ![...MEANT, 'metadata', 'spec'].includes(key) && !key.includes('\\'))
      .map(([key, value]) => `,${JSON.stringify(key)}:${value.text}`)
      .join(''),
  );
const name = anyString.map((text) => JSON.stringify(text));
const grants = fc.constantFrom(
  '',
  ',"authorizedBy":null',
  ',"authorizedBy":"x"',
  ',"authority":{"secretRefs":[]}',
);

const flatBody = fc
  .tuple(name, name, fc.array(fc.tuple(name, grants, extra), { maxLength: 4 }), extra)
  .map(([title, coordinator, members, more]) => {
    const texts = members.map(([id, grant, rest]) => `{"id":${id}${grant}${rest}}`);
    return `{"name" : ${title},"coordinator":${coordinator},"members":[ ${texts.join(' ,')}]${more}}`;
  });
const kubectlBody = fc
  .tuple(name, name, fc.array(fc.tuple(name, grants, extra), { maxLength: 4 }), extra, extra, extra)
  .map(([title, coordinator, members, metadata, spec, labels]) => {
    const texts = members.map(([id, grant, rest]) => `{"name":${id}${grant}${rest}}`);
    return (
      `{"apiVersion":"cellos.dev/v1","kind":"Formation","spec":{"coordinator":${coordinator},"members":` +
      `[${texts.join(', ')}]${spec}}, "metadata":{"name":${title}${metadata},"labels":{"a":1.0${labels}}}}`
    );
  });

describe('normalisation', () => {
  test('ADM-2 ADM-4 the text parses to what a naive normalisation gives', () => {
    fc.assert(
      fc.property(fc.oneof(flatBody, kubectlBody), (body) => {
        fc.pre(unportablePiece(body) === null);
        const document = accepted(body);
        const expected = naive(JSON.parse(body) as Record<string, unknown>) as Record<string, unknown>;
        expect(canonical(JSON.parse(document.text))).toBe(canonical(expected));
        expect([document.name, document.coordinator]).toEqual([expected['name'], expected['coordinator']]);
        expect(document.members).toEqual(
          (expected['members'] as Record<string, unknown>[]).map((member) => ({
            id: member['id'],
            authorizedBy: member['authorizedBy'] ?? null,
            authority: member['authority'] ?? null,
          })),
        );
      }),
      { numRuns: 500 },
    );
  });

  test('ADM-2 ADM-8 the text is what is sent without white space, but for keys that are repeated or escaped', () => {
    const plain = flat(`${LEAD},{"id":"a","x":{"y":1.0,"y":2}}`, ',"z":[{"id":1}],"__proto__":{}');
    expect(accepted(` ${plain.replaceAll(',', ' ,\n')} `).text).toBe(plain);
    expect(accepted(flat(LEAD, ',"a":1,"b":2,"a":3')).text).toBe(flat(LEAD, ',"a":3,"b":2'));
    expect(accepted(flat('{"id":"x","id":"lead"}')).text).toBe(flat(LEAD));
    expect(accepted(flat(LEAD, String.raw`,"\u0061":"\u0061"`)).text).toBe(
      flat(LEAD, String.raw`,"a":"\u0061"`),
    );
    // As many keys at the third level as members have, but not theirs.
    const repeated = flat('{"id":"x","id":"lead"}', ',"z":[{"id":1}]');
    expect(accepted(repeated).text).toBe(flat(LEAD, ',"z":[{"id":1}]'));
  });

  test('ADM-11 a fraction of any length is a double', () => {
    const more = `,"x":-0.${'1'.repeat(400)}`;
    expect(accepted(flat(LEAD, more)).text).toBe(flat(LEAD, more));
    expect(accepted(flat(LEAD, `,"x":${'9'.repeat(308)}`)).text).toContain('999');
    expect(refusal(flat(LEAD, `,"x":-${'9'.repeat(309)}`))).toContain('holds the number -999');
    expect(refusal(flat(LEAD, ',"x":[1e308,1E+309]'))).toContain('holds the number 1E+309');
  });

  test('ADM-2 numbers keep their spelling, wherever they stand', () => {
    fc.assert(
      fc.property(
        numberText.filter((number) => number !== '1e400'),
        (number) => {
          const members = `{"id":"lead","x": ${number} }`;
          const { text } = accepted(flat(members, `,"a":[ ${number} ],"b":${number}`));
          expect(text).toBe(
            `{"name":"demo","coordinator":"lead","members":[{"id":"lead","x":${number}}],"a":[${number}],"b":${number}}`,
          );
          const labels = `,"labels":{"x": ${number}}`;
          const other = accepted(kubectl(members.replace('id', 'name'), labels)).text;
          expect(elementsOf(memberOf(other, 'members') ?? '')).toEqual([`{"id":"lead","x":${number}}`]);
          expect(memberOf(other, 'metadata')).toBe(`{"labels":{"x":${number}}}`);
        },
      ),
    );
  });

  test('ADM-2 keys keep their order, also those that JavaScript would sort', () => {
    const extras = '"b":1,"10":2,"9":3,"a":4,"1":5';
    const keys = (text: string) => [...membersOf(text).keys()].join(' ');
    const member = (text: string) => elementsOf(memberOf(text, 'members') ?? '')[0] ?? '';
    const flatText = accepted(flat(`{"id":"lead",${extras}}`, `,${extras}`)).text;
    expect(keys(flatText)).toBe('name coordinator members b 10 9 a 1');
    expect(keys(member(flatText))).toBe('id b 10 9 a 1');
    expect(keys(member(accepted(kubectl(`{"name":"lead",${extras}}`)).text))).toBe('id b 10 9 a 1');
  });

  test('ADM-3 null for authorizedBy means absent and is kept', () => {
    const document = accepted(flat('{"id":"lead","authorizedBy":null}'));
    expect(document.members[0]?.authorizedBy).toBeNull();
    expect(document.text).toContain('{"id":"lead","authorizedBy":null}');
    expect(accepted(flat()).text).toContain('[{"id":"lead"}]');
  });

  test('ADM-4 what kubectl style drops and keeps', () => {
    const { text } = accepted(
      kubectl('{"name":"lead","image":"x"}', ',"uid":"1","annotations":{"k":[null]}', ',"replicas":3'),
    );
    expect(JSON.parse(text)).toEqual({
      name: 'demo',
      coordinator: 'lead',
      members: [{ id: 'lead', image: 'x' }],
      metadata: { annotations: { k: [null] } },
    });
    expect(JSON.parse(accepted(kubectl()).text)).not.toHaveProperty('metadata');
  });

  test('ADM-8 of repeated keys the last counts', () => {
    const twice = accepted(
      '{"name":"a","coordinator":"x","members":[{"id":"b","id":"c"}],"coordinator":"c","name":"d"}',
    );
    expect(twice).toMatchObject({ name: 'd', coordinator: 'c', members: [{ id: 'c' }] });
    expect(JSON.parse(twice.text)).toEqual({ name: 'd', coordinator: 'c', members: [{ id: 'c' }] });
    expect(accepted(flat(LEAD, ',"members":[{"id":"z"}]')).members.map(({ id }) => id)).toEqual(['z']);
    expect(refusal(flat(LEAD, ',"name":7'))).toContain('name');
  });

  test('ADM-9 ids are any strings', () => {
    for (const id of ['', ' ', '\n', '__proto__', '😀', 'a'.repeat(10_000)]) {
      expect(accepted(flat(JSON.stringify({ id }))).members[0]?.id).toBe(id);
      expect(accepted(kubectl(JSON.stringify({ name: id }))).members[0]?.id).toBe(id);
    }
  });
});

describe('refusals', () => {
  test.each([
    ['', 'JSON'],
    ['{', 'JSON'],
    [`${flat()}x`, 'JSON'],
    [`${flat()}${flat()}`, 'JSON'],
    ['\ufeff{}', 'JSON'],
    ['[]', 'object'],
    ['null', 'object'],
    ['"text"', 'object'],
    ['7', 'object'],
  ])('ADM-8 %j: %s', (body, culprit) => {
    expect(refusal(body)).toContain(culprit);
  });

  test.each([
    ['{}', 'name'],
    ['{"x":1}', 'name'],
    ['{"coordinator":7,"members":7}', 'name'],
    ['{"name":null,"coordinator":"a","members":[]}', 'name'],
    ['{"name":"a","members":[]}', 'coordinator'],
    ['{"name":"a","coordinator":["x"],"members":7}', 'coordinator'],
    ['{"name":"a","coordinator":"x"}', 'members'],
    ['{"name":"a","coordinator":"x","members":{}}', 'members'],
    ['{"name":"a","coordinator":"x","members":null}', 'members'],
    [flat('null'), 'members[0]'],
    [flat('[]'), 'members[0]'],
    [flat('{}'), 'members[0].id'],
    [flat(`${LEAD},{"id":7}`), 'members[1].id'],
    [flat('{"id":"a","authorizedBy":7}'), 'members[0].authorizedBy'],
    [kubectl('{}'), 'spec.members[0].name'],
    [kubectl('{"name":"a"},{"name":null}'), 'spec.members[1].name'],
    [kubectl('{"name":"a","authorizedBy":[]}'), 'spec.members[0].authorizedBy'],
    [kubectl().replace('"name":"demo"', '"x":1'), 'metadata.name'],
    [kubectl().replace('"coordinator":"lead",', ''), 'spec.coordinator'],
    [kubectl().replace('"members":[{"name":"lead"}]', '"x":1'), 'spec.members'],
    [kubectl().replace('{"name":"demo"}', '[]'), 'metadata'],
    [kubectl().replace(/"spec":.*/, '"spec":[]}'), 'spec'],
    [kubectl().replace(/,"spec":.*/, '}'), 'spec'],
  ])('ADM-6 %s names %s', (body, culprit) => {
    expect(refusal(body)).toMatch(
      new RegExp(`(^|[ "])${culprit.replaceAll(/[[\].]/g, String.raw`\$&`)}([ ":]|$)`),
    );
  });

  test.each([
    [flat(LEAD, ',"kind":"Formation"'), ['kind', 'name']],
    [flat(LEAD, ',"metadata":{}'), ['metadata']],
    [kubectl('{"name":"lead"}', '', '', ',"name":"x"'), ['name', 'spec']],
  ])('ADM-1 both shapes: %s', (body, culprits) => {
    for (const culprit of culprits) expect(refusal(body)).toContain(`"${culprit}"`);
  });

  test.each([
    [kubectl('{"name":"lead"}', '', '', ',"status":{}'), 'status'],
    [kubectl('{"name":"lead"}', '', '', ',"constructor":1'), 'constructor'],
    [kubectl('{"name":"lead"}', '', '', ',"__proto__":1'), '__proto__'],
    [kubectl().replace('cellos.dev/v1', 'cellos.dev/v2'), 'apiVersion'],
    [kubectl().replace('"Formation"', '"formation"'), 'kind'],
    [kubectl().replace('"kind":"Formation",', ''), 'kind'],
    [kubectl('{"name":"lead","id":"lead"}'), 'spec.members[0].id'],
    [kubectl('{"name":"lead","id":null}'), 'spec.members[0].id'],
    [kubectl('{"name":"lead"}', ',"labels":[]'), 'metadata.labels'],
    [kubectl('{"name":"lead"}', ',"labels":null'), 'metadata.labels'],
    [kubectl('{"name":"lead"}', ',"annotations":"x"'), 'metadata.annotations'],
  ])('ADM-5 %s names %s', (body, culprit) => {
    expect(refusal(body)).toContain(culprit);
  });

  test.each([
    ['[]', 'members[0].authority'],
    ['"x"', 'members[0].authority'],
    ['{"egressRules":{}}', 'members[0].authority.egressRules'],
    ['{"egressRules":[7]}', 'members[0].authority.egressRules[0]'],
    ['{"egressRules":[[]]}', 'members[0].authority.egressRules[0]'],
    ['{"egressRules":[{"port":1}]}', 'egressRules[0].host'],
    ['{"egressRules":[{"host":"a"}]}', 'egressRules[0].port'],
    ['{"egressRules":[{"host":"a","port":1},{"host":"a","port":"1"}]}', 'egressRules[1].port'],
    ['{"egressRules":[{"host":"a","port":1.5}]}', 'egressRules[0].port'],
    ['{"egressRules":[{"host":"a","port":1,"protocol":7}]}', 'egressRules[0].protocol'],
    ['{"secretRefs":"x"}', 'members[0].authority.secretRefs'],
    ['{"secretRefs":["x",{}]}', 'members[0].authority.secretRefs[1]'],
  ])('ADM-7 authority %s names %s', (authority, culprit) => {
    expect(refusal(flat(`{"id":"lead","authority":${authority}}`))).toContain(culprit);
    expect(refusal(kubectl(`{"name":"lead","authority":${authority}}`))).toContain(culprit);
  });

  test.each([
    [String.raw`"\ud800"`, 'surrogate'],
    [String.raw`"\ud83d-\ude00"`, 'surrogate'],
    [String.raw`{"\udc00":1}`, 'surrogate'],
    ['1e999', '1e999'],
    [`-${'9'.repeat(400)}`, '-999'],
  ])('ADM-11 %s, which other parsers refuse, is refused', (piece, named) => {
    expect(refusal(flat(LEAD, `,"x":${piece}`))).toContain(named);
  });

  test.each([String.raw`"\ud83d\ude00"`, String.raw`"\\ud800"`, '"1e999"', '1e308'])(
    'ADM-11 %s is kept',
    (piece) => {
      expect(accepted(flat(LEAD, `,"x":${piece}`)).text).toContain(piece);
    },
  );

  test('ADM-10 nesting: the bound, and one beyond', () => {
    const nested = (depth: number) => flat(LEAD, `,"x":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}`);
    expect(accepted(nested(MAX_DOCUMENT_DEPTH)).name).toBe('demo');
    expect(refusal(nested(MAX_DOCUMENT_DEPTH + 1))).toContain(String(MAX_DOCUMENT_DEPTH));
  });

  test('ADM-10 HTTP-3 no text makes it throw, no detail is long or has control characters', () => {
    const text = fc.oneof(
      anyString,
      jsonText.map((json) => json.text),
      deepText,
      jsonText.map((json) => flat(json.text)),
      jsonText.map((json) => kubectl(json.text)),
      jsonText.map((json) => flat(`{"id":"a","authority":${json.text}}`)),
      jsonText.map((json) => `{"members":${json.text},"name":"a","coordinator":${json.text}}`),
      anyString.map((key) => kubectl('{"name":"lead"}', '', '', `,${JSON.stringify(key)}:1`)),
    );
    fc.assert(
      fc.property(text, (body) => {
        const parsed = parseDocument(body);
        if (parsed.ok) JSON.parse(parsed.document.text);
        else {
          expect(parsed.detail.length).toBeLessThan(300);
          expect(parsed.detail).not.toMatch(/[\p{Cc}\u2028]/u);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
