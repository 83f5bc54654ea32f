// The demo's example: a formation of three cells, and the events that a supervisor publishes while it runs.

const FORMATION_PREFIX = 'dev.cellos.events.cell.formation.v1';
const LIFECYCLE_PREFIX = 'dev.cellos.events.cell.lifecycle.v1';
const COMMAND_COMPLETED = 'dev.cellos.events.cell.command.v1.completed';
const TTL_SECONDS = 60;

/**
 * Each member's authority is a part of that of the member that authorises it: the planner may call two hosts with two
 * secrets, the fetcher one with one, the reporter none.
 * @param {string} name
 */
export function exampleFormation(name) {
  const api = { host: 'api.example.com', port: 443, protocol: 'https' };
  const mirror = { host: 'mirror.example.com', port: 443, protocol: 'https' };
  return {
    name,
    coordinator: 'planner',
    members: [
      { id: 'planner', authority: { egressRules: [api, mirror], secretRefs: ['api-key', 'mirror-key'] } },
      { id: 'fetcher', authorizedBy: 'planner', authority: { egressRules: [api], secretRefs: ['api-key'] } },
      { id: 'reporter', authorizedBy: 'fetcher', authority: { secretRefs: ['api-key'] } },
    ],
  };
}

/**
 * @typedef {{ id: string, state: string, exit_code: number | null, outcome: string | null }} CellView
 * @typedef {{ formation: { status: string, phase?: string }, cells: CellView[] }} View
 * @typedef {object} Step
 * @property {string} title
 * @property {string} type The event's.
 * @property {object} data The event's.
 * @property {(view: View) => boolean} isShown Whether the server's projection has it.
 */

/**
 * What happens to the formation, in order.
 * @param {{ id: string, name: string }} formation
 * @param {string[]} members
 * @returns {Step[]}
 */
export function exampleRun(formation, members) {
  const cells = members.map((member) => ({
    cellId: `${formation.name}-${member}`,
    specId: member,
    runId: `run-${formation.name}`,
    // What puts the cell under its formation.
    formationId: formation.id,
  }));
  return [
    phase(formation, cells.length, 'launching', 'RUNNING'),
    ...cells.map((cell) => ({
      title: `cell ${cell.cellId} started`,
      type: `${LIFECYCLE_PREFIX}.started`,
      data: { ...cell, ttlSeconds: TTL_SECONDS },
      isShown: shows(cell.cellId, ({ state }) => state === 'running'),
    })),
    phase(formation, cells.length, 'running', 'RUNNING'),
    ...cells.map((cell, index) => ({
      title: `cell ${cell.cellId} completed its command`,
      type: COMMAND_COMPLETED,
      data: { ...cell, argv: ['example', cell.specId], durationMs: 900 + 250 * index, exitCode: 0 },
      isShown: shows(cell.cellId, ({ exit_code }) => exit_code === 0),
    })),
    ...cells.map((cell) => ({
      title: `cell ${cell.cellId} destroyed`,
      type: `${LIFECYCLE_PREFIX}.destroyed`,
      data: { ...cell, outcome: 'succeeded', ttlSeconds: TTL_SECONDS },
      isShown: shows(cell.cellId, ({ state }) => state === 'destroyed'),
    })),
    phase(formation, cells.length, 'completed', 'SUCCEEDED'),
  ];
}

/**
 * @param {{ id: string, name: string }} formation
 * @param {number} cellCount
 * @param {string} name
 * @param {string} status
 * @returns {Step}
 */
function phase(formation, cellCount, name, status) {
  return {
    title: `formation ${name}`,
    type: `${FORMATION_PREFIX}.${name}`,
    data: { formationId: formation.id, formationName: formation.name, cellCount, failedCellIds: [] },
    isShown: ({ formation: shown }) => shown.status === status && (shown.phase ?? '') === name.toUpperCase(),
  };
}

/**
 * @param {string} cellId
 * @param {(cell: CellView) => boolean} test
 * @returns {(view: View) => boolean}
 */
function shows(cellId, test) {
  return ({ cells }) => cells.some((cell) => cell.id === cellId && test(cell));
}
