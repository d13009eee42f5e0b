/** Stores with a long history, made in seconds: for the tests of what is looked at, and for the bench. */

import { join } from 'node:path';
import { Kysely, type SqliteDatabase, SqliteDialect, sql } from 'kysely';
import Database from 'libsql';
import { copyStore } from '../../src/store/copy.ts';
import { connect, openStore, storeOver } from '../../src/store/open.ts';
import { isLive, passedBy, type Tables } from '../../src/store/schema.ts';
import type { Store } from '../../src/store/store.ts';
import type { Place } from './places.ts';

export interface History {
  /** Runs that are over, and runs that go on; each of a kernel build of its own. */
  readonly closed: number;
  readonly live: number;
  /** Kmods of each run. Each was built once; the first is already broken, and has been for nine kernels of ten. */
  readonly kmods: number;
}

export const GATE = 'c9s';
const HOUR = 3_600_000;
/** When run `n` began, in ms: one an hour. */
export const begun = (n: number): number => 1_700_000_000_000 + n * HOUR;
/** Kernel build of run `n`, which counts from 1; those that go on come last. */
export const buildOf = (n: number): number => 1_000 + n;
export const runOf = (n: number): string => `${GATE}/${buildOf(n)}/1`;

/**
 * Put a history into a file. Of ten closed runs nine have let their kernel through, and one has blocked it; of those that
 * go on none has a verdict.
 * @param path of a file that is not there
 */
export async function makeHistory(path: string, { closed, live, kmods }: History): Promise<void> {
  await (await openStore(`sqlite:${path}`, { mode: 'write' })).close();
  const database = new Database(path);
  const db = over(database);
  const chosen = Array.from({ length: kmods }, (_, i) => kmodOf(i));
  const list = sql`(SELECT key, value FROM json_each(${JSON.stringify(chosen)})) AS kmod`;
  const name = sql`json_extract(kmod.value, '$.name')`;
  const build = sql`json_extract(kmod.value, '$.buildId')`;
  const source = sql`json_extract(kmod.value, '$.source')`;
  const blocks = sql`n % 10 = 0`;
  const evidence = sql`json_object('at', at + 2, 'how', 'done', 'build', json_object('state', 'closed', 'arches',
    json_array(json_object('arch', 'x86_64', 'task', 1, 'state', 2, 'buildroot', json('[]'), 'repo', NULL,
      'repoId', n, 'errors', json('[]')))))`;
  const write = sql`json_object('kind', 'scratch-build', 'kmod', ${name}, 'source', ${source}, 'target', 't', 'priority', 5)`;
  await sql`CREATE TEMP TABLE one (n INTEGER PRIMARY KEY, id TEXT, build INTEGER, at INTEGER, live INTEGER)`.execute(
    db,
  );
  await sql`BEGIN`.execute(db);
  await sql`INSERT INTO one WITH RECURSIVE counted (n) AS (
      SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < ${closed + live})
    SELECT n, ${GATE} || '/' || (1000 + n) || '/1', 1000 + n, ${begun(0)} + n * ${HOUR}, n > ${closed}
    FROM counted`.execute(db);
  await sql`INSERT INTO kernel_build (id, nvr, name, epoch, version, release, seen_at)
    SELECT build, 'kernel-5.14.0-' || n || '.el9', 'kernel', NULL, '5.14.0', n || '.el9', at FROM one`.execute(
    db,
  );
  await sql`INSERT INTO run (id, fact, gate, build_id, generation, entry, tags, started_at, strategy, baseline)
    SELECT id, n * 10, ${GATE}, build, 1, n, '["gate"]', at, 'rebuild', NULL FROM one`.execute(db);
  await sql`INSERT INTO selection (run_id, at, fact, kmods, size)
    SELECT id, at, n * 10, ${JSON.stringify(chosen)}, ${kmods} FROM one`.execute(db);
  await sql`INSERT INTO intent (id, run_id, seq, kind, "write", asked_at, fact, kmod_build, kernel_build)
    SELECT id || '/' || ${name} || '/1', id, kmod.key, 'scratch-build', ${write}, at + 1, n * 10 + 1, ${build}, build
    FROM one JOIN ${list}`.execute(db);
  // One kmod of each run was tried again.
  await sql`INSERT INTO intent (id, run_id, seq, kind, "write", asked_at, fact, kmod_build, kernel_build, again)
    SELECT id || '/' || ${name} || '/2', id, ${kmods}, 'scratch-build', ${write}, at + 1, n * 10 + 2, ${build}, build, 1
    FROM one JOIN ${list} WHERE kmod.key = 0`.execute(db);
  await sql`INSERT INTO receipt (intent_id, at, task_id, receipt)
    SELECT intent.id, at + 1, intent.rowid, json_object('at', at + 1, 'task', intent.rowid)
    FROM one JOIN intent ON run_id = one.id`.execute(db);
  await sql`INSERT INTO ending (intent_id, at, fact, how, ending)
    SELECT intent.id, at + 2, n * 10 + 3, 'done', ${evidence} FROM one JOIN intent ON run_id = one.id
    WHERE NOT live OR seq % 2 = 0`.execute(db);
  await sql`INSERT INTO trial (kmod_build, kernel_build, arch, target, shows, proof, at, run_id, repo)
    SELECT ${build}, build, 'x86_64', 't', 'builds', 'buildroot', at + 2, id, n FROM one JOIN ${list}`.execute(
    db,
  );
  const verdict = sql`CASE WHEN ${blocks} THEN 'block' ELSE 'promote' END`;
  await sql`INSERT INTO verdict (run_id, at, fact, verdict, reasons, overdue, tally)
    SELECT id, at + 3, n * 10 + 4, ${verdict}, '["as it is"]', 0, json_object('ok', ${kmods}) FROM one WHERE NOT live`.execute(
    db,
  );
  await sql`INSERT INTO closing (run_id, at, how, why)
    SELECT id, at + 4, 'done', 'moved' FROM one WHERE NOT live`.execute(db);
  await sql`UPDATE run SET live = ${isLive}, passed = ${passedBy}`.execute(db);
  const outcome = sql`CASE WHEN kmod.key = 0 AND n > ${closed / 10} THEN 'already-broken' ELSE 'ok' END`;
  await sql`INSERT INTO judgement (run_id, gate, kernel_build, kmod, kmod_build, outcome, baseline, at, package, passed)
    SELECT id, ${GATE}, build, ${name}, ${build}, ${outcome}, NULL, at + 3, 'kernel', NOT (${blocks})
    FROM one JOIN ${list} WHERE NOT live`.execute(db);
  await sql`INSERT INTO journal (at, fact, kind, gate, build_id, run_id, text)
    SELECT at + step.key, n * 10 + step.key, step.value, ${GATE}, build, id, 'as it is'
    FROM one JOIN (SELECT key, value FROM json_each(
      '["run", "asked", "answered", "ended", "state", "verdict", "closed"]')) AS step
    WHERE NOT live OR step.key < 5 ORDER BY n, step.key`.execute(db);
  await sql`UPDATE sequence SET newest = ${(closed + live + 1) * 10}`.execute(db);
  await sql`COMMIT`.execute(db);
  await sql`PRAGMA wal_checkpoint(TRUNCATE)`.execute(db);
  await db.destroy();
}

/** Put a history into any place. */
export async function makeHistoryAt({ url, folder }: Place, history: History): Promise<void> {
  if (url.startsWith('sqlite:')) return makeHistory(url.slice('sqlite:'.length), history);
  const path = join(folder, 'history.db');
  await makeHistory(path, history);
  const [from, to] = [await connect(`sqlite:${path}`, 'write'), await connect(url, 'write')];
  await copyStore(from, to);
  await from.close();
  await to.close();
}

/** @returns the kmods' names, in the order of a run */
export const kmodOf = (i: number) => ({
  name: `kmod-${String(i).padStart(3, '0')}`,
  buildId: 1_000_000 + i,
  nvr: `kmod-${i}-1-1`,
  source: `kmod-${i}.src.rpm`,
  required: true,
});

/** A statement as it was asked, with its values. */
export interface Asked {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** The store in a file, each statement of which is heard, and how SQLite would go about one. */
export function openHeard(
  path: string,
  onAsked: (asked: Asked) => void,
): { readonly store: Store; readonly plan: (asked: Asked) => string[] } {
  const database = new Database(path);
  const db = new Kysely<Tables>({
    dialect: new SqliteDialect({ database: database as unknown as SqliteDatabase }),
    log: ({ query }) => onAsked({ sql: query.sql, parameters: query.parameters }),
  });
  const store = storeOver(
    db,
    { installation: 'one', hub: null },
    async () => 0,
    () => {},
    () => db.destroy(),
  );
  const plan = (asked: Asked) =>
    database
      .prepare(`EXPLAIN QUERY PLAN ${asked.sql}`)
      .all(...asked.parameters)
      .map((row) => (row as { detail: string }).detail);
  return { store, plan };
}

const over = (database: Database.Database) =>
  new Kysely<Tables>({ dialect: new SqliteDialect({ database: database as unknown as SqliteDatabase }) });
