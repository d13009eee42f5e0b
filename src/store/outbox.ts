/**
 * What is to be told to others: derived from the journal, which has a line with each fact. A channel's cursor is the last
 * line that was read for it. It moves in the transaction that adds the rows, so that a process that is killed at any time
 * loses nothing and invents nothing; a row goes once it is told.
 */
import { sql } from 'kysely';
import type { Outcome } from '../core/cell.ts';
import type { Verdict } from '../core/model.ts';
import { wordsOf } from './dialect.ts';
import type { Base, Tx } from './record.ts';

/**
 * What there is to tell of a run. `queued`: it began. `running`: the first try or comparison, and the first after a retry
 * was asked for. `verdict`: one was given. `over`: it ended.
 */
export type Telling = 'queued' | 'running' | 'verdict' | 'over';

/** Something that a channel has not told yet. Channel, run, fact, `what` and part make it what it is. */
export interface Outgoing {
  readonly channel: string;
  /** Number of the fact. */
  readonly fact: number;
  readonly run: string;
  readonly gate: string;
  readonly build: number;
  readonly what: Telling;
  /** Which message of those that the fact makes; empty: not divided yet. */
  readonly part: string;
  /** When the fact was recorded, by the gate's clock, ms. */
  readonly madeAt: number;
  /** Not before this, by the same clock. */
  readonly nextAt: number;
  readonly tries: number;
}

/** A verdict as it was recorded, and what it said of each kmod, and of the stablelist by that name. */
export interface VerdictTold {
  readonly at: number;
  readonly verdict: Verdict;
  readonly reasons: readonly string[];
  readonly judged: readonly {
    readonly kmod: string;
    readonly kmodBuild: number;
    readonly outcome: Outcome;
  }[];
}

/** How much a channel has left to tell. */
export interface ChannelCount {
  readonly channel: string;
  readonly waiting: number;
  /** Given up. */
  readonly failed: number;
  /** When the fact of the oldest that waits was recorded, ms; null: nothing waits. */
  readonly oldest: number | null;
  /** Why the newest that could not be told was not; null: none. */
  readonly error: string | null;
}

export interface Outbox {
  /**
   * Begin to tell on these channels: on a new one of what is recorded from now on. What was to be told on any other one is
   * dropped, and told nowhere.
   * @returns how many messages were dropped
   */
  openChannels(channels: readonly string[]): Promise<number>;
  /**
   * Read the journal on, and add what there is to tell.
   * @param wants what a channel tells, and how long (ms) it waits for more of the same kernel
   * @returns how many lines were read, and whether there may be more
   */
  collect(
    channel: string,
    wants: { readonly what: readonly Telling[]; readonly gather: number },
  ): Promise<{ lines: number; more: boolean }>;
  /** The first that wait, oldest fact first. With `due`: only those whose time (ms) has come. */
  outgoing(channel: string, options: { readonly limit: number; readonly due?: number }): Promise<Outgoing[]>;
  /** All that wait of the same gate, kernel and part; oldest first. */
  alike(one: Outgoing): Promise<Outgoing[]>;
  /** When the next one is due (ms), where `ordered` that of the oldest fact; undefined: none waits. */
  nextDue(channel: string, ordered: boolean): Promise<number | undefined>;
  /** Put messages in place of a row that was not divided yet, and of older ones that they speak for. */
  divide(row: Outgoing, parts: readonly string[], older: readonly Outgoing[]): Promise<void>;
  /**
   * Forget what was told.
   * @param about of which matter `digest` was told, so that it is not told again; see `lastTold`
   */
  told(
    rows: readonly Outgoing[],
    about?: { readonly matter: string; readonly digest: string; readonly at: number },
  ): Promise<void>;
  /** Try again later; `error` absent: it was only too early. */
  putOff(row: Outgoing, nextAt: number, error?: string): Promise<void>;
  /** Never try again. */
  giveUp(row: Outgoing, error: string): Promise<void>;
  /** What a channel was told last of a matter. */
  lastTold(channel: string, matter: string): Promise<string | undefined>;
  /** How much each channel has left. */
  outboxCounts(): Promise<ChannelCount[]>;
  /** The verdict that was recorded as a fact; undefined where there is none. */
  verdictTold(run: string, fact: number): Promise<VerdictTold | undefined>;
  /** How the run was closed as a fact; undefined where it was not. */
  closingTold(run: string, fact: number): Promise<{ at: number; how: string; why: string } | undefined>;
}

/** So many lines of the journal are read at a time. */
const LINES = 500;
/** So many rows of what was given up are kept of a channel. */
const FAILED_KEPT = 1_000;

/** A line that tells of a try or a comparison. */
const isTry = (line: string) => sql`(${sql.ref(`${line}.kind`)} = 'symbols'
  OR ${sql.ref(`${line}.kind`)} = 'asked' AND EXISTS (SELECT 1 FROM intent
    WHERE intent.run_id = ${sql.ref(`${line}.run_id`)} AND intent.fact = ${sql.ref(`${line}.fact`)}
      AND intent.kind = 'scratch-build'))`;

const WHAT = sql<Telling | null>`CASE
  WHEN line.kind = 'run' AND run.fact = line.fact THEN 'queued'
  WHEN line.kind = 'verdict' THEN 'verdict'
  WHEN line.kind = 'closed' THEN 'over'
  WHEN ${isTry('line')} AND NOT EXISTS (
    SELECT 1 FROM journal AS earlier
    WHERE earlier.build_id = line.build_id AND earlier.run_id = line.run_id AND earlier.seq < line.seq
      AND earlier.fact > coalesce((SELECT max(fact) FROM run_order
        WHERE run_order.run_id = line.run_id AND kind = 'retry' AND fact < line.fact), 0)
      AND ${isTry('earlier')}) THEN 'running' END`;

/** The messages that are still to be sent. */
export function outbox({ db }: Base): Outbox {
  const rows = () =>
    db
      .selectFrom('outbox')
      .innerJoin('run', 'run.id', 'outbox.run_id')
      .select(['channel', 'outbox.fact as fact', 'run.id as run', 'gate', 'build_id as build'])
      .select(['what', 'part', 'made_at as madeAt', 'next_at as nextAt', 'tries'])
      .where('state', '=', 'waiting')
      .orderBy('outbox.fact')
      .orderBy(sql`outbox.rowid`);
  const outgoing = async (asked: ReturnType<typeof rows>): Promise<Outgoing[]> =>
    (await asked.execute()).map((row) => ({ ...row, what: row.what as Telling }));
  return {
    async openChannels(channels) {
      return db.transaction().execute(async (tx) => {
        const known = wordsOf(tx).texts(JSON.stringify(channels));
        const { rows: gone } = await sql<{ waited: number }>`
          SELECT count(*) AS waited FROM outbox WHERE state = 'waiting' AND channel NOT IN ${known}`.execute(
          tx,
        );
        for (const table of ['outbox', 'outbox_cursor', 'outbox_told'])
          await sql`DELETE FROM ${sql.table(table)} WHERE channel NOT IN ${known}`.execute(tx);
        for (const channel of channels)
          await sql`INSERT INTO outbox_cursor (channel, seq)
            VALUES (${channel}, coalesce((SELECT max(seq) FROM journal), 0)) ON CONFLICT DO NOTHING`.execute(
            tx,
          );
        return gone[0]?.waited ?? 0;
      });
    },
    async collect(channel, { what, gather }) {
      const [from, newest] = await cursorOf(channel);
      if (from === undefined || from >= newest) return { lines: 0, more: false };
      const { rows: lines } = await sql<Line>`
        SELECT line.seq AS seq, line.at AS at, line.fact AS fact, line.run_id AS run, ${WHAT} AS what
        FROM journal AS line LEFT JOIN run ON run.id = line.run_id
        WHERE line.seq > ${from} ORDER BY line.seq LIMIT ${LINES}`.execute(db);
      const upTo = lines.at(-1)?.seq;
      if (upTo === undefined) return { lines: 0, more: false };
      const told = lines.flatMap((line) =>
        line.what !== null && what.includes(line.what) ? [{ ...line, what: line.what }] : [],
      );
      await db.transaction().execute(async (tx) => {
        for (const { fact, run, what, at } of told)
          await add(tx, { channel, fact, run, what, madeAt: at, nextAt: at + gather }, '');
        await sql`UPDATE outbox_cursor SET seq = ${upTo} WHERE channel = ${channel}`.execute(tx);
      });
      return { lines: lines.length, more: lines.length === LINES };
    },
    outgoing(channel, { limit, due }) {
      const all = rows().where('channel', '=', channel).limit(limit);
      return outgoing(due === undefined ? all : all.where('next_at', '<=', due));
    },
    alike({ channel, gate, build, part }) {
      const same = rows().where('channel', '=', channel).where('part', '=', part);
      return outgoing(same.where('gate', '=', gate).where('build_id', '=', build));
    },
    async nextDue(channel, ordered) {
      if (ordered) return (await this.outgoing(channel, { limit: 1 }))[0]?.nextAt;
      const { rows: found } = await sql<{ next: number | null }>`
        SELECT min(next_at) AS next FROM outbox WHERE channel = ${channel} AND state = 'waiting'`.execute(db);
      return found[0]?.next ?? undefined;
    },
    async divide(row, parts, older) {
      await db.transaction().execute(async (tx) => {
        for (const one of [row, ...older]) await remove(tx, one);
        for (const part of parts) await add(tx, row, part);
      });
    },
    async told(all, about) {
      await db.transaction().execute(async (tx) => {
        for (const row of all) await remove(tx, row);
        const [channel] = all.map((row) => row.channel);
        if (!about || channel === undefined) return;
        const { matter, digest, at } = about;
        await tx
          .insertInto('outbox_told')
          .values({ channel, about: matter, digest, at })
          .onConflict((conflict) => conflict.columns(['channel', 'about']).doUpdateSet({ digest, at }))
          .execute();
      });
    },
    async putOff(row, nextAt, error) {
      const { channel, fact, run, what, part } = row;
      await sql`UPDATE outbox SET next_at = ${nextAt}, tries = tries + ${error === undefined ? 0 : 1},
          error = coalesce(${error ?? null}, error)
        WHERE channel = ${channel} AND fact = ${fact} AND run_id = ${run} AND what = ${what} AND part = ${part}`.execute(
        db,
      );
    },
    async giveUp(row, error) {
      const { channel, fact, run, what, part } = row;
      await db.transaction().execute(async (tx) => {
        await sql`UPDATE outbox SET state = 'failed', error = ${error}
          WHERE channel = ${channel} AND fact = ${fact} AND run_id = ${run} AND what = ${what} AND part = ${part}`.execute(
          tx,
        );
        await sql`DELETE FROM outbox WHERE state = 'failed' AND channel = ${channel} AND rowid NOT IN (
          SELECT rowid FROM outbox WHERE state = 'failed' AND channel = ${channel}
          ORDER BY fact DESC, rowid DESC LIMIT ${FAILED_KEPT})`.execute(tx);
      });
    },
    async lastTold(channel, matter) {
      const [row] = await db
        .selectFrom('outbox_told')
        .select('digest')
        .where('channel', '=', channel)
        .where('about', '=', matter)
        .execute();
      return row?.digest;
    },
    async outboxCounts() {
      const { rows: counts } = await sql<ChannelCount>`
        SELECT channel, count(CASE state WHEN 'waiting' THEN 1 END) AS waiting,
          count(CASE state WHEN 'failed' THEN 1 END) AS failed,
          min(CASE WHEN state = 'waiting' THEN made_at END) AS oldest,
          (SELECT error FROM outbox AS one WHERE one.channel = outbox_cursor.channel AND error IS NOT NULL
            ORDER BY one.fact DESC, one.rowid DESC LIMIT 1) AS error
        FROM outbox_cursor LEFT JOIN outbox USING (channel) GROUP BY channel ORDER BY channel`.execute(db);
      return counts;
    },
    async verdictTold(run, fact) {
      const [row] = await db
        .selectFrom('verdict')
        .select(['at', 'verdict', 'reasons'])
        .where('run_id', '=', run)
        .where('fact', '=', fact)
        .execute();
      if (!row) return undefined;
      const { rows: judged } = await sql<{ kmod: string; kmod_build: number; outcome: Outcome }>`
        SELECT judgement.kmod AS kmod, kmod_build, outcome FROM judgement
        JOIN run ON run.id = judgement.run_id AND run.build_id = judgement.kernel_build AND run.gate = judgement.gate
        WHERE judgement.run_id = ${run} AND judgement.at = ${row.at} ORDER BY seq`.execute(db);
      const newest = new Map(
        judged.map(({ kmod_build: kmodBuild, ...one }) => [one.kmod, { ...one, kmodBuild }]),
      );
      return {
        at: row.at,
        verdict: row.verdict as Verdict,
        reasons: JSON.parse(row.reasons),
        judged: [...newest.values()],
      };
    },
    async closingTold(run, fact) {
      const { rows: found } = await sql<{ at: number; how: string; why: string }>`
        SELECT closing.at AS at, how, why FROM closing JOIN journal
          ON journal.run_id = closing.run_id AND journal.kind = 'closed' AND journal.at = closing.at
        WHERE closing.run_id = ${run} AND journal.fact = ${fact} AND how <> 'reopened'
        ORDER BY closing.seq DESC LIMIT 1`.execute(db);
      return found[0];
    },
  };

  async function cursorOf(channel: string): Promise<[number | undefined, number]> {
    const { rows: found } = await sql<{ seq: number | null; newest: number | null }>`
      SELECT (SELECT seq FROM outbox_cursor WHERE channel = ${channel}) AS seq,
        (SELECT max(seq) FROM journal) AS newest`.execute(db);
    return [found[0]?.seq ?? undefined, found[0]?.newest ?? 0];
  }
}

/** A line of the journal, and what it tells. */
interface Line {
  readonly seq: number;
  readonly at: number;
  readonly fact: number;
  readonly run: string;
  readonly what: Telling | null;
}

/** What waits; what is there already stays as it is. */
async function add(
  tx: Tx,
  row: Pick<Outgoing, 'channel' | 'fact' | 'run' | 'madeAt' | 'nextAt'> & { readonly what: string },
  part: string,
): Promise<void> {
  const { channel, fact, run: run_id, what, madeAt: made_at, nextAt: next_at } = row;
  await tx
    .insertInto('outbox')
    .values({ channel, fact, run_id, what, part, made_at, next_at, state: 'waiting' })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

async function remove(tx: Tx, { channel, fact, run, what, part }: Outgoing): Promise<void> {
  await tx
    .deleteFrom('outbox')
    .where('channel', '=', channel)
    .where('fact', '=', fact)
    .where('run_id', '=', run)
    .where('what', '=', what)
    .where('part', '=', part)
    .execute();
}
