/** What a gate says and does when it starts. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { type RunningGate, startGate } from '../../src/commands/gate.ts';
import type { Config } from '../../src/config/config.ts';
import { loadScenario, type Scenario } from '../../src/sim/scenario.ts';
import { serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { GATE, SMALL } from '../scenarios/stage.ts';
import { makeHistory, runOf } from '../store/history.ts';

let server: WorldServer;
let gate: RunningGate;
afterEach(async () => {
  await gate.stop();
  await server.close();
});

/** Start a gate before a hub, and hear its log. */
async function start(
  hub: Partial<Scenario['hub']>,
  before: (world: World) => void = () => {},
  password = 'gate-password',
  store: Config['store'] = { url: 'sqlite::memory:' },
) {
  const small = loadScenario(SMALL);
  const world = createWorld({ ...small, hub: { ...small.hub, ...hub } });
  before(world);
  server = await serveWorld(world);
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line).msg) });
  gate = await startGate(
    {
      koji: {
        server: server.url,
        authtype: 'password',
        user: 'kmod-gate',
        password,
        timeout: 2_000,
      },
      store,
      sweep: { every: 3_600_000, poll: 3_600_000, settle: 1_000 },
      gates: [GATE],
    },
    { log },
  );
  return lines;
}

test('a gate says which Koji it is, what it has, and what is done instead of what it lacks', async () => {
  const lines = await start({ version: '1.28.1', lacks: ['repo.request', 'createSideTag'] });
  await expect.poll(() => lines).toContain('Koji 1.28.1');
  expect(lines).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^no repo\.request: repo = "pin" waits/),
      expect.stringMatching(/^no session headers: /),
      expect.stringMatching(/^no side tags: /),
    ]),
  );
});

test('a hub that is offline at the start stops nothing', async () => {
  const lines = await start({}, (world) => world.offline('database upgrade'));
  await expect.poll(() => lines).toContain('the hub does not answer yet');
});

test('a gate says at the start who it is, or that it cannot log in', async () => {
  const lines = await start({});
  await expect.poll(() => lines).toContain('logged in as kmod-gate');
  await gate.stop();
  await server.close();
  const failing = await start({}, () => {}, 'wrong');
  await expect.poll(() => failing).toContain('cannot log in: nothing can be built or tagged');
});

test('a gate takes away what its store need not keep', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'gate.db');
  await makeHistory(path, { closed: 9, live: 0, kmods: 2 });
  await start({}, () => {}, 'gate-password', { url: `sqlite:${path}`, keep: 86_400_000 });
  const pruned = async (n: number) => (await gate.store.prunedAt(runOf(n))) !== null;
  await expect.poll(() => pruned(8)).toBe(true);
  expect(await pruned(9)).toBe(false);
});
