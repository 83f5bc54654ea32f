// The canonical spelling of a JSON text, which signatures are made over: keys sorted by their UTF-8 bytes at every level, no white
// space, numbers as they were spelled, strings with as few escapes as JSON.stringify needs. It expects what JSON.parse accepts.
import {
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  isSpace,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  skipSpace,
  skipString,
  skipValue,
} from './json-scan.ts';
import { compareUtf8 } from './text.ts';

/** A value that was read: the canonical text of a scalar, an array's elements, an object's members. */
type Node = string | Node[] | Map<string, Node>;

/** The canonical text of any JSON text. */
export function canonicalJson(text: string): string {
  return write(read(text));
}

/** The canonical texts of an object's members, of a repeated key the last; null when the text is no object. */
export function canonicalMembers(text: string): Map<string, string> | null {
  const node = read(text);
  if (!(node instanceof Map)) return null;
  return new Map(Array.from(node, ([key, value]) => [key, write(value)]));
}

/** The canonical text of the object that has these members, whose texts are canonical. */
export function canonicalObject(members: ReadonlyMap<string, string>): string {
  return write(new Map(members));
}

/**
 * Whether the text is its own canonical text, as what producers sign mostly is when they publish it: a look takes a tenth of making one.
 * False also when that would take a closer look.
 */
export function isCanonical(text: string): boolean {
  // What is escaped might be spelled with less.
  if (text.includes('\\')) return false;
  /** Of each open object. */
  const lastKeys: (string | null)[] = [];
  for (let at = 0; at < text.length;) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = skipString(text, at);
      const isKey = text.charCodeAt(end) === COLON;
      if (isKey) {
        const key = text.slice(at + 1, end - 1);
        const last = lastKeys.at(-1) ?? null;
        if (last !== null && compareUtf8(last, key) >= 0) return false;
        lastKeys[lastKeys.length - 1] = key;
      }
      at = isKey ? end + 1 : end;
      continue;
    }
    if (code === OPEN_BRACE) lastKeys.push(null);
    else if (code === CLOSE_BRACE) lastKeys.pop();
    else if (isSpace(code)) return false;
    at++;
  }
  return true;
}

/** In one pass and without recursion: how deep a text is nested is its sender's choice. */
function read(text: string): Node {
  const open: (Node[] | Map<string, Node>)[] = [];
  /** The key that is being read of each open object. */
  const keys: string[] = [];
  let at = skipSpace(text, 0);
  const readKey = () => {
    const end = skipString(text, at);
    const literal = text.slice(at, end);
    // Behind the key come spaces and one colon.
    at = skipSpace(text, skipSpace(text, end) + 1);
    return literal.includes('\\') ? (JSON.parse(literal) as string) : literal.slice(1, -1);
  };
  for (;;) {
    let value: Node;
    const first = text.charCodeAt(at);
    if (first === OPEN_BRACE || first === OPEN_BRACKET) {
      value = first === OPEN_BRACE ? new Map<string, Node>() : [];
      at = skipSpace(text, at + 1);
      const code = text.charCodeAt(at);
      if (code !== CLOSE_BRACE && code !== CLOSE_BRACKET) {
        open.push(value);
        if (first === OPEN_BRACE) keys.push(readKey());
        continue;
      }
      at++;
    } else {
      const end = skipValue(text, at);
      const spelled = text.slice(at, end);
      const isMinimal = first !== QUOTE || !spelled.includes('\\');
      value = isMinimal ? spelled : JSON.stringify(JSON.parse(spelled));
      at = end;
    }
    // The value is complete, and perhaps what it is the last of.
    for (;;) {
      const parent = open.at(-1);
      if (parent === undefined) return value;
      if (Array.isArray(parent)) parent.push(value);
      else parent.set(keys.at(-1) as string, value);
      at = skipSpace(text, at);
      const isLast = text.charCodeAt(at) !== COMMA;
      at = isLast ? at + 1 : skipSpace(text, at + 1);
      if (!isLast) {
        if (!Array.isArray(parent)) keys[keys.length - 1] = readKey();
        break;
      }
      open.pop();
      if (!Array.isArray(parent)) keys.pop();
      value = parent;
    }
  }
}

/** In time proportional to the text, but for the sorting: no piece is copied once per level. */
function write(root: Node): string {
  if (typeof root === 'string') return root;
  const pieces: string[] = [];
  /** What is still to be written, the next one last. */
  const ahead: Node[] = [root];
  for (let node = ahead.pop(); node !== undefined; node = ahead.pop()) {
    if (typeof node === 'string') {
      pieces.push(node);
    } else if (Array.isArray(node)) {
      pieces.push('[');
      ahead.push(']');
      for (let at = node.length - 1; at >= 0; at--) {
        ahead.push(node[at] as Node);
        if (at > 0) ahead.push(',');
      }
    } else {
      pieces.push('{');
      ahead.push('}');
      const sorted = [...node.keys()].sort(compareUtf8);
      for (let at = sorted.length - 1; at >= 0; at--) {
        const key = sorted[at] as string;
        ahead.push(node.get(key) as Node, `${at > 0 ? ',' : ''}${JSON.stringify(key)}:`);
      }
    }
  }
  return pieces.join('');
}
