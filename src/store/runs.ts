/** Runs: how they begin and end, and which there are. */
import { type RawBuilder, sql } from 'kysely';
import type { Judged, Judgement, LastJudged } from '../core/baseline.ts';
import type { Baseline, Run } from '../core/model.ts';
import { matcher } from '../core/names.ts';
import { lastRetry, STABLELIST, waiverFor } from '../core/people.ts';
import { plural } from '../core/wording.ts';
import { kernelOf } from './kernels.ts';
import { assertHeard } from './people.ts';
import { query } from './query.ts';
import { type Base, everyRun, of, type Tx } from './record.ts';
import { isLive, passedBy } from './schema.ts';
import type { Store } from './store.ts';

interface OfJudged {
  readonly gate: string;
  /** Of the kernel's package. */
  readonly name: string;
  /** The kernel that is being judged. */
  readonly except: number;
}

/** The runs of all gates. */
export function runFacts({ db, record, cache }: Base) {
  const latest = query(db, ({ gate, build }: { gate: string; build: number }) =>
    db
      .selectFrom('run')
      .select('id')
      .where('gate', '=', gate)
      .where('build_id', '=', build)
      .orderBy('generation', 'desc')
      .limit(1),
  );
  const ofBuild = query(db, ({ build }: { build: number }) =>
    db.selectFrom('run').select('id').where('build_id', '=', build).orderBy('fact', 'desc'),
  );
  const live = query(db, () =>
    db
      .selectFrom('run')
      .innerJoin('kernel_build', 'kernel_build.id', 'run.build_id')
      .select(['run.id', 'gate', 'build_id', 'nvr', 'name', 'epoch', 'version', 'release'])
      .where(sql<boolean>`live = 1`)
      .orderBy('build_id')
      .orderBy('gate'),
  );
  const passed = query(db, ({ gate, name, build }: { gate: string; name: string; build: number }) =>
    db
      .selectFrom('run')
      .innerJoin('kernel_build', 'kernel_build.id', 'run.build_id')
      .select(['kernel_build.id as id', 'nvr', 'name', 'epoch', 'version', 'release'])
      .where('gate', '=', gate)
      .where('name', '=', name)
      .where('build_id', '!=', build)
      .where(letThrough)
      .orderBy('passed', 'desc')
      .limit(1),
  );
  const judgements = () =>
    db
      .selectFrom('judgement')
      .innerJoin('kernel_build', 'kernel_build.id', 'judgement.kernel_build')
      .select(['kmod', 'kmod_build', 'outcome', 'judgement.baseline as baseline'])
      .select(['kernel_build.id as id', 'nvr'])
      .orderBy('seq', 'desc');
  const judgedOf = query(db, ({ gate, name, except, kernel }: OfJudged & { kernel: number }) =>
    judgements()
      .where('judgement.kernel_build', '=', kernel)
      .where('judgement.kernel_build', '!=', except)
      .where('gate', '=', gate)
      .where('package', '=', name),
  );
  /** The newest judgement of each kmod, and the newest that is not already broken: a look into an index for each. */
  const judgedOfPassed = query(db, ({ gate, name, except }: OfJudged) => {
    const passedOf = sql`gate = ${gate} AND package = ${name} AND passed = 1`;
    const newest = (which: RawBuilder<unknown>) => sql`(
      SELECT one.seq FROM judgement AS one JOIN run ON run.id = one.run_id
      WHERE one.gate = ${gate} AND one.package = ${name} AND one.passed = 1 AND one.kmod = names.kmod AND ${which}
        AND one.kernel_build <> ${except} AND ${letThrough}
      ORDER BY one.seq DESC LIMIT 1)`;
    return judgements().where(
      'seq',
      'in',
      sql<number>`(
      WITH RECURSIVE names (kmod) AS (
        SELECT min(kmod) FROM judgement WHERE ${passedOf}
        UNION ALL
        SELECT (SELECT min(kmod) FROM judgement WHERE ${passedOf} AND kmod > names.kmod) FROM names
        WHERE names.kmod IS NOT NULL)
      SELECT ${newest(sql`true`)} FROM names
      UNION SELECT ${newest(sql`one.outcome <> 'already-broken'`)} FROM names)`,
    );
  });
  const run: Store['run'] = async (id) => {
    const [found] = await cache.read([id]);
    return found;
  };
  const allLive = cache.remember(async () =>
    (await live({})).map((row) => ({
      id: row.id,
      gate: row.gate,
      kernel: kernelOf({ ...row, id: row.build_id }),
    })),
  );
  const liveKernels: Store['liveKernels'] = async (gate) => {
    const all = await allLive();
    return gate === undefined ? all : all.filter((run) => run.gate === gate);
  };
  return {
    run,
    liveKernels,
    async beginRun(run) {
      const { id, gate, generation, entry, startedAt, strategy } = run;
      const text = `stands before the gate: ${plural(run.kmods.length, 'kmod')} to try`;
      const insert = async (tx: Tx, fact: number) => {
        const row = {
          id,
          fact,
          gate,
          build_id: run.kernel.id,
          generation,
          entry,
          tags: JSON.stringify(run.tags),
          started_at: startedAt,
          strategy,
          baseline: run.baseline && JSON.stringify(run.baseline),
        };
        await tx.insertInto('run').values(row).execute();
        await tx
          .insertInto('selection')
          .values({
            run_id: id,
            at: startedAt,
            fact,
            kmods: JSON.stringify(run.kmods),
            size: run.kmods.length,
          })
          .execute();
      };
      // It may be the next one that a waiver speaks of.
      await record([{ at: startedAt, kind: 'run', ...of(run), text }], insert, everyRun);
    },
    async select(run, kmods, at) {
      const retry = lastRetry(run);
      const named = kmods.filter(({ name }) => matcher([retry?.kmod ?? '*'])(name)).length;
      const many = plural(kmods.length, 'kmod');
      const text = !retry
        ? `${many} to try`
        : retry.kmod === null
          ? `tries again what is not fine of ${many}`
          : `${named} of ${many} to try again`;
      const row = { run_id: run.id, at, kmods: JSON.stringify(kmods), size: kmods.length };
      await record([{ at, kind: 'run', ...of(run), text }], (tx, fact) =>
        tx
          .insertInto('selection')
          .values({ ...row, fact })
          .execute(),
      );
    },
    async findBaseline(run, baseline, { repo, event = null, why }, at) {
      const asked = event === null ? why : `a repo with ${baseline.nvr} can be made: of event ${event}`;
      const text = repo === null ? asked : `repo ${repo} holds ${baseline.nvr}`;
      const row = { run_id: run.id, kernel_build: baseline.id, at, repo, why, event };
      await record([{ at, kind: 'run', ...of(run), text }], (tx, fact) =>
        tx
          .insertInto('baseline_repo')
          .values({ ...row, fact })
          .execute(),
      );
    },
    async judge(run, { verdict, reasons, overdue }, kmods, at) {
      const text = `verdict ${verdict}: ${reasons.join('; ')}`;
      const row = { verdict, reasons: JSON.stringify(reasons), overdue: Number(overdue ?? false) };
      const judgements = kmods.map(({ kmod, kmodBuild, outcome, baseline }) => ({
        run_id: run.id,
        gate: run.gate,
        kernel_build: run.kernel.id,
        kmod,
        kmod_build: kmodBuild,
        outcome,
        baseline: baseline && JSON.stringify(baseline),
        at,
        package: run.kernel.name,
        passed: Number(verdict === 'promote'),
      }));
      const tally = JSON.stringify(tallyOf(run, kmods, at));
      await record([{ at, kind: 'verdict', ...of(run), text }], async (tx, fact) => {
        await tx
          .insertInto('verdict')
          .values({ run_id: run.id, at, fact, ...row, tally })
          .execute();
        for (const judgement of judgements) await tx.insertInto('judgement').values(judgement).execute();
        await mark(tx, run);
        await assertHeard(tx, run);
      });
    },
    async closeRun(run, closing) {
      const { at, how, why } = closing;
      await record([{ at, kind: 'closed', ...of(run), text: `${how}: ${why}` }], async (tx) => {
        await tx.insertInto('closing').values({ run_id: run.id, at, how, why }).execute();
        await mark(tx, run);
        await assertHeard(tx, run);
      });
    },
    async reopen(run, why, at) {
      await record([{ at, kind: 'person', ...of(run), text: `opened again: ${why}` }], async (tx) => {
        await tx.insertInto('closing').values({ run_id: run.id, at, how: 'reopened', why }).execute();
        await mark(tx, run);
      });
    },
    async latestRun(gate, build) {
      const [row] = await latest({ gate, build });
      return row && run(row.id);
    },
    async liveRuns(gate) {
      return cache.read(idsOf(await liveKernels(gate)));
    },
    async runs(limit) {
      const rows = await db
        .selectFrom('run')
        .select('id')
        .where('pruned_at', 'is', null)
        .orderBy('fact', 'desc')
        .limit(limit)
        .execute();
      return cache.read(idsOf(rows));
    },
    async runsOf(build) {
      return cache.read(idsOf(await ofBuild({ build })));
    },
    async lastPassed(gate, name, build) {
      const [row] = await passed({ gate, name, build });
      return row && kernelOf(row);
    },
    async lastJudged(gate, name, { kernel, except }) {
      const rows = await (kernel === null
        ? judgedOfPassed({ gate, name, except })
        : judgedOf({ gate, name, except, kernel }));
      const newest = new Map<string, LastJudged>();
      for (const { kmod, kmod_build, outcome, baseline, id, nvr } of rows) {
        const known = newest.get(kmod);
        if (known?.fine) continue;
        const measured = baseline === null ? null : (JSON.parse(baseline) as Baseline);
        const what = { kmod, kmodBuild: kmod_build, outcome: outcome as Judged['outcome'] };
        const judged: Judged = { ...what, baseline: measured, kernel: { id, nvr } };
        const fine = outcome === 'already-broken' ? undefined : judged;
        newest.set(kmod, { last: known?.last ?? judged, fine });
      }
      return newest;
    },
  } satisfies Partial<Store>;
}

/** Whether a gate has let the kernel of `run` through: also where it still rebuilds kmods, and has tagged. */
const letThrough = sql<boolean>`(run.passed IS NOT NULL AND (run.live = 0 OR EXISTS (
  SELECT 1 FROM intent JOIN ending ON ending.intent_id = intent.id
  WHERE intent.run_id = run.id AND kind IN ('tag', 'untag') AND how = 'done'
    AND intent.fact > (SELECT fact FROM verdict WHERE seq = run.passed))))`;

/** Make the marks of a run say what its verdicts and closings do. Called once those are in. */
async function mark(tx: Tx, { id, gate, kernel }: Pick<Run, 'id' | 'gate' | 'kernel'>): Promise<void> {
  await sql`UPDATE run SET live = ${isLive}, passed = ${passedBy} WHERE id = ${id}`.execute(tx);
  const passed = sql`(SELECT CASE WHEN passed IS NULL THEN 0 ELSE 1 END FROM run WHERE id = ${id})`;
  await sql`UPDATE judgement SET passed = ${passed}
    WHERE kernel_build = ${kernel.id} AND gate = ${gate} AND run_id = ${id} AND passed <> ${passed}`.execute(
    tx,
  );
}

/** How many kmods have each outcome, those that a waiver spares as `waived`; the stablelist is none. */
function tallyOf(run: Run, judged: readonly Judgement[], at: number): Record<string, number> {
  const tally: Record<string, number> = {};
  for (const { kmod, outcome } of judged) {
    if (kmod === STABLELIST) continue;
    const counts = outcome === 'ok' || outcome === 'already-broken';
    const word = !counts && waiverFor(run, kmod, at) ? 'waived' : outcome;
    tally[word] = (tally[word] ?? 0) + 1;
  }
  return tally;
}

const idsOf = (rows: readonly { id: string }[]): string[] => rows.map(({ id }) => id);
