/** A real process, killed with SIGKILL in the middle of a run and started again. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadScenario } from '../../src/sim/scenario.ts';
import { type Mishap, serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { GATE, NEW, SMALL } from '../scenarios/stage.ts';
import { gateConfig, type Program, runProgram, start } from './program.ts';

const SPEED = 60;
const TICK = 20;

describe('kill -9', () => {
  let folder: string;
  let config: string;
  let world: World;
  let server: WorldServer;
  let clock: NodeJS.Timeout;
  let program: Program;
  /** What the hub does to a request; set by each test. */
  let mishap: (method: string, inner: readonly string[]) => Mishap;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
    config = join(folder, 'kmod-gate.toml');
    world = createWorld(loadScenario(SMALL));
    mishap = () => 'none';
    server = await serveWorld(world, {
      faults: (method) => mishap(method, server.requests.at(-1)?.inner ?? []),
    });
    clock = setInterval(() => world.tick(TICK * SPEED), TICK);
    writeFileSync(config, gateConfig(server.url, folder));
    launch();
  });
  afterEach(async () => {
    program.child.kill('SIGKILL');
    await program.ended;
    clearInterval(clock);
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  function launch(): void {
    program = start(['run', '--config', config]);
  }

  async function killAndRestart(): Promise<void> {
    program.child.kill('SIGKILL');
    expect((await program.ended).signal).toBe('SIGKILL');
    mishap = () => 'none';
    launch();
  }

  const scratchBuilds = () =>
    world
      .tasks()
      .filter(
        ({ method, parent, request }) =>
          method === 'build' && !parent && JSON.stringify(request).includes('"scratch":true'),
      );

  async function endsRight(): Promise<void> {
    await expect.poll(() => world.tags(NEW), { timeout: 60_000, interval: 50 }).toEqual(['c9s-blocked']);
    const kmods = world.state.scenario.kmods.map(({ nvr }) => nvr);
    // One of each kmod, and of the broken one another, against the baseline.
    expect(scratchBuilds()).toHaveLength(kmods.length + 1);
    await expect
      .poll(
        async () =>
          JSON.parse((await runProgram('explain', NEW, '--json', '--config', config)).stdout).runs[0].status,
        { timeout: 60_000 },
      )
      .toBe('done');
  }

  test('while scratch builds run', async () => {
    world.completeKernel(NEW, { tag: GATE.watch });
    await expect.poll(() => scratchBuilds().length, { timeout: 60_000, interval: 20 }).toBeGreaterThan(0);
    await killAndRestart();
    await endsRight();
  });

  test.each(['build', 'tagBuild'])('after %s was carried out, before its reply is known', async (wanted) => {
    let lost = false;
    mishap = (method, inner) => {
      if (lost || !(method === wanted || inner.includes(wanted))) return 'none';
      lost = true;
      program.child.kill('SIGKILL');
      return 'drop-after';
    };
    world.completeKernel(NEW, { tag: GATE.watch });
    await expect.poll(() => lost, { timeout: 60_000, interval: 20 }).toBe(true);
    await killAndRestart();
    await endsRight();
  });

  test('a second gate on the same store is refused while the first runs', async () => {
    await expect.poll(() => server.requests.length, { timeout: 60_000 }).toBeGreaterThan(0);
    const second = await runProgram('run', '--config', config);
    expect(second.stderr).toContain('another kmod-gate uses this store');
    expect(second.code).toBe(2);
  });

  test('SIGTERM ends it in order', async () => {
    await expect.poll(() => server.requests.length, { timeout: 60_000 }).toBeGreaterThan(0);
    program.child.kill('SIGTERM');
    const { code, stdout } = await program.ended;
    expect(stdout).toContain('kmod-gate stopped');
    expect(code).toBe(0);
  });
});
