// Owns the receiving half of a WebSocket, as cheap as a thousand clients on two cores need it: frame headers and the
// sequence number are read, payloads are skipped. It is first in `{"seq":N,"event":...}`; cellos-server 0.5.4 writes
// `{"event":...,"seq":N}`, the same object.

const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PREFIX = Buffer.from('{"seq":');
const SUFFIX = Buffer.from(',"seq":');
const ZERO = 0x30;
const NINE = 0x39;
// The prefix, twenty digits of an unsigned 64-bit number and the comma after them.
const NEEDED_BYTES = PREFIX.length + 21;
const MAX_CONTROL_BYTES = 125;
const MAX_TOLD_BYTES = 120;

/** What a reader reports; `payload` is valid during the call only. */
export interface FrameHandler {
  onSequence(sequence: number): void;
  onPing(payload: Buffer): void;
  /** 1005 when the peer gave no code. */
  onClose(code: number, reason: string): void;
  /** A text frame without a sequence (a problem), or one that no server should send. */
  onOther(description: string): void;
}

/** Takes chunks as they come off the socket. */
export class FrameReader {
  readonly #handler: FrameHandler;
  #carry: Buffer = Buffer.alloc(0);
  #skip = 0;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  push(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#carry.length > 0) {
      bytes = Buffer.concat([this.#carry, chunk]);
      this.#carry = Buffer.alloc(0);
    }
    let at = Math.min(this.#skip, bytes.length);
    this.#skip -= at;
    while (at < bytes.length) {
      const end = this.#readFrame(bytes, at);
      if (end < 0) {
        // Cut before the sequence: a few dozen bytes, or one frame when the sequence comes last.
        this.#carry = Buffer.from(bytes.subarray(at));
        return;
      }
      this.#skip = Math.max(0, end - bytes.length);
      at = end;
    }
  }

  // Returns where the frame ends, perhaps beyond the chunk, or -1 when too little of it is here.
  #readFrame(bytes: Buffer, start: number): number {
    if (bytes.length - start < 2) return -1;
    const first = bytes[start] as number;
    let length = (bytes[start + 1] as number) & 0x7f;
    let at = start + 2;
    if (length === 126) {
      if (bytes.length - at < 2) return -1;
      length = bytes.readUInt16BE(at);
      at += 2;
    } else if (length === 127) {
      if (bytes.length - at < 8) return -1;
      length = Number(bytes.readBigUInt64BE(at));
      at += 8;
    }
    const opcode = first & 0x0f;
    const head = Math.min(length, opcode === TEXT ? NEEDED_BYTES : MAX_CONTROL_BYTES);
    if (bytes.length - at < head) return -1;
    const isSequenceFirst = opcode !== TEXT || holds(bytes, at, PREFIX);
    if (!isSequenceFirst && bytes.length - at < length) return -1;
    // Neither server fragments or sends binary: such a frame would make every later number wrong.
    if ((first & 0x80) === 0 || (opcode !== TEXT && opcode < CLOSE)) {
      this.#handler.onOther(`frame with first byte ${first}`);
    } else if (opcode !== TEXT) this.#readControl(opcode, bytes.subarray(at, at + head));
    else if (isSequenceFirst) this.#readSequence(bytes, at + PREFIX.length, at + head);
    else this.#readTrailing(bytes, at, at + length);
    return at + length;
  }

  // In place: a view per frame would be most of the receiver's garbage.
  #readSequence(bytes: Buffer, start: number, end: number): void {
    let sequence = 0;
    let at = start;
    for (; at < end && isDigit(bytes[at]); at += 1) sequence = sequence * 10 + ((bytes[at] as number) - ZERO);
    if (at > start && Number.isSafeInteger(sequence)) this.#handler.onSequence(sequence);
    else this.#handler.onOther(`text with sequence ${bytes.toString('utf8', start, at)}`);
  }

  #readTrailing(bytes: Buffer, start: number, end: number): void {
    let at = end - 1;
    while (at > start && isDigit(bytes[at - 1])) at -= 1;
    if (holds(bytes, at - SUFFIX.length, SUFFIX)) this.#readSequence(bytes, at, end);
    else
      this.#handler.onOther(`text ${bytes.toString('utf8', start, Math.min(end, start + MAX_TOLD_BYTES))}`);
  }

  #readControl(opcode: number, payload: Buffer): void {
    if (opcode === PING) this.#handler.onPing(payload);
    else if (opcode === CLOSE) {
      const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      this.#handler.onClose(code, payload.subarray(2).toString('utf8'));
    }
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

function holds(bytes: Buffer, start: number, part: Buffer): boolean {
  for (let index = 0; index < part.length; index += 1) {
    if (bytes[start + index] !== part[index]) return false;
  }
  return true;
}
