// JSON log lines, one object each, and the level from RUST_LOG or LOG_LEVEL. Where a line goes is the adapter's choice.
import type { Log } from './ports.ts';

const LEVELS = ['debug', 'info', 'warn', 'error', 'off'] as const;

export type LogLevel = (typeof LEVELS)[number];

const DEFAULT_LEVEL: LogLevel = 'info';

/**
 * The level that a filter such as `warn` or `info,cellos_server=debug` asks for: the most talkative of its directives, since
 * there is one target here. Unknown words count as the default.
 */
export function parseLogLevel(filter: string | undefined): LogLevel {
  const named = (filter ?? '')
    .split(',')
    .map((directive) => (directive.split('=').at(-1) as string).trim().toLowerCase())
    .map((word) => (word === 'trace' ? 'debug' : word === 'warning' ? 'warn' : word))
    .filter((word): word is LogLevel => (LEVELS as readonly string[]).includes(word));
  if (named.length === 0) return DEFAULT_LEVEL;
  return LEVELS.find((level) => named.includes(level)) ?? DEFAULT_LEVEL;
}

/** Whether a line of that level is written when the log has this one. */
export function isLogged(name: LogLevel, level: LogLevel): boolean {
  return LEVELS.indexOf(name) >= LEVELS.indexOf(level);
}

/** A log that hands each line, without its line feed, to `write`. */
export function createLogger(level: LogLevel, write: (line: string) => void): Log {
  const at = (name: LogLevel) => {
    if (!isLogged(name, level)) return () => {};
    return (message: string, fields: Readonly<Record<string, unknown>> = {}) =>
      write(JSON.stringify({ time: new Date().toISOString(), level: name, message, ...fields }));
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
