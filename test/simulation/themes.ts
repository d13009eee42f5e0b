/**
 * Worlds with a theme: calm ones, in which the circumstances of one known finding come together. Most of what a world
 * needs for one of them is rare by itself, and all of it at once hardly ever drawn.
 */
import type { Building, Gate, Policy } from '../../src/core/model.ts';
import { type Kernel, type Kmod, type Rule, splitNvr } from '../../src/sim/scenario.ts';
import { type Drawn, GATE_USER, type Happening, HOUR, MINUTE, SYMBOLS } from './draw.ts';
import type { Random } from './random.ts';
import { ERROR, KILLED } from './rules.ts';

/** How many of all worlds have a theme. */
const THEMED = 0.4;
/** From one kernel to the next: long enough for a verdict. */
const GAP = 4 * HOUR;
/** What a kmod pins that is nowhere. */
const NOWHERE = 'kernel-1.0-1.el9';

/** The drawn world as it is, or one with a theme in its place. */
export const withTheme = (drawn: Drawn, random: Random): Drawn =>
  random.chance(THEMED) ? random.pick(THEMES)(calm(drawn, random), random) : drawn;

type Theme = (stage: Stage, random: Random) => Drawn;

/** What a theme has at hand. */
interface Stage {
  readonly drawn: Drawn;
  readonly kernels: readonly Kernel[];
  /** kmod-a, kmod-b and perhaps kmod-c: all load into all kernels, and compile. */
  readonly kmods: readonly Kmod[];
  readonly gate: Gate;
  /** When the kernel of a number comes; the first is there. */
  readonly at: (i: number) => number;
}

function calm(drawn: Drawn, random: Random): Stage {
  const crcs = SYMBOLS.map((name) => ({ name, crc: hex(random.int(1, 2 ** 31)) }));
  const kernels = Array.from({ length: random.int(3, 4) }, (_, i): Kernel => {
    const symbols = crcs.map(({ name, crc }, n) => ({ name, crc, vmlinux: n % 2 === 0 }));
    return {
      ...splitNvr(`kernel-6.${i}.0-1.el9`),
      tags: i === 0 ? ['base', 'pass', 'next'] : [],
      built: i === 0,
      single: random.chance(0.1),
      others: ['kernel-tools-libs-devel', 'kernel-headers'],
      symbols,
      exports: new Set(SYMBOLS),
      variants: {},
    };
  });
  const kmods = ['a', 'b', 'c'].slice(0, random.int(2, 3)).map((letter, n): Kmod => {
    const some = crcs.filter((_, i) => i % 3 === n);
    return {
      ...splitNvr(`kmod-${letter}-1-1.el9`),
      tags: ['kmods'],
      imports: some,
      exports: {},
      needs: {},
      variants: {},
      kernel: 'kernel',
      pins: null,
      build_time: random.chance(0.5) ? null : random.int(10, 900) * 1000,
      arches: null,
      userspace: [],
    };
  });
  const late = kernels.map(() => random.int(0, 30) * MINUTE);
  return { drawn, kernels, kmods, gate: calmGate(drawn, random), at: (i) => (i - 1) * GAP + (late[i] ?? 0) };
}

function calmGate({ gates }: Drawn, random: Random): Gate {
  const [any] = gates;
  if (!any) throw new Error('a world without a gate');
  const build: Building = {
    target: 'try',
    repo: random.chance(0.8) ? 'sidetag' : random.pick(['wait', 'pin'] as const),
    priority: 5,
    max_active: 20,
  };
  return {
    ...any,
    mode: 'enforce',
    strategy: 'rebuild',
    stablelist: null,
    kmods: { tag: 'kmods', include: ['*'], exclude: [], advisory: [], arches: {} },
    arches: null,
    baseline: null,
    build,
    policy: {
      ...any.policy,
      inconclusive: 'hold',
      unattributed: 'block',
      advisory_limit: null,
      supersede: 'keep',
      retries: { kmod: 2, run: 50, day: 200 },
      longest_build: 12 * HOUR,
      longest_run: 24 * HOUR,
      after_hold: 'block',
      quiet: [],
    },
    on_pass: { tag: ['pass'], untag: ['gate'] },
    on_fail: { tag: ['fail'], untag: ['gate'] },
    rebuild: null,
  };
}

const hex = (crc: number): string => `0x${crc.toString(16).padStart(8, '0')}`;

/** What a theme makes of its stage. */
interface Plot {
  readonly kernels?: readonly Kernel[];
  readonly kmods?: readonly Kmod[];
  readonly gates?: readonly Gate[];
  readonly rules?: readonly Rule[];
  readonly happenings?: readonly Happening[];
  readonly signer?: Drawn['signer'];
  /** An architecture that the build tag is not for. */
  readonly lacks?: string;
  readonly arches?: readonly string[];
}

/** The world of a plot. Faults are few or none, and nobody does anything that is not part of it. */
function worldOf({ drawn, at, ...stage }: Stage, random: Random, plot: Plot): Drawn {
  const { scenario, weather } = drawn;
  const { kernels = stage.kernels, kmods = stage.kmods, gates = [stage.gate], signer = null } = plot;
  const { arches = scenario.arches, lacks, happenings = coming(stage.kernels, at) } = plot;
  const force = random.chance(0.7) ? 0 : 0.15;
  return {
    ...drawn,
    scenario: {
      ...scenario,
      hub: { version: '1.35.3', lacks: [] },
      policy: { ...scenario.policy, repo_id: [GATE_USER] },
      arches,
      kernels,
      kmods,
      tags: scenario.tags.map((tag) => ({
        ...tag,
        packages: ['kernel', ...kmods.map(({ name }) => name)],
        arches:
          tag.arches.length === 0 ? [] : arches.filter((arch) => tag.name !== 'try-build' || arch !== lacks),
      })),
      rules: plot.rules ?? [],
    },
    gates,
    signer,
    happenings: happenings.toSorted((a, b) => a.at - b.at),
    weather: {
      request: weather.request * force,
      message: weather.message * force,
      store: weather.store * force,
      kill: weather.kill * force,
      clock: 0,
    },
    stormEnds: Math.max(...happenings.map((one) => one.at)) + GAP,
  };
}

const enters = (kernel: Kernel | undefined, at: number, tag = 'gate'): Happening => ({
  at,
  what: { kind: 'kernel', nvr: kernel?.nvr ?? '', tag },
});

/** All kernels come one after the other. */
const coming = (kernels: readonly Kernel[], at: Stage['at']): Happening[] =>
  kernels.flatMap((kernel, i) => (i > 0 ? [enters(kernel, at(i))] : []));

/** A kmod does not compile against some kernels. */
const breaking = (kmod: string, kernels: readonly Kernel[], breaks: (i: number) => boolean): Rule[] =>
  kernels
    .filter((_, i) => breaks(i))
    .map(({ nvr }) => ({
      kmod,
      kernel: nvr,
      arch: '*',
      tag: '*',
      result: 'fails',
      log: [ERROR(kmod)],
      times: null,
    }));

const waived = (at: number, nvr: string, kmod: string, until: number): Happening => ({
  at,
  what: { kind: 'waive', nvr, kmod, until },
});

const changed = (kmods: readonly Kmod[], name: string, change: Partial<Kmod>): Kmod[] =>
  kmods.map((kmod) => (kmod.name === name ? { ...kmod, ...change } : kmod));

/** From a kernel on, symbols are gone. */
const losing = (kernels: readonly Kernel[], names: readonly string[], from: number): Kernel[] =>
  kernels.map((kernel, i) => {
    const symbols = kernel.symbols.filter(({ name }) => i < from || !names.includes(name));
    return { ...kernel, symbols, exports: new Set(symbols.map(({ name }) => name)) };
  });

const withPolicy = (gate: Gate, policy: Partial<Policy>): Gate => ({
  ...gate,
  policy: { ...gate.policy, ...policy },
});

/** The first kernel has passed nowhere. */
const unpassed = (kernels: readonly Kernel[]): Kernel[] =>
  kernels.map((kernel, i) => (i === 0 ? { ...kernel, tags: ['base'] } : kernel));

const only = (gate: Gate, include: readonly string[]): Gate => ({
  ...gate,
  kmods: { ...gate.kmods, include },
});

/** One kernel passes by a waiver, and the next ones, as broken, have none. */
const byWaiver: Theme = (stage, random) => {
  const { kernels, at } = stage;
  const from = random.int(1, kernels.length - 2);
  const all = random.chance(0.3);
  const when = at(from) + random.int(0, 60) * MINUTE;
  const until = all ? at(from + 1) - when : 10 * HOUR;
  const waiver = waived(when, all ? 'kernel-*' : (kernels[from]?.nvr ?? ''), 'kmod-a', until);
  return worldOf(stage, random, {
    rules: breaking('kmod-a', kernels, (i) => i >= from),
    happenings: [...coming(kernels, at), waiver],
  });
};

/** Two gates for different kmods share a tag. Of a kernel one finds it fine, and the other does not. */
const twoGates: Theme = (stage, random) => {
  const { kernels, at, gate } = stage;
  const from = random.int(1, kernels.length - 2);
  const shares = random.pick(['pass', 'fail'] as const);
  const blocks = random.chance(0.5) ? 'gate' : 'gate2';
  const lets = blocks === 'gate' ? 'gate2' : 'gate';
  // What blocks has a kmod more, else nothing would be fine there.
  const include = (tag: string) => (tag === blocks ? ['kmod-a', 'kmod-b'] : ['kmod-b']);
  const second: Gate = {
    ...gate,
    name: 'g2',
    watch: 'gate2',
    on_pass: { tag: [shares === 'pass' ? 'pass' : 'next'], untag: ['gate2'] },
    on_fail: { tag: [shares === 'fail' ? 'fail' : 'fail2'], untag: ['gate2'] },
  };
  // Who blocks it is first where they share the fail tag, so that the other one finds it there.
  const order = shares === 'pass' ? [lets, blocks] : [blocks, lets];
  const happenings = kernels.flatMap((kernel, i): Happening[] => {
    if (i === 0) return [];
    const later = at(i) + GAP / 2;
    const also: Happening = { at: later, what: { kind: 'enter', nvr: kernel.nvr, tag: order[1] ?? '' } };
    return [enters(kernel, at(i), order[0]), also];
  });
  return worldOf(stage, random, {
    gates: [only({ ...gate, watch: 'gate' }, include('gate')), only(second, include('gate2'))],
    rules: breaking('kmod-a', kernels, (i) => i >= from),
    happenings,
  });
};

/** A kmod pins an older kernel, and asks for more packages, which come from the kernel under test. */
const pinsOlder: Theme = (stage, random) => {
  const also = [random.pick(['kernel-tools-libs-devel', 'kernel-devel'])];
  return worldOf(stage, random, {
    kmods: changed(stage.kmods, 'kmod-a', { pins: stage.kernels[0]?.nvr ?? NOWHERE, also }),
  });
};

/** A gate asks for an architecture that the build tag has not. */
const lacksArch: Theme = (stage, random) => {
  const arches = random.pick([
    ['x86_64', 'aarch64'],
    ['x86_64', 'aarch64', 's390x'],
  ]);
  return worldOf(stage, random, { arches, gates: [{ ...stage.gate, arches }], lacks: random.pick(arches) });
};

/** A kernel is blocked, the next one passes and is released; then the older one is waived with all others. */
const afterRelease: Theme = (stage, random) => {
  const { kernels, at } = stage;
  const release = at(2) + GAP / 2 + random.int(0, 60) * MINUTE;
  const what = random.pick(['kmod-a', 'kmod-*']);
  return worldOf(stage, random, {
    rules: breaking('kmod-a', kernels, (i) => i === 1),
    happenings: [
      ...[1, 2].map((i) => enters(kernels[i], at(i))),
      { at: release, what: { kind: 'release' } },
      waived(release + random.int(1, 30) * MINUTE, 'kernel-*', what, 10 * HOUR),
    ],
  });
};

/** A kernel loses a symbol that a kmod exports too, as its own. */
const exporter: Theme = (stage, random) => {
  const { kernels, kmods, gate } = stage;
  const [lost] = kmods.find(({ name }) => name === 'kmod-b')?.imports ?? [];
  if (!lost) throw new Error('kmod-b imports nothing');
  const strategy = random.pick(['symbols', 'symbols-then-rebuild', 'symbols-and-rebuild'] as const);
  return worldOf(stage, random, {
    kernels: losing(kernels, [lost.name], random.int(1, 2)),
    kmods: changed(kmods, 'kmod-a', { exports: { [lost.name]: lost.crc } }),
    gates: [{ ...gate, strategy, build: strategy === 'symbols' ? null : gate.build }],
  });
};

/** A signer takes what has passed out of the pass tag at once. */
const signed: Theme = (stage, random) => {
  const { kernels, gate } = stage;
  const from = random.int(2, kernels.length - 1);
  return worldOf(stage, random, {
    kernels: unpassed(kernels),
    gates: [withPolicy(gate, { unattributed: random.chance(0.7) ? 'pass' : 'hold' })],
    rules: breaking('kmod-a', kernels, (i) => i >= from),
    signer: { from: 'pass', to: 'signed', after: random.chance(0.8) ? 0 : random.int(1, 30) * MINUTE },
  });
};

/** A kmod pins a package of a kernel that is nowhere. */
const pinsNowhere: Theme = (stage, random) => {
  const pinned = random.pick(['kernel', 'kernel-core', 'kernel-headers']);
  return worldOf(stage, random, { kmods: changed(stage.kmods, 'kmod-a', { pins: NOWHERE, pinned }) });
};

/** A kernel has none of the few symbols that a kmod imports. */
const allGone: Theme = (stage, random) => {
  const { kernels, kmods, gate } = stage;
  const names = (kmods[0]?.imports ?? []).map(({ name }) => name);
  const inconclusive = random.chance(0.7) ? 'pass' : 'hold';
  return worldOf(stage, random, {
    kernels: losing(kernels, names, random.int(1, 2)),
    gates: [{ ...withPolicy(gate, { inconclusive }), strategy: 'symbols', build: null }],
  });
};

/** A newer kernel is blocked, and an older one comes, or ends, after it. */
const newerFirst: Theme = (stage, random) => {
  const { kernels, at } = stage;
  const later = random.chance(0.7) ? GAP / 2 : random.int(1, 30) * MINUTE;
  return worldOf(stage, random, {
    rules: breaking('kmod-a', kernels, (i) => i >= 1),
    happenings: [enters(kernels[2], at(1)), enters(kernels[1], at(1) + later)],
  });
};

/** A kernel passes, is released, and the next one comes while kmods are still rebuilt for it. */
const rebuilding: Theme = (stage, random) => {
  const { kmods, gate, at } = stage;
  const [fit] = kmods[0]?.imports ?? [];
  const [lost] = kmods[1]?.imports ?? [];
  if (!fit || !lost) throw new Error('a kmod imports nothing');
  const crc = hex(random.int(1, 2 ** 31));
  const kernels = losing(unpassed(stage.kernels), [lost.name], 2).map((kernel, i) => ({
    ...kernel,
    symbols: kernel.symbols.map((one) => (i > 0 && one.name === fit.name ? { ...one, crc } : one)),
  }));
  const passes = at(1) + 2 * HOUR;
  return worldOf(stage, random, {
    kernels,
    kmods: changed(kmods, 'kmod-a', { build_time: 2 * HOUR }),
    gates: [
      {
        ...withPolicy(gate, { unattributed: 'pass' }),
        strategy: 'symbols-then-rebuild',
        rebuild: { target: 'real', draft: random.chance(0.5) },
      },
    ],
    happenings: [
      enters(kernels[1], at(1)),
      { at: passes + random.int(40, 50) * MINUTE, what: { kind: 'release' } },
      enters(kernels[2], passes + random.int(55, 90) * MINUTE),
    ],
  });
};

/** Machines kill what builds a kmod, a few times. */
const killed: Theme = (stage, random) => {
  const { kernels } = stage;
  const kernel = random.chance(0.7) ? random.pick(kernels.slice(1)).nvr : '*';
  const rule: Rule = {
    kmod: 'kmod-a',
    kernel,
    arch: '*',
    tag: '*',
    result: 'fails',
    log: random.pick(KILLED),
    status: random.pick([1, 10]),
    times: random.int(1, 4),
  };
  return worldOf(stage, random, { rules: [rule] });
};

/** A kmod loads into all kernels, and has not compiled against any for long. */
const loadsOnly: Theme = (stage, random) => {
  const rules = breaking('kmod-a', stage.kernels, () => true);
  return worldOf(stage, random, {
    gates: [{ ...stage.gate, strategy: 'symbols-and-rebuild' }],
    rules,
  });
};

const THEMES: readonly Theme[] = [
  ...[byWaiver, twoGates, twoGates, pinsOlder, lacksArch, afterRelease],
  ...[exporter, signed, pinsNowhere, allGone, newerFirst, rebuilding, killed, loadsOnly],
];
