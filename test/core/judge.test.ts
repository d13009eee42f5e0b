import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ArchDetail,
  type ArchEvidence,
  type ArchSymbols,
  type Attempt,
  type BuildEvidence,
  type Kmod,
  type LogError,
  type Strategy,
  TASK,
} from '../../src/core/model.ts';
import { summarize } from '../../src/core/symbols.ts';
import { trialOf } from '../../src/core/trial.ts';
import { needRebuild } from '../../src/core/verdict.ts';
import {
  arch,
  BUILDS,
  COMPILE_ERROR,
  FAILS,
  KERNEL,
  kmod,
  NO_BUILDROOT,
  OTHER,
  run,
  stand,
  tried,
  verdictFor,
} from './facts.ts';

const old = { id: OTHER.id, nvr: 'kernel-devel-5.14.0-69.el9' };
const closed = (evidence: Partial<ArchEvidence>): BuildEvidence => ({
  state: 'closed',
  arches: [arch(evidence)],
});
const failed = (evidence: Partial<ArchEvidence>): BuildEvidence => ({
  state: 'failed',
  arches: [arch({ state: TASK.FAILED, ...evidence })],
});
const own = (name: string) => ({ id: KERNEL.id, nvr: `${name}-5.14.0-70.el9` });
const said = (kind: LogError['kind'], message: string, identifier?: string): LogError => ({
  kind,
  file: '',
  line: 0,
  message,
  ...(identifier && { identifier }),
});
const mock = (status: number) => ({ code: 1005, text: `mock exited with status ${status}; see the log` });

/** What a scratch build left, and what it shows of x86_64; "again" where another try may tell more. */
const TABLE: [string, BuildEvidence, string][] = [
  ['builds, build root held this kernel', BUILDS, 'builds: builds'],
  ['builds, hub lists no content, repo held this kernel', closed({ buildroot: null }), 'builds: builds'],
  [
    'builds, kernel-devel of another, repo too',
    closed({ buildroot: [old], repo: OTHER }),
    'nothing (kernel), again: tested the wrong kernel on x86_64: kernel-devel-5.14.0-69.el9 and not kernel-5.14.0-70.el9; the repo did not hold this one: was it regenerated?',
  ],
  [
    'builds, kernel-devel of another, repo right',
    closed({ buildroot: [old] }),
    'nothing (kernel): tested the wrong kernel on x86_64: kernel-devel-5.14.0-69.el9 and not kernel-5.14.0-70.el9; its BuildRequires pin another kernel',
  ],
  [
    'builds, kernel-devel of this and of another',
    closed({ buildroot: [own('kernel-devel'), old] }),
    'nothing (kernel): its build root on x86_64 held kernel-devel-5.14.0-70.el9, kernel-devel-5.14.0-69.el9 side by side: nothing shows which it used',
  ],
  [
    'builds, kernel-devel-matched of this and kernel-devel of another',
    closed({ buildroot: [own('kernel-devel-matched'), old] }),
    'nothing (kernel): its build root on x86_64 held kernel-devel-matched-5.14.0-70.el9, kernel-devel-5.14.0-69.el9 side by side: nothing shows which it used',
  ],
  [
    'builds, kernel-devel of this, kernel-64k-devel of another build',
    closed({ buildroot: [own('kernel-devel'), { id: 9, nvr: 'kernel-64k-devel-5.14.0-3.el9' }] }),
    'nothing (kernel): its build root on x86_64 held kernel-devel-5.14.0-70.el9, kernel-64k-devel-5.14.0-3.el9 side by side: nothing shows which it used',
  ],
  ['builds, kernel-rt-devel', closed({ buildroot: [own('kernel-rt-devel')] }), 'builds: builds'],
  [
    'builds, kernel-tools-libs-devel of this, kernel-devel of another',
    closed({ buildroot: [own('kernel-tools-libs-devel'), old] }),
    'nothing (kernel): tested the wrong kernel on x86_64: kernel-devel-5.14.0-69.el9 and not kernel-5.14.0-70.el9; its BuildRequires pin another kernel',
  ],
  [
    'builds, no content, repo of another kernel',
    closed({ buildroot: null, repo: OTHER }),
    'nothing (kernel), again: tested the wrong kernel on x86_64: its repo held kernel-5.14.0-69.el9 and not kernel-5.14.0-70.el9',
  ],
  [
    'builds, nothing known of the build root',
    closed({ buildroot: null, repo: null }),
    'nothing (kernel): the hub recorded no build root on x86_64: nothing shows what it was built against',
  ],
  [
    'builds, no devel package of this kernel in the build root',
    closed({ buildroot: [] }),
    'nothing (kernel): its build root on x86_64 held no devel package of kernel',
  ],
  [
    'fails with a compiler error',
    FAILS,
    'fails: does not build on x86_64: src/nl.c:205: no member named pre_doit',
  ],
  [
    'fails, mock says the package failed, no log',
    failed({ fault: mock(10) }),
    'fails: does not build on x86_64: mock exited with status 10; see the log',
  ],
  [
    'fails with a compiler error, against another kernel',
    failed({ errors: [COMPILE_ERROR], buildroot: [old], repo: OTHER }),
    'nothing (kernel), again: tested the wrong kernel on x86_64: kernel-devel-5.14.0-69.el9 and not kernel-5.14.0-70.el9; the repo did not hold this one: was it regenerated?',
  ],
  [
    'fails for want of a package',
    failed({ buildroot: null, errors: [said('dependency', "No matching package to install: 'foo-devel'")] }),
    "nothing (dependency), again: its build dependencies cannot be met on x86_64: No matching package to install: 'foo-devel'",
  ],
  [
    'fails for want of a package, in a repo of another kernel',
    failed({ buildroot: null, repo: OTHER, errors: [said('dependency', 'nothing provides foo')] }),
    'nothing (kernel), again: tested the wrong kernel on x86_64: its repo held kernel-5.14.0-69.el9',
  ],
  [
    'fails for want of several, a kernel package of another version among them',
    failed({
      buildroot: null,
      errors: [said('dependency', 'no foo'), said('kernel', 'no core', 'kernel-core = 5.14.0-1.el9')],
    }),
    'nothing (kernel): tested no kernel on x86_64: its BuildRequires pin kernel-core = 5.14.0-1.el9, which cannot be installed; the kernel under test is kernel-5.14.0-70.el9',
  ],
  [
    'fails for want of a kernel package of any version',
    failed({
      buildroot: null,
      errors: [said('kernel', 'No match for argument: kernel-devel', 'kernel-devel')],
    }),
    'nothing (kernel), again: its build dependencies cannot be met on x86_64: No match for argument: kernel-devel',
  ],
  [
    'fails, mock could not make the build root',
    failed({ fault: mock(30) }),
    'nothing (system), again: trouble in the build system on x86_64: mock exited with status 30; see the log',
  ],
  [
    'fails because the builder ran out of disk',
    failed({ fault: mock(10), errors: [said('machine', 'cc1: No space left on device')] }),
    'nothing (builder), again: trouble in the build system on x86_64: cc1: No space left on device',
  ],
  [
    'fails, and only make says so',
    failed({ fault: mock(1), errors: [said('outcome', 'Error 1')] }),
    'nothing (system), again: trouble in the build system on x86_64: mock exited with status 1; see the log',
  ],
  [
    'fails before mock',
    NO_BUILDROOT,
    'nothing (system), again: trouble in the build system on x86_64: could not init mock buildroot',
  ],
  [
    'fails with a traceback',
    failed({ fault: { code: 1, text: 'Traceback (most recent call last):\n  …\nOSError: disk full\n' } }),
    'nothing (system), again: trouble in the build system on x86_64: OSError: disk full',
  ],
  [
    'cancelled',
    { state: 'canceled', arches: [arch({ state: TASK.CANCELED })] },
    'nothing (person): its build on x86_64 was cancelled by a person',
  ],
  ['cancelled when this architecture was built', { ...BUILDS, state: 'canceled' }, 'builds: builds'],
  [
    'stopped when another architecture failed',
    {
      state: 'failed',
      arches: [arch({ state: TASK.CANCELED }), arch({ arch: 'aarch64', state: TASK.FAILED })],
    },
    'nothing (system), again, untried: not tried on x86_64: it was cancelled when aarch64 failed',
  ],
  [
    'built for another architecture alone',
    { ...BUILDS, arches: [arch({ arch: 'aarch64' })] },
    'nothing (system), again, untried: not tried on x86_64: the hub did not build it there',
  ],
  [
    'an architecture that the build tag has not',
    { state: 'failed', fault: { code: 1005, text: 'No matching arches were found' }, arches: [] },
    'nothing (system): not tried on x86_64: the build tag is not for it, nor perhaps the spec file (No matching arches were found); add it there, or set arches',
  ],
  [
    'fails with no architecture',
    { state: 'failed', fault: { code: 1000, text: 'No such build target: nope' }, arches: [] },
    'nothing (system): it was not built for any architecture: No such build target: nope; see build.target, then "kmod-gate retry"',
  ],
  [
    'refused by a policy of the hub, as the build task tells',
    {
      state: 'failed',
      fault: {
        code: 1004,
        text: 'policy violation (build_from_repo_id): Only admin can do this via default policy',
      },
      arches: [],
    },
    `nothing (system): it was not built for any architecture: policy violation (build_from_repo_id): Only admin can do this via default policy; the hub's policy build_from_repo_id must let the gate do that (deploy/koji-setup.md), then "kmod-gate retry"`,
  ],
  [
    'of a target that is no more',
    { state: 'failed', fault: { code: 1000, text: 'unknown build target: gone' }, arches: [] },
    'nothing (system): it was not built for any architecture: unknown build target: gone; see build.target, then "kmod-gate retry"',
  ],
  [
    'in a build tag that is for no architecture',
    { state: 'failed', fault: { code: 1005, text: 'No arches for tag kmods [5]' }, arches: [] },
    'nothing (system): it was not built for any architecture: No arches for tag kmods [5]; koji edit-tag kmods --arches "ARCH ...", then "kmod-gate retry"',
  ],
  [
    'in a repo that is gone',
    { state: 'failed', fault: { code: 1005, text: 'Bad repo: 7 (DELETED)' }, arches: [] },
    'nothing (system), again: it was not built for any architecture: Bad repo: 7 (DELETED)',
  ],
  [
    'fails since mock was killed, whatever its log says',
    failed({
      fault: { code: 1005, text: 'error building package (arch x86_64), mock was killed by signal 9' },
      errors: [COMPILE_ERROR],
    }),
    'nothing (builder), again: trouble in the build system on x86_64: mock was killed by signal 9',
  ],
  [
    "fails since this kernel's own folder lacks something",
    failed({
      errors: [said('dependency', 'cp: no Module.symvers', '/usr/src/kernels/5.14.0-70.el9.x86_64')],
    }),
    'fails: does not build on x86_64: cp: no Module.symvers',
  ],
  [
    "fails for want of this kernel's own folder, and the kernel was not in the build root",
    failed({
      buildroot: [],
      errors: [said('dependency', 'no such folder', '/lib/modules/5.14.0-70.el9.x86_64/build')],
    }),
    'nothing (kernel): its build root on x86_64 held no devel package of kernel',
  ],
  [
    "fails in another kernel's folder, in the words of a configure script",
    failed({ errors: [said('source', 'configure failed: no /usr/src/kernels/5.14.0-1.el9.x86_64')] }),
    'nothing (kernel): tested no kernel on x86_64: its build looks for /usr/src/kernels/5.14.0-1.el9.x86_64, which is not there; the kernel under test is kernel-5.14.0-70.el9',
  ],
  [
    'fails for want of this very kernel: the repo did not hold it',
    failed({
      buildroot: null,
      repo: null,
      errors: [said('kernel', 'no such devel', 'kernel-devel = 5.14.0-70.el9')],
    }),
    'nothing (kernel), again: its build dependencies cannot be met on x86_64: no such devel',
  ],
  [
    'fails for want of a kmod that does not load into this kernel',
    failed({
      buildroot: null,
      errors: [said('kernel', 'nothing provides kernel(f) = 0x12 needed by kmod-b', 'kernel(f) = 0x12')],
    }),
    'nothing (kernel), again: its build dependencies cannot be met on x86_64: nothing provides kernel(f) = 0x12 needed by kmod-b',
  ],
  [
    'fails although every architecture that was begun is built',
    { ...BUILDS, state: 'failed', fault: { code: 1000, text: 'Build already in progress (task 5)' } },
    'builds: builds',
  ],
  [
    'another architecture fails',
    {
      state: 'failed',
      arches: [arch(), arch({ arch: 'aarch64', state: TASK.FAILED, errors: [COMPILE_ERROR] })],
    },
    'builds: builds',
  ],
];

test('a build that the hub does not take is asked for once where a policy says no, else again', () => {
  const said = 'build: policy violation (channel) (fault 1004, not allowed; see the policy)';
  const shown = (why: string) => {
    const attempt = { ...tried('kmod-a', BUILDS), ending: { at: 1, how: 'failed', why } } as Attempt;
    return trialOf({ proof: 'repo' }, { intents: [] }, KERNEL, attempt, 'x86_64');
  };
  expect(shown(said)).toMatchObject({ again: false, cause: `${said}; then "kmod-gate retry"` });
  expect(shown('build: a plugin failed (fault 1016)')).toMatchObject({ again: true });
});

describe('what a scratch build shows of one architecture', () => {
  test.each(TABLE)('%s', (_, evidence, expected) => {
    const attempt = tried('kmod-a', evidence) as Attempt;
    const trial = trialOf({ proof: 'repo' }, { intents: [] }, KERNEL, attempt, 'x86_64');
    const { shows, whose, again, untried, cause } = trial;
    const notes = [
      ...(shows === 'nothing' ? [`${shows} (${whose})`] : [shows]),
      ...(again ? ['again'] : []),
      ...(untried ? ['untried'] : []),
    ];
    expect(`${notes.join(', ')}: ${cause}`).toBe(expected);
  });
});

const symbols = (evidence: Partial<ArchDetail> = {}): ArchSymbols =>
  summarize({
    arch: 'x86_64',
    imports: 40,
    missing: [],
    changed: [],
    fromKmods: [],
    fromBroken: [],
    answer: 'compatible',
    cause: null,
    ...evidence,
  });
const FITS = symbols();
const CHANGED = symbols({
  answer: 'incompatible',
  changed: [{ symbol: 'seq_printf', required: 1, provided: 0x2529ebe1, provider: 'kernel-core' }],
});
const GONE = symbols({
  arch: 'aarch64',
  answer: 'incompatible',
  missing: ['a', 'b', 'c', 'd'].map((symbol) => ({ symbol, crc: 1 })),
});
const NOTHING = symbols({ answer: 'inconclusive', cause: 'it is for another architecture' });

/** Of a run without a baseline. */
const UNKNOWN = '; no kernel has passed yet to compare with';

/** What a kmod's symbols show, and what that proves. */
const SYMBOLS_TABLE: [string, ArchSymbols[], string][] = [
  ['every symbol is there with its CRC', [FITS], 'ok: loads as it is: 40 symbols fit'],
  [
    'a CRC changed',
    [CHANGED],
    `unattributed: does not load on x86_64: 1 of its 40 symbols has another CRC (seq_printf: 0x00000001 → 0x2529ebe1, in kernel-core)${UNKNOWN}`,
  ],
  [
    'symbols are gone on one architecture',
    [FITS, GONE],
    `unattributed: does not load on aarch64: 4 of its 40 symbols are gone (a, b, c, …)${UNKNOWN}`,
  ],
  [
    'both',
    [{ ...CHANGED, missing: { count: 1, first: [{ symbol: 'a', crc: 1 }] } }],
    `unattributed: does not load on x86_64: 1 of its 40 symbols is gone (a), 1 of its 40 symbols has another CRC (seq_printf: 0x00000001 → 0x2529ebe1, in kernel-core)${UNKNOWN}`,
  ],
  [
    'one architecture tells nothing',
    [FITS, { ...NOTHING, arch: 's390x' }],
    'inconclusive: its symbols on s390x tell nothing: it is for another architecture',
  ],
  [
    'one tells nothing, one breaks',
    [NOTHING, GONE],
    `unattributed: does not load on aarch64: 4 of its 40 symbols are gone (a, b, c, …)${UNKNOWN}`,
  ],
  ['no rpm of it requires a symbol', [], 'inconclusive: none of its rpms requires a symbol of a kernel'],
];

describe('one kmod by its symbols', () => {
  test.each(SYMBOLS_TABLE)('%s', (_, arches, expected) => {
    const symbols = { kmods: [{ kmod: 'kmod-a', arches }], change: null, stablelist: null };
    const [found] = stand(run({ strategy: 'symbols', kmods: [kmod('kmod-a')], symbols }));
    expect(found?.state).toBe('judged');
    expect(`${found?.finding?.outcome}: ${found?.finding?.cause}`).toBe(expected);
  });
});

/** A strategy, what symbols show, what the build shows (none: it has not ended), and where the kmod stands. */
const STRATEGY_TABLE: [Strategy, ArchSymbols[] | null, BuildEvidence | null, string][] = [
  ['rebuild', null, null, 'wanted'],
  ['rebuild', null, BUILDS, 'judged ok: builds'],
  ['symbols', null, null, 'unread'],
  ['symbols', [FITS], null, 'judged ok: loads as it is'],
  ['symbols', [CHANGED], null, 'judged unattributed: does not load'],
  ['symbols', [NOTHING], null, 'judged inconclusive: its symbols'],
  ['symbols-then-rebuild', null, null, 'unread'],
  ['symbols-then-rebuild', [FITS], null, 'judged ok: loads as it is'],
  ['symbols-then-rebuild', [CHANGED], null, 'wanted'],
  ['symbols-then-rebuild', [CHANGED], BUILDS, 'judged ok: needs a rebuild, and builds$'],
  ['symbols-then-rebuild', [CHANGED], FAILS, 'judged unattributed: does not build'],
  ['symbols-then-rebuild', [NOTHING], null, 'wanted'],
  ['symbols-and-rebuild', [FITS], null, 'wanted'],
  ['symbols-and-rebuild', [FITS], BUILDS, 'judged ok: builds'],
  ['symbols-and-rebuild', [CHANGED], BUILDS, 'judged unattributed: does not load'],
  ['symbols-and-rebuild', [CHANGED], FAILS, 'judged unattributed: does not build'],
  ['symbols-and-rebuild', [NOTHING], BUILDS, 'judged inconclusive: its symbols'],
  ['symbols-and-rebuild', [NOTHING], FAILS, 'judged unattributed: does not build'],
  ['symbols-and-rebuild', [FITS], NO_BUILDROOT, 'wanted'],
];

// FINDINGS, S2: kmods whose symbols told nothing were built anew after each promotion.
test('only kmods whose symbols changed need a rebuild', () => {
  const kmods = ['kmod-a', 'kmod-b', 'kmod-c'].map((name) => kmod(name));
  const of = run({
    strategy: 'symbols-then-rebuild',
    kmods,
    symbols: {
      change: null,
      stablelist: null,
      kmods: [
        { kmod: 'kmod-a', arches: [CHANGED] },
        { kmod: 'kmod-b', arches: [NOTHING] },
        { kmod: 'kmod-c', arches: [FITS] },
      ],
    },
    intents: [tried('kmod-a', BUILDS), tried('kmod-b', BUILDS)],
  });
  expect(needRebuild(of, stand(of))).toEqual(['kmod-a']);
});

describe('one kmod by strategy', () => {
  test.each(STRATEGY_TABLE)('%s: %j, %j', (strategy, arches, build, expected) => {
    const [found] = stand(
      run({
        strategy,
        kmods: [kmod('kmod-a')],
        ...(arches && { symbols: { kmods: [{ kmod: 'kmod-a', arches }], change: null, stablelist: null } }),
        intents: build ? [tried('kmod-a', build)] : [],
      }),
    );
    const finding = found?.state === 'judged' && found.finding;
    expect(`${found?.state}${finding ? ` ${finding.outcome}: ${finding.cause}` : ''}`).toMatch(
      new RegExp(`^${expected}`),
    );
  });
});

describe('tries of one kmod', () => {
  const standing = (...builds: BuildEvidence[]) => {
    const intents = builds.map((build, i) => tried('kmod-a', build, i * 1000));
    const [found] = stand(run({ kmods: [kmod('kmod-a')], intents }));
    return `${found?.state}${found?.notBefore ? ` after ${found.notBefore - (builds.length - 1) * 1000} ms` : ''}`;
  };
  test('trouble of the build system is tried three times, with growing pauses', () => {
    expect(standing()).toBe('wanted');
    expect(standing(NO_BUILDROOT)).toBe('wanted after 60000 ms');
    expect(standing(NO_BUILDROOT, NO_BUILDROOT)).toBe('wanted after 300000 ms');
    expect(standing(NO_BUILDROOT, NO_BUILDROOT, NO_BUILDROOT)).toBe('judged');
    expect(standing(NO_BUILDROOT, BUILDS)).toBe('judged');
  });
  test('a submission that is lost is sent again at once, then later, then no more', () => {
    const lost = (...at: number[]) => {
      const intents = at.map((when) => ({
        ...tried('kmod-a', BUILDS, when),
        ending: { at: when, fact: when, how: 'lost' as const },
      }));
      const [found] = stand(run({ kmods: [kmod('kmod-a')], intents }));
      return [found?.state, (found?.notBefore ?? 0) - (at.at(-1) ?? 0)];
    };
    expect(lost(10)).toEqual(['wanted', 0]);
    expect(lost(10, 20)).toEqual(['wanted', 60_000]);
    expect(lost(10, 20, 30)).toEqual(['wanted', 300_000]);
    expect(lost(10, 20, 30, 40)[0]).toBe('judged');
  });
  test("the package's own failure and a person's cancellation are not tried again", () => {
    expect(standing(FAILS)).toBe('judged');
    expect(standing({ state: 'canceled', arches: [] })).toBe('judged');
  });
});

describe('verdict', () => {
  const WRONG = closed({ buildroot: [old] });
  const verdict = (...kmods: [Kmod, BuildEvidence][]) => {
    const intents = kmods.map(([{ name }, build]) => tried(name, build));
    return verdictFor(run({ kmods: kmods.map(([it]) => it), intents }));
  };
  const [a, b, advisory] = [kmod('kmod-a'), kmod('kmod-b'), kmod('kmod-c', false)];

  test.each<[string, [Kmod, BuildEvidence][], string]>([
    [
      'all build',
      [
        [a, BUILDS],
        [b, BUILDS],
      ],
      'promote',
    ],
    [
      'a required one is broken',
      [
        [a, BUILDS],
        [b, FAILS],
      ],
      'block',
    ],
    [
      'an advisory one is broken',
      [
        [a, BUILDS],
        [advisory, FAILS],
      ],
      'promote',
    ],
    [
      'a required one is inconclusive',
      [
        [a, BUILDS],
        [b, WRONG],
      ],
      'hold',
    ],
    [
      'an advisory one is inconclusive',
      [
        [a, BUILDS],
        [advisory, WRONG],
      ],
      'promote',
    ],
    [
      'one broken, one inconclusive',
      [
        [a, FAILS],
        [b, WRONG],
      ],
      'block',
    ],
    ['advisory ones alone, and nothing proven', [[advisory, WRONG]], 'hold'],
    ['no kmod at all', [], 'hold'],
  ])('%s', (_, kmods, expected) => {
    expect(verdict(...kmods).verdict).toBe(expected);
  });

  test('lists every reason: what blocks, what holds, what was advisory, what is fine', () => {
    expect(verdict([advisory, FAILS], [a, BUILDS], [kmod('kmod-w'), WRONG], [b, FAILS]).reasons).toEqual([
      `kmod-b-1-1: does not build on x86_64: src/nl.c:205: no member named pre_doit${UNKNOWN}`,
      'kmod-w-1-1 (inconclusive): tested the wrong kernel on x86_64: kernel-devel-5.14.0-69.el9 and not kernel-5.14.0-70.el9; its BuildRequires pin another kernel',
      `kmod-c-1-1 (advisory): does not build on x86_64: src/nl.c:205: no member named pre_doit${UNKNOWN}`,
      '1 of 4 kmods builds against kernel-5.14.0-70.el9',
    ]);
  });

  test('says how many load as they are, and how many build', () => {
    const kmods = ['kmod-a', 'kmod-b', 'kmod-c'].map((name) => kmod(name));
    const summary = (strategy: Strategy, evidence: ArchSymbols[]) => {
      const arches = (i: number) => [evidence[i] ?? FITS];
      return verdictFor(
        run({
          strategy,
          kmods,
          symbols: {
            kmods: kmods.map(({ name }, i) => ({ kmod: name, arches: arches(i) })),
            change: null,
            stablelist: null,
          },
          intents: kmods.map(({ name }) => tried(name, BUILDS)),
        }),
      ).reasons.find((reason) => /kmods? /.test(reason));
    };
    const into = 'into kernel-5.14.0-70.el9 as they are';
    expect(summary('symbols', [])).toBe(`3 of 3 kmods load ${into}`);
    expect(summary('symbols', [CHANGED])).toBe(`2 of 3 kmods load ${into}`);
    expect(summary('symbols-then-rebuild', [CHANGED])).toBe(
      `2 of 3 kmods load ${into}, 1 more builds against it`,
    );
    expect(summary('symbols-and-rebuild', [])).toBe('3 of 3 kmods build against kernel-5.14.0-70.el9');
  });

  test('says in one sentence when everything changed, and asks for a listed symbol first', () => {
    const change = {
      baseline: { id: OTHER.id, nvr: OTHER.nvr },
      unreadable: null,
      arches: [
        {
          arch: 'x86_64',
          common: 24_000,
          added: 1,
          removed: 2,
          changed: 23_900,
          everything: true,
          listed: [{ symbol: 'kfree', before: 1, after: 2, provider: 'kernel-core' }],
        },
      ],
    };
    const judged = (stablelist: 'block' | 'warn' | null) =>
      verdictFor(
        run({
          kmods: [a],
          intents: [tried(a.name, BUILDS)],
          symbols: { kmods: [], change, stablelist },
        }),
      );
    const everything =
      'nearly every CRC changed since kernel-5.14.0-69.el9 (23900 of 24000 symbols on x86_64): the compiler or the generator of CRCs did, so every kmod must be built anew';
    const promise = (note: string) =>
      `stablelist${note}: since kernel-5.14.0-69.el9 1 listed symbol changed or went on x86_64 (kfree)`;
    const fine = '1 of 1 kmod builds against kernel-5.14.0-70.el9';
    expect(judged('block')).toMatchObject({ verdict: 'block', reasons: [everything, promise(''), fine] });
    expect(judged('warn')).toMatchObject({
      verdict: 'promote',
      reasons: [everything, promise(' (warning)'), fine],
    });
    expect(judged(null)).toMatchObject({ verdict: 'promote', reasons: [everything, fine] });
  });

  test('does not depend on the order in which builds end', () => {
    const evidence = fc.constantFrom(BUILDS, FAILS, WRONG);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(evidence, fc.boolean(), fc.nat()), { minLength: 1, maxLength: 8 }),
        (drawn) => {
          const kmods = drawn.map(([, required], i) => kmod(`kmod-${i}`, required));
          const ended = drawn.map(([build, , at], i) => ({ at, intent: tried(`kmod-${i}`, build, at) }));
          const shuffled = ended.toSorted((x, y) => x.at - y.at).map(({ intent }) => intent);
          const judged = (intents: typeof shuffled) => verdictFor(run({ kmods, intents }));
          expect(judged(shuffled)).toEqual(judged(ended.map(({ intent }) => intent)));
        },
      ),
    );
  });
});
