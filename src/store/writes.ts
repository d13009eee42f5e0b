/** What was asked of the hub, what it answered, and how it ended. */
import type { Ending, Intent, Receipt, Run, Write } from '../core/model.ts';
import { describeEnding, describeReceipt } from '../core/report.ts';
import { describeWrite, describeWrites } from '../core/wording.ts';
import { assertHeard } from './people.ts';
import { query } from './query.ts';
import { type Base, of } from './record.ts';
import type { Store } from './store.ts';

/** Writes of all runs. */
export function writeFacts({ db, record }: Base) {
  const triedAgain = query(db, ({ gate, since }: { gate: string; since: number }) =>
    db
      .selectFrom('intent')
      .innerJoin('run', 'run.id', 'intent.run_id')
      .leftJoin('ending', 'ending.intent_id', 'intent.id')
      .select(({ fn }) => fn.countAll<number>().as('tries'))
      .where('gate', '=', gate)
      .where('kind', '=', 'scratch-build')
      .where('kmod_build', 'is not', null)
      .where('asked_at', '>=', since)
      .where(({ or, eb }) => or([eb('how', 'is', null), eb('how', '!=', 'lost')]))
      .groupBy(['run_id', 'kmod_build', 'kernel_build'])
      .having(({ fn }) => fn.countAll(), '>', 1),
  );
  return {
    async intend(run, writes, at) {
      const intents = nameIntents(run, writes, at);
      const text = describeWrites(writes);
      await record([{ at, kind: 'asked', ...of(run), text }], async (tx) => {
        await tx
          .insertInto('intent')
          .values(
            intents.map(({ id, write }, i) => ({
              id,
              run_id: run.id,
              seq: run.intents.length + i,
              kind: write.kind,
              write: JSON.stringify(write),
              asked_at: at,
              ...pairOf(run, write),
            })),
          )
          .execute();
        await assertHeard(tx, run);
      });
      return intents;
    },
    async receive(run, intent, receipt) {
      const text = `${describeWrite(intent.write)}: ${describeReceipt(receipt)}`;
      const row = {
        intent_id: intent.id,
        at: receipt.at,
        task_id: receipt.task ?? null,
        receipt: JSON.stringify(receipt),
      };
      await record([{ at: receipt.at, kind: 'answered', ...of(run), text }], (tx) =>
        tx.insertInto('receipt').values(row).execute(),
      );
    },
    async end(run, intent, ending) {
      const text = describeEnding(run, intent, ending);
      const row = { intent_id: intent.id, at: ending.at, how: ending.how, ending: JSON.stringify(ending) };
      const { kernel_build } = pairOf(run, intent.write);
      await record(
        [{ at: ending.at, kind: 'ended', ...of(run), text }],
        (tx) => tx.insertInto('ending').values(row).execute(),
        // It is in the past of those that have this kernel as their baseline.
        ({ id, baseline }) => id === run.id || baseline?.id === kernel_build,
      );
    },
    async reposWith(kernel) {
      const rows = await db
        .selectFrom('intent')
        .innerJoin('ending', 'ending.intent_id', 'intent.id')
        .select('ending')
        .where('kernel_build', '=', kernel)
        .where('how', '!=', 'lost')
        .orderBy('ending.at', 'desc')
        .limit(PAST_LOOKED_AT)
        .execute();
      const ids = rows.flatMap(({ ending }) => {
        const { build } = JSON.parse(ending) as Exclude<Ending, { how: 'lost' }>;
        return (build?.arches ?? []).flatMap(({ buildroot, repoId }) =>
          repoId !== undefined && buildroot?.some(({ id }) => id === kernel) ? [repoId] : [],
        );
      });
      return [...new Set(ids)];
    },
    async retriesSince(gate, since) {
      const rows = await triedAgain({ gate, since });
      return rows.reduce((sum, { tries }) => sum + tries - 1, 0);
    },
    async ownerOfTask(task) {
      return db
        .selectFrom('receipt')
        .innerJoin('intent', 'intent.id', 'receipt.intent_id')
        .innerJoin('run', 'run.id', 'intent.run_id')
        .select(['run.gate as gate', 'run.build_id as build'])
        .where('task_id', '=', task)
        .executeTakeFirst();
    },
    async sideTags() {
      const rows = await db
        .selectFrom('receipt')
        .innerJoin('intent', 'intent.id', 'receipt.intent_id')
        .select('receipt')
        .where('kind', '=', 'create-side-tag')
        .execute();
      return rows.flatMap(({ receipt }) => (JSON.parse(receipt) as Receipt).sideTag ?? []);
    },
  } satisfies Partial<Store>;
}

/** So many ended builds of a kernel are looked at for a repo that holds it. */
const PAST_LOOKED_AT = 20;

/** Ids say what they are for: `GATE/BUILD/GENERATION/KMOD/TRY`, or `…/KIND/N`. */
function nameIntents(run: Run, writes: readonly Write[], at: number): Intent[] {
  const counts = new Map<string, number>();
  const subject = (write: Write) => {
    if (write.kind === 'scratch-build') return write.kmod;
    return write.kind === 'rebuild' ? `rebuild/${write.kmod}` : write.kind;
  };
  const next = (name: string) => {
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    return count;
  };
  for (const { write } of run.intents) next(subject(write));
  return writes.map((write) => ({
    id: `${run.id}/${subject(write)}/${next(subject(write))}`,
    write,
    askedAt: at,
  }));
}

/** Which kmod build a write tries against which kernel build. */
function pairOf({ kmods, kernel }: Run, write: Write) {
  if (write.kind !== 'scratch-build') return { kmod_build: null, kernel_build: null };
  const kmod_build = kmods.find(({ source }) => source === write.source)?.buildId ?? null;
  return { kmod_build, kernel_build: write.against?.id ?? kernel.id };
}
