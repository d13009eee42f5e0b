/** A running gate is given another configuration; one that looks once; and a reader whose disk is full. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadScenario } from '../../src/sim/scenario.ts';
import { serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { NEW, SMALL } from '../scenarios/stage.ts';
import { fileOf, gateConfig, type Program, runProgram, start } from './program.ts';

let folder: string;
let config: string;
let world: World;
let server: WorldServer;
let program: Program | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  config = join(folder, 'kmod-gate.toml');
  world = createWorld(loadScenario(SMALL));
  server = await serveWorld(world);
  writeFileSync(config, gateConfig(server.url, folder));
});
afterEach(async () => {
  program?.child.kill('SIGKILL');
  await program?.ended;
  program = undefined;
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('at SIGHUP', () => {
  const said = { out: '', log: '' };
  const observing = () => gateConfig(server.url, folder).replace('watch =', 'mode = "observe"\nwatch =');
  async function launch(): Promise<Program> {
    Object.assign(said, { out: '', log: '' });
    const begun = start(['run', '--config', config, '--log', 'json']);
    program = begun;
    begun.child.stdout?.on('data', (chunk) => {
      said.out += chunk;
    });
    begun.child.stderr?.on('data', (chunk) => {
      said.log += chunk;
    });
    await expect.poll(() => said.out, { timeout: 60_000 }).toContain('kmod-gate runs');
    return begun;
  }
  const reload = (text: string) => {
    writeFileSync(config, text);
    program?.child.kill('SIGHUP');
  };
  const starts = () => said.out.split('kmod-gate runs').length - 1;

  test('the gate goes on with what the file says now, and tells what that is', async () => {
    const begun = await launch();
    reload(observing());
    await expect.poll(starts, { timeout: 60_000 }).toBe(2);
    expect(said.log).toMatch(/configuration: \+ .*observe/);
    world.completeKernel(NEW, { tag: 'c9s-gate' });
    await expect
      .poll(() => said.out, { timeout: 60_000 })
      .toMatch(new RegExp(`${NEW} +stands before the gate`));
    begun.child.kill('SIGTERM');
    expect((await begun.ended).code).toBe(0);
    expect(said.out).toMatch(/kmod-gate stopped/);
  });

  test('a file that cannot be used changes nothing: its mistakes are told', async () => {
    const begun = await launch();
    reload(gateConfig(server.url, folder).replace('watch =', 'wacth ='));
    await expect.poll(() => said.log, { timeout: 60_000 }).toMatch(/the old one goes on: .*wacth/);
    reload(gateConfig(server.url, folder));
    await expect.poll(() => said.log, { timeout: 60_000 }).toContain('and is the same');
    expect(starts()).toBe(1);
    begun.child.kill('SIGTERM');
    expect((await begun.ended).code).toBe(0);
  });

  test('where no gate starts with the new file, the old one goes on', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    try {
      await launch();
      reload(`${gateConfig(server.url, folder)}\n[http]\nlisten = "127.0.0.1:${port}"\n`);
      await expect.poll(starts, { timeout: 60_000 }).toBe(2);
      expect(said.log).toMatch(/another program listens there/);
      world.completeKernel(NEW, { tag: 'c9s-gate' });
      await expect
        .poll(() => said.out, { timeout: 60_000 })
        .toMatch(new RegExp(`${NEW} +stands before the gate`));
    } finally {
      other.close();
    }
  });
});

describe('run --once', () => {
  const look = () => runProgram('run', '--once', '--config', config);

  test('does what there is to do, and the next one goes on from there', async () => {
    world.completeKernel(NEW, { tag: 'c9s-gate' });
    for (let looks = 0; looks < 60 && world.tags(NEW).includes('c9s-gate'); looks++) {
      const { code, stderr } = await look();
      expect([code, stderr]).toEqual([0, expect.anything()]);
      world.tick(300_000);
    }
    expect(world.tags(NEW)).toEqual(['c9s-blocked']);
  }, 120_000);

  test('says no where the hub does not answer', async () => {
    writeFileSync(config, gateConfig('http://127.0.0.1:1/kojihub', folder));
    const { code, stderr } = await look();
    expect(code).toBe(2);
    expect(stderr).toMatch(/hub/);
  });

  test('leaves alone what another process gates', async () => {
    program = start(['run', '--config', config]);
    await expect.poll(() => existsSync(join(folder, 'kmod-gate.db')), { timeout: 60_000 }).toBe(true);
    await expect.poll(async () => (await look()).code, { timeout: 60_000 }).toBe(2);
  });
});

test.runIf(existsSync('/dev/full'))('what cannot be written for want of space is not fine', async () => {
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, [fileOf('dist/main.js'), 'help'], {
    stdio: ['ignore', full, 'pipe'],
  });
  let told = '';
  child.stderr?.on('data', (chunk) => {
    told += chunk;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  expect(code).toBe(2);
  expect(told).toMatch(/^standard output cannot be written: ENOSPC/);
});
