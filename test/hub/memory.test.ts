/** The acceptance suite on the hub in memory: what any hub is asked is asked here at each `npm test`. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Gate } from '../../src/core/model.ts';
import { loadScenario, type Scenario } from '../../src/sim/scenario.ts';
import { serveWorld } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { GATE, NEW, OLD, SMALL } from '../scenarios/stage.ts';
import { acceptance } from './acceptance.ts';
import type { Subject } from './subject.ts';

const MINUTE = 60_000;
/** Simulated time runs this much faster than the clock on the wall. */
const SPEED = 100;
const TICK = 20;

/** A hub on which builds have closed, failed and been cancelled, with a side tag, and a kernel before the gate. */
function livedInWorld(change = (small: Scenario) => small): World {
  const world = createWorld(change(loadScenario(SMALL)));
  world.completeKernel(NEW, { tag: GATE.watch });
  const gate = world.as('kmod-gate');
  const build = (path: string, kmod: string) => {
    const source = `../packages/${path}/src/${kmod}.src.rpm`;
    return gate.call('build', source, GATE.build.target, { scratch: true, wait_builds: [NEW] });
  };
  build('kmod-alpha/1.0/1.el9', 'kmod-alpha-1.0-1.el9');
  build('kmod-gamma/0.8/1.el9', 'kmod-gamma-0.8-1.el9');
  world.tick(10 * MINUTE);
  gate.call('cancelTask', build('kmod-beta/2.1/3.el9', 'kmod-beta-2.1-3.el9'));
  gate.call('createSideTag', 'kmods9s-build');
  return world;
}

async function serve(world: World): Promise<Pick<Subject, 'koji' | 'complete'>> {
  const server = await serveWorld(world);
  afterAll(() => server.close());
  const login = { authtype: 'password', user: 'kmod-gate', password: 'gate-password' } as const;
  return { koji: { server: server.url, ...login, timeout: 5_000 }, complete: true };
}

const quiet = () => {};

describe('read-only', async () => {
  const world = livedInWorld();
  /** All that the hub keeps, but for sessions. */
  const kept = () => {
    const { scenario: _, sessions: __, wrote: ___, ...tables } = world.state;
    return structuredClone(tables);
  };
  const before = kept();
  acceptance({ ...(await serve(world)), gate: GATE }, quiet);
  test('the hub is left as it was', () => expect(kept()).toEqual(before));
});

interface Case {
  readonly gate?: Partial<Gate>;
  readonly scenario?: (small: Scenario) => Scenario;
  /** Where the kernel must be in the end. */
  readonly tags: readonly string[];
}

const withoutGamma = { ...GATE.kmods, exclude: ['kmod-gamma'] };
const sidetag = { ...GATE.build, repo: 'sidetag' } as const;
const pin = { ...GATE.build, repo: 'pin' } as const;
const pinnedToOld = (small: Scenario): Scenario => ({
  ...small,
  kmods: small.kmods.map((kmod) => (kmod.name === 'kmod-beta' ? { ...kmod, pins: OLD } : kmod)),
});

describe('a whole run', () => {
  describe.each<[string, Case]>([
    ['blocks', { tags: ['c9s-blocked'] }],
    ['blocks, with a repo that builds name', { gate: { build: pin }, tags: ['c9s-blocked'] }],
    ['spares what loads as it is', { gate: { strategy: 'symbols-then-rebuild' }, tags: ['c9s-blocked'] }],
    ['builds nothing', { gate: { strategy: 'symbols', build: null }, tags: ['c9s-blocked'] }],
    ['passes', { gate: { kmods: withoutGamma, build: sidetag }, tags: ['c9s-candidate'] }],
    ['holds', { gate: { kmods: withoutGamma, build: sidetag }, scenario: pinnedToOld, tags: ['c9s-gate'] }],
  ])('that %s', async (_, { gate, scenario, tags }) => {
    const world = livedInWorld(scenario);
    let clock: NodeJS.Timeout;
    beforeAll(() => {
      clock = setInterval(() => world.tick(TICK * SPEED), TICK);
    });
    afterAll(() => clearInterval(clock));
    const write = { sweep: { every: 300, poll: 300, settle: 500 }, patience: 20_000 };
    acceptance({ ...(await serve(world)), gate: { ...GATE, ...gate }, write }, quiet);
    test('the kernel is where it should be', () => expect(world.tags(NEW)).toEqual(tags));
  });
});
