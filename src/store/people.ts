/** What persons say: waivers, and orders about runs. */
import { type Kysely, sql } from 'kysely';
import type { Entry, KernelBuild, Run, Waiver } from '../core/model.ts';
import { matcher } from '../core/names.ts';
import { hasChangedTags } from '../core/people.ts';
import { describeOrder, describeWaiver } from '../core/wording.ts';
import { OvertakenError } from './error.ts';
import { aheadOf } from './journal.ts';
import { nameRuns } from './named.ts';
import { query } from './query.ts';
import { type Base, everyRun, of, type Tx } from './record.ts';
import type { Tables } from './schema.ts';
import type { Store } from './store.ts';

/** What persons said, and when they say more. */
export function peopleFacts({ db, record }: Base) {
  const allWaivers = allWaiversReader(db);
  return {
    async waive(waiver, runs, from) {
      const { at, by, reason, gate, kernel, kmod, until } = waiver;
      const text = `${kmod} ${describeWaiver(waiver)}`;
      const entries = runs.map((run): Entry => ({ at, kind: 'person', ...of(run), text }));
      const insert = async (tx: Tx, fact: number) => {
        const { id } = await tx
          .insertInto('waiver')
          .values({ at, fact, by, reason, gate, kernel, kmod, until })
          .returning('id')
          .executeTakeFirstOrThrow();
        await nameRuns(tx, { id, gate, kernel });
        if (from)
          await tx
            .insertInto('waiver_there')
            .values({ ...from, waiver_id: id, kind: 'read' })
            .execute();
        return id;
      };
      return record(entries, insert, everyRun);
    },
    async endWaiver(waiver, by, at, runs) {
      const text = `${by} ends the waiver of ${waiver.kmod}`;
      const entries = runs.map((run): Entry => ({ at, kind: 'person', ...of(run), text }));
      await record(
        entries,
        (tx, fact) => tx.insertInto('waiver_end').values({ waiver_id: waiver.id, at, fact, by }).execute(),
        everyRun,
      );
    },
    async order(run, order) {
      const { at, by } = order;
      const person: Entry = { at, kind: 'person', ...of(run), text: describeOrder(order) };
      // Until the gate has heard of it, what it said last is no more so: nobody else must act.
      const state: Entry = { at, kind: 'state', ...of(run), text: `waits to be tried again, as ${by} asked` };
      const waits = order.kind === 'retry' && !hasChangedTags(run.intents);
      await record(waits ? [person, state] : [person], async (tx, fact) => {
        await tx
          .insertInto('run_order')
          .values({ run_id: run.id, ...order, fact })
          .execute();
        const over = await tx
          .selectFrom('run')
          .select('id')
          .where('id', '=', run.id)
          .where('live', '=', 0)
          .executeTakeFirst();
        if (over) throw new OvertakenError(`${run.kernel.nvr}: its run at gate ${run.gate} has just ended`);
      });
    },
    async runsWaived(after) {
      const rows = await db
        .selectFrom('waiver_run')
        .innerJoin('run', 'run.id', 'run_id')
        .leftJoin('waiver_end', 'waiver_end.waiver_id', 'waiver_run.waiver_id')
        .select(['seq', 'run_id', 'gate', 'build_id'])
        .where('seq', '>', after)
        .where('waiver_end.waiver_id', 'is', null)
        .orderBy('seq')
        .execute();
      return rows.map(({ seq, run_id: run, gate, build_id: build }) => ({ seq, run, gate, build }));
    },
    async waivers() {
      return (await allWaivers()).reverse();
    },
    async wordsOfPersons() {
      const { rows } = await sql<{ words: number }>`
        SELECT coalesce((SELECT max(id) FROM waiver), 0) + coalesce((SELECT max(id) FROM run_order), 0)
          + (SELECT count(*) FROM waiver_end) AS words`.execute(db);
      return rows[0]?.words ?? 0;
    },
  } satisfies Partial<Store>;
}

/** What was decided before a person spoke is not done. */
export async function assertHeard(tx: Tx, { id, orders }: Run): Promise<void> {
  const unheard = await tx
    .selectFrom('run_order')
    .select('id')
    .where('run_id', '=', id)
    .where('id', '>', orders.at(-1)?.id ?? 0)
    .executeTakeFirst();
  if (unheard) throw new OvertakenError(`a person has spoken of ${id}`);
}

/** @returns reads the waivers that speak of a kernel at a gate, oldest first */
export function waiverReader(db: Kysely<Tables>): (gate: string, kernel: KernelBuild) => Promise<Waiver[]> {
  const readAll = allWaiversReader(db);
  /** The kernel build that was the first to come before a gate after a fact. */
  const nextKernel = query(db, ({ gate, after }: { gate: string; after: number }) =>
    db
      .selectFrom('run')
      .select('build_id')
      .where('gate', '=', gate)
      .where('fact', '>', after)
      .orderBy('fact')
      .limit(1),
  );
  const asDraft = query(db, ({ id }: { id: number }) =>
    db.selectFrom('kernel_build').select('draft_nvr').where('id', '=', id).where('draft_nvr', 'is not', null),
  );
  const speaks = async (waiver: Waiver, gate: string, kernel: KernelBuild): Promise<boolean> => {
    if (waiver.kernel !== 'next') {
      const [draft] = waiver.kernel.includes(',draft_') ? await asDraft(kernel) : [];
      return [kernel.nvr, draft?.draft_nvr ?? ''].some(matcher([waiver.kernel]));
    }
    const [next] = await nextKernel({ gate, after: waiver.fact });
    return next?.build_id === kernel.id;
  };
  return async (gate, kernel) => {
    const speaking: Waiver[] = [];
    for (const waiver of await readAll()) {
      const ofGate = waiver.gate === null || waiver.gate === gate;
      if (ofGate && (await speaks(waiver, gate, kernel))) speaking.push(waiver);
    }
    return speaking;
  };
}

/** @returns reads all waivers, oldest first */
function allWaiversReader(db: Kysely<Tables>): () => Promise<Waiver[]> {
  const rows = query(db, () =>
    db
      .selectFrom('waiver')
      .leftJoin('waiver_end', 'waiver_end.waiver_id', 'waiver.id')
      .select(['id', 'waiver.at', 'waiver.fact', 'waiver.by', 'reason', 'gate', 'kernel', 'kmod', 'until'])
      .select(['waiver_end.at as ended_at', 'waiver_end.fact as ended_fact', 'waiver_end.by as ended_by'])
      .orderBy('id'),
  );
  return async () => {
    const ahead = await aheadOf(db);
    return (await rows({})).map(({ ended_at, ended_fact, ended_by, ...waiver }) => ({
      ...waiver,
      ends: waiver.until === null ? null : waiver.until - ahead,
      ...(ended_at !== null &&
        ended_fact !== null &&
        ended_by !== null && { ended: { at: ended_at, fact: ended_fact, by: ended_by } }),
    }));
  };
}
