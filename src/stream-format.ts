// Sessions of the feed whose socket is the body of an answer: what a client has not taken yet is what waits in the stream. What is
// written for an event is the format's.
import { MAX_SOCKET_BUFFER_BYTES } from './limits.ts';
import type { Position } from './model.ts';
import type { FeedSocket, Frame } from './ports.ts';
import { CLOSE } from './problems.ts';
import { encodeUtf8 } from './utf8.ts';

export class StreamFormat {
  readonly #spell: (frames: readonly Frame[]) => string;
  readonly #keepAlive: (cursor: Position) => string;
  readonly #encoded = new WeakMap<readonly Frame[], Uint8Array<ArrayBuffer>>();

  /** `keepAlive` is what shows that a line is alive to a client that has everything up to a cursor. */
  constructor(spell: (frames: readonly Frame[]) => string, keepAlive: (cursor: Position) => string) {
    this.#spell = spell;
    this.#keepAlive = keepAlive;
  }

  /** The stream is to have MAX_SOCKET_BUFFER_BYTES as its high-water mark. */
  socket(controller: ReadableStreamDefaultController<Uint8Array>): FeedSocket {
    let isOpen = true;
    const put = (bytes: Uint8Array) => {
      if (isOpen && bytes.byteLength > 0) controller.enqueue(bytes);
      return bytes.byteLength;
    };
    return {
      send: (frames) => put(this.#encode(frames)),
      close(code) {
        if (!isOpen) return;
        isOpen = false;
        // Who takes nothing would not take the end either.
        if (code === CLOSE.slowConsumer) controller.error(new Error('slow consumer'));
        else controller.close();
      },
      keepAlive: (cursor) => void put(encodeUtf8(this.#keepAlive(cursor))),
      get bufferedBytes() {
        return MAX_SOCKET_BUFFER_BYTES - (controller.desiredSize ?? MAX_SOCKET_BUFFER_BYTES);
      },
    };
  }

  /** Made once for all sessions that are due the same frames. */
  #encode(frames: readonly Frame[]): Uint8Array<ArrayBuffer> {
    let bytes = this.#encoded.get(frames);
    if (bytes === undefined) this.#encoded.set(frames, (bytes = encodeUtf8(this.#spell(frames))));
    return bytes;
  }
}
