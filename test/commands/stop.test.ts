/** A gate that is told to stop, whatever hangs. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { endInTurn } from '../../src/commands/ending.ts';
import { startGate } from '../../src/commands/gate.ts';
import { openStore } from '../../src/store/open.ts';
import { memoryLog } from '../bus/helpers.ts';
import { GATE } from '../scenarios/stage.ts';
import { fileOf, gateConfig, type Program, start } from './program.ts';

const never = () => new Promise<never>(() => {});

describe('parts that end in turn', () => {
  test('are waited for, each before the next', async () => {
    const order: string[] = [];
    const part = (name: string) => ({
      what: () => name,
      end: async () => {
        order.push(`${name} begins`);
        await new Promise((resolve) => setImmediate(resolve));
        order.push(`${name} ends`);
      },
    });
    expect(await endInTurn([part('a'), part('b')], 60_000)).toEqual([]);
    expect(order).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  });

  test('are left where they never end; those after them still end', async () => {
    const ended: string[] = [];
    const left = await endInTurn(
      [
        { what: () => 'two answers', end: never },
        { what: () => 'the bus', end: never },
        { what: () => 'the store', end: async () => void ended.push('store') },
      ],
      10,
    );
    expect(left).toEqual(['two answers', 'the bus']);
    expect(ended).toEqual(['store']);
  });

  test('fail as the one that is waited for fails', async () => {
    const end = () => Promise.reject(new Error('no space'));
    await expect(endInTurn([{ what: () => 'a', end }], 60_000)).rejects.toThrow('no space');
  });
});

describe('before a hub that never answers', () => {
  let folder: string;
  let hub: Server;
  let sockets: Socket[];
  let asked: Promise<void>;
  let program: Program | undefined;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
    sockets = [];
    asked = new Promise((resolve) => {
      hub = createServer((socket) => {
        sockets.push(socket);
        socket.on('error', () => {}).once('data', () => resolve());
      });
    });
    await new Promise<void>((resolve) => hub.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    program?.child.kill('SIGKILL');
    await program?.ended;
    program = undefined;
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => hub.close(resolve));
    rmSync(folder, { recursive: true });
  });
  const server = () => `http://127.0.0.1:${(hub.address() as AddressInfo).port}/kojihub`;

  /** A gate that has asked the hub, and waits for ten minutes. */
  async function launch(
    within: string,
    ...more: string[]
  ): Promise<{ begun: Program; said: { log: string } }> {
    const config = join(folder, 'kmod-gate.toml');
    const text = gateConfig(server(), folder).replace('timeout = "1s"', 'timeout = "10m"');
    writeFileSync(config, `${text}\n[run]\nstop_within = "${within}"\n`);
    const begun = start(['run', '--config', config, '--log', 'json', ...more]);
    program = begun;
    const said = { log: '' };
    begun.child.stderr?.on('data', (chunk) => {
      said.log += chunk;
    });
    await asked;
    return { begun, said };
  }

  test.each([[[]], [['--once']]])('one signal ends it, and its store is let go: %j', async (more) => {
    const { begun, said } = await launch('1s', ...more);
    begun.child.kill('SIGTERM');
    const { code, signal } = await begun.ended;
    // Asked once, a hub that did not answer is what `--once` has to tell.
    expect([code, signal]).toEqual([more.length > 0 ? 2 : 0, null]);
    expect(said.log).toContain('stopping: what is in hand is finished, within 1 s');
    await (await openStore(`sqlite:${join(folder, 'kmod-gate.db')}`, { mode: 'write' })).close();
  });

  test('a second signal, of another kind, ends it at once', async () => {
    const { begun, said } = await launch('1m');
    begun.child.kill('SIGTERM');
    await expect.poll(() => said.log, { timeout: 60_000, interval: 1 }).toContain('stopping:');
    begun.child.kill('SIGINT');
    expect((await begun.ended).code).toBe(1);
  });

  test('what was not waited for is in the log', async () => {
    const { log, lines } = memoryLog();
    const gate = await startGate(
      {
        koji: { server: server(), authtype: 'password', user: 'u', password: 'p', timeout: 600_000 },
        store: { url: `sqlite:${join(folder, 'gate.db')}` },
        sweep: { every: 60_000, poll: 60_000, settle: 1_000 },
        ...{ stopWithin: 10, gates: [GATE] },
      },
      {
        log,
        subscribe: () => ({
          state: () => ({
            connected: true,
            since: 0,
            reconnects: 0,
            received: 0,
            hints: 0,
            ignored: 0,
            undecodable: 0,
          }),
          ready: Promise.resolve(),
          close: never,
        }),
      },
    );
    await asked;
    await Promise.all([gate.stop(), gate.stop()]);
    const warnings = lines.map((line) => JSON.parse(line)).filter(({ left }) => left);
    expect(warnings).toHaveLength(1);
    expect(warnings[0].msg).toMatch(/did not wait for: .*the bus.*the next start goes on from the store/);
    // The store is let go all the same.
    await (await openStore(`sqlite:${join(folder, 'gate.db')}`, { mode: 'write' })).close();
  });
});

test('systemd and Kubernetes wait longer than a stop takes', () => {
  const unit = readFileSync(fileOf('deploy/systemd/kmod-gate.service'), 'utf8');
  const pod = readFileSync(fileOf('deploy/kubernetes/base/deployment.yaml'), 'utf8');
  const example = readFileSync(fileOf('config/kmod-gate.toml'), 'utf8');
  const [within, unitWaits, podWaits] = [
    /^stop_within = "(\d+)s"$/m.exec(example),
    /^TimeoutStopSec=(\d+)$/m.exec(unit),
    /terminationGracePeriodSeconds: (\d+)$/m.exec(pod),
  ].map((found) => Number(found?.[1]));
  expect(Number(unitWaits)).toBeGreaterThan(Number(within));
  expect(Number(podWaits)).toBeGreaterThan(Number(within));
});
