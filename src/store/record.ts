/** Recording: every fact is inserted together with its line in the journal, or not at all. */
import { type Kysely, sql, type Transaction } from 'kysely';
import type { Entry, Run } from '../core/model.ts';
import type { RunCache } from './cache.ts';
import { query } from './query.ts';
import type { Tables } from './schema.ts';

export type Tx = Transaction<Tables>;

/**
 * Insert facts and their journal lines in one transaction, then tell the listener.
 * @param insert is given the number of the fact: higher than any before, in the order in which transactions end
 * @param concerned the runs that read the facts; without it, those of the lines
 */
export type Recorder = <T>(
  entries: readonly Entry[],
  insert: (tx: Tx, fact: number) => Promise<T>,
  concerned?: (run: Run) => boolean,
) => Promise<T>;

/** What every part of the store works with. */
export interface Base {
  readonly db: Kysely<Tables>;
  readonly cache: RunCache;
  readonly record: Recorder;
}

/** @param onEntry hears each journal line once it is on disk */
export function createRecorder(
  db: Kysely<Tables>,
  cache: RunCache,
  onEntry: (entry: Entry) => void,
): Recorder {
  // It comes first: who writes this row has the store for himself until the transaction ends.
  const nextFact = query(db, () =>
    db
      .updateTable('sequence')
      .set(({ eb }) => ({ newest: eb('newest', '+', 1) }))
      .returning('newest'),
  );
  const insertEntry = query(db, ({ at, kind, gate, build, run, text, fact }: Entry & { fact: number }) =>
    db.insertInto('journal').values({ at, kind, gate, build_id: build, run_id: run, text, fact }),
  );
  return async (entries, insert, concerned = ({ id }) => entries.some(({ run }) => run === id)) => {
    const written = db.transaction().execute(async (tx) => {
      const [sequence] = await nextFact({}, tx);
      const fact = sequence?.newest ?? 0;
      const inserted = await insert(tx, fact);
      for (const entry of entries) await insertEntry({ ...entry, fact }, tx);
      return { inserted, fact };
    });
    const { inserted, fact } = await written.finally(() => cache.forget(concerned));
    cache.recorded(fact);
    entries.forEach(onEntry);
    return inserted;
  };
}

/** What is recorded of a run a change in the kernel's source may explain. */
export async function wantExplained(tx: Tx, run: string, fact: number): Promise<void> {
  await sql`UPDATE run SET unexplained = ${fact} WHERE id = ${run}`.execute(tx);
}

/** Facts that concern every run. */
export const everyRun = (): boolean => true;

/** What a line of the journal says of its run. */
export const of = (run: Pick<Run, 'id' | 'gate' | 'kernel'>) => ({
  gate: run.gate,
  build: run.kernel.id,
  nvr: run.kernel.nvr,
  run: run.id,
});
