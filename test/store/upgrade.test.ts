/**
 * Stores of every older kmod-gate, with rows in all their tables, brought up to date. Their tables are those of
 * recordings/store/schemas.json: each statement that made one, and of which steps (numbers, from 1) it was. They were
 * recorded from stores, so that a later change to a step does not change them; a step that is released is added there.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Run } from '../../src/core/model.ts';
import { migrationProvider } from '../../src/store/migrations.ts';
import { openStore } from '../../src/store/open.ts';
import { arch, COMPILE_ERROR, kmod, OTHER } from '../core/facts.ts';

interface Recorded {
  readonly steps: readonly string[];
  readonly statements: readonly { readonly since: number; readonly until: number; readonly sql: string }[];
}
const RECORDED: Recorded = JSON.parse(
  readFileSync(new URL('../recordings/store/schemas.json', import.meta.url), 'utf8'),
);

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  file = join(folder, 'gate.db');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const HUB = 'https://koji.example.org/kojihub';
const packed = (value: unknown) => brotliCompressSync(JSON.stringify(value));
const [A, B] = [
  { ...kmod('kmod-a'), buildId: 7 },
  { ...kmod('kmod-b'), buildId: 8 },
];
const kernel = (id: number) => ({ ...OTHER, id, nvr: `kernel-5.14.0-${id}.el9`, release: `${id}.el9` });
const SCRATCH = { kind: 'scratch-build', kmod: 'kmod-a', source: A.source, target: 'try', priority: 5 };
const FAILED = {
  at: 130,
  how: 'failed',
  why: 'it fails',
  build: {
    state: 'failed',
    arches: [
      {
        ...arch({
          state: 5,
          errors: [COMPILE_ERROR],
          buildroot: [{ id: 20, nvr: 'kernel-devel-5.14.0-20.el9' }],
        }),
        repoId: 5,
      },
    ],
  },
};
const DONE = { at: 160, how: 'done' };
const WHY = ['kmod-a-1-1: does not build against kernel-5.14.0-20.el9: no member named pre_doit'];
const symbol = (name: string) => ({ symbol: name, required: 1, provided: 9, provider: 'kernel-core' });
const NONE = { count: 0, first: [] };
const COMPARED = { arch: 'x86_64', imports: 40, answer: 'incompatible', cause: null, before: 'compatible' };
/** As a run has it, and as all of it is kept. */
const shown = (arches: unknown) => ({
  kmods: [{ kmod: 'kmod-a', needs: [], arches: [arches] }],
  ...{ change: null, stablelist: 'warn' },
});
const CHANGED = ['a', 'b', 'c', 'd', 'e'].map(symbol);
const WHOLE = shown({ ...COMPARED, missing: [], changed: CHANGED, fromKmods: [], fromBroken: [] });
const BRIEF = shown({
  ...COMPARED,
  missing: NONE,
  changed: { count: 5, first: CHANGED.slice(0, 3) },
  fromBroken: NONE,
});
const PROVIDES = { provides: [{ symbol: 'a', crc: 9 }], requires: [] };
const CAUSES = [{ arch: 'x86_64', kmods: ['kmod-a'] }];

/** What was told, in its order; the number of a fact is that of its line. */
const JOURNAL: readonly (readonly [at: number, kind: string, build: number, text: string])[] = [
  [100, 'kernel', 20, 'kernel-5.14.0-20.el9 is complete'],
  [110, 'run', 20, 'tries 2 kmods'],
  [120, 'asked', 20, 'builds kmod-a'],
  [130, 'ended', 20, 'kmod-a fails'],
  [140, 'verdict', 20, 'block'],
  [150, 'asked', 20, 'tags it c9s-blocked'],
  [160, 'ended', 20, 'done'],
  [170, 'closed', 20, 'it moved'],
  [200, 'kernel', 21, 'kernel-5.14.0-21.el9 is complete'],
  [210, 'run', 21, 'tries 2 kmods'],
  [220, 'verdict', 21, 'promote'],
  [230, 'closed', 21, 'it moved'],
  [300, 'kernel', 22, 'kernel-5.14.0-22.el9 is complete'],
  [310, 'run', 22, 'tries 2 kmods'],
  [320, 'asked', 22, 'builds kmod-a'],
  [330, 'person', 22, 'ada waives kmod-a'],
  [340, 'person', 22, 'ada holds it'],
  [350, 'symbols', 22, 'kmod-a does not fit'],
];
const factAt = (at: number) => JOURNAL.findLastIndex(([time]) => time <= at) + 1;
const runOf = (build: number) => `c9s/${build}/1`;

type Value = string | number | null | Uint8Array;
type Row = Readonly<Record<string, Value>>;

/** The rows of a store at a step: columns and tables that came later are not there. */
function rowsAt(step: number): [table: string, row: Row][] {
  const rows: [string, Row][] = [];
  const put = (since: number, table: string, row: Row, ...later: (readonly [number, Row, number?])[]) => {
    if (step < since) return;
    const more = later.filter(([from, , until = Infinity]) => from <= step && step <= until);
    rows.push([table, Object.assign({}, row, ...more.map(([, columns]) => columns))]);
  };
  const fact = (at: number) => [10, { fact: factAt(at) }] as const;

  put(1, 'installation', { id: 'one' });
  put(8, 'hub', { url: HUB });
  if (step >= 10) rows.push(['sequence', { newest: JOURNAL.length }]);
  put(10, 'clock', { fact: 18, at: 360, ahead: 5_000 });
  for (const { id, nvr, name, version, release } of [20, 21, 22].map(kernel))
    put(1, 'kernel_build', { id, nvr, name, epoch: null, version, release, seen_at: 10 * id - 100 });
  for (const [build, at] of [
    [20, 110],
    [21, 210],
    [22, 310],
  ] as const) {
    const id = runOf(build);
    const first = {
      gate: 'c9s',
      build_id: build,
      generation: 1,
      entry: build,
      tags: '["gate"]',
      started_at: at,
    };
    const baseline = build === 22 ? JSON.stringify({ id: 21, nvr: kernel(21).nvr }) : null;
    put(
      ...([1, 'run', { id, ...first }] as const),
      [3, { strategy: 'symbols-and-rebuild' }],
      [4, { baseline }],
      [9, { live: Number(build === 22), passed: build === 21 ? 2 : null }],
      fact(at),
      [12, { unexplained: 0 }],
    );
    put(1, 'selection', { run_id: id, at, kmods: JSON.stringify([A, B]) }, [9, { size: 2 }], fact(at));
  }
  const asked = (id: string, build: number, at: number, seq: number, write: { kind: string }) =>
    put(
      ...([
        1,
        'intent',
        { id, run_id: runOf(build), seq, kind: write.kind, write: JSON.stringify(write) },
      ] as const),
      [1, { asked_at: at }],
      [4, write.kind === 'scratch-build' ? { kmod_build: 7, kernel_build: build } : {}],
      fact(at),
    );
  const ended = (intent_id: string, ending: { at: number; how: string }) =>
    put(
      1,
      'ending',
      { intent_id, at: ending.at, how: ending.how, ending: JSON.stringify(ending) },
      fact(ending.at),
    );
  asked('c9s/20/1/kmod-a/1', 20, 120, 0, SCRATCH);
  put(1, 'receipt', {
    intent_id: 'c9s/20/1/kmod-a/1',
    at: 121,
    task_id: 70,
    receipt: '{"at":121,"task":70}',
  });
  ended('c9s/20/1/kmod-a/1', FAILED);
  asked('c9s/20/1/tag/1', 20, 150, 1, { kind: 'tag', tag: 'c9s-blocked' } as { kind: string });
  ended('c9s/20/1/tag/1', DONE);
  asked('c9s/22/1/kmod-a/1', 22, 320, 0, SCRATCH);
  put(1, 'receipt', {
    intent_id: 'c9s/22/1/kmod-a/1',
    at: 321,
    task_id: 77,
    receipt: '{"at":321,"task":77}',
  });
  for (const [build, at, verdict, reasons, tally] of [
    [20, 140, 'block', WHY, { broken: 1, ok: 1 }],
    [21, 220, 'promote', [], { ok: 2 }],
  ] as const) {
    put(
      ...([1, 'verdict', { run_id: runOf(build), at, verdict, reasons: JSON.stringify(reasons) }] as const),
      [4, { last_order: 0 }, 9],
      [7, { overdue: 0 }],
      [9, { tally: JSON.stringify(tally) }],
      fact(at),
    );
    put(1, 'closing', { run_id: runOf(build), at: at === 140 ? 170 : 230, how: 'done', why: 'it moved' });
    for (const one of [A, B])
      put(
        ...([
          7,
          'judgement',
          { run_id: runOf(build), gate: 'c9s', kernel_build: build, kmod: one.name, at },
        ] as const),
        [
          7,
          { kmod_build: one.buildId, outcome: build === 20 && one === A ? 'broken' : 'ok', baseline: null },
        ],
        [9, { package: 'kernel', passed: Number(build === 21) }],
      );
  }
  put(7, 'trial', {
    ...{ kmod_build: 7, kernel_build: 20, arch: 'x86_64', target: 'try', shows: 'fails', proof: 'buildroot' },
    ...{ at: 130, run_id: runOf(20), repo: 5 },
  });
  JOURNAL.forEach(([at, kind, build, text], i) => {
    const [gate, run_id] = kind === 'kernel' ? [null, null] : ['c9s', runOf(build)];
    put(1, 'journal', { at, kind, gate, build_id: build, run_id, text }, [10, { fact: i + 1 }]);
  });
  put(2, 'heard', { queue: 'q', at: 90, routing_key: 'koji.build.complete', understood: 1 });
  put(
    ...([3, 'symbol_evidence', { run_id: runOf(22), at: 350 }] as const),
    [3, { evidence: JSON.stringify(WHOLE) }, 4],
    [5, { evidence: JSON.stringify(BRIEF), detail: packed(WHOLE.kmods) }],
    [10, { chosen: factAt(310) }],
  );
  put(...([3, 'rpm_symbols', { rpm_id: 5, symbols: JSON.stringify(PROVIDES) }] as const), [
    9,
    { symbols: packed(PROVIDES), used_at: 350, build_id: 21 },
  ]);
  put(
    ...([4, 'baseline_repo', { run_id: runOf(22), at: 325, repo: 5, why: '' }] as const),
    [7, { kernel_build: 21 }],
    fact(325),
    [11, { event: 9 }],
  );
  const said = { by: 'ada', reason: 'known' };
  put(
    4,
    'waiver',
    { at: 330, ...said, gate: 'c9s', kernel: kernel(22).nvr, kmod: 'kmod-a', until: null },
    fact(330),
  );
  put(
    4,
    'waiver',
    { at: 331, ...said, gate: null, kernel: 'kernel-*', kmod: 'kmod-b', until: 9_000 },
    fact(331),
  );
  put(4, 'waiver_end', { waiver_id: 2, at: 332, by: 'bob' }, fact(332));
  put(4, 'run_order', { run_id: runOf(22), at: 340, ...said, kind: 'hold', kmod: null }, fact(340));
  put(10, 'waiver_run', { waiver_id: 1, run_id: runOf(22) });
  put(12, 'explanation', { run_id: runOf(22), at: 355, fact: 18, causes: packed(CAUSES) });
  put(12, 'kernel_types', { build_id: 21, arch: 'x86_64', used_at: 355, types: brotliCompressSync('types') });
  put(14, 'waiver_there', { source: 'db', there: 3, waiver_id: 1, kind: 'read' });
  put(14, 'waiver_post', { source: 'db', waiver_id: 2, kind: 'ended', at: 333 });
  put(15, 'outbox_cursor', { channel: 'mail', seq: 11 });
  put(15, 'outbox', {
    ...{
      channel: 'mail',
      fact: 11,
      run_id: runOf(21),
      what: 'verdict',
      part: 'all',
      made_at: 220,
      next_at: 400,
    },
    ...{ state: 'waiting', tries: 2, error: 'no route' },
  });
  put(15, 'outbox_told', { channel: 'mail', about: 'kernel 20', digest: 'x', at: 145 });
  return rows;
}

/** Make the store of a step, with its rows. */
function makeStore(step: number): void {
  const database = new Database(file);
  const made = RECORDED.statements.filter(({ since, until }) => since <= step && step <= until);
  // A table that was made anew comes after the index of another one.
  const [tables, others] = [true, false].map((is) =>
    made.filter(({ sql }) => /^CREATE TABLE/.test(sql) === is),
  );
  for (const { sql } of [...(tables ?? []), ...(others ?? [])]) database.exec(sql);
  const insert = (table: string, row: Row) => {
    const columns = Object.keys(row).map((name) => `"${name}"`);
    const places = columns.map(() => '?').join(', ');
    database
      .prepare(`INSERT INTO "${table}" (${columns.join(', ')}) VALUES (${places})`)
      .run(...Object.values(row));
  };
  for (const name of RECORDED.steps.slice(0, step))
    insert('kysely_migration', { name, timestamp: '2026-01-01T00:00:00.000Z' });
  insert('kysely_migration_lock', { id: 'migration_lock', is_locked: 0 });
  for (const [table, row] of rowsAt(step)) insert(table, row);
  database.close();
}

/** The tables with their columns, and the indexes, by name. */
function shapeOf(path: string): Record<string, string[]> {
  const database = new Database(path);
  const names = database
    .prepare(
      `SELECT name, type FROM sqlite_master WHERE type IN ('table', 'index') AND name NOT LIKE 'sqlite_%'`,
    )
    .all() as { name: string; type: string }[];
  const shape = names.map(({ name, type }) => {
    const info = type === 'table' ? 'table_info' : 'index_info';
    const columns = database.prepare(`PRAGMA ${info}("${name}")`).all() as { name: string | null }[];
    return [name, columns.map((column) => String(column.name)).toSorted()] as const;
  });
  expect(database.prepare('PRAGMA foreign_key_check').all()).toEqual([]);
  expect(database.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
  database.close();
  return Object.fromEntries(shape);
}

test('the steps that were recorded come first, as they were called, in what migrates a store', async () => {
  const steps = Object.keys(await migrationProvider.getMigrations()).toSorted();
  expect(steps.slice(0, RECORDED.steps.length)).toEqual(RECORDED.steps);
});

test('the rows fill each table of each step', () => {
  for (let step = 1; step <= RECORDED.steps.length; step++) {
    const tables = RECORDED.statements
      .filter(({ since, until }) => since <= step && step <= until)
      .flatMap(({ sql }) => /^CREATE TABLE "(\w+)"/.exec(sql)?.[1] ?? [])
      .filter((name) => !name.startsWith('kysely'));
    expect(new Set(rowsAt(step).map(([table]) => table))).toEqual(new Set(tables));
  }
});

const SAID = { by: 'ada', reason: 'known' };
const WAIVED = {
  ...{
    id: 1,
    at: 330,
    fact: 16,
    ...SAID,
    gate: 'c9s',
    kernel: kernel(22).nvr,
    kmod: 'kmod-a',
    until: null,
    ends: null,
  },
};
/** Its end is by the calendar, and the clock that step 10 brought is ahead. */
const endedAt = (step: number) => ({
  ...{
    id: 2,
    at: 331,
    fact: 16,
    ...SAID,
    gate: null,
    kernel: 'kernel-*',
    kmod: 'kmod-b',
    until: 9_000,
    ends: step >= 10 ? 4_000 : 9_000,
  },
  ended: { at: 332, by: 'bob', fact: 16 },
});

const STEPS = RECORDED.steps.map((name, i) => [i + 1, name] as const);
describe.each(STEPS)('a store of step %i (%s)', (step) => {
  const since = <T extends object>(from: number, part: T): T | Record<never, never> =>
    step >= from ? part : {};
  const ENDED = endedAt(step);
  beforeEach(() => makeStore(step));

  test('has all that was in it, once it is up to date', async () => {
    const store = await openStore(`sqlite:${file}`, { mode: 'write', hub: HUB });
    expect([store.installation, store.hub]).toEqual(['one', HUB]);
    expect((await store.kernels()).map(({ id }) => id)).toEqual([22, 21, 20]);
    const common = (build: number, at: number) => ({
      ...{
        id: runOf(build),
        gate: 'c9s',
        kernel: kernel(build),
        generation: 1,
        entry: build,
        tags: ['gate'],
      },
      ...{ startedAt: at, fact: factAt(at), chosen: { at, fact: factAt(at) }, kmods: [A, B] },
      strategy: step >= 3 ? 'symbols-and-rebuild' : 'rebuild',
      ...{ baseline: null, baselineRepos: {}, past: [], waivers: [], orders: [] },
    });
    const intent = (id: string, at: number, write: object) => ({ id, fact: factAt(at), askedAt: at, write });
    expect(await store.run(runOf(20))).toEqual({
      ...common(20, 110),
      intents: [
        {
          ...intent('c9s/20/1/kmod-a/1', 120, SCRATCH),
          receipt: { at: 121, task: 70 },
          ending: { ...FAILED, fact: factAt(130) },
        },
        {
          ...intent('c9s/20/1/tag/1', 150, { kind: 'tag', tag: 'c9s-blocked' }),
          ending: { ...DONE, fact: 7 },
        },
      ],
      verdict: { at: 140, fact: factAt(140), verdict: 'block', reasons: WHY },
      closing: { at: 170, how: 'done', why: 'it moved' },
      // It was for any kernel, until it was ended.
      ...since(4, { waivers: [ENDED] }),
    });
    expect(await store.run(runOf(21))).toEqual({
      ...common(21, 210),
      intents: [],
      verdict: { at: 220, fact: factAt(220), verdict: 'promote', reasons: [] },
      closing: { at: 230, how: 'done', why: 'it moved' },
      ...since(4, { waivers: [ENDED] }),
    });
    const live = (await store.run(runOf(22))) as Run;
    expect(live).toEqual({
      ...common(22, 310),
      intents: [{ ...intent('c9s/22/1/kmod-a/1', 320, SCRATCH), receipt: { at: 321, task: 77 } }],
      ...since(3, { symbols: BRIEF }),
      ...since(4, {
        baseline: { id: 21, nvr: kernel(21).nvr },
        baselineRepos: { 21: { repo: 5, why: '', ...since(11, { event: 9 }) } },
        waivers: [WAIVED, ENDED],
        orders: [{ id: 1, at: 340, fact: 17, by: 'ada', kind: 'hold', reason: 'known', kmod: null }],
      }),
    });

    // What follows from other facts.
    expect((await store.liveKernels('c9s')).map(({ id }) => id)).toEqual([runOf(22)]);
    expect((await store.runs(9)).map(({ id }) => id)).toEqual([22, 21, 20].map(runOf));
    expect(await store.lastPassed('c9s', 'kernel', 22)).toEqual(kernel(21));
    expect(await store.ownerOfTask(77)).toEqual({ gate: 'c9s', build: 22, run: runOf(22) });
    const judged = await store.lastJudged('c9s', 'kernel', { kernel: 20, except: 22 });
    expect([...judged].map(([name, { last }]) => [name, last.outcome, last.kernel.id]).toSorted()).toEqual([
      ['kmod-a', 'broken', 20],
      ['kmod-b', 'ok', 20],
    ]);
    const passed = await store.lastJudged('c9s', 'kernel', { kernel: null, except: 22 });
    expect([...passed].map(([name, { last }]) => [name, last.kernel.id]).toSorted()).toEqual([
      ['kmod-a', 21],
      ['kmod-b', 21],
    ]);
    const page = await store.summaries({ limit: 9 });
    expect(page?.runs.map(({ kmods, verdict, tally }) => [kmods, verdict, tally])).toEqual([
      [2, null, {}],
      [2, 'promote', { ok: 2 }],
      [2, 'block', { broken: 1, ok: 1 }],
    ]);
    // A scratch build told of its kernel from step 4 on: what it showed before then is not known.
    expect(await store.reposWith(20)).toEqual(step >= 4 ? [5] : []);

    // What is told.
    for (const build of [20, 21, 22])
      expect((await store.journal(build)).map(({ at, kind, text }) => [at, kind, text])).toEqual(
        JOURNAL.filter(([, , of]) => of === build).map(([at, kind, , text]) => [at, kind, text]),
      );
    expect(await store.lastHeard('q')).toEqual(
      step >= 2 ? { queue: 'q', at: 90, routingKey: 'koji.build.complete', understood: true } : undefined,
    );
    expect(await store.symbolDetail(live)).toEqual(step >= 3 ? WHOLE.kmods : []);
    expect([...(await store.rpmSymbols([5]))]).toEqual(step >= 3 ? [[5, PROVIDES]] : []);
    expect(await store.waivers()).toEqual(step >= 4 ? [ENDED, WAIVED] : []);
    expect((await store.runsWaived(0)).map(({ run }) => run)).toEqual(step >= 4 ? [runOf(22)] : []);
    expect(await store.ahead()).toBe(step >= 10 ? 5_000 : 0);
    expect(await store.causesOf(live)).toEqual(step >= 12 ? CAUSES : []);
    const types = await store.kernelTypes(21, 'x86_64', 360);
    expect(types && Buffer.from(types).toString()).toBe(step >= 12 ? 'types' : undefined);
    expect(await store.recordsThere()).toEqual(
      step >= 14 ? [{ source: 'db', there: 3, waiver: 1, kind: 'read' }] : [],
    );
    expect(await store.posts()).toEqual(
      step >= 14 ? [{ source: 'db', waiver: 2, kind: 'ended', at: 333 }] : [],
    );
    expect(
      (await store.outgoing('mail', { limit: 9 })).map(({ run, what, tries }) => [run, what, tries]),
    ).toEqual(step >= 15 ? [[runOf(21), 'verdict', 2]] : []);
    await store.close();
  });

  test('goes on: what is recorded next comes after all of it, and it is not brought up to date twice', async () => {
    const store = await openStore(`sqlite:${file}`, { mode: 'write', hub: HUB });
    const live = (await store.run(runOf(22))) as Run;
    await store.order(live, { at: 400, by: 'bob', kind: 'release', reason: '', kmod: null });
    const [attempt] = live.intents;
    if (!attempt) throw new Error('no intent');
    await store.end(live, attempt, { at: 410, how: 'done' });
    const next = kernel(23);
    await store.seeKernel(next, 420);
    const { gate, tags, kmods, strategy } = live;
    await store.beginRun({
      ...{ id: runOf(23), gate, kernel: next, generation: 1, entry: 23, tags, kmods },
      ...{ startedAt: 430, strategy, baseline: null },
    });
    const after = (await store.run(runOf(22))) as Run;
    expect(after.orders.at(-1)?.fact).toBe(JOURNAL.length + 1);
    expect(after.intents[0]?.ending?.fact).toBe(JOURNAL.length + 2);
    expect((await store.run(runOf(23)))?.fact).toBe(JOURNAL.length + 4);
    expect((await store.liveKernels('c9s')).map(({ id }) => id)).toEqual([runOf(22), runOf(23)]);
    const lines = await store.newestFact();
    await store.close();
    const again = await openStore(`sqlite:${file}`, { mode: 'read', hub: HUB });
    expect([await again.newestFact(), again.installation]).toEqual([lines, 'one']);
    await again.close();
  });

  test('has the tables, columns and indexes of a new one', async () => {
    for (const path of [file, join(folder, 'new.db')])
      await (await openStore(`sqlite:${path}`, { mode: 'write' })).close();
    expect(shapeOf(file)).toEqual(shapeOf(join(folder, 'new.db')));
  });
});
