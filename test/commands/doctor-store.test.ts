/** What doctor says of a store on PostgreSQL. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openGateStore, openStore } from '../../src/store/open.ts';
import { type Place, POSTGRES, postgres } from '../store/places.ts';
import { closeHubs, linesOf } from './doctor-setup.ts';

describe.runIf(await postgres())('a store on PostgreSQL', () => {
  let place: Place;
  let schema: string;
  beforeEach(async () => {
    place = await POSTGRES.make();
    schema = /search_path=(\w+)/.exec(decodeURIComponent(place.url))?.[1] ?? '';
  });
  afterEach(async () => {
    await closeHubs();
    await place.drop();
  });
  const store = async (url = place.url) =>
    (await linesOf({ rest: { store: { url } } })).filter((line) => / store: /.test(line));

  test('that is empty is fine, and stays so', async () => {
    expect(await store()).toEqual([
      expect.stringMatching(/^ok store: postgres:.*: PostgreSQL \d+.*, with no tables yet; run makes them$/),
    ]);
    expect(
      await place.ask('SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace'),
    ).toEqual([]);
  });

  test('says who acts on it', async () => {
    const gate = await openGateStore(place.url, {});
    expect(await store()).toEqual([
      expect.stringMatching(/^ok store: .*: PostgreSQL \d+.*: 0 runs under way$/),
      'info store: no gate acts on it now | start "kmod-gate run"',
    ]);
    const term = await gate.lease.first();
    expect((await store())[1]).toMatch(/^ok store: .*:\d+ acts on it$/);
    await term?.release();
    await place.ask(`UPDATE lease SET holder = 'gone:1', ends_at = ends_at - 60000`);
    expect((await store())[1]).toMatch(
      /^unsure store: gone:1 has acted on it, and gave no sign for .* \| start "kmod-gate run"$/,
    );
    await gate.store.close();
  });

  test('that nobody answers for, or that the user may not write to, is wrong', async () => {
    const away = new URL(place.url);
    away.port = '1';
    expect(await store(away.href)).toEqual([
      expect.stringMatching(
        /^wrong store: .*: nothing listens there; .* \| see store\.url, and docs\/store\.md$/,
      ),
    ]);
    const user = `${schema}_user`;
    const as = new URL(place.url);
    as.username = user;
    await place.ask(`CREATE USER ${user}`);
    try {
      await place.ask(`GRANT USAGE ON SCHEMA ${schema} TO ${user}`);
      expect(await store(as.href)).toEqual([
        expect.stringMatching(
          new RegExp(
            `^wrong store: .*: ${user} may make no tables in schema ${schema} \\| GRANT USAGE, CREATE ON`,
          ),
        ),
      ]);
      await (await openStore(place.url, { mode: 'write' })).close();
      expect(await store(as.href)).toEqual([
        expect.stringMatching(new RegExp(`^wrong store: .*: ${user} may not write to its tables \\| GRANT`)),
      ]);
    } finally {
      await place.ask(`DROP OWNED BY ${user}; DROP USER ${user}`);
    }
  });

  test('of another hub is wrong', async () => {
    await (await openStore(place.url, { mode: 'write', hub: 'https://koji.example.org/kojihub' })).close();
    expect((await store())[0]).toMatch(
      /^wrong store: postgres:.* is a store of the hub https:\/\/koji\.example\.org\/kojihub \| name another database in store\.url/,
    );
  });
});
