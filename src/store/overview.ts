/** What is seen of many kernels at once: which need somebody, and how kmods did with them. Read by indexes. */
import { sql } from 'kysely';
import type { ToldCauses } from '../btf/told.ts';
import type { Outcome } from '../core/cell.ts';
import { wordsOf } from './dialect.ts';
import { unpack } from './pack.ts';
import type { Base } from './record.ts';
import type { EvidenceOf, JudgedCell, Store } from './store.ts';

interface CellRow {
  readonly run_id: string;
  readonly gate: string;
  readonly kernel_build: number;
  readonly nvr: string;
  readonly kmod: string;
  readonly outcome: string;
  readonly at: number;
}

const cellOf = ({ run_id, gate, kernel_build, nvr, kmod, outcome, at }: CellRow): JudgedCell => ({
  ...{ run: run_id, gate, kernel: { id: kernel_build, nvr }, kmod, at },
  outcome: outcome as Outcome,
});

interface EvidenceRow {
  readonly fact: number;
  readonly id: string;
  readonly gate: string;
  readonly build_id: number;
  readonly nvr: string;
  readonly started_at: number;
}

const evidenceOf = ({ id, gate, build_id, nvr, started_at }: EvidenceRow): EvidenceOf => ({
  ...{ run: id, gate, kernel: { id: build_id, nvr }, at: started_at },
});

/** A page of rows of which one more than wanted was asked. */
function pageOf<Row extends { readonly fact: number }>(rows: readonly Row[], limit: number) {
  const shown = rows.slice(0, limit);
  return { shown, older: rows.length > limit ? (shown.at(-1)?.fact ?? null) : null };
}

/** Many kernels at once. */
export function overviewFacts({ db }: Base) {
  const { indexedBy, numbers } = wordsOf(db);
  return {
    async cells(runs) {
      const ids = new Set(runs.map(({ id }) => id));
      const builds = JSON.stringify([...new Set(runs.map(({ kernel }) => kernel.id))]);
      const { rows } = await sql<Pick<CellRow, 'run_id' | 'kmod' | 'outcome'>>`
        SELECT run_id, kmod, outcome FROM judgement
        WHERE kernel_build IN ${numbers(builds)} ORDER BY seq`.execute(db);
      const found = new Map<string, Map<string, Outcome>>();
      for (const { run_id, kmod, outcome } of rows) {
        if (!ids.has(run_id)) continue;
        const of = found.get(run_id) ?? new Map<string, Outcome>();
        found.set(run_id, of.set(kmod, outcome as Outcome));
      }
      return found;
    },
    async needing() {
      const newestVerdict = sql`(SELECT verdict FROM verdict ${indexedBy('verdict_tally')} WHERE verdict.run_id = run.id
        ORDER BY verdict.seq DESC LIMIT 1)`;
      const said = sql`(SELECT text FROM journal WHERE journal.build_id = run.build_id AND journal.kind = 'state'
        AND journal.gate = run.gate ORDER BY seq DESC LIMIT 1)`;
      const order = sql`(SELECT kind FROM run_order WHERE run_order.run_id = run.id AND kind IN ('hold', 'release')
        ORDER BY id DESC LIMIT 1)`;
      const ended = sql`(SELECT how FROM closing WHERE closing.run_id = run.id ORDER BY seq DESC LIMIT 1)`;
      const { rows } = await sql<{ id: string }>`
        WITH let_through AS (
          SELECT gate, name, max(fact) AS fact FROM run JOIN kernel_build ON kernel_build.id = run.build_id
          WHERE passed IS NOT NULL AND live = 0 GROUP BY gate, name)
        SELECT id, fact FROM run
        WHERE live = 1 AND (${newestVerdict} = 'hold' OR ${said} LIKE 'held%' OR ${order} = 'hold')
        UNION ALL
        SELECT run.id, run.fact FROM run JOIN kernel_build ON kernel_build.id = run.build_id
          LEFT JOIN let_through ON let_through.gate = run.gate AND let_through.name = kernel_build.name
        WHERE live = 0 AND passed IS NULL AND run.fact > coalesce(let_through.fact, 0)
          AND ${newestVerdict} = 'block' AND ${ended} IN ('done', 'observed')
          AND NOT EXISTS (SELECT 1 FROM run AS again WHERE again.gate = run.gate
            AND again.build_id = run.build_id AND again.generation > run.generation)
        ORDER BY fact DESC`.execute(db);
      return rows.map(({ id }) => id);
    },
    async cellsOfKmod(kmod, limit) {
      const { rows } = await sql<CellRow>`
        SELECT run_id, gate, kernel_build, nvr, kmod, outcome, at FROM judgement
          JOIN kernel_build ON kernel_build.id = kernel_build
        WHERE kmod = ${kmod} AND NOT EXISTS (SELECT 1 FROM judgement AS later WHERE later.kmod = ${kmod}
          AND later.gate = judgement.gate AND later.seq > judgement.seq AND later.run_id = judgement.run_id)
        ORDER BY seq DESC LIMIT ${limit}`.execute(db);
      return rows.map(cellOf);
    },
    async brokenSince(kmod, gate) {
      const { rows } = await sql<CellRow>`
        SELECT run_id, gate, kernel_build, nvr, kmod, outcome, at FROM judgement
          JOIN kernel_build ON kernel_build.id = kernel_build
        WHERE kmod = ${kmod} AND gate = ${gate} AND outcome <> 'inconclusive' AND seq > coalesce((
          SELECT max(seq) FROM judgement AS fine
          WHERE fine.kmod = ${kmod} AND fine.gate = ${gate} AND fine.outcome = 'ok'), 0)
        ORDER BY seq LIMIT 1`.execute(db);
      return rows[0] && cellOf(rows[0]);
    },
    async runsWithSymbols(limit, before = Number.MAX_SAFE_INTEGER) {
      const { rows } = await sql<EvidenceRow>`
        SELECT run.fact, run.id, gate, build_id, nvr, started_at FROM run
          JOIN kernel_build ON kernel_build.id = run.build_id
        WHERE run.fact < ${before} AND EXISTS (SELECT 1 FROM symbol_evidence WHERE run_id = run.id)
        ORDER BY run.fact DESC LIMIT ${limit + 1}`.execute(db);
      const { shown, older } = pageOf(rows, limit);
      return { runs: shown.map(evidenceOf), older };
    },
    async runsWithCauses(limit, before = Number.MAX_SAFE_INTEGER) {
      const { rows } = await sql<EvidenceRow & { causes: Uint8Array }>`
        SELECT run.fact, run.id, gate, build_id, nvr, started_at, (SELECT causes FROM explanation
            WHERE explanation.run_id = run.id ORDER BY explanation.fact DESC LIMIT 1) AS causes
        FROM run JOIN kernel_build ON kernel_build.id = run.build_id
        WHERE run.fact < ${before} AND EXISTS (SELECT 1 FROM explanation WHERE run_id = run.id)
        ORDER BY run.fact DESC LIMIT ${limit + 1}`.execute(db);
      const { shown, older } = pageOf(rows, limit);
      const runs = shown.map((row) => ({ ...evidenceOf(row), causes: unpack(row.causes) as ToldCauses[] }));
      return { runs, older };
    },
  } satisfies Partial<Store>;
}
