/** Runs: how they begin and end, and which there are. */
import { sql } from 'kysely';
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
    async findBaseline(run, { repo, why }, at) {
      const text = repo === null ? why : `repo ${repo} holds ${run.baseline?.nvr}`;
      await record([{ at, kind: 'run', ...of(run), text }], (tx) =>
        tx.insertInto('baseline_repo').values({ run_id: run.id, at, repo, why }).execute(),
      );
    },
    async judge(run, verdict, reasons, at) {
      const last_order = run.orders.at(-1)?.id ?? 0;
      const row = { run_id: run.id, at, verdict, reasons: JSON.stringify(reasons), last_order };
      await record(
        [{ at, kind: 'verdict', ...of(run), text: `verdict ${verdict}: ${reasons.join('; ')}` }],
        (tx) => tx.insertInto('verdict').values(row).execute(),
      );
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
    async lastPromoted(gate, name, build) {
      const row = await db
        .selectFrom('run')
        .innerJoin('kernel_build', 'kernel_build.id', 'run.build_id')
        .select('run.id as id')
        .where('gate', '=', gate)
        .where('name', '=', name)
        .where('build_id', '!=', build)
        .where(sql<boolean>`${lastClosing} = 'done'`)
        .where(sql<boolean>`${lastVerdict} = 'promote'`)
        .orderBy(sql`(SELECT max(seq) FROM closing WHERE closing.run_id = run.id)`, 'desc')
        .executeTakeFirst();
      return row && run(row.id);
    },
  } satisfies Partial<Store>;
}

const idsOf = (rows: readonly { id: string }[]): string[] => rows.map(({ id }) => id);
