/** The built program, killed between a verdict and its publication, and started again. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadScenario } from '../../src/sim/scenario.ts';
import { serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { openStore } from '../../src/store/open.ts';
import { openProxy, type TcpProxy } from '../bus/helpers.ts';
import { gateConfig, type Program, start } from '../commands/program.ts';
import { GATE, NEW, SMALL } from '../scenarios/stage.ts';
import { RABBIT_URL, rabbit } from '../services.ts';
import { mistakes, subscribe } from './receive.ts';

const SPEED = 60;
const TICK = 20;

describe.skipIf(!(await rabbit()))('kill -9 between verdict and publication', () => {
  const exchange = `kmod-gate-test-${randomUUID()}`;
  const { hostname, port } = new URL(RABBIT_URL);
  const broker = { host: hostname, port: Number(port || 5672) };
  let folder: string;
  let config: string;
  let world: World;
  let server: WorldServer;
  let clock: NodeJS.Timeout;
  let program: Program;
  let proxy: TcpProxy;
  let bus: Awaited<ReturnType<typeof subscribe>>;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
    config = join(folder, 'kmod-gate.toml');
    world = createWorld(loadScenario(SMALL));
    server = await serveWorld(world);
    clock = setInterval(() => world.tick(TICK * SPEED), TICK);
    bus = await subscribe(exchange);
    proxy = await openProxy(broker);
    const url = new URL(RABBIT_URL);
    url.host = `127.0.0.1:${proxy.port}`;
    writeFileSync(
      config,
      `${gateConfig(server.url, folder)}
[messages]
url = "${url.href}"
exchange = "${exchange}"
[messages.contact]
team = "Kernel gating"
docs = "https://gate.example.org/docs"
email = "gate@example.org"
`,
    );
    program = start(['run', '--config', config]);
  });
  afterEach(async () => {
    program.child.kill('SIGKILL');
    await program.ended;
    clearInterval(clock);
    await proxy.close();
    await bus.close();
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What another reader sees in the file. */
  async function recorded(): Promise<{ verdict: string | undefined; waiting: number }> {
    const store = await openStore(`sqlite:${join(folder, 'kmod-gate.db')}`, { mode: 'read' });
    const [run] = await store.runs(1);
    const [counts] = await store.outboxCounts();
    await store.close();
    return { verdict: run?.verdict?.verdict, waiting: counts?.waiting ?? 0 };
  }

  // Four processes start, on a machine that has other work.
  test('published once after the restart', { timeout: 120_000 }, async () => {
    world.completeKernel(NEW, { tag: GATE.watch });
    await expect.poll(() => bus.said(), { timeout: 40_000 }).toEqual(['queued', 'running']);
    // The broker is gone when the verdict comes.
    await proxy.close();
    await expect.poll(() => recorded(), { timeout: 40_000 }).toMatchObject({ verdict: 'block' });
    program.child.kill('SIGKILL');
    expect((await program.ended).signal).toBe('SIGKILL');
    expect(bus.received).toHaveLength(2);

    proxy = await openProxy(broker, proxy.port);
    program = start(['run', '--config', config]);
    await expect.poll(() => bus.received.length, { timeout: 40_000 }).toBe(6);
    await expect.poll(() => recorded(), { timeout: 40_000 }).toMatchObject({ waiting: 0 });
    // A third process finds nothing more to say.
    program.child.kill('SIGTERM');
    expect((await program.ended).code).toBe(0);
    program = start(['run', '--config', config]);
    const before = server.requests.length;
    await expect.poll(() => server.requests.length, { timeout: 40_000 }).toBeGreaterThan(before + 3);

    expect(bus.said()).toEqual([
      ...['queued', 'running', 'complete failed'],
      ...['complete kmod-alpha passed', 'complete kmod-beta passed', 'complete kmod-gamma failed'],
    ]);
    expect(new Set(bus.received.map(({ id }) => id)).size).toBe(6);
    for (const { topic, body } of bus.received) expect(mistakes(topic, body)).toEqual([]);
  });
});
