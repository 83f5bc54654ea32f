// What a formation's phase means to the contract: its status, and whether it still holds its name. Pure.
import type { Formation, FormationPhase, FormationStatus } from './model.ts';

/** The contract's table of phases, each with its status. */
export const STATUSES: Readonly<Record<FormationPhase, FormationStatus>> = {
  PENDING: 'PENDING',
  LAUNCHING: 'RUNNING',
  RUNNING: 'RUNNING',
  DEGRADED: 'RUNNING',
  COMPLETED: 'SUCCEEDED',
  FAILED: 'FAILED',
  CANCELLED: 'CANCELLED',
};

/** In the order of a formation's life. */
export const PHASES = Object.keys(STATUSES) as readonly FormationPhase[];

/** The contract's `status` of a formation. */
export function statusOf(formation: Formation): FormationStatus {
  return STATUSES[formation.phase];
}

/** True until the formation has succeeded, failed or been cancelled. */
export function isLive(formation: Formation): boolean {
  const status = statusOf(formation);
  return status === 'PENDING' || status === 'RUNNING';
}
