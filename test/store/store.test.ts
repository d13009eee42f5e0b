import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { Kysely, Migrator, type SqliteDatabase, SqliteDialect } from 'kysely';
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Run } from '../../src/core/model.ts';
import { StoreError } from '../../src/store/error.ts';
import { migrationProvider } from '../../src/store/migrations.ts';
import { openStore, withStore } from '../../src/store/open.ts';
import { FAILS, KERNEL, OTHER } from '../core/facts.ts';
import { BRIEF, BUILD, begin, SHOWN } from './begun.ts';

let folder: string;
let url: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  url = `sqlite:${join(folder, 'gate.db')}`;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('opening', () => {
  test.each(['write', 'read'] as const)(
    'to %s: the database of another program is left as it is',
    async (mode) => {
      const file = join(folder, 'gate.db');
      const other = new Database(file);
      other.exec('CREATE TABLE dashboards (id INTEGER)');
      other.close();
      const before = readFileSync(file);
      await expect(openStore(url, { mode })).rejects.toThrow(
        /gate\.db: another program's database; name another file/,
      );
      expect(readFileSync(file).equals(before)).toBe(true);
    },
  );

  test('what cannot be brought up to date is left as it was: tables are made all or none', async () => {
    const file = join(folder, 'gate.db');
    const tables = () => {
      const database = new Database(file);
      const rows = database.prepare('SELECT name FROM sqlite_master').all();
      database.close();
      return rows;
    };
    const half = new Database(file);
    half.exec('CREATE TABLE installation (id TEXT); CREATE TABLE receipt (id TEXT)');
    half.close();
    const before = tables();
    await expect(openStore(url, { mode: 'write' })).rejects.toThrow(StoreError);
    expect(tables()).toEqual(before);
  });

  /** A store with the tables of a migration, and these rows. */
  async function storeOf(migration: string, rows: string): Promise<void> {
    const old = new Database(join(folder, 'gate.db'));
    const db = new Kysely({ dialect: new SqliteDialect({ database: old as unknown as SqliteDatabase }) });
    await new Migrator({ db, provider: migrationProvider }).migrateTo(migration);
    old.exec(`INSERT INTO installation VALUES ('one'); ${rows}`);
    await db.destroy();
  }

  test('facts that had only times keep their order: a retry came after the verdict, symbols are of the last choice', async () => {
    const line = (at: number, kind: string) =>
      `INSERT INTO journal (at, kind, gate, build_id, run_id, text) VALUES (${at}, '${kind}', 'c9s', 20, 'c9s/20/1', 'x');`;
    await storeOf(
      '009-alive',
      `
      INSERT INTO kernel_build (id, nvr, name, version, release, seen_at)
        VALUES (20, '${OTHER.nvr}', 'kernel', '5.14.0', '69.el9', 1);
      INSERT INTO run (id, gate, build_id, generation, entry, tags, started_at, strategy)
        VALUES ('c9s/20/1', 'c9s', 20, 1, 5, '["gate"]', 10, 'symbols');
      INSERT INTO selection (run_id, at, kmods, size) VALUES ('c9s/20/1', 10, '[{"name":"kmod-a"}]', 1);
      INSERT INTO symbol_evidence (run_id, at, evidence, detail)
        VALUES ('c9s/20/1', 11, '{"kmods":[],"change":null,"stablelist":null}', x'');
      INSERT INTO intent (id, run_id, seq, kind, "write", asked_at)
        VALUES ('c9s/20/1/cancel/1', 'c9s/20/1', 0, 'cancel', '{"kind":"cancel","task":7}', 12);
      INSERT INTO ending (intent_id, at, how, ending) VALUES ('c9s/20/1/cancel/1', 13, 'lost', '{"at":13,"how":"lost"}');
      INSERT INTO verdict (run_id, at, verdict, reasons, last_order) VALUES ('c9s/20/1', 14, 'hold', '["why"]', 0);
      INSERT INTO run_order (run_id, at, by, kind, reason) VALUES ('c9s/20/1', 15, 'ada', 'retry', '');
      INSERT INTO waiver (at, by, reason, kernel, kmod) VALUES (16, 'ada', 'x', '${OTHER.nvr}', 'kmod-a');
      ${'run symbols asked ended verdict person'
        .split(' ')
        .map((kind, i) => line(10 + i, kind))
        .join('')}`,
    );
    const store = await openStore(url, { mode: 'write' });
    const run = (await store.run('c9s/20/1')) as Run;
    const [intent] = run.intents;
    const [order] = run.orders;
    expect([run.chosen.fact, intent?.fact, intent?.ending?.fact, order?.fact]).toEqual([1, 3, 4, 6]);
    expect(run.symbols).toBeDefined();
    expect(run.verdict).toBeUndefined();
    // The waiver names the run, and what is recorded next comes after all of it.
    expect(await store.runsWaived(0)).toMatchObject([{ run: 'c9s/20/1', gate: 'c9s', build: 20 }]);
    await store.order(run, { at: 1, by: 'ada', kind: 'hold', reason: '', kmod: null });
    expect((await store.run('c9s/20/1'))?.orders.map(({ fact }) => fact)).toEqual([6, 7]);
    await store.close();
  });

  test('a store of an older kmod-gate is brought up to date by a writer, and a reader is told so', async () => {
    await storeOf(
      '001-facts',
      `
      INSERT INTO kernel_build VALUES (20, '${OTHER.nvr}', 'kernel', NULL, '5.14.0', '69.el9', 1);
      INSERT INTO run VALUES ('c9s/20/1', 'c9s', 20, 1, 5, '["gate"]', 2);
      INSERT INTO selection VALUES ('c9s/20/1', 2, '[]');
      INSERT INTO verdict VALUES ('c9s/20/1', 3, 'block', '["why"]');
      INSERT INTO closing VALUES ('c9s/20/1', 4, 'done', 'moved');`,
    );
    await expect(openStore(url, { mode: 'read' })).rejects.toThrow(
      /gate\.db: of an older kmod-gate; "kmod-gate run" brings it up to date$/,
    );
    const writer = await openStore(url, { mode: 'write' });
    expect(await writer.run('c9s/20/1')).toMatchObject({
      strategy: 'rebuild',
      baseline: null,
      verdict: { at: 3, verdict: 'block', reasons: ['why'] },
      closing: { at: 4, how: 'done', why: 'moved' },
    });
    expect(await begin(writer)).toMatchObject({ generation: 1 });
    await writer.close();
    await (await openStore(url, { mode: 'read' })).close();
  });

  test('symbols of an older store stay what they were: few in a run, all apart from it', async () => {
    const row = (at: number, shown: unknown) =>
      `INSERT INTO symbol_evidence VALUES ('c9s/20/1', ${at}, '${JSON.stringify(shown)}');`;
    await storeOf(
      '004-people',
      `
      INSERT INTO kernel_build VALUES (20, '${OTHER.nvr}', 'kernel', NULL, '5.14.0', '69.el9', 1);
      INSERT INTO run VALUES ('c9s/20/1', 'c9s', 20, 1, 5, '["gate"]', 2, 'symbols', NULL);
      INSERT INTO selection VALUES ('c9s/20/1', 2, '[]');
      ${row(3, { ...SHOWN, kmods: [] })} ${row(4, SHOWN)}`,
    );
    const store = await openStore(url, { mode: 'write' });
    const run = (await store.run('c9s/20/1')) as Run;
    expect(run.symbols).toEqual(BRIEF);
    expect(await store.symbolDetail(run)).toEqual(SHOWN.kmods);
    await store.close();
  });

  test('of an older store it is known which runs live, and which let their kernel through', async () => {
    const kernels = [10, 11, 12, 13, 14, 15];
    const run = (build: number, verdict: string | null, ...closings: string[]) => `
      INSERT INTO kernel_build VALUES (${build}, 'kernel-1-${build}', 'kernel', NULL, '1', '${build}', 1, NULL);
      INSERT INTO run VALUES ('c9s/${build}/1', 'c9s', ${build}, 1, 5, '[]', ${build}, 'rebuild', NULL);
      INSERT INTO selection VALUES ('c9s/${build}/1', 2, '[{}, {}]');
      ${
        verdict
          ? `INSERT INTO verdict (run_id, at, verdict, reasons) VALUES ('c9s/${build}/1', ${build}, '${verdict}', '[]');
             INSERT INTO judgement (run_id, gate, kernel_build, kmod, kmod_build, outcome, baseline, at)
             VALUES ('c9s/${build}/1', 'c9s', ${build}, 'kmod-a', 7, 'ok', NULL, ${build});`
          : ''
      }
      ${closings.map((how) => `INSERT INTO closing (run_id, at, how, why) VALUES ('c9s/${build}/1', 9, '${how}', '');`).join('')}`;
    const scratch = (id: string, seq: number) =>
      `INSERT INTO intent VALUES ('${id}', 'c9s/14/1', ${seq}, 'scratch-build', '${JSON.stringify({ ...BUILD, target: 'try' })}', 50, 7, 14);`;
    await storeOf(
      '007-cells',
      `${run(10, 'promote', 'done')} ${run(11, 'block', 'done')} ${run(12, 'block', 'done', 'reopened')}
       ${run(13, 'promote', 'observed')} ${run(14, null)} ${run(15, 'promote')}
       ${scratch('one', 0)} ${scratch('two', 1)} ${scratch('three', 2)}
       INSERT INTO ending VALUES ('two', 51, 'lost', '{"at":51,"how":"lost"}');
       INSERT INTO rpm_symbols VALUES (5, '{"provides":[{"symbol":"a","crc":1}],"requires":[]}');`,
    );
    const store = await openStore(url, { mode: 'write' });
    expect((await store.liveKernels('c9s')).map(({ kernel }) => kernel.id)).toEqual([12, 14, 15]);
    expect(await store.lastPassed('c9s', 'kernel', 0)).toMatchObject({ id: 10 });
    const of = async (except: number) =>
      (await store.lastJudged('c9s', 'kernel', { kernel: null, except })).get('kmod-a')?.last.kernel.id;
    expect([await of(0), await of(10)]).toEqual([10, undefined]);
    // What let its kernel through still rebuilds kmods.
    const promoted = (await store.run('c9s/15/1')) as Run;
    const [intent] = await store.intend(promoted, [{ kind: 'tag', tag: 'candidate' }], 60);
    if (intent) await store.end(promoted, intent, { at: 61, how: 'done' });
    expect([(await store.lastPassed('c9s', 'kernel', 0))?.id, await of(0)]).toEqual([15, 15]);
    expect(await store.retriesSince('c9s', 50)).toBe(1);
    expect(await store.retriesSince('c9s', 51)).toBe(0);
    expect((await store.rpmSymbols([5])).get(5)?.provides).toEqual([{ symbol: 'a', crc: 1 }]);
    expect((await store.runs(9)).map(({ kernel }) => kernel.id)).toEqual(kernels.toReversed());
    await store.close();
  });

  test('what older runs showed and said of kmods counts as it did: by cell, and by kernel', async () => {
    const sql = (value: unknown) => `'${JSON.stringify(value).replaceAll("'", "''")}'`;
    const baseline = sql({ id: 20, nvr: OTHER.nvr });
    const kmods = sql([
      { name: 'kmod-a', buildId: 7, nvr: 'kmod-a-1-1', source: 'kmod-a.src.rpm', required: true },
      { name: 'kmod-b', buildId: 8, nvr: 'kmod-b-1-1', source: 'kmod-b.src.rpm', required: true },
      { name: 'kmod-c', buildId: 9, nvr: 'kmod-c-1-1', source: 'kmod-c.src.rpm', required: true },
    ]);
    const build = (id: string, run: string, seq: number, kernel: number, evidence: unknown) => `
      INSERT INTO intent VALUES ('${id}', '${run}', ${seq}, 'scratch-build', ${sql({ ...BUILD, target: 'try' })}, 3, 7, ${kernel});
      INSERT INTO ending VALUES ('${id}', 4, 'failed', ${sql({ at: 4, how: 'failed', why: 'x', build: evidence })});`;
    const [fails] = FAILS.arches;
    const arch = (name: string, devel: number, more = {}) => ({
      ...fails,
      arch: name,
      buildroot: [{ id: devel, nvr: 'kernel-devel-1-1' }],
      repoId: 5,
      ...more,
    });
    const reasons = sql([
      'kmod-a-1-1: does not build',
      'kmod-b-1-1 (advisory, already broken): does not build',
      'fine',
    ]);
    await storeOf(
      '006-indexes',
      `
      INSERT INTO kernel_build VALUES (20, '${OTHER.nvr}', 'kernel', NULL, '5.14.0', '69.el9', 1);
      INSERT INTO kernel_build VALUES (30, '${KERNEL.nvr}', 'kernel', NULL, '5.14.0', '70.el9', 1);
      INSERT INTO run VALUES ('c9s/20/1', 'c9s', 20, 1, 5, '["gate"]', 2, 'rebuild', NULL);
      INSERT INTO run VALUES ('c9s/30/1', 'c9s', 30, 1, 6, '["gate"]', 2, 'rebuild', ${baseline});
      INSERT INTO selection VALUES ('c9s/30/1', 2, ${kmods});
      INSERT INTO baseline_repo VALUES ('c9s/30/1', 3, 44, '');
      ${build('old', 'c9s/20/1', 0, 20, {
        state: 'failed',
        arches: [
          arch('x86_64', 20, { state: 2 }),
          arch('aarch64', 20),
          arch('s390x', 19),
          arch('ppc64le', 20, { errors: [] }),
        ],
      })}
      ${build('new', 'c9s/30/1', 0, 30, { state: 'failed', arches: [arch('x86_64', 30)] })}
      INSERT INTO verdict (run_id, at, verdict, reasons) VALUES ('c9s/30/1', 9, 'block', ${reasons});
      INSERT INTO closing (run_id, at, how, why) VALUES ('c9s/30/1', 9, 'done', 'moved');`,
    );
    const store = await openStore(url, { mode: 'write' });
    const run = (await store.run('c9s/30/1')) as Run;
    // By arch; what was built against another kernel, or says nothing of the kmod, is left out.
    expect(run.past.map(({ arch, shows, target, run }) => `${arch} ${shows} ${target} ${run}`)).toEqual([
      'aarch64 fails try c9s/20/1',
      'x86_64 builds try c9s/20/1',
    ]);
    expect(run.baselineRepos).toEqual({ 20: { repo: 44, why: '' } });
    expect(await store.reposWith(20)).toEqual([5]);
    const judged = await store.lastJudged('c9s', 'kernel', { kernel: 30, except: 0 });
    expect(
      [...judged.values()].map(({ last: { kmod, outcome, baseline } }) => [kmod, outcome, baseline?.id]),
    ).toEqual([
      ['kmod-c', 'ok', 20],
      ['kmod-b', 'already-broken', 20],
      ['kmod-a', 'broken', 20],
    ]);
    // It was blocked, so nothing of it was let through.
    expect([...(await store.lastJudged('c9s', 'kernel', { kernel: null, except: 0 }))]).toEqual([]);
    await store.close();
  });

  test('a second writer is refused, a reader is not', async () => {
    const store = await openStore(url, { mode: 'write' });
    await begin(store);
    await expect(openStore(url, { mode: 'write' })).rejects.toThrow(/another kmod-gate uses this store/);
    const reader = await openStore(url, { mode: 'read' });
    expect(await reader.liveRuns()).toHaveLength(1);
    await reader.close();
    await store.close();
    await (await openStore(url, { mode: 'write' })).close();
  });
  test.each<[string, (file: string) => string]>([
    ['a relative path', (file) => relative(process.cwd(), file)],
    ['a path with ..', (file) => join(folder, 'sub') + file.replace(folder, '/..')],
    ['a link', (file) => link(file, 'link.db')],
    ['a link by a relative path', (file) => link(relative(folder, file), 'link.db')],
    ['a link to a link', (file) => link(link(file, 'one.db'), 'two.db')],
    ['a folder that is a link', (file) => join(link(folder, 'folder'), file.slice(folder.length))],
  ])('a second writer by %s is refused, and reads the same store', async (_, otherOf) => {
    mkdirSync(join(folder, 'sub'));
    const file = join(folder, 'gate.db');
    // The path is made before there is a file: what a link will lead to counts.
    const other = `sqlite:${otherOf(file)}`;
    const inUse = `${join(realpathSync(folder), 'gate.db')}: another kmod-gate uses this store`;
    const store = await openStore(other, { mode: 'write' });
    expect(existsSync(file)).toBe(true);
    await expect(openStore(url, { mode: 'write' })).rejects.toThrow(inUse);
    await store.close();
    const first = await openStore(url, { mode: 'write' });
    await expect(openStore(other, { mode: 'write' })).rejects.toThrow(inUse);
    const beside = await openStore(other, { mode: 'append' });
    expect(beside.installation).toBe(first.installation);
    await beside.close();
    await first.close();
  });
  const link = (target: string, name: string): string => {
    symlinkSync(target, join(folder, name));
    return join(folder, name);
  };
  test('a file that has a second name is refused to a writer, and nobody else', async () => {
    await (await openStore(url, { mode: 'write' })).close();
    const file = join(folder, 'gate.db');
    const other = join(folder, 'other.db');
    linkSync(file, other);
    for (const name of [file, other])
      await expect(openStore(`sqlite:${name}`, { mode: 'write' })).rejects.toThrow(
        `${realpathSync(name)}: the file has 2 names (hard links), by each of which a gate could open it; remove the others, or copy it`,
      );
    await (await openStore(url, { mode: 'read' })).close();
    await (await openStore(url, { mode: 'append' })).close();
    rmSync(other);
    copyFileSync(file, other);
    await (await openStore(`sqlite:${other}`, { mode: 'write' })).close();
  });
  test('links that lead round in a circle are refused in words', async () => {
    link(join(folder, 'b.db'), 'a.db');
    link(join(folder, 'a.db'), 'b.db');
    await expect(openStore(`sqlite:${join(folder, 'a.db')}`, { mode: 'write' })).rejects.toThrow(
      /a\.db: cannot be used as a store \(/,
    );
  });
  test('a reader makes no store where there is none', async () => {
    await expect(openStore(url, { mode: 'read' })).rejects.toThrow(/no such store/);
    expect(existsSync(join(folder, 'gate.db'))).toBe(false);
  });
  test.each<[string, () => void]>([
    [
      'no database',
      () =>
        writeFileSync(
          join(folder, 'gate.db'),
          'not a database, but longer than a header of one would be: '.repeat(20),
        ),
    ],
    ['a database of somebody else', () => writeFileSync(join(folder, 'gate.db'), '')],
    ['in a folder that is not there', () => rmSync(folder, { recursive: true })],
  ])('what is %s is refused in words', async (_, prepare) => {
    prepare();
    await expect(openStore(url, { mode: 'read' })).rejects.toThrow(/store/);
    await expect(openStore(url, { mode: 'read' })).rejects.toBeInstanceOf(StoreError);
  });
  test('a folder that is not there is refused for writing too', async () => {
    rmSync(folder, { recursive: true });
    await expect(openStore(url, { mode: 'write' })).rejects.toBeInstanceOf(StoreError);
  });
});

describe('the hub of a store', () => {
  const HUB = 'https://koji.example.org/kojihub';
  const OTHER_HUB = 'https://koji2.example.org/kojihub';
  test('an older store that has none is bound at the first run, with all that is in it', async () => {
    const old = new Database(join(folder, 'gate.db'));
    const db = new Kysely({ dialect: new SqliteDialect({ database: old as unknown as SqliteDatabase }) });
    await new Migrator({ db, provider: migrationProvider }).migrateTo('007-cells');
    old.exec(`INSERT INTO installation VALUES ('one')`);
    await db.destroy();
    await (await openStore(url, { mode: 'write', hub: HUB, movedFrom: OTHER_HUB })).close();
    expect(await withStore(url, 'read', async ({ hub, installation }) => [hub, installation])).toEqual([
      HUB,
      'one',
    ]);
    await expect(openStore(url, { mode: 'write', hub: OTHER_HUB })).rejects.toThrow(
      /gate\.db: a store of the hub /,
    );
  });
});
