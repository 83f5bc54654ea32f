// Who holds a name: the formations of each, in the order of their age, with the newest live one at hand. Pure; it changes the index it is
// given, for the projection alone.
import { isLive } from './formation-status.ts';
import type { Formation } from './model.ts';

/** All formations of one name, oldest first, how many of them are live, and the newest of these. */
export interface NameHolders {
  readonly all: Formation[];
  liveCount: number;
  newestLive: Formation | null;
}

export type NameIndex = Map<string, NameHolders>;

/** A formation has come, or has another name. */
export function indexName(names: NameIndex, formation: Formation): void {
  // Nobody asks for the empty name, and thousands of formations may have it.
  if (formation.name === '') return;
  let holders = names.get(formation.name);
  if (holders === undefined) {
    names.set(formation.name, (holders = { all: [], liveCount: 0, newestLive: null }));
  }
  holders.all.splice(placeByAge(holders.all, formation), 0, formation);
  if (isLive(formation)) noteLife(holders, formation);
}

/** It does not have this name any more. */
export function unindexName(names: NameIndex, formation: Formation, name: string, wasLive: boolean): void {
  const holders = names.get(name);
  if (holders === undefined) return;
  if (wasLive) noteEnd(holders, formation);
  holders.all.splice(placeByAge(holders.all, formation), 1);
  if (holders.all.length === 0) names.delete(name);
}

/** A holder has come to life, or ended. */
export function noteLife(holders: NameHolders | undefined, formation: Formation): void {
  if (holders === undefined) return;
  if (!isLive(formation)) {
    noteEnd(holders, formation);
    return;
  }
  holders.liveCount++;
  if (formation.firstSeq > (holders.newestLive?.firstSeq ?? -1)) holders.newestLive = formation;
}

/** The search goes back from the one that ended, so each of the others is passed once. */
function noteEnd(holders: NameHolders, formation: Formation): void {
  holders.liveCount--;
  if (holders.newestLive !== formation) return;
  holders.newestLive = null;
  if (holders.liveCount === 0) return;
  for (let at = placeByAge(holders.all, formation) - 1; at >= 0; at--) {
    const older = holders.all[at] as Formation;
    if (!isLive(older)) continue;
    holders.newestLive = older;
    return;
  }
}

/** Where a formation is, or belongs, in a list ordered by first sequences, which are unique. */
function placeByAge(formations: readonly Formation[], { firstSeq }: Formation): number {
  let low = 0;
  let high = formations.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((formations[middle] as Formation).firstSeq < firstSeq) low = middle + 1;
    else high = middle;
  }
  return low;
}
