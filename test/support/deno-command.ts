// The command line of `deno task serve`, without the task runner between it and who starts it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../', import.meta.url);

/** `deno run` is in the task by way of env: the task runner takes the npm package's binary for a script. */
const COMMAND = '/usr/bin/env deno run ';

/** Program and arguments; `permissions` are further ones, in Deno's spelling. */
export function denoCommand(...permissions: string[]): [string, ...string[]] {
  const { tasks } = JSON.parse(readFileSync(new URL('deno.json', ROOT), 'utf8')) as {
    tasks: { serve: string };
  };
  if (!tasks.serve.startsWith(COMMAND)) throw new Error(`deno.json runs another program: ${tasks.serve}`);
  const program = fileURLToPath(new URL('node_modules/.bin/deno', ROOT));
  return [program, 'run', ...permissions, ...tasks.serve.slice(COMMAND.length).split(' ')];
}
