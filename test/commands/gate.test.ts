/** What a gate says when it starts. */
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { type RunningGate, startGate } from '../../src/commands/gate.ts';
import { loadScenario, type Scenario } from '../../src/sim/scenario.ts';
import { serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { GATE, SMALL } from '../scenarios/stage.ts';

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
      store: { url: 'sqlite::memory:' },
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
  await expect.poll(() => failing).toContain('cannot log in');
});
