// `npm run demo`: admits an example formation at the running server and plays a supervisor for it, at a pace that a
// person can follow. `--fast` leaves the pauses out.
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { findServer } from './connection.mjs';
import { exampleFormation, exampleRun } from './example.mjs';
import { connectSupervisor } from './supervisor.mjs';

/** Twelve steps: the whole takes about as many seconds. */
const PAUSE_MS = 1_000;
const PROJECTION_TIMEOUT_MS = 5_000;
const POLL_MS = 20;

const { values: flags } = parseArgs({ options: { fast: { type: 'boolean', default: false } } });

async function main() {
  const server = await findServer();
  const supervisor = await connectSupervisor(server.brokerUrl);
  try {
    // A new name every time: a second demo runs beside the first one's record.
    const document = exampleFormation(`demo-${randomBytes(3).toString('hex')}`);
    console.log(`Submitting formation ${document.name} to ${server.url}:`);
    for (const { id, authorizedBy, authority } of document.members)
      console.log(
        `  ${id.padEnd(9)}${describe(authority)}${authorizedBy ? `, authorized by ${authorizedBy}` : ''}`,
      );
    const admitted = await server.request('/v1/formations', document);
    console.log(
      `Admitted as ${admitted.id}, ${admitted.status}. From here on this demo is the supervisor.\n`,
    );

    const members = document.members.map(({ id }) => id);
    const steps = exampleRun({ id: admitted.id, name: document.name }, members);
    for (const [index, step] of steps.entries()) {
      if (!flags.fast) await delay(PAUSE_MS);
      await supervisor.publish(step.type, step.data);
      console.log(`${String(index + 1).padStart(2)}/${steps.length}  published  ${step.title}`);
      const view = await whenShown(server, admitted.id, step);
      console.log(`       server     ${summarize(view)}`);
    }
    console.log(`\nDone. The record stays: ${server.url}/v1/formations/${admitted.id}`);
  } finally {
    await supervisor.close();
  }
}

/**
 * The server's answers once they show the step.
 * @param {Awaited<ReturnType<typeof findServer>>} server
 * @param {string} id
 * @param {import('./example.mjs').Step} step
 * @returns {Promise<import('./example.mjs').View>}
 */
async function whenShown(server, id, step) {
  const deadline = Date.now() + PROJECTION_TIMEOUT_MS;
  for (;;) {
    const view = {
      formation: await server.request(`/v1/formations/${id}`),
      cells: await server.request(`/v1/cells?formation=${id}`),
    };
    if (step.isShown(view)) return view;
    if (Date.now() > deadline)
      throw new Error(
        `The broker has the event, but the server does not show it after ${PROJECTION_TIMEOUT_MS / 1000} s: ` +
          `${summarize(view)}. Do both use the same broker? CELLOS_NATS_URL names the one for this demo.`,
      );
    await delay(POLL_MS);
  }
}

/** @param {import('./example.mjs').View} view */
function summarize({ formation, cells }) {
  const phase = formation.phase && formation.phase !== formation.status ? ` (${formation.phase})` : '';
  const states = cells.map(({ id, state, exit_code, outcome }) => {
    const exit = exit_code === null ? '' : `, exit ${exit_code}`;
    // The last part of the id is the member's.
    return `${id.split('-').at(-1)} ${state}${exit}${outcome === null ? '' : `, ${outcome}`}`;
  });
  return [`formation ${formation.status}${phase}`, ...states].join(' | ');
}

/** @param {{ egressRules?: { host: string }[], secretRefs?: string[] }} authority */
function describe({ egressRules = [], secretRefs = [] }) {
  const hosts = egressRules.map(({ host }) => host).join(', ');
  return `hosts: ${hosts || 'none'}; secrets: ${secretRefs.join(', ') || 'none'}`;
}

await main().catch((error) => {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
