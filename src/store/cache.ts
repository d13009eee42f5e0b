/** Runs as they were last read. They are plain data that nobody changes: one object serves all who ask. */
import type { Run } from '../core/model.ts';

/** Runs of a store, each read only when something of it was recorded since. */
export interface RunCache {
  /** Those of the ids that there are, in their order. */
  read(ids: readonly string[]): Promise<Run[]>;
  /** Call it once a fact is recorded, and before anybody is told of it. */
  forget(concerned: (run: Run) => boolean): void;
  /** Call it after that, with the number of the fact. */
  recorded(fact: number): void;
  /**
   * What follows from the facts of all runs, asked anew only when one was recorded since.
   * @returns asks it
   */
  remember<T>(ask: () => Promise<T>): () => Promise<T>;
}

/** How many runs are kept that are over. Those that are live are all kept: each look reads them. */
const KEPT = 200;

/**
 * @param readRun reads a run from the store
 * @param version another value whenever another process has written to the store
 * @param byFact it is the number of the newest fact: with a fact of this process, too
 */
export function createCache(
  readRun: (id: string) => Promise<Run | undefined>,
  version: () => Promise<unknown>,
  byFact = false,
): RunCache {
  const known = new Map<string, Run>();
  /** Those of them that are over, the one that was read last at the end. */
  const over = new Set<string>();
  let seen: unknown;
  /** Grows whenever something is forgotten: what is being read at that time may be older. */
  let forgotten = 0;

  function forget(concerned: (run: Run) => boolean): void {
    forgotten += 1;
    for (const [id, run] of known) if (concerned(run)) drop(id);
  }

  function drop(id: string): void {
    known.delete(id);
    over.delete(id);
  }

  async function readAnew(id: string): Promise<Run | undefined> {
    const before = forgotten;
    const run = await readRun(id);
    if (run && forgotten === before) keep(run);
    return run;
  }

  function keep(run: Run): void {
    drop(run.id);
    known.set(run.id, run);
    if (run.closing) over.add(run.id);
    for (const oldest of over) {
      if (over.size <= KEPT) break;
      drop(oldest);
    }
  }

  async function heed(): Promise<void> {
    const now = await version();
    if (now !== seen) forget(() => true);
    seen = now;
  }

  return {
    forget,
    recorded(fact) {
      // Where another process has recorded one before it, that is still to be seen.
      if (byFact && seen === fact - 1) seen = fact;
    },
    remember(ask) {
      let last: { readonly at: number; readonly answer: Awaited<ReturnType<typeof ask>> } | undefined;
      return async () => {
        await heed();
        if (last?.at === forgotten) return last.answer;
        const at = forgotten;
        const answer = await ask();
        last = { at, answer };
        return answer;
      };
    },
    async read(ids) {
      await heed();
      const runs: Run[] = [];
      for (const id of ids) {
        const run = known.get(id) ?? (await readAnew(id));
        if (run) runs.push(run);
        if (over.delete(id)) over.add(id);
      }
      return runs;
    },
  };
}
