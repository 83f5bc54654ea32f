// The environment of a Worker as a checked configuration. There is no process that could refuse to start: what is missing is
// logged, and every request is answered with a 500 that does not say what it is.
import { type Config, ConfigError, logConfigError, parseConfig } from '../../src/config.ts';
import { problemResponse } from '../../src/http.ts';
import { createLogger } from '../../src/logger.ts';
import type { Log } from '../../src/ports.ts';
import { ProblemError } from '../../src/problems.ts';
import { importSignatures, type Signatures } from '../../src/signatures.ts';
import type { WorkerEnvironment } from './runtime.ts';

export interface Settings {
  readonly config: Config;
  readonly logger: Log;
  /** Writes a line of the log. */
  readonly writeLine: (line: string) => void;
  readonly gitSha: string | null;
}

const writeLine = (line: string) => console.log(line);

/** The configuration, or null when the server cannot work with it; each call says why in the log. */
export function readSettings(environment: WorkerEnvironment): Settings | null {
  const variables: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    // A variable of wrangler.toml may be a number or a boolean, and a table where we want JSON. Bindings are objects too.
    if (value === undefined || value === null) continue;
    if (typeof value !== 'object') variables[name] = String(value);
    else if (name.startsWith('CELLOS_')) variables[name] = JSON.stringify(value);
  }
  try {
    const config = parseConfig(variables, { tcp: false, brokerRequired: true, ownCheckpoint: true });
    const gitSha = variables['CELLOS_SERVER_GIT_SHA'] || null;
    return { config, logger: createLogger(config.logLevel, writeLine), writeLine, gitSha };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    logConfigError(error, variables, writeLine);
    return null;
  }
}

/** The keys of a configuration, or null when this runtime does not take one of them; the log says why. */
export async function readSignatures({ config }: Settings): Promise<Signatures | null> {
  try {
    return await importSignatures(config.signatures);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    logConfigError(error, { LOG_LEVEL: config.logLevel }, writeLine);
    return null;
  }
}

/** The answer to every request while there is no configuration to work with. */
export function misconfigured(): Response {
  return problemResponse(
    new ProblemError('internal', 'the server is not configured; its log names the variable'),
  );
}
