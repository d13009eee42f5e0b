/** One slow or broken thing stops no other. FINDINGS C. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Gate } from '../../src/core/model.ts';
import { type Call, HubError } from '../../src/koji/hub.ts';
import { all, FINE, MINUTE, NEWEST, policy, rule, STANDS, settled, withNewest, withRules } from './scenes.ts';
import { GATE, NEW, type Parts, type Stage, type StageOptions, setStage } from './stage.ts';

let stage: Stage | undefined;
afterEach(async () => {
  await stage?.end();
  stage = undefined;
});
async function set(options: StageOptions): Promise<Stage> {
  stage = await setStage(options);
  return stage;
}

/** A hub that cannot be asked for some things: `when` answers the error, or waits. */
const reading =
  (when: (call: Call<unknown>) => Promise<HubError | undefined> | HubError | undefined) =>
  ({ hub, store }: Parts): Parts => {
    const read = async (call: Call<unknown>) => {
      const error = await when(call);
      if (error) throw error;
      return hub.read(call);
    };
    const readAll = async (calls: readonly Call<unknown>[]) => {
      const errors = await Promise.all(calls.map(when));
      const answers = await hub.readAll(calls);
      return answers.map((answer, i) => (errors[i] ? { ok: false, error: errors[i] } : answer));
    };
    return { store, hub: { ...hub, read, readAll } as Parts['hub'] };
  };

const DENIED = new HubError('refused', 'downloadTaskOutput', 'fault 1: [Errno 13] Permission denied', {
  code: 1,
});
const SILENT = new HubError('unavailable', 'downloadTaskOutput', 'hub: no reply within 60000 ms');
const ALL_FAIL = withRules(rule({ kmod: '*', result: 'fails', log: ['a.c:1:1: error: x'] }));

describe('a log that cannot be read', () => {
  /** All kmods fail together, and the log of the first that is asked for cannot be read, so often. */
  async function unread(error = DENIED, times = Number.POSITIVE_INFINITY): Promise<Stage> {
    let first: unknown;
    let count = 0;
    const around = reading(({ method, params }) => {
      if (method !== 'downloadTaskOutput') return undefined;
      first ??= params[0];
      return params[0] === first && count++ < times ? error : undefined;
    });
    const of = await set({ scenario: ALL_FAIL, around });
    of.hear();
    of.world.completeKernel(NEW, STANDS);
    await of.until('all have ended', () => failed(of) === 3, 30);
    await of.pass(MINUTE);
    return of;
  }
  const failed = ({ world }: Stage) =>
    world.tasks().filter(({ method, state }) => method === 'build' && state === 5).length;
  /** Of builds with the kernel; what fails is tried with the baseline as well. */
  const endings = async (of: Stage) =>
    (await of.run(NEW))?.intents.filter(
      ({ write, ending }) => write.kind === 'scratch-build' && !write.against && ending,
    ).length;

  // Z1
  test('keeps no other from being read and recorded', async () => {
    const of = await unread();
    expect(await endings(of)).toBe(2);
    expect(await of.said(NEW)).toMatch(/cannot be read yet: .*Permission denied/);
  });
  // L1
  test('makes the run deaf to nobody: a person who untags the kernel, or cancels the run', async () => {
    const of = await unread();
    of.world.as('kojiadmin').untagBuild(GATE.watch, NEW);
    expect((await of.closed(NEW, 20)).closing).toMatchObject({ how: 'taken-over' });
    await of.end();
    const other = await unread();
    await other.order('cancel');
    expect((await other.closed(NEW, 20)).closing).toMatchObject({ how: 'cancelled' });
  });
  const unreadIn = async (of: Stage) => {
    const run = await of.run(NEW);
    const builds = run?.intents.flatMap(({ ending }) => (ending && 'build' in ending ? ending.build : []));
    return builds?.flatMap((build) => build?.arches.flatMap(({ unread: why }) => why ?? []));
  };
  test('counts after some tries as one that nobody can read, and the hold says so', async () => {
    const of = await unread();
    await of.until('it is recorded', async () => (await endings(of)) === 3, 20);
    expect(await unreadIn(of)).toEqual([expect.stringMatching(/Permission denied/)]);
  });
  test('is read all the same by a gate whose hub did not answer for half an hour', async () => {
    const of = await unread(SILENT, 12);
    await of.until('it is recorded', async () => (await endings(of)) === 3, 60);
    expect(await unreadIn(of)).toEqual([]);
  });
  test('and counts as unreadable after an hour or so without an answer', async () => {
    const of = await unread(SILENT);
    await of.until('it is recorded', async () => (await endings(of)) === 3, 120);
    expect(await unreadIn(of)).toEqual([expect.stringMatching(/no reply/)]);
  });
});

// S4
test('a kmod of which the hub has no file is inconclusive, and the others are judged', async () => {
  const of = await set({ gate: { strategy: 'symbols', build: null } });
  const kmod = of.world.build('kmod-alpha-1.0-1.el9');
  const rpm = of.world.state.rpms.find(({ build_id, arch }) => build_id === kmod?.id && arch === 'x86_64');
  if (!rpm) throw new Error('no rpm');
  await of.restart();
  Object.assign(rpm, { provides: [], requires: [] });
  of.world.completeKernel(NEW, STANDS);
  const { verdict, why } = await settled(of, NEW);
  expect(verdict).toBe('block');
  expect(why).toMatch(/kmod-alpha.*cannot be read: .*the hub has no file/);
  expect(why).toMatch(/kmod-gamma.*does not load/);
});

test('one kernel that waits for a slow hub does not delay another', async () => {
  let release = () => {};
  const gate = new Promise<undefined>((resolve) => {
    release = () => resolve(undefined);
  });
  const slow: number[] = [];
  const around = reading(({ method, params }) => {
    const named = params.at(-1) as { build?: number } | undefined;
    return method === 'queryHistory' && slow.includes(named?.build ?? 0) ? gate : undefined;
  });
  const of = await set({
    gate: { ...FINE, strategy: 'symbols', build: null },
    scenario: withNewest(),
    around,
    patience: 1,
  });
  of.world.completeKernel(NEW, STANDS);
  slow.push(of.buildId(NEW));
  of.world.completeKernel(NEWEST, STANDS);
  await of.turning('the newest is decided', async () => {
    const run = await of.store.latestRun('c9s', of.buildId(NEWEST));
    return run?.closing !== undefined;
  });
  expect((await of.run(NEW))?.verdict).toBeUndefined();
  release();
  await of.closed(NEW);
});

describe('an end is an end, all else is a state', () => {
  // O2
  test('what was only observed is tried when the gate enforces', async () => {
    const of = await set({ gate: { ...FINE, mode: 'observe' } });
    of.hear();
    of.world.completeKernel(NEW, STANDS);
    expect((await of.closed(NEW)).closing?.how).toBe('observed');
    await of.restart([{ ...GATE, ...FINE }]);
    await of.until('it is moved', () => of.world.tags(NEW).includes('c9s-candidate'));
    expect((await of.closed(NEW)).generation).toBe(2);
  });
  // U3
  test('what a newer kernel ended is tried when that one is blocked', async () => {
    const breaks = withRules(rule({ kernel: NEWEST, result: 'fails', log: ['a.c:1:1: error: x'] }));
    const gate = { ...FINE, ...policy({ supersede: 'cancel' }) };
    const of = await set({ gate, scenario: all(withNewest(), breaks) });
    of.hear();
    of.world.completeKernel(NEW, STANDS);
    await of.until('it is tried', () => of.scratchBuilds('kmod-alpha').length > 0);
    of.world.completeKernel(NEWEST, STANDS);
    await of.until('the newest is blocked', () => of.world.tags(NEWEST).includes('c9s-blocked'), 600);
    await of.until('the older passes', () => of.world.tags(NEW).includes('c9s-candidate'), 600);
  });
  // K1
  test('a package that is taken out of the configuration ends its runs, and says so', async () => {
    const of = await set({ gate: FINE });
    of.hear();
    of.world.completeKernel(NEW, STANDS);
    await of.until('it is tried', () => of.scratchBuilds('kmod-alpha').length > 0);
    const without: Gate = { ...GATE, ...FINE, kernels: ['kernel-rt'] };
    await of.restart([without]);
    const { closing } = await of.closed(NEW, 20);
    expect(closing).toMatchObject({
      how: 'cancelled',
      why: 'the configuration of gate c9s does not list kernel any more',
    });
    const alive = of.world
      .tasks()
      .filter(({ method, state }) => method === 'build' && [0, 1, 4].includes(state));
    expect(alive).toEqual([]);
    await of.restart([{ ...GATE, ...FINE }]);
    await of.until('it is tried again', () => of.world.tags(NEW).includes('c9s-candidate'));
  });
});
