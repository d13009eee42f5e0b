/**
 * Tables, and the migrations that make them. Rows are facts: inserted, and never changed; but see `heard` and
 * `kernel_build`. Marks (`run.live`, `run.passed`, `judgement.passed`) repeat what follows from other facts, so that what
 * is alive is found without its history; `runs.ts` keeps them. What `prune.ts` takes away nobody needs any more.
 */
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
import { type Generated, type Kysely, type Migration, type MigrationProvider, sql } from 'kysely';

/** JSON travels as text, or packed where it is much; times are milliseconds since the epoch. */
export interface Tables {
  /** One row: an id of this store, so that two installations tell their scratch builds apart. */
  installation: { id: string };
  /** The URL of the hub whose numbers are in here; the newest counts, as hubs move. */
  hub: { seq: Generated<number>; url: string };
  /** Its names are the hub's of now: a draft has others once it is promoted. */
  kernel_build: {
    id: number;
    nvr: string;
    name: string;
    epoch: number | null;
    version: string;
    release: string;
    seen_at: number;
    /** Its NVR as a draft, where it was one and is promoted: a waiver for that name still speaks of it. */
    draft_nvr: string | null;
  };
  run: {
    id: string;
    gate: string;
    build_id: number;
    generation: number;
    entry: number;
    tags: string;
    started_at: number;
    strategy: string;
    baseline: string | null;
    /** Mark: 1 while it is not closed, or was opened again. */
    live: Generated<number>;
    /**
     * Mark: `seq` of its newest verdict where that says promote, and the run is live or was closed as done; else null. The
     * gate let the kernel through, once a live one has changed tags.
     */
    passed: Generated<number | null>;
    /** When what only it needs was taken away; null: it has all. */
    pruned_at: Generated<number | null>;
  };
  /** A repo that still holds a baseline of a run, or why there is none. */
  baseline_repo: {
    run_id: string;
    kernel_build: number;
    at: number;
    repo: number | null;
    why: string;
    event: number | null;
  };
  /**
   * What scratch builds showed: one kmod build, one architecture, one kernel build, one build target. What says nothing
   * of the kmod is no row. `repo` held that kernel.
   */
  trial: {
    kmod_build: number;
    kernel_build: number;
    arch: string;
    target: string;
    shows: string;
    proof: string;
    at: number;
    run_id: string;
    repo: number | null;
  };
  /** What a verdict said of each kmod, and of the stablelist by that name. */
  judgement: {
    seq: Generated<number>;
    run_id: string;
    gate: string;
    kernel_build: number;
    kmod: string;
    kmod_build: number;
    outcome: string;
    /** What it was measured by; null: nothing. */
    baseline: string | null;
    at: number;
    /** Name of the kernel's package. */
    package: string;
    /** Mark: whether `passed` of its run is set. */
    passed: number;
  };
  /**
   * What symbols show of a run; read anew when its kmods are chosen anew. `detail`, the packed list of every symbol,
   * comes last: SQLite reads no further than the last column that is asked for.
   */
  symbol_evidence: { run_id: string; at: number; evidence: string; detail: Uint8Array };
  /**
   * Symbols that an rpm provides and requires, packed; as text where an older kmod-gate wrote them. An rpm never changes.
   * `build_id` is null where nobody knows which build made it; `used_at` is the day, or nearly, on which it was last read.
   */
  rpm_symbols: { rpm_id: number; symbols: Uint8Array | string; build_id: number | null; used_at: number };
  /** The kmods of a run, and how many. An empty choice is made again. */
  selection: { run_id: string; at: number; kmods: string; size: number };
  /** What was asked of the hub, recorded before it was sent. `seq` keeps their order. */
  intent: {
    id: string;
    run_id: string;
    seq: number;
    kind: string;
    write: string;
    asked_at: number;
    /** Of scratch builds: what is built, and against which kernel build. */
    kmod_build: number | null;
    kernel_build: number | null;
    /** 1 where the run had asked for the same pair before. */
    again: number;
  };
  /** What the hub answered. */
  receipt: { intent_id: string; at: number; task_id: number | null; receipt: string };
  /** How it ended. */
  ending: { intent_id: string; at: number; how: string; ending: string };
  /** The newest of a run counts, unless a retry was ordered after `last_order`. `overdue`: the end of a hold gave it. */
  verdict: {
    seq: Generated<number>;
    run_id: string;
    at: number;
    verdict: string;
    reasons: string;
    last_order: number;
    overdue: number;
    /** How many kmods have each outcome, those that a waiver spared as `waived`. */
    tally: string;
  };
  /** The newest of a run counts; `reopened` makes it a live one again. */
  closing: { seq: Generated<number>; run_id: string; at: number; how: string; why: string };
  waiver: {
    id: Generated<number>;
    at: number;
    by: string;
    reason: string;
    gate: string | null;
    kernel: string;
    kmod: string;
    until: number | null;
  };
  waiver_end: { waiver_id: number; at: number; by: string };
  /** What persons asked of runs. */
  run_order: {
    id: Generated<number>;
    run_id: string;
    at: number;
    by: string;
    kind: string;
    reason: string;
    kmod: string | null;
  };
  journal: {
    seq: Generated<number>;
    at: number;
    kind: string;
    gate: string | null;
    build_id: number;
    run_id: string | null;
    text: string;
  };
  /** The newest message of each queue: the one table whose rows are replaced. No decision rests on it. */
  heard: { queue: string; at: number; routing_key: string; understood: number };
}

/** How the last closing of `run` is; `reopened` where there is none. */
const lastClosing = sql`coalesce((
  SELECT how FROM closing WHERE closing.run_id = run.id ORDER BY closing.seq DESC LIMIT 1), 'reopened')`;

/** What the marks `live` and `passed` of `run` repeat. */
export const isLive = sql<number>`${lastClosing} = 'reopened'`;
export const passedBy = sql<number | null>`CASE WHEN ${lastClosing} IN ('reopened', 'done') THEN (
  SELECT seq FROM (SELECT verdict.seq AS seq, verdict FROM verdict WHERE verdict.run_id = run.id
    ORDER BY verdict.seq DESC LIMIT 1) WHERE verdict = 'promote') END`;

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
        .addColumn('symbols', 'text', (c) => c.notNull())
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
        .addColumn('detail', 'blob', (c) => c.notNull().defaultTo(sql`x''`))
        .execute();
      await splitEvidence(db);
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
      await sql`INSERT INTO baseline_repo (run_id, kernel_build, at, repo, why)
        SELECT run_id, json_extract(run.baseline, '$.id'), at, repo, why
        FROM baseline_repo_once JOIN run ON run.id = run_id WHERE run.baseline IS NOT NULL`.execute(db);
      await db.schema.dropTable('baseline_repo_once').execute();
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
        "rpm_unpacked ON rpm_symbols (rpm_id) WHERE typeof(symbols) = 'text'",
      ])
        await sql.raw(`CREATE INDEX ${index}`).execute(db);
      // The judgements of older verdicts are found by their kernel.
      await sql`UPDATE verdict SET tally = (SELECT coalesce(json_group_object(outcome, kmods), '{}') FROM (
        SELECT outcome, count(*) AS kmods FROM judgement JOIN run ON run.id = verdict.run_id
        WHERE judgement.kernel_build = run.build_id AND judgement.gate = run.gate
          AND judgement.run_id = verdict.run_id AND judgement.at = verdict.at AND kmod_build <> 0
        GROUP BY outcome))`.execute(db);
    },
  },
  '011-moments': {
    async up(db: Kysely<unknown>) {
      await db.schema.alterTable('baseline_repo').addColumn('event', 'integer').execute();
    },
  },
};

/** How text is packed: the best that still is quick. */
export const PACKING = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } };

/** JSON in a fraction of its size: symbols repeat from kmod to kmod, farther apart than gzip looks back. */
export function pack(value: unknown): Uint8Array {
  return brotliCompressSync(JSON.stringify(value), PACKING);
}

/** What was packed. */
export const unpack = (packed: Uint8Array): unknown => JSON.parse(brotliDecompressSync(packed).toString());

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
  await sql`INSERT INTO ${sql.table(name)} (${columns}) SELECT ${columns} FROM ${sql.table(old)} ORDER BY rowid`.execute(
    db,
  );
  await db.schema.dropTable(old).execute();
  await db.schema.createIndex(`${name}_run`).on(name).columns(['run_id', 'seq']).execute();
}

/** Migrations in the order of their names. */
export const migrationProvider: MigrationProvider = { getMigrations: async () => migrations };
