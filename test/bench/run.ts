// npm run bench: measures this server on its runtimes, alone or beside another of the same contract, on brokers of its own.
import { Recorder } from './measurement.ts';
import type { RowGroup } from './measurement.ts';
import { parseOptions } from './options.ts';
import type { BenchOptions, Sizes, Target } from './options.ts';
import { installCleanup } from './processes.ts';
import { Report } from './report.ts';
import { idleCapacity, loadedCapacity } from './rows/capacity.ts';
import { acknowledgements, besideStuck, resume } from './rows/clients.ts';
import { burstFeed, steadyFeed } from './rows/feed.ts';
import { live } from './rows/live.ts';
import { posts } from './rows/posts.ts';
import { lists, singleReads } from './rows/reads.ts';
import { emptyStart, replay, restart, signedReplay } from './rows/start.ts';
import { Fixtures } from './seed.ts';
import { prepareWorker } from './workerd.ts';

const SIGNATURES = ['ed25519', 'hmac-sha256'] as const;
const POST_CONNECTIONS = [1, 16, 64];

installCleanup();
const options = parseOptions(process.argv.slice(2));
const report = new Report();
const groups = selectGroups(options);
if (options.targets.some(({ kind }) => kind === 'worker')) await prepareWorker();
for (const [index, group] of groups.entries()) {
  await measureGroup(group, `[${index + 1}/${groups.length}]`);
}
console.log(report.toText(options));
if (options.jsonFile !== null) report.writeJson(options.jsonFile, options);
process.exit(report.isFailed ? 1 : 0);

function allGroups(sizes: Sizes): RowGroup[] {
  return [
    emptyStart,
    ...sizes.replays.map(replay),
    ...SIGNATURES.map((algorithm) => signedReplay(Math.max(...sizes.replays), algorithm)),
    restart(sizes.restart, 'own'),
    restart(sizes.restart, 'file'),
    restart(sizes.restart, 'nats'),
    singleReads(Math.max(...sizes.lists)),
    ...sizes.lists.map(lists),
    ...POST_CONNECTIONS.map(posts),
    live,
    ...sizes.feeds.map(steadyFeed),
    ...sizes.feeds.map(burstFeed),
    resume(sizes.resume),
    ...sizes.acknowledged.map(acknowledgements),
    besideStuck(sizes.besideStuck),
    ...sizes.idleSessions.map(idleCapacity),
    ...sizes.loadedSessions.map(loadedCapacity),
  ];
}

// A whole name selects that group only, so that feed-1 does not bring feed-1000 along.
function selectGroups({ only, sizes }: BenchOptions): RowGroup[] {
  const all = allGroups(sizes);
  if (only.length === 0) return all.filter(({ onRequest }) => onRequest === undefined);
  const names = all.map(({ name }) => name);
  const selected = new Set<string>();
  for (const wanted of only) {
    const matches = names.includes(wanted) ? [wanted] : names.filter((name) => name.startsWith(wanted));
    if (matches.length === 0) {
      console.error(`bench: no rows named ${wanted}; there are ${names.join(', ')}`);
      process.exit(2);
    }
    for (const name of matches) selected.add(name);
  }
  return all.filter(({ name }) => selected.has(name));
}

// Fixtures live as long as their group: an idle broker with a large store is not quite idle.
async function measureGroup(group: RowGroup, progress: string): Promise<void> {
  const fixtures = new Fixtures();
  for (let run = 1; run <= options.runs; run += 1) {
    for (const target of shuffledTargets()) {
      if (group.sides?.includes(target.side) === false) continue;
      console.error(`${progress} ${group.name}, run ${run} of ${options.runs}, ${target.side}`);
      const record = new Recorder();
      try {
        await group.run({ target, sizes: options.sizes, fixtures }, record);
      } catch (error) {
        record.problems.push(error instanceof Error ? error.message : String(error));
      }
      report.add(group.name, target.side, record.measurements);
      for (const text of record.problems) report.addProblem({ group: group.name, side: target.side, text });
    }
  }
  await fixtures.stop();
}

// Each goes first as often: what the first leaves behind (page cache, heat) then favours none.
function shuffledTargets(): Target[] {
  const keyed = options.targets.map((target) => ({ target, key: Math.random() }));
  return keyed.sort((left, right) => left.key - right.key).map(({ target }) => target);
}
