// Owns the load generators' processes: how one is started, asked and stopped. Generators live in their own processes
// so that what they cost is neither the server's nor the publisher's time.
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { stopChild, trackChild } from './processes.ts';

/** Every command of a generator names itself. */
export interface Command {
  readonly kind: string;
}

interface Reply {
  readonly result?: unknown;
  readonly error?: string;
}

/** A generator process that answers one command at a time. */
export class LoadWorker<Commands extends Record<string, { command: object; result: unknown }>> {
  readonly #child: ChildProcess;

  constructor(file: string) {
    const path = fileURLToPath(new URL(file, import.meta.url));
    this.#child = trackChild(fork(path, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }));
  }

  /** Rejects when the generator fails, ends, or takes longer than `timeoutMs`. */
  call<Kind extends keyof Commands & string>(
    kind: Kind,
    command: Commands[Kind]['command'],
    timeoutMs: number,
  ): Promise<Commands[Kind]['result']> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        child.off('message', onMessage);
        child.off('exit', onExit);
        finish();
      };
      const onMessage = (reply: Reply) =>
        settle(() =>
          reply.error === undefined
            ? resolve(reply.result as Commands[Kind]['result'])
            : reject(new Error(reply.error)),
        );
      const onExit = () => settle(() => reject(new Error(`the load generator ended during ${kind}`)));
      const timer = setTimeout(
        () =>
          settle(() => reject(new Error(`the load generator took longer than ${timeoutMs} ms for ${kind}`))),
        timeoutMs,
      );
      child.on('message', onMessage);
      child.on('exit', onExit);
      child.send({ ...command, kind });
    });
  }

  stop(): Promise<void> {
    return stopChild(this.#child);
  }
}

/** The generator's side: answers each command with what its handler returns. */
export function serveCommands<C extends Command>(handle: (command: C) => Promise<unknown> | unknown): void {
  const answer = async (command: C): Promise<Reply> => {
    try {
      return { result: await handle(command) };
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) };
    }
  };
  process.on('message', (command: C) => {
    answer(command).then(
      (reply) => process.send?.(reply),
      (error: unknown) => console.error('bench: a load generator could not answer', error),
    );
  });
  // The bench is gone, perhaps killed: nobody wants the load any more.
  process.on('disconnect', () => process.exit(0));
}
