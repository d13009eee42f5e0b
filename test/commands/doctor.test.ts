import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type Check, doctor, examine } from '../../src/commands/doctor.ts';
import type { Config } from '../../src/config/config.ts';
import type { Gate } from '../../src/core/model.ts';
import { loadScenario, type Scenario } from '../../src/sim/scenario.ts';
import { serveWorld } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { GATE, SMALL } from '../scenarios/stage.ts';
import { RABBIT_URL, rabbit } from '../services.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

interface SetUp {
  readonly gate?: Partial<Gate>;
  readonly koji?: Partial<Config['koji']>;
  readonly rest?: Partial<Config>;
  readonly scenario?: (small: Scenario) => Scenario;
  readonly before?: (world: World) => void;
}

async function configFor({ gate, koji, rest, scenario, before }: SetUp): Promise<Config> {
  const small = loadScenario(SMALL);
  const world = createWorld(scenario?.(small) ?? small);
  before?.(world);
  const server = await serveWorld(world);
  closers.push(server.close);
  return {
    koji: {
      server: server.url,
      authtype: 'password',
      user: 'kmod-gate',
      password: 'gate-password',
      timeout: 2_000,
      ...koji,
    },
    store: { url: `sqlite:${join(tmpdir(), 'kmod-gate-test-not-there.db')}` },
    sweep: { every: 1_000, poll: 1_000, settle: 1_000 },
    gates: [{ ...GATE, ...gate }],
    ...rest,
  };
}

/** What is wrong, with its mend. */
async function wrongs(setUp: SetUp): Promise<string[]> {
  const checks = await examine(await configFor(setUp));
  return checks
    .filter(({ status }) => status === 'wrong')
    .map(({ area, what, mend }) => `${area}: ${what} | ${mend}`);
}

const withTag =
  (name: string, change: Partial<Scenario['tags'][number]>) =>
  (scenario: Scenario): Scenario => ({
    ...scenario,
    tags: scenario.tags.map((tag) => (tag.name === name ? { ...tag, ...change } : tag)),
  });

const noRabbit = !(await rabbit());

describe('doctor', () => {
  test('finds nothing wrong with a healthy set-up, and tells what it cannot tell', async () => {
    const checks = await examine(await configFor({}));
    expect(checks.filter(({ status }) => status === 'wrong')).toEqual([]);
    const told = checks.map(({ status, area, what }) => `${status} ${area}: ${what}`);
    expect(told).toContain('ok hub: logged in as kmod-gate');
    expect(told).toContain(
      'ok gate c9s: target kmods9s-gate builds in kmods9s-build, which inherits from c9s-gate',
    );
    expect(told).toContain('ok gate c9s: 3 kmods in kmods9s-release: kmod-alpha, kmod-beta, kmod-gamma');
    expect(told).toContain("unsure gate c9s: whether the hub's tag policy lets the gate tag and untag");
    expect(told).toContain('unsure bus: none is configured');
  });

  test.each<[string, SetUp, RegExp]>([
    [
      'a tag that is not there',
      { gate: { on_pass: { tag: ['c9s-nowhere'], untag: [] } } },
      /^gate c9s: tag c9s-nowhere: .*\| koji add-tag c9s-nowhere/,
    ],
    [
      'a locked tag',
      { gate: { on_pass: { tag: ['c9s-frozen'], untag: ['c9s-gate'] } } },
      /^gate c9s: tag c9s-frozen is locked \| koji edit-tag --unlock c9s-frozen/,
    ],
    [
      'a package that is not listed',
      { gate: { on_pass: { tag: ['kmods9s-release'], untag: [] } } },
      /^gate c9s: package kernel is not listed in kmods9s-release \| koji add-pkg/,
    ],
    [
      'no such target',
      { gate: { build: { ...GATE.build, target: 'nope' } } },
      /^gate c9s: target nope: .*No such build target: nope.* \| koji add-target/,
    ],
    [
      'a build tag that does not see the kernel',
      { scenario: withTag('kmods9s-build', { inherits: [] }) },
      /which does not inherit from c9s-gate \| koji add-tag-inheritance kmods9s-build c9s-gate/,
    ],
    [
      'no kmod',
      { gate: { kmods: { ...GATE.kmods, include: ['akmod-*'] } } },
      /none of the 3 packages in kmods9s-release is a kmod of the gate \| tag kmod builds/,
    ],
    ['a wrong password', { koji: { password: 'wrong' } }, /^hub: .*login.* \| check user and password/],
    ['no login', { koji: { authtype: 'noauth' } }, /^hub: no login \| set user and password/],
    [
      'an outage',
      { before: (world) => world.offline('database upgrade') },
      /^hub: .*database upgrade.*\| check koji.server.*the gates were not checked/,
    ],
    [
      'a store that cannot be made',
      { rest: { store: { url: 'sqlite:/no/such/folder/gate.db' } } },
      /^store: .*\| name a file in a folder/,
    ],
  ])('%s is wrong, and what mends it is said', async (_, setUp, expected) => {
    const found = await wrongs(setUp);
    expect(found.filter((line) => expected.test(line))).toHaveLength(1);
    expect(found.filter((line) => !expected.test(line) && !line.includes('no access to'))).toEqual([]);
  });

  test('a broker that does not answer is wrong', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => closed.once('listening', resolve));
    const { port } = closed.address() as { port: number };
    await new Promise((resolve) => closed.close(resolve));
    const bus = {
      url: `amqp://127.0.0.1:${port}`,
      exchange: 'amq.topic',
      queue: 'q',
      bindings: ['#'],
      prefetch: 1,
    };
    expect(await wrongs({ rest: { bus } })).toEqual([
      expect.stringMatching(/^bus: .*ECONNREFUSED.* \| check \[bus\]/),
    ]);
  });

  test.skipIf(noRabbit)(
    'a broker that answers is fine, an exchange that it does not have is wrong',
    async () => {
      const bus = { url: RABBIT_URL, exchange: 'amq.topic', queue: 'q', bindings: ['#'], prefetch: 1 };
      expect(await wrongs({ rest: { bus } })).toEqual([]);
      expect(await wrongs({ rest: { bus: { ...bus, exchange: 'kmod-gate-not-there' } } })).toHaveLength(1);
    },
  );

  test('prints a line each with a mark and the mend below it, or JSON', async () => {
    const config = await configFor({ gate: { build: { ...GATE.build, target: 'nope' } } });
    let text = '';
    const write = (more: string) => {
      text += more;
    };
    const output = { write, colour: false };
    expect(await doctor(config, output, false)).toBe(false);
    expect(text).toMatch(/^✓ hub: Koji 1\.35\.3 at /);
    expect(text).toMatch(/^✗ gate c9s: target nope: .*\n {4}koji add-target, or mend build.target$/m);
    text = '';
    await doctor(config, output, true);
    const { checks }: { checks: Check[] } = JSON.parse(text);
    expect(checks.find(({ status }) => status === 'wrong')).toMatchObject({ area: 'gate c9s' });
  });
});
