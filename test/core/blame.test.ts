/** Whose fault a failure is, and what a policy makes of it: tables to be read. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import type { Decision } from '../../src/core/look.ts';
import {
  type BuildEvidence,
  type Gate,
  type Intent,
  type LogError,
  type Order,
  type Policy,
  type Run,
  TASK,
  type Waiver,
} from '../../src/core/model.ts';
import { DEFAULT_POLICY, parseQuietTime, quietUntil } from '../../src/core/policy.ts';
import { reopens } from '../../src/core/verdict.ts';
import { describeWrite } from '../../src/core/wording.ts';
import {
  arch,
  BUILDS,
  building,
  came,
  FAILS,
  GATE,
  history,
  intent,
  KERNEL,
  kmod,
  left,
  NEWER,
  NO_BUILDROOT,
  OTHER,
  past,
  run,
  seen,
  stand,
  tried,
  verdictFor,
} from './facts.ts';

const BASELINE = { id: OTHER.id, nvr: OTHER.nvr };
const DEVEL = { id: OTHER.id, nvr: 'kernel-devel-5.14.0-69.el9' };
/** The same, built against the baseline. */
const there = (build: BuildEvidence): BuildEvidence => ({
  ...build,
  arches: build.arches.map((of) => ({
    ...of,
    buildroot: of.buildroot && [DEVEL],
    repo: of.repo && BASELINE,
  })),
});
const onBaseline = (build: BuildEvidence | null): Intent => {
  const write = { ...building('kmod-a').write, against: BASELINE } as Intent['write'];
  const ended = build ? tried('kmod-a', there(build)).ending : undefined;
  return intent(write, { receipt: { task: 10 }, ...(ended && { ending: ended }) }, 5);
};
const SIDETAG: Gate = { ...GATE, build: { ...GATE.build, repo: 'sidetag' } };
const error = (found: Partial<LogError>): BuildEvidence => ({
  state: 'failed',
  arches: [
    arch({
      state: TASK.FAILED,
      buildroot: null,
      errors: [{ kind: 'dependency', file: '', line: 0, message: 'no package', ...found }],
    }),
  ],
});
const two = (x86_64: number, s390x: number): BuildEvidence => ({
  state: x86_64 === TASK.CLOSED && s390x === TASK.CLOSED ? 'closed' : 'failed',
  arches: [
    arch({ state: x86_64, errors: x86_64 === TASK.FAILED ? (FAILS.arches[0]?.errors ?? []) : [] }),
    arch({
      arch: 's390x',
      state: s390x,
      errors: s390x === TASK.FAILED ? (FAILS.arches[0]?.errors ?? []) : [],
    }),
  ],
});

describe('a kmod that does not build', () => {
  const NO = 'does not build on x86_64: src/nl.c:205: no member named pre_doit';
  const there69 = 'kernel-5.14.0-69.el9';
  test.each<[string, Partial<Run>, string]>([
    [
      'there is no baseline',
      { baseline: null },
      `unattributed: ${NO}; no kernel has passed yet to compare with`,
    ],
    [
      'the baseline is this kernel',
      { baseline: KERNEL },
      `unattributed: ${NO}; the baseline is this very kernel`,
    ],
    ['shared build tag, nobody has looked for a repo', {}, 'unsought against baseline'],
    [
      'shared build tag, no repo holds the baseline',
      { baselineRepos: { [OTHER.id]: { repo: null, why: 'no repo holds it' } } },
      `unattributed: ${NO}; no repo holds it`,
    ],
    [
      'shared build tag, a repo holds the baseline',
      { baselineRepos: { [OTHER.id]: { repo: 7, why: '' } } },
      'wanted against baseline',
    ],
    [
      'an earlier run built it there',
      { past: [past('builds')] },
      `broken: ${NO}; it builds against ${there69}, as run c9s/20/1 showed`,
    ],
    [
      'an earlier run failed there',
      { past: [past('fails')] },
      `already-broken: ${NO}; nor does it build against ${there69}, as run c9s/20/1 showed`,
    ],
    [
      'an earlier run failed there, one before it did not',
      { past: [past('fails', { run: 'c9s/20/2', at: 2 }), past('builds')] },
      `already-broken: ${NO}; nor does it build against ${there69}, as run c9s/20/2 showed`,
    ],
    [
      'another build of the kmod was built there',
      { past: [past('builds', { kmodBuild: 77 })] },
      'unsought against baseline',
    ],
    [
      'it was built there on another architecture',
      { past: [past('fails', { arch: 's390x' })] },
      'unsought against baseline',
    ],
    [
      'it was built there in another target',
      { past: [past('fails', { target: 'other' })] },
      'unsought against baseline',
    ],
    [
      'it was built against another kernel',
      { past: [past('fails', { kernelBuild: 19 })] },
      'unsought against baseline',
    ],
    [
      'it was built there too long ago',
      { past: [past('builds', { at: -8 * 86_400_000 })] },
      'unsought against baseline',
    ],
    [
      'it was built there by its word',
      { past: [past('builds', { proof: 'any' })] },
      'unsought against baseline',
    ],
    ['it is built there now', { intents: [onBaseline(null)] }, 'active'],
    ['it built there', { intents: [onBaseline(BUILDS)] }, `broken: ${NO}; it builds against ${there69}`],
    [
      'it failed there',
      { intents: [onBaseline(FAILS)] },
      `already-broken: ${NO}; nor does it build against ${there69}`,
    ],
    ['trouble there', { intents: [onBaseline(NO_BUILDROOT)] }, 'wanted against baseline'],
    [
      'trouble there, again and again',
      { intents: [1, 2, 3].map(() => onBaseline(NO_BUILDROOT)) },
      `unattributed: ${NO}; nothing shows whether it builds against ${there69}: trouble in the build system on x86_64: could not init mock buildroot, after 3 tries`,
    ],
    [
      'it loads into the baseline as it is',
      {
        strategy: 'symbols-then-rebuild',
        symbols: {
          change: null,
          stablelist: null,
          kmods: [
            {
              kmod: 'kmod-a',
              arches: [
                {
                  arch: 'x86_64',
                  imports: 3,
                  missing: { count: 1, first: [{ symbol: 'a', crc: 1 }] },
                  changed: { count: 0, first: [] },
                  fromBroken: { count: 0, first: [] },
                  answer: 'incompatible',
                  cause: null,
                  before: 'compatible',
                },
              ],
            },
          ],
        },
      },
      `broken: ${NO}; it loads into ${there69} as it is`,
    ],
  ])('%s', (_, facts, expected) => {
    const { intents = [], ...rest } = facts;
    const [found] = stand(
      run({
        kmods: [kmod('kmod-a')],
        baseline: BASELINE,
        ...rest,
        intents: [tried('kmod-a', FAILS), ...intents],
      }),
    );
    const { state, against, finding } = found ?? {};
    const words =
      state === 'judged'
        ? `${finding?.outcome}: ${finding?.cause}`
        : `${state}${against ? ' against baseline' : ''}`;
    expect(words).toBe(expected);
  });

  test.each<[string, BuildEvidence, BuildEvidence, string]>([
    [
      'fails where it was fine before',
      two(TASK.FAILED, TASK.CANCELED),
      two(TASK.CLOSED, TASK.FAILED),
      'wanted on s390x',
    ],
    [
      'fails where it failed before',
      two(TASK.FAILED, TASK.CLOSED),
      two(TASK.FAILED, TASK.CLOSED),
      'already-broken',
    ],
    [
      'was cancelled there before',
      two(TASK.CANCELED, TASK.FAILED),
      two(TASK.FAILED, TASK.CANCELED),
      'wanted on x86_64',
    ],
  ])('on one architecture: %s', (_, now, before, expected) => {
    const facts = {
      kmods: [kmod('kmod-a')],
      baseline: BASELINE,
      intents: [tried('kmod-a', now), onBaseline(before)],
    };
    const { state, arches, finding } = stand(run(facts))[0] ?? {};
    expect(state === 'judged' ? finding?.outcome : `${state} on ${arches}`).toBe(expected);
  });

  test('with side tags the baseline is tried in one of its own, beside the other', () => {
    const told = (facts: Partial<Run>, sideTags: string[] = []) =>
      decide(
        SIDETAG,
        { poll: 1 },
        seen({ kmods: [kmod('kmod-a')], baseline: BASELINE, ...facts }, { sideTags }),
      ).writes.map(describeWrite);
    const first = tried('kmod-a', FAILS);
    expect(told({ intents: [first] })).toEqual(['create a side tag of try-build for kernel-5.14.0-69.el9']);
    const made = intent(
      { kind: 'create-side-tag', base: 'try-build', known: [], against: BASELINE },
      { receipt: { sideTag: 'side-2' }, ending: { at: 1, how: 'done' } },
    );
    expect(told({ intents: [first, made] }, ['side-2'])).toEqual(['tag kernel-5.14.0-69.el9 into side-2']);
    const tagged = intent(
      { kind: 'tag', tag: 'side-2', against: BASELINE },
      { receipt: { task: 3 }, ending: { at: 1, how: 'done' } },
    );
    expect(told({ intents: [first, made, tagged] }, ['side-2'])).toEqual([
      'build kmod-a in side-2 against kernel-5.14.0-69.el9',
    ]);
  });
});

describe('whose failure', () => {
  test.each<[string, BuildEvidence, string]>([
    ['its source', FAILS, 'kmod'],
    ['a dependency that nobody has', error({ identifier: 'foo-devel' }), 'dependency'],
    [
      'a kernel that is pinned',
      error({ kind: 'kernel', identifier: 'kernel-devel = 5.14.0-1.el9' }),
      'kernel',
    ],
    ['another kernel in the build root', { ...BUILDS, arches: [arch({ buildroot: [DEVEL] })] }, 'kernel'],
    ['mock', NO_BUILDROOT, 'system'],
    ['a full disk', error({ kind: 'machine', message: 'No space left on device' }), 'builder'],
    ['a person who cancels', { state: 'canceled', arches: [] }, 'person'],
    ['no architecture', { state: 'failed', arches: [] }, 'system'],
  ])('%s', (_, build, expected) => {
    const [found] = stand(run({ kmods: [kmod('kmod-a')], intents: [tried('kmod-a', build)] }));
    expect(found?.finding?.whose).toBe(expected);
  });
  test('the gate that cancels what takes too long', () => {
    const canceled = tried('kmod-a', { state: 'canceled', arches: [] }, 3_600_000);
    const intents = [{ ...canceled, askedAt: 0 }, intent({ kind: 'cancel', task: 9 })];
    const [found] = stand(run({ kmods: [kmod('kmod-a')], intents }));
    expect(found).toMatchObject({
      state: 'wanted',
      finding: { whose: 'time', cause: 'its build did not end within 1 h 0 min' },
    });
  });
  test('a pinned kernel that is not there is named, and the one under test', () => {
    const pinned = error({ kind: 'kernel', identifier: 'kernel-devel = 5.14.0-1.el9' });
    const [found] = stand(run({ kmods: [kmod('kmod-a')], intents: [tried('kmod-a', pinned)] }));
    expect(found?.state).toBe('judged');
    expect(found?.finding).toMatchObject({
      outcome: 'inconclusive',
      cause:
        'tested no kernel on x86_64: its BuildRequires pin kernel-devel = 5.14.0-1.el9, which cannot be installed; the kernel under test is kernel-5.14.0-70.el9',
    });
  });
  test.each<[Policy['proof'], Partial<ReturnType<typeof arch>>, string]>([
    ['buildroot', { buildroot: null }, 'inconclusive'],
    ['repo', { buildroot: null }, 'ok'],
    ['any', { buildroot: null }, 'ok'],
    ['repo', { buildroot: null, repo: null }, 'inconclusive'],
    ['any', { buildroot: null, repo: null }, 'ok'],
    ['any', { buildroot: null, repo: BASELINE }, 'inconclusive'],
    ['any', { buildroot: [DEVEL] }, 'inconclusive'],
    ['buildroot', {}, 'ok'],
  ])('proof = "%s", the hub told %j: %s', (proof, evidence, expected) => {
    const build: BuildEvidence = { state: 'closed', arches: [arch(evidence)] };
    const [found] = stand(run({ kmods: [kmod('kmod-a')], intents: [tried('kmod-a', build)] }), { proof });
    expect(found?.finding?.outcome).toBe(expected);
  });
});

const waiver = (more: Partial<Waiver> = {}): Waiver => ({
  id: 1,
  fact: more.at ?? 100,
  at: 100,
  by: 'ada',
  reason: 'known',
  gate: null,
  kernel: '*',
  kmod: 'kmod-a',
  until: null,
  ends: more.until ?? null,
  ...more,
});

describe('the verdict', () => {
  /** What is known of kmod-a, whether it is required, its waivers, the policy; and the verdict. */
  test.each<[string, Partial<Run>, boolean, Waiver[], Partial<Policy>, string]>([
    ['builds', { intents: [tried('kmod-a', BUILDS)] }, true, [], {}, 'promote'],
    ['broken', { intents: [tried('kmod-a', FAILS)], past: [past('builds')] }, true, [], {}, 'block'],
    [
      'broken, advisory',
      { intents: [tried('kmod-a', FAILS)], past: [past('builds')] },
      false,
      [],
      {},
      'hold',
    ],
    [
      'broken, advisory, none allowed',
      { intents: [tried('kmod-a', FAILS)], past: [past('builds')] },
      false,
      [],
      { advisory_limit: 0 },
      'block',
    ],
    [
      'broken, advisory, one allowed',
      { intents: [tried('kmod-a', FAILS)], past: [past('builds')] },
      false,
      [],
      { advisory_limit: 1 },
      'hold',
    ],
    [
      'broken, waived',
      { intents: [tried('kmod-a', FAILS)], past: [past('builds')] },
      true,
      [waiver()],
      {},
      'promote',
    ],
    [
      'broken, waived by pattern',
      { intents: [tried('kmod-a', FAILS)], past: [past('builds')] },
      true,
      [waiver({ kmod: 'kmod-?' })],
      {},
      'promote',
    ],
    [
      'broken, another one waived',
      { intents: [tried('kmod-a', FAILS)], past: [past('builds')] },
      true,
      [waiver({ kmod: 'kmod-b' })],
      {},
      'block',
    ],
    [
      'broken, waived until now',
      { intents: [tried('kmod-a', FAILS)], past: [past('builds')] },
      true,
      [waiver({ until: 1_000_000 })],
      {},
      'block',
    ],
    [
      'broken, waived for longer',
      { intents: [tried('kmod-a', FAILS)], past: [past('builds')] },
      true,
      [waiver({ until: 1_000_001 })],
      {},
      'promote',
    ],
    [
      'already broken, and nothing else is tried and fine',
      { intents: [tried('kmod-a', FAILS)], past: [past('fails')] },
      true,
      [],
      {},
      'hold',
    ],
    [
      'already broken, another one is fine',
      {
        kmods: [kmod('kmod-a'), kmod('kmod-b')],
        intents: [tried('kmod-a', FAILS), tried('kmod-b', BUILDS)],
        past: [past('fails')],
      },
      true,
      [],
      {},
      'promote',
    ],
    ['unattributed', { intents: [tried('kmod-a', FAILS)], baseline: null }, true, [], {}, 'block'],
    [
      'unattributed, holds',
      { intents: [tried('kmod-a', FAILS)], baseline: null },
      true,
      [],
      { unattributed: 'hold' },
      'hold',
    ],
    [
      'unattributed, passes',
      { intents: [tried('kmod-a', FAILS)], baseline: null },
      true,
      [],
      { unattributed: 'pass' },
      'hold',
    ],
    ['inconclusive', { intents: [tried('kmod-a', { state: 'canceled', arches: [] })] }, true, [], {}, 'hold'],
    [
      'inconclusive, blocks',
      { intents: [tried('kmod-a', { state: 'canceled', arches: [] })] },
      true,
      [],
      { inconclusive: 'block' },
      'block',
    ],
    [
      'inconclusive, passes, yet nothing else is proven',
      { intents: [tried('kmod-a', { state: 'canceled', arches: [] })] },
      true,
      [],
      { inconclusive: 'pass' },
      'hold',
    ],
    [
      'inconclusive, waived',
      { intents: [tried('kmod-a', { state: 'canceled', arches: [] })] },
      true,
      [waiver()],
      {},
      'promote',
    ],
  ])('%s', (_, facts, required, waivers, policy, expected) => {
    const of = run({ kmods: [kmod('kmod-a', required)], baseline: BASELINE, waivers, ...facts });
    expect(verdictFor(of, policy).verdict).toBe(expected);
  });

  const LISTED: Partial<Run> = {
    intents: [tried('kmod-a', BUILDS)],
    symbols: {
      kmods: [],
      stablelist: 'block',
      change: {
        baseline: BASELINE,
        unreadable: null,
        arches: [
          {
            arch: 'x86_64',
            common: 9,
            added: 0,
            removed: 0,
            changed: 1,
            everything: false,
            listed: [{ symbol: 'kfree', before: 1, after: 2, provider: 'kernel-core' }],
          },
        ],
      },
    },
  };
  test('a listed symbol that changed can be waived by its own name, and that is told', () => {
    const of = run({ kmods: [kmod('kmod-a')], ...LISTED });
    expect(verdictFor(of).verdict).toBe('block');
    const waived = verdictFor({ ...of, waivers: [waiver({ kmod: 'stablelist' })] });
    expect(waived.verdict).toBe('promote');
    expect(waived.reasons).toContain(
      'stablelist: since kernel-5.14.0-69.el9 1 listed symbol changed or went on x86_64 (kfree) (waived by ada: known)',
    );
  });

  test('does not depend on the order in which evidence arrives, whatever the policy and the baseline say', () => {
    const builds = [BUILDS, FAILS, NO_BUILDROOT, { state: 'canceled', arches: [] } as const];
    const draw = fc.record({
      now: fc.constantFrom(...builds),
      before: fc.option(fc.constantFrom(...builds)),
      required: fc.boolean(),
      waived: fc.boolean(),
    });
    const policy = fc.record({
      inconclusive: fc.constantFrom('hold' as const, 'block' as const, 'pass' as const),
      unattributed: fc.constantFrom('hold' as const, 'block' as const, 'pass' as const),
      advisory_limit: fc.option(fc.nat(3)),
      retries: fc.constant({ kmod: 0, run: 9, day: 9 }),
    });
    fc.assert(
      fc.property(
        fc.array(draw, { minLength: 1, maxLength: 6 }),
        policy,
        fc.func(fc.nat()),
        (drawn, chosen, key) => {
          const kmods = drawn.map(({ required }, i) => kmod(`kmod-${i}`, required));
          const facts = drawn.flatMap(({ now, before }, i) => [
            { intent: tried(`kmod-${i}`, now), i },
            ...(before
              ? [
                  {
                    intent: {
                      ...tried(`kmod-${i}`, there(before)),
                      write: { ...building(`kmod-${i}`).write, against: BASELINE } as Intent['write'],
                    },
                    i: i + 100,
                  },
                ]
              : []),
          ]);
          const waivers = drawn.flatMap(({ waived }, i) => (waived ? [waiver({ kmod: `kmod-${i}` })] : []));
          const baselineRepos = { [OTHER.id]: { repo: null, why: 'no repo' } };
          const of = (intents: Intent[]) =>
            verdictFor(run({ kmods, intents, waivers, baseline: BASELINE, baselineRepos }), chosen);
          const inOrder = facts.map((fact) => fact.intent);
          const shuffled = facts.toSorted((a, b) => key(a.i) - key(b.i)).map((fact) => fact.intent);
          expect(of(shuffled)).toEqual(of(inOrder));
        },
      ),
    );
  });
});

describe('what a policy makes of time and persons', () => {
  const ask = (
    facts: Partial<Run>,
    policy: Partial<Policy> = {},
    world: Parameters<typeof seen>[1] = {},
    gate: Gate = GATE,
  ) => decide({ ...gate, policy: { ...DEFAULT_POLICY, ...policy } }, { poll: 30_000 }, seen(facts, world));
  const told = ({ writes, verdict, closing, state }: Decision) =>
    [
      ...writes.map(describeWrite),
      ...(verdict ? [`verdict ${verdict.verdict}`] : []),
      ...(closing ? [`closed (${closing.how}): ${closing.why}`] : []),
    ].join('; ') || state;
  const order = (kind: Order['kind'], at = 1): Order => ({
    id: 1,
    fact: at,
    at,
    by: 'ada',
    kind,
    reason: 'why',
    kmod: null,
  });
  const judged = (verdict: 'promote' | 'block' | 'hold', at = 1) => ({
    verdict: { at, fact: at, verdict, reasons: ['a reason'] },
  });
  const FINE = [tried('kmod-a', BUILDS), tried('kmod-b', BUILDS)];
  const HELD = {
    ...judged('hold'),
    intents: [tried('kmod-a', { state: 'canceled', arches: [] }), tried('kmod-b', BUILDS)],
  };

  test('the retries of a day are counted, and waited for', () => {
    const facts = { intents: [tried('kmod-a', NO_BUILDROOT), tried('kmod-b', NO_BUILDROOT)] };
    expect(told(ask(facts, { retries: { kmod: 2, run: 9, day: 9 } }, { retriesToday: 8 }))).toBe(
      'build kmod-a in try',
    );
    expect(told(ask(facts, { retries: { kmod: 2, run: 9, day: 9 } }, { retriesToday: 9 }))).toBe(
      '0 of 2 kmods judged, 0 building; no more retries: the gate has had its 9 of 24 hours',
    );
    expect(told(ask({ kmods: [kmod('kmod-a')] }, { retries: { kmod: 2, run: 9, day: 0 } }))).toBe(
      'build kmod-a in try',
    );
  });
  test('what runs for too long is cancelled once', () => {
    const facts = { kmods: [kmod('kmod-a')], intents: [building('kmod-a')] };
    expect(told(ask(facts, { longest_build: 1_000_001 }))).toBe('0 of 1 kmod judged, 1 building');
    expect(told(ask(facts, { longest_build: 1_000_000 }))).toBe('cancel task 9');
    const cancelled = { ...facts, intents: [...facts.intents, intent({ kind: 'cancel', task: 9 })] };
    expect(told(ask(cancelled, { longest_build: 1_000_000 }))).toBe('0 of 1 kmod judged, 1 building');
  });
  test('a run that takes too long is judged, and wakes up for it', () => {
    const facts = { intents: [tried('kmod-a', BUILDS), building('kmod-b')] };
    expect(ask(facts, { longest_run: 1_010_000 }).wakeAt).toBe(1_010_000);
    expect(told(ask(facts, { longest_run: 1_000_000 }))).toBe('verdict hold');
    expect(ask(facts, { longest_run: 1_000_000 }).verdict?.reasons[0]).toBe(
      'kmod-b-1-1 (inconclusive): not judged in time',
    );
    expect(told(ask({ ...facts, orders: [order('retry', 500_000)] }, { longest_run: 1_000_000 }))).toBe(
      '1 of 2 kmods judged, 1 building',
    );
  });
  test('symbols that cannot be read do not keep a run open, and a list that was not looked at is not kept', () => {
    const gate: Gate = {
      ...GATE,
      strategy: 'symbols-then-rebuild',
      stablelist: { effect: 'block', symbols: { '*': ['kfree'] } },
    };
    const facts: Partial<Run> = { strategy: 'symbols-then-rebuild' };
    expect(ask(facts, { longest_run: 1_000_001 }, {}, gate).wantsSymbols).toBe(true);
    const { verdict } = ask(facts, { longest_run: 1_000_000 }, {}, gate);
    expect(verdict?.verdict).toBe('hold');
    expect(verdict?.reasons[0]).toBe("stablelist: the kernel's symbols could not be read in time");
    const passing = ask(
      {},
      { longest_run: 1_000_000, inconclusive: 'pass' },
      {},
      { ...gate, strategy: 'rebuild' },
    );
    expect(passing.verdict?.verdict).toBe('hold');
  });
  test('a hold ends as the gate says, or at once where the policy is another one by now', () => {
    expect(told(ask(HELD, { longest_hold: 1_000_000 }))).toMatch(
      /^held: a reason; a person must act: .* or it is blocked at 1970-01-01 00:16 UTC$/,
    );
    expect(told(ask(HELD, { longest_hold: 999_999 }))).toBe('verdict block');
    expect(told(ask(HELD, { longest_hold: 999_999, after_hold: 'promote' }))).toBe('verdict promote');
    const nothing = { ...HELD, intents: HELD.intents.slice(0, 1) };
    expect(told(ask(nothing, { longest_hold: 999_999, after_hold: 'promote' }))).toBe('verdict block');
    const released = { ...HELD, orders: [order('hold'), order('release', 500_000)] };
    expect(told(ask(released, { longest_hold: 999_999 }))).toMatch(
      /^held: a reason; .* at 1970-01-01 00:24 UTC$/,
    );
    expect(told(ask(HELD, { inconclusive: 'pass' }))).toBe('verdict promote');
    expect(told(ask({ ...HELD, waivers: [waiver()] }))).toBe('verdict promote');
  });
  test('a hold that became a block stays one', () => {
    expect(told(ask({ ...HELD, ...judged('block') }))).toBe('move the kernel from gate to blocked');
  });
  test('a person who holds is obeyed until the release, whatever the verdict', () => {
    const facts = { ...judged('promote'), intents: FINE };
    expect(told(ask({ ...facts, orders: [order('hold')] }))).toBe(
      'held by ada: why; kmod-gate release ends it',
    );
    expect(told(ask({ ...facts, orders: [order('hold'), order('release')] }))).toBe(
      'move the kernel from gate to candidate',
    );
  });
  test('a newer kernel ends the older run, or lets it finish what runs', () => {
    const world = { newer: NEWER };
    const facts = { intents: [building('kmod-a')] };
    const over =
      'kernel-5.14.0-71.el9 is newer and stands before the gate, so kernel-5.14.0-70.el9 stays where it is';
    expect(told(ask(facts, {}, world))).toBe('build kmod-b in try');
    expect(told(ask(facts, { supersede: 'cancel' }, world))).toBe('cancel task 9');
    expect(told(ask({ intents: [] }, { supersede: 'cancel' }, world))).toBe(`closed (superseded): ${over}`);
    expect(told(ask(facts, { supersede: 'finish' }, world))).toBe(
      'kernel-5.14.0-71.el9 is newer: only finishes 1 build',
    );
    expect(told(ask({ ...HELD }, { supersede: 'finish' }, world))).toBe(`closed (superseded): ${over}`);
    expect(told(ask({ ...judged('promote'), intents: FINE }, { supersede: 'cancel' }, world))).toBe(
      'move the kernel from gate to candidate',
    );
  });
  test('a kernel that was blocked and is waived now leaves the tags that the block put it into', () => {
    const blocked = intent({ kind: 'tag', tag: 'blocked', from: 'gate' }, { ending: { at: 3, how: 'done' } });
    const facts = { ...judged('promote', 4), intents: [...FINE, blocked] };
    const moved = [came('blocked', 'kmod-gate', 9), left('gate', 'kmod-gate', 9)];
    expect(told(ask(facts, {}, history(moved)))).toBe('move the kernel from blocked to candidate');
  });
  test('only a waiver that is newer than the verdict opens a blocked run again', () => {
    const facts: Partial<Run> = {
      ...judged('block', 200),
      kmods: [kmod('kmod-a')],
      intents: [tried('kmod-a', FAILS)],
      closing: { at: 300, how: 'done', why: 'x' },
    };
    const asked = (more: Partial<Run>) => reopens(GATE, run({ ...facts, ...more }), 1_000);
    expect(asked({})).toBeUndefined();
    expect(asked({ waivers: [waiver({ at: 100 })] })).toBeUndefined();
    expect(asked({ waivers: [waiver({ at: 400, kmod: 'kmod-b' })] })).toBeUndefined();
    expect(asked({ waivers: [waiver({ at: 400 })] })).toBe('a waiver by ada lets it through: known');
    for (const how of ['superseded', 'taken-over', 'cancelled'] as const)
      expect(asked({ waivers: [waiver({ at: 400 })], closing: { at: 300, how, why: 'x' } })).toBeUndefined();
    expect(asked({ waivers: [waiver({ at: 400 })], ...judged('promote', 200) })).toBeUndefined();
  });
});

describe('quiet times', () => {
  const at = (text: string) => Date.parse(`${text}Z`);
  const until = (now: string, ...texts: string[]) => {
    const end = quietUntil(
      texts.flatMap((text) => parseQuietTime(text) ?? []),
      at(now),
    );
    return end === undefined ? undefined : new Date(end).toISOString().slice(0, 16);
  };
  test.each([
    // 2026-01-05 is a Monday.
    ['2026-01-05T08:00', 'Mon 07:00 - Mon 09:00', '2026-01-05T09:00'],
    ['2026-01-05T09:00', 'Mon 07:00 - Mon 09:00', undefined],
    ['2026-01-05T06:59', 'Fri 16:00 - Mon 07:00', '2026-01-05T07:00'],
    ['2026-01-09T16:00', 'Fri 16:00 - Mon 07:00', '2026-01-12T07:00'],
    ['2026-01-09T15:59', 'Fri 16:00 - Mon 07:00', undefined],
    ['2026-01-07T23:30', '22:00 - 06:00', '2026-01-08T06:00'],
    ['2026-01-11T23:30', '22:00 - 06:00', '2026-01-12T06:00'],
    ['2026-01-07T12:00', '22:00-06:00', undefined],
  ])('%s in "%s": %s', (now, text, expected) => expect(until(now, text)).toBe(expected));
  test('that meet are one', () => {
    expect(until('2026-01-09T23:00', '22:00 - 06:00', 'Sat 06:00 - Mon 07:00')).toBe('2026-01-12T07:00');
  });
  test('without end end after a week', () => {
    expect(until('2026-01-05T08:00', '08:00 - 20:00', '20:00 - 08:00')).toBe('2026-01-12T08:00');
  });
  test.each([
    '',
    'Fri 16:00',
    'Fri 16:00 - 07:00',
    '25:00 - 06:00',
    '06:00 - 06:00',
    'Fri 16:00 - Mon 07:00 - 1',
    'fri 16:00 - mon 07:00',
  ])('"%s" is none', (text) => expect(parseQuietTime(text)).toBeUndefined());
});
