/** A store as it is, in another database: of SQLite in PostgreSQL, and back. */
import { type Kysely, sql } from 'kysely';
import { isPostgres } from './dialect.ts';
import { StoreError } from './error.ts';
import { UNUSED } from './lease.ts';
import { assertUpToDate, type Connected, withTables } from './open.ts';
import type { Tables } from './schema.ts';
import { packAside } from './symbols.ts';

/** In an order in which nothing is named before it is there. Who acts on a store is not copied. */
export const COPIED = [
  'installation',
  'sequence',
  'clock',
  'hub',
  'kernel_build',
  'run',
  'selection',
  'baseline_repo',
  'intent',
  'receipt',
  'ending',
  'trial',
  'judgement',
  'symbol_evidence',
  'rpm_symbols',
  'explanation',
  'kernel_types',
  'verdict',
  'closing',
  'waiver',
  'waiver_run',
  'waiver_end',
  'waiver_there',
  'waiver_post',
  'run_order',
  'journal',
  'heard',
  'outbox_cursor',
  'outbox',
  'outbox_told',
] as const satisfies readonly (keyof Tables)[];

type Name = (typeof COPIED)[number];
type Row = Record<string, unknown>;

/** Rows that are read at a time; of those with megabytes fewer. */
const BATCH = 500;
const FEW = 20;
const LARGE: ReadonlySet<Name> = new Set(['symbol_evidence', 'rpm_symbols', 'explanation', 'kernel_types']);
/** Tables of which PostgreSQL numbers the rows by a column that has another name than `rowid`. */
const NUMBERED: Readonly<Record<string, string>> = {
  hub: 'seq',
  judgement: 'seq',
  verdict: 'seq',
  closing: 'seq',
  waiver: 'id',
  waiver_run: 'seq',
  run_order: 'id',
  journal: 'seq',
};
const UNNUMBERED: ReadonlySet<string> = new Set(['symbol_evidence', 'trial', 'outbox']);

/**
 * Copy all that a store knows into one that knows nothing, within its transaction `to`, and count it there.
 * @param from within a transaction, in which nobody else writes to it
 * @returns the number of rows of each table
 * @throws StoreError where a table has not all of its rows in the end
 */
export async function copyTables(
  from: Kysely<Tables>,
  to: Kysely<Tables>,
): Promise<ReadonlyMap<Name, number>> {
  const counts = new Map<Name, number>();
  await sql`DELETE FROM sequence`.execute(to);
  for (const table of COPIED) {
    for await (const rows of rowsOf(from, table)) await insert(to, table, rows);
    const [there, here] = [await count(from, table), await count(to, table)];
    if (there !== here) throw new StoreError(`${table}: ${there} rows, and only ${here} of them were copied`);
    counts.set(table, here);
  }
  if (isPostgres(to)) await goOn(to);
  return counts;
}

async function count(db: Kysely<Tables>, table: Name): Promise<number> {
  const { rows } = await sql<{ rows: number }>`SELECT count(*) AS rows FROM ${sql.table(table)}`.execute(db);
  return rows[0]?.rows ?? 0;
}

/** The rows of a table in their order, some at a time. */
async function* rowsOf(db: Kysely<Tables>, table: Name): AsyncGenerator<Row[]> {
  const limit = LARGE.has(table) ? FEW : BATCH;
  if (isPostgres(db)) {
    const order = UNNUMBERED.has(table) ? 'rowid' : (NUMBERED[table] ?? 'ctid');
    const cursor = sql.raw(`DECLARE copied NO SCROLL CURSOR FOR SELECT * FROM ${table} ORDER BY ${order}`);
    await sql`${cursor}`.execute(db);
    for (;;) {
      const { rows } = await sql<Row>`FETCH ${sql.lit(limit)} FROM copied`.execute(db);
      if (rows.length === 0) break;
      yield rows.map(({ rowid: _, ...row }) => row);
    }
    await sql`CLOSE copied`.execute(db);
    return;
  }
  for (let last = 0; ; ) {
    const { rows } = await sql<Row & { row_number_: number }>`
      SELECT rowid AS row_number_, * FROM ${sql.table(table)} WHERE rowid > ${last}
      ORDER BY rowid LIMIT ${limit}`.execute(db);
    if (rows.length === 0) return;
    last = rows.at(-1)?.row_number_ ?? last;
    yield rows.map(({ row_number_: _, ...row }) => row);
  }
}

async function insert(db: Kysely<Tables>, table: Name, rows: readonly Row[]): Promise<void> {
  const ready = table === 'rpm_symbols' ? await Promise.all(rows.map(packed)) : rows;
  await db
    .insertInto(table)
    .values(ready as never)
    .execute();
}

/** Older ones are text, which PostgreSQL has no room for beside packed ones. */
const packed = async ({ symbols, ...row }: Row): Promise<Row> => ({
  ...row,
  symbols: typeof symbols === 'string' ? await packAside(symbols) : symbols,
});

/** The next row gets the next number. */
async function goOn(db: Kysely<Tables>): Promise<void> {
  for (const [table, column] of Object.entries(NUMBERED))
    await sql`SELECT setval(pg_get_serial_sequence(${table}, ${column}),
      coalesce((SELECT max(${sql.ref(column)}) FROM ${sql.table(table)}), 0) + 1, false)`.execute(db);
}

/**
 * Copy a store, all of it or nothing.
 * @returns the number of rows of each table
 * @throws StoreError where a gate uses `from`, or `to` is a store already
 */
export async function copyStore(from: Connected, to: Connected): Promise<ReadonlyMap<Name, number>> {
  let counts: ReadonlyMap<Name, number> = new Map();
  await assertUpToDate(from);
  await from.alone(async (source) => {
    await waitFor(source);
    await assertUnused(source, from.name);
    await withTables(to, async (target) => {
      await waitFor(target);
      const known = await target.selectFrom('installation').select('id').executeTakeFirst();
      if (known)
        throw new StoreError(
          `${to.name}: is a store already; name a database or a file that holds nothing yet`,
        );
      counts = await copyTables(source, target);
    });
  });
  return counts;
}

/** Each of the two transactions waits for the other database. */
async function waitFor(db: Kysely<Tables>): Promise<void> {
  if (isPostgres(db)) await sql`SET LOCAL idle_in_transaction_session_timeout = 0`.execute(db);
}

/** SQLite's lock has said so already. What commands write meanwhile waits, and fails. */
async function assertUnused(db: Kysely<Tables>, name: string): Promise<void> {
  if (!isPostgres(db)) return;
  const { rows } = await sql<{ unused: number }>`${sql.raw(UNUSED)}`.execute(db);
  if (!rows[0]?.unused) throw new StoreError(`${name}: a kmod-gate uses this store; stop all that do first`);
  await sql`LOCK TABLE sequence IN EXCLUSIVE MODE`.execute(db);
}
