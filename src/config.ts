// The CELLOS_* environment as one checked value (contract, section 8). What a runtime can do, such as reading a file or
// speaking TCP to the broker, is handed in; messages name the variable and what it should be.
import { type AccessConfig, parseAccess } from './access-config.ts';
import { ConfigError, type Environment, valueOf } from './environment.ts';
import { MAX_CONFIGURED_RING_BYTES, MAX_CONFIGURED_SESSIONS, MAX_SESSIONS } from './limits.ts';
import { createLogger, type LogLevel, parseLogLevel } from './logger.ts';
import { percentDecode } from './query.ts';
import { parseSignatures, type SignatureConfig } from './signature-config.ts';
import { excerpt } from './text.ts';

export { ConfigError, type Environment };

export interface BrokerConfig {
  readonly transport: 'websocket' | 'tcp';
  /** Without user information. */
  readonly servers: readonly string[];
  readonly user: string | null;
  readonly password: string | null;
  readonly token: string | null;
  /** The text of a credentials file. */
  readonly credentials: string | null;
}

export interface Config {
  readonly bind: { readonly host: string; readonly port: number };
  readonly broker: BrokerConfig;
  readonly replicas: number;
  readonly access: AccessConfig;
  readonly skipReplay: boolean;
  /** Which keys verify events, and which one signs ours. */
  readonly signatures: SignatureConfig;
  readonly checkpoint: CheckpointConfig;
  /** Open sessions of the feed. */
  readonly maxSessions: number;
  /** Recent frames kept in memory, in bytes; null for what suits the runtime. */
  readonly ringBytes: number | null;
  /** How long a server that can be started again at any time stays without requests and sessions. */
  readonly idleMs: number;
  readonly logLevel: LogLevel;
}

/** Where the view is kept over restarts; `own` is where the runtime has a place for it anyway. */
export type CheckpointConfig =
  | { readonly kind: 'own' | 'nats' | 'off' }
  | { readonly kind: 'file'; readonly directory: string };

export interface ConfigCapabilities {
  /** Whether nats:// and tls:// can be spoken. */
  readonly tcp: boolean;
  /** Whether there is no broker that could be meant by default. */
  readonly brokerRequired?: boolean;
  /** Whether the runtime itself keeps the checkpoint, unless told not to. */
  readonly ownCheckpoint?: boolean;
  /** Absent where there is no file system; throws when the file cannot be read. */
  readonly readTextFile?: (path: string) => string;
}

/** Tells the operator which variable it is, also where the log is switched off. */
export function logConfigError(
  { message, variable }: ConfigError,
  environment: Environment,
  writeLine: (line: string) => void,
): void {
  const level = logLevelOf(environment);
  createLogger(level === 'off' ? 'error' : level, writeLine).error(message, { variable });
}

/** Throws ConfigError for the first variable that does not fit. */
export function parseConfig(environment: Environment, capabilities: ConfigCapabilities): Config {
  const value = (name: string) => valueOf(environment, name);
  const access = parseAccess(environment, capabilities.readTextFile);
  const whole = (name: string, min: number, max: number) => parseWhole(name, value(name), min, max);
  const skip = value('CELLOS_SERVER_SKIP_REPLAY');
  const broker = value('CELLOS_NATS_URL') ?? (capabilities.brokerRequired ? null : 'ws://127.0.0.1:9222');
  if (broker === null) throw brokerError("is not set: it names the broker's websocket listener");
  const signatures = parseSignatures(value, capabilities.readTextFile);
  return {
    bind: parseBind(value('CELLOS_SERVER_BIND') ?? '127.0.0.1:8080'),
    broker: parseBroker(broker, value('CELLOS_NATS_CREDS'), capabilities),
    replicas: parseReplicas(value('CELLOS_STREAM_REPLICAS') ?? '1'),
    access,
    skipReplay: skip === '1' || skip === 'true',
    signatures,
    checkpoint: parseCheckpoint(value('CELLOS_SERVER_CHECKPOINT'), capabilities),
    maxSessions: whole('CELLOS_SERVER_MAX_SESSIONS', 1, MAX_CONFIGURED_SESSIONS) ?? MAX_SESSIONS,
    ringBytes: whole('CELLOS_SERVER_FEED_RING_BYTES', 0, MAX_CONFIGURED_RING_BYTES),
    idleMs: (whole('CELLOS_SERVER_IDLE_SECONDS', 1, 99_999) ?? 30) * 1000,
    logLevel: logLevelOf(environment),
  };
}

function logLevelOf(environment: Environment): LogLevel {
  return parseLogLevel(environment['RUST_LOG'] || environment['LOG_LEVEL']);
}

function parseBind(text: string): Config['bind'] {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/i.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new ConfigError('CELLOS_SERVER_BIND', `is not host:port, as in 127.0.0.1:8080: "${text}"`);
  }
  return { host: (match[1] ?? match[2]) as string, port };
}

function parseReplicas(text: string): number {
  if (!/^[1-5]$/.test(text)) throw new ConfigError('CELLOS_STREAM_REPLICAS', `is not 1 to 5: "${text}"`);
  return Number(text);
}

/** Null when it is not set. */
function parseWhole(variable: string, text: string | null, min: number, max: number): number | null {
  if (text === null) return null;
  const number = /^(?:0|[1-9]\d{0,11})$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw new ConfigError(variable, `is not a whole number from ${min} to ${max}: "${excerpt(text)}"`);
}

function parseCheckpoint(
  text: string | null,
  { ownCheckpoint = false }: ConfigCapabilities,
): CheckpointConfig {
  if (text === null) return { kind: ownCheckpoint ? 'own' : 'off' };
  if (text === 'off') return { kind: 'off' };
  if (ownCheckpoint) {
    throw new ConfigError(
      'CELLOS_SERVER_CHECKPOINT',
      `is not off: this runtime keeps the checkpoint itself: "${excerpt(text)}"`,
    );
  }
  if (text === 'nats') return { kind: 'nats' };
  const directory = /^file:(.+)$/.exec(text)?.[1];
  if (directory !== undefined) return { kind: 'file', directory };
  throw new ConfigError('CELLOS_SERVER_CHECKPOINT', `is not file:DIR, nats or off: "${excerpt(text)}"`);
}

const TRANSPORTS: Readonly<Record<string, BrokerConfig['transport']>> = {
  'ws:': 'websocket',
  'wss:': 'websocket',
  'nats:': 'tcp',
  'tls:': 'tcp',
};

function brokerError(message: string): ConfigError {
  return new ConfigError('CELLOS_NATS_URL', message);
}

function parseBroker(
  text: string,
  credentials: string | null,
  { tcp, readTextFile }: ConfigCapabilities,
): BrokerConfig {
  const urls = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      // The text may hold a password, so it is not repeated.
      if (!URL.canParse(part)) throw brokerError('is not a URL, as in ws://127.0.0.1:9222');
      return new URL(part);
    });
  const transports = new Set(urls.map((url) => TRANSPORTS[url.protocol]));
  const [transport] = transports;
  const schemes = tcp ? 'ws://, wss://, nats:// or tls://' : 'ws:// or wss://';
  if (urls.length === 0 || transports.has(undefined) || transport === undefined) {
    throw brokerError(`is not ${schemes}`);
  }
  if (transports.size > 1) throw brokerError('mixes ws:// or wss:// with nats:// or tls://');
  if (transport === 'tcp' && !tcp) {
    throw brokerError(
      `is not ${schemes}: this runtime reaches the broker through its websocket listener only`,
    );
  }
  const first = urls.find((url) => url.username !== '');
  if (urls.some((url) => url.username === '' && url.password !== '')) {
    throw brokerError('has a password without a user');
  }
  const user = userInformation(first?.username);
  const password = userInformation(first?.password);
  return {
    transport,
    servers: urls.map(
      (url) => `${url.protocol}//${url.host}${url.pathname === '/' ? '' : url.pathname}${url.search}`,
    ),
    user: password === null ? null : user,
    password,
    // A single name before the @ is a token, as for every NATS client.
    token: password === null ? user : null,
    credentials: credentials === null ? null : readCredentials(credentials, readTextFile),
  };
}

function userInformation(text = ''): string | null {
  if (text === '') return null;
  const decoded = percentDecode(text);
  if (decoded === null) throw brokerError('has a user or password that is not UTF-8');
  return decoded;
}

function readCredentials(text: string, readTextFile: ConfigCapabilities['readTextFile']): string {
  const variable = 'CELLOS_NATS_CREDS';
  let credentials = text;
  if (!text.includes('-----BEGIN')) {
    if (readTextFile === undefined) throw new ConfigError(variable, 'is not the text of a credentials file');
    try {
      credentials = readTextFile(text);
    } catch (error) {
      // It may be a seed by itself, so it is not repeated.
      const reason = (error as { code?: string }).code ?? 'unreadable';
      throw new ConfigError(variable, `is neither a credentials file's text nor the path of one (${reason})`);
    }
  }
  if (!/-----BEGIN NATS USER JWT-----[\s\S]*-----BEGIN USER NKEY SEED-----/.test(credentials)) {
    throw new ConfigError(variable, 'holds no user JWT and seed');
  }
  // The client wants a line feed behind the last line, which a variable or an editor may have lost.
  return `${credentials}\n`;
}
