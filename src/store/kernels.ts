/** Kernel builds that were seen. */
import type { KernelBuild } from '../core/model.ts';
import { isDraft } from '../core/names.ts';
import type { Base } from './record.ts';
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
      await record(
        [{ at, kind: 'kernel', gate: null, build, nvr, run: null, text }],
        async (tx) => {
          if (known) await tx.updateTable('kernel_build').set(names).where('id', '=', build).execute();
          else
            await tx
              .insertInto('kernel_build')
              .values({ ...seen, seen_at: at, draft_nvr: null })
              .execute();
        },
        (run) => run.kernel.id === build,
      );
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
