/** A store on PostgreSQL: connections, types, and what is wrong where there is none. */
import {
  CompiledQuery,
  type DatabaseIntrospector,
  Kysely,
  PostgresDialect,
  type PostgresPool,
  type PostgresPoolClient,
  sql,
} from 'kysely';
import pg from 'pg';
import { type Address, readAddress } from './address.ts';
import { connectionTo } from './connection.ts';
import { StoreAdapter, StoreCompiler } from './dialect.ts';
import { LeaseError, StoreError } from './error.ts';
import { createLease } from './lease.ts';
import { NEWEST as NEWEST_TABLES } from './migrations.ts';
import type { Connected } from './open.ts';
import type { Tables } from './schema.ts';

/** Connections of a process. */
const CONNECTIONS = 10;
/** For a connection, and for the answer to a statement, in ms. */
const CONNECTS = 10_000;
const ANSWERS = 60_000;
/**
 * A process that is stopped within a transaction keeps others from writing no longer than this, in ms. No transaction here
 * waits for anything but the database.
 */
const IDLE = 2_000;
/** The oldest server that is tried, as `server_version_num` counts. */
const OLDEST = 130_000;
/** Of the lock under which tables are made. */
const LOCK = 0x6b6d6f64;

type Mode = 'read' | 'append' | 'write' | 'look';

/** The database of a URL. @throws StoreError */
export function addressOf(url: string): Address {
  const address = readAddress(url);
  if (typeof address === 'string') throw new StoreError(`store.url ${address}`);
  return address;
}

/**
 * Connect to a database, which may hold nothing yet.
 * @param mode as of a store; `look`: whatever is there, a store or nothing yet
 * @throws StoreError where it does not answer, is too old, or is another program's
 */
export async function connectPostgres(url: string, mode: Mode, passwordFile?: string): Promise<Connected> {
  const address = addressOf(url);
  const connection = connectionTo(address, passwordFile);
  const pool = new pg.Pool({
    ...connection,
    max: CONNECTIONS,
    connectionTimeoutMillis: CONNECTS,
    query_timeout: ANSWERS,
    idle_in_transaction_session_timeout: IDLE,
  });
  // A connection that is cut fails what was asked by it; the next question makes another one.
  pool.on('error', () => {});
  pool.on('connect', (client) => void client.on('error', () => {}));
  const db = kyselyOver(pool, { readOnly: mode === 'read' || mode === 'look' });
  try {
    const schema = await examine(db, address, mode);
    return {
      ...{ db, schema, name: address.name, byFact: true },
      alone: (work) => alone(db, work),
      version: async () => (await db.executeQuery(NEWEST)).rows[0]?.newest,
      lease: () => createLease(connection, NEWEST_TABLES),
      fenced: (token) => kyselyOver(pool, { token }),
      close: () => db.destroy(),
    };
  } catch (error) {
    await db.destroy();
    throw error;
  }
}

const NEWEST = CompiledQuery.raw('SELECT newest FROM sequence') as CompiledQuery<{ newest: number }>;

/** What the transactions of a connection may do. */
interface Limits {
  /** Nothing that writes. */
  readonly readOnly?: boolean;
  /** Write while this is the token of the lease. */
  readonly token?: number;
}

/** Queries over connections of a pool. */
function kyselyOver(pool: pg.Pool, limits: Limits): Kysely<Tables> {
  const dialect = new PostgresDialect({ pool: watched(pool, limits) });
  return new Kysely<Tables>({
    dialect: {
      createDriver: () => dialect.createDriver(),
      createIntrospector: introspector,
      createAdapter: () => new StoreAdapter(),
      createQueryCompiler: () => new StoreCompiler(),
    },
  });
}

/** What a migration asks for: the tables of the schema in use, and of no other, which somebody may just be dropping. */
function introspector(db: Kysely<unknown>): DatabaseIntrospector {
  const getTables = async () => {
    const { rows } = await sql<{ name: string; schema: string }>`
      SELECT relname AS name, current_schema() AS schema FROM pg_class
      WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace`.execute(db);
    return rows.map((row) => ({ ...row, isView: false, columns: [] }));
  };
  return {
    getTables,
    async getSchemas() {
      const { rows } = await sql<{ name: string }>`SELECT current_schema() AS name`.execute(db);
      return rows;
    },
    getMetadata: async () => ({ tables: await getTables() }),
  };
}

/** A connection that failed otherwise than by the server's word is used no more: an answer may still be on its way. */
function watched(pool: pg.Pool, { readOnly = false, token }: Limits): PostgresPool {
  const wrap = (client: pg.PoolClient): PostgresPoolClient => {
    let broken = false;
    let within = false;
    const ask = async (text: string, values: readonly unknown[] = []) => {
      try {
        return await client.query(text, values.map(storable));
      } catch (error) {
        broken ||= !(error instanceof pg.DatabaseError) || isFatal(error);
        throw error;
      }
    };
    const begin = async () => {
      await ask(readOnly ? 'begin read only' : 'begin');
      if (token === undefined || (await ask(FENCE, [token])).rows.length > 0) return;
      await ask('rollback');
      throw new LeaseError('another kmod-gate has taken over: this one writes no more');
    };
    const inTransaction = async (text: string, values: readonly unknown[]) => {
      await begin();
      try {
        const answer = await ask(text, values);
        await ask('commit');
        return answer;
      } catch (error) {
        await ask('rollback').catch(() => {});
        throw error;
      }
    };
    const query = async (text: string, values: readonly unknown[]) => {
      if (text === 'begin') {
        await begin();
        within = true;
        return { command: 'BEGIN', rowCount: 0, rows: [] };
      }
      if (text === 'commit' || text === 'rollback') within = false;
      const alone = token !== undefined && !within && WRITES.test(text);
      return alone ? inTransaction(text, values) : ask(text, values);
    };
    return { query, release: () => client.release(broken) } as unknown as PostgresPoolClient;
  };
  return { connect: async () => wrap(await pool.connect()), end: () => pool.end() };
}

/**
 * Asked at the begin of each transaction of a holder: while it goes on, nobody can change the token, which is the key of the
 * row; beats go on beside it.
 */
const FENCE = 'SELECT 1 FROM lease WHERE token = $1 FOR KEY SHARE';
const WRITES = /^\s*(insert|update|delete)\b/i;

/** After it the server closes the connection. */
const isFatal = ({ severity }: pg.DatabaseError): boolean => severity === 'FATAL' || severity === 'PANIC';

/** PostgreSQL has no NUL in its texts, where SQLite has: what logs say may hold one. Of bytes pg wants a view. */
function storable(value: unknown): unknown {
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  return typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value;
}

/** All or nothing, while nobody else makes tables. */
async function alone(db: Kysely<Tables>, work: (db: Kysely<Tables>) => Promise<void>): Promise<void> {
  await db.connection().execute(async (one) => {
    await sql`BEGIN`.execute(one);
    try {
      await sql`SELECT pg_advisory_xact_lock(${sql.lit(LOCK)}, hashtext(current_schema()))`.execute(one);
      await work(one);
      await sql`COMMIT`.execute(one);
    } catch (error) {
      await sql`ROLLBACK`.execute(one).catch(() => {});
      throw error;
    }
  });
}

/** Whether it can be a store. @returns the schema in which the tables are, or will be */
async function examine(db: Kysely<Tables>, { name }: Address, mode: Mode): Promise<string> {
  const { rows } = await sql<{
    version: string;
    number: string;
    encoding: string;
    schema: string | null;
    standby: number;
  }>`SELECT current_setting('server_version') AS version, current_setting('server_version_num') AS number,
    current_setting('server_encoding') AS encoding, current_schema() AS schema, pg_is_in_recovery() AS standby`.execute(
    db,
  );
  const [found] = rows;
  if (!found) throw new StoreError(`${name}: does not say what it is`);
  assertNew(name, found.version, Number(found.number));
  if (found.encoding !== 'UTF8')
    throw new StoreError(
      `${name}: a database of encoding ${found.encoding}; make it with "createdb --encoding UTF8 --template template0"`,
    );
  if (found.schema === null)
    throw new StoreError(
      `${name}: no schema of the search_path is there; CREATE SCHEMA it, or see options in store.url`,
    );
  if (mode !== 'read' && mode !== 'look' && found.standby)
    throw new StoreError(
      `${name}: a standby of PostgreSQL, which takes no writes; name the primary in store.url`,
    );
  await assertOwn(db, name, found.schema, mode);
  return found.schema;
}

/** @param number as `server_version_num` */
export function assertNew(name: string, version: string, number: number): void {
  if (number >= OLDEST) return;
  throw new StoreError(`${name}: PostgreSQL ${version}; kmod-gate needs ${OLDEST / 10_000} or newer`);
}

/** Another program's tables are left as they are: nothing is written before this. */
async function assertOwn(db: Kysely<Tables>, name: string, schema: string, mode: Mode): Promise<void> {
  const { rows } = await sql<{ name: string }>`SELECT c.relname AS name FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = ${schema} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`.execute(db);
  const names = rows.map((row) => row.name);
  if (names.includes('installation')) return;
  if (names.length > 0)
    throw new StoreError(
      `${name}: another program's tables are in schema ${schema} (${names.slice(0, 3).join(', ')}); make a database for kmod-gate alone, and name it in store.url`,
    );
  if (mode === 'write') await assertMayMake(db, name, schema);
  else if (mode !== 'look')
    throw new StoreError(`${name}: no such store; has "kmod-gate run" been started with this configuration?`);
}

async function assertMayMake(db: Kysely<Tables>, name: string, schema: string): Promise<void> {
  const { rows } = await sql<{ may: number; user: string }>`
    SELECT has_schema_privilege(${schema}::text, 'CREATE') AS may, current_user AS user`.execute(db);
  const [found] = rows;
  if (!found || found.may) return;
  throw new StoreError(
    `${name}: ${found.user} may make no tables in schema ${schema}: "GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${found.user}", or let a database of its own belong to it`,
  );
}

/** What to do about what PostgreSQL says, by its code (SQLSTATE); and about what the way there says. */
const ADVICE: Readonly<Record<string, (address: Address) => string>> = {
  '3D000': ({ database, user }) =>
    `there is no database ${database}: "createdb --owner ${user} ${database}" makes it`,
  '28000': ({ user }) => `it does not let ${user} in; see pg_hba.conf, and the user in store.url`,
  '28P01': ({ user }) => `it does not take the password of ${user}; see store.url and store.password_file`,
  '42501': ({ user, database }) =>
    `${user} may not do that: "ALTER DATABASE ${database} OWNER TO ${user}", or "GRANT USAGE, CREATE ON SCHEMA public TO ${user}"`,
  '53300': () => 'it has too many connections; raise max_connections, or end what holds them',
  '57P03': () => 'it is starting up or shutting down; try again',
  '25006': () => 'it takes no writes; name the primary in store.url',
  ECONNREFUSED: () => 'nothing listens there; see whether PostgreSQL runs, and host and port in store.url',
  ENOTFOUND: ({ host }) => `no such host: ${host}; see store.url`,
  EAI_AGAIN: ({ host }) => `the name ${host} cannot be looked up now; see DNS, and store.url`,
  ENOENT: () => 'no socket there; see whether PostgreSQL runs, and host in store.url',
};

/** Codes of Node's for a certificate that it does not take. */
const TLS = /CERT|SIGNED|SIGNATURE|ISSUER|ALTNAME/;

/** Whether PostgreSQL went away, or takes nothing now: no fault of whoever asked. */
export function isLost(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return /^(08|25006|53|57|58)/.test(error.code ?? '');
  return (
    error instanceof Error &&
    /^(Connection terminated|Query read timeout|timeout exceeded)/.test(error.message)
  );
}

/** An error of the database as one that people can do something about. */
export function explainPostgres(url: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const address = addressOf(url);
  const found = error instanceof AggregateError ? error.errors[0] : error;
  const code = typeof found === 'object' && found !== null ? String(Reflect.get(found, 'code')) : '';
  const advice =
    ADVICE[code]?.(address) ??
    (TLS.test(code)
      ? 'its certificate is not as it should be: see sslmode and sslrootcert in store.url'
      : 'see store.url, and the log of PostgreSQL');
  const said = found instanceof Error ? found.message : String(found);
  return new StoreError(`${address.name}: cannot be used as a store (${said}): ${advice}`, { cause: error });
}
