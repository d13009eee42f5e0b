/** Opening the store: one writer at a time, any number of readers. */
import { type Kysely, Migrator } from 'kysely';
import type { Entry } from '../core/model.ts';
import { isPostgresUrl } from './address.ts';
import { createCache, type RunCache } from './cache.ts';
import { causeFacts } from './causes.ts';
import { countFacts } from './counts.ts';
import { StoreError } from './error.ts';
import { journalFacts } from './journal.ts';
import { kernelFacts } from './kernels.ts';
import type { Lease, Term } from './lease.ts';
import { migrationProvider } from './migrations.ts';
import { outbox } from './outbox.ts';
import { overviewFacts } from './overview.ts';
import { peopleFacts } from './people.ts';
import { connectPostgres, explainPostgres, isLost } from './postgres.ts';
import { pruning } from './prune.ts';
import { createRecorder } from './record.ts';
import { runReader } from './run.ts';
import { runFacts } from './runs.ts';
import type { Tables } from './schema.ts';
import { connectSqlite, explainSqlite } from './sqlite.ts';
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
  /** File with the password for PostgreSQL, instead of one in the URL. */
  readonly passwordFile?: string;
  /** Called with each journal line once it is on disk. */
  readonly onEntry?: (entry: Entry) => void;
}

/** An open database, of which nothing is known yet. */
export interface Connected {
  readonly db: Kysely<Tables>;
  /** What it is called in messages. */
  readonly name: string;
  /** The schema that has the tables, where there are schemas. */
  readonly schema?: string;
  /** Do all of something or nothing, while nobody else makes tables. */
  alone(work: (db: Kysely<Tables>) => Promise<void>): Promise<void>;
  /** Another value whenever another process has written to it; with `byFact` it is the number of the newest fact. */
  version(): Promise<unknown>;
  readonly byFact?: boolean;
  /** Who acts on it. */
  lease(): Lease;
  /** The database for who holds the lease by this token: once another has it, nothing is written any more. */
  fenced(token: number): Kysely<Tables>;
  close(): Promise<void>;
}

/** Where a store is, as the configuration says it. */
export interface StoreAt {
  readonly url: string;
  readonly password_file?: string;
}

/** A store as a gate has it: it may have to share it. */
export interface GateStore {
  readonly store: Store;
  readonly lease: Lease;
  /** The store for what acts in a term: it throws LeaseError once another gate acts. */
  inTerm(term: Term): Store;
}

/**
 * Open the store and bring its tables up to date.
 * @param url `sqlite:PATH`, `sqlite::memory:`, or `postgres://USER@HOST/DATABASE`
 * @throws StoreError when there is none to read, another process writes to it, or it is of another hub
 */
export async function openStore(url: string, options: StoreOptions): Promise<Store> {
  return (await openAny(url, options)).store;
}

/**
 * The same for a gate.
 * @throws StoreError
 */
export function openGateStore(url: string, options: Omit<StoreOptions, 'mode'>): Promise<GateStore> {
  return openAny(url, { ...options, mode: 'write' });
}

async function openAny(url: string, options: StoreOptions): Promise<GateStore> {
  const database = await connect(url, options.mode, options.passwordFile);
  try {
    return await openTables(database, options);
  } catch (error) {
    await database.close().catch(() => {});
    throw explain(url, error);
  }
}

/** @throws StoreError */
export async function connect(
  url: string,
  mode: StoreOptions['mode'],
  passwordFile?: string,
): Promise<Connected> {
  const connected = isPostgresUrl(url) ? connectPostgres(url, mode, passwordFile) : connectSqlite(url, mode);
  return connected.catch((error: unknown) => {
    throw explain(url, error);
  });
}

/** An error of a database as one that people can do something about. */
export const explain = (url: string, error: unknown): StoreError =>
  isPostgresUrl(url) ? explainPostgres(url, error) : explainSqlite(url, error);

/** The store in a database. */
async function openTables(database: Connected, options: StoreOptions): Promise<GateStore> {
  const { db, name, version, byFact, fenced } = database;
  const { mode, onEntry = () => {} } = options;
  if (mode === 'write') await bringUpToDate(database, options);
  const { id } = await db.selectFrom('installation').select('id').executeTakeFirstOrThrow();
  if (mode !== 'write') await assertUpToDate(database);
  const hub = await knownHub(db);
  if (options.hub !== undefined && hub !== null) assertSameHub(name, hub, hubUrl(options.hub));
  const identity = { installation: id, hub };
  const cache = createCache(runReader(db), version, byFact);
  const lease = database.lease();
  const close = async () => {
    await lease.close();
    await database.close();
  };
  const over = (own: Kysely<Tables>): Store => ({ ...identity, ...factsOf(own, cache, onEntry), close });
  const store = over(db);
  return {
    ...{ store, lease },
    inTerm({ token }) {
      const own = fenced(token);
      return own === db ? store : over(own);
    },
  };
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
  return { ...identity, ...factsOf(db, createCache(runReader(db), version), onEntry), close };
}

function factsOf(
  db: Kysely<Tables>,
  cache: RunCache,
  onEntry: (entry: Entry) => void,
): Omit<Store, 'installation' | 'hub' | 'close'> {
  const base = { db, cache, record: createRecorder(db, cache, onEntry) };
  const runs = runFacts(base);
  return {
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
  };
}

/**
 * Open a store beside a running gate for as long as `work` takes.
 * @param hub the configured hub's URL, where what is said is meant for the kernels of that hub alone
 * @throws StoreError as `openStore` does
 */
export async function withStore<T>(
  at: string | StoreAt,
  mode: 'read' | 'append',
  work: (store: Store) => Promise<T>,
  hub?: string,
): Promise<T> {
  const { url, password_file: passwordFile } = typeof at === 'string' ? { url: at } : at;
  const store = await openStore(url, {
    mode,
    ...(hub !== undefined && { hub }),
    ...(passwordFile !== undefined && { passwordFile }),
  });
  try {
    return await work(store);
  } catch (error) {
    throw isLost(error) ? explain(url, error) : error;
  } finally {
    await store.close();
  }
}

const migrator = (db: Kysely<Tables>, schema: string | undefined) =>
  new Migrator({
    db,
    provider: migrationProvider,
    disableTransactions: true,
    ...(schema !== undefined && { migrationTableSchema: schema }),
  });

/** A reader makes no tables. */
export async function assertUpToDate({ db, name, schema }: Connected): Promise<void> {
  const known = await migrator(db, schema).getMigrations();
  if (known.every(({ executedAt }) => executedAt)) return;
  throw new StoreError(`${name}: of an older kmod-gate; "kmod-gate run" brings it up to date`);
}

/**
 * Make or migrate the tables; a new store gets its id and its hub. All of it or nothing: a process that is killed half-way
 * would leave tables that no later start can go on from.
 */
async function bringUpToDate(database: Connected, options: StoreOptions): Promise<void> {
  await withTables(database, async (db) => {
    const known = await db.selectFrom('installation').select('id').executeTakeFirst();
    if (!known) await db.insertInto('installation').values({ id: crypto.randomUUID() }).execute();
    await bindToHub(db, database.name, options);
  });
}

/** Make the tables, or bring them up to date, and then do more, all of it or nothing. */
export async function withTables(
  { alone, schema, name }: Connected,
  then: (db: Kysely<Tables>) => Promise<void>,
): Promise<void> {
  await alone(async (db) => {
    const { error, results = [] } = await migrator(db, schema).migrateToLatest();
    if (error instanceof Error && /^corrupted migrations/.test(error.message))
      throw new StoreError(`${name}: of a newer kmod-gate (${error.message}); start that one`, {
        cause: error,
      });
    if (error) throw error;
    if (results.length > 0) await endTerm(db);
    await then(db);
  });
}

/** Who acts on tables that are not as he knows them acts no more; nobody else does before his lease would have ended. */
async function endTerm(db: Kysely<Tables>): Promise<void> {
  await db
    .updateTable('lease')
    .set(({ eb }) => ({ token: eb('token', '+', 1), beat: eb('beat', '+', 1) }))
    .execute();
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
