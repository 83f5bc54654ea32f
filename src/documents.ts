// A submitted formation document: from the body's text to the flat document (contract, section 6). Pieces that admission
// does not read keep their spelling, so the admitted document is put together from slices of the text.
import * as v from 'valibot';

import { elementsOf, membersOf, minify, type Outline, outlineOf } from './json-text.ts';
import { MAX_DOCUMENT_DEPTH } from './limits.ts';
import { type Authority, describeIssue, flatDocument, kubectlDocument } from './schemas.ts';
import { excerpts } from './text.ts';

export interface FormationMember {
  readonly id: string;
  readonly authorizedBy: string | null;
  readonly authority: Authority | null;
}

/** A document of the right shape, not yet admitted. */
export interface FormationDocument {
  readonly name: string;
  readonly coordinator: string;
  readonly members: readonly FormationMember[];
  /** The normalised document as JSON text. */
  readonly text: string;
}

export type ParsedDocument =
  | { readonly ok: true; readonly document: FormationDocument }
  | { readonly ok: false; readonly detail: string };

/** Any of them makes a document kubectl style. */
export const KUBECTL_KEYS = ['apiVersion', 'kind', 'metadata', 'spec'];
const FLAT_KEYS = ['name', 'coordinator', 'members'];

/** Takes either shape; the detail names the first piece that does not fit. */
export function parseDocument(body: string): ParsedDocument {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return refuse('the body is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse('the body is not a JSON object');
  }
  const outline = outlineOf(body);
  if (outline.depth > MAX_DOCUMENT_DEPTH) {
    return refuse(`the document is nested more than ${MAX_DOCUMENT_DEPTH} levels deep`);
  }
  if (outline.unportable !== null) return refuse(`the document ${outline.unportable}`);
  const kubectlKeys = KUBECTL_KEYS.filter((key) => Object.hasOwn(value, key));
  const flatKeys = FLAT_KEYS.filter((key) => Object.hasOwn(value, key));
  if (kubectlKeys.length > 0 && flatKeys.length > 0) {
    return refuse(
      `the document mixes two shapes: ${excerpts(flatKeys)} cannot stand beside ${excerpts(kubectlKeys)}`,
    );
  }
  const dense = outline.isSpaced ? minify(body) : body;
  return kubectlKeys.length > 0 ? parseKubectl(value, dense) : parseFlat(value, dense, outline);
}

function refuse(detail: string): ParsedDocument {
  return { ok: false, detail };
}

function parseFlat(value: object, dense: string, outline: Outline): ParsedDocument {
  const parsed = v.safeParse(flatDocument, value, { abortEarly: true });
  if (!parsed.success) return refuse(describeIssue(parsed.issues[0]));
  const { name, coordinator, members } = parsed.output;
  const text = hasEachKeyOnce(value as Members, outline) ? dense : withEachKeyOnce(dense);
  return accept(name, coordinator, members.map(toMember), text);
}

/** What a flat document that fits its schema has at least. */
interface Members {
  readonly members: readonly object[];
}

/**
 * Whether document and members spell each key once and without escapes, so that their text can stay as it is: nearly always. False
 * also when the third level holds other objects than members.
 */
function hasEachKeyOnce(document: Members, { hasEscapes, keys }: Outline): boolean {
  if (hasEscapes || keys[1] !== Object.keys(document).length) return false;
  let memberKeys = 0;
  for (const member of document.members) memberKeys += Object.keys(member).length;
  return keys[3] === memberKeys;
}

function withEachKeyOnce(dense: string): string {
  const texts = membersOf(dense);
  const memberTexts = elementsOf(texts.get('members') ?? '').map((member) => objectText(membersOf(member)));
  texts.set('members', `[${memberTexts.join(',')}]`);
  return objectText(texts);
}

function parseKubectl(value: object, dense: string): ParsedDocument {
  const parsed = v.safeParse(kubectlDocument, value, { abortEarly: true });
  if (!parsed.success) return refuse(describeIssue(parsed.issues[0]));
  const { metadata, spec } = parsed.output;
  const top = membersOf(dense);
  const specTexts = membersOf(top.get('spec') ?? '');
  const memberTexts = elementsOf(specTexts.get('members') ?? '').map((member) => {
    const texts = membersOf(member);
    const id = texts.get('name') as string;
    texts.delete('name');
    return objectText(new Map([['id', id], ...texts]));
  });
  const flat = new Map([
    ['name', JSON.stringify(metadata.name)],
    ['coordinator', JSON.stringify(spec.coordinator)],
    ['members', `[${memberTexts.join(',')}]`],
  ]);
  const kept = [...membersOf(top.get('metadata') ?? '')].filter(
    ([key]) => key === 'labels' || key === 'annotations',
  );
  if (kept.length > 0) flat.set('metadata', objectText(new Map(kept)));
  const members = spec.members.map((member) => toMember({ ...member, id: member.name }));
  return accept(metadata.name, spec.coordinator, members, objectText(flat));
}

function accept(name: string, coordinator: string, members: FormationMember[], text: string): ParsedDocument {
  return { ok: true, document: { name, coordinator, members, text } };
}

function toMember(member: {
  id: string;
  authorizedBy?: string | null | undefined;
  authority?: Authority | undefined;
}): FormationMember {
  return {
    id: member.id,
    authorizedBy: member.authorizedBy ?? null,
    authority: member.authority ?? null,
  };
}

function objectText(members: Map<string, string>): string {
  return `{${[...members].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`;
}
