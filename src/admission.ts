// Whether a document may become a formation: the rules of the contract's section 6 in their order. Pure: it reads the view
// and writes nothing; that the name is still free when the event is written is the log's to decide (writer.ts).
import type { FormationDocument, FormationMember } from './documents.ts';
import { isLive } from './formation-status.ts';
import { holderOf, type ProjectionState } from './projection.ts';
import type { Authority } from './schemas.ts';
import { excerpt, excerpts } from './text.ts';

export type Verdict =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly code:
        | 'bad-request'
        | 'conflict'
        | 'formation/no-coordinator'
        | 'formation/duplicate-member-id'
        | 'formation/authority-not-narrowing'
        | 'formation/cycle';
      readonly detail: string;
    };

/** Members by their ids; of several with one id the last, but no rule behind that about ids meets such. */
type MembersById = ReadonlyMap<string, FormationMember>;

type Rule = (document: FormationDocument, byId: MembersById) => Verdict | null;

const ADMITTED: Verdict = { ok: true };
/** A formation's name. */
export const NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?$/;

/** Documents that keep every rule but the name's: each is asked about with several views, and does not change. */
const sound = new WeakSet<FormationDocument>();

/** Admitted, or the first violation in the contract's order. */
export function decide(document: FormationDocument, state: ProjectionState): Verdict {
  if (!sound.has(document)) {
    const byId = new Map(document.members.map((member) => [member.id, member]));
    for (const rule of RULES) {
      const violation = rule(document, byId);
      if (violation !== null) return violation;
    }
    sound.add(document);
  }
  const holder = holderOf(state, document.name);
  return holder !== null && isLive(holder) ? nameTaken(document.name, holder.id) : ADMITTED;
}

/** The answer for a name that a live formation holds. */
export function nameTaken(name: string, holderId: string): Verdict & { ok: false } {
  return { ok: false, code: 'conflict', detail: `formation name "${name}" is held by ${holderId}` };
}

const nameIsValid: Rule = ({ name }) =>
  NAME.test(name)
    ? null
    : {
        ok: false,
        code: 'bad-request',
        detail:
          `formation name "${excerpt(name)}" is not valid: 1 to 253 of A-Z a-z 0-9 . _ -, ` +
          'not starting or ending with - or .',
      };

const coordinatorIsMember: Rule = ({ coordinator }, byId) =>
  byId.has(coordinator)
    ? null
    : {
        ok: false,
        code: 'formation/no-coordinator',
        detail: `coordinator "${excerpt(coordinator)}" is not among the members`,
      };

const idsAreUnique: Rule = ({ members }, byId) => {
  if (byId.size === members.length) return null;
  const seen = new Set<string>();
  const repeated = new Set<string>();
  for (const { id } of members) {
    if (seen.has(id)) repeated.add(id);
    seen.add(id);
  }
  return {
    ok: false,
    code: 'formation/duplicate-member-id',
    detail: `member ids given more than once: ${excerpts(repeated)}`,
  };
};

const authorityHasASource: Rule = ({ coordinator, members }, byId) => {
  const faults: string[] = [];
  for (const { id, authorizedBy } of members) {
    if (id === coordinator) {
      if (authorizedBy !== null) {
        faults.push(`coordinator "${excerpt(id)}" must not be authorized by "${excerpt(authorizedBy)}"`);
      }
    } else if (authorizedBy === null) {
      faults.push(`member "${excerpt(id)}" has no authorizedBy`);
    } else if (!byId.has(authorizedBy)) {
      faults.push(`member "${excerpt(id)}" is authorized by "${excerpt(authorizedBy)}", which is no member`);
    }
  }
  return faults.length === 0 ? null : notNarrowing(faults);
};

/** Follows each member up, to where an earlier way has passed: what is reached again on the same way is a cycle. */
const authorityHasNoCycle: Rule = ({ members }, byId) => {
  const passedFrom = new Map<string, string>();
  const cycles: string[] = [];
  for (const { id } of members) {
    let at: string | null = id;
    while (at !== null && !passedFrom.has(at)) {
      passedFrom.set(at, id);
      at = byId.get(at)?.authorizedBy ?? null;
    }
    if (at !== null && passedFrom.get(at) === id) cycles.push(excerpts(cycleFrom(at, byId)));
  }
  if (cycles.length === 0) return null;
  return { ok: false, code: 'formation/cycle', detail: `members authorize each other: ${cycles.join('; ')}` };
};

/** Once around, the start at both ends. */
function cycleFrom(start: string, byId: MembersById): string[] {
  const cycle = [start];
  let at: string | null = start;
  do {
    at = byId.get(at)?.authorizedBy ?? null;
    if (at !== null) cycle.push(at);
  } while (at !== null && at !== start);
  return cycle;
}

const authorityNarrows: Rule = ({ members }, byId) => {
  // A parent with many children is turned into a set once.
  const granted = new Map<string, Set<string>>();
  const faults: string[] = [];
  for (const member of members) {
    const parent = member.authorizedBy === null ? undefined : byId.get(member.authorizedBy);
    if (parent === undefined || member.authority === null) continue;
    let parentGrants = granted.get(parent.id);
    if (parentGrants === undefined) {
      granted.set(parent.id, (parentGrants = new Set(grantsOf(parent).map(keyOf))));
    }
    const excess = grantsOf(member).filter((grant) => !parentGrants.has(keyOf(grant)));
    if (excess.length > 0) {
      faults.push(
        `member "${excerpt(member.id)}" has more than its parent "${excerpt(parent.id)}": ` +
          [...new Set(excess.map(show))].join(', '),
      );
    }
  }
  return faults.length === 0 ? null : notNarrowing(faults);
};

const RULES: readonly Rule[] = [
  nameIsValid,
  coordinatorIsMember,
  idsAreUnique,
  authorityHasASource,
  authorityHasNoCycle,
  authorityNarrows,
];

function notNarrowing(faults: readonly string[]): Verdict {
  return { ok: false, code: 'formation/authority-not-narrowing', detail: faults.join('; ') };
}

type EgressRule = NonNullable<Authority['egressRules']>[number];
type Grant = EgressRule | string;

function grantsOf({ authority }: FormationMember): Grant[] {
  return authority === null ? [] : [...(authority.egressRules ?? []), ...(authority.secretRefs ?? [])];
}

/** The same for two grants that are the same. A length stands before the protocol, so no two others share a key. */
function keyOf(grant: Grant): string {
  if (typeof grant === 'string') return `secret ${grant}`;
  const { host, port, protocol } = grant;
  const spelled = protocol === undefined ? '-' : `${protocol.length} ${protocol}`;
  return `egress ${port} ${spelled} ${host.toLowerCase()}`;
}

function show(grant: Grant): string {
  if (typeof grant === 'string') return `secret "${excerpt(grant)}"`;
  const { host, port, protocol } = grant;
  return `egress to ${excerpt(host)}:${port}${protocol ? `/${excerpt(protocol)}` : ''}`;
}
