// A client's socket whose buffer the test empties by hand.
import type { FeedConnection, FeedSocket, Frame, SessionMemory } from '../../src/ports.ts';

export class TestSocket implements FeedSocket {
  readonly texts: string[] = [];
  readonly batches: (readonly Frame[])[] = [];
  closed: { code: number; reason: string } | null = null;
  pings = 0;
  bufferedBytes = 0;
  /** Bytes that are taken at once; what goes beyond stays buffered until `take`. */
  takesAtOnce = Number.POSITIVE_INFINITY;
  connection: FeedConnection | null = null;
  /** What a runtime that forgets everything else keeps. */
  memory: SessionMemory | null = null;

  readonly send = (frames: readonly Frame[]): number => {
    if (this.closed !== null) throw new Error('sent to a closed socket');
    this.batches.push(frames);
    let bytes = 0;
    for (const { text } of frames) {
      this.texts.push(text);
      bytes += text.length + 2;
    }
    const taken = Math.min(bytes, this.takesAtOnce);
    this.takesAtOnce -= taken;
    this.bufferedBytes += bytes - taken;
    return bytes;
  };

  readonly close = (code: number, reason: string): void => {
    this.closed = { code, reason };
    this.connection?.closed();
  };

  readonly ping = (): void => {
    this.pings++;
  };

  readonly remember = (memory: SessionMemory): void => {
    this.memory = structuredClone(memory);
  };

  /** The client reads again. */
  take(bytes = this.bufferedBytes): void {
    this.bufferedBytes -= bytes;
    if (this.bufferedBytes === 0) this.connection?.drained();
  }

  get sequences(): number[] {
    return this.texts.map((text) => (JSON.parse(text) as { seq: number }).seq);
  }
}
