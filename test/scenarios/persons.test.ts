/** Who moved a kernel, by the hub's word: what was lost, undone or moved on is told apart. FINDINGS D. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Run } from '../../src/core/model.ts';
import { type Call, HubError } from '../../src/koji/hub.ts';
import { FINE, MINUTE, otherGate, STANDS, settled, withTags } from './scenes.ts';
import { GATE, NEW, OLD, type Parts, type Stage, type StageOptions, setStage } from './stage.ts';

let stage: Stage | undefined;
afterEach(async () => {
  await stage?.end();
  stage = undefined;
});
async function set(options: StageOptions): Promise<Stage> {
  stage = await setStage({ scenario: withTags('c9s-released', 'c9s-other-gate'), ...options });
  return stage;
}
const tagTasks = ({ world }: Stage) => world.tasks().filter(({ method }) => method === 'tagBuild');

describe('a tag change whose reply was lost', () => {
  /** The kernel is promoted, the reply of that is lost, and the task ends before the gate looks for it. */
  async function lost(): Promise<Stage> {
    const faults = (method: string) => (method === 'tagBuild' ? 'drop-after' : 'none');
    const of = await set({ gate: FINE, faults });
    of.world.completeKernel(NEW, STANDS);
    await of.until('it is sent', () => tagTasks(of).length > 0);
    of.world.tick(MINUTE);
    expect(of.world.tags(NEW)).toEqual(['c9s-candidate']);
    return of;
  }
  // G1
  test('and that a person has undone since is not done again', async () => {
    const of = await lost();
    of.world.as('kojiadmin').untagBuild('c9s-candidate', NEW);
    const { how, why, tags } = await settled(of, NEW);
    expect(how).toBe('taken-over');
    expect(why).toContain('taken out of c9s-candidate by kojiadmin');
    expect(tags).toEqual([]);
    expect(tagTasks(of)).toHaveLength(1);
  });
  test('and that a signer has moved on since is done', async () => {
    const of = await lost();
    of.world.as('kojiadmin').tagBuild('c9s-released', NEW);
    of.world.as('kojiadmin').untagBuild('c9s-candidate', NEW);
    const { how, tags } = await settled(of, NEW);
    expect(how).toBe('done');
    expect(tags).toEqual(['c9s-released']);
    expect(tagTasks(of)).toHaveLength(1);
  });
});

// A1
describe('a side tag whose reply was lost', () => {
  const gate = { ...FINE, build: { ...GATE.build, repo: 'sidetag' } } as const;
  /** The first request for a side tag has no reply; the hub carries it out, or not. */
  function withoutReply(arrives: boolean) {
    let first = true;
    return ({ hub, store }: Parts): Parts => {
      const write = async (call: Call<unknown>) => {
        if (call.method !== 'createSideTag' || !first) return hub.write(call);
        first = false;
        if (arrives) await hub.write(call);
        throw new HubError('unknown', 'createSideTag', 'no reply');
      };
      return { store, hub: { ...hub, write } as Parts['hub'] };
    };
  }
  const sideTags = ({ world }: Stage) =>
    world.state.tags
      .filter(({ name }) => name.includes('-side-'))
      .map(({ name, revoke_event }) => ({ name, gone: revoke_event !== null }));
  const own = (run: Run) => run.intents.flatMap(({ receipt }) => receipt?.sideTag ?? []);

  test.each(['empty', 'used'])(
    'is not taken for that of another instance with the same user, be it %s',
    async (state) => {
      const of = await set({ gate, around: withoutReply(false) });
      of.world.completeKernel(NEW, STANDS);
      await of.until('it was asked for', async () => (await of.run(NEW))?.intents.length);
      const other = of.world.as('kmod-gate').call('createSideTag', 'kmods9s-build') as { name: string };
      if (state === 'used') of.world.as('kmod-gate').tagBuild(other.name, OLD);
      await of.until('it is promoted', () => of.world.tags(NEW).includes('c9s-candidate'));
      // By then another gate has what it made.
      if (state === 'empty') of.world.as('kmod-gate').tagBuild(other.name, OLD);
      const run = await of.closed(NEW, 120);
      expect(own(run)).toHaveLength(1);
      expect(own(run)).not.toContain(other.name);
      expect(sideTags(of)).toEqual([
        { name: other.name, gone: false },
        { name: own(run)[0], gone: true },
      ]);
    },
  );

  test('is removed once it has been empty for an hour', async () => {
    const of = await set({ gate, around: withoutReply(true) });
    of.world.completeKernel(NEW, STANDS);
    const since = of.world.now();
    await of.until('it is promoted', () => of.world.tags(NEW).includes('c9s-candidate'));
    expect(of.world.now() - since).toBeLessThan(60 * MINUTE);
    expect(sideTags(of)).toHaveLength(2);
    const run = await of.closed(NEW, 120);
    expect(run.closing?.how).toBe('done');
    expect(of.world.now() - since).toBeGreaterThanOrEqual(60 * MINUTE);
    expect(sideTags(of).map(({ gone }) => gone)).toEqual([true, true]);
    expect(await of.story()).toContain('may be left of a lost reply');
  });
});

// P1
test('a person who puts a kernel where another gate once had put it wins all the same', async () => {
  const of = await set({ others: [otherGate({ strategy: 'symbols', build: null })] });
  of.world.completeKernel(NEW, { tag: 'c9s-other-gate' });
  await of.until('the first gate blocks it', () => of.world.tags(NEW).includes('c9s-blocked'));
  of.world.as('kojiadmin').untagBuild('c9s-blocked', NEW);
  of.world.as('kojiadmin').tagBuild(GATE.watch, NEW);
  await of.until('it is tried', () => of.run(NEW));
  of.world.as('kojiadmin').tagBuild('c9s-blocked', NEW);
  const { closing } = await of.closed(NEW);
  expect(closing).toMatchObject({ how: 'taken-over', why: 'tagged into c9s-blocked by kojiadmin' });
  expect(of.world.tags(NEW).toSorted()).toEqual(['c9s-blocked', 'c9s-gate']);
});

describe('where a release has emptied the pass tag before a gate began', () => {
  const gate = { strategy: 'symbols', build: null } as const;
  test('a kmod is measured by what was released from there', async () => {
    const of = await set({ gate });
    of.world.as('kojiadmin').tagBuild('c9s-released', OLD);
    of.world.as('kojiadmin').untagBuild('c9s-candidate', OLD);
    of.world.completeKernel(NEW, STANDS);
    const run = await of.closed(NEW);
    expect(run.kmods[0]?.baselines?.map(({ nvr }) => nvr)).toEqual([OLD]);
    expect(run.verdict?.verdict).toBe('block');
    expect(run.verdict?.reasons[0]).toMatch(/does not load/);
  });
  test('and not by what was taken back', async () => {
    const of = await set({ gate });
    for (const tag of of.world.tags(OLD)) of.world.as('kojiadmin').untagBuild(tag, OLD);
    of.world.completeKernel(NEW, STANDS);
    await of.until('it is tried', () => of.run(NEW));
    expect((await of.run(NEW))?.kmods[0]?.baselines).toEqual([]);
  });
});
