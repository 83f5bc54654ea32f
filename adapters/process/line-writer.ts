// Log lines on their way to stderr. A write is a system call that costs a quarter of a request's answer, so the lines of requests
// are written together; what is worth more waits for nothing and takes them along, so that the order is kept.
import type { Clock } from '../../src/ports.ts';
import { Timer } from '../../src/timer.ts';

/** A process that is killed takes no more than this with it. */
const MAX_WAIT_MS = 10;
/** Beyond this many characters nothing is gained by waiting. */
const MAX_WAITING_CHARACTERS = 64 * 1024;

export class LineWriter {
  readonly #writeLine: (line: string) => void;
  readonly #timer: Timer;
  #waiting = '';

  constructor(writeLine: (line: string) => void, clock: Clock) {
    this.#writeLine = writeLine;
    this.#timer = new Timer(clock, MAX_WAIT_MS, () => this.flush());
  }

  /** Writes it at once. */
  write(line: string): void {
    this.flush();
    this.#writeLine(line);
  }

  /** Writes it a little later, with others. */
  writeSoon(line: string): void {
    if (this.#waiting === '') {
      this.#waiting = line;
      this.#timer.start();
    } else {
      this.#waiting += `\n${line}`;
      if (this.#waiting.length > MAX_WAITING_CHARACTERS) this.flush();
    }
  }

  /** Writes what is waiting; for the end of the process. */
  flush(): void {
    const lines = this.#waiting;
    if (lines === '') return;
    this.#timer.stop();
    this.#waiting = '';
    this.#writeLine(lines);
  }
}
