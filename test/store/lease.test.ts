/** One of several gates on one PostgreSQL holds the lease; who has lost it writes nothing any more. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectionTo } from '../../src/store/connection.ts';
import { LeaseError } from '../../src/store/error.ts';
import { createLease, type Lease, type LeasePace } from '../../src/store/lease.ts';
import { NEWEST } from '../../src/store/migrations.ts';
import { type GateStore, openGateStore, openStore } from '../../src/store/open.ts';
import { addressOf } from '../../src/store/postgres.ts';
import { openProxy, type TcpProxy } from '../bus/helpers.ts';
import { KERNEL } from '../core/facts.ts';
import { BEGUN, BUILD, begin } from './begun.ts';
import { type Place, POSTGRES, POSTGRES_URL, postgres } from './places.ts';

/** Shorter than a gate's, so that nobody waits: what is tested is the order of things. */
const PACE: LeasePace = { length: 600, beat: 100, look: 50, margin: 200, answer: 300 };

describe.runIf(await postgres())('the lease', () => {
  let place: Place;
  let proxy: TcpProxy;
  const { hostname, port } = new URL(POSTGRES_URL);
  const server = { host: hostname, port: Number(port || 5432) };
  const opened: { close(): Promise<void> }[] = [];
  const never = new AbortController().signal;
  beforeEach(async () => {
    place = await POSTGRES.make();
    await (await openStore(place.url, { mode: 'write' })).close();
    proxy = await openProxy(server);
  });
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.close();
    await proxy.close();
    await place.drop();
  });
  const proxied = () => {
    const url = new URL(place.url);
    url.host = `127.0.0.1:${proxy.port}`;
    return url.href;
  };
  function lease(url = place.url, tables = NEWEST, pace = PACE) {
    const made = createLease(connectionTo(addressOf(url)), tables, pace);
    opened.push(made);
    return made;
  }
  async function gate(url = place.url): Promise<GateStore> {
    const made = await openGateStore(url, {});
    opened.push(made.store);
    return made;
  }
  const taken = async (from: Lease) => {
    const term = await from.next(never);
    if (!term) throw new Error('no term');
    return term;
  };
  const mayAct = (term: { permit(): void }) => {
    try {
      term.permit();
      return true;
    } catch (error) {
      expect(error).toBeInstanceOf(LeaseError);
      return false;
    }
  };

  test('goes to one gate at a time, and to the next one at once when that lets it go', async () => {
    const [one, two] = [lease(), lease()];
    const first = await taken(one);
    expect(await two.first()).toBeUndefined();
    expect([one.state().acts, two.state().acts]).toEqual([true, false]);
    expect(two.state().holder).toBe(one.state().name);
    first.permit();
    await first.release();
    expect(mayAct(first)).toBe(false);
    const second = await two.first();
    expect(second?.token).toBeGreaterThan(first.token);
    expect(await one.first()).toBeUndefined();
  });

  test('stays with who lives, however long the others look', async () => {
    const [one, two] = [lease(), lease()];
    const first = await taken(one);
    const stop = AbortSignal.timeout(3 * PACE.length);
    expect(await two.next(stop)).toBeUndefined();
    expect(mayAct(first)).toBe(true);
    expect(first.lost.aborted).toBe(false);
  });

  test.each(['cut', 'silent'])(
    'of one whose network is %s goes to another only after it acts no more',
    async (how) => {
      const [one, two] = [lease(proxied()), lease()];
      const first = await taken(one);
      expect(await two.first()).toBeUndefined();
      const following = taken(two);
      if (how === 'silent') proxy.silence();
      await proxy.close();
      let followed = false;
      const second = following.then((term) => {
        followed = true;
        return term;
      });
      // By the same event loop: whoever may act is seen before and after the other one takes over.
      while (!followed) {
        if (mayAct(first)) expect(followed).toBe(false);
        await sleep(5);
      }
      expect(mayAct(first)).toBe(false);
      expect((await second).token).toBeGreaterThan(first.token);
      expect(one.state()).toMatchObject({ acts: false, reason: expect.stringMatching(/./) });
      // It hears of it once it can ask again.
      proxy = await openProxy(server, proxy.port);
      await expect.poll(() => first.lost.aborted, { timeout: 20_000 }).toBe(true);
      expect(mayAct(await second)).toBe(true);
    },
  );

  test('that nobody took goes on after the database was away', async () => {
    const one = lease(proxied());
    const first = await taken(one);
    proxy.cut();
    await proxy.close();
    await expect.poll(() => mayAct(first), { timeout: 20_000 }).toBe(false);
    proxy = await openProxy(server, proxy.port);
    await expect.poll(() => mayAct(first), { timeout: 20_000 }).toBe(true);
    expect(first.lost.aborted).toBe(false);
  });

  test('once it is lost, no fact of the former holder is taken, whatever it writes; what persons say is', async () => {
    const [one, two] = [await gate(), await gate()];
    const first = await taken(one.lease);
    const acting = one.inTerm(first);
    const run = await begin(acting);
    await acting.intend(run, [BUILD], 1);
    await place.ask(`UPDATE lease SET token = token + 1`);
    const writes: [string, () => Promise<unknown>][] = [
      ['a fact', () => acting.intend(run, [{ kind: 'untag', tag: 'x' }], 2)],
      ['a line', () => acting.say('c9s', KERNEL, run.id, 'said', 3)],
      ['a note', () => acting.hear({ queue: 'q', at: 1, routingKey: 'k', understood: true })],
      ['channels', () => acting.openChannels(['a'])],
      ['types', () => acting.keepKernelTypes(1, 'x86_64', Buffer.from('t'), 4)],
    ];
    for (const [what, write] of writes)
      await expect(write(), what).rejects.toThrow(
        'another kmod-gate has taken over: this one writes no more',
      );
    expect((await two.store.run(BEGUN.id))?.intents).toHaveLength(1);
    expect(await two.store.lastHeard('q')).toBeUndefined();
    expect(await acting.run(BEGUN.id)).toBeDefined();
    await one.store.order(run, { at: 5, by: 'ada', kind: 'hold', reason: '', kmod: null });
    expect((await two.store.run(BEGUN.id))?.orders).toHaveLength(1);
  });

  test('is not taken while a transaction of the holder goes on', async () => {
    const one = await gate();
    const first = await taken(one.lease);
    const acting = one.inTerm(first);
    const order: string[] = [];
    await acting.seeKernel(KERNEL, 1);
    // A fact that waits for the row of numbers, which somebody holds.
    const blocker = new pg.Client({ connectionString: place.url });
    await blocker.connect();
    await blocker.query('BEGIN; UPDATE sequence SET newest = newest');
    const fact = acting.noteAhead(1, 2).then(() => order.push('fact'));
    const waiting = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'
      AND query LIKE '%' AND datname = current_database() AND application_name = 'kmod-gate'`;
    await expect
      .poll(async () => (await place.ask(waiting))[0]?.['n'], { timeout: 20_000 })
      .toBeGreaterThan(0);
    const other = new pg.Client({ connectionString: place.url });
    await other.connect();
    const take = other.query(`UPDATE lease SET token = token + 1`).then(() => order.push('taken'));
    // A beat changes no key, and goes on.
    await place.ask(`UPDATE lease SET beat = beat + 1`);
    await blocker.query('COMMIT');
    await Promise.all([fact, take]);
    expect(order).toEqual(['fact', 'taken']);
    await blocker.end();
    await other.end();
  });

  test('who makes tables new ends the term of who acts; one that does not know them takes no other', async () => {
    // The tables of this very store were made so.
    expect(await place.ask('SELECT token, holder FROM lease')).toEqual([{ token: '1', holder: '' }]);
    const [old, other] = [lease(), lease(place.url, '999-next')];
    const first = await taken(old);
    expect(await other.first()).toBeUndefined();
    expect(other.state().reason).toBe(`the tables are of another kmod-gate (${NEWEST})`);
    await place.ask(`INSERT INTO kysely_migration VALUES ('999-next', 'now')`);
    await place.ask('UPDATE lease SET token = token + 1, beat = beat + 1');
    await expect.poll(() => first.lost.aborted, { timeout: 20_000 }).toBe(true);
    expect((await taken(other)).token).toBeGreaterThan(first.token);
    expect(await old.first()).toBeUndefined();
    expect(old.state()).toMatchObject({
      acts: false,
      reason: 'the tables are of another kmod-gate (999-next)',
    });
    await expect(openStore(place.url, { mode: 'write' })).rejects.toThrow(
      /: of a newer kmod-gate \(.*999-next.*\); start that one$/,
    );
  });
});
