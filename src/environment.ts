// The environment as text, and what a variable that cannot work is told as: what all parts of the configuration need.

/** A variable that keeps the server from starting. The message begins with its name and never repeats a secret. */
export class ConfigError extends Error {
  readonly variable: string;

  constructor(variable: string, message: string) {
    super(`${variable} ${message}`);
    this.name = 'ConfigError';
    this.variable = variable;
  }
}

/** The variables that the server was started with. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A variable's text without the white space around it; null when it is unset or blank, which is the same. */
export function valueOf(environment: Environment, variable: string): string | null {
  const text = environment[variable]?.trim();
  return text === undefined || text === '' ? null : text;
}
