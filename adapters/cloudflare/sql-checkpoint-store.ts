// A checkpoint in the SQLite of a Durable Object: one row for the head, one for each half million characters of a block.
// Rows are what is billed, and none may be larger than 2 MB.
import type {
  CheckpointBlock,
  CheckpointChange,
  CheckpointStore,
  StoredCheckpoint,
} from '../../src/ports.ts';

/** UTF-16 units in a row: at most 1.5 MiB as UTF-8. */
const PART_LENGTH = 512 * 1024;

// Without a rowid the key needs no index of its own, which would double the rows that are written.
const CREATE_TABLES = [
  'CREATE TABLE IF NOT EXISTS checkpoint_head (id INTEGER PRIMARY KEY, text TEXT NOT NULL)',
  `CREATE TABLE IF NOT EXISTS checkpoint_parts
    (block INTEGER, part INTEGER, text TEXT NOT NULL, PRIMARY KEY (block, part)) WITHOUT ROWID`,
];
const DROP_TABLES = ['DROP TABLE IF EXISTS checkpoint_head', 'DROP TABLE IF EXISTS checkpoint_parts'];

/** What is used of a Durable Object's `ctx.storage`. */
export interface SqlCheckpointStorage {
  readonly sql: {
    exec: (query: string, ...bindings: (string | number)[]) => { toArray: () => Record<string, unknown>[] };
  };
  /** Undoes what the function did when it throws. */
  transactionSync: <Result>(run: () => Result) => Result;
}

/** The checkpoint of this object. Tables are made where they are missing. */
export class SqlCheckpointStore implements CheckpointStore {
  readonly #storage: SqlCheckpointStorage;

  constructor(storage: SqlCheckpointStorage) {
    this.#storage = storage;
  }

  /** Rejects when the tables are there but are not ours. */
  async load(): Promise<StoredCheckpoint | null> {
    this.#createTables();
    const [head] = this.#exec('SELECT text FROM checkpoint_head');
    if (head === undefined) return null;
    const texts = new Map<number, string[]>();
    for (const row of this.#exec('SELECT block, part, text FROM checkpoint_parts ORDER BY block, part')) {
      const id = row['block'] as number;
      const parts = texts.get(id);
      if (parts === undefined) texts.set(id, [textOf(row)]);
      else parts.push(textOf(row));
    }
    const blocks = Array.from(texts, ([id, parts]): CheckpointBlock => ({ id, text: parts.join('') }));
    return { head: textOf(head), blocks };
  }

  async commit({ head, put, remove }: CheckpointChange): Promise<void> {
    this.#storage.transactionSync(() => {
      if (remove === 'others') {
        // Whatever tables there are.
        for (const query of [...DROP_TABLES, ...CREATE_TABLES]) this.#exec(query);
      } else {
        this.#createTables();
        for (const id of remove) this.#exec('DELETE FROM checkpoint_parts WHERE block = ?', id);
      }
      for (const { id, text } of put) {
        for (const [at, part] of splitText(text).entries()) {
          this.#exec('INSERT INTO checkpoint_parts (block, part, text) VALUES (?, ?, ?)', id, at, part);
        }
      }
      this.#exec('INSERT OR REPLACE INTO checkpoint_head (id, text) VALUES (1, ?)', head);
    });
  }

  #createTables(): void {
    for (const query of CREATE_TABLES) this.#exec(query);
  }

  #exec(query: string, ...bindings: (string | number)[]): Record<string, unknown>[] {
    return this.#storage.sql.exec(query, ...bindings).toArray();
  }
}

function textOf(row: Record<string, unknown>): string {
  const text = row['text'];
  if (typeof text !== 'string') throw new TypeError('a row of the checkpoint holds no text');
  return text;
}

/** Pieces of at most PART_LENGTH, none of them beginning or ending within a surrogate pair. */
function splitText(text: string): string[] {
  const parts: string[] = [];
  let from = 0;
  do {
    let to = Math.min(from + PART_LENGTH, text.length);
    if (to < text.length && (text.charCodeAt(to) & 0xfc00) === 0xdc00) to--;
    parts.push(text.slice(from, to));
    from = to;
  } while (from < text.length);
  return parts;
}
