/** What a review found: tables first, then scenes on a Koji in memory over real HTTP. */
import { afterEach, describe, expect, test } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import type {
  ArchSymbols,
  BuildEvidence,
  Ending,
  Gate,
  Order,
  Policy,
  Run,
  Waiver,
} from '../../src/core/model.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import { replay } from '../../src/core/replay.ts';
import { reopens } from '../../src/core/verdict.ts';
import { describeWrite } from '../../src/core/wording.ts';
import { OvertakenError } from '../../src/store/error.ts';
import * as facts from '../core/facts.ts';
import { GATE, NEW, type Stage, type StageOptions, setStage } from './stage.ts';

const { BUILDS, building, FAILS, intent, kmod, NO_BUILDROOT, OTHER, past, seen, stand, tried, verdictFor } =
  facts;
const BASELINE = { id: OTHER.id, nvr: OTHER.nvr };
const on = (build: BuildEvidence, name: string): BuildEvidence => ({
  ...build,
  arches: build.arches.map((of) => ({ ...of, arch: name })),
});
const symbolsOf = (
  answer: ArchSymbols['answer'],
  before: ArchSymbols['answer'],
  name = 'x86_64',
): ArchSymbols => ({
  arch: name,
  imports: 3,
  missing:
    answer === 'incompatible' ? { count: 1, first: [{ symbol: 'a', crc: 1 }] } : { count: 0, first: [] },
  changed: { count: 0, first: [] },
  fromBroken: { count: 0, first: [] },
  answer,
  cause: null,
  before,
});
const shown = (...arches: ArchSymbols[]): Pick<Run, 'symbols'> => ({
  symbols: { change: null, stablelist: null, kmods: [{ kmod: 'kmod-a', arches }] },
});
const order = (kind: Order['kind'], at: number, more: Partial<Order> = {}): Order => ({
  id: at,
  fact: at,
  at,
  by: 'ada',
  kind,
  reason: '',
  kmod: null,
  ...more,
});
const A = [kmod('kmod-a')];
const run = (more: Partial<Run>) => facts.run({ kmods: A, baseline: BASELINE, ...more });
const outcome = (of: Run, policy: Partial<Policy> = {}) => {
  const { state, finding } = stand(of, policy)[0] ?? {};
  return state === 'judged' ? `${finding?.outcome}: ${finding?.cause}` : state;
};
const ask = (more: Partial<Run>, policy: Partial<Policy> = {}, world = {}, gate: Partial<Gate> = {}) => {
  const of: Gate = { ...facts.GATE, ...gate, policy: { ...DEFAULT_POLICY, ...policy } };
  const { state, writes, verdict, closing } = decide(
    of,
    { poll: 30_000 },
    seen({ kmods: A, baseline: BASELINE, ...more }, world),
  );
  if (closing) return `closed (${closing.how})`;
  return verdict ? `verdict ${verdict.verdict}` : writes.map(describeWrite).join(', ') || state;
};

describe('whose fault', () => {
  test('an earlier build of the kmod says nothing of the one that is tried', () => {
    const failed = run({ intents: [tried('kmod-a', FAILS)], past: [past('fails', { kmodBuild: 77 })] });
    expect(outcome(failed)).toBe('unsought');
  });
  test('what was not tried on the architecture that fails says nothing', () => {
    const failing = tried('kmod-a', on(FAILS, 's390x'));
    expect(outcome(run({ intents: [failing], past: [past('builds')] }))).toBe('unsought');
    expect(outcome(run({ intents: [failing], past: [past('fails')] }))).toBe('unsought');
    expect(outcome(run({ intents: [failing], past: [past('fails', { arch: 's390x' })] }))).toMatch(
      /^already-broken/,
    );
  });
  test('trouble on one architecture is tried again by itself, whatever another one showed', () => {
    const [fails] = FAILS.arches;
    const trouble = on(NO_BUILDROOT, 's390x').arches;
    const both: BuildEvidence = { ...FAILS, arches: [...(fails ? [fails] : []), ...trouble] };
    const of = run({ intents: [tried('kmod-a', both)], past: [past('fails')] });
    expect(stand(of)[0]).toMatchObject({ state: 'wanted', arches: ['s390x'] });
  });
  test('symbols that fit the baseline on another architecture say nothing of the one that fails', () => {
    const of = {
      strategy: 'symbols-then-rebuild' as const,
      ...shown(symbolsOf('incompatible', 'compatible')),
    };
    const elsewhere = run({ ...of, intents: [tried('kmod-a', on(FAILS, 's390x'))] });
    expect(stand(elsewhere)[0]?.cells.map(({ arch, state }) => `${arch} ${state}`)).toEqual([
      'x86_64 wanted',
      's390x unsought',
    ]);
    expect(outcome(run({ ...of, intents: [tried('kmod-a', FAILS)] }))).toMatch(/^broken: .*loads into/);
  });
});

describe('when the time is over', () => {
  const late = (of: Partial<Run>, policy: Partial<Policy> = {}) =>
    ask(of, { longest_run: 1_000, inconclusive: 'pass', ...policy });
  const ok = tried('kmod-b', BUILDS);
  const kmods = [kmod('kmod-a'), kmod('kmod-b')];
  test('a kmod that failed, and was not yet tried against the baseline, is unattributed', () => {
    const of = { kmods, intents: [ok, tried('kmod-a', FAILS)] };
    expect(late(of)).toBe('verdict block');
    expect(late(of, { unattributed: 'pass' })).toBe('verdict promote');
  });
  test('a kmod whose symbols are broken is so, built or not', () => {
    const fits = { kmod: 'kmod-b', arches: [symbolsOf('compatible', 'compatible')] };
    const broken = shown(symbolsOf('incompatible', 'compatible')).symbols;
    const symbols = broken && { ...broken, kmods: [...broken.kmods, fits] };
    const of = {
      kmods,
      strategy: 'symbols-and-rebuild' as const,
      intents: [ok, building('kmod-a')],
      ...(symbols && { symbols }),
    };
    expect(late(of, { unattributed: 'pass' })).toBe('verdict block');
  });
  test('a kmod of which nothing is known is inconclusive', () => {
    expect(late({ kmods, intents: [ok, tried('kmod-a', NO_BUILDROOT, 999_999)] })).toBe('verdict promote');
  });
});

describe('a waiver', () => {
  const waiver = (more: Partial<Waiver>): Waiver => ({
    id: 1,
    fact: more.at ?? 100,
    at: 100,
    by: 'ada',
    reason: 'known',
    gate: null,
    kernel: '*',
    kmod: '*',
    until: null,
    ends: more.until ?? null,
    ...more,
  });
  const gone = { symbol: 's', before: 1, after: null, provider: 'kernel-core' };
  const BROKEN: Partial<Run> = {
    intents: [tried('kmod-a', BUILDS)],
    symbols: {
      kmods: [],
      stablelist: 'block',
      change: {
        baseline: BASELINE,
        unreadable: null,
        arches: [
          { arch: 'x86_64', common: 9, added: 0, removed: 1, changed: 0, everything: false, listed: [gone] },
        ],
      },
    },
  };
  test('for all kmods does not waive the stablelist, which is named', () => {
    expect(verdictFor(run({ ...BROKEN, waivers: [waiver({})] })).verdict).toBe('block');
    expect(verdictFor(run({ ...BROKEN, waivers: [waiver({ kmod: 'stablelist' })] })).verdict).toBe('promote');
  });
});

describe('a newer kernel', () => {
  test('does not wait without end for a build of the older one that hangs', () => {
    const of = { intents: [building('kmod-a')] };
    const finish = { supersede: 'finish' as const };
    expect(ask(of, { ...finish, longest_build: 1_000 }, { newer: facts.NEWER })).toBe('cancel task 9');
    expect(ask(of, { ...finish, longest_build: null, longest_run: 1_000 }, { newer: facts.NEWER })).toBe(
      'cancel task 9',
    );
  });
});

describe('a cancel', () => {
  const slow = building('kmod-a');
  const cancel = (ending?: Ending) => intent({ kind: 'cancel', task: 9 }, ending ? { ending } : {}, 5);
  test('that never reached the hub is sent again, one that it refused after a while', () => {
    const told = (...cancels: ReturnType<typeof cancel>[]) =>
      ask({ intents: [slow, ...cancels], orders: [order('cancel', 1)] });
    expect(told(cancel({ at: 6, how: 'lost' }))).toBe('cancel task 9');
    expect(told(cancel({ at: 6, how: 'failed', why: 'no' }))).toBe('cancel task 9');
    expect(told(cancel({ at: 999_999, how: 'failed', why: 'no' }))).toMatch(/waits for 1 request/);
    expect(told(cancel({ at: 6, how: 'done' }))).toMatch(/waits for 1 request/);
  });
  test('by the gate, before a person asked for a retry, is no try of the kmod', () => {
    const stopped = {
      ...tried('kmod-a', { state: 'canceled', arches: [] }, 30),
      receipt: { at: 0, task: 9 },
    };
    const of = run({ intents: [stopped, cancel({ at: 6, how: 'done' })], orders: [order('retry', 20)] });
    expect(stand(of)[0]).toMatchObject({ state: 'wanted', notBefore: 0, attempts: [] });
  });
});

describe('a retry', () => {
  test('starts with all tries that a run may have', () => {
    const trouble = (at: number) => tried('kmod-a', NO_BUILDROOT, at);
    const policy = { retries: { kmod: 9, run: 2, day: 99 } };
    const used = { intents: [trouble(1), trouble(2), trouble(3)] };
    expect(outcome(run(used), policy)).toMatch(/used up its 2 retries/);
    const again = { intents: [...used.intents, trouble(11)], orders: [order('retry', 10)] };
    expect(stand(run(again), policy)[0]?.state).toBe('wanted');
    expect(ask(again, policy)).toBe('build kmod-a in try');
  });
  test('pins a repo of its own, since the old one may be gone', () => {
    const repo = intent(
      { kind: 'request-repo', tag: 'try-build' },
      { ending: { at: 2, how: 'done', repo: 7 } },
      1,
    );
    const pin = { build: { ...facts.GATE.build, repo: 'pin' as const } };
    expect(ask({ intents: [repo] }, {}, {}, pin)).toBe('build kmod-a in try');
    expect(ask({ intents: [repo], orders: [order('retry', 10)] }, {}, {}, pin)).toBe(
      'request a repo of try-build',
    );
  });
  test('stops what is built of a kmod that was chosen anew', () => {
    const old = intent(
      { kind: 'scratch-build', kmod: 'kmod-a', source: 'older.src.rpm', target: 'try', priority: 5 },
      { receipt: { task: 9 } },
    );
    expect(ask({ intents: [old], orders: [order('retry', 10)] })).toBe('cancel task 9');
  });
});

describe('rebuilds', () => {
  const REBUILD = { rebuild: { target: 'release', draft: false } };
  const moved = intent({ kind: 'tag', tag: 'candidate', from: 'gate' }, { ending: { at: 3, how: 'done' } });
  const write = {
    kind: 'rebuild',
    kmod: 'kmod-a',
    buildId: 1,
    target: 'release',
    draft: false,
    waitFor: [],
  } as const;
  const active = intent(write, { receipt: { task: 12 } }, 4);
  const done = intent(write, { receipt: { task: 12 }, ending: { at: 9, how: 'done', nvr: 'kmod-a-1-2' } }, 4);
  const of = (...more: Run['intents']): Partial<Run> => ({
    strategy: 'symbols-then-rebuild',
    ...shown(symbolsOf('incompatible', 'compatible')),
    intents: [tried('kmod-a', BUILDS), moved, ...more],
    verdict: { at: 2, fact: 2, verdict: 'promote', reasons: ['fine'] },
  });
  const passed = [facts.came('candidate', 'kmod-gate', 9), facts.left('gate', 'kmod-gate', 9)];
  const world = facts.history(passed);
  test('go on when the kernel moves on from where the gate put it', () => {
    const signed = [facts.came('released', 'signer', 10), facts.left('candidate', 'signer', 11)];
    const further = facts.history([...passed, ...signed]);
    expect(ask(of(active), {}, further, REBUILD)).toMatch(/waits for 1 rebuild/);
    expect(ask(of(done), {}, further, REBUILD)).toBe('closed (done)');
    expect(
      ask(
        of(active),
        {},
        facts.history([facts.left('gate', 'ada', 8), facts.came('gate', 'ada', 9)]),
        REBUILD,
      ),
    ).toBe('cancel task 12');
  });
  test('that hang are stopped', () => {
    expect(ask(of(active), { longest_build: 1_000 }, world, REBUILD)).toBe('cancel task 12');
  });
});

describe('a held run', () => {
  test('comes to its end though its side tag cannot be removed', () => {
    const made = intent(
      { kind: 'create-side-tag', base: 'try-build', known: [] },
      { receipt: { sideTag: 'side-1' }, ending: { at: 1, how: 'done' } },
    );
    const refused = intent(
      { kind: 'remove-side-tag', tag: 'side-1' },
      { ending: { at: 999_999, how: 'failed', why: 'no' } },
    );
    const of: Partial<Run> = {
      intents: [tried('kmod-a', NO_BUILDROOT), made, refused],
      verdict: { at: 2, fact: 2, verdict: 'hold', reasons: ['trouble'] },
    };
    const world = { sideTags: ['side-1'] };
    expect(ask(of, { longest_hold: 1_000 }, world)).toBe('verdict block');
    expect(ask(of, { supersede: 'cancel' }, { ...world, newer: facts.NEWER })).toMatch(/cannot remove/);
  });
});

test('what a quiet time finds begun is finished', () => {
  const of: Partial<Run> = {
    intents: [
      tried('kmod-a', BUILDS),
      intent({ kind: 'tag', tag: 'one' }, { ending: { at: 6, how: 'done' } }, 5),
    ],
    verdict: { at: 2, fact: 2, verdict: 'promote', reasons: ['fine'] },
  };
  const gate = { on_pass: { tag: ['one', 'two'], untag: ['gate'] } };
  const always = { quiet: [{ from: 0, to: 7 * 24 * 60 - 1 }] };
  expect(ask(of, always, facts.history([facts.came('one', 'kmod-gate', 9)]), gate)).toBe(
    'move the kernel from gate to two',
  );
  expect(ask({ ...of, intents: of.intents?.slice(0, 1) ?? [] }, always, {}, gate)).toMatch(/quiet time/);
});

describe('replay', () => {
  const OVER = run({
    intents: [tried('kmod-a', BUILDS)],
    verdict: { at: 5, fact: 5, verdict: 'promote', reasons: [] },
  });
  const gate: Gate = { ...facts.GATE, stablelist: { effect: 'block', symbols: { '*': ['a'] } } };
  test('a stablelist that the run did not look at is missing', () => {
    expect(replay(gate, OVER, 9)).toMatchObject({ verdict: 'unknown', missing: ['stablelist'] });
    const change = { baseline: BASELINE, unreadable: null, arches: [] };
    const unlisted = { ...OVER, symbols: { kmods: [], change, stablelist: null } };
    const found = replay(gate, unlisted, 9);
    expect(found).toMatchObject({ verdict: 'unknown', missing: ['stablelist'] });
    expect(found.reasons.join()).not.toContain('kept');
  });
});

test('a held run that was only observed is opened again by a waiver', () => {
  const of = run({
    intents: [tried('kmod-a', { state: 'canceled', arches: [] })],
    verdict: { at: 200, fact: 200, verdict: 'hold', reasons: [] },
    closing: { at: 300, how: 'observed', why: 'x' },
    waivers: [
      {
        id: 1,
        at: 400,
        fact: 400,
        by: 'ada',
        reason: 'known',
        gate: null,
        kernel: '*',
        kmod: 'kmod-a',
        until: null,
        ends: null,
      },
    ],
  });
  expect(reopens(facts.GATE, of, 1_000)).toBe('a waiver by ada lets it through: known');
});

describe('on a hub', () => {
  let stage: Stage;
  const set = async (options: StageOptions = {}) => {
    stage = await setStage(options);
  };
  afterEach(async () => stage.end());
  const FINE: Partial<Gate> = { kmods: { ...GATE.kmods, exclude: ['kmod-gamma'] } };
  const current = async () => {
    const found = await stage.run(NEW);
    if (!found) throw new Error('no run yet');
    return found;
  };
  const say = async (kind: Order['kind']) =>
    stage.store.order(await current(), {
      at: stage.world.now(),
      by: 'ada',
      kind,
      reason: 'says so',
      kmod: null,
    });
  const isAsked = async (kind: string) =>
    (await stage.run(NEW))?.intents.some(({ write, receipt }) => write.kind === kind && receipt);

  test('a kernel is no baseline of its own: what breaks with it is not "already broken"', async () => {
    await set({ gate: { strategy: 'symbols', build: null, baseline: NEW } });
    stage.world.completeKernel(NEW, { tag: GATE.watch });
    const over = await stage.closed(NEW);
    expect(over.verdict?.verdict).toBe('block');
    expect(over.verdict?.reasons[0]).toMatch(/does not load/);
  });

  test.each(['promote', 'block'] as const)(
    'a retry that comes while %s is carried out is too late',
    async (verdict) => {
      await set({ gate: verdict === 'promote' ? FINE : {} });
      stage.world.completeKernel(NEW, { tag: GATE.watch });
      await stage.until('its tags are changed', () => isAsked('tag'));
      await say('retry');
      const over = await stage.closed(NEW, 5);
      expect(over.verdict?.verdict).toBe(verdict);
      expect(stage.world.tags(NEW)).toEqual([verdict === 'promote' ? 'c9s-candidate' : 'c9s-blocked']);
    },
  );

  test('what was decided before a person spoke is not done', async () => {
    await set({ gate: FINE });
    stage.world.completeKernel(NEW, { tag: GATE.watch });
    await stage.until('it is built', () => stage.scratchBuilds('kmod-alpha').length > 0);
    const before = await current();
    const at = stage.world.now();
    await say('hold');
    await expect(stage.store.intend(before, [{ kind: 'untag', tag: 'c9s-gate' }], at)).rejects.toThrow(
      OvertakenError,
    );
    await expect(stage.store.closeRun(before, { at, how: 'done', why: 'x' })).rejects.toThrow(OvertakenError);
    expect(await current()).toMatchObject({ intents: before.intents });
    expect((await current()).closing).toBeUndefined();
    await say('release');
    await stage.closed(NEW);
    await expect(say('retry')).rejects.toThrow(/has just ended/);
    expect((await current()).verdict?.verdict).toBe('promote');
  });

  test('a person who takes the kernel out of the tag before the gate has seen it there wins', async () => {
    await set({ gate: { on_fail: { tag: ['c9s-blocked'], untag: [] } } });
    stage.world.completeKernel(NEW, { tag: GATE.watch });
    await stage.until('its tags are changed', () => isAsked('tag'));
    stage.world.tick(60_000);
    expect(stage.world.tags(NEW)).toEqual(['c9s-gate', 'c9s-blocked']);
    stage.world.as('kojiadmin').untagBuild('c9s-blocked', NEW);
    const { closing } = await stage.closed(NEW, 10);
    expect(closing).toMatchObject({ how: 'taken-over', why: 'taken out of c9s-blocked by kojiadmin' });
    expect(stage.world.tags(NEW)).toEqual(['c9s-gate']);
    expect(stage.world.tasks().filter(({ method }) => method === 'tagBuild')).toHaveLength(1);
  });

  test('a cancel whose request is lost is sent again', async () => {
    let count = 0;
    await set({
      gate: FINE,
      faults: (method) => (method === 'cancelTask' && ++count === 1 ? 'drop-before' : 'none'),
    });
    stage.world.completeKernel(NEW, { tag: GATE.watch });
    await stage.until('it is built', () => stage.scratchBuilds('kmod-alpha').length > 0);
    await say('cancel');
    await stage.closed(NEW);
    expect(stage.scratchBuilds('kmod-alpha').map(({ state }) => state)).toEqual([3]);
  });
});
