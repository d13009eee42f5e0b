/** What was asked of the hub, what it answered, and how it ended. */
import { sql } from 'kysely';
import { baselineIds } from '../core/baseline.ts';
import type { Attempt, Ending, Intent, Receipt, Run, Write } from '../core/model.ts';
import { shownBy, triedAgain } from '../core/trial.ts';
import { describeWrite, describeWrites } from '../core/wording.ts';
import { describeEnding, describeReceipt } from '../report/journal.ts';
import { OvertakenError } from './error.ts';
import { assertHeard } from './people.ts';
import { query } from './query.ts';
import { type Base, of, type Tx, wantExplained } from './record.ts';
import type { Tables } from './schema.ts';
import type { Store } from './store.ts';

/** Writes of all runs. */
export function writeFacts({ db, record }: Base) {
  /**
   * The builds of a gate since a time of whose kmod and kernel the same run has asked for more than one. Of such a pair one
   * at least is marked as not the first of its run.
   */
  const moreThanOne = query(db, ({ gate, since }: { gate: string; since: number }) =>
    db
      .selectFrom((eb) =>
        eb
          .selectFrom('intent')
          .select(['run_id', 'kmod_build', 'kernel_build'])
          .distinct()
          .where(sql<boolean>`again = 1`)
          .where('asked_at', '>=', since)
          .as('pair'),
      )
      .innerJoin('run', 'run.id', 'pair.run_id')
      .innerJoin('intent', (join) =>
        join
          .onRef('intent.kernel_build', '=', 'pair.kernel_build')
          .onRef('intent.kmod_build', '=', 'pair.kmod_build'),
      )
      .leftJoin('ending', 'ending.intent_id', 'intent.id')
      .select(['intent.run_id as run', 'intent.write as write'])
      // An expression keeps SQLite from indexes of all that the gate and the run ever asked for.
      .where(sql<boolean>`gate || '' = ${gate} AND intent.run_id || '' = pair.run_id`)
      .where('asked_at', '>=', since)
      .where(({ or, eb }) => or([eb('how', 'is', null), eb('how', '!=', 'lost')]))
      .orderBy('intent.fact')
      .orderBy('intent.seq'),
  );
  const repos = query(db, ({ kernel }: { kernel: number }) =>
    db
      .selectFrom('trial')
      .select('repo')
      .where('kernel_build', '=', kernel)
      .where('repo', 'is not', null)
      .orderBy(sql`rowid`, 'desc')
      .limit(PAST_LOOKED_AT),
  );
  return {
    async intend(run, writes, at, newest) {
      const names = nameIntents(run, writes);
      const text = describeWrites(writes);
      const asked = new Set(run.intents.map(({ write }) => keyOf(pairOf(run, write))));
      const rows = writes.map((write, i) => {
        const pair = pairOf(run, write);
        const again = pair.kmod_build !== null && asked.has(keyOf(pair));
        asked.add(keyOf(pair));
        return {
          id: names[i] ?? '',
          run_id: run.id,
          seq: run.intents.length + i,
          kind: write.kind,
          write: JSON.stringify(write),
          asked_at: at,
          ...pair,
          again: Number(again),
        };
      });
      return record([{ at, kind: 'asked', ...of(run), text }], async (tx, fact) => {
        await tx
          .insertInto('intent')
          .values(rows.map((row) => ({ ...row, fact })))
          .execute();
        await assertHeard(tx, run);
        if (newest !== undefined && writes.some(isShared)) await assertNewest(tx, run, newest);
        return writes.map((write, i): Intent => ({ id: names[i] ?? '', write, askedAt: at, fact }));
      });
    },
    async receive(run, intent, receipt) {
      const text = `${describeWrite(intent.write)}: ${describeReceipt(receipt)}`;
      const row = {
        intent_id: intent.id,
        at: receipt.at,
        task_id: receipt.task ?? null,
        receipt: JSON.stringify(receipt),
      };
      await record([{ at: receipt.at, kind: 'answered', ...of(run), text }], async (tx) => {
        await tx.insertInto('receipt').values(row).execute();
      });
    },
    async end(run, intent, ending) {
      const text = describeEnding(run, intent, ending);
      const row = { intent_id: intent.id, at: ending.at, how: ending.how, ending: JSON.stringify(ending) };
      const trials = trialsOf(run, intent, ending);
      await record(
        [{ at: ending.at, kind: 'ended', ...of(run), text }],
        async (tx, fact) => {
          await tx
            .insertInto('ending')
            .values({ ...row, fact })
            .execute();
          if (trials.length > 0) await tx.insertInto('trial').values(trials).execute();
          if (hasErrors(ending)) await wantExplained(tx, run.id, fact);
        },
        // It is in the past of those that are measured by this kernel.
        ({ id, kmods, baseline }) =>
          id === run.id || trials.some((one) => baselineIds(kmods, baseline).includes(one.kernel_build)),
      );
    },
    async reposWith(kernel) {
      const rows = await repos({ kernel });
      return [...new Set(rows.flatMap(({ repo }) => repo ?? []))];
    },
    async retriesSince(gate, since) {
      const rows = await moreThanOne({ gate, since });
      const runs = new Map<string, Attempt['write'][]>();
      for (const { run, write } of rows)
        runs.set(run, [...(runs.get(run) ?? []), JSON.parse(write) as Attempt['write']]);
      return [...runs.values()].reduce((sum, builds) => sum + triedAgain(builds).length, 0);
    },
    async ownerOfTask(task) {
      return db
        .selectFrom('receipt')
        .innerJoin('intent', 'intent.id', 'receipt.intent_id')
        .innerJoin('run', 'run.id', 'intent.run_id')
        .select(['run.gate as gate', 'run.build_id as build', 'run.id as run'])
        .where('task_id', '=', task)
        .executeTakeFirst();
    },
    async sideTags() {
      const rows = await db
        .selectFrom('receipt')
        .innerJoin('intent', 'intent.id', 'receipt.intent_id')
        .select('receipt')
        .where(sql<boolean>`kind = 'create-side-tag'`)
        .execute();
      return rows.flatMap(({ receipt }) => (JSON.parse(receipt) as Receipt).sideTag ?? []);
    },
  } satisfies Partial<Store>;
}

/** Whether what other runs do counts for it: builds share the gate's slots and retries, tags hold one newest kernel. */
const isShared = ({ kind }: Write): boolean => kind === 'scratch-build' || kind === 'tag' || kind === 'untag';

/** What was decided before another run at the gate, or on the package, went on is not done. */
async function assertNewest(tx: Tx, { id, gate, kernel }: Run, newest: number): Promise<void> {
  const unseen = await tx
    .selectFrom('journal')
    .innerJoin('kernel_build', 'kernel_build.id', 'journal.build_id')
    .select('run_id')
    .where('seq', '>', newest)
    .where('kind', 'in', ['asked', 'verdict', 'closed'])
    .where('run_id', '!=', id)
    .where(({ or, eb }) => or([eb('journal.gate', '=', gate), eb('kernel_build.name', '=', kernel.name)]))
    .executeTakeFirst();
  if (unseen) throw new OvertakenError(`run ${unseen.run_id} has gone on meanwhile`);
}

/** So many ended builds of a kernel are looked at for a repo that holds it. */
const PAST_LOOKED_AT = 20;

/** Ids say what they are for: `GATE/BUILD/GENERATION/KMOD/TRY`, or `…/KIND/N`. */
function nameIntents(run: Run, writes: readonly Write[]): string[] {
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
  return writes.map((write) => `${run.id}/${subject(write)}/${next(subject(write))}`);
}

/** What an ended scratch build shows of its kmod, by architecture; what says nothing is left out. */
function trialsOf(run: Run, { write }: Intent, ending: Ending): Tables['trial'][] {
  if (write.kind !== 'scratch-build' || ending.how === 'lost' || !ending.build) return [];
  const { build, at } = ending;
  const { kmod_build, kernel_build } = pairOf(run, write);
  if (kmod_build === null || kernel_build === null) return [];
  const kernel = { ...run.kernel, ...write.against };
  return build.arches.flatMap(({ arch, repoId }) => {
    // What a gate takes as proof is for its judgement to say.
    const { shows, proof } = shownBy({ proof: 'any' }, kernel, build, arch);
    if (shows === 'nothing' || !proof) return [];
    const target = write.base ?? write.target;
    const repo = proof === 'buildroot' ? (repoId ?? null) : null;
    return [{ kmod_build, kernel_build, arch, target, shows, proof, at, run_id: run.id, repo }];
  });
}

/** Whether a compiler found something wrong, which the kernel's source may explain. */
const hasErrors = (ending: Ending): boolean =>
  ending.how === 'failed' &&
  (ending.build?.arches ?? []).some(({ errors }) => errors.some(({ kind }) => kind === 'source'));

/** Which kmod build a write tries against which kernel build. */
function pairOf({ kmods, kernel }: Run, write: Write) {
  if (write.kind !== 'scratch-build') return { kmod_build: null, kernel_build: null };
  const kmod_build = kmods.find(({ source }) => source === write.source)?.buildId ?? null;
  return { kmod_build, kernel_build: write.against?.id ?? kernel.id };
}

const keyOf = ({ kmod_build, kernel_build }: ReturnType<typeof pairOf>): string =>
  `${kmod_build} ${kernel_build}`;
