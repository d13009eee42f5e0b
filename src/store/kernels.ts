/** Kernel builds that were seen. */
import type { KernelBuild } from '../core/model.ts';
import { isDraft } from '../core/names.ts';
import { OvertakenError } from './error.ts';
import type { Base, Tx } from './record.ts';
import type { Tables } from './schema.ts';
import type { Store } from './store.ts';

/** What the store knows of kernels. */
export function kernelFacts({ db, record }: Base) {
  const kernel: Store['kernel'] = async (idOrNvr) => {
    const column = typeof idOrNvr === 'number' ? 'id' : 'nvr';
    const row = await db
      .selectFrom('kernel_build')
      .selectAll()
      .where(column, '=', idOrNvr)
      .orderBy('id', 'desc')
      .executeTakeFirst();
    return row && kernelOf(row);
  };
  return {
    kernel,
    async seeKernel(seen, at) {
      const { id: build, nvr } = seen;
      const known = await kernel(build);
      if (known?.nvr === nvr) return;
      const text = known ? `${known.nvr} is ${nvr} now` : `${nvr} is complete`;
      const { id: _, ...names } = { ...seen, draft_nvr: known && isDraft(known) ? known.nvr : null };
      const rename = (tx: Tx) =>
        tx.updateTable('kernel_build').set(names).where('id', '=', build).where('nvr', '!=', nvr).execute();
      const insert = (tx: Tx) =>
        tx
          .insertInto('kernel_build')
          .values({ ...seen, seen_at: at, draft_nvr: null })
          .onConflict((conflict) => conflict.doNothing())
          .execute();
      const line = { at, kind: 'kernel', gate: null, build, nvr, run: null, text } as const;
      const told = record(
        [line],
        async (tx) => {
          const [done] = await (known ? rename(tx) : insert(tx));
          const rows =
            done && ('numUpdatedRows' in done ? done.numUpdatedRows : done.numInsertedOrUpdatedRows);
          if (!rows) throw new OvertakenError(`${nvr} is known already`);
        },
        (run) => run.kernel.id === build,
      );
      // Two gates may see it at once: it is told once.
      await told.catch((error: unknown) => {
        if (!(error instanceof OvertakenError)) throw error;
      });
    },
    async kernels() {
      return (await db.selectFrom('kernel_build').selectAll().orderBy('id', 'desc').execute()).map(kernelOf);
    },
  } satisfies Partial<Store>;
}

/** A kernel build, of a row that has one. */
export function kernelOf({
  id,
  nvr,
  name,
  epoch,
  version,
  release,
}: Omit<Tables['kernel_build'], 'seen_at' | 'draft_nvr'>): KernelBuild {
  return { id, nvr, name, epoch, version, release };
}
