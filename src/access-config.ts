// Who may ask, from the environment: tokens with the names of their bearers, and origins (contract, section 8). Secrets may come from
// files. No message repeats a token, nor a path, which may be a token in the wrong place.
import { type AccessToken, type Principal, tokenSpellings } from './auth.ts';
import { ConfigError, type Environment, valueOf } from './environment.ts';
import { entriesOf } from './json-text.ts';
import { MAX_OPERATOR_CHARACTERS } from './limits.ts';
import { serializedOrigin } from './origins.ts';
import { excerpt } from './text.ts';

export interface AccessConfig {
  /** One at least may write. */
  readonly tokens: readonly AccessToken[];
  /** As browsers spell them; null where requests of any origin are taken. */
  readonly allowedOrigins: ReadonlySet<string> | null;
}

type ReadTextFile = ((path: string) => string) | undefined;

/** A secret with the variable that it comes from. */
interface Secret {
  readonly variable: string;
  readonly text: string;
}

const DEFAULT_OPERATOR = 'bearer-token-operator';

/** Throws ConfigError for the first variable that does not fit. */
export function parseAccess(environment: Environment, readTextFile: ReadTextFile): AccessConfig {
  const tokens = new TokenSet();
  const single = secretOf('CELLOS_SERVER_API_TOKEN', environment, readTextFile);
  if (single !== null) {
    const operator = valueOf(environment, 'CELLOS_SERVER_OPERATOR_ID') ?? DEFAULT_OPERATOR;
    tokens.add(single, { operator, access: 'full' });
  }
  for (const [variable, access] of [
    ['CELLOS_SERVER_API_TOKENS', 'full'],
    ['CELLOS_SERVER_READ_TOKENS', 'read'],
  ] as const) {
    const secret = secretOf(variable, environment, readTextFile);
    if (secret === null) continue;
    for (const [operator, token] of namedTokens(secret)) {
      tokens.add({ variable: secret.variable, text: token }, { operator, access });
    }
  }
  if (!tokens.list.some(({ principal }) => principal.access === 'full')) {
    throw new ConfigError(
      'CELLOS_SERVER_API_TOKEN',
      'is not set: every request needs a bearer token (CELLOS_SERVER_API_TOKENS, or the _FILE form of either, will do as well)',
    );
  }
  return { tokens: tokens.list, allowedOrigins: parseOrigins(environment) };
}

/** The text of a variable, or of the file that its _FILE form names; null when neither is set. */
function secretOf(name: string, environment: Environment, readTextFile: ReadTextFile): Secret | null {
  const text = valueOf(environment, name);
  const variable = `${name}_FILE`;
  const path = valueOf(environment, variable);
  if (path === null) return text === null ? null : { variable: name, text };
  if (text !== null) throw new ConfigError(variable, `is set beside ${name}: only one of them can be meant`);
  if (readTextFile === undefined) {
    throw new ConfigError(variable, `names a file, and there are none on this runtime: set ${name}`);
  }
  let content: string;
  try {
    content = readTextFile(path).trim();
  } catch (error) {
    const reason = (error as { code?: string }).code ?? 'unreadable';
    throw new ConfigError(variable, `names a file that cannot be read (${reason})`);
  }
  if (content === '') throw new ConfigError(variable, 'names a file that is empty');
  return { variable, text: content };
}

/** The members of a JSON object of names and tokens. */
function namedTokens({ variable, text }: Secret): [name: string, token: string][] {
  if (!isJsonObject(text)) {
    throw new ConfigError(
      variable,
      'is not a JSON object of names and tokens, as in {"alice":"…","bob":"…"}',
    );
  }
  const names = new Set<string>();
  return entriesOf(text).map(([name, value], index) => {
    if (name.trim() === '' || name.length > MAX_OPERATOR_CHARACTERS || !isPlain(name)) {
      throw new ConfigError(
        variable,
        `has a name that is empty, longer than ${MAX_OPERATOR_CHARACTERS} characters or with control characters (entry ${index + 1})`,
      );
    }
    if (names.has(name)) throw new ConfigError(variable, `has the name "${excerpt(name)}" more than once`);
    names.add(name);
    const token: unknown = JSON.parse(value);
    if (typeof token !== 'string') {
      throw new ConfigError(variable, `has something else than a text for "${excerpt(name)}"`);
    }
    if (token.trim() === '') throw new ConfigError(variable, `has an empty token for "${excerpt(name)}"`);
    return [name, token.trim()];
  });
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    // Its message would repeat the text.
    return false;
  }
}

/** No control characters, and what encoding or decoding would replace neither. */
function isPlain(text: string): boolean {
  return text.isWellFormed() && !/[\p{Cc}\u{fffd}]/u.test(text);
}

/** Collects tokens, of which each may stand for one bearer alone. */
class TokenSet {
  readonly list: AccessToken[] = [];
  readonly #bearers = new Map<string, Principal & { readonly variable: string }>();
  readonly #accesses = new Map<string, Principal['access']>();

  add({ variable, text }: Secret, principal: Principal): void {
    const { operator, access } = principal;
    if (!isPlain(text)) {
      throw new ConfigError(variable, `has a token that no header can carry, for "${excerpt(operator)}"`);
    }
    const spellings = tokenSpellings(text);
    const same = spellings
      .map((spelling) => this.#bearers.get(spelling))
      .find((bearer) => bearer !== undefined);
    if (same !== undefined) {
      // The single token on its way into the list.
      if (same.operator === operator && same.access === access) return;
      throw new ConfigError(
        variable,
        `gives "${excerpt(operator)}" the token that ${same.variable} gives "${excerpt(same.operator)}"`,
      );
    }
    const other = this.#accesses.get(operator);
    if (other !== undefined && other !== access) {
      throw new ConfigError(
        variable,
        `has the name "${excerpt(operator)}", which may write with another token: events and logs could not tell them apart`,
      );
    }
    this.#accesses.set(operator, access);
    for (const spelling of spellings) this.#bearers.set(spelling, { ...principal, variable });
    this.list.push({ token: text, principal });
  }
}

function parseOrigins(environment: Environment): ReadonlySet<string> | null {
  const variable = 'CELLOS_SERVER_ALLOWED_ORIGINS';
  const list = valueOf(environment, variable);
  if (list === null) return null;
  const origins = list
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part, at, parts) => {
      const origin = serializedOrigin(part);
      if (origin !== null) return origin;
      // Not repeated: a URL may hold somebody's password.
      throw new ConfigError(
        variable,
        `has an origin ${at + 1} of ${parts.length} that is not scheme://host or scheme://host:port, without a path or a star`,
      );
    });
  if (origins.length === 0) throw new ConfigError(variable, 'names no origin');
  return new Set(origins);
}
