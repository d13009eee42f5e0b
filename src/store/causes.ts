/** Why symbols changed: what was found of runs, and the types of kernels that it was found in. */
import { sql } from 'kysely';
import { describeCauses, type ToldCauses } from '../btf/told.ts';
import { pack, packBeside, unpack, unpackBeside } from './pack.ts';
import { type Base, of } from './record.ts';
import type { Store } from './store.ts';

/** Causes of runs, and types of kernels. */
export function causeFacts({ db, record }: Base) {
  return {
    async unexplained() {
      return db
        .selectFrom('run')
        .select(['id', 'gate', 'build_id as build', 'unexplained as upTo'])
        .where(sql<boolean>`unexplained > 0`)
        .orderBy('fact', 'desc')
        .execute();
    },
    async explain(run, told, at, upTo) {
      const lines = told.map(
        (one) => ({ at, kind: 'causes', ...of(run), text: describeCauses(one) }) as const,
      );
      await record(lines, async (tx, fact) => {
        await sql`UPDATE run SET unexplained = 0 WHERE id = ${run.id} AND unexplained <= ${upTo}`.execute(tx);
        if (told.length > 0)
          await tx
            .insertInto('explanation')
            .values({ run_id: run.id, at, fact, causes: pack(told) })
            .execute();
      });
    },
    async causesOf({ id }) {
      const row = await db
        .selectFrom('explanation')
        .select('causes')
        .where('run_id', '=', id)
        .orderBy('fact', 'desc')
        .executeTakeFirst();
      return row ? (unpack(row.causes) as ToldCauses[]) : [];
    },
    async kernelTypes(build, arch, at) {
      const row = await db
        .selectFrom('kernel_types')
        .select('types')
        .where('build_id', '=', build)
        .where('arch', '=', arch)
        .executeTakeFirst();
      if (!row) return undefined;
      await db
        .updateTable('kernel_types')
        .set({ used_at: at })
        .where('build_id', '=', build)
        .where('arch', '=', arch)
        .execute();
      return unpackBeside(row.types);
    },
    async keepKernelTypes(build, arch, types, at) {
      const row = { build_id: build, arch, types: await packBeside(types), used_at: at };
      await db
        .insertInto('kernel_types')
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    },
  } satisfies Partial<Store>;
}
