/** Which runs a waiver speaks of: asked once, when it is given, and not of all kernels whenever somebody looks. */
import { type QueryExecutorProvider, sql } from 'kysely';
import type { Waiver } from '../core/model.ts';
import { matcher, releasedNvr } from '../core/names.ts';

/**
 * Name the runs that have not let their kernel through and that a waiver may open again, or decide. One for the kernel that
 * comes `next` names none: that has no run yet.
 */
export async function nameRuns(
  db: QueryExecutorProvider,
  { id, gate, kernel }: Pick<Waiver, 'id' | 'gate' | 'kernel'>,
): Promise<void> {
  if (kernel === 'next') return;
  const { rows } = await sql<{ id: string; gate: string; nvr: string; draft_nvr: string | null }>`
    SELECT run.id AS id, gate, nvr, draft_nvr FROM run JOIN kernel_build ON kernel_build.id = run.build_id
    WHERE passed IS NULL AND NOT EXISTS (
      SELECT 1 FROM run AS again WHERE again.gate = run.gate AND again.build_id = run.build_id
        AND again.generation > run.generation)
    ORDER BY run.build_id`.execute(db);
  const speaks = matcher([kernel]);
  for (const run of rows) {
    // A draft may have been promoted, and nobody has told the store.
    const names = [run.nvr, releasedNvr(run.nvr), run.draft_nvr ?? ''];
    if ((gate === null || gate === run.gate) && names.some(speaks))
      await sql`INSERT INTO waiver_run (waiver_id, run_id) VALUES (${id}, ${run.id})`.execute(db);
  }
}
