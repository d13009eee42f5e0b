/** How the tables of every older kmod-gate become those of this one: each step once, in the order of their names. */
import { type Kysely, type Migration, type MigrationProvider, sql } from 'kysely';
import { isPostgres } from './dialect.ts';
import { nameRuns } from './named.ts';
import { pack } from './pack.ts';
import { isLive, passedBy } from './schema.ts';

/** No store on PostgreSQL is older than `016`: there is nothing to move, and it is said in SQLite's words. */
const mayHaveRows = (db: Kysely<unknown>): boolean => !isPostgres(db);

const migrations: Record<string, Migration> = {
  '001-facts': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable('installation')
        .addColumn('id', 'text', (c) => c.primaryKey())
        .execute();
      await db.schema
        .createTable('kernel_build')
        .addColumn('id', 'integer', (c) => c.primaryKey())
        .addColumn('nvr', 'text', (c) => c.notNull())
        .addColumn('name', 'text', (c) => c.notNull())
        .addColumn('epoch', 'integer')
        .addColumn('version', 'text', (c) => c.notNull())
        .addColumn('release', 'text', (c) => c.notNull())
        .addColumn('seen_at', 'bigint', (c) => c.notNull())
        .execute();
      await db.schema
        .createTable('run')
        .addColumn('id', 'text', (c) => c.primaryKey())
        .addColumn('gate', 'text', (c) => c.notNull())
        .addColumn('build_id', 'integer', (c) => c.notNull().references('kernel_build.id'))
        .addColumn('generation', 'integer', (c) => c.notNull())
        .addColumn('entry', 'integer', (c) => c.notNull())
        .addColumn('tags', 'text', (c) => c.notNull())
        .addColumn('started_at', 'bigint', (c) => c.notNull())
        .addUniqueConstraint('run_once', ['gate', 'build_id', 'generation'])
        .execute();
      await db.schema
        .createTable('selection')
        .addColumn('run_id', 'text', (c) => c.notNull().references('run.id'))
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addColumn('kmods', 'text', (c) => c.notNull())
        .execute();
      await db.schema
        .createTable('intent')
        .addColumn('id', 'text', (c) => c.primaryKey())
        .addColumn('run_id', 'text', (c) => c.notNull().references('run.id'))
        .addColumn('seq', 'integer', (c) => c.notNull())
        .addColumn('kind', 'text', (c) => c.notNull())
        .addColumn('write', 'text', (c) => c.notNull())
        .addColumn('asked_at', 'bigint', (c) => c.notNull())
        .addUniqueConstraint('intent_order', ['run_id', 'seq'])
        .execute();
      await db.schema
        .createTable('receipt')
        .addColumn('intent_id', 'text', (c) => c.primaryKey().references('intent.id'))
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addColumn('task_id', 'integer')
        .addColumn('receipt', 'text', (c) => c.notNull())
        .execute();
      await db.schema.createIndex('receipt_task').on('receipt').column('task_id').execute();
      await db.schema
        .createTable('ending')
        .addColumn('intent_id', 'text', (c) => c.primaryKey().references('intent.id'))
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addColumn('how', 'text', (c) => c.notNull())
        .addColumn('ending', 'text', (c) => c.notNull())
        .execute();
      await db.schema
        .createTable('verdict')
        .addColumn('run_id', 'text', (c) => c.primaryKey().references('run.id'))
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addColumn('verdict', 'text', (c) => c.notNull())
        .addColumn('reasons', 'text', (c) => c.notNull())
        .execute();
      await db.schema
        .createTable('closing')
        .addColumn('run_id', 'text', (c) => c.primaryKey().references('run.id'))
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addColumn('how', 'text', (c) => c.notNull())
        .addColumn('why', 'text', (c) => c.notNull())
        .execute();
      await db.schema
        .createTable('journal')
        .addColumn('seq', 'integer', (c) => c.primaryKey().autoIncrement())
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addColumn('kind', 'text', (c) => c.notNull())
        .addColumn('gate', 'text')
        .addColumn('build_id', 'integer', (c) => c.notNull().references('kernel_build.id'))
        .addColumn('run_id', 'text')
        .addColumn('text', 'text', (c) => c.notNull())
        .execute();
      await db.schema.createIndex('journal_build').on('journal').columns(['build_id', 'seq']).execute();
    },
  },
  '002-heard': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable('heard')
        .addColumn('queue', 'text', (c) => c.primaryKey())
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addColumn('routing_key', 'text', (c) => c.notNull())
        .addColumn('understood', 'integer', (c) => c.notNull())
        .execute();
    },
  },
  '003-symbols': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .alterTable('run')
        .addColumn('strategy', 'text', (c) => c.notNull().defaultTo('rebuild'))
        .execute();
      await db.schema
        .createTable('symbol_evidence')
        .addColumn('run_id', 'text', (c) => c.notNull().references('run.id'))
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addColumn('evidence', 'text', (c) => c.notNull())
        .execute();
      await db.schema
        .createTable('rpm_symbols')
        .addColumn('rpm_id', 'integer', (c) => c.primaryKey())
        .addColumn('symbols', 'blob', (c) => c.notNull())
        .execute();
    },
  },
  '004-people': {
    async up(db: Kysely<unknown>) {
      await db.schema.alterTable('run').addColumn('baseline', 'text').execute();
      await db.schema.alterTable('intent').addColumn('kmod_build', 'integer').execute();
      await db.schema.alterTable('intent').addColumn('kernel_build', 'integer').execute();
      await db.schema
        .createIndex('intent_pair')
        .on('intent')
        .columns(['kernel_build', 'kmod_build'])
        .execute();
      await db.schema
        .createTable('baseline_repo')
        .addColumn('run_id', 'text', (c) => c.primaryKey().references('run.id'))
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addColumn('repo', 'integer')
        .addColumn('why', 'text', (c) => c.notNull())
        .execute();
      await severalARun(db, 'verdict', ['verdict', 'reasons']);
      await db.schema
        .alterTable('verdict')
        .addColumn('last_order', 'integer', (c) => c.notNull().defaultTo(0))
        .execute();
      await severalARun(db, 'closing', ['how', 'why']);
      await db.schema
        .createTable('waiver')
        .addColumn('id', 'integer', (c) => c.primaryKey().autoIncrement())
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addColumn('by', 'text', (c) => c.notNull())
        .addColumn('reason', 'text', (c) => c.notNull())
        .addColumn('gate', 'text')
        .addColumn('kernel', 'text', (c) => c.notNull())
        .addColumn('kmod', 'text', (c) => c.notNull())
        .addColumn('until', 'bigint')
        .execute();
      await db.schema
        .createTable('waiver_end')
        .addColumn('waiver_id', 'integer', (c) => c.primaryKey().references('waiver.id'))
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addColumn('by', 'text', (c) => c.notNull())
        .execute();
      await db.schema
        .createTable('run_order')
        .addColumn('id', 'integer', (c) => c.primaryKey().autoIncrement())
        .addColumn('run_id', 'text', (c) => c.notNull().references('run.id'))
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addColumn('by', 'text', (c) => c.notNull())
        .addColumn('kind', 'text', (c) => c.notNull())
        .addColumn('reason', 'text', (c) => c.notNull())
        .addColumn('kmod', 'text')
        .execute();
    },
  },
  '005-detail': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .alterTable('symbol_evidence')
        .addColumn('detail', 'blob', (c) => c.notNull().defaultTo(''))
        .execute();
      if (mayHaveRows(db)) await splitEvidence(db);
    },
  },
  '006-indexes': {
    async up(db: Kysely<unknown>) {
      for (const table of ['symbol_evidence', 'selection', 'run_order'])
        await db.schema.createIndex(`${table}_run`).on(table).column('run_id').execute();
      // Each look counts the retries of the last day.
      await db.schema.createIndex('intent_asked').on('intent').columns(['kind', 'asked_at']).execute();
    },
  },
  '007-cells': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable('trial')
        .addColumn('kmod_build', 'integer', (c) => c.notNull())
        .addColumn('kernel_build', 'integer', (c) => c.notNull())
        .addColumn('arch', 'text', (c) => c.notNull())
        .addColumn('target', 'text', (c) => c.notNull())
        .addColumn('shows', 'text', (c) => c.notNull())
        .addColumn('proof', 'text', (c) => c.notNull())
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addColumn('run_id', 'text', (c) => c.notNull().references('run.id'))
        .addColumn('repo', 'integer')
        .execute();
      await db.schema.createIndex('trial_pair').on('trial').columns(['kernel_build', 'kmod_build']).execute();
      await db.schema.createIndex('trial_run').on('trial').column('run_id').execute();
      await db.schema
        .createTable('judgement')
        .addColumn('seq', 'integer', (c) => c.primaryKey().autoIncrement())
        .addColumn('run_id', 'text', (c) => c.notNull().references('run.id'))
        .addColumn('gate', 'text', (c) => c.notNull())
        .addColumn('kernel_build', 'integer', (c) => c.notNull())
        .addColumn('kmod', 'text', (c) => c.notNull())
        .addColumn('kmod_build', 'integer', (c) => c.notNull())
        .addColumn('outcome', 'text', (c) => c.notNull())
        .addColumn('baseline', 'text')
        .addColumn('at', 'bigint', (c) => c.notNull())
        .execute();
      await db.schema
        .createIndex('judgement_kmod')
        .on('judgement')
        .columns(['gate', 'kmod', 'seq'])
        .execute();
      await db.schema.alterTable('kernel_build').addColumn('draft_nvr', 'text').execute();
      await db.schema
        .alterTable('verdict')
        .addColumn('overdue', 'integer', (c) => c.notNull().defaultTo(0))
        .execute();
      await db.schema.alterTable('baseline_repo').renameTo('baseline_repo_once').execute();
      await db.schema
        .createTable('baseline_repo')
        .addColumn('run_id', 'text', (c) => c.notNull().references('run.id'))
        .addColumn('kernel_build', 'integer', (c) => c.notNull())
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addColumn('repo', 'integer')
        .addColumn('why', 'text', (c) => c.notNull())
        .execute();
      await db.schema
        .createIndex('baseline_repo_run')
        .on('baseline_repo')
        .columns(['run_id', 'at'])
        .execute();
      if (mayHaveRows(db))
        await sql`INSERT INTO baseline_repo (run_id, kernel_build, at, repo, why)
        SELECT run_id, json_extract(run.baseline, '$.id'), at, repo, why
        FROM baseline_repo_once JOIN run ON run.id = run_id WHERE run.baseline IS NOT NULL`.execute(db);
      await db.schema.dropTable('baseline_repo_once').execute();
      if (!mayHaveRows(db)) return;
      await recoverTrials(db);
      await recoverJudgements(db);
    },
  },
  '008-hub': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable('hub')
        .addColumn('seq', 'integer', (c) => c.primaryKey().autoIncrement())
        .addColumn('url', 'text', (c) => c.notNull())
        .execute();
    },
  },
  '009-alive': {
    async up(db: Kysely<unknown>) {
      const number = async (table: string, column: string) =>
        db.schema
          .alterTable(table)
          .addColumn(column, 'integer', (c) => c.notNull().defaultTo(0))
          .execute();
      await sql`ALTER TABLE run ADD COLUMN live INTEGER NOT NULL DEFAULT 1`.execute(db);
      await db.schema.alterTable('run').addColumn('passed', 'integer').execute();
      await db.schema.alterTable('run').addColumn('pruned_at', 'bigint').execute();
      for (const [table, column] of [
        ['judgement', 'passed'],
        ['selection', 'size'],
        ['intent', 'again'],
        ['rpm_symbols', 'used_at'],
      ] as const)
        await number(table, column);
      await sql`ALTER TABLE judgement ADD COLUMN package TEXT NOT NULL DEFAULT ''`.execute(db);
      await sql`ALTER TABLE verdict ADD COLUMN tally TEXT NOT NULL DEFAULT '{}'`.execute(db);
      await db.schema.alterTable('rpm_symbols').addColumn('build_id', 'integer').execute();

      if (mayHaveRows(db)) await markRows(db);

      await db.schema.dropIndex('intent_asked').execute();
      await db.schema.dropIndex('judgement_kmod').execute();
      await db.schema.dropIndex('verdict_run').execute();
      for (const index of [
        'run_live ON run (build_id, gate) WHERE live = 1',
        'run_passed ON run (gate, passed) WHERE passed IS NOT NULL',
        'run_build ON run (build_id, started_at)',
        'run_begun ON run (started_at, build_id)',
        'run_of_gate ON run (gate, started_at)',
        // Beside the long texts of their tables, which a list need not read.
        'selection_size ON selection (run_id, size)',
        'verdict_tally ON verdict (run_id, seq, verdict, last_order, tally)',
        'kernel_nvr ON kernel_build (nvr)',
        'judgement_passed ON judgement (gate, package, kmod, seq) WHERE passed = 1',
        "judgement_fine ON judgement (gate, package, kmod, seq) WHERE passed = 1 AND outcome <> 'already-broken'",
        'judgement_kernel ON judgement (kernel_build, gate, seq)',
        'intent_again ON intent (asked_at) WHERE again = 1',
        "intent_side_tag ON intent (run_id) WHERE kind = 'create-side-tag'",
        'trial_repo ON trial (kernel_build, at) WHERE repo IS NOT NULL',
        'run_whole ON run (started_at) WHERE live = 0 AND pruned_at IS NULL',
        'rpm_used ON rpm_symbols (used_at)',
      ])
        await sql.raw(`CREATE INDEX ${index}`).execute(db);
      if (!mayHaveRows(db)) return;
      await sql`CREATE INDEX rpm_unpacked ON rpm_symbols (rpm_id) WHERE typeof(symbols) = 'text'`.execute(db);
      // The judgements of older verdicts are found by their kernel.
      await sql`UPDATE verdict SET tally = (SELECT coalesce(json_group_object(outcome, kmods), '{}') FROM (
        SELECT outcome, count(*) AS kmods FROM judgement JOIN run ON run.id = verdict.run_id
        WHERE judgement.kernel_build = run.build_id AND judgement.gate = run.gate
          AND judgement.run_id = verdict.run_id AND judgement.at = verdict.at AND kmod_build <> 0
        GROUP BY outcome))`.execute(db);
    },
  },
  '010-sequence': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable('sequence')
        .addColumn('newest', 'integer', (c) => c.notNull())
        .execute();
      await sql`INSERT INTO sequence SELECT coalesce(max(seq), 0) FROM journal`.execute(db);
      await db.schema
        .createTable('clock')
        .addColumn('fact', 'integer', (c) => c.notNull())
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addColumn('ahead', 'bigint', (c) => c.notNull())
        .execute();
      const addFact = (table: string) =>
        db.schema
          .alterTable(table)
          .addColumn('fact', 'integer', (c) => c.notNull().defaultTo(0))
          .execute();
      const numbered: readonly (readonly [table: string, at: string, kind: string, run: string])[] = [
        ['run', 'started_at', 'run', 'run.id'],
        ['selection', 'at', 'run', 'run_id'],
        ['baseline_repo', 'at', 'run', 'run_id'],
        ['intent', 'asked_at', 'asked', 'run_id'],
        ['ending', 'at', 'ended', '(SELECT intent.run_id FROM intent WHERE intent.id = intent_id)'],
        ['verdict', 'at', 'verdict', 'run_id'],
        ['run_order', 'at', 'person', 'run_id'],
        ['waiver', 'at', 'person', 'NULL'],
        ['waiver_end', 'at', 'person', 'NULL'],
      ];
      await addFact('journal');
      await sql`UPDATE journal SET fact = seq`.execute(db);
      await sql`CREATE INDEX journal_at ON journal (at, kind, run_id)`.execute(db);
      // Its line in the journal has the number; of what was said of no run, or has lost its line, the newest by then.
      for (const [table, at, kind, run] of numbered) {
        await addFact(table);
        await sql`UPDATE ${sql.table(table)} SET fact = coalesce(
          (SELECT max(seq) FROM journal WHERE journal.at = ${sql.raw(`${table}.${at}`)} AND journal.kind = ${kind}
            AND journal.run_id = ${sql.raw(run.includes('.') || run === 'NULL' ? run : `${table}.${run}`)}),
          (SELECT max(seq) FROM journal WHERE journal.at <= ${sql.raw(`${table}.${at}`)}), 0)`.execute(db);
      }
      await sql`DROP INDEX journal_at`.execute(db);
      await db.schema
        .createTable('waiver_run')
        .addColumn('seq', 'integer', (c) => c.primaryKey().autoIncrement())
        .addColumn('waiver_id', 'integer', (c) => c.notNull().references('waiver.id'))
        .addColumn('run_id', 'text', (c) => c.notNull().references('run.id'))
        .execute();
      await sql`CREATE INDEX run_stopped ON run (build_id) WHERE passed IS NULL`.execute(db);
      for (const waiver of await unendedWaivers(db)) await nameRuns(db, waiver);
      await newEvidence(db);
      await sql`DROP INDEX verdict_tally`.execute(db);
      await sql`ALTER TABLE verdict DROP COLUMN last_order`.execute(db);
      await sql`CREATE INDEX verdict_tally ON verdict (run_id, seq, verdict, fact, tally)`.execute(db);
      await sql`DROP INDEX run_begun`.execute(db);
      await sql`DROP INDEX run_build`.execute(db);
      await sql`DROP INDEX run_of_gate`.execute(db);
      for (const index of [
        'run_begun ON run (fact)',
        'run_build ON run (build_id, fact)',
        'run_of_gate ON run (gate, fact)',
      ])
        await sql.raw(`CREATE INDEX ${index}`).execute(db);
    },
  },
  '011-moments': {
    async up(db: Kysely<unknown>) {
      await db.schema.alterTable('baseline_repo').addColumn('event', 'integer').execute();
    },
  },
  '012-causes': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .alterTable('run')
        .addColumn('unexplained', 'integer', (c) => c.notNull().defaultTo(0))
        .execute();
      await sql`CREATE INDEX run_unexplained ON run (fact) WHERE unexplained > 0`.execute(db);
      await db.schema
        .createTable('explanation')
        .addColumn('run_id', 'text', (c) => c.notNull().references('run.id'))
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addColumn('fact', 'integer', (c) => c.notNull())
        .addColumn('causes', 'blob', (c) => c.notNull())
        .execute();
      await db.schema.createIndex('explanation_run').on('explanation').columns(['run_id', 'fact']).execute();
      await db.schema
        .createTable('kernel_types')
        .addColumn('build_id', 'integer', (c) => c.notNull())
        .addColumn('arch', 'text', (c) => c.notNull())
        .addColumn('used_at', 'bigint', (c) => c.notNull())
        .addColumn('types', 'blob', (c) => c.notNull())
        .addPrimaryKeyConstraint('kernel_types_once', ['build_id', 'arch'])
        .execute();
    },
  },
  '013-dashboard': {
    async up(db: Kysely<unknown>) {
      // What a kmod came to with each kernel, whatever the gate.
      await sql`CREATE INDEX judgement_kmod ON judgement (kmod, gate, seq)`.execute(db);
    },
  },
  '014-waiverdb': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable('waiver_there')
        .addColumn('source', 'text', (c) => c.notNull())
        .addColumn('there', 'integer', (c) => c.notNull())
        .addColumn('waiver_id', 'integer', (c) => c.notNull().references('waiver.id'))
        .addColumn('kind', 'text', (c) => c.notNull())
        .addPrimaryKeyConstraint('waiver_there_once', ['source', 'there'])
        .execute();
      await db.schema
        .createTable('waiver_post')
        .addColumn('source', 'text', (c) => c.notNull())
        .addColumn('waiver_id', 'integer', (c) => c.notNull().references('waiver.id'))
        .addColumn('kind', 'text', (c) => c.notNull())
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addPrimaryKeyConstraint('waiver_post_once', ['source', 'waiver_id', 'kind'])
        .execute();
    },
  },
  '015-outbox': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable('outbox_cursor')
        .addColumn('channel', 'text', (c) => c.primaryKey())
        .addColumn('seq', 'integer', (c) => c.notNull())
        .execute();
      await db.schema
        .createTable('outbox')
        .addColumn('channel', 'text', (c) => c.notNull())
        .addColumn('fact', 'integer', (c) => c.notNull())
        .addColumn('run_id', 'text', (c) => c.notNull().references('run.id'))
        .addColumn('what', 'text', (c) => c.notNull())
        .addColumn('part', 'text', (c) => c.notNull())
        .addColumn('made_at', 'bigint', (c) => c.notNull())
        .addColumn('next_at', 'bigint', (c) => c.notNull())
        .addColumn('state', 'text', (c) => c.notNull())
        .addColumn('tries', 'integer', (c) => c.notNull().defaultTo(0))
        .addColumn('error', 'text')
        .addPrimaryKeyConstraint('outbox_once', ['channel', 'fact', 'run_id', 'what', 'part'])
        .execute();
      await db.schema
        .createTable('outbox_told')
        .addColumn('channel', 'text', (c) => c.notNull())
        .addColumn('about', 'text', (c) => c.notNull())
        .addColumn('digest', 'text', (c) => c.notNull())
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addPrimaryKeyConstraint('outbox_told_once', ['channel', 'about'])
        .execute();
    },
  },
  '016-rows': {
    async up(db: Kysely<unknown>) {
      // SQLite numbers the rows of all its tables.
      for (const table of isPostgres(db) ? ['symbol_evidence', 'trial', 'outbox'] : [])
        await sql`ALTER TABLE ${sql.table(table)} ADD COLUMN rowid BIGINT GENERATED ALWAYS AS IDENTITY`.execute(
          db,
        );
    },
  },
  '017-lease': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable('lease')
        .addColumn('token', 'integer', (c) => c.primaryKey())
        .addColumn('holder', 'text', (c) => c.notNull())
        .addColumn('beat', 'integer', (c) => c.notNull())
        .addColumn('ends_at', 'bigint', (c) => c.notNull())
        .execute();
      await sql`INSERT INTO lease VALUES (0, '', 0, 0)`.execute(db);
    },
  },
};

/** Name of the newest step. */
export const NEWEST = Object.keys(migrations).toSorted().at(-1) ?? '';

/** What the marks and counts of older rows are. */
async function markRows(db: Kysely<unknown>): Promise<void> {
  await sql`UPDATE run SET live = ${isLive}, passed = ${passedBy}`.execute(db);
  await sql`UPDATE judgement SET package = (SELECT name FROM kernel_build WHERE kernel_build.id = kernel_build),
    passed = (SELECT passed IS NOT NULL FROM run WHERE run.id = run_id)`.execute(db);
  await sql`UPDATE selection SET size = json_array_length(kmods)`.execute(db);
  await sql`UPDATE intent SET again = 1 WHERE kind = 'scratch-build' AND EXISTS (
    SELECT 1 FROM intent AS first WHERE first.kernel_build = intent.kernel_build
      AND first.kmod_build = intent.kmod_build AND first.run_id = intent.run_id AND first.seq < intent.seq)`.execute(
    db,
  );
  await sql`UPDATE rpm_symbols SET used_at = coalesce((SELECT at FROM journal ORDER BY seq DESC LIMIT 1), 0)`.execute(
    db,
  );
}

/** Evidence had every symbol in it: keep the first few there, and move all to `detail`. One row at a time is in memory. */
async function splitEvidence(db: Kysely<unknown>): Promise<void> {
  interface Comparison {
    readonly fromKmods: unknown;
    readonly missing: unknown[];
    readonly changed: unknown[];
    readonly fromBroken: unknown[];
  }
  const some = (all: unknown[]) => ({ count: all.length, first: all.slice(0, 3) });
  const { rows } = await sql<{ id: number }>`SELECT rowid AS id FROM symbol_evidence`.execute(db);
  for (const { id } of rows) {
    const found = await sql<{ evidence: string }>`
      SELECT evidence FROM symbol_evidence WHERE rowid = ${id}`.execute(db);
    const shown = JSON.parse(found.rows[0]?.evidence ?? '') as {
      kmods: { arches: Comparison[] }[];
    };
    const kmods = shown.kmods.map(({ arches, ...of }) => ({
      ...of,
      arches: arches.map(({ fromKmods: _, missing, changed, fromBroken, ...rest }) => ({
        ...rest,
        missing: some(missing),
        changed: some(changed),
        fromBroken: some(fromBroken),
      })),
    }));
    await sql`UPDATE symbol_evidence SET evidence = ${JSON.stringify({ ...shown, kmods })},
      detail = ${pack(shown.kmods)} WHERE rowid = ${id}`.execute(db);
  }
}

async function unendedWaivers(db: Kysely<unknown>) {
  const { rows } = await sql<{ id: number; gate: string | null; kernel: string }>`
    SELECT id, gate, kernel FROM waiver WHERE id NOT IN (SELECT waiver_id FROM waiver_end)`.execute(db);
  return rows;
}

/** Evidence tells which choice of kmods it is of; what came before that choice was of another one. */
async function newEvidence(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE symbol_evidence RENAME TO evidence_by_time`.execute(db);
  await db.schema
    .createTable('symbol_evidence')
    .addColumn('run_id', 'text', (c) => c.notNull().references('run.id'))
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('chosen', 'integer', (c) => c.notNull())
    .addColumn('evidence', 'text', (c) => c.notNull())
    .addColumn('detail', 'blob', (c) => c.notNull())
    .execute();
  if (mayHaveRows(db))
    await sql`INSERT INTO symbol_evidence (run_id, at, chosen, evidence, detail)
    SELECT run_id, at, coalesce((SELECT fact FROM selection
      WHERE selection.run_id = evidence_by_time.run_id AND selection.at <= evidence_by_time.at
      ORDER BY size > 0 DESC, rowid DESC LIMIT 1), 0), evidence, detail
    FROM evidence_by_time ORDER BY rowid`.execute(db);
  await sql`DROP TABLE evidence_by_time`.execute(db);
  await db.schema.createIndex('symbol_evidence_run').on('symbol_evidence').column('run_id').execute();
}

/**
 * What scratch builds showed before there was a table of it: of those that were built in a target itself, since nothing
 * tells of a side tag whose it was, and whose build root shows the kernel.
 */
async function recoverTrials(db: Kysely<unknown>): Promise<void> {
  interface Arch {
    readonly arch: string;
    readonly state: number;
    readonly buildroot: readonly { readonly id: number }[] | null;
    readonly repoId?: number;
    readonly errors: readonly { readonly kind: string }[];
  }
  const { rows } = await sql<{
    run_id: string;
    kmod_build: number;
    kernel_build: number;
    write: string;
    ending: string;
    at: number;
  }>`SELECT run_id, kmod_build, kernel_build, "write", ending, ending.at AS at
    FROM intent JOIN ending ON intent_id = intent.id
    WHERE kind = 'scratch-build' AND kmod_build IS NOT NULL AND kernel_build IS NOT NULL AND how <> 'lost'
      AND run_id NOT IN (SELECT run_id FROM intent WHERE kind = 'create-side-tag')`.execute(db);
  for (const { run_id, kmod_build, kernel_build, write, ending, at } of rows) {
    const { target } = JSON.parse(write) as { target: string };
    const { build } = JSON.parse(ending) as { build?: { arches: readonly Arch[] } };
    for (const { arch, state, buildroot, repoId, errors } of build?.arches ?? []) {
      const alone = buildroot?.length && buildroot.every(({ id }) => id === kernel_build);
      const own = errors.some(({ kind }) => kind === 'source');
      const shows = state === 2 ? 'builds' : state === 5 && own ? 'fails' : undefined;
      if (!alone || !shows) continue;
      await sql`INSERT INTO trial (kmod_build, kernel_build, arch, target, shows, proof, at, run_id, repo)
        VALUES (${kmod_build}, ${kernel_build}, ${arch}, ${target}, ${shows}, 'buildroot', ${at}, ${run_id},
          ${repoId ?? null})`.execute(db);
    }
  }
}

/** What verdicts said of each kmod: their reasons name every one that was not fine, what was broken before with a note. */
async function recoverJudgements(db: Kysely<unknown>): Promise<void> {
  const { rows } = await sql<{
    run_id: string;
    gate: string;
    build_id: number;
    baseline: string | null;
    at: number;
    reasons: string;
    kmods: string;
  }>`SELECT verdict.run_id AS run_id, gate, build_id, baseline, verdict.at AS at, reasons,
      (SELECT kmods FROM selection WHERE selection.run_id = run.id AND kmods <> '[]' ORDER BY rowid DESC LIMIT 1) AS kmods
    FROM verdict JOIN run ON run.id = verdict.run_id ORDER BY seq`.execute(db);
  for (const { run_id, gate, build_id, baseline, at, reasons, kmods } of rows) {
    const said = JSON.parse(reasons) as readonly string[];
    for (const kmod of JSON.parse(kmods ?? '[]') as readonly {
      name: string;
      buildId: number;
      nvr: string;
    }[]) {
      const reason = said.find((text) => text.startsWith(`${kmod.nvr}:`) || text.startsWith(`${kmod.nvr} (`));
      const notes = reason?.slice(kmod.nvr.length, reason.indexOf(':', kmod.nvr.length)) ?? '';
      const outcome = !reason
        ? 'ok'
        : notes.includes('already broken')
          ? 'already-broken'
          : notes.includes('inconclusive')
            ? 'inconclusive'
            : 'broken';
      await sql`INSERT INTO judgement (run_id, gate, kernel_build, kmod, kmod_build, outcome, baseline, at)
        VALUES (${run_id}, ${gate}, ${build_id}, ${kmod.name}, ${kmod.buildId}, ${outcome}, ${baseline}, ${at})`.execute(
        db,
      );
    }
  }
}

/** Replace a table of one row a run by one of any number, in their order. */
async function severalARun(db: Kysely<unknown>, name: string, texts: readonly string[]): Promise<void> {
  const old = `${name}_once`;
  await db.schema.alterTable(name).renameTo(old).execute();
  let table = db.schema
    .createTable(name)
    .addColumn('seq', 'integer', (c) => c.primaryKey().autoIncrement())
    .addColumn('run_id', 'text', (c) => c.notNull().references('run.id'))
    .addColumn('at', 'bigint', (c) => c.notNull());
  for (const text of texts) table = table.addColumn(text, 'text', (c) => c.notNull());
  await table.execute();
  const columns = sql.join(['run_id', 'at', ...texts].map((column) => sql.ref(column)));
  if (mayHaveRows(db))
    await sql`INSERT INTO ${sql.table(name)} (${columns}) SELECT ${columns} FROM ${sql.table(old)} ORDER BY rowid`.execute(
      db,
    );
  await db.schema.dropTable(old).execute();
  await db.schema.createIndex(`${name}_run`).on(name).columns(['run_id', 'seq']).execute();
}

/** Migrations in the order of their names. */
export const migrationProvider: MigrationProvider = { getMigrations: async () => migrations };
