/** Opening the store: one writer at a time, any number of readers. */
import { existsSync } from 'node:fs';
import { CompiledQuery, Kysely, Migrator, type SqliteDatabase, SqliteDialect, sql } from 'kysely';
import Database from 'libsql';
import type { Entry } from '../core/model.ts';
import { StoreError } from './error.ts';
import { migrationProvider, type Tables } from './schema.ts';
import { type Store, storeOver } from './store.ts';

export interface StoreOptions {
  /**
   * `write`: for the gate, one process at a time. For commands beside a running gate, on a file that is there:
   * `read`, and `append`, which adds what a person says.
   */
  readonly mode: 'read' | 'append' | 'write';
  /** Called with each journal line once it is on disk. */
  readonly onEntry?: (entry: Entry) => void;
}

/**
 * Open the store and bring its tables up to date.
 * @param url `sqlite:PATH`, or `sqlite::memory:`
 * @throws StoreError when there is none to read, or another process writes to it
 */
export async function openStore(url: string, options: StoreOptions): Promise<Store> {
  const path = url.replace(/^sqlite:/, '');
  const inMemory = path === ':memory:';
  const writes = options.mode === 'write';
  if (!writes && !inMemory && !existsSync(path)) {
    throw new StoreError(`${path}: no such store; has "kmod-gate run" been started with this configuration?`);
  }
  let lock: Database.Database | undefined;
  try {
    assertOwn(path);
    lock = writes && !inMemory ? lockFor(path) : undefined;
    const db = connect(path, options.mode);
    if (writes) await bringUpToDate(db);
    const { id } = await db.selectFrom('installation').select('id').executeTakeFirstOrThrow();
    if (!writes) await assertUpToDate(db, path);
    const release = async () => {
      // All in one file again, for whoever copies it.
      if (writes) await sql`PRAGMA wal_checkpoint(TRUNCATE)`.execute(db);
      await db.destroy();
      lock?.close();
    };
    // SQLite counts what other connections have committed. In its turn: it must not be the first read of a transaction.
    const dataVersion = CompiledQuery.raw('PRAGMA data_version') as CompiledQuery<{ data_version: number }>;
    const version = async () => (inMemory ? 0 : (await db.executeQuery(dataVersion)).rows[0]?.data_version);
    return storeOver(db, id, version, options.onEntry ?? (() => {}), release);
  } catch (error) {
    lock?.close();
    if (error instanceof StoreError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new StoreError(`${path}: cannot be used as a store (${why}); see store.url in the configuration`, {
      cause: error,
    });
  }
}

/** Open a store beside a running gate for as long as `work` takes. Throws StoreError as `openStore` does. */
export async function withStore<T>(
  url: string,
  mode: 'read' | 'append',
  work: (store: Store) => Promise<T>,
): Promise<T> {
  const store = await openStore(url, { mode });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** Another program's database is left as it is: nothing is written before this. */
function assertOwn(path: string): void {
  if (path === ':memory:' || !existsSync(path)) return;
  const database = new Database(path);
  try {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    const names = tables.map((table) => (table as { name: string }).name);
    if (names.length > 0 && !names.includes('installation'))
      throw new StoreError(`${path}: another program's database; name another file in store.url`);
  } finally {
    database.close();
  }
}

function connect(path: string, mode: StoreOptions['mode']): Kysely<Tables> {
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

/**
 * A transaction that stays open in a file beside the store: SQLite's own lock, which the system takes away
 * when the process dies, however it dies.
 */
function lockFor(path: string): Database.Database {
  const lock = new Database(`${path}.lock`);
  try {
    lock.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    if (!/locked|busy/i.test(String(error))) throw error;
    const what = 'another kmod-gate uses this store; stop it first, or name another store.url';
    throw new StoreError(`${path}: ${what}`, { cause: error });
  }
}

/** A reader makes no tables. */
async function assertUpToDate(db: Kysely<Tables>, path: string): Promise<void> {
  const known = await new Migrator({ db, provider: migrationProvider }).getMigrations();
  if (known.every(({ executedAt }) => executedAt)) return;
  throw new StoreError(`${path}: of an older kmod-gate; "kmod-gate run" brings it up to date`);
}

/**
 * Make or migrate the tables; a new store gets its id. All of it or nothing: kysely migrates SQLite without a transaction,
 * and a process that is killed half-way would leave tables that no later start can go on from.
 */
async function bringUpToDate(db: Kysely<Tables>): Promise<void> {
  await sql`BEGIN IMMEDIATE`.execute(db);
  try {
    const { error } = await new Migrator({ db, provider: migrationProvider }).migrateToLatest();
    if (error) throw error;
    const known = await db.selectFrom('installation').select('id').executeTakeFirst();
    if (!known) await db.insertInto('installation').values({ id: crypto.randomUUID() }).execute();
    await sql`COMMIT`.execute(db);
  } catch (error) {
    // Of a full disk SQLite may have thought so itself.
    await sql`ROLLBACK`.execute(db).catch(() => {});
    throw error;
  }
}
