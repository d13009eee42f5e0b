import { describe, expect, test } from 'vitest';
import { decide } from '../../src/core/decide.ts';
import type { ArchSymbols, Ending, Gate, Intent, Run } from '../../src/core/model.ts';
import { describeRebuilds, rebuilds } from '../../src/core/rebuild.ts';
import { describeWrite } from '../../src/core/wording.ts';
import { BUILDS, came, GATE, history, intent, KERNEL, kmod, left, run, seen, tried } from './facts.ts';

const REBUILDS: Gate = {
  ...GATE,
  strategy: 'symbols-then-rebuild',
  rebuild: { target: 'kmods', draft: false },
};
const CHANGED: ArchSymbols = {
  arch: 'x86_64',
  imports: 2,
  missing: { count: 0, first: [] },
  changed: { count: 1, first: [{ symbol: 'a', required: 1, provided: 2, provider: 'kernel-core' }] },
  fromBroken: { count: 0, first: [] },
  answer: 'incompatible',
  cause: null,
};
const rebuilt = (name: string, ending?: Ending): Intent =>
  intent(
    { kind: 'rebuild', kmod: name, buildId: 1, target: 'kmods', draft: false, waitFor: [] },
    { receipt: { task: 9 }, ...(ending && { ending }) },
  );
const MOVED = history([came('candidate', 'kmod-gate', 9), left('gate', 'kmod-gate', 9)]);
const done = (name: string) => rebuilt(name, { at: 1, how: 'done', nvr: `${name}-1-2` });
const failed = (name: string, why: string) => rebuilt(name, { at: 1, how: 'failed', why });
const lost = (name: string) => rebuilt(name, { at: 1, how: 'lost' });

/** kmods a, b, c of which each needs what `needs` says; all of them build, and none loads as it is. */
function passed(needs: Record<string, string[]>, intents: Intent[] = []): Run {
  const names = ['a', 'b', 'c'];
  return run({
    strategy: 'symbols-then-rebuild',
    kmods: names.map((name) => kmod(name)),
    symbols: {
      change: null,
      stablelist: null,
      kmods: names.map((name) => ({ kmod: name, arches: [CHANGED], needs: needs[name] ?? [] })),
    },
    intents: [
      ...names.map((name) => tried(name, BUILDS)),
      intent({ kind: 'tag', tag: 'candidate', from: 'gate' }, { ending: { at: 2, how: 'done' } }),
      ...intents,
    ],
    verdict: { at: 3, verdict: 'promote', reasons: [] },
  });
}
function told(gate: Gate, of: Run): string {
  const { writes, closing, state } = decide(gate, { poll: 1 }, seen(of, MOVED));
  return closing?.why ?? (writes.map(describeWrite).join(', ') || state);
}

describe('after a promotion', () => {
  test('nothing is rebuilt where the gate does not say so', () => {
    expect(told({ ...REBUILDS, rebuild: null }, passed({}))).toBe('moved from gate to candidate');
  });
  test('what needs nobody is rebuilt at once, all of it', () => {
    expect(told(REBUILDS, passed({}))).toBe('rebuild a in kmods, rebuild b in kmods, rebuild c in kmods');
  });
  const CHAIN = { b: ['a'], c: ['b'] };
  test('what needs others waits for them, and for a repo that has them', () => {
    expect(told(REBUILDS, passed(CHAIN))).toBe('rebuild a in kmods');
    expect(told(REBUILDS, passed(CHAIN, [rebuilt('a')]))).toBe(
      'moved from gate to candidate; waits for 3 rebuilds',
    );
    const { writes } = decide(REBUILDS, { poll: 1 }, seen(passed(CHAIN, [done('a')]), MOVED));
    expect(writes).toEqual([
      {
        kind: 'rebuild',
        kmod: 'b',
        buildId: 1,
        target: 'kmods',
        draft: false,
        waitFor: [KERNEL.nvr, 'a-1-2'],
      },
    ]);
    expect(told(REBUILDS, passed(CHAIN, [done('a'), done('b'), done('c')]))).toBe(
      'moved from gate to candidate; rebuilt a-1-2, b-1-2, c-1-2',
    );
  });
  test('what needs one that failed is not rebuilt, and a conflict says what to bump', () => {
    const exists = 'Build already exists (id=7, state=COMPLETE)';
    const data = "{'name': 'a', 'version': '1', 'release': '1.el9', 'epoch': None, 'task_id': 9}";
    expect(told(REBUILDS, passed({ b: ['a'], c: ['b'] }, [failed('a', `${exists}: ${data}`)]))).toBe(
      `moved from gate to candidate; not rebuilt a: ${exists}: a release is only built once; bump the release of a in the branch that on_pass.rebuild.branch names, or give the build tag of kmods another %dist (docs/rebuilds.md); b: it needs a, which was not rebuilt; c: it needs b, which was not rebuilt`,
    );
  });
  test.each([
    ['Target build already exists: a-1-1.el9 (id=7)', 'a release is only built once'],
    [
      'policy violation (build_from_srpm): Only admin can do this via default policy',
      "a was built from a source rpm, and the hub's policy must let such builds into kmods",
    ],
  ])('%s says what to do', (why, mend) => {
    expect(told(REBUILDS, passed({ b: ['a'], c: ['a'] }, [failed('a', why)]))).toContain(
      `not rebuilt a: ${why}: ${mend}`,
    );
  });
  test('those that need each other do not wait for each other', () => {
    expect(told(REBUILDS, passed({ a: ['b'], b: ['a'], c: ['a'] }))).toBe(
      'rebuild a in kmods, rebuild b in kmods',
    );
  });
  test('a submission that was lost is sent again, but not for ever', () => {
    const stands = (...intents: Intent[]) => rebuilds(passed({}, intents), ['a']).map(({ state }) => state);
    expect(stands(lost('a'))).toEqual(['due']);
    expect(stands(...[1, 2, 3, 4].map(() => lost('a')))).toEqual(['failed']);
  });
  test('observe says what would be rebuilt', () => {
    const { intents, ...before } = passed({});
    const of = { ...before, intents: intents.slice(0, 3) };
    const { closing } = decide({ ...REBUILDS, mode: 'observe' }, { poll: 1 }, seen(of));
    expect(closing?.why).toBe('would move the kernel from gate to candidate, then rebuild a, b, c in kmods');
  });
  test('a person who takes the kernel away cancels what is being rebuilt', () => {
    const of = passed({}, [rebuilt('a')]);
    expect(decide(REBUILDS, { poll: 1 }, seen(of, { tags: [], entry: null })).writes).toEqual([
      { kind: 'cancel', task: 9 },
    ]);
  });
  test('nothing to tell where nothing was to be rebuilt', () => expect(describeRebuilds([])).toBe(''));
});
