/** Hubs in memory and configurations for them, for the tests of doctor. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Check } from '../../src/commands/doctor/check.ts';
import { examine } from '../../src/commands/doctor.ts';
import type { Config } from '../../src/config/config.ts';
import type { Gate } from '../../src/core/model.ts';
import { loadScenario, type Scenario } from '../../src/sim/scenario.ts';
import { type ServeOptions, serveWorld } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { GATE, SMALL } from '../scenarios/stage.ts';

/** What a hub and a configuration have other than healthy ones. */
export interface SetUp {
  readonly gate?: Partial<Gate>;
  readonly koji?: Partial<Config['koji']>;
  readonly rest?: Partial<Config>;
  readonly scenario?: (small: Scenario) => Scenario;
  /** What the hub's clock shows when `before` happens to it; its Date header is right whatever this says. */
  readonly now?: number;
  readonly before?: (world: World) => void;
  readonly serve?: ServeOptions;
  readonly listen?: number;
}

export const ADMIN = { user: 'kojiadmin', password: 'admin-password' };

const closers: (() => Promise<void>)[] = [];

/** Call it after each test. */
export async function closeHubs(): Promise<void> {
  for (const close of closers.splice(0)) await close();
}

/** The configuration, and the hub that it is about. */
export async function configFor({ gate, koji, rest, scenario, now, before, serve }: SetUp): Promise<Config> {
  const small = loadScenario(SMALL);
  const world = createWorld(scenario?.(small) ?? small, now === undefined ? {} : { now });
  before?.(world);
  const server = await serveWorld(world, serve);
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

/** `STATUS AREA: WHAT | MEND` of each line. */
export async function linesOf(setUp: SetUp): Promise<string[]> {
  const { listen = 0 } = setUp;
  const checks = await examine(await configFor(setUp), { listen });
  const line = ({ status, area, what, mend }: Check) =>
    `${status} ${area}: ${what}${mend ? ` | ${mend}` : ''}`;
  return checks.map(line);
}

/** The same of what is wrong, without the status. */
export async function wrongs(setUp: SetUp): Promise<string[]> {
  const lines = await linesOf(setUp);
  return lines.filter((line) => line.startsWith('wrong ')).map((line) => line.slice('wrong '.length));
}

/** A change of one tag of the scenario. */
export const withTag =
  (name: string, change: Partial<Scenario['tags'][number]>) =>
  (scenario: Scenario): Scenario => ({
    ...scenario,
    tags: scenario.tags.map((tag) => (tag.name === name ? { ...tag, ...change } : tag)),
  });

/** The hub before repos were made when asked for. */
export const withKojira = (scenario: Scenario): Scenario => ({
  ...scenario,
  hub: { version: '1.34.1', lacks: ['repo.request', 'tagLastChangeEvent'] },
});
