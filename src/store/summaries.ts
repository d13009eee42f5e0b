/** Runs in a few words each, for lists: what is recorded of them, without reading them. */
import { sql } from 'kysely';
import type { Closing, Verdict } from '../core/model.ts';
import type { Base } from './record.ts';
import type { RunSummary, Store } from './store.ts';

/** A page in one query, or two where it goes on after another, however many kmods and tries its runs have. */
export function summaryFacts({ db, cache }: Base) {
  /** A retry may have made the verdict void: what it did before decides that, and such runs are few. */
  async function asItStands({ retried, ...summary }: RunSummary & { retried: boolean }): Promise<RunSummary> {
    if (!retried) return summary;
    const [run] = await cache.read([summary.id]);
    return run?.verdict ? summary : { ...summary, verdict: null, tally: {} };
  }
  return {
    async summaries({ limit, before }) {
      if (before !== undefined) {
        const known = await db.selectFrom('run').select('id').where('id', '=', before).executeTakeFirst();
        if (!known) return undefined;
      }
      const older =
        before === undefined ? sql`true` : sql`fact < (SELECT fact FROM run WHERE id = ${before})`;
      const { rows } = await sql<Row>`
        WITH page AS (SELECT id, fact, gate, build_id, started_at, live FROM run WHERE ${older}
          ORDER BY fact DESC LIMIT ${limit + 1})
        SELECT page.id, page.gate, page.build_id, nvr, page.started_at, verdict, tally, said.text AS said,
          closing.at AS ended_at, how, why, held.kind AS held, held.at AS held_at, held.by AS held_by,
          held.reason AS held_reason,
          (SELECT size FROM selection WHERE selection.run_id = page.id AND size > 0
            ORDER BY selection.fact DESC LIMIT 1) AS kmods,
          EXISTS (SELECT 1 FROM run_order WHERE run_order.run_id = page.id AND run_order.kind = 'retry'
            AND run_order.fact > verdict.fact) AS retried
        FROM page JOIN kernel_build ON kernel_build.id = page.build_id
          LEFT JOIN verdict INDEXED BY verdict_tally ON verdict.run_id = page.id
            AND verdict.seq = (SELECT max(seq) FROM verdict WHERE verdict.run_id = page.id)
          LEFT JOIN closing ON NOT live
            AND closing.seq = (SELECT max(seq) FROM closing WHERE closing.run_id = page.id)
          LEFT JOIN journal AS said ON live AND said.seq = (
            SELECT seq FROM journal WHERE journal.build_id = page.build_id AND journal.kind = 'state'
              AND journal.gate = page.gate ORDER BY seq DESC LIMIT 1)
          LEFT JOIN run_order AS held ON live AND held.id = (
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
