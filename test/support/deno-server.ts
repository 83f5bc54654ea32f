// The server on Deno, started by the very command line of `deno task serve`.
import { denoCommand } from './deno-command.ts';
import { commandTarget } from './server-process.ts';
import type { Target } from './server-process.ts';

/** What `deno task serve` runs. */
export const denoTarget = denoTargetWith();

/** The same with further permissions. */
export function denoTargetWith(...permissions: string[]): Target {
  const [program, ...options] = denoCommand(...permissions);
  return commandTarget('deno', program, options);
}
