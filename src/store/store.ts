/** The facts, in SQLite. Every fact is inserted together with its line in the journal, or not at all. */
import { type Kysely, sql, type Transaction } from 'kysely';
import type {
  Closing,
  Ending,
  Entry,
  Intent,
  KernelBuild,
  Kmod,
  Receipt,
  Run,
  Strategy,
  SymbolsShown,
  Verdict,
  Write,
} from '../core/model.ts';
import { describeEnding, describeReceipt, describeShown } from '../core/report.ts';
import { describeWrite, describeWrites, plural } from '../core/wording.ts';
import type { SymbolDependency } from '../kabi/rpm.ts';
import type { Tables } from './schema.ts';

/** The newest message that a queue of the bus brought. */
export interface Heard {
  readonly queue: string;
  readonly at: number;
  readonly routingKey: string;
  readonly understood: boolean;
}

/** What an rpm's header says of symbols. */
export interface RpmDependencies {
  readonly provides: readonly SymbolDependency[];
  readonly requires: readonly SymbolDependency[];
}

/** Opened store. All times are milliseconds since the epoch, given by the caller. */
export interface Store {
  /** Random id of this store, which marks its scratch builds on the hub. */
  readonly installation: string;
  /** Record that a kernel build of a gate's package was seen, before anything is said of it; again is harmless. */
  seeKernel(kernel: KernelBuild, at: number): Promise<void>;
  beginRun(
    run: Pick<
      Run,
      'id' | 'gate' | 'kernel' | 'generation' | 'entry' | 'tags' | 'kmods' | 'startedAt' | 'strategy'
    >,
  ): Promise<void>;
  /** Choose the kmods of a run again; only for a run that has none. */
  select(run: Run, kmods: readonly Kmod[], at: number): Promise<void>;
  /** Record what symbols show of a run; the newest counts. */
  showSymbols(run: Run, shown: SymbolsShown, at: number): Promise<void>;
  /** Keep what rpms provide and require; again is harmless. */
  keepRpmSymbols(rpms: ReadonlyMap<number, RpmDependencies>): Promise<void>;
  /** Record writes before they are sent. The ids are new; recording one twice is an error. */
  intend(run: Run, writes: readonly Write[], at: number): Promise<Intent[]>;
  receive(run: Run, intent: Intent, receipt: Receipt): Promise<void>;
  end(run: Run, intent: Intent, ending: Ending): Promise<void>;
  judge(run: Run, verdict: Verdict, reasons: readonly string[], at: number): Promise<void>;
  closeRun(run: Run, closing: Closing): Promise<void>;
  /** Record the line that tells where a build stands at a gate, unless it is what was last said. */
  say(gate: string, kernel: KernelBuild, run: string | null, text: string, at: number): Promise<void>;
  /** Keep the newest message of a queue, in place of the one before. */
  hear(heard: Heard): Promise<void>;

  kernel(idOrNvr: number | string): Promise<KernelBuild | undefined>;
  /** Kernels that were seen, newest first. */
  kernels(): Promise<KernelBuild[]>;
  /** Newest generation of a gate's run on a kernel build. */
  latestRun(gate: string, build: number): Promise<Run | undefined>;
  run(id: string): Promise<Run | undefined>;
  /** Runs that are not closed, oldest first; of one gate or of all. */
  liveRuns(gate?: string): Promise<Run[]>;
  /** Newest runs first. */
  runs(limit: number): Promise<Run[]>;
  /** Runs of a kernel build, newest first. */
  runsOf(build: number): Promise<Run[]>;
  /** The kernel build for which a task was started, and the gate. */
  ownerOfTask(task: number): Promise<{ gate: string; build: number } | undefined>;
  /** Names of all side tags that were ever created. */
  sideTags(): Promise<string[]>;
  /** What is known of rpms, by their Koji ids. */
  rpmSymbols(ids: readonly number[]): Promise<Map<number, RpmDependencies>>;
  /** What was last said of a build at a gate. */
  lastSaid(gate: string, build: number): Promise<string | undefined>;
  journal(build: number): Promise<Entry[]>;
  /** The newest message of a queue that a gate on this store kept. */
  lastHeard(queue: string): Promise<Heard | undefined>;
  close(): Promise<void>;
}

type Tx = Transaction<Tables>;

/**
 * The store over an open database.
 * @param onEntry hears each journal line once it is on disk
 * @param close lets the database go
 */
export function storeOver(
  db: Kysely<Tables>,
  installation: string,
  onEntry: (entry: Entry) => void,
  close: () => Promise<void>,
): Store {
  /** Insert facts and their journal line in one transaction, then tell the listener. */
  async function record(entry: Entry, insert: (tx: Tx) => Promise<unknown> = async () => {}): Promise<void> {
    await db.transaction().execute(async (tx) => {
      await insert(tx);
      const { at, kind, gate, text } = entry;
      await tx
        .insertInto('journal')
        .values({ at, kind, gate, build_id: entry.build, run_id: entry.run, text })
        .execute();
    });
    onEntry(entry);
  }
  const of = (run: Pick<Run, 'id' | 'gate' | 'kernel'>) => ({
    gate: run.gate,
    build: run.kernel.id,
    nvr: run.kernel.nvr,
    run: run.id,
  });

  const store: Store = {
    installation,
    async seeKernel(kernel, at) {
      if (await store.kernel(kernel.id)) return;
      await record(
        {
          at,
          kind: 'kernel',
          gate: null,
          build: kernel.id,
          nvr: kernel.nvr,
          run: null,
          text: `${kernel.nvr} is complete`,
        },
        (tx) =>
          tx
            .insertInto('kernel_build')
            .values({ ...kernel, seen_at: at })
            .execute(),
      );
    },
    async beginRun(run) {
      const { id, gate, generation, entry, startedAt, strategy } = run;
      const text = `stands before the gate: ${plural(run.kmods.length, 'kmod')} to try`;
      await record({ at: startedAt, kind: 'run', ...of(run), text }, async (tx) => {
        const row = {
          id,
          gate,
          build_id: run.kernel.id,
          generation,
          entry,
          tags: JSON.stringify(run.tags),
          started_at: startedAt,
          strategy,
        };
        await tx.insertInto('run').values(row).execute();
        await tx
          .insertInto('selection')
          .values({ run_id: id, at: startedAt, kmods: JSON.stringify(run.kmods) })
          .execute();
      });
    },
    async select(run, kmods, at) {
      await record({ at, kind: 'run', ...of(run), text: `${plural(kmods.length, 'kmod')} to try` }, (tx) =>
        tx
          .insertInto('selection')
          .values({ run_id: run.id, at, kmods: JSON.stringify(kmods) })
          .execute(),
      );
    },
    async showSymbols(run, shown, at) {
      const text = describeShown(shown);
      await record({ at, kind: 'symbols', ...of(run), text }, (tx) =>
        tx
          .insertInto('symbol_evidence')
          .values({ run_id: run.id, at, evidence: JSON.stringify(shown) })
          .execute(),
      );
    },
    async keepRpmSymbols(rpms) {
      await db.transaction().execute(async (tx) => {
        for (const [rpm_id, symbols] of rpms) {
          await tx
            .insertInto('rpm_symbols')
            .values({ rpm_id, symbols: JSON.stringify(symbols) })
            .onConflict((conflict) => conflict.doNothing())
            .execute();
        }
      });
    },
    async intend(run, writes, at) {
      const intents = nameIntents(run, writes, at);
      const text = describeWrites(writes);
      await record({ at, kind: 'asked', ...of(run), text }, (tx) =>
        tx
          .insertInto('intent')
          .values(
            intents.map(({ id, write }, i) => ({
              id,
              run_id: run.id,
              seq: run.intents.length + i,
              kind: write.kind,
              write: JSON.stringify(write),
              asked_at: at,
            })),
          )
          .execute(),
      );
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
      await record({ at: receipt.at, kind: 'answered', ...of(run), text }, (tx) =>
        tx.insertInto('receipt').values(row).execute(),
      );
    },
    async end(run, intent, ending) {
      const text = describeEnding(run.kernel, intent, ending);
      const row = { intent_id: intent.id, at: ending.at, how: ending.how, ending: JSON.stringify(ending) };
      await record({ at: ending.at, kind: 'ended', ...of(run), text }, (tx) =>
        tx.insertInto('ending').values(row).execute(),
      );
    },
    async judge(run, verdict, reasons, at) {
      const row = { run_id: run.id, at, verdict, reasons: JSON.stringify(reasons) };
      await record(
        { at, kind: 'verdict', ...of(run), text: `verdict ${verdict}: ${reasons.join('; ')}` },
        (tx) => tx.insertInto('verdict').values(row).execute(),
      );
    },
    async closeRun(run, closing) {
      const { at, how, why } = closing;
      await record({ at, kind: 'closed', ...of(run), text: `${how}: ${why}` }, (tx) =>
        tx.insertInto('closing').values({ run_id: run.id, at, how, why }).execute(),
      );
    },
    async say(gate, { id: build, nvr }, run, text, at) {
      if ((await store.lastSaid(gate, build)) === text) return;
      await record({ at, kind: 'state', gate, build, nvr, run, text });
    },
    async hear({ queue, at, routingKey, understood }) {
      const row = { queue, at, routing_key: routingKey, understood: Number(understood) };
      await db.replaceInto('heard').values(row).execute();
    },

    async kernel(idOrNvr) {
      const column = typeof idOrNvr === 'number' ? 'id' : 'nvr';
      const row = await db
        .selectFrom('kernel_build')
        .selectAll()
        .where(column, '=', idOrNvr)
        .orderBy('id', 'desc')
        .executeTakeFirst();
      return row && kernelOf(row);
    },
    async kernels() {
      return (await db.selectFrom('kernel_build').selectAll().orderBy('id', 'desc').execute()).map(kernelOf);
    },
    async latestRun(gate, build) {
      const row = await db
        .selectFrom('run')
        .select('id')
        .where('gate', '=', gate)
        .where('build_id', '=', build)
        .orderBy('generation', 'desc')
        .executeTakeFirst();
      return row && store.run(row.id);
    },
    async run(id) {
      return readRun(db, id);
    },
    async liveRuns(gate) {
      let query = db
        .selectFrom('run')
        .select('id')
        .where(({ not, exists, selectFrom }) =>
          not(exists(selectFrom('closing').select('run_id').whereRef('closing.run_id', '=', 'run.id'))),
        );
      if (gate !== undefined) query = query.where('gate', '=', gate);
      return readRuns(db, await query.orderBy('build_id').execute());
    },
    async runs(limit) {
      return readRuns(
        db,
        await db
          .selectFrom('run')
          .select('id')
          .orderBy('started_at', 'desc')
          .orderBy('build_id', 'desc')
          .limit(limit)
          .execute(),
      );
    },
    async runsOf(build) {
      return readRuns(
        db,
        await db
          .selectFrom('run')
          .select('id')
          .where('build_id', '=', build)
          .orderBy('started_at', 'desc')
          .orderBy('generation', 'desc')
          .execute(),
      );
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
    async rpmSymbols(ids) {
      // One parameter however many there are: SQLite takes no more than 32,766.
      const rows = await db
        .selectFrom('rpm_symbols')
        .selectAll()
        .where('rpm_id', 'in', sql<number>`(SELECT value FROM json_each(${JSON.stringify(ids)}))`)
        .execute();
      return new Map(rows.map(({ rpm_id, symbols }) => [rpm_id, JSON.parse(symbols) as RpmDependencies]));
    },
    async lastSaid(gate, build) {
      const row = await db
        .selectFrom('journal')
        .select('text')
        .where('kind', '=', 'state')
        .where('gate', '=', gate)
        .where('build_id', '=', build)
        .orderBy('seq', 'desc')
        .executeTakeFirst();
      return row?.text;
    },
    async journal(build) {
      const rows = await db
        .selectFrom('journal')
        .innerJoin('kernel_build', 'kernel_build.id', 'build_id')
        .select(['at', 'kind', 'gate', 'nvr', 'run_id', 'text'])
        .where('build_id', '=', build)
        .orderBy('seq')
        .execute();
      return rows.map(({ run_id: run, kind, ...entry }) => ({
        ...entry,
        kind: kind as Entry['kind'],
        build,
        run,
      }));
    },
    async lastHeard(queue) {
      const row = await db.selectFrom('heard').selectAll().where('queue', '=', queue).executeTakeFirst();
      return row && { queue, at: row.at, routingKey: row.routing_key, understood: row.understood === 1 };
    },
    close,
  };
  return store;
}

/** Ids say what they are for: `GATE/BUILD/GENERATION/KMOD/TRY`, or `…/KIND/N`. */
function nameIntents(run: Run, writes: readonly Write[], at: number): Intent[] {
  const counts = new Map<string, number>();
  const subject = (write: Write) => (write.kind === 'scratch-build' ? write.kmod : write.kind);
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

function kernelOf({
  id,
  nvr,
  name,
  epoch,
  version,
  release,
}: Omit<Tables['kernel_build'], 'seen_at'>): KernelBuild {
  return { id, nvr, name, epoch, version, release };
}

async function readRuns(db: Kysely<Tables>, rows: readonly { id: string }[]): Promise<Run[]> {
  const runs: Run[] = [];
  for (const { id } of rows) {
    const run = await readRun(db, id);
    if (run) runs.push(run);
  }
  return runs;
}

async function readRun(db: Kysely<Tables>, id: string): Promise<Run | undefined> {
  const row = await db
    .selectFrom('run')
    .innerJoin('kernel_build', 'kernel_build.id', 'run.build_id')
    .select(['run.id', 'gate', 'generation', 'entry', 'tags', 'started_at', 'strategy'])
    .select(['build_id', 'nvr', 'name', 'epoch', 'version', 'release'])
    .where('run.id', '=', id)
    .executeTakeFirst();
  if (!row) return undefined;
  const selections = await db.selectFrom('selection').select('kmods').where('run_id', '=', id).execute();
  const intents = await db
    .selectFrom('intent')
    .leftJoin('receipt', 'receipt.intent_id', 'intent.id')
    .leftJoin('ending', 'ending.intent_id', 'intent.id')
    .select(['intent.id', 'write', 'asked_at', 'receipt', 'ending'])
    .where('run_id', '=', id)
    .orderBy('seq')
    .execute();
  const shown = await db
    .selectFrom('symbol_evidence')
    .select('evidence')
    .where('run_id', '=', id)
    .orderBy(sql`rowid`, 'desc')
    .executeTakeFirst();
  const verdict = await db.selectFrom('verdict').selectAll().where('run_id', '=', id).executeTakeFirst();
  const closing = await db.selectFrom('closing').selectAll().where('run_id', '=', id).executeTakeFirst();
  return {
    id: row.id,
    gate: row.gate,
    kernel: kernelOf({ ...row, id: row.build_id }),
    generation: row.generation,
    entry: row.entry,
    tags: JSON.parse(row.tags),
    startedAt: row.started_at,
    strategy: row.strategy as Strategy,
    ...(shown && { symbols: JSON.parse(shown.evidence) }),
    kmods: selections.map(({ kmods }): Kmod[] => JSON.parse(kmods)).find((kmods) => kmods.length > 0) ?? [],
    intents: intents.map((intent) => ({
      id: intent.id,
      write: JSON.parse(intent.write),
      askedAt: intent.asked_at,
      ...(intent.receipt && { receipt: JSON.parse(intent.receipt) }),
      ...(intent.ending && { ending: JSON.parse(intent.ending) }),
    })),
    ...(verdict && {
      verdict: { at: verdict.at, verdict: verdict.verdict as Verdict, reasons: JSON.parse(verdict.reasons) },
    }),
    ...(closing && { closing: { at: closing.at, how: closing.how as Closing['how'], why: closing.why } }),
  };
}
