/** Reading a run: all its facts, from every table. */
import { type Kysely, sql } from 'kysely';
import { baselineIds } from '../core/baseline.ts';
import type { Closing, Intent, Kmod, Order, PastTrial, Run, Strategy, Verdict } from '../core/model.ts';
import { isVoid, lastRetry } from '../core/people.ts';
import { wordsOf } from './dialect.ts';
import { kernelOf } from './kernels.ts';
import { waiverReader } from './people.ts';
import { query } from './query.ts';
import type { Tables } from './schema.ts';

interface OfRun {
  readonly id: string;
}

/** @returns reads all that is known of a run */
export function runReader(db: Kysely<Tables>): (id: string) => Promise<Run | undefined> {
  const rowOf = query(db, ({ id }: OfRun) =>
    db
      .selectFrom('run')
      .innerJoin('kernel_build', 'kernel_build.id', 'run.build_id')
      .select([
        'run.id',
        'run.fact',
        'gate',
        'generation',
        'entry',
        'tags',
        'started_at',
        'strategy',
        'baseline',
      ])
      .select(['build_id', 'nvr', 'name', 'epoch', 'version', 'release'])
      .where('run.id', '=', id),
  );
  const selectionsOf = query(db, ({ id }: OfRun) =>
    db
      .selectFrom('selection')
      .select(['at', 'fact', 'kmods'])
      .where('run_id', '=', id)
      .orderBy('fact', 'desc'),
  );
  const intentsOf = query(db, ({ id }: OfRun) =>
    db
      .selectFrom('intent')
      .leftJoin('receipt', 'receipt.intent_id', 'intent.id')
      .leftJoin('ending', 'ending.intent_id', 'intent.id')
      .select(['intent.id', 'intent.fact', 'write', 'asked_at', 'receipt', 'ending', 'ending.fact as ended'])
      .where('run_id', '=', id)
      .orderBy('seq'),
  );
  const shownOf = query(db, ({ id }: OfRun) =>
    db
      .selectFrom('symbol_evidence')
      .select(['chosen', 'evidence'])
      .where('run_id', '=', id)
      .orderBy(sql`rowid`, 'desc')
      .limit(1),
  );
  const baselineReposOf = query(db, ({ id }: OfRun) =>
    db
      .selectFrom('baseline_repo')
      .select(['kernel_build', 'repo', 'why', 'event', 'fact'])
      .where('run_id', '=', id)
      .orderBy('fact'),
  );
  const ordersOf = query(db, ({ id }: OfRun) =>
    db
      .selectFrom('run_order')
      .select(['id', 'at', 'fact', 'by', 'kind', 'reason', 'kmod'])
      .where('run_id', '=', id)
      .orderBy('id'),
  );
  const verdictOf = query(db, ({ id }: OfRun) =>
    db.selectFrom('verdict').selectAll().where('run_id', '=', id).orderBy('seq', 'desc').limit(1),
  );
  const closingOf = query(db, ({ id }: OfRun) =>
    db.selectFrom('closing').selectAll().where('run_id', '=', id).orderBy('seq', 'desc').limit(1),
  );
  const readPast = pastReader(db);
  const readWaivers = waiverReader(db);

  return async (id) => {
    const [row] = await rowOf({ id });
    if (!row) return undefined;
    const selections = await selectionsOf({ id });
    const chosen = selections.find(({ kmods }) => kmods !== '[]') ?? selections[0];
    const kmods = chosen ? (JSON.parse(chosen.kmods) as Kmod[]) : [];
    const intents = await intentsOf({ id });
    const [shown] = await shownOf({ id });
    const repos = await baselineReposOf({ id });
    const orders = (await ordersOf({ id })) as Order[];
    // A person's retry looks anew.
    const retried = lastRetry({ orders })?.fact ?? -1;
    const [verdict] = await verdictOf({ id });
    const [closing] = await closingOf({ id });
    const asked = intents.map(
      (intent): Intent => ({
        id: intent.id,
        fact: intent.fact,
        write: JSON.parse(intent.write),
        askedAt: intent.asked_at,
        ...(intent.receipt && { receipt: JSON.parse(intent.receipt) }),
        ...(intent.ending && { ending: { ...JSON.parse(intent.ending), fact: intent.ended } }),
      }),
    );
    const stands = verdict && !isVoid(verdict.fact, { orders, intents: asked });
    const kernel = kernelOf({ ...row, id: row.build_id });
    const baseline =
      row.baseline === null ? null : (JSON.parse(row.baseline) as NonNullable<Run['baseline']>);
    return {
      id: row.id,
      fact: row.fact,
      gate: row.gate,
      kernel,
      generation: row.generation,
      entry: row.entry,
      tags: JSON.parse(row.tags),
      startedAt: row.started_at,
      strategy: row.strategy as Strategy,
      ...(shown && shown.chosen === chosen?.fact && { symbols: JSON.parse(shown.evidence) }),
      kmods,
      chosen: { at: chosen?.at ?? row.started_at, fact: chosen?.fact ?? row.fact },
      baseline,
      baselineRepos: Object.fromEntries(
        repos
          .filter(({ fact }) => fact > retried)
          .map(({ kernel_build, repo, why, event }) => [
            kernel_build,
            { repo, why, ...(event !== null && { event }) },
          ]),
      ),
      past: await readPast(id, kernel.id, baselineIds(kmods, baseline)),
      intents: asked,
      waivers: await readWaivers(row.gate, kernel),
      orders,
      ...(stands && {
        verdict: {
          at: verdict.at,
          fact: verdict.fact,
          verdict: verdict.verdict as Verdict,
          reasons: JSON.parse(verdict.reasons),
          ...(verdict.overdue === 1 && { overdue: true }),
        },
      }),
      ...(closing &&
        closing.how !== 'reopened' && {
          closing: { at: closing.at, how: closing.how as Closing['how'], why: closing.why },
        }),
    };
  };
}

interface OfPast {
  readonly run: string;
  readonly kernel: number;
  readonly baselines: string;
}

/** @returns reads what other runs showed of baselines and those kmod builds that have failed in this one; newest first */
function pastReader(
  db: Kysely<Tables>,
): (run: string, kernel: number, baselines: readonly number[]) => Promise<PastTrial[]> {
  const rowsOf = query(db, ({ run, kernel, baselines }: OfPast) =>
    db
      .selectFrom('trial')
      .select(['kmod_build', 'kernel_build', 'arch', 'target', 'shows', 'proof', 'run_id', 'at'])
      .where('run_id', '!=', run)
      .where('kernel_build', 'in', wordsOf(db).numbers(baselines))
      .where('kmod_build', 'in', (eb) =>
        eb
          .selectFrom('trial as own')
          .select('own.kmod_build')
          .where('own.run_id', '=', run)
          .where('own.kernel_build', '=', kernel)
          .where('own.shows', '=', 'fails'),
      )
      .orderBy(sql`rowid`, 'desc'),
  );
  return async (run, kernel, baselines) => {
    if (baselines.length === 0) return [];
    const rows = await rowsOf({ run, kernel, baselines: JSON.stringify(baselines) });
    return rows.map(({ kmod_build, kernel_build, shows, proof, run_id, ...of }) => ({
      ...of,
      kmodBuild: kmod_build,
      kernelBuild: kernel_build,
      shows: shows as PastTrial['shows'],
      proof: proof as PastTrial['proof'],
      run: run_id,
    }));
  };
}
