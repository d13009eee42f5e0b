/** The facts, in SQLite. Every fact is inserted together with its line in the journal, or not at all. */
import { type Kysely, sql, type Transaction } from 'kysely';
import { isVoid } from '../core/judge.ts';
import type {
  ArchDetail,
  BaselineRepo,
  Closing,
  Ending,
  Entry,
  Intent,
  KernelBuild,
  Kmod,
  Order,
  PastBuild,
  Receipt,
  Run,
  Strategy,
  SymbolEvidence,
  SymbolsShown,
  Verdict,
  Waiver,
  Write,
} from '../core/model.ts';
import { matcher } from '../core/names.ts';
import { describeEnding, describeReceipt, describeShown } from '../core/report.ts';
import {
  describeOrder,
  describeWaiver,
  describeWrite,
  describeWrites,
  plural,
  summarize,
} from '../core/wording.ts';
import type { SymbolDependency } from '../kabi/rpm.ts';
import { createCache } from './cache.ts';
import { OvertakenError } from './error.ts';
import { pack, type Tables, unpack } from './schema.ts';

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
      | 'id'
      | 'gate'
      | 'kernel'
      | 'generation'
      | 'entry'
      | 'tags'
      | 'kmods'
      | 'startedAt'
      | 'strategy'
      | 'baseline'
    >,
  ): Promise<void>;
  /** Choose the kmods of a run again: the newest choice counts, and what symbols showed of another one does not. */
  select(run: Run, kmods: readonly Kmod[], at: number): Promise<void>;
  /** Record what symbols show of a run; the newest counts. */
  showSymbols(run: Run, shown: SymbolsShown<ArchDetail>, at: number): Promise<void>;
  /** Keep what rpms provide and require; again is harmless. */
  keepRpmSymbols(rpms: ReadonlyMap<number, RpmDependencies>): Promise<void>;
  /**
   * Record writes before they are sent. The ids are new; recording one twice is an error.
   * @throws OvertakenError where a person has asked something of the run since it was read
   */
  intend(run: Run, writes: readonly Write[], at: number): Promise<Intent[]>;
  receive(run: Run, intent: Intent, receipt: Receipt): Promise<void>;
  end(run: Run, intent: Intent, ending: Ending): Promise<void>;
  /** Record whether a repo holds the run's baseline. */
  findBaseline(run: Run, found: BaselineRepo, at: number): Promise<void>;
  /** Record a verdict in place of the one before. */
  judge(run: Run, verdict: Verdict, reasons: readonly string[], at: number): Promise<void>;
  /** Throws OvertakenError as `intend` does. */
  closeRun(run: Run, closing: Closing): Promise<void>;
  /** Make a closed run a live one again. */
  reopen(run: Run, why: string, at: number): Promise<void>;
  /** Record a waiver, with a line in the journal of each run that it speaks of. Returns its id. */
  waive(waiver: Omit<Waiver, 'id' | 'ended'>, runs: readonly Run[]): Promise<number>;
  /** End a waiver, with a line in the journal of each run that it spoke of. */
  endWaiver(waiver: Waiver, by: string, at: number, runs: readonly Run[]): Promise<void>;
  /** Record what a person asks of a live run. Throws OvertakenError where it is over. */
  order(run: Run, order: Omit<Order, 'id'>): Promise<void>;
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
  /** Only which those are: to want a look at each, its facts need not be read. */
  liveKernels(gate?: string): Promise<Pick<Run, 'id' | 'gate' | 'kernel'>[]>;
  /** Newest runs first. */
  runs(limit: number): Promise<Run[]>;
  /** Every symbol that was compared for what a run shows; it is much, and only told. */
  symbolDetail(run: Pick<Run, 'id' | 'symbols'>): Promise<SymbolEvidence<ArchDetail>[]>;
  /** All waivers, newest first. */
  waivers(): Promise<Waiver[]>;
  /** A number that grows with each waiver, its end and each order: whether persons have spoken since. */
  wordsOfPersons(): Promise<number>;
  /** The newest run of a gate that was closed as promoted, of a kernel of this package other than `build`. */
  lastPromoted(gate: string, name: string, build: number): Promise<Run | undefined>;
  /** Ids of the repos whose build roots held a kernel build, newest evidence first. */
  reposWith(kernel: number): Promise<number[]>;
  /** Scratch builds of a gate since a time (ms) that were not the first try. */
  retriesSince(gate: string, since: number): Promise<number>;
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
 * @param version another value whenever another process has written to it
 * @param onEntry hears each journal line once it is on disk
 * @param close lets the database go
 */
export function storeOver(
  db: Kysely<Tables>,
  installation: string,
  version: () => Promise<unknown>,
  onEntry: (entry: Entry) => void,
  close: () => Promise<void>,
): Store {
  const cache = createCache((id) => readRun(db, id), version);

  /**
   * Insert facts and their journal lines in one transaction, then tell the listener.
   * @param concerned the runs that read the facts; without it, those of the lines
   */
  async function record<T>(
    entries: readonly Entry[],
    insert: (tx: Tx) => Promise<T>,
    concerned: (run: Run) => boolean = ({ id }) => entries.some(({ run }) => run === id),
  ): Promise<T> {
    const written = db.transaction().execute(async (tx) => {
      const inserted = await insert(tx);
      for (const entry of entries) await insertEntry(tx, entry);
      return inserted;
    });
    const inserted = await written.finally(() => cache.forget(concerned));
    entries.forEach(onEntry);
    return inserted;
  }
  const all = () => true;
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
      const { id: build, nvr } = kernel;
      const text = `${nvr} is complete`;
      await record([{ at, kind: 'kernel', gate: null, build, nvr, run: null, text }], (tx) =>
        tx
          .insertInto('kernel_build')
          .values({ ...kernel, seen_at: at })
          .execute(),
      );
    },
    async beginRun(run) {
      const { id, gate, generation, entry, startedAt, strategy } = run;
      const text = `stands before the gate: ${plural(run.kmods.length, 'kmod')} to try`;
      const insert = async (tx: Tx) => {
        const row = {
          id,
          gate,
          build_id: run.kernel.id,
          generation,
          entry,
          tags: JSON.stringify(run.tags),
          started_at: startedAt,
          strategy,
          baseline: run.baseline && JSON.stringify(run.baseline),
        };
        await tx.insertInto('run').values(row).execute();
        await tx
          .insertInto('selection')
          .values({ run_id: id, at: startedAt, kmods: JSON.stringify(run.kmods) })
          .execute();
      };
      // It may be the next one that a waiver speaks of.
      await record([{ at: startedAt, kind: 'run', ...of(run), text }], insert, all);
    },
    async select(run, kmods, at) {
      await record([{ at, kind: 'run', ...of(run), text: `${plural(kmods.length, 'kmod')} to try` }], (tx) =>
        tx
          .insertInto('selection')
          .values({ run_id: run.id, at, kmods: JSON.stringify(kmods) })
          .execute(),
      );
    },
    async showSymbols(run, shown, at) {
      const kmods = shown.kmods.map(({ arches, ...of }) => ({ ...of, arches: arches.map(summarize) }));
      const summary: SymbolsShown = { ...shown, kmods };
      const row = { run_id: run.id, at, evidence: JSON.stringify(summary), detail: pack(shown.kmods) };
      await record([{ at, kind: 'symbols', ...of(run), text: describeShown(summary) }], (tx) =>
        tx.insertInto('symbol_evidence').values(row).execute(),
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
    async findBaseline(run, { repo, why }, at) {
      const text = repo === null ? why : `repo ${repo} holds ${run.baseline?.nvr}`;
      await record([{ at, kind: 'run', ...of(run), text }], (tx) =>
        tx.insertInto('baseline_repo').values({ run_id: run.id, at, repo, why }).execute(),
      );
    },
    async judge(run, verdict, reasons, at) {
      const last_order = run.orders.at(-1)?.id ?? 0;
      const row = { run_id: run.id, at, verdict, reasons: JSON.stringify(reasons), last_order };
      await record(
        [{ at, kind: 'verdict', ...of(run), text: `verdict ${verdict}: ${reasons.join('; ')}` }],
        (tx) => tx.insertInto('verdict').values(row).execute(),
      );
    },
    async closeRun(run, closing) {
      const { at, how, why } = closing;
      await record([{ at, kind: 'closed', ...of(run), text: `${how}: ${why}` }], async (tx) => {
        await tx.insertInto('closing').values({ run_id: run.id, at, how, why }).execute();
        await assertHeard(tx, run);
      });
    },
    async reopen(run, why, at) {
      await record([{ at, kind: 'person', ...of(run), text: `opened again: ${why}` }], (tx) =>
        tx.insertInto('closing').values({ run_id: run.id, at, how: 'reopened', why }).execute(),
      );
    },
    async waive(waiver, runs) {
      const { at, by, reason, gate, kernel, kmod, until } = waiver;
      const text = `${kmod} ${describeWaiver(waiver)}`;
      const entries = runs.map((run): Entry => ({ at, kind: 'person', ...of(run), text }));
      const insert = async (tx: Tx) => {
        const { insertId } = await tx
          .insertInto('waiver')
          .values({ at, by, reason, gate, kernel, kmod, until })
          .executeTakeFirstOrThrow();
        return Number(insertId);
      };
      return record(entries, insert, all);
    },
    async endWaiver(waiver, by, at, runs) {
      const text = `${by} ends the waiver of ${waiver.kmod}`;
      const entries = runs.map((run): Entry => ({ at, kind: 'person', ...of(run), text }));
      await record(
        entries,
        (tx) => tx.insertInto('waiver_end').values({ waiver_id: waiver.id, at, by }).execute(),
        all,
      );
    },
    async order(run, order) {
      await record([{ at: order.at, kind: 'person', ...of(run), text: describeOrder(order) }], async (tx) => {
        await tx
          .insertInto('run_order')
          .values({ run_id: run.id, ...order })
          .execute();
        const over = await tx
          .selectFrom('run')
          .select('id')
          .where('id', '=', run.id)
          .where(sql<boolean>`coalesce(${lastClosing}, 'reopened') <> 'reopened'`)
          .executeTakeFirst();
        if (over) throw new OvertakenError(`${run.kernel.nvr}: its run at gate ${run.gate} has just ended`);
      });
    },
    async say(gate, { id: build, nvr }, run, text, at) {
      if ((await store.lastSaid(gate, build)) === text) return;
      await record([{ at, kind: 'state', gate, build, nvr, run, text }], async () => {});
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
      const [run] = await cache.read([id]);
      return run;
    },
    async liveRuns(gate) {
      return cache.read(idsOf(await store.liveKernels(gate)));
    },
    async liveKernels(gate) {
      let query = db
        .selectFrom('run')
        .innerJoin('kernel_build', 'kernel_build.id', 'run.build_id')
        .select(['run.id', 'gate', 'build_id', 'nvr', 'name', 'epoch', 'version', 'release'])
        .where(sql<boolean>`coalesce(${lastClosing}, 'reopened') = 'reopened'`);
      if (gate !== undefined) query = query.where('gate', '=', gate);
      const rows = await query.orderBy('build_id').execute();
      return rows.map((row) => ({
        id: row.id,
        gate: row.gate,
        kernel: kernelOf({ ...row, id: row.build_id }),
      }));
    },
    async runs(limit) {
      const rows = await db
        .selectFrom('run')
        .select('id')
        .orderBy('started_at', 'desc')
        .orderBy('build_id', 'desc')
        .limit(limit)
        .execute();
      return cache.read(idsOf(rows));
    },
    async runsOf(build) {
      const rows = await db
        .selectFrom('run')
        .select('id')
        .where('build_id', '=', build)
        .orderBy('started_at', 'desc')
        .orderBy('generation', 'desc')
        .execute();
      return cache.read(idsOf(rows));
    },
    async symbolDetail({ id, symbols }) {
      if (!symbols) return [];
      const row = await db
        .selectFrom('symbol_evidence')
        .select('detail')
        .where('run_id', '=', id)
        .orderBy(sql`rowid`, 'desc')
        .executeTakeFirst();
      return row ? (unpack(row.detail) as SymbolEvidence<ArchDetail>[]) : [];
    },
    async waivers() {
      return (await allWaivers(db)).reverse();
    },
    async wordsOfPersons() {
      const { rows } = await sql<{ words: number }>`
        SELECT (SELECT count(*) FROM waiver) + (SELECT count(*) FROM waiver_end)
          + (SELECT count(*) FROM run_order) AS words`.execute(db);
      return rows[0]?.words ?? 0;
    },
    async lastPromoted(gate, name, build) {
      const row = await db
        .selectFrom('run')
        .innerJoin('kernel_build', 'kernel_build.id', 'run.build_id')
        .select('run.id as id')
        .where('gate', '=', gate)
        .where('name', '=', name)
        .where('build_id', '!=', build)
        .where(sql<boolean>`${lastClosing} = 'done'`)
        .where(sql<boolean>`${lastVerdict} = 'promote'`)
        .orderBy(sql`(SELECT max(seq) FROM closing WHERE closing.run_id = run.id)`, 'desc')
        .executeTakeFirst();
      return row && store.run(row.id);
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
      const rows = await db
        .selectFrom('intent')
        .innerJoin('run', 'run.id', 'intent.run_id')
        .leftJoin('ending', 'ending.intent_id', 'intent.id')
        .select(['run_id', 'kmod_build', 'kernel_build'])
        .select(({ fn }) => fn.countAll<number>().as('tries'))
        .where('gate', '=', gate)
        .where('kind', '=', 'scratch-build')
        .where('kmod_build', 'is not', null)
        .where('asked_at', '>=', since)
        .where(({ or, eb }) => or([eb('how', 'is', null), eb('how', '!=', 'lost')]))
        .groupBy(['run_id', 'kmod_build', 'kernel_build'])
        .execute();
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

const idsOf = (rows: readonly { id: string }[]): string[] => rows.map(({ id }) => id);

/** How the last closing of `run` is, and its last verdict; NULL where there is none. */
const lastClosing = sql`(SELECT how FROM closing WHERE closing.run_id = run.id ORDER BY seq DESC LIMIT 1)`;
const lastVerdict = sql`(SELECT verdict FROM verdict WHERE verdict.run_id = run.id ORDER BY seq DESC LIMIT 1)`;

/** So many ended builds of a kernel are looked at for a repo that holds it. */
const PAST_LOOKED_AT = 20;

const insertEntry = (tx: Tx, { at, kind, gate, build, run, text }: Entry) =>
  tx.insertInto('journal').values({ at, kind, gate, build_id: build, run_id: run, text }).execute();

/**
 * What was decided before a person spoke is not done. Called after the insert: a transaction that reads first is refused,
 * and does not wait, where another process writes meanwhile.
 */
async function assertHeard(tx: Tx, { id, orders }: Run): Promise<void> {
  const unheard = await tx
    .selectFrom('run_order')
    .select('id')
    .where('run_id', '=', id)
    .where('id', '>', orders.at(-1)?.id ?? 0)
    .executeTakeFirst();
  if (unheard) throw new OvertakenError(`a person has spoken of ${id}`);
}

/** Which kmod build a write tries against which kernel build. */
function pairOf({ kmods, kernel }: Run, write: Write) {
  if (write.kind !== 'scratch-build') return { kmod_build: null, kernel_build: null };
  const kmod_build = kmods.find(({ source }) => source === write.source)?.buildId ?? null;
  return { kmod_build, kernel_build: write.against?.id ?? kernel.id };
}

async function readRun(db: Kysely<Tables>, id: string): Promise<Run | undefined> {
  const row = await db
    .selectFrom('run')
    .innerJoin('kernel_build', 'kernel_build.id', 'run.build_id')
    .select(['run.id', 'gate', 'generation', 'entry', 'tags', 'started_at', 'strategy', 'baseline'])
    .select(['build_id', 'nvr', 'name', 'epoch', 'version', 'release'])
    .where('run.id', '=', id)
    .executeTakeFirst();
  if (!row) return undefined;
  const selections = await db
    .selectFrom('selection')
    .select(['at', 'kmods'])
    .where('run_id', '=', id)
    .orderBy(sql`rowid`, 'desc')
    .execute();
  const chosen = selections.find(({ kmods }) => kmods !== '[]') ?? selections[0];
  const kmods = chosen ? (JSON.parse(chosen.kmods) as Kmod[]) : [];
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
    .select(['at', 'evidence'])
    .where('run_id', '=', id)
    .orderBy(sql`rowid`, 'desc')
    .executeTakeFirst();
  const baselineRepo = await db
    .selectFrom('baseline_repo')
    .select(['repo', 'why'])
    .where('run_id', '=', id)
    .executeTakeFirst();
  const orders = (await db
    .selectFrom('run_order')
    .select(['id', 'at', 'by', 'kind', 'reason', 'kmod'])
    .where('run_id', '=', id)
    .orderBy('id')
    .execute()) as Order[];
  const verdict = await db
    .selectFrom('verdict')
    .selectAll()
    .where('run_id', '=', id)
    .orderBy('seq', 'desc')
    .executeTakeFirst();
  const closing = await db
    .selectFrom('closing')
    .selectAll()
    .where('run_id', '=', id)
    .orderBy('seq', 'desc')
    .executeTakeFirst();
  const asked = intents.map(
    (intent): Intent => ({
      id: intent.id,
      write: JSON.parse(intent.write),
      askedAt: intent.asked_at,
      ...(intent.receipt && { receipt: JSON.parse(intent.receipt) }),
      ...(intent.ending && { ending: JSON.parse(intent.ending) }),
    }),
  );
  const stands = verdict && !isVoid(verdict.last_order, { orders, intents: asked });
  const kernel = kernelOf({ ...row, id: row.build_id });
  const baseline = row.baseline === null ? null : (JSON.parse(row.baseline) as NonNullable<Run['baseline']>);
  return {
    id: row.id,
    gate: row.gate,
    kernel,
    generation: row.generation,
    entry: row.entry,
    tags: JSON.parse(row.tags),
    startedAt: row.started_at,
    strategy: row.strategy as Strategy,
    ...(shown && chosen && shown.at >= chosen.at && { symbols: JSON.parse(shown.evidence) }),
    kmods,
    chosenAt: chosen?.at ?? row.started_at,
    baseline,
    ...(baselineRepo && { baselineRepo }),
    past: baseline ? await readPast(db, id, baseline.id) : [],
    intents: asked,
    waivers: await readWaivers(db, row.gate, kernel),
    orders,
    ...(stands && {
      verdict: { at: verdict.at, verdict: verdict.verdict as Verdict, reasons: JSON.parse(verdict.reasons) },
    }),
    ...(closing &&
      closing.how !== 'reopened' && {
        closing: { at: closing.at, how: closing.how as Closing['how'], why: closing.why },
      }),
  };
}

/** What other runs showed of the baseline and those kmod builds that have failed in this one; newest first. */
async function readPast(db: Kysely<Tables>, run: string, baseline: number): Promise<PastBuild[]> {
  const rows = await db
    .selectFrom('intent')
    .innerJoin('ending', 'ending.intent_id', 'intent.id')
    .select(['run_id', 'kmod_build', 'ending'])
    .where('kernel_build', '=', baseline)
    .where('run_id', '!=', run)
    .where('how', '!=', 'lost')
    .where('kmod_build', 'in', (eb) =>
      eb
        .selectFrom('intent as own')
        .innerJoin('ending as failed', 'failed.intent_id', 'own.id')
        .select('own.kmod_build')
        .where('own.run_id', '=', run)
        .where('failed.how', '=', 'failed')
        .where('own.kmod_build', 'is not', null),
    )
    .orderBy('ending.at', 'desc')
    .execute();
  return rows.flatMap(({ run_id, kmod_build, ending }) => {
    const { build } = JSON.parse(ending) as Exclude<Ending, { how: 'lost' }>;
    return build && kmod_build !== null ? [{ buildId: kmod_build, run: run_id, build }] : [];
  });
}

/** Waivers that speak of a kernel at a gate, oldest first. */
async function readWaivers(db: Kysely<Tables>, gate: string, kernel: KernelBuild): Promise<Waiver[]> {
  const all = (await allWaivers(db)).filter((waiver) => waiver.gate === null || waiver.gate === gate);
  const speaking: Waiver[] = [];
  for (const waiver of all) {
    const speaks =
      waiver.kernel === 'next'
        ? (await nextKernel(db, gate, waiver.at)) === kernel.id
        : matcher([waiver.kernel])(kernel.nvr);
    if (speaks) speaking.push(waiver);
  }
  return speaking;
}

/** Oldest first. */
async function allWaivers(db: Kysely<Tables>): Promise<Waiver[]> {
  const rows = await db
    .selectFrom('waiver')
    .leftJoin('waiver_end', 'waiver_end.waiver_id', 'waiver.id')
    .select(['id', 'waiver.at', 'waiver.by', 'reason', 'gate', 'kernel', 'kmod', 'until'])
    .select(['waiver_end.at as ended_at', 'waiver_end.by as ended_by'])
    .orderBy('id')
    .execute();
  return rows.map(({ ended_at, ended_by, ...waiver }) => ({
    ...waiver,
    ...(ended_at !== null && ended_by !== null && { ended: { at: ended_at, by: ended_by } }),
  }));
}

/** The kernel build that was the first to come before a gate after a time. */
async function nextKernel(db: Kysely<Tables>, gate: string, after: number): Promise<number | undefined> {
  const row = await db
    .selectFrom('run')
    .select('build_id')
    .where('gate', '=', gate)
    .where('started_at', '>=', after)
    .orderBy('started_at')
    .orderBy(sql`rowid`)
    .executeTakeFirst();
  return row?.build_id;
}
