/** What symbols show of runs, and what rpms have and need of them. */
import { sql } from 'kysely';
import { describeShown } from '../core/journal.ts';
import type { ArchDetail, SymbolEvidence, SymbolsShown } from '../core/model.ts';
import { summarize } from '../core/symbols.ts';
import { type Base, of } from './record.ts';
import { pack, unpack } from './schema.ts';
import type { RpmDependencies, Store } from './store.ts';

/** Symbols of runs and rpms. */
export function symbolFacts({ db, record }: Base) {
  return {
    async showSymbols(run, shown, at) {
      const kmods = shown.kmods.map(({ arches, ...of }) => ({ ...of, arches: arches.map(summarize) }));
      const summary: SymbolsShown = { ...shown, kmods };
      const row = { run_id: run.id, at, evidence: JSON.stringify(summary), detail: pack(shown.kmods) };
      await record([{ at, kind: 'symbols', ...of(run), text: describeShown(summary) }], (tx) =>
        tx.insertInto('symbol_evidence').values(row).execute(),
      );
    },
    async symbolDetail({ id, symbols }) {
      if (!symbols) return [];
      const row = await db
        .selectFrom('symbol_evidence')
        .select('detail')
        .where('run_id', '=', id)
        .orderBy(sql`rowid`, 'desc')
        .executeTakeFirst();
      return row ? (unpack(row.detail) as SymbolEvidence<ArchDetail>[]) : [];
    },
    async keepRpmSymbols(rpms) {
      await db.transaction().execute(async (tx) => {
        for (const [rpm_id, symbols] of rpms) {
          await tx
            .insertInto('rpm_symbols')
            .values({ rpm_id, symbols: JSON.stringify(symbols) })
            .onConflict((conflict) => conflict.doNothing())
            .execute();
        }
      });
    },
    async rpmSymbols(ids) {
      // One parameter however many there are: SQLite takes no more than 32,766.
      const rows = await db
        .selectFrom('rpm_symbols')
        .selectAll()
        .where('rpm_id', 'in', sql<number>`(SELECT value FROM json_each(${JSON.stringify(ids)}))`)
        .execute();
      return new Map(rows.map(({ rpm_id, symbols }) => [rpm_id, JSON.parse(symbols) as RpmDependencies]));
    },
  } satisfies Partial<Store>;
}
