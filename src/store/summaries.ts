/** Runs in a few words each, for lists: what is recorded of them, without reading them. */
import { sql } from 'kysely';
import type { Closing, Verdict } from '../core/model.ts';
import { matcher } from '../core/names.ts';
import type { RunsWanted } from '../report/report.ts';
import { wordsOf } from './dialect.ts';
import type { Base } from './record.ts';
import type { RunSummary, Store } from './store.ts';

/** A page in one query, or two where it goes on after another, however many kmods and tries its runs have. */
export function summaryFacts({ db, cache }: Base) {
  const { indexedBy, texts, hasKmod } = wordsOf(db);
  /** A retry may have made the verdict void: what it did before decides that, and such runs are few. */
  async function asItStands({ retried, ...summary }: RunSummary & { retried: boolean }): Promise<RunSummary> {
    if (!retried) return summary;
    const [run] = await cache.read([summary.id]);
    return run?.verdict ? summary : { ...summary, verdict: null, tally: {} };
  }
  /** Which runs are wanted, by what of them an index has, or a look into one for each run. */
  async function listed({ before, gate, verdict, kmod, since, until, latest }: RunsWanted) {
    const newest = sql`(SELECT verdict FROM verdict ${indexedBy('verdict_tally')} WHERE verdict.run_id = run.id
      ORDER BY verdict.seq DESC LIMIT 1)`;
    const all = [
      ...(before === undefined ? [] : [sql`fact < (SELECT fact FROM run WHERE id = ${before})`]),
      ...(gate === undefined ? [] : [sql`gate = ${gate}`]),
      ...(since === undefined ? [] : [sql`started_at >= ${since}`]),
      ...(until === undefined ? [] : [sql`started_at < ${until}`]),
      ...(verdict === undefined
        ? []
        : [verdict === 'none' ? sql`${newest} IS NULL` : sql`${newest} = ${verdict}`]),
      ...(kmod === undefined ? [] : [await tries(kmod)]),
      ...(latest ? [NEWEST_OF_ITS_KERNEL] : []),
    ];
    return all.length === 0 ? sql`true` : sql.join(all, sql` AND `);
  }
  /**
   * Runs that try a kmod: what was judged is found by an index, what goes on by the choice of its kmods. Of a few names the
   * runs are asked for, of many nearly each run has one.
   */
  async function tries(kmod: string) {
    const names = (await kmodNames(db)).filter(matcher([kmod]));
    const list = texts(JSON.stringify(names));
    const judged =
      names.length <= FEW
        ? sql`run.id IN (SELECT run_id FROM judgement ${indexedBy('judgement_kmod')} WHERE kmod IN ${list})`
        : sql`EXISTS (SELECT 1 FROM judgement ${indexedBy('judgement_kernel')} WHERE kernel_build = run.build_id
            AND gate = run.gate AND run_id = run.id AND kmod IN ${list})`;
    return sql`(${judged} OR (live = 1 AND EXISTS (SELECT 1 FROM selection
        WHERE selection.run_id = run.id AND ${hasKmod(sql`selection.kmods`, kmod)})))`;
  }
  return {
    kmodNames: () => kmodNames(db),
    async summaries(wanted) {
      const { limit, before } = wanted;
      if (before !== undefined) {
        const known = await db.selectFrom('run').select('id').where('id', '=', before).executeTakeFirst();
        if (!known) return undefined;
      }
      const { rows } = await sql<Row>`
        WITH page AS (SELECT id, fact, gate, build_id, started_at, live FROM run WHERE ${await listed(wanted)}
          ORDER BY fact DESC LIMIT ${limit + 1})
        SELECT page.id, page.gate, page.build_id, nvr, page.started_at, verdict, tally, said.text AS said,
          closing.at AS ended_at, how, why, held.kind AS held, held.at AS held_at, held.by AS held_by,
          held.reason AS held_reason,
          (SELECT size FROM selection WHERE selection.run_id = page.id AND size > 0
            ORDER BY selection.fact DESC LIMIT 1) AS kmods,
          EXISTS (SELECT 1 FROM run_order WHERE run_order.run_id = page.id AND run_order.kind = 'retry'
            AND run_order.fact > verdict.fact) AS retried
        FROM page JOIN kernel_build ON kernel_build.id = page.build_id
          LEFT JOIN verdict ${indexedBy('verdict_tally')} ON verdict.run_id = page.id
            AND verdict.seq = (SELECT max(seq) FROM verdict WHERE verdict.run_id = page.id)
          LEFT JOIN closing ON live = 0
            AND closing.seq = (SELECT max(seq) FROM closing WHERE closing.run_id = page.id)
          LEFT JOIN journal AS said ON live = 1 AND said.seq = (
            SELECT seq FROM journal WHERE journal.build_id = page.build_id AND journal.kind = 'state'
              AND journal.gate = page.gate ORDER BY seq DESC LIMIT 1)
          LEFT JOIN run_order AS held ON live = 1 AND held.id = (
            SELECT id FROM run_order WHERE run_order.run_id = page.id AND run_order.kind IN ('hold', 'release')
            ORDER BY id DESC LIMIT 1)
        ORDER BY page.fact DESC`.execute(db);
      const shown = rows.slice(0, limit);
      return {
        runs: await Promise.all(shown.map(summaryOf).map(asItStands)),
        older: rows.length > limit ? (shown.at(-1)?.id ?? null) : null,
      };
    },
  } satisfies Partial<Store>;
}

/** So many names of kmods are few. */
const FEW = 3;

const NEWEST_OF_ITS_KERNEL = sql`NOT EXISTS (SELECT 1 FROM run AS again
  WHERE again.gate = run.gate AND again.build_id = run.build_id AND again.generation > run.generation)`;

/** Names that were ever judged: a look into an index for each. */
async function kmodNames(db: Base['db']): Promise<string[]> {
  const { rows } = await sql<{ kmod: string }>`WITH RECURSIVE names (kmod) AS (
      SELECT min(kmod) FROM judgement
      UNION ALL SELECT (SELECT min(kmod) FROM judgement WHERE kmod > names.kmod) FROM names WHERE names.kmod IS NOT NULL)
    SELECT kmod FROM names WHERE kmod IS NOT NULL`.execute(db);
  return rows.map(({ kmod }) => kmod);
}

interface Row {
  readonly id: string;
  readonly gate: string;
  readonly build_id: number;
  readonly nvr: string;
  readonly started_at: number;
  readonly verdict: string | null;
  readonly tally: string | null;
  readonly said: string | null;
  readonly ended_at: number | null;
  readonly how: string | null;
  readonly why: string | null;
  readonly held: string | null;
  readonly held_at: number | null;
  readonly held_by: string | null;
  readonly held_reason: string | null;
  readonly kmods: number | null;
  readonly retried: number;
}

function summaryOf(row: Row): RunSummary & { retried: boolean } {
  const { id, gate, ended_at, how, why, held_at, held_by } = row;
  return {
    id,
    gate,
    kernel: { id: row.build_id, nvr: row.nvr },
    startedAt: row.started_at,
    kmods: row.kmods ?? 0,
    verdict: row.verdict as Verdict | null,
    tally: row.tally === null ? {} : JSON.parse(row.tally),
    retried: row.retried === 1,
    ...(row.said !== null && { said: row.said }),
    ...(row.held === 'hold' &&
      held_by !== null && { held: { by: held_by, at: held_at ?? 0, reason: row.held_reason ?? '' } }),
    ...(how !== null && { closing: { at: ended_at ?? 0, how: how as Closing['how'], why: why ?? '' } }),
  };
}
