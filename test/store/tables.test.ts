/** SQLite and PostgreSQL have the same tables, and a copy of a store is that store. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { COPIED, copyStore } from '../../src/store/copy.ts';
import { connect, openStore } from '../../src/store/open.ts';
import { assertNew } from '../../src/store/postgres.ts';
import { makeHistoryAt } from './history.ts';
import { type Place, POSTGRES, POSTGRES_URL, postgres, SQLITE } from './places.ts';

const hasPostgres = await postgres();
const places: Place[] = [];
const make = async (kind: typeof SQLITE): Promise<Place> => {
  const place = await kind.make();
  places.push(place);
  return place;
};
afterEach(async () => {
  for (const place of places.splice(0)) await place.drop();
});

describe.runIf(hasPostgres)('the tables of both', () => {
  let sqlite: Place;
  let other: Place;
  beforeEach(async () => {
    [sqlite, other] = [await make(SQLITE), await make(POSTGRES)];
    for (const { url } of [sqlite, other]) await (await openStore(url, { mode: 'write' })).close();
  });
  const KINDS: Record<string, string> = { bigint: 'integer', blob: 'bytea' };

  test('have the same columns, of types that hold the same, with the same keys and indexes', async () => {
    const mine = "name NOT LIKE 'sqlite_%' AND name NOT LIKE 'kysely_%'";
    const ofSqlite = await sqlite.ask(`SELECT t.name AS tab, lower(c.name) AS col, lower(c.type) AS type,
      c."notnull" OR c.pk AS required, c.pk > 0 AS pk
      FROM (SELECT name FROM sqlite_master WHERE type = 'table' AND ${mine}) AS t, pragma_table_info(t.name) AS c`);
    const ofPostgres = await other.ask(`SELECT table_name AS tab, column_name AS col, data_type AS type,
      (is_nullable = 'NO')::int AS required, (EXISTS (SELECT 1 FROM pg_index AS i
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
        WHERE i.indisprimary AND i.indrelid = quote_ident(table_name)::regclass AND a.attname = column_name))::int AS pk
      FROM information_schema.columns
      WHERE table_schema = current_schema() AND table_name NOT LIKE 'kysely_%' AND column_name <> 'rowid'`);
    const lines = (rows: Record<string, unknown>[]) =>
      rows
        .map(({ tab, col, type, required, pk }) =>
          [tab, col, KINDS[String(type)] ?? type, required ? 'required' : '', pk ? 'key' : ''].join(' '),
        )
        .toSorted();
    expect(lines(ofPostgres)).toEqual(lines(ofSqlite));
    expect(ofSqlite.length).toBeGreaterThan(100);
    const indexes = async (place: Place, sql: string) =>
      (await place.ask(sql)).map(({ name }) => name).toSorted();
    // SQLite alone has had texts where packed ones are now.
    expect(
      await indexes(
        other,
        `SELECT indexname AS name FROM pg_indexes WHERE schemaname = current_schema()
          AND indexname NOT LIKE '%_pkey%' AND indexname NOT IN (SELECT conname FROM pg_constraint)`,
      ),
    ).toEqual(
      await indexes(
        sqlite,
        `SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND name <> 'rpm_unpacked'`,
      ),
    );
  });

  test('are all copied, but for what says who acts', async () => {
    const rows = await sqlite.ask(
      `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'kysely_%'`,
    );
    const names = rows.map(({ name }) => name).filter((name) => name !== 'lease');
    expect(names.toSorted()).toEqual([...COPIED].toSorted());
  });
});

describe.runIf(hasPostgres)('a copy', () => {
  const textOf = (value: unknown) =>
    value instanceof ArrayBuffer || value instanceof Uint8Array
      ? Buffer.from(value as ArrayBuffer).toString('hex')
      : String(value);
  /** Every row of every table, in its order where that counts. */
  const all = async (place: Place) => {
    const tables: Record<string, unknown[]> = {};
    for (const table of COPIED) {
      const rows = (await place.ask(`SELECT * FROM ${table}`)).map(({ rowid: _, ...row }) =>
        Object.fromEntries(
          Object.entries(row).map(([name, value]) => [name, value === null ? null : textOf(value)]),
        ),
      );
      tables[table] = rows.map((row) => JSON.stringify(Object.entries(row).toSorted())).toSorted();
    }
    return tables;
  };
  const copy = async (from: string, to: string) => {
    const source = await connect(from, 'write');
    const target = await connect(to, 'write').catch(async (error: unknown) => {
      await source.close();
      throw error;
    });
    try {
      return await copyStore(source, target);
    } finally {
      await source.close();
      await target.close();
    }
  };

  test('of SQLite in PostgreSQL, and back, is the same to the last row, and goes on', async () => {
    const [first, second, third] = [await make(SQLITE), await make(POSTGRES), await make(SQLITE)];
    await makeHistoryAt(first, { closed: 30, live: 3, kmods: 40 });
    const store = await openStore(first.url, { mode: 'write' });
    await store.keepRpmSymbols(
      new Map([[7, { provides: [{ symbol: 'a', crc: 1, from: 'kernel' as const }], requires: [] }]]),
    );
    await store.keepKernelTypes(1_001, 'x86_64', Buffer.from('types'), 5);
    const waiver = {
      at: 20,
      by: 'ada\0b',
      reason: '',
      gate: null,
      kernel: 'next',
      kmod: 'kmod-a',
      until: null,
    };
    await store.waive({ ...waiver, by: 'ada' }, []);
    await store.close();
    const before = await all(first);
    const counts = await copy(first.url, second.url);
    expect(counts.get('run')).toBe(33);
    expect(counts.get('intent')).toBe(33 * 41);
    expect(await all(second)).toEqual(before);
    await copy(second.url, third.url);
    expect(await all(third)).toEqual(before);
    // What comes next gets the next numbers.
    const there = await openStore(second.url, { mode: 'write' });
    expect(await there.waive(waiver, [])).toBe(2);
    expect((await there.waivers()).map(({ by }) => by)).toEqual(['ada\uFFFDb', 'ada']);
    await there.close();
  });

  test('goes into no store that is there, and leaves it as it is', async () => {
    const [first, second] = [await make(SQLITE), await make(POSTGRES)];
    for (const { url } of [first, second]) await (await openStore(url, { mode: 'write' })).close();
    const before = await all(second);
    await expect(copy(first.url, second.url)).rejects.toThrow(
      /is a store already; name a database or a file that holds nothing yet/,
    );
    expect(await all(second)).toEqual(before);
  });

  test('that fails half-way leaves nothing', async () => {
    const [first, second] = [await make(SQLITE), await make(POSTGRES)];
    await makeHistoryAt(first, { closed: 3, live: 1, kmods: 2 });
    const database = await import('libsql');
    const file = new database.default(first.url.slice('sqlite:'.length));
    // PostgreSQL takes no such number.
    file.exec(
      `PRAGMA foreign_keys = OFF; UPDATE journal SET at = 1e30 WHERE seq = (SELECT max(seq) FROM journal)`,
    );
    file.close();
    await expect(copy(first.url, second.url)).rejects.toThrow(/out of range|invalid input/);
    expect(
      await second.ask(`SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace`),
    ).toEqual([]);
  });
});

describe.runIf(hasPostgres)('what is no store is refused in words', () => {
  const at = (change: (url: URL) => void): string => {
    const url = new URL(POSTGRES_URL);
    change(url);
    return url.href;
  };
  test.each<[string, string, RegExp]>([
    [
      'nobody listens',
      at((url) => {
        url.port = '1';
      }),
      /^postgres:\/\/postgres@127\.0\.0\.1:1\/postgres: cannot be used as a store \(connect ECONNREFUSED 127\.0\.0\.1:1\): nothing listens there; see whether PostgreSQL runs/,
    ],
    [
      'no such host',
      at((url) => {
        url.host = 'nowhere.invalid';
      }),
      /nowhere\.invalid.*(no such host|cannot be looked up)/,
    ],
    [
      'no such database',
      at((url) => {
        url.pathname = '/no_such_db';
      }),
      /there is no database no_such_db: "createdb --owner postgres no_such_db" makes it/,
    ],
    [
      'no such user',
      at((url) => {
        url.username = 'nobody_here';
      }),
      /role "nobody_here" does not exist\): it does not let nobody_here in; see pg_hba\.conf/,
    ],
    [
      'no such schema',
      `${POSTGRES_URL}?options=${encodeURIComponent('-c search_path=not_there')}`,
      /no schema of the search_path is there/,
    ],
  ])('%s', async (_, url, words) => {
    await expect(openStore(url, { mode: 'write' })).rejects.toThrow(words);
  });

  test("another program's tables are left as they are", async () => {
    const place = await make(POSTGRES);
    await place.ask('CREATE TABLE dashboards (id int)');
    for (const mode of ['write', 'read'] as const)
      await expect(openStore(place.url, { mode })).rejects.toThrow(
        /another program's tables are in schema test_\w+ \(dashboards\); make a database for kmod-gate alone/,
      );
    expect(
      await place.ask(`SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace`),
    ).toEqual([{ relname: 'dashboards' }]);
  });

  test('who may not make tables is told what to grant', async () => {
    const place = await make(POSTGRES);
    const [, schema] = /search_path=(\w+)/.exec(decodeURIComponent(place.url)) ?? [];
    const user = `${schema}_user`;
    await place.ask(`CREATE USER ${user}`);
    try {
      await place.ask(`GRANT USAGE ON SCHEMA ${schema} TO ${user}`);
      const url = new URL(place.url);
      url.username = user;
      await expect(openStore(url.href, { mode: 'write' })).rejects.toThrow(
        `${user} may make no tables in schema ${schema}: "GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${user}"`,
      );
    } finally {
      await place.ask(`DROP OWNED BY ${user}; DROP USER ${user}`);
    }
  });

  test('where there is none, a reader makes none', async () => {
    const place = await make(POSTGRES);
    await expect(openStore(place.url, { mode: 'read' })).rejects.toThrow(
      /no such store; has "kmod-gate run"/,
    );
    expect(
      await place.ask(`SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace`),
    ).toEqual([]);
  });

  test('an old server', () => {
    expect(() => assertNew('postgres://a@b:5432/c', '12.22', 120_022)).toThrow(
      'postgres://a@b:5432/c: PostgreSQL 12.22; kmod-gate needs 13 or newer',
    );
    assertNew('x', '13.0', 130_000);
  });

  test('a reader writes nothing', async () => {
    const place = await make(POSTGRES);
    await (await openStore(place.url, { mode: 'write' })).close();
    const reader = await openStore(place.url, { mode: 'read' });
    await expect(reader.noteAhead(1, 2)).rejects.toThrow(/read-only transaction/);
    await reader.close();
  });
});
