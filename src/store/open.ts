/** Opening the store: one writer at a time, any number of readers. */
import { existsSync } from 'node:fs';
import { CompiledQuery, Kysely, Migrator, type SqliteDatabase, SqliteDialect, sql } from 'kysely';
import Database from 'libsql';
import type { Entry } from '../core/model.ts';
import { createCache } from './cache.ts';
import { causeFacts } from './causes.ts';
import { countFacts } from './counts.ts';
import { StoreError } from './error.ts';
import { assertOwn, lockFor, realFile } from './file.ts';
import { journalFacts } from './journal.ts';
import { kernelFacts } from './kernels.ts';
import { migrationProvider } from './migrations.ts';
import { outbox } from './outbox.ts';
import { overviewFacts } from './overview.ts';
import { peopleFacts } from './people.ts';
import { pruning } from './prune.ts';
import { createRecorder } from './record.ts';
import { runReader } from './run.ts';
import { runFacts } from './runs.ts';
import type { Tables } from './schema.ts';
import type { Store } from './store.ts';
import { summaryFacts } from './summaries.ts';
import { symbolFacts } from './symbols.ts';
import { waiverDbFacts } from './waiverdb.ts';
import { writeFacts } from './writes.ts';

export interface StoreOptions {
  /**
   * `write`: for the gate, one process at a time. For commands beside a running gate, on a file that is there:
   * `read`, and `append`, which adds what a person says.
   */
  readonly mode: 'read' | 'append' | 'write';
  /**
   * URL of the hub that the store must be of: builds, tags and tasks of another hub have the same numbers. A writer makes a
   * store that has none yet one of this hub.
   */
  readonly hub?: string;
  /** For a writer: the URL that the same hub had before, where the store knows it by that. */
  readonly movedFrom?: string;
  /** Called with each journal line once it is on disk. */
  readonly onEntry?: (entry: Entry) => void;
}

/**
 * Open the store and bring its tables up to date.
 * @param url `sqlite:PATH`, or `sqlite::memory:`
 * @throws StoreError when there is none to read, another process writes to it, or it is of another hub
 */
export async function openStore(url: string, options: StoreOptions): Promise<Store> {
  const path = url.replace(/^sqlite:/, '');
  try {
    return await openFile(path === IN_MEMORY ? path : realFile(path), options);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new StoreError(`${path}: cannot be used as a store (${why}); see store.url in the configuration`, {
      cause: error,
    });
  }
}

const IN_MEMORY = ':memory:';

async function openFile(file: string, options: StoreOptions): Promise<Store> {
  const inMemory = file === IN_MEMORY;
  const writes = options.mode === 'write';
  if (!writes && !inMemory && !existsSync(file)) {
    throw new StoreError(`${file}: no such store; has "kmod-gate run" been started with this configuration?`);
  }
  if (!inMemory) assertOwn(file);
  const lock = writes && !inMemory ? lockFor(file) : undefined;
  let db: Kysely<Tables> | undefined;
  try {
    db = connect(file, options.mode);
    return await openTables(db, file, options, lock);
  } catch (error) {
    await db?.destroy();
    lock?.close();
    throw error;
  }
}

/** The store in a database, of which nothing is known yet. */
async function openTables(
  db: Kysely<Tables>,
  file: string,
  options: StoreOptions,
  lock: Database.Database | undefined,
): Promise<Store> {
  const writes = options.mode === 'write';
  if (writes) await bringUpToDate(db, file, options);
  const { id } = await db.selectFrom('installation').select('id').executeTakeFirstOrThrow();
  if (!writes) await assertUpToDate(db, file);
  const hub = await knownHub(db);
  if (options.hub !== undefined && hub !== null) assertSameHub(file, hub, hubUrl(options.hub));
  const release = async () => {
    // All in one file again, for whoever copies it.
    if (writes) await sql`PRAGMA wal_checkpoint(TRUNCATE)`.execute(db);
    await db.destroy();
    lock?.close();
  };
  // SQLite counts what other connections have committed. In its turn: it must not be the first read of a transaction.
  const dataVersion = CompiledQuery.raw('PRAGMA data_version') as CompiledQuery<{ data_version: number }>;
  const version = async () =>
    file === IN_MEMORY ? 0 : (await db.executeQuery(dataVersion)).rows[0]?.data_version;
  return storeOver(db, { installation: id, hub }, version, options.onEntry ?? (() => {}), release);
}

/**
 * The store over an open database.
 * @param version another value whenever another process has written to it
 * @param onEntry hears each journal line once it is on disk
 * @param close lets the database go
 */
export function storeOver(
  db: Kysely<Tables>,
  identity: Pick<Store, 'installation' | 'hub'>,
  version: () => Promise<unknown>,
  onEntry: (entry: Entry) => void,
  close: () => Promise<void>,
): Store {
  const cache = createCache(runReader(db), version);
  const base = { db, cache, record: createRecorder(db, cache, onEntry) };
  const runs = runFacts(base);
  return {
    ...identity,
    ...kernelFacts(base),
    ...runs,
    ...pruning(base, runs),
    ...writeFacts(base),
    ...summaryFacts(base),
    ...overviewFacts(base),
    ...countFacts(base),
    ...symbolFacts(base),
    ...causeFacts(base),
    ...peopleFacts(base),
    ...waiverDbFacts(base),
    ...journalFacts(base),
    ...outbox(base),
    close,
  };
}

/**
 * Open a store beside a running gate for as long as `work` takes.
 * @param hub the configured hub's URL, where what is said is meant for the kernels of that hub alone
 * @throws StoreError as `openStore` does
 */
export async function withStore<T>(
  url: string,
  mode: 'read' | 'append',
  work: (store: Store) => Promise<T>,
  hub?: string,
): Promise<T> {
  const store = await openStore(url, { mode, ...(hub !== undefined && { hub }) });
  try {
    return await work(store);
  } finally {
    await store.close();
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

/** A reader makes no tables. */
async function assertUpToDate(db: Kysely<Tables>, path: string): Promise<void> {
  const known = await new Migrator({ db, provider: migrationProvider }).getMigrations();
  if (known.every(({ executedAt }) => executedAt)) return;
  throw new StoreError(`${path}: of an older kmod-gate; "kmod-gate run" brings it up to date`);
}

/**
 * Make or migrate the tables; a new store gets its id and its hub. All of it or nothing: kysely migrates SQLite without a
 * transaction, and a process that is killed half-way would leave tables that no later start can go on from.
 */
async function bringUpToDate(db: Kysely<Tables>, file: string, options: StoreOptions): Promise<void> {
  await sql`BEGIN IMMEDIATE`.execute(db);
  try {
    const { error } = await new Migrator({ db, provider: migrationProvider }).migrateToLatest();
    if (error) throw error;
    const known = await db.selectFrom('installation').select('id').executeTakeFirst();
    if (!known) await db.insertInto('installation').values({ id: crypto.randomUUID() }).execute();
    await bindToHub(db, file, options);
    await sql`COMMIT`.execute(db);
  } catch (error) {
    // Of a full disk SQLite may have thought so itself.
    await sql`ROLLBACK`.execute(db).catch(() => {});
    throw error;
  }
}

async function bindToHub(
  db: Kysely<Tables>,
  file: string,
  { hub, movedFrom }: Pick<StoreOptions, 'hub' | 'movedFrom'>,
): Promise<void> {
  if (hub === undefined) return;
  const [known, url] = [await knownHub(db), hubUrl(hub)];
  if (known === url) return;
  const moved = movedFrom !== undefined && known === hubUrl(movedFrom);
  if (known !== null && !moved) assertSameHub(file, known, url);
  await db.insertInto('hub').values({ url }).execute();
}

/** The hub that a store is of, as it was told last. */
async function knownHub(db: Kysely<Tables>): Promise<string | null> {
  const last = await db.selectFrom('hub').select('url').orderBy('seq', 'desc').executeTakeFirst();
  return last?.url ?? null;
}

function assertSameHub(file: string, known: string, url: string): void {
  if (known === url) return;
  throw new StoreError(
    `${file}: a store of the hub ${known}, and the configuration names ${url}; use another store.url, or, where the hub itself moved, start once "kmod-gate run --moved-from ${known}"`,
  );
}

/**
 * A hub's URL in the one form by which stores know it: no user, no password, no port that goes without saying, no slash at
 * the end.
 */
export function hubUrl(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname.replace(/\/+$/, '')}`;
}
