/** One seed draws a whole world: a Koji, gates before it, what will happen in it, and how rough it gets. */
import type { Building, Gate, Policy, Stablelist, Strategy } from '../../src/core/model.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import { type Kernel, type Kmod, type Scenario, splitNvr } from '../../src/sim/scenario.ts';
import type { Another } from './another.ts';
import { drawHappenings, drawWeather } from './happenings.ts';
import type { Random } from './random.ts';
import { drawReconfigurations } from './reconfigure.ts';
import { drawTrouble, drawTruth } from './rules.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;

/** Something that happens at a time of its own. */
export interface Happening {
  readonly at: number;
  readonly what:
    | { readonly kind: 'kernel'; readonly nvr: string; readonly tag: string }
    /** One that is there comes before one more gate. */
    | { readonly kind: 'enter'; readonly nvr: string; readonly tag: string }
    | { readonly kind: 'person' }
    /** A person lets a kernel pass that breaks kmods, for so many ms. */
    | { readonly kind: 'waive'; readonly nvr: string; readonly kmod: string; readonly until: number }
    /** A release takes all that has passed: the pass tag is empty. */
    | { readonly kind: 'release' }
    /** A draft becomes a real build: another name, the same build. */
    | { readonly kind: 'promote-draft'; readonly nvr: string }
    /** The process stops in order, and starts again with other gates. */
    | { readonly kind: 'reconfigure'; readonly text: string; readonly gates: readonly Gate[] }
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
export type Trouble = keyof typeof TROUBLES;
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

/** What the hub can never give, whoever asks: of every so many-th task the logs, of every so many-th rpm its header; null: it gives all. */
export interface Unreadable {
  readonly logs: number | null;
  readonly rpms: number | null;
}
export const READABLE: Unreadable = { logs: null, rpms: null };
export const isNth = (every: number | null, id: number): boolean => every !== null && id % every === 0;

/** All that a seed decides before the play begins. */
export interface Drawn {
  readonly scenario: Scenario;
  readonly gates: readonly Gate[];
  /** A robot that moves what comes into the pass tag on to another, so many ms later; null: there is none. */
  readonly signer: { readonly from: string; readonly to: string; readonly after: number } | null;
  readonly pace: { readonly every: number; readonly poll: number; readonly settle: number };
  readonly happenings: readonly Happening[];
  readonly weather: Weather;
  readonly unreadable: Unreadable;
  /** When faults stop, in ms after the start. */
  readonly stormEnds: number;
  /** One more instance before the same hub, of which the first knows nothing; null: there is none. */
  readonly another: Another | null;
}

export const GATE_USER = 'kmod-gate';
export const PERSON = 'release-manager';
export const SIGNER = 'robosignatory';
/** How likely a kernel comes as a draft, and is promoted later. */
const DRAFTS = 0.15;
export const SYMBOLS = Array.from({ length: 6 }, (_, i) => `sym_${i}`);

export function draw(random: Random): Drawn {
  const kernels = drawKernels(random.fork('kernels'));
  const arches = random.pick([
    ['x86_64'],
    ['x86_64', 'aarch64'],
    ['x86_64', 'aarch64'],
    ['x86_64', 'aarch64', 's390x'],
  ]);
  const gates = drawGates(random.fork('gates'), arches);
  const plain = drawKmods(random.fork('kmods'), { kernels, arches, gates });
  const kmods = withLayouts(random.fork('layouts'), plain, kernels);
  const stormEnds = random.int(2, 12) * HOUR;
  const scenario = drawScenario(random.fork('scenario'), { kernels, kmods, arches, gates, stormEnds });
  const weather = drawWeather(random.fork('weather'));
  const logs = random.fork('logs');
  const rpms = random.fork('rpms');
  return {
    scenario,
    gates,
    signer: drawSigner(random.fork('signer')),
    unreadable: {
      logs: logs.chance(0.1) ? logs.int(2, 4) : null,
      rpms: rpms.chance(0.25) ? rpms.int(3, 40) : null,
    },
    pace: {
      every: random.int(20, 180) * MINUTE,
      poll: random.chance(0.3) ? random.int(2, 8) * MINUTE : random.int(10, 60) * MINUTE,
      settle: random.int(1, 3) * MINUTE,
    },
    happenings: [
      ...drawHappenings(random.fork('happenings'), { kernels, kmods, gates, stormEnds, rough: weather }),
      ...drawReconfigurations(random.fork('reconfigure'), { gates, arches, stormEnds }),
    ].toSorted((a, b) => a.at - b.at),
    weather,
    stormEnds,
    another: null,
  };
}

const drawSigner = (random: Random): Drawn['signer'] =>
  random.chance(0.2)
    ? { from: 'pass', to: 'signed', after: random.chance(0.5) ? 0 : random.int(1, 90) * MINUTE }
    : null;

/** In most worlds symbols change at times, in some they are kept. */
function drawKernels(random: Random): Kernel[] {
  const count = random.int(2, 5);
  const [goes, changes] = random.pick([
    [0.1, 0.25],
    [0.03, 0.06],
    [0, 0],
  ]);
  let crcs = new Map(SYMBOLS.map((name) => [name, random.int(1, 2 ** 31)]));
  return Array.from({ length: count }, (_, i): Kernel => {
    if (i > 0) {
      const gone = random.some([...crcs.keys()], goes);
      crcs = new Map(
        [...crcs]
          .filter(([name]) => !gone.includes(name) || crcs.size === 1)
          .map(([name, crc]) => [name, random.chance(changes) ? random.int(1, 2 ** 31) : crc]),
      );
    }
    // Some makers have rpms of other names for some of their modules.
    const apart = random.chance(0.15) ? random.pick(PARTS) : undefined;
    const symbols = [...crcs].map(([name, crc], n) => ({
      name,
      crc: hex(crc),
      vmlinux: n % 2 === 0,
      ...(apart && n % 3 === 1 && { rpm: apart }),
    }));
    const draft = i > 0 && random.chance(DRAFTS) ? `,draft_${i}` : '';
    return {
      ...splitNvr(`kernel-6.${i}.0-1.el9${draft}`),
      tags: i === 0 ? ['base', ...(random.chance(0.8) ? ['pass'] : [])] : [],
      built: i === 0,
      single: random.chance(0.1),
      others: ['kernel-tools-libs-devel', 'kernel-headers'],
      symbols,
      exports: new Set(crcs.keys()),
      variants: {},
    };
  });
}

const PARTS = ['kernel-kvm', 'kernel-extra', 'kernel-modules-wireless'];

const hex = (crc: number): string => `0x${crc.toString(16).padStart(8, '0')}`;

/** Some makers have an rpm for each of several kernels, as kmodtool makes them, each with the CRCs of that kernel. */
function withLayouts(random: Random, kmods: readonly Kmod[], kernels: readonly Kernel[]): Kmod[] {
  const named = kernels.filter(({ nvr }) => !nvr.includes(',draft_')).map(({ nvr }) => nvr);
  return kmods.map((kmod) => {
    const alone = Object.keys({ ...kmod.exports, ...kmod.needs }).length === 0;
    const built_for = random.some(named, 0.6);
    if (!random.chance(0.12) || !alone || kmod.imports.length === 0 || built_for.length === 0) return kmod;
    return { ...kmod, built_for };
  });
}

function drawKmods(random: Random, { kernels, arches, gates }: Omit<Cast, 'kmods'>): Kmod[] {
  // Where a gate names architectures, kmods are for all of them, since it builds for those all the same.
  const named = gates.some((gate) => gate.arches || Object.keys(gate.kmods.arches).length > 0);
  return Array.from({ length: random.int(1, 4) }, (_, i): Kmod => {
    const built = random.pick(kernels.slice(0, 2));
    const imports = random.some(built.symbols, 0.5).map(({ name, crc }) => ({ name, crc }));
    const exported = i === 0 && random.chance(0.3);
    // What a kernel took in may still be exported by a kmod, too.
    const taken = random.pick(built.symbols);
    const backport = random.chance(0.4) ? { [taken.name]: taken.crc } : {};
    const pins = random.chance(0.12) ? random.pick([kernels[0]?.nvr ?? '', 'kernel-1.0-1.el9']) : null;
    const few = arches.length > 1 && !named && random.chance(0.2);
    return {
      ...splitNvr(`kmod-${'abcd'[i]}-1-1.el9`),
      tags: ['kmods'],
      imports: exported && random.chance(0.9) ? imports.filter(({ name }) => !(name in backport)) : imports,
      exports: exported ? { shared: '0x00000001', ...backport } : {},
      needs: i > 0 && random.chance(0.2) ? { shared: '0x00000001' } : {},
      variants: {},
      kernel: 'kernel',
      pins,
      ...(pins && random.chance(0.4) && { pinned: random.pick(['kernel', 'kernel-core', 'kernel-headers']) }),
      ...(random.chance(pins ? 0.5 : 0.05) && {
        also: random.pick([['kernel-tools-libs-devel'], ['kernel-devel']]),
      }),
      build_time: random.chance(0.5) ? null : random.int(10, 900) * 1000,
      arches: few ? [random.pick(arches)] : null,
      userspace: random.chance(0.15) ? ['i686'] : [],
    };
  });
}

export const STRATEGIES: readonly Strategy[] = [
  'rebuild',
  'rebuild',
  'symbols',
  'symbols-then-rebuild',
  'symbols-and-rebuild',
];

function drawGates(random: Random, arches: readonly string[]): Gate[] {
  const first = drawGate(random, 'g1', arches);
  // A second one looks on, or stands where the first one's kernels go, or beside it, for other kmods and the same tags.
  if (!random.chance(0.4)) return [first];
  return [first, drawSecond(random, arches)];
}

/** One that looks on, or stands where the first one's kernels go, or beside it. */
export function drawSecond(random: Random, arches: readonly string[]): Gate {
  const second = drawGate(random, 'g2', arches);
  const other: Partial<Gate> = random.pick<() => Partial<Gate>>([
    () => ({ mode: 'observe', watch: 'gate', on_pass: { tag: ['next'], untag: [] } }),
    () => ({ mode: 'observe', watch: 'pass', on_pass: { tag: ['next'], untag: [] } }),
    () => ({
      mode: 'enforce',
      watch: 'pass',
      on_pass: { tag: ['next'], untag: [] },
      on_fail: { tag: ['fail'], untag: [] },
    }),
    ...Array.from({ length: 3 }, () => () => beside(random)),
  ])();
  const include = random.chance(0.5) ? random.some(['kmod-a', 'kmod-b', 'kmod-c', 'kmod-d'], 0.5) : ['*'];
  // Another target has another build tag, with trouble of its own.
  const build = second.build && random.chance(0.5) ? { ...second.build, target: 'try2' } : second.build;
  return { ...second, build, kmods: { ...second.kmods, include }, ...other };
}

/** It shares the pass tag or the fail tag of the first, or both. */
function beside(random: Random): Partial<Gate> {
  const shares = random.pick(['pass', 'fail', 'both'] as const);
  return {
    mode: 'enforce',
    watch: 'gate2',
    on_pass: { tag: [shares === 'fail' ? 'next' : 'pass'], untag: ['gate2'] },
    on_fail: { tag: [shares === 'pass' ? 'fail2' : 'fail'], untag: ['gate2'] },
  };
}

export function drawGate(random: Random, name: string, arches: readonly string[]): Gate {
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
    stablelist: random.chance(0.2) ? drawStablelist(random) : null,
    kmods: {
      tag: 'kmods',
      include: random.chance(0.05) ? ['none-*'] : ['*'],
      exclude: random.some(['kmod-c'], 0.1),
      advisory: random.chance(0.4) ? random.some(['kmod-a', 'kmod-b', 'kmod-c', 'kmod-d'], 0.3) : [],
      arches: random.chance(0.1) ? { 'kmod-a': [random.pick(arches)] } : {},
    },
    arches: random.chance(0.2) ? arches : null,
    baseline: random.chance(0.08) ? random.pick(['kernel-6.0.0-1.el9', 'kernel-6.1.0-1.el9']) : null,
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

export const drawStablelist = (random: Random): Stablelist => ({
  effect: random.pick(['block', 'warn'] as const),
  symbols: { '*': random.some(SYMBOLS, 0.4) },
});

export function drawPolicy(random: Random): Policy {
  return {
    ...DEFAULT_POLICY,
    inconclusive: random.pick(['hold', 'hold', 'hold', 'block', 'pass'] as const),
    unattributed: random.pick(['block', 'block', 'block', 'hold', 'pass'] as const),
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

/** Who is in the play. */
export interface Cast {
  readonly kernels: readonly Kernel[];
  readonly kmods: readonly Kmod[];
  readonly arches: readonly string[];
  readonly gates: readonly Gate[];
}

function drawScenario(
  random: Random,
  { kernels, kmods, arches, gates, stormEnds }: Cast & { readonly stormEnds: number },
): Scenario {
  // What a gate asks for and a build tag has not is left out by Koji, and not a word said.
  const asked = gates.some((gate) => gate.arches);
  const lacks = arches.length > 1 && asked && random.chance(0.2) ? random.pick(arches) : '';
  const built = arches.filter((arch) => arch !== lacks);
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
      ? { version: '1.28.1', lacks: ['repo.request', 'repo.checkRequest', 'repo.get', 'repo.query'] }
      : { version: '1.35.3', lacks: [] },
    users: [
      { name: 'kojiadmin', password: 'a', perms: ['admin'] },
      { name: GATE_USER, password: 'b', perms: [] },
      { name: PERSON, password: 'c', perms: ['admin', 'draft-promoter'] },
      { name: SIGNER, password: 'd', perms: ['admin'] },
    ],
    policy: {
      tag: Object.fromEntries(['kojiadmin', GATE_USER, PERSON, SIGNER].map((name) => [name, ['*']])),
      repo_id: random.chance(0.9) ? [GATE_USER] : [],
      srpm: [GATE_USER],
    },
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
      tag('gate2', ['base']),
      ...['pass', 'fail', 'fail2', 'next', 'signed', 'released', 'kmods'].map((name) => tag(name, [])),
      // The first in the list comes first, so a kernel before either gate is newer than those in base.
      tag('try-build', ['gate', 'gate2', 'kmods'], { arches: built }),
      tag('try2-build', ['gate2', 'gate', 'kmods'], { arches }),
      tag('try-dest', []),
      // Another %dist: Koji makes no build of a name that is there.
      tag('real-build', ['pass', 'kmods'], { arches, dist: '.el9_1' }),
    ],
    targets: [
      { name: 'try', build_tag: 'try-build', dest_tag: 'try-dest' },
      { name: 'try2', build_tag: 'try2-build', dest_tag: 'try-dest' },
      { name: 'real', build_tag: 'real-build', dest_tag: 'kmods' },
    ],
    kernels,
    kmods,
    rules: [
      ...drawTrouble(random.fork('trouble'), { kernels, kmods, arches, stormEnds }),
      ...drawTruth(random.fork('truth'), { kernels, kmods, arches, gates }),
    ],
  };
}
