/**
 * Which of several gates on one store acts. One row of the database says who holds the lease, and its token, which grows with
 * each holder. The holder changes the row again and again (a beat); whoever has seen it unchanged for the length of the lease,
 * by the clock of his own machine, takes it. So no two clocks are compared. Three things keep a former holder from acting:
 *
 * - each of its transactions asks for its token, and holds the row until it ends (`fence` in postgres.ts);
 * - no write to the hub leaves unless the newest beat was sent so lately that nobody can have taken the lease: see `permit`;
 * - whoever takes it counts the time that a lost answer may take from then on (`began` in the reconciler).
 *
 * What is left: a process that is stopped between the look at the clock and the system call right behind it.
 */
import { hostname, uptime } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { LeaseError } from './error.ts';

/** In ms. A process that is killed is followed by another within the first, a look and a beat. */
export const PACE: LeasePace = { length: 5_000, beat: 1_000, look: 500, margin: 1_500, answer: 1_500 };

export interface LeasePace {
  /** Who has seen no beat for so long takes the lease. */
  readonly length: number;
  /** Between beats. */
  readonly beat: number;
  /** Between looks of those who stand by. */
  readonly look: number;
  /** No write leaves when less than this is left. */
  readonly margin: number;
  /** For a connection, and for an answer. */
  readonly answer: number;
}

/** Who acts, as this process sees it. Times are ms since the epoch, by the machine. */
export interface LeaseState {
  /** Whether this process may act now. */
  readonly acts: boolean;
  /** Since when it is so. */
  readonly since: number;
  /** What this process is called. */
  readonly name: string;
  /** Who holds the lease; null: nobody, or nobody knows. */
  readonly holder: string | null;
  /** Grows with each holder. */
  readonly token: number | null;
  /** Why the database cannot be asked, or why this process may not take the lease. */
  readonly reason?: string;
}

/** The time in which this process holds the lease. */
export interface Term {
  readonly token: number;
  /** Throws LeaseError unless the lease is surely this process's for a while. Asks nobody: it is for the last moment. */
  permit(): void;
  /** Fires once another one has it. */
  readonly lost: AbortSignal;
  /** Let others have it at once. Never rejects. */
  release(): Promise<void>;
}

export interface Lease {
  /** Absent: the store has room for one gate. */
  readonly state?: () => LeaseState;
  /** Take it where it is free now. Never rejects. */
  first(): Promise<Term | undefined>;
  /** Wait for it; undefined once `stop` fires. Never rejects. */
  next(stop: AbortSignal): Promise<Term | undefined>;
  close(): Promise<void>;
}

/** Of a store that one process has for itself, as SQLite's lock sees to it. */
export const soleLease = (): Lease => {
  const term: Term = {
    token: 0,
    permit: () => {},
    lost: new AbortController().signal,
    release: async () => {},
  };
  return { first: async () => term, next: async () => term, close: async () => {} };
};

/** Held by every gate, also while it stands by, as long as its connection lasts; `unused` is for who must have no gate there. */
const GATES = 0x6761_7465;
const IN_USE = `SELECT pg_advisory_lock_shared(${GATES}, hashtext(current_schema()))`;
/** Answers whether no gate uses the store; then none begins to until the transaction ends. */
export const UNUSED = `SELECT pg_try_advisory_xact_lock(${GATES}, hashtext(current_schema())) AS unused`;

/** The lease as it is in the database. */
interface Row {
  readonly token: number;
  readonly holder: string;
  readonly beat: number;
  /** Name of the newest migration. */
  readonly tables: string;
}

const LOOK = `SELECT token, holder, beat, (SELECT max(name) FROM kysely_migration) AS tables FROM lease`;
/** When that will be, by the database's clock: for people to read. */
const ENDS = `(extract(epoch FROM clock_timestamp()) * 1000)::bigint`;
const TAKE = `UPDATE lease SET token = token + 1, beat = beat + 1, holder = $1, ends_at = ${ENDS} + $2
  WHERE token = $3 AND beat = $4 RETURNING token`;
const BEAT = `UPDATE lease SET beat = beat + 1, ends_at = ${ENDS} + $2 WHERE token = $1 RETURNING token`;
const RELEASE = `UPDATE lease SET token = token + 1, beat = beat + 1, holder = '', ends_at = ${ENDS} WHERE token = $1`;

/**
 * The lease of a store on PostgreSQL.
 * @param connection to the database
 * @param tables name of the newest migration that this program knows: a store with newer tables is for a newer one to act on
 */
export function createLease(
  connection: pg.ClientConfig,
  tables: string,
  pace: LeasePace = PACE,
): Lease & { readonly state: () => LeaseState } {
  const name = `${hostname()}:${process.pid}`;
  const ask = asking(connection, pace);
  let seen: (Row & { readonly at: number }) | undefined;
  let reason: string | undefined;
  let since = Date.now();
  let term: (Term & { left(): number }) | undefined;

  /** Look at the row. It counts as seen when the answer was there: the beat was before. */
  async function look(): Promise<void> {
    const [row] = await ask<Row>(LOOK);
    if (!row) throw new Error('the table lease is empty');
    const at = performance.now();
    if (!seen || seen.token !== row.token || seen.beat !== row.beat) seen = { ...row, at };
    reason = row.tables === tables ? undefined : `the tables are of another kmod-gate (${row.tables})`;
  }

  async function take(): Promise<Term | undefined> {
    await look();
    if (!seen || reason !== undefined) return undefined;
    if (seen.holder !== '' && performance.now() - seen.at < pace.length) return undefined;
    const sent = moment();
    const [row] = await ask<Row>(TAKE, [name, pace.length, seen.token, seen.beat]);
    if (!row) return undefined;
    seen = { ...seen, token: row.token, holder: name, beat: seen.beat + 1, at: performance.now() };
    since = Date.now();
    term = begin(row.token, sent);
    return term;
  }

  function begin(token: number, taken: Moment): NonNullable<typeof term> {
    const over = new AbortController();
    let beaten = taken;
    const left = () => (over.signal.aborted ? 0 : pace.length - passedSince(beaten));
    const end = () => {
      if (over.signal.aborted) return;
      since = Date.now();
      term = undefined;
      over.abort();
    };
    const beating = (async () => {
      for (;;) {
        await sleep(pace.beat, undefined, { signal: over.signal }).catch(() => {});
        if (over.signal.aborted) return;
        const sent = moment();
        try {
          const [row] = await ask<Row>(BEAT, [token, pace.length]);
          reason = undefined;
          if (row) beaten = sent;
          else end();
        } catch (error) {
          // As long as nobody has taken it, a later beat will do.
          reason = messageOf(error);
        }
      }
    })();
    return {
      token,
      left,
      lost: over.signal,
      permit() {
        if (left() > pace.margin) return;
        const why = over.signal.aborted ? 'another one has it' : (reason ?? 'no beat was answered in time');
        throw new LeaseError(`the lease is not surely held any more: ${why}`);
      },
      async release() {
        const held = !over.signal.aborted;
        end();
        await beating;
        if (held) await ask(RELEASE, [token]).catch(() => {});
        seen = undefined;
      },
    };
  }

  const trying = async () => {
    try {
      return await take();
    } catch (error) {
      reason = messageOf(error);
      return undefined;
    }
  };
  return {
    state: () => ({
      acts: term !== undefined && term.left() > 0,
      ...{ since, name },
      holder: term ? name : seen?.holder || null,
      token: term?.token ?? seen?.token ?? null,
      ...(reason !== undefined && { reason }),
    }),
    first: trying,
    async next(stop) {
      while (!stop.aborted) {
        const taken = await trying();
        if (taken) return taken;
        await sleep(pace.look, undefined, { signal: stop }).catch(() => {});
      }
      return undefined;
    },
    async close() {
      await term?.release();
      await ask.close();
    },
  };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** A moment by all clocks of the machine. */
interface Moment {
  readonly running: number;
  readonly up: number;
  readonly wall: number;
}

const moment = (): Moment => ({
  running: performance.now(),
  up: uptime() * 1_000,
  wall: Date.now(),
});

/**
 * How long ago that surely is at the most, in ms: one clock stands still while the machine sleeps, and one while the machine
 * is no more than a program of another one, which stops it. A clock that is set ahead only costs a beat.
 */
function passedSince(then: Moment): number {
  const now = moment();
  return Math.max(now.running - then.running, now.up - then.up, now.wall - then.wall);
}

/** Whatever becomes of the goodbye: one that is cut has nobody to take it. */
async function ended(client: pg.Client): Promise<void> {
  const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } }).connection;
  await Promise.race([client.end().catch(() => {}), sleep(GOODBYE)]);
  stream.destroy();
}

/** In ms. */
const GOODBYE = 200;

/** A connection for the lease alone, so that nothing else is waited for; a new one after each failure. */
function asking(connection: pg.ClientConfig, { answer }: LeasePace) {
  let client: pg.Client | undefined;
  const drop = async () => {
    const last = client;
    client = undefined;
    if (last) await ended(last);
  };
  const connected = async (): Promise<pg.Client> => {
    const fresh = new pg.Client({
      ...connection,
      connectionTimeoutMillis: answer,
      query_timeout: answer,
      statement_timeout: answer,
    });
    // What was to be answered fails by itself.
    fresh.on('error', () => {});
    try {
      await fresh.connect();
      await fresh.query(IN_USE);
    } catch (error) {
      await ended(fresh);
      throw error;
    }
    client = fresh;
    return fresh;
  };
  async function ask<R extends object>(text: string, values: readonly unknown[] = []): Promise<R[]> {
    try {
      const { rows } = await (client ?? (await connected())).query(text, [...values]);
      return rows as R[];
    } catch (error) {
      void drop();
      throw error;
    }
  }
  return Object.assign(ask, { close: drop });
}
