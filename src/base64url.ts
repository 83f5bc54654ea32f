// Bytes as base64url without padding (RFC 4648, section 5).

export function toBase64url(bytes: Uint8Array): string {
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const NONE = 64;
/** The six bits of each character below 128. */
const BITS = Uint8Array.from({ length: 128 }, (_, code) => {
  const at = ALPHABET.indexOf(String.fromCharCode(code));
  return at < 0 ? NONE : at;
});

/**
 * The bytes, or null for any other spelling than the one `toBase64url` writes: two texts never mean the same bytes. By hand, since
 * signatures come by the hundred thousand and atob with what it takes around it is ten times as slow.
 */
export function fromBase64url(text: string): Uint8Array<ArrayBuffer> | null {
  if (text.length % 4 === 1) return null;
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4));
  let [bits, count, to] = [0, 0, 0];
  for (let at = 0; at < text.length; at++) {
    const six = BITS[text.charCodeAt(at)] ?? NONE;
    if (six === NONE) return null;
    bits = (bits << 6) | six;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes[to++] = bits >> count;
    bits &= (1 << count) - 1;
  }
  // The last character may carry bits that belong to no byte.
  return bits === 0 ? bytes : null;
}
