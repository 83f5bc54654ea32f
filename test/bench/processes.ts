// Owns what must not outlive the bench: child processes and temporary directories, however it ends.
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const STOP_GRACE_MS = 6_000;
const SIGNAL_EXIT_CODE = 130;

const children = new Set<ChildProcess>();
const directories = new Set<string>();

/** Has the child killed when the bench ends; forgotten once it has exited by itself. */
export function trackChild<Child extends ChildProcess>(child: Child): Child {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** A fresh directory that is removed at the latest when the bench ends. */
export function createTemporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'cellos-bench-'));
  directories.add(directory);
  return directory;
}

/** Removes such a directory early; a failure is left to the end of the bench. */
export function removeTemporaryDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  directories.delete(directory);
}

/** Ends a child with SIGTERM, after six seconds with SIGKILL; resolves when it is gone. */
export async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const killer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
  await exited;
  clearTimeout(killer);
}

/** Installs the clean-up for a normal end, an error and the signals of a terminal. */
export function installCleanup(): void {
  process.on('exit', cleanUp);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => process.exit(SIGNAL_EXIT_CODE));
  }
}

// Runs inside 'exit', where nothing asynchronous happens any more: hence SIGKILL and the synchronous removal.
function cleanUp(): void {
  for (const child of children) child.kill('SIGKILL');
  for (const directory of directories) {
    try {
      rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    } catch (error) {
      console.error(`bench: ${directory} could not be removed`, error);
    }
  }
}
