// Texts from outside, made fit for an error or a log line, and text orders.
import { MAX_ECHO_CHARACTERS } from './limits.ts';

/** What nearly all texts are. A refusal may name thousands of them. */
const PLAIN = /^[ -~]*$/;

/** A client's text for an error: no control characters, at most 200 characters. */
export function excerpt(text: string): string {
  if (text.length <= MAX_ECHO_CHARACTERS && PLAIN.test(text)) return text;
  // No character becomes less than half as long, so whatever is behind this is cut off in any case.
  const clean = text
    .slice(0, 2 * MAX_ECHO_CHARACTERS + 2)
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '\u{fffd}');
  return clean.length <= MAX_ECHO_CHARACTERS
    ? clean
    : `${clean.slice(0, MAX_ECHO_CHARACTERS - 1).toWellFormed()}…`;
}

/** Several of them in quotes, comma-separated. */
export function excerpts(texts: Iterable<string>): string {
  return [...texts].map((text) => `"${excerpt(text)}"`).join(', ');
}

/** Orders texts by their UTF-8 bytes; plain `<` orders by UTF-16 units, which puts U+E000 to U+FFFF behind emoji. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left === right) continue;
    const leftIsSurrogate = (left & 0xf800) === 0xd800;
    const rightIsSurrogate = (right & 0xf800) === 0xd800;
    // Surrogates stand for code points above all others.
    if (leftIsSurrogate !== rightIsSurrogate) return leftIsSurrogate ? 1 : -1;
    return left - right;
  }
  return a.length - b.length;
}
