// Log lines on their way to stderr. A write is a system call that costs as much as a request's answer, so the lines of requests
// are written together once per turn; what is worth more waits for nothing and takes them along, so that the order is kept.
import type { Clock } from '../../src/ports.ts';

/** Beyond this many characters nothing is gained by waiting. */
const MAX_WAITING_CHARACTERS = 64 * 1024;

export class LineWriter {
  readonly #writeLine: (line: string) => void;
  readonly #clock: Clock;
  #waiting = '';

  constructor(writeLine: (line: string) => void, clock: Clock) {
    this.#writeLine = writeLine;
    this.#clock = clock;
  }

  /** Writes it at once. */
  write(line: string): void {
    this.flush();
    this.#writeLine(line);
  }

  /** Writes it with those of the same turn. */
  writeSoon(line: string): void {
    if (this.#waiting === '') {
      this.#waiting = line;
      this.#clock.soon(() => this.flush());
    } else {
      this.#waiting += `\n${line}`;
      if (this.#waiting.length > MAX_WAITING_CHARACTERS) this.flush();
    }
  }

  /** Writes what is waiting; for the end of the process. */
  flush(): void {
    const lines = this.#waiting;
    if (lines === '') return;
    this.#waiting = '';
    this.#writeLine(lines);
  }
}
