// The bearer token of this checkout's server: the one that the environment has or names a file of, else one that is made once and kept.
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { DATA_DIRECTORY, shown } from './project.mjs';

const TOKEN_FILE = join(DATA_DIRECTORY, 'token');
const TOKEN_BYTES = 24;
const OWNER_ONLY = 0o600;

const VARIABLE = 'CELLOS_SERVER_API_TOKEN';

/**
 * For the server: CELLOS_SERVER_API_TOKEN or its file, else the kept token, which is made when there is none.
 * @returns {Promise<{ token: string, kept: boolean, source: string }>} `kept` when it is the one that scripts of this checkout find.
 */
export async function ensureToken() {
  const named = await tokenFromEnvironment();
  if (named) return { ...named, kept: false };
  const source = `kept in ${shown(TOKEN_FILE)}`;
  const found = await readKeptToken();
  if (found) {
    // Also when somebody's backup or editor made it readable for others.
    await chmod(TOKEN_FILE, OWNER_ONLY);
    return { token: found, kept: true, source };
  }
  // Hexadecimal, so that a double click in a terminal selects all of it and no option parser sees a leading hyphen.
  const token = randomBytes(TOKEN_BYTES).toString('hex');
  await mkdir(DATA_DIRECTORY, { recursive: true });
  await writeFile(TOKEN_FILE, `${token}\n`, { mode: OWNER_ONLY });
  await chmod(TOKEN_FILE, OWNER_ONLY);
  return { token, kept: true, source };
}

/** For clients: the same token, or undefined when neither the environment nor a run before has one. */
export async function findToken() {
  return (await tokenFromEnvironment())?.token ?? (await readKeptToken());
}

async function tokenFromEnvironment() {
  // Blank is unset: the server would refuse to start with it.
  const token = process.env[VARIABLE];
  if (token?.trim()) return { token, source: `from ${VARIABLE}` };
  const file = process.env[`${VARIABLE}_FILE`];
  if (!file?.trim()) return undefined;
  const text = await readFile(file, 'utf8').catch((error) => {
    throw new Error(`${VARIABLE}_FILE names a file that cannot be read (${error.code}).`);
  });
  return { token: text.trim(), source: `from the file that ${VARIABLE}_FILE names` };
}

async function readKeptToken() {
  const text = await readFile(TOKEN_FILE, 'utf8').catch(() => '');
  return text.trim() || undefined;
}
