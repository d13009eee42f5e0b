import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { slotsFor } from '../../src/core/builds.ts';
import { decide } from '../../src/core/decide.ts';
import type { Decision } from '../../src/core/look.ts';
import type { Ending, Gate, Intent, Run, Write } from '../../src/core/model.ts';
import { planTagChanges, type TagMove } from '../../src/core/tags.ts';
import { describeWrite } from '../../src/core/wording.ts';
import {
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
  numbered,
  OTHER,
  past,
  run,
  seen,
  tried,
} from './facts.ts';

const POLL = 30_000;
const ask = (observation: ReturnType<typeof seen>, gate: Gate = GATE) =>
  decide(gate, { poll: POLL }, observation);
/** A decision as one reads it: what is done, recorded, closed; else the state. */
function told({ writes, verdict, closing, state }: Decision): string {
  const parts = writes.map((write) => describeWrite(write));
  if (verdict) parts.push(`verdict ${verdict.verdict}`);
  if (closing) parts.push(`closed (${closing.how}): ${closing.why}`);
  return parts.join('; ') || state;
}
const by = (how: Partial<Gate['build']>): Gate => ({ ...GATE, build: { ...GATE.build, ...how } });
/** With a verdict; where that is a promotion, with the evidence for it. */
const judged = (verdict: 'promote' | 'block' | 'hold', facts: Partial<Run> = {}): Partial<Run> => ({
  verdict: { at: 1, fact: 1, verdict, reasons: ['kmod-a is broken'] },
  ...facts,
  intents: [
    ...(verdict === 'promote' ? [tried('kmod-a', BUILDS), tried('kmod-b', BUILDS)] : []),
    ...(facts.intents ?? []),
  ],
});
const done = (write: Write, receipt = {}) => intent(write, { receipt, ending: { at: 5, how: 'done' } });
const refused = (write: Write, at: number) =>
  intent(write, { ending: { at, how: 'failed', why: 'policy violation' } }, at);
const MOVED = done({ kind: 'tag', tag: 'candidate', from: 'gate' }, { task: 8 });
/** What came of it, in the hub's history. */
const moved = [came('candidate', 'kmod-gate', 10), left('gate', 'kmod-gate', 10)];

describe('trying the kmods', () => {
  test('all kmods go out together', () => {
    expect(told(ask(seen()))).toBe('build kmod-a in try; build kmod-b in try');
  });
  test('as many as there are slots', () => {
    expect(told(ask(seen({}, { slots: 1 })))).toBe('build kmod-a in try');
    expect(told(ask(seen({}, { slots: 0 })))).toBe('0 of 2 kmods judged, 0 building');
  });
  test('what runs is waited for, and looked at every poll', () => {
    const decision = ask(seen({ intents: [building('kmod-a'), building('kmod-b')] }));
    expect(told(decision)).toBe('0 of 2 kmods judged, 2 building');
    expect(decision.wakeAt).toBe(1_000_000 + POLL);
  });
  test('a retry waits for its pause, the others go on', () => {
    const intents = [tried('kmod-a', NO_BUILDROOT, 990_000), tried('kmod-b', BUILDS)];
    expect(ask(seen({ intents })).wakeAt).toBe(990_000 + 60_000);
    expect(told(ask(seen({ intents }, { now: 1_050_000 })))).toBe('build kmod-a in try');
  });
  test('a build that never reached the hub goes out again at once', () => {
    const lost = numbered<Intent>({ ...building('kmod-a'), ending: { at: 1, how: 'lost' } });
    expect(told(ask(seen({ intents: [lost, tried('kmod-b', BUILDS)] })))).toBe('build kmod-a in try');
  });
  test('when all are judged there is a verdict', () => {
    expect(told(ask(seen({ intents: [tried('kmod-a', BUILDS), tried('kmod-b', BUILDS)] })))).toBe(
      'verdict promote',
    );
    expect(told(ask(seen({ intents: [tried('kmod-a', BUILDS), tried('kmod-b', FAILS)] })))).toBe(
      'verdict block',
    );
  });
  test('none before it is clear what "already broken" is measured by', () => {
    const measured = [{ id: OTHER.id, nvr: OTHER.nvr }];
    const kmods = ['kmod-a', 'kmod-b'].map((name) => ({ ...kmod(name), baselines: measured }));
    const incoming = new Set(['candidate']);
    const verdict = (shows: 'builds' | 'fails', last = FAILS, on = incoming) =>
      told(
        ask(
          seen(
            { kmods, past: [past(shows)], intents: [tried('kmod-a', BUILDS), tried('kmod-b', last)] },
            { incoming: on },
          ),
        ),
      );
    expect(verdict('fails', FAILS, new Set())).toBe('verdict promote');
    expect(verdict('fails')).toBe('waits for another kernel that is being tagged into candidate');
    expect(verdict('fails', FAILS, new Set(['elsewhere']))).toBe('verdict promote');
    expect(verdict('fails', BUILDS)).toBe('verdict promote');
    expect(verdict('builds')).toBe('verdict block');
  });
  test('a gate without kmods holds and says what to do', () => {
    expect(told(ask(seen({ kmods: [] })))).toBe(
      "held: no kmod in kmods matches the gate's include list; tag one, or mend the list",
    );
  });
});

describe('a gate that waits for Greenwave', () => {
  const WAITS: Gate = { ...GATE, policy: { ...GATE.policy, wait_for: 'greenwave' } };
  const passed = judged('promote');
  const says = (how: 'yes' | 'later' | 'no') => ({ greenwave: { says: how, why: '1 of 2 results' } });
  const PROMOTES = 'move the kernel from gate to candidate';
  test('promotes only what it lets through', () => {
    expect(told(ask(seen(passed, says('yes')), WAITS))).toBe(PROMOTES);
    expect(told(ask(seen(passed, says('later')), WAITS))).toBe(
      'promote: waits for Greenwave: 1 of 2 results',
    );
    expect(told(ask(seen(passed, says('no')), WAITS))).toBe(
      `held: Greenwave lets it not through: 1 of 2 results; a person must act: mend or waive there what it wants, or tag or untag ${KERNEL.nvr}`,
    );
    // Whoever was not asked has said nothing.
    expect(told(ask(seen(passed), WAITS))).toBe('promote: waits for Greenwave: it is not asked yet');
    expect(told(ask(seen(passed), GATE))).toBe(PROMOTES);
  });
  test('looks again at the next poll', () => {
    expect(ask(seen(passed, says('later')), WAITS).wakeAt).toBe(1_000_000 + POLL);
    expect(ask(seen(passed, says('no')), WAITS).wakeAt).toBe(1_000_000 + POLL);
  });
  test('blocks all by itself', () => {
    expect(told(ask(seen(judged('block'), says('no')), WAITS))).toBe('move the kernel from gate to blocked');
  });
  test('waits no longer than for a person, and then the kernel stays where it is', () => {
    const short: Gate = { ...WAITS, policy: { ...WAITS.policy, longest_hold: 1_000, after_hold: 'promote' } };
    for (const how of ['later', 'no'] as const)
      expect(told(ask(seen(passed, says(how)), short))).toBe(
        `closed (superseded): Greenwave lets it not through: 1 of 2 results; ${KERNEL.nvr} stays where it is`,
      );
    expect(told(ask(seen(passed, says('yes')), short))).toBe(PROMOTES);
  });
  test('finishes what it has begun, whatever is said then', () => {
    const both: Gate = { ...WAITS, on_pass: { tag: ['candidate', 'extra'], untag: ['gate'] } };
    const facts = judged('promote', { intents: [{ ...done({ kind: 'tag', tag: 'candidate' }), fact: 2 }] });
    const tags = { tags: ['gate', 'candidate'], moves: [came('candidate', 'kmod-gate', 10)] };
    expect(told(ask(seen(facts, { ...tags, ...says('no') }), both))).toBe(
      'move the kernel from gate to extra',
    );
  });
  test('one that only looks on says so', () => {
    expect(told(ask(seen(passed), { ...WAITS, mode: 'observe' }))).toBe(
      'closed (observed): would move the kernel from gate to candidate once Greenwave lets it through',
    );
  });
});

describe('one kernel a build root', () => {
  test('wait: Koji waits for a repo with this kernel', () => {
    expect(ask(seen()).writes[0]).toMatchObject({ target: 'try', waitFor: [KERNEL.nvr] });
  });
  test.each(['wait', 'pin'] as const)('%s: an older kernel waits for its turn', (repo) => {
    const decision = ask(
      seen({}, { buildTag: { name: 'try-build', latest: NEWER, leaves: true } }),
      by({ repo }),
    );
    expect(told(decision)).toContain(
      'waits for its turn: kernel-5.14.0-71.el9 is the newest kernel in try-build, and is tried first',
    );
  });
  test('wait: a build tag that does not see the watch tag holds', () => {
    expect(told(ask(seen({}, { buildTag: { name: 'try-build', latest: null, leaves: false } })))).toContain(
      'held: try-build shows no kernel; make it inherit from gate',
    );
  });
  test('pin: a repo is requested, waited for, and named in each build', () => {
    const gate = by({ repo: 'pin' });
    const request: Write = { kind: 'request-repo', tag: 'try-build' };
    expect(told(ask(seen(), gate))).toBe('request a repo of try-build');
    expect(told(ask(seen({ intents: [intent(request, { receipt: { request: 3 } })] }), gate))).toContain(
      'waits for a repo',
    );
    const ready = intent(request, { receipt: { request: 3 }, ending: { at: 1, how: 'done', repo: 77 } });
    expect(ask(seen({ intents: [ready] }), gate).writes[0]).toMatchObject({ target: 'try', repoId: 77 });
  });
  test('pin: a repo is still the right one when a newer kernel has come since', () => {
    const ready = intent(
      { kind: 'request-repo', tag: 'try-build' },
      { receipt: { request: 3 }, ending: { at: 1, how: 'done', repo: 77 } },
    );
    const decision = ask(
      seen({ intents: [ready] }, { buildTag: { name: 'try-build', latest: NEWER, leaves: true } }),
      by({ repo: 'pin' }),
    );
    expect(decision.writes[0]).toMatchObject({ repoId: 77 });
  });
  test('pin: a repo that held another kernel is asked for again, later', () => {
    const wrong = refused({ kind: 'request-repo', tag: 'try-build' }, 990_000);
    expect(told(ask(seen({ intents: [wrong] }), by({ repo: 'pin' })))).toContain(
      'held: cannot request a repo of try-build: policy violation',
    );
    expect(told(ask(seen({ intents: [wrong] }, { now: 1_050_000 }), by({ repo: 'pin' })))).toBe(
      'request a repo of try-build',
    );
  });
  test('sidetag: created, tagged into, built in, whatever else is newer', () => {
    const gate = by({ repo: 'sidetag' });
    const create: Write = { kind: 'create-side-tag', base: 'try-build', known: ['other'] };
    const world = { sideTags: ['other'], buildTag: { name: 'try-build', latest: NEWER, leaves: true } };
    expect(ask(seen({}, world), gate).writes).toEqual([create]);
    const created = done(create, { sideTag: 'side-1' });
    world.sideTags.push('side-1');
    expect(told(ask(seen({ intents: [created] }, world), gate))).toBe('tag the kernel into side-1');
    const tagging = intent({ kind: 'tag', tag: 'side-1' }, { receipt: { task: 4 } });
    expect(told(ask(seen({ intents: [created, tagging] }, world), gate))).toContain(
      'waits for kernel-5.14.0-70.el9 to be tagged into side-1',
    );
    const tagged = done({ kind: 'tag', tag: 'side-1' });
    expect(ask(seen({ intents: [created, tagged] }, world), gate).writes[0]).toMatchObject({
      target: 'side-1',
      waitFor: [KERNEL.nvr],
    });
    world.sideTags.pop();
    expect(told(ask(seen({ intents: [created, tagged] }, world), gate))).toBe(
      'create a side tag of try-build',
    );
  });
  test('a newest kernel that nobody will take away is named to the people who can', () => {
    const hidden = { buildTag: { name: 'try-build', latest: NEWER, leaves: false } };
    expect(told(ask(seen({}, hidden)))).toBe(
      'held: kernel-5.14.0-71.el9 is the newest kernel in try-build and hides this one; untag it there, or set repo = "sidetag" (0 of 2 kmods judged, 0 building)',
    );
  });
});

describe('carrying the verdict out', () => {
  test('promote moves into the pass tag, waits for the task, then closes', () => {
    expect(told(ask(seen(judged('promote'))))).toBe('move the kernel from gate to candidate');
    const asked = intent({ kind: 'tag', tag: 'candidate', from: 'gate' }, { receipt: { task: 8 } });
    expect(told(ask(seen(judged('promote', { intents: [asked] }))))).toBe(
      'promote: waits for the hub to tag',
    );
    const passed = seen(judged('promote', { intents: [MOVED] }), history(moved));
    expect(told(ask(passed))).toBe(`closed (done): moved from gate to candidate`);
  });
  test('block moves into the fail tag', () => {
    expect(told(ask(seen(judged('block'))))).toBe('move the kernel from gate to blocked');
  });
  test('hold stays and names who must act', () => {
    expect(told(ask(seen(judged('hold'))))).toBe(
      `held: kmod-a is broken; a person must act: kmod-gate retry or waive, or tag or untag ${KERNEL.nvr}, or it is blocked at 1970-01-08 00:00 UTC`,
    );
  });
  test('a hub that refuses is asked again, later and later, and the run says so', () => {
    const move: Write = { kind: 'tag', tag: 'candidate', from: 'gate' };
    const first = ask(seen(judged('promote', { intents: [refused(move, 990_000)] })));
    expect(told(first)).toContain(`held: cannot move the kernel from gate to candidate: policy violation`);
    expect(first.wakeAt).toBe(1_050_000);
    const second = ask(
      seen(judged('promote', { intents: [refused(move, 900_000), refused(move, 990_000)] })),
    );
    expect(second.wakeAt).toBe(1_290_000);
  });
  test('observe changes no tag and says what it would have done', () => {
    const gate: Gate = { ...GATE, mode: 'observe' };
    expect(told(ask(seen(judged('block')), gate))).toBe(
      `closed (observed): would move the kernel from gate to blocked`,
    );
    expect(told(ask(seen(judged('hold')), gate))).toBe('closed (observed): would hold, and change no tag');
  });
  test('an older kernel never takes the place of a newer one', () => {
    const heads = new Map([
      ['candidate', NEWER],
      ['blocked', NEWER],
    ]);
    expect(told(ask(seen(judged('promote'), { heads })))).toContain(
      'closed (superseded): kernel-5.14.0-71.el9 is newer and came into candidate already',
    );
    // A blocked one always leaves: only a pass tag keeps an order.
    expect(told(ask(seen(judged('block'), { heads })))).toBe('move the kernel from gate to blocked');
    expect(told(ask(seen(judged('promote'), { heads: new Map([['candidate', OTHER]]) })))).toBe(
      'move the kernel from gate to candidate',
    );
  });
  test('a side tag is removed before the run closes, and while it is held', () => {
    const created = done({ kind: 'create-side-tag', base: 'try-build', known: [] }, { sideTag: 'side-1' });
    const passed = history(moved);
    const there = { sideTags: ['side-1'] };
    const promoted = judged('promote', { intents: [created, MOVED] });
    expect(told(ask(seen(promoted, { ...passed, ...there })))).toBe('remove the side tag side-1');
    expect(told(ask(seen(judged('hold', { intents: [created] }), there)))).toBe('remove the side tag side-1');
    expect(told(ask(seen(promoted, passed)))).toContain('closed (done)');
  });
  test('while another kernel is on its way into the tag, nobody knows which is the newest', () => {
    const decision = ask(seen(judged('promote'), { incoming: new Set(['candidate']) }));
    expect(told(decision)).toBe('promote: waits for another kernel that is being tagged into candidate');
    expect(decision.wakeAt).toBe(1_000_000 + POLL);
  });
});

describe('a stablelist that is set, changed or removed while a run is open', () => {
  const listed = [{ symbol: 'kfree', before: 1, after: 2, provider: 'kernel-core' }];
  const counts = { arch: 'x86_64', common: 9, added: 0, removed: 0, changed: 1, everything: false };
  const read = (stablelist: 'block' | 'warn' | null, found: typeof listed | null) => ({
    kmods: [],
    stablelist,
    change: {
      baseline: { id: OTHER.id, nvr: OTHER.nvr },
      unreadable: null,
      arches: [{ ...counts, listed: found }],
    },
  });
  const list = (effect: 'block' | 'warn'): Gate => ({
    ...GATE,
    stablelist: { effect, symbols: { '*': ['kfree'] } },
  });
  const intents = [tried('kmod-a', BUILDS), tried('kmod-b', BUILDS)];
  const next = (gate: Gate, stablelist: 'block' | 'warn' | null) =>
    ask(seen({ intents, symbols: read(stablelist, stablelist && listed) }), gate);
  const decided = (gate: Gate, symbols = read(null, null)) =>
    ask(seen(judged('promote', { intents, symbols })), gate);

  test('is looked at before the verdict', () => {
    expect(next(list('block'), null)).toMatchObject({ state: 'reads symbols', wantsSymbols: true });
    expect(told(next(list('block'), 'block'))).toBe('verdict block');
  });
  test('does what it does now', () => {
    expect(told(next(list('block'), 'warn'))).toBe('verdict block');
    expect(told(next(list('warn'), 'block'))).toBe('verdict promote');
    expect(told(next(GATE, 'block'))).toBe('verdict promote');
  });
  test('is looked at before the tags are changed', () => {
    expect(decided(list('block'))).toMatchObject({
      state: 'reads symbols: a stablelist was set',
      wantsSymbols: true,
      writes: [],
    });
    expect(told(decided(list('block'), read('block', listed)))).toBe('verdict block');
    expect(told(decided(list('warn')))).toBe('move the kernel from gate to candidate');
    expect(told(decided(list('block'), read('block', [])))).toBe('move the kernel from gate to candidate');
  });
});

test('a cancellation that never reached the hub is sent again, one that was refused later', () => {
  const runs = building('kmod-a');
  const gone = { tags: [] as string[], entry: null };
  const asked = (ending?: Ending, now = 1_000_000) =>
    told(
      ask(
        seen(
          { intents: [runs, intent({ kind: 'cancel', task: 9 }, ending ? { ending } : {})] },
          { ...gone, now },
        ),
      ),
    );
  expect(asked()).toMatch(/waits for 2 requests to end$/);
  expect(asked({ at: 5, how: 'lost' })).toBe('cancel task 9');
  expect(asked({ at: 5, how: 'done' })).toMatch(/waits for 1 request to end$/);
  expect(asked({ at: 990_000, how: 'failed', why: 'no' })).toMatch(/waits for 1 request to end$/);
  expect(asked({ at: 900_000, how: 'failed', why: 'no' })).toBe('cancel task 9');
});

test('a repo that was requested and never comes keeps no run open', () => {
  const request = intent({ kind: 'request-repo', tag: 'try-build' }, { receipt: {} });
  const facts = judged('promote', { intents: [request] });
  expect(told(ask(seen(facts, { heads: new Map([['candidate', NEWER]]) })))).toMatch(
    /^closed \(superseded\)/,
  );
});

describe('a person wins', () => {
  test.each<[string, Partial<Run>, TagMove[], string]>([
    ['untags it', {}, [left('gate', 'alice', 9)], 'taken out of gate by alice'],
    [
      'tags it again',
      {},
      [left('gate', 'alice', 9), came('gate', 'alice', 10)],
      'tagged into gate again by alice',
    ],
    ['promotes it', {}, [came('candidate', 'alice', 9)], 'tagged into candidate by alice'],
    [
      'promotes it as the gate’s own user',
      {},
      [came('candidate', 'kmod-gate', 9)],
      'tagged into candidate as kmod-gate, and not by this gate',
    ],
    [
      'takes back what the gate did',
      judged('promote', { intents: [MOVED] }),
      [...moved, left('candidate', 'alice', 11)],
      'taken out of candidate by alice',
    ],
    [
      'takes it out of where it had passed before',
      judged('promote', { tags: ['gate', 'candidate'] }),
      [left('candidate', 'alice', 9)],
      'taken out of candidate by alice',
    ],
    [
      'puts it back to where it was blocked, after the gate has let it through',
      judged('promote', {
        tags: ['gate', 'blocked'],
        intents: [done({ kind: 'untag', tag: 'blocked' })],
      }),
      [left('blocked', 'kmod-gate', 9), came('blocked', 'alice', 10)],
      'tagged into blocked by alice',
    ],
  ])('who %s', (_, facts, moves, why) => {
    expect(told(ask(seen(facts, history(moves, facts.tags))))).toContain(`closed (taken-over): ${why}`);
  });
  test('the kernel that a signer moves on from where it passed is not taken over', () => {
    const facts = judged('promote', { intents: [{ ...MOVED, fact: 2 }] });
    const signed = [came('signed', 'signer', 11), left('candidate', 'signer', 11)];
    expect(told(ask(seen(facts, history([...moved, ...signed]))))).toContain('closed (done)');
    // Before it passed nobody had anything to move on.
    const early = [came('signed', 'signer', 9), left('gate', 'signer', 9)];
    expect(told(ask(seen({}, history(early))))).toBe('closed (taken-over): taken out of gate by signer');
  });
  test('running builds are cancelled once, and waited for, before the run closes', () => {
    const gone = history([left('gate', 'alice', 9)]);
    const intents = [building('kmod-a')];
    expect(told(ask(seen({ intents }, gone)))).toBe('cancel task 9');
    intents.push(done({ kind: 'cancel', task: 9 }));
    expect(told(ask(seen({ intents }, gone)))).toContain('waits for 1 request to end');
  });
  test('a move of the gate itself, not yet known to have ended, is not taken for a hand', () => {
    const asked = intent({ kind: 'tag', tag: 'candidate', from: 'gate' }, { receipt: { task: 8 } });
    expect(told(ask(seen(judged('promote', { intents: [asked] }), history(moved))))).toBe(
      'promote: waits for the hub to tag',
    );
  });
  test('what the gate’s user did before a request was asked did not come of it', () => {
    const untagged = [came('candidate', 'kmod-gate', 9), left('candidate', 'alice', 10)];
    const lost = done({ kind: 'tag', tag: 'candidate', from: 'gate', after: 10 });
    const facts = judged('promote', { intents: [{ ...lost, ending: { at: 5, fact: 5, how: 'lost' } }] });
    expect(told(ask(seen(facts, history([...untagged, came('candidate', 'kmod-gate', 11)]))))).not.toContain(
      'taken-over',
    );
    expect(
      told(ask(seen(facts, history([left('candidate', 'alice', 9), came('candidate', 'kmod-gate', 10)])))),
    ).toContain('tagged into candidate as kmod-gate');
  });
  const strict = (write: Write, finished = true) => ({ gate: 'strict', write, fact: 5, done: finished });
  test('another gate is not taken for a hand', () => {
    const otherGates = [strict({ kind: 'tag', tag: 'elsewhere', from: 'gate' })];
    const gone = history([came('elsewhere', 'kmod-gate', 9), left('gate', 'kmod-gate', 9)]);
    expect(told(ask(seen({}, { ...gone, otherGates })))).toBe(
      'closed (taken-over): taken out of gate by gate strict',
    );
    // One that only looks on goes on with its kmods.
    const only = { ...GATE, mode: 'observe' } as const;
    expect(told(decide(only, { poll: POLL }, seen({}, { ...gone, otherGates })))).not.toContain('taken-over');
    const alice = history([left('gate', 'alice', 9)]);
    expect(told(decide(only, { poll: POLL }, seen({}, { ...alice, otherGates })))).toContain('by alice');
  });
  test('one that only looks on waits for symbols also where another gate has moved the kernel on, until its time is over', () => {
    const only: Gate = {
      ...{ ...GATE, mode: 'observe', strategy: 'symbols-then-rebuild' },
      policy: { ...GATE.policy, longest_run: 900_000 },
    };
    const otherGates = [strict({ kind: 'tag', tag: 'elsewhere', from: 'gate' })];
    const gone = history([came('elsewhere', 'kmod-gate', 9), left('gate', 'kmod-gate', 9)]);
    const world = { ...gone, otherGates, buildTag: { name: 'try-build', latest: null, leaves: false } };
    const at = (startedAt: number) =>
      decide(only, { poll: POLL }, seen({ strategy: 'symbols-then-rebuild', startedAt }, world));
    expect(at(900_000)).toMatchObject({ state: 'reads symbols', wantsSymbols: true });
    expect(at(900_000).verdict).toBeUndefined();
    expect(at(100_000).verdict?.verdict).toBe('hold');
  });
  test('a gate that watches another tag now has nothing to do with a kernel that never was there', () => {
    const gate: Gate = { ...GATE, watch: 'elsewhere' };
    const of = (moves: readonly TagMove[], entry: number | null) =>
      told(decide(gate, { poll: POLL }, seen({}, { moves: [came('gate', 'tagger', 7), ...moves], entry })));
    expect(of([], null)).toBe(
      `closed (cancelled): gate c9s watches elsewhere now, and ${KERNEL.nvr} never was there`,
    );
    const visit = [came('elsewhere', 'alice', 9), left('elsewhere', 'alice', 10)];
    expect(of(visit, null)).toBe('closed (taken-over): taken out of elsewhere by alice');
  });
  test('a run whose time is over waits for what has ended to be read, and judges by that', () => {
    const gate: Gate = { ...GATE, policy: { ...GATE.policy, longest_run: 900_000 } };
    const late = (ended: boolean) => decide(gate, { poll: POLL }, seen({ startedAt: 50_000 }, { ended }));
    expect(late(true)).toMatchObject({ state: 'reads what its builds have come to', writes: [] });
    expect(late(true).verdict).toBeUndefined();
    expect(late(false).verdict).toBeDefined();
  });
  test('a person is not taken for another gate that has tagged it before', () => {
    const otherGates = [strict({ kind: 'tag', tag: 'blocked' })];
    const at = (...moves: TagMove[]) => told(ask(seen({}, { ...history(moves), otherGates })));
    const theirs = came('blocked', 'kmod-gate', 9);
    expect(at(theirs)).not.toContain('taken-over');
    expect(at(theirs, left('blocked', 'alice', 10), came('blocked', 'alice', 11))).toBe(
      'closed (taken-over): tagged into blocked by alice',
    );
  });
  test('where another gate has blocked it and lets it go, this one lets it pass too', () => {
    const blocked = done({ kind: 'tag', tag: 'blocked', from: 'gate' });
    const refused = { at: 6, how: 'failed', why: 'not in tag blocked' } as const;
    const asked = intent({ kind: 'tag', tag: 'candidate', from: 'blocked' }, { ending: refused }, 6);
    const moves = [
      came('blocked', 'kmod-gate', 9),
      left('gate', 'kmod-gate', 9),
      left('blocked', 'kmod-gate', 10),
    ];
    const otherGates = [strict({ kind: 'untag', tag: 'blocked' })];
    const facts = judged('promote', { intents: [blocked, asked] });
    expect(told(ask(seen(facts, { ...history(moves), otherGates })))).toBe('tag the kernel into candidate');
  });
  test('to tidy up where it was blocked before says nothing of this run', () => {
    const before = judged('promote', { tags: ['gate', 'blocked'] });
    expect(told(ask(seen(before, history([left('blocked', 'alice', 9)], ['blocked']))))).toBe(
      'move the kernel from gate to candidate',
    );
  });
  test('where another gate blocks it, it stays, also where a person had put it there before', () => {
    const begun = done({ kind: 'tag', tag: 'candidate', from: 'gate' }, 6);
    const promoted = judged('promote', { tags: ['gate', 'blocked'], intents: [begun] });
    const at = history(moved, ['blocked']);
    expect(told(ask(seen(promoted, at)))).toContain('untag the kernel from blocked');
    expect(told(ask(seen(promoted, { ...at, blockedIn: ['blocked'] })))).toContain('closed (done)');
  });
  test('a tag that the kernel was in from the start says nothing', () => {
    const decision = ask(seen({ tags: ['gate', 'candidate'] }, { tags: ['gate', 'candidate'] }));
    expect(decision.writes).toHaveLength(2);
  });
});

describe('tag changes', () => {
  const plan = (tag: string[], untag: string[], now: string[]) =>
    planTagChanges({ tag, untag }, now).map((write) => describeWrite(write));
  test.each<[string[], string[], string[], string[]]>([
    [['pass'], ['gate'], ['gate'], ['move the kernel from gate to pass']],
    [['pass'], ['gate'], [], ['tag the kernel into pass']],
    [['pass'], ['gate'], ['gate', 'pass'], ['untag the kernel from gate']],
    [
      ['pass', 'also'],
      ['gate', 'old'],
      ['gate', 'old'],
      ['tag the kernel into pass', 'move the kernel from gate to also', 'untag the kernel from old'],
    ],
    [[], ['gate'], ['gate'], ['untag the kernel from gate']],
    [['pass'], [], ['gate'], ['tag the kernel into pass']],
    [['pass'], ['gate'], ['pass'], []],
  ])('into %j, out of %j, from %j: %j', (tag, untag, now, expected) => {
    expect(plan(tag, untag, now)).toEqual(expected);
  });
  test('end where they should, and leave the build in some tag at every step', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const some = fc.subarray(names);
    fc.assert(
      fc.property(fc.subarray(names, { minLength: 1 }), some, some, (into, out, now) => {
        const untag = out.filter((name) => !into.includes(name));
        const tags = new Set(now);
        for (const write of planTagChanges({ tag: into, untag }, now)) {
          if (write.kind === 'tag') tags.add(write.tag);
          tags.delete(write.kind === 'untag' ? write.tag : (write.from ?? ''));
          expect(tags.size).toBeGreaterThan(0);
        }
        expect(into.every((name) => tags.has(name))).toBe(true);
        expect(untag.some((name) => tags.has(name))).toBe(false);
      }),
    );
  });
});

describe('slots', () => {
  const gate = by({ max_active: 5 });
  const newer = run({
    id: 'c9s/40/1',
    kernel: NEWER,
    kmods: [kmod('kmod-a'), kmod('kmod-b'), kmod('kmod-c')],
    intents: [building('kmod-a')],
  });
  test('what all runs of the gate have at work counts', () => {
    const self = run({ intents: [building('kmod-a')] });
    expect(slotsFor(gate, self, [self], 0, 0)).toBe(4);
  });
  test('a newer kernel that is being tried takes what it wants first', () => {
    expect(slotsFor(gate, run(), [run(), newer], 0, 0)).toBe(2);
    expect(slotsFor(gate, newer, [run(), newer], 0, 0)).toBe(4);
  });
  // W1
  test('what a newer kernel may not have now is not kept for it', () => {
    const tried = (at: number) =>
      numbered<Intent>({
        ...building('kmod-a', at),
        ending: { at, how: 'failed', why: 'x', build: NO_BUILDROOT },
      });
    const waits = { ...newer, kmods: [kmod('kmod-a')], intents: [tried(1_000)] };
    const soon = 1_000 + 60_000;
    // Before its pause is over, then, and when the day's retries are spent.
    expect(slotsFor(gate, run(), [run(), waits], 2_000, 0)).toBe(5);
    expect(slotsFor(gate, run(), [run(), waits], soon, 0)).toBe(4);
    expect(slotsFor(gate, run(), [run(), waits], soon, gate.policy.retries.day)).toBe(5);
  });
  test('a newer kernel that has its verdict leaves the rest', () => {
    expect(
      slotsFor(
        gate,
        run(),
        [run(), { ...newer, verdict: { at: 1, fact: 1, verdict: 'block', reasons: [] } }],
        0,
        0,
      ),
    ).toBe(4);
  });
});
