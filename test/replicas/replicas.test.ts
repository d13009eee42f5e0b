/** Three gates on one PostgreSQL: one acts, and another follows whatever becomes of it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GATE, NEW } from '../scenarios/stage.ts';
import { postgres } from '../store/places.ts';
import { openStage, type Replica, type Stage } from './stage.ts';

const PATIENCE = { timeout: 120_000, interval: 50 };

describe.runIf(await postgres())('three replicas', () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage(3);
  });
  afterEach(() => stage.close());

  const acting = async (other?: Replica): Promise<Replica> => {
    let found: Replica | undefined;
    await expect
      .poll(async () => {
        found = await stage.holder();
        return found !== undefined && found !== other;
      }, PATIENCE)
      .toBe(true);
    return found as Replica;
  };
  const actsNow = (replica: Replica) =>
    expect.poll(async () => (await replica.ask('/readyz'))?.['lease'], PATIENCE);
  const builds = () => stage.world.tasks().filter(({ method, parent }) => method === 'build' && !parent);
  /** Another one acts; told how long that took, which nobody waits for. */
  async function follows(last: Replica, what: string): Promise<Replica> {
    const began = performance.now();
    const next = await acting(last);
    process.stdout.write(`${what}: another gate acts after ${Math.round(performance.now() - began)} ms\n`);
    return next;
  }

  test('what a person says to one that stands by, the one that acts does', async () => {
    const { world, replicas } = stage;
    const first = await acting();
    const standing = replicas.find((one) => one !== first) as Replica;
    await actsNow(standing).toMatchObject({ acts: false });
    world.completeKernel(NEW, { tag: GATE.watch });
    const seen = (replica: Replica) =>
      expect.poll(async () => {
        const told = await replica.ask(`/api/v1/kernels/${NEW}`);
        return (told?.['runs'] as Record<string, unknown>[] | undefined)?.[0];
      }, PATIENCE);
    await seen(standing).toMatchObject({ status: 'running' });
    const said = await standing.say('/api/v1/hold', { kernel: NEW, reason: 'QA looks' });
    expect(said).toMatchObject({ said: [expect.stringContaining(NEW)] });
    // Nothing is left to do but to wait for the person.
    await seen(first).toMatchObject({ status: 'held', held_by: { by: 'ada (API)' } });
    expect(world.tags(NEW)).toEqual([GATE.watch]);
    await standing.say('/api/v1/release', { kernel: NEW });
    await expect.poll(() => world.tags(NEW), PATIENCE).toEqual(['c9s-blocked']);
    await seen(standing).toMatchObject({ status: 'done' });
    expect(await stage.violations()).toEqual([]);
    expect(stage.acts.every(({ replica }) => replica === first.number)).toBe(true);
  });

  test('a kernel is gated once, through kill -9, a stop, a cut and an orderly end', async () => {
    const { world, replicas } = stage;
    const first = await acting();
    // Who stands by says so, is ready, and shows pages.
    const standing = replicas.find((one) => one !== first) as Replica;
    await actsNow(first).toMatchObject({ acts: true });
    await actsNow(standing).toMatchObject({ acts: false, holder: expect.stringContaining(':') });
    await expect.poll(async () => (await standing.ask('/readyz'))?.['ok'], PATIENCE).toBe(true);
    expect(await standing.ask('/api/v1/health')).toMatchObject({ ok: true, lease: { acts: false } });

    world.completeKernel(NEW, { tag: GATE.watch });
    await expect.poll(() => builds().length, PATIENCE).toBeGreaterThan(0);
    first.kill('SIGKILL');
    await first.program().ended;
    const second = await follows(first, 'kill -9');
    first.launch();

    second.kill('SIGSTOP');
    const third = await follows(second, 'SIGSTOP');
    const before = stage.acts.filter(({ replica }) => replica === second.number).length;
    second.kill('SIGCONT');
    await actsNow(second).toMatchObject({ acts: false });
    expect(stage.acts.filter(({ replica }) => replica === second.number)).toHaveLength(before);

    await third.cut();
    const fourth = await follows(third, 'no network');
    await third.mend();
    await actsNow(third).toMatchObject({ acts: false });

    fourth.kill('SIGTERM');
    expect((await fourth.program().ended).code).toBe(0);
    await follows(fourth, 'SIGTERM');

    await expect.poll(() => world.tags(NEW), PATIENCE).toEqual(['c9s-blocked']);
    expect(await stage.violations()).toEqual([]);
    expect(new Set(stage.acts.map(({ what }) => what))).toContain('tagBuild');
  });
});
