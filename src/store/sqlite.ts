/** A store in a file of SQLite, or in memory: one writer at a time, by SQLite's own lock. */
import { existsSync } from 'node:fs';
import { CompiledQuery, Kysely, type SqliteDatabase, SqliteDialect, sql } from 'kysely';
import Database from 'libsql';
import { StoreError } from './error.ts';
import { assertOwn, lockFor, realFile } from './file.ts';
import { soleLease } from './lease.ts';
import type { Connected } from './open.ts';
import type { Tables } from './schema.ts';

const IN_MEMORY = ':memory:';
const pathOf = (url: string): string => url.replace(/^sqlite:/, '');

/**
 * Open a file, which may hold nothing yet.
 * @param mode as of `openStore`
 * @throws StoreError when there is none to read, it is another program's, or another process writes to it
 */
export async function connectSqlite(url: string, mode: 'read' | 'append' | 'write'): Promise<Connected> {
  const name = pathOf(url);
  const inMemory = name === IN_MEMORY;
  const file = inMemory ? name : realFile(name);
  const writes = mode === 'write';
  if (!writes && !inMemory && !existsSync(file)) {
    throw new StoreError(`${file}: no such store; has "kmod-gate run" been started with this configuration?`);
  }
  if (!inMemory) assertOwn(file);
  const lock = writes && !inMemory ? lockFor(file) : undefined;
  try {
    const db = connect(file, mode);
    return {
      ...{ db, name: file },
      alone: (work) => alone(db, work),
      lease: soleLease,
      // Its lock has no other holder for as long as the process lives.
      fenced: () => db,
      // SQLite counts what other connections have committed. In its turn: it must not be the first read of a transaction.
      version: async () => (inMemory ? 0 : (await db.executeQuery(DATA_VERSION)).rows[0]?.data_version),
      async close() {
        // All in one file again, for whoever copies it.
        if (writes) await sql`PRAGMA wal_checkpoint(TRUNCATE)`.execute(db);
        await db.destroy();
        lock?.close();
      },
    };
  } catch (error) {
    lock?.close();
    throw error;
  }
}

const DATA_VERSION = CompiledQuery.raw('PRAGMA data_version') as CompiledQuery<{ data_version: number }>;

/** An error of the file as one that people can do something about. */
export function explainSqlite(url: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new StoreError(
    `${pathOf(url)}: cannot be used as a store (${why}); see store.url in the configuration`,
    { cause: error },
  );
}

/** All or nothing: kysely migrates SQLite without a transaction. */
async function alone(db: Kysely<Tables>, work: (db: Kysely<Tables>) => Promise<void>): Promise<void> {
  await sql`BEGIN IMMEDIATE`.execute(db);
  try {
    await work(db);
    await sql`COMMIT`.execute(db);
  } catch (error) {
    // Of a full disk SQLite may have thought so itself.
    await sql`ROLLBACK`.execute(db).catch(() => {});
    throw error;
  }
}

function connect(path: string, mode: 'read' | 'append' | 'write'): Kysely<Tables> {
  const database = new Database(path);
  database.exec('PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON');
  if (mode === 'write') database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  else if (mode === 'append') database.exec('PRAGMA synchronous = FULL');
  else database.exec('PRAGMA query_only = ON');
  return new Kysely<Tables>({ dialect: new SqliteDialect({ database: withStatements(database) }) });
}

/** Kysely prepares a statement for each query; those that are asked again and again are prepared once. */
function withStatements(database: Database.Database): SqliteDatabase {
  const prepared = new Map<string, Database.Statement>();
  const prepare = (query: string) => {
    const known = prepared.get(query);
    if (known) return known;
    if (prepared.size >= STATEMENTS) prepared.clear();
    const statement = database.prepare(query);
    prepared.set(query, statement);
    return statement;
  };
  // libsql has the interface of better-sqlite3, which kysely expects.
  return { prepare, close: () => database.close() } as unknown as SqliteDatabase;
}

/** Far more than there are queries, but for lists of many lengths. */
const STATEMENTS = 500;
