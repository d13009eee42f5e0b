/** Runs as they were last read. They are plain data that nobody changes: one object serves all who ask. */
import type { Run } from '../core/model.ts';

/** Runs of a store, each read only when something of it was recorded since. */
export interface RunCache {
  /** Those of the ids that there are, in their order. */
  read(ids: readonly string[]): Promise<Run[]>;
  /** Call it once a fact is recorded, and before anybody is told of it. */
  forget(concerned: (run: Run) => boolean): void;
}

/** How many runs are kept: far more than are ever live at a time, and a bound for those that are long closed. */
const KEPT = 500;

/**
 * @param readRun reads a run from the store
 * @param version another value whenever another process has written to the store
 */
export function createCache(
  readRun: (id: string) => Promise<Run | undefined>,
  version: () => Promise<unknown>,
): RunCache {
  const known = new Map<string, Run>();
  let seen: unknown;
  /** Grows whenever something is forgotten: what is being read at that time may be older. */
  let forgotten = 0;

  function forget(concerned: (run: Run) => boolean): void {
    forgotten += 1;
    for (const [id, run] of known) if (concerned(run)) known.delete(id);
  }

  async function readAnew(id: string): Promise<Run | undefined> {
    const before = forgotten;
    const run = await readRun(id);
    if (run && forgotten === before) keep(run);
    return run;
  }

  function keep(run: Run): void {
    known.set(run.id, run);
    for (const oldest of known.keys()) {
      if (known.size <= KEPT) break;
      known.delete(oldest);
    }
  }

  return {
    forget,
    async read(ids) {
      const now = await version();
      if (now !== seen) forget(() => true);
      seen = now;
      const runs: Run[] = [];
      for (const id of ids) {
        const run = known.get(id) ?? (await readAnew(id));
        if (run) runs.push(run);
      }
      return runs;
    },
  };
}
