/** Runs: how they begin and end, and which there are. */
import { sql } from 'kysely';
import type { Judged, LastJudged } from '../core/baseline.ts';
import type { Baseline } from '../core/model.ts';
import { plural } from '../core/wording.ts';
import { kernelOf } from './kernels.ts';
import { assertHeard } from './people.ts';
import { query } from './query.ts';
import { type Base, everyRun, of, type Tx } from './record.ts';
import { lastClosing, lastVerdict } from './schema.ts';
import type { Store } from './store.ts';

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
    db
      .selectFrom('run')
      .select('id')
      .where('build_id', '=', build)
      .orderBy('started_at', 'desc')
      .orderBy('generation', 'desc'),
  );
  const notClosed = db
    .selectFrom('run')
    .innerJoin('kernel_build', 'kernel_build.id', 'run.build_id')
    .select(['run.id', 'gate', 'build_id', 'nvr', 'name', 'epoch', 'version', 'release'])
    .where(sql<boolean>`coalesce(${lastClosing}, 'reopened') = 'reopened'`)
    .orderBy('build_id');
  const live = query(db, () => notClosed);
  const liveOf = query(db, ({ gate }: { gate: string }) => notClosed.where('gate', '=', gate));
  const run: Store['run'] = async (id) => {
    const [found] = await cache.read([id]);
    return found;
  };
  const liveKernels: Store['liveKernels'] = async (gate) => {
    const rows = await (gate === undefined ? live({}) : liveOf({ gate }));
    return rows.map((row) => ({
      id: row.id,
      gate: row.gate,
      kernel: kernelOf({ ...row, id: row.build_id }),
    }));
  };
  return {
    run,
    liveKernels,
    async beginRun(run) {
      const { id, gate, generation, entry, startedAt, strategy } = run;
      const text = `stands before the gate: ${plural(run.kmods.length, 'kmod')} to try`;
      const insert = async (tx: Tx) => {
        const row = {
          id,
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
          .values({ run_id: id, at: startedAt, kmods: JSON.stringify(run.kmods) })
          .execute();
      };
      // It may be the next one that a waiver speaks of.
      await record([{ at: startedAt, kind: 'run', ...of(run), text }], insert, everyRun);
    },
    async select(run, kmods, at) {
      await record([{ at, kind: 'run', ...of(run), text: `${plural(kmods.length, 'kmod')} to try` }], (tx) =>
        tx
          .insertInto('selection')
          .values({ run_id: run.id, at, kmods: JSON.stringify(kmods) })
          .execute(),
      );
    },
    async findBaseline(run, baseline, { repo, why }, at) {
      const text = repo === null ? why : `repo ${repo} holds ${baseline.nvr}`;
      const row = { run_id: run.id, kernel_build: baseline.id, at, repo, why };
      await record([{ at, kind: 'run', ...of(run), text }], (tx) =>
        tx.insertInto('baseline_repo').values(row).execute(),
      );
    },
    async judge(run, { verdict, reasons, overdue }, kmods, at) {
      const last_order = run.orders.at(-1)?.id ?? 0;
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
      }));
      await record([{ at, kind: 'verdict', ...of(run), text }], async (tx) => {
        await tx
          .insertInto('verdict')
          .values({ run_id: run.id, at, ...row, last_order })
          .execute();
        for (const judgement of judgements) await tx.insertInto('judgement').values(judgement).execute();
      });
    },
    async closeRun(run, closing) {
      const { at, how, why } = closing;
      await record([{ at, kind: 'closed', ...of(run), text: `${how}: ${why}` }], async (tx) => {
        await tx.insertInto('closing').values({ run_id: run.id, at, how, why }).execute();
        await assertHeard(tx, run);
      });
    },
    async reopen(run, why, at) {
      await record([{ at, kind: 'person', ...of(run), text: `opened again: ${why}` }], (tx) =>
        tx.insertInto('closing').values({ run_id: run.id, at, how: 'reopened', why }).execute(),
      );
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
        .orderBy('started_at', 'desc')
        .orderBy('build_id', 'desc')
        .limit(limit)
        .execute();
      return cache.read(idsOf(rows));
    },
    async runsOf(build) {
      return cache.read(idsOf(await ofBuild({ build })));
    },
    async lastPassed(gate, name, build) {
      const row = await db
        .selectFrom('run')
        .innerJoin('kernel_build', 'kernel_build.id', 'run.build_id')
        .select(['kernel_build.id as id', 'nvr', 'name', 'epoch', 'version', 'release'])
        .where('gate', '=', gate)
        .where('name', '=', name)
        .where('build_id', '!=', build)
        .where(letThrough)
        .orderBy(sql`(SELECT max(seq) FROM verdict WHERE verdict.run_id = run.id)`, 'desc')
        .executeTakeFirst();
      return row && kernelOf(row);
    },
    async lastJudged(gate, name, { kernel, except }) {
      let of = db
        .selectFrom('judgement')
        .innerJoin('run', 'run.id', 'judgement.run_id')
        .innerJoin('kernel_build', 'kernel_build.id', 'judgement.kernel_build')
        .select([
          'kmod',
          'kmod_build',
          'outcome',
          'judgement.baseline as baseline',
          'kernel_build.id as id',
          'nvr',
        ])
        .where('judgement.gate', '=', gate)
        .where('name', '=', name)
        .where('kernel_build.id', '!=', except)
        .orderBy('seq', 'desc');
      of = kernel === null ? of.where(letThrough) : of.where('kernel_build.id', '=', kernel);
      const newest = new Map<string, LastJudged>();
      for (const { kmod, kmod_build, outcome, baseline, id, nvr } of await of.limit(JUDGED_MOST).execute()) {
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

/** What was judged of kmods that have been gone for so long does not count. */
const JUDGED_MOST = 20_000;

/** Whether a gate has let the kernel of `run` through: also where it still rebuilds kmods, and has tagged. */
const letThrough = sql<boolean>`(${lastVerdict} = 'promote' AND (${lastClosing} = 'done' OR (
  coalesce(${lastClosing}, 'reopened') = 'reopened' AND EXISTS (
    SELECT 1 FROM intent JOIN ending ON ending.intent_id = intent.id
    WHERE intent.run_id = run.id AND kind IN ('tag', 'untag') AND how = 'done'
      AND asked_at >= (SELECT at FROM verdict WHERE verdict.run_id = run.id ORDER BY seq DESC LIMIT 1)))))`;

const idsOf = (rows: readonly { id: string }[]): string[] => rows.map(({ id }) => id);
