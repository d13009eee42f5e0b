/** The live runs, counted: by their index alone, whatever is over. */
import { sql } from 'kysely';
import type { Verdict } from '../core/model.ts';
import { query } from './query.ts';
import type { Base } from './record.ts';
import type { Store } from './store.ts';

/** Live runs of a gate that stand alike. */
export interface LiveCount {
  readonly gate: string;
  /** Of the newest verdict; null without one, or where a person asked for a retry since. */
  readonly verdict: Verdict | null;
  /** Whether a person holds them. */
  readonly held: boolean;
  readonly runs: number;
  /** When the oldest of them began, ms. */
  readonly oldest: number;
  /** Scratch builds that were asked for and have not ended. */
  readonly building: number;
}

interface Row extends Omit<LiveCount, 'held'> {
  readonly held: number;
}

export function countFacts({ db, cache }: Base) {
  const live = query(db, () =>
    db
      .with('one', (of) =>
        of
          .selectFrom('run')
          .select(['gate', 'started_at'])
          .select([
            sql<Verdict | null>`(SELECT CASE WHEN EXISTS (SELECT 1 FROM run_order
              WHERE run_order.run_id = run.id AND run_order.kind = 'retry' AND run_order.fact > verdict.fact)
              THEN NULL ELSE verdict END
              FROM verdict WHERE verdict.run_id = run.id ORDER BY seq DESC LIMIT 1)`.as('verdict'),
            sql<number>`coalesce((SELECT CASE run_order.kind WHEN 'hold' THEN 1 ELSE 0 END FROM run_order
              WHERE run_order.run_id = run.id AND run_order.kind IN ('hold', 'release')
              ORDER BY run_order.id DESC LIMIT 1), 0)`.as('held'),
            sql<number>`(SELECT count(*) FROM intent WHERE intent.run_id = run.id AND intent.kind = 'scratch-build'
              AND NOT EXISTS (SELECT 1 FROM ending WHERE ending.intent_id = intent.id))`.as('building'),
          ])
          .where(sql<boolean>`live = 1`),
      )
      .selectFrom('one')
      .select(['gate', 'verdict', 'held'])
      .select([
        sql<number>`count(*)`.as('runs'),
        sql<number>`min(started_at)`.as('oldest'),
        sql<number>`sum(building)`.as('building'),
      ])
      .groupBy(['gate', 'verdict', 'held'])
      .orderBy('gate')
      .$castTo<Row>(),
  );
  return {
    liveCounts: cache.remember(async () => (await live({})).map((row) => ({ ...row, held: row.held === 1 }))),
  } satisfies Partial<Store>;
}
