/** What symbols show of runs, and what rpms have and need of them. */
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib';
import { sql } from 'kysely';
import type { ArchDetail, SymbolEvidence, SymbolsShown } from '../core/model.ts';
import { hasChanged, summarize } from '../core/symbols.ts';
import { describeShown } from '../report/journal.ts';
import { wordsOf } from './dialect.ts';
import { PACKING, pack, packBeside, unpackBeside } from './pack.ts';
import { type Base, of, wantExplained } from './record.ts';
import type { Tables } from './schema.ts';
import type { RpmDependencies, Store } from './store.ts';

/** Symbols of runs and rpms. */
export function symbolFacts({ db, record }: Base) {
  /** The time by which uses are told: that of the newest fact, so that the store needs no clock. */
  const newest = async () => {
    const { rows } = await sql<{ at: number }>`SELECT at FROM journal ORDER BY seq DESC LIMIT 1`.execute(db);
    return rows[0]?.at ?? 0;
  };
  const detailOf: Store['detailOf'] = async (run) => {
    const row = await db
      .selectFrom('symbol_evidence')
      .select('detail')
      .where('run_id', '=', run)
      .orderBy(sql`rowid`, 'desc')
      .executeTakeFirst();
    return row ? (JSON.parse(await unpackAside(row.detail)) as SymbolEvidence<ArchDetail>[]) : [];
  };
  return {
    async showSymbols(run, shown, at) {
      const kmods = shown.kmods.map(({ arches, ...of }) => ({ ...of, arches: arches.map(summarize) }));
      const summary: SymbolsShown = { ...shown, kmods };
      const { id: run_id, chosen } = run;
      const row = {
        run_id,
        at,
        chosen: chosen.fact,
        evidence: JSON.stringify(summary),
        detail: pack(shown.kmods),
      };
      await record([{ at, kind: 'symbols', ...of(run), text: describeShown(summary) }], async (tx, fact) => {
        await tx.insertInto('symbol_evidence').values(row).execute();
        if (hasChanged(summary)) await wantExplained(tx, run.id, fact);
      });
    },
    detailOf,
    async symbolDetail({ id, symbols }) {
      return symbols ? detailOf(id) : [];
    },
    async keepRpmSymbols(rpms, builds = new Map()) {
      const used_at = await newest();
      const rows: Tables['rpm_symbols'][] = [];
      for (const [rpm_id, symbols] of rpms)
        rows.push({
          rpm_id,
          symbols: await packAside(JSON.stringify(symbols)),
          build_id: builds.get(rpm_id) ?? null,
          used_at,
        });
      await db.transaction().execute(async (tx) => {
        for (const row of rows) {
          await tx
            .insertInto('rpm_symbols')
            .values(row)
            .onConflict((conflict) => conflict.column('rpm_id').doUpdateSet({ symbols: row.symbols }))
            .execute();
        }
      });
    },
    async rpmSymbols(ids, builds) {
      // One parameter however many there are: SQLite takes no more than 32,766.
      const rows = await db
        .selectFrom('rpm_symbols')
        .selectAll()
        .where('rpm_id', 'in', wordsOf(db).numbers(JSON.stringify(ids)))
        .orderBy('rpm_id')
        .execute();
      const known = new Map<number, RpmDependencies>();
      for (const { rpm_id, symbols } of rows)
        known.set(rpm_id, JSON.parse(typeof symbols === 'string' ? symbols : await unpackAside(symbols)));
      if (builds && known.size > 0) await noteUse([...known.keys()], builds);
      return known;
    },
  } satisfies Partial<Store>;

  /** Once a day, so that a look that finds everything writes nothing. */
  async function noteUse(ids: readonly number[], builds: ReadonlyMap<number, number>): Promise<void> {
    const at = await newest();
    const used = JSON.stringify(ids.map((id) => [id, builds.get(id) ?? null]));
    await sql`UPDATE rpm_symbols SET used_at = CASE WHEN used_at > ${at} THEN used_at ELSE ${at} END,
        build_id = coalesce(build_id, used.two)
      FROM ${wordsOf(db).pairs(used)} AS used
      WHERE rpm_id = used.one
        AND (used_at < ${at - DAY} OR (build_id IS NULL AND used.two IS NOT NULL))`.execute(db);
  }
}

const DAY = 24 * 3_600_000;

/** What is longer, in characters or packed bytes, is packed and unpacked beside the event loop: a thread's turn costs too. */
const ASIDE = { text: 64 * 1024, packed: 16 * 1024 };
export const packAside = async (text: string): Promise<Uint8Array> =>
  text.length > ASIDE.text ? packBeside(text) : brotliCompressSync(text, PACKING);
const unpackAside = async (packed: Uint8Array): Promise<string> =>
  (packed.length > ASIDE.packed ? await unpackBeside(packed) : brotliDecompressSync(packed)).toString();
