// The bearer token of this checkout's server: the one in the environment, else one that is made once and kept.
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { DATA_DIRECTORY } from './project.mjs';

const TOKEN_FILE = join(DATA_DIRECTORY, 'token');
const TOKEN_BYTES = 24;
const OWNER_ONLY = 0o600;

/**
 * For the server: CELLOS_SERVER_API_TOKEN, else the kept token, which is made when there is none.
 * @returns {Promise<{ token: string, kept: boolean }>} `kept` when it is the one in .cellos/token.
 */
export async function ensureToken() {
  const named = tokenFromEnvironment();
  if (named) return { token: named, kept: false };
  const found = await readKeptToken();
  if (found) {
    // Also when somebody's backup or editor made it readable for others.
    await chmod(TOKEN_FILE, OWNER_ONLY);
    return { token: found, kept: true };
  }
  // Hexadecimal, so that a double click in a terminal selects all of it and no option parser sees a leading hyphen.
  const token = randomBytes(TOKEN_BYTES).toString('hex');
  await mkdir(DATA_DIRECTORY, { recursive: true });
  await writeFile(TOKEN_FILE, `${token}\n`, { mode: OWNER_ONLY });
  await chmod(TOKEN_FILE, OWNER_ONLY);
  return { token, kept: true };
}

/** For clients: the same token, or undefined when neither the environment nor a run before has one. */
export async function findToken() {
  return tokenFromEnvironment() ?? (await readKeptToken());
}

function tokenFromEnvironment() {
  const token = process.env['CELLOS_SERVER_API_TOKEN'];
  // Blank is unset: the server would refuse to start with it.
  return token?.trim() ? token : undefined;
}

async function readKeptToken() {
  const text = await readFile(TOKEN_FILE, 'utf8').catch(() => '');
  return text.trim() || undefined;
}
