/** What is told: the journal, by which clock its times are, and the newest messages that the bus brought. */
import { type Kysely, sql } from 'kysely';
import type { Entry } from '../core/model.ts';
import { query } from './query.ts';
import { type Base, everyRun } from './record.ts';
import type { Tables } from './schema.ts';
import type { Store } from './store.ts';

/** The lines of the journal. */
export function journalFacts({ db, record }: Base) {
  const newestState = query(db, ({ gate, build }: { gate: string; build: number }) =>
    db
      .selectFrom('journal')
      .select('text')
      .where('kind', '=', 'state')
      .where('gate', '=', gate)
      .where('build_id', '=', build)
      .orderBy('seq', 'desc')
      .limit(1),
  );
  const newestLine = query(db, () => db.selectFrom('journal').select('seq').orderBy('seq', 'desc').limit(1));
  const lastSaid: Store['lastSaid'] = async (gate, build) => {
    const [row] = await newestState({ gate, build });
    return row?.text;
  };
  return {
    lastSaid,
    async say(gate, { id: build, nvr }, run, text, at) {
      if ((await lastSaid(gate, build)) === text) return;
      const nothing = async () => {};
      // No run holds what is only said of it.
      await record([{ at, kind: 'state', gate, build, nvr, run, text }], nothing, () => false);
    },
    async journal(build) {
      const rows = await db
        .selectFrom('journal')
        .innerJoin('kernel_build', 'kernel_build.id', 'build_id')
        .select(['at', 'kind', 'gate', 'nvr', 'run_id', 'text'])
        .where('build_id', '=', build)
        .orderBy('seq')
        .execute();
      return rows.map(({ run_id: run, kind, ...entry }) => ({
        ...entry,
        kind: kind as Entry['kind'],
        build,
        run,
      }));
    },
    async revision(build) {
      const { rows } = await sql<Record<string, number | null>>`
        SELECT (SELECT max(seq) FROM journal WHERE build_id = ${build}) AS told,
          (SELECT max(pruned_at) FROM run WHERE build_id = ${build}) AS pruned,
          (SELECT max(id) FROM waiver) AS waivers, (SELECT count(*) FROM waiver_end) AS ends`.execute(db);
      return Object.values(rows[0] ?? {}).join('.');
    },
    async newest() {
      const { rows } = await sql<{ at: number }>`
        SELECT at FROM (SELECT at FROM journal ORDER BY seq DESC LIMIT 1) AS told
        UNION ALL SELECT at FROM (SELECT at FROM waiver ORDER BY id DESC LIMIT 1) AS waived
        UNION ALL SELECT max(at) AS at FROM waiver_end
        UNION ALL SELECT max(at) AS at FROM clock`.execute(db);
      return Math.max(0, ...rows.map(({ at }) => at));
    },
    async ahead() {
      return aheadOf(db);
    },
    async noteAhead(ahead, at) {
      await record([], (tx, fact) => tx.insertInto('clock').values({ fact, at, ahead }).execute(), everyRun);
    },
    async newestFact() {
      const [row] = await newestLine({});
      return row?.seq ?? 0;
    },
    async hear({ queue, at, routingKey, understood }) {
      const row = { queue, at, routing_key: routingKey, understood: Number(understood) };
      await db
        .insertInto('heard')
        .values(row)
        .onConflict((conflict) => conflict.column('queue').doUpdateSet(row))
        .execute();
    },
    async lastHeard(queue) {
      const row = await db.selectFrom('heard').selectAll().where('queue', '=', queue).executeTakeFirst();
      return row && { queue, at: row.at, routingKey: row.routing_key, understood: row.understood === 1 };
    },
  } satisfies Partial<Store>;
}

/** How far the machine's clock is ahead of the gate's, as noted last. */
export async function aheadOf(db: Kysely<Tables>): Promise<number> {
  const row = await db.selectFrom('clock').select('ahead').orderBy('fact', 'desc').executeTakeFirst();
  return row?.ahead ?? 0;
}
