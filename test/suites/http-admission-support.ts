// Documents that the admission suites are made of, and what submitting one comes to.
import { expect } from 'vitest';
import { kubectlDocument, unique } from '../support/events.ts';
import { expectProblem } from '../support/http-client.ts';
import type { ProblemCode, Reply } from '../support/http-client.ts';
import type { Rig } from '../support/server-process.ts';

export type Member = Record<string, unknown>;
/** What is wrong, the document, what the detail has to name. */
export type Refusal = [what: string, body: unknown, names: string[]];

export const lead = { id: 'lead' };
export const worker = { id: 'worker', authorizedBy: 'lead' };

/** A flat document under the coordinator `lead`. */
export function flat(...members: Member[]): Member & { members: Member[] } {
  return { name: unique(), coordinator: 'lead', members };
}

/** A manifest that admission would take, changed in place or replaced. */
export function kubectl(change: (manifest: ReturnType<typeof kubectlDocument>) => unknown): unknown {
  const manifest = kubectlDocument(unique());
  return change(manifest) ?? manifest;
}

/** The same without one of its top-level keys. */
export function kubectlWithout(key: string): unknown {
  return Object.fromEntries(Object.entries(kubectlDocument(unique())).filter(([name]) => name !== key));
}

export function egressRule(host: string, port: number, protocol?: string): Member {
  return { host, port, ...(protocol === undefined ? {} : { protocol }) };
}

export function submit(rig: Rig, body: unknown): Promise<Reply> {
  return rig.http.post('/v1/formations', body);
}

export interface Admitted {
  readonly id: string;
  /** The record as it is read back. */
  readonly text: string;
  readonly document: unknown;
}

/** Expects a 201 and reads the record back. */
export async function admit(rig: Rig, body: unknown): Promise<Admitted> {
  const reply = await submit(rig, body);
  expect(reply.status, reply.text).toBe(201);
  const { id } = JSON.parse(reply.text) as { id: string };
  const { text } = await rig.http.get(`/v1/formations/${id}`);
  return { id, text, document: (JSON.parse(text) as { document: unknown }).document };
}

/** Expects the problem, with the culprits in its detail, and that nothing was written. */
export async function refuse(
  rig: Rig,
  code: ProblemCode,
  body: unknown,
  names: readonly string[],
): Promise<void> {
  const before = await rig.broker.lastSequence();
  expectProblem(await submit(rig, body), code, { names });
  expect(await rig.broker.lastSequence(), 'nothing is written').toBe(before);
}
