/** One seed draws a whole world: a Koji, gates before it, what will happen in it, and how rough it gets. */
import type { Building, Gate, Policy, Strategy } from '../../src/core/model.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import { type Kernel, type Kmod, type Rule, type Scenario, splitNvr } from '../../src/sim/scenario.ts';
import type { Random } from './random.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Something that happens at a time of its own. */
export interface Happening {
  readonly at: number;
  readonly what:
    | { readonly kind: 'kernel'; readonly nvr: string; readonly tag: string }
    | { readonly kind: 'person' }
    /** The gate's machine gets another time: so many ms later, or earlier. */
    | { readonly kind: 'set-clock'; readonly by: number }
    | { readonly kind: Trouble | Relief | 'expire' | 'restart-hub' | 'restart-builders' | 'kill' };
}

/**
 * What begins and goes on, and what ends it. `cut-bus`: messages wait in the queue. `delete-queue`: those that wait and
 * those that come are lost. `block-broker`: the hub keeps its messages. `stick-repos`: nobody makes any. `break-repos`:
 * none can be made. `stop-builders`: nothing is built. `fill-disk`: nothing more is written to the store.
 */
export const TROUBLES = {
  offline: 'online',
  'cut-bus': 'join-bus',
  'delete-queue': 'declare-queue',
  'block-broker': 'free-broker',
  'stick-repos': 'free-repos',
  'break-repos': 'mend-repos',
  'stop-builders': 'start-builders',
  'fill-disk': 'free-disk',
} as const;
type Trouble = keyof typeof TROUBLES;
type Relief = (typeof TROUBLES)[Trouble];

/** How likely things go wrong while the storm lasts; 0 to 1. */
export interface Weather {
  /** Of a request: it does not arrive, its reply is lost or cut, a proxy answers, it arrives too late, it takes long. */
  readonly request: number;
  /** Of a message: lost, repeated, late; and garbage beside it. */
  readonly message: number;
  /** Of a write to the store: it fails. */
  readonly store: number;
  /** Of a call or a write: the process is killed before or after it. */
  readonly kill: number;
  /** Of a time when no process runs: the machine's clock is another one after it. */
  readonly clock: number;
}

/** All that a seed decides before the play begins. */
export interface Drawn {
  readonly scenario: Scenario;
  readonly gates: readonly Gate[];
  readonly pace: { readonly every: number; readonly poll: number; readonly settle: number };
  readonly happenings: readonly Happening[];
  readonly weather: Weather;
  /** When faults stop, in ms after the start. */
  readonly stormEnds: number;
}

export const GATE_USER = 'kmod-gate';
export const PERSON = 'release-manager';
const SYMBOLS = Array.from({ length: 6 }, (_, i) => `sym_${i}`);

export function draw(random: Random): Drawn {
  const kernels = drawKernels(random.fork('kernels'));
  const arches = random.pick([['x86_64'], ['x86_64'], ['x86_64', 'aarch64']]);
  const kmods = drawKmods(random.fork('kmods'), kernels);
  const gates = drawGates(random.fork('gates'), arches);
  const scenario = drawScenario(random.fork('scenario'), { kernels, kmods, arches, gates });
  const stormEnds = random.int(1, 8) * HOUR;
  const weather = drawWeather(random.fork('weather'));
  return {
    scenario,
    gates,
    pace: {
      every: random.int(20, 180) * MINUTE,
      poll: random.chance(0.3) ? random.int(2, 8) * MINUTE : random.int(10, 60) * MINUTE,
      settle: random.int(1, 3) * MINUTE,
    },
    happenings: drawHappenings(random.fork('happenings'), { kernels, gates, stormEnds, rough: weather }),
    weather,
    stormEnds,
  };
}

function drawKernels(random: Random): Kernel[] {
  const count = random.int(2, 4);
  let crcs = new Map(SYMBOLS.map((name) => [name, random.int(1, 2 ** 31)]));
  return Array.from({ length: count }, (_, i): Kernel => {
    if (i > 0) {
      const gone = random.some([...crcs.keys()], 0.1);
      crcs = new Map(
        [...crcs]
          .filter(([name]) => !gone.includes(name) || crcs.size === 1)
          .map(([name, crc]) => [name, random.chance(0.25) ? random.int(1, 2 ** 31) : crc]),
      );
    }
    const symbols = [...crcs].map(([name, crc], n) => ({ name, crc: hex(crc), vmlinux: n % 2 === 0 }));
    return {
      ...splitNvr(`kernel-6.${i}.0-1.el9`),
      tags: i === 0 ? ['base', ...(random.chance(0.8) ? ['pass'] : [])] : [],
      built: i === 0,
      single: random.chance(0.1),
      symbols,
      exports: new Set(crcs.keys()),
      variants: {},
    };
  });
}

const hex = (crc: number): string => `0x${crc.toString(16).padStart(8, '0')}`;

function drawKmods(random: Random, kernels: readonly Kernel[]): Kmod[] {
  return Array.from({ length: random.int(1, 3) }, (_, i): Kmod => {
    const built = random.pick(kernels.slice(0, 2));
    const imports = random.some(built.symbols, 0.5).map(({ name, crc }) => ({ name, crc }));
    const exported = i === 0 && random.chance(0.3);
    return {
      ...splitNvr(`kmod-${'abc'[i]}-1-1.el9`),
      tags: ['kmods'],
      imports,
      exports: exported ? { shared: '0x00000001' } : {},
      needs: i > 0 && random.chance(0.2) ? { shared: '0x00000001' } : {},
      variants: {},
      kernel: 'kernel',
      pins: random.chance(0.2) ? random.pick([kernels[0]?.nvr ?? '', 'kernel-1.0-1.el9']) : null,
      build_time: random.chance(0.5) ? null : random.int(10, 900) * 1000,
    };
  });
}

const STRATEGIES: readonly Strategy[] = [
  'rebuild',
  'rebuild',
  'symbols',
  'symbols-then-rebuild',
  'symbols-and-rebuild',
];

function drawGates(random: Random, arches: readonly string[]): Gate[] {
  const first = drawGate(random, 'g1', arches);
  // A second one looks on, or stands where the first one's kernels go.
  if (!random.chance(0.25)) return [first];
  const second = drawGate(random, 'g2', arches);
  return [
    first,
    {
      ...second,
      ...random.pick<Partial<Gate>>([
        { mode: 'observe', watch: 'gate' },
        { mode: 'observe', watch: 'pass' },
        { mode: 'enforce', watch: 'pass', on_fail: { tag: ['fail'], untag: [] } },
      ]),
      on_pass: { tag: ['next'], untag: [] },
    },
  ];
}

function drawGate(random: Random, name: string, arches: readonly string[]): Gate {
  const strategy = random.pick(STRATEGIES);
  const build: Building = {
    target: 'try',
    repo: random.pick(['wait', 'pin', 'sidetag'] as const),
    priority: 5,
    max_active: random.pick([1, 2, 20]),
  };
  return {
    name,
    kernels: ['kernel'],
    watch: 'gate',
    mode: random.chance(0.1) ? 'observe' : 'enforce',
    strategy,
    variant: '',
    stablelist: random.chance(0.2)
      ? { effect: random.pick(['block', 'warn'] as const), symbols: { '*': random.some(SYMBOLS, 0.4) } }
      : null,
    kmods: {
      tag: 'kmods',
      include: random.chance(0.05) ? ['none-*'] : ['*'],
      exclude: random.some(['kmod-c'], 0.1),
      advisory: random.some(['kmod-a', 'kmod-b', 'kmod-c'], 0.2),
      arches: random.chance(0.1) ? { 'kmod-a': [arches[0] ?? ''] } : {},
    },
    arches: random.chance(0.2) ? arches : null,
    baseline: random.chance(0.15) ? random.pick(['kernel-6.0.0-1.el9', 'kernel-6.1.0-1.el9']) : null,
    policy: drawPolicy(random),
    build: strategy === 'symbols' ? null : build,
    on_pass: { tag: ['pass'], untag: random.chance(0.9) ? ['gate'] : [] },
    on_fail: { tag: ['fail'], untag: random.chance(0.9) ? ['gate'] : [] },
    rebuild:
      strategy === 'symbols-then-rebuild' && random.chance(0.4)
        ? { target: 'real', draft: random.chance(0.7) }
        : null,
  };
}

function drawPolicy(random: Random): Policy {
  return {
    ...DEFAULT_POLICY,
    inconclusive: random.pick(['hold', 'hold', 'block', 'pass'] as const),
    unattributed: random.pick(['block', 'block', 'hold', 'pass'] as const),
    proof: random.pick(['buildroot', 'repo', 'any'] as const),
    advisory_limit: random.pick([null, null, 0, 1]),
    supersede: random.pick(['cancel', 'finish', 'keep'] as const),
    retries: { kmod: random.int(0, 2), run: random.pick([2, 50]), day: random.pick([3, 200]) },
    longest_build: random.int(1, 3) * HOUR,
    longest_run: random.int(6, 24) * HOUR,
    longest_hold: random.int(2, 12) * HOUR,
    after_hold: random.pick(['block', 'block', 'promote'] as const),
    // 2026-01-05, when worlds begin at 08:00 UTC, is a Monday.
    quiet: random.chance(0.15) ? [{ from: 9 * 60, to: random.int(10, 20) * 60 }] : [],
  };
}

interface Cast {
  readonly kernels: readonly Kernel[];
  readonly kmods: readonly Kmod[];
  readonly arches: readonly string[];
  readonly gates: readonly Gate[];
}

function drawScenario(random: Random, { kernels, kmods, arches }: Cast): Scenario {
  const tag = (name: string, inherits: string[], more: Partial<Scenario['tags'][number]> = {}) => ({
    name,
    inherits,
    packages: ['kernel', ...kmods.map((kmod) => kmod.name)],
    blocked: [],
    locked: false,
    perm: null,
    arches: [],
    ...more,
  });
  return {
    hub: random.chance(0.1)
      ? { version: '1.28.1', lacks: ['repo.request', 'repo.checkRequest', 'repo.get'] }
      : { version: '1.35.3', lacks: [] },
    users: [
      { name: 'kojiadmin', password: 'a', perms: ['admin'] },
      { name: GATE_USER, password: 'b', perms: [] },
      { name: PERSON, password: 'c', perms: ['admin'] },
    ],
    policy: { tag: { [GATE_USER]: ['*'] }, repo_id: random.chance(0.9) ? [GATE_USER] : [] },
    builders: random.int(1, 4),
    repo_builders: null,
    broken_repos: [],
    arches,
    timing: {
      assign: 1_000,
      open: 1_000,
      tag: random.pick([1_000, 30_000]),
      srpm: 5_000,
      build_arch: random.pick([30_000, 300_000]),
      new_repo: random.pick([20_000, 600_000]),
      repo_queue: 5_000,
      wait_repo: 20_000,
      repo_lag: 3_600_000,
    },
    tags: [
      tag('base', [], { arches }),
      tag('gate', ['base']),
      tag('pass', []),
      tag('fail', []),
      tag('next', []),
      tag('kmods', []),
      tag('try-build', ['gate', 'kmods'], { arches }),
      tag('try-dest', []),
      tag('real-build', ['pass', 'kmods'], { arches }),
    ],
    targets: [
      { name: 'try', build_tag: 'try-build', dest_tag: 'try-dest' },
      { name: 'real', build_tag: 'real-build', dest_tag: 'kmods' },
    ],
    kernels,
    kmods,
    rules: drawRules(random, kernels, kmods, arches),
  };
}

/** What builds come to beside what the symbols say: seldom the same for long. */
function drawRules(
  random: Random,
  kernels: readonly Kernel[],
  kmods: readonly Kmod[],
  arches: readonly string[],
): Rule[] {
  const results = [
    'fails',
    'fails',
    'builds',
    'mock-error',
    'init-error',
    'traceback',
    'restart',
    'hangs',
  ] as const;
  return Array.from({ length: random.int(0, 3) }, (): Rule => {
    const result = random.pick(results);
    return {
      kmod: random.pick(['*', ...kmods.map(({ name }) => name)]),
      kernel: random.pick(['*', ...kernels.map(({ nvr }) => nvr)]),
      arch: random.pick(['*', ...arches]),
      result,
      log: result === 'fails' ? ['/builddir/build/BUILD/kmod-1/a.c:7:1: error: unknown type name ‘x’'] : [],
      times: result === 'restart' || random.chance(0.6) ? random.int(1, 3) : null,
    };
  });
}

function drawWeather(random: Random): Weather {
  if (random.chance(0.1)) return { request: 0, message: 0, store: 0, kill: 0, clock: 0 };
  const some = (most: number) => (random.chance(0.5) ? random.next() * most : 0);
  return {
    request: some(0.15),
    message: some(0.9),
    store: some(0.03),
    kill: some(0.01),
    clock: random.chance(0.2) ? random.next() : 0,
  };
}

/** How far a clock is set: by a second, by an hour as with a wrong time zone, or by most of a day. */
export function drawJump(random: Random): number {
  const most = random.pick([2_000, 5 * MINUTE, HOUR, 20 * HOUR]);
  return (random.chance(0.5) ? 1 : -1) * random.int(1, most);
}

interface Plan extends Pick<Cast, 'kernels' | 'gates'> {
  readonly stormEnds: number;
  readonly rough: Weather;
}

function drawHappenings(random: Random, { kernels, stormEnds, rough }: Plan): Happening[] {
  const when = () => random.int(0, stormEnds);
  const comes = kernels.filter(({ built }) => !built);
  // Mostly in the order of their versions; a late one is older than what stands there.
  const times = comes.map(when).toSorted((a, b) => a - b);
  const order = random.chance(0.8) ? comes : comes.toReversed();
  const happenings: Happening[] = order.map(({ nvr }, i) => ({
    at: times[i] ?? 0,
    what: { kind: 'kernel', nvr, tag: 'gate' },
  }));
  const persons = random.chance(0.7) ? random.int(1, 10) : 0;
  for (let i = 0; i < persons; i++) {
    // Mostly when something goes on.
    const at = random.chance(0.7) ? (times[i % times.length] ?? 0) + random.int(0, 40) * MINUTE : when();
    happenings.push({ at: Math.min(at, stormEnds), what: { kind: 'person' } });
  }
  const rage = rough.request + rough.message + rough.store + rough.kill > 0;
  for (let i = rage ? random.int(0, 3) : 0; i > 0; i--) {
    const at = when();
    const until = Math.min(stormEnds, at + random.int(1, 90) * MINUTE);
    const kind = random.pick(Object.keys(TROUBLES) as Trouble[]);
    happenings.push({ at, what: { kind } }, { at: until, what: { kind: TROUBLES[kind] } });
  }
  for (let i = rage ? random.int(0, 2) : 0; i > 0; i--) {
    const kind = random.pick(['expire', 'restart-hub', 'restart-builders', 'kill'] as const);
    happenings.push({ at: when(), what: { kind } });
  }
  if (rough.clock > 0 && random.chance(0.5))
    happenings.push({ at: when(), what: { kind: 'set-clock', by: drawJump(random) } });
  return happenings.toSorted((a, b) => a.at - b.at);
}
