// The server on Deno, started by the very command line of `deno task serve`.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { commandTarget } from './server-process.ts';
import type { Target } from './server-process.ts';

const ROOT = new URL('../../', import.meta.url);
const DENO = fileURLToPath(new URL('node_modules/.bin/deno', ROOT));

/** `deno run` is in the task by way of env: the task runner takes the npm package's binary for a script. */
const COMMAND = '/usr/bin/env deno run ';

function runArguments(): string[] {
  const { tasks } = JSON.parse(readFileSync(new URL('deno.json', ROOT), 'utf8')) as {
    tasks: { serve: string };
  };
  if (!tasks.serve.startsWith(COMMAND)) throw new Error(`deno.json runs another program: ${tasks.serve}`);
  return tasks.serve.slice(COMMAND.length).split(' ');
}

/** What `deno task serve` runs, without the task runner between the test and the server. */
export const denoTarget = denoTargetWith();

/** The same with further permissions. */
export function denoTargetWith(...permissions: string[]): Target {
  return commandTarget('deno', DENO, ['run', ...permissions, ...runArguments()]);
}
