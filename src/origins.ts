// Origins of web pages, in the one spelling that browsers send (WHATWG HTML, "serialization of an origin").

/** A scheme and a host, with or without a port, and nothing else; a star would be taken for a host. */
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^/?#@\\\s*]+$/i;

/** An origin as browsers spell it: lower case, no default port, Punycode. Null for what is none. */
export function serializedOrigin(text: string): string | null {
  if (text === 'null') return text;
  if (!ORIGIN.test(text) || !URL.canParse(text)) return null;
  const { origin, protocol, host } = new URL(text);
  // URL knows the origins of the web's own schemes alone; browsers send those of extensions and apps likewise.
  return origin === 'null' ? `${protocol}//${host.toLowerCase()}` : origin;
}
