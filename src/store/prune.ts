/** Taking away what nobody needs any more, so that a store does not grow for ever. */
import { setImmediate as breathe } from 'node:timers/promises';
import { sql } from 'kysely';
import { baselineIds } from '../core/baseline.ts';
import type { Outcome } from '../core/cell.ts';
import { isPostgres, wordsOf } from './dialect.ts';
import type { Base } from './record.ts';
import type { Store } from './store.ts';
import { packAside } from './symbols.ts';

/** So many steps in a row; the next call goes on. A step is one transaction: a run, or some rpms. */
const STEPS = 50;
/** A kernel has dozens of rpms with symbols, a tenth of a megabyte each. */
const RPMS_A_STEP = 20;

/** What only they were for who looked at a run while it was young: what was asked, answered, seen. */
const DETAILS = sql`('asked', 'answered', 'ended', 'symbols', 'causes', 'state')`;
/** Tags and side tags stay: whose hand moved a kernel is asked of all runs that it ever had. Rebuilds are what came of it. */
const TRIES = sql`('scratch-build', 'cancel', 'request-repo')`;

/** @param store what is asked of runs, to see what is needed still */
export function pruning(
  { db, cache, record }: Base,
  store: Pick<Store, 'liveKernels' | 'lastPassed' | 'lastJudged'>,
) {
  const { numbers } = wordsOf(db);
  /**
   * Runs of which the details may go. One that blocks may be opened again by a waiver, unless the kernel came a second
   * time; what is known of a kernel counts as long as any run on it lives; and of each gate and package the newest run and
   * the newest that passed stay as they are.
   */
  async function oldRuns(before: number): Promise<readonly { id: string; build: number }[]> {
    const ended = sql`(SELECT max(seq) FROM closing WHERE closing.run_id = run.id)`;
    const { rows } = await sql<{ id: string; build: number }>`
      SELECT run.id AS id, run.build_id AS build
      FROM run JOIN kernel_build AS kernel ON kernel.id = run.build_id JOIN closing ON closing.seq = ${ended}
        LEFT JOIN verdict ON verdict.seq = (SELECT max(seq) FROM verdict WHERE verdict.run_id = run.id)
      WHERE run.live = 0 AND run.pruned_at IS NULL AND run.started_at < ${before} AND closing.at < ${before}
        AND (verdict IS NULL OR verdict = 'promote' OR how NOT IN ('done', 'observed') OR EXISTS (
          SELECT 1 FROM run AS again WHERE again.gate = run.gate AND again.build_id = run.build_id
            AND again.generation > run.generation))
        AND NOT EXISTS (SELECT 1 FROM run AS going WHERE going.build_id = run.build_id AND going.live = 1)
        AND EXISTS (
          SELECT 1 FROM run AS newer JOIN kernel_build AS other ON other.id = newer.build_id
          WHERE newer.gate = run.gate AND newer.fact > run.fact AND other.name = kernel.name)
        AND (run.passed IS NULL OR EXISTS (
          SELECT 1 FROM run AS newer JOIN kernel_build AS other ON other.id = newer.build_id
          WHERE newer.gate = run.gate AND newer.passed > run.passed AND newer.live = 0
            AND other.name = kernel.name))
      ORDER BY run.started_at LIMIT ${STEPS}`.execute(db);
    return rows;
  }

  async function pruneRun({ id, build }: { id: string; build: number }, now: number): Promise<void> {
    await record(
      [],
      async (tx) => {
        await sql`UPDATE run SET pruned_at = ${now}, unexplained = 0 WHERE id = ${id}`.execute(tx);
        const tries = sql`(SELECT id FROM intent WHERE run_id = ${id} AND kind IN ${TRIES})`;
        await sql`DELETE FROM receipt WHERE intent_id IN ${tries}`.execute(tx);
        await sql`DELETE FROM ending WHERE intent_id IN ${tries}`.execute(tx);
        await sql`DELETE FROM intent WHERE run_id = ${id} AND kind IN ${TRIES}`.execute(tx);
        await sql`DELETE FROM symbol_evidence WHERE run_id = ${id}`.execute(tx);
        await sql`DELETE FROM baseline_repo WHERE run_id = ${id}`.execute(tx);
        await sql`DELETE FROM explanation WHERE run_id = ${id}`.execute(tx);
        await sql`DELETE FROM journal WHERE build_id = ${build} AND run_id = ${id} AND kind IN ${DETAILS}`.execute(
          tx,
        );
      },
      (run) => run.id === id,
    );
  }

  /** Builds whose rpms a run may want to be compared with, the files of which the hub may have no more. */
  async function neededBuilds(): Promise<Set<number>> {
    const { rows: streams } = await sql<{ gate: string; name: string; newest: string }>`
      SELECT stream.gate, stream.name, run.id AS newest FROM (
        SELECT gate, name, max(fact) AS fact FROM run JOIN kernel_build ON kernel_build.id = build_id
        GROUP BY gate, name) AS stream
      JOIN run ON run.fact = stream.fact AND run.gate = stream.gate`.execute(db);
    const live = await store.liveKernels();
    const ids = new Set([...live.map(({ id }) => id), ...streams.map(({ newest }) => newest)]);
    const needed = new Set<number>();
    for (const { kernel, kmods, baseline } of await cache.read([...ids]))
      for (const id of [kernel.id, ...kmods.map(({ buildId }) => buildId), ...baselineIds(kmods, baseline)])
        needed.add(id);
    for (const { gate, name } of streams) {
      const passed = await store.lastPassed(gate, name, 0);
      if (passed) needed.add(passed.id);
      const judged = await store.lastJudged(gate, name, { kernel: null, except: 0 });
      for (const { last, fine } of judged.values())
        for (const one of [last, fine]) {
          if (one) needed.add(one.kernel.id);
          if (one?.baseline) needed.add(one.baseline.id);
        }
    }
    return needed;
  }

  /** Whether there were any. */
  async function pruneRpms(before: number, needed: ReadonlySet<number>): Promise<boolean> {
    const { numAffectedRows = 0n } = await sql`DELETE FROM rpm_symbols WHERE rpm_id IN (
      SELECT rpm_id FROM rpm_symbols WHERE used_at < ${before} AND build_id IS NOT NULL
        AND build_id NOT IN ${numbers(JSON.stringify([...needed]))}
      ORDER BY used_at LIMIT ${RPMS_A_STEP})`.execute(db);
    return numAffectedRows > 0n;
  }

  /** Whether there were any; megabytes each. */
  async function pruneTypes(before: number, needed: ReadonlySet<number>): Promise<boolean> {
    const { numAffectedRows = 0n } = await sql`DELETE FROM kernel_types WHERE (build_id, arch) IN (
      SELECT build_id, arch FROM kernel_types WHERE used_at < ${before}
        AND build_id NOT IN ${numbers(JSON.stringify([...needed]))}
      LIMIT 1)`.execute(db);
    return numAffectedRows > 0n;
  }

  /** Pack an rpm's symbols that an older kmod-gate wrote as text. Whether there was one. */
  async function packRpm(): Promise<boolean> {
    if (isPostgres(db)) return false;
    const { rows } = await sql<{ rpm_id: number; symbols: string }>`
      SELECT rpm_id, symbols FROM rpm_symbols WHERE typeof(symbols) = 'text' LIMIT 1`.execute(db);
    const [row] = rows;
    if (!row) return false;
    const symbols = await packAside(row.symbols);
    await db.updateTable('rpm_symbols').set({ symbols }).where('rpm_id', '=', row.rpm_id).execute();
    return true;
  }

  return {
    async prune(now, keep, stop) {
      let steps = 0;
      const goesOn = () => steps < STEPS && !stop?.aborted;
      const step = async (what: Promise<unknown>) => {
        steps += 1;
        const done = await what;
        // Whoever waits for the event loop comes before the next step.
        await breathe();
        return done !== false;
      };
      for (const run of await oldRuns(now - keep)) if (goesOn()) await step(pruneRun(run, now));
      const { rows } =
        await sql`SELECT 1 FROM rpm_symbols WHERE used_at < ${now - keep} AND build_id IS NOT NULL
        UNION ALL SELECT 1 FROM kernel_types WHERE used_at < ${now - keep} LIMIT 1`.execute(db);
      const needed = rows.length > 0 ? await neededBuilds() : undefined;
      while (needed && goesOn() && (await step(pruneRpms(now - keep, needed))));
      while (needed && goesOn() && (await step(pruneTypes(now - keep, needed))));
      while (goesOn() && (await step(packRpm())));
      return steps === STEPS;
    },
    async prunedAt(id) {
      const row = await db.selectFrom('run').select('pruned_at').where('id', '=', id).executeTakeFirst();
      return row?.pruned_at ?? null;
    },
    async judgedIn({ id, gate, kernel }) {
      const rows = await db
        .selectFrom('judgement')
        .select(['kmod', 'outcome'])
        .where('kernel_build', '=', kernel.id)
        .where('gate', '=', gate)
        .where('run_id', '=', id)
        .orderBy('seq')
        .execute();
      return new Map(rows.map(({ kmod, outcome }) => [kmod, outcome as Outcome]));
    },
  } satisfies Partial<Store>;
}
