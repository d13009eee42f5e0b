/** What scenes on the stage are made of: rules of what fails, kernels, tags and gates beside those of small.toml. */
import type { Building, Gate, Policy } from '../../src/core/model.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import { type Kmod, type Rule, type Scenario, splitNvr } from '../../src/sim/scenario.ts';
import { GATE, NEW, type Stage } from './stage.ts';

/** Newer than NEW. */
export const NEWEST = 'kernel-6.1.187-53.el9';
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const STANDS = { tag: GATE.watch };

export type Change = (scenario: Scenario) => Scenario;

/** One change after the other. */
export const all =
  (...changes: Change[]): Change =>
  (small) =>
    changes.reduce((scenario, change) => change(scenario), small);

/** Rules beside those that are there. */
export const withRules =
  (...rules: Rule[]): Change =>
  (small) => ({ ...small, rules: [...small.rules, ...rules] });

export const ERROR =
  '/builddir/build/BUILD/kmod-alpha-1.0/alpha.c:12:3: error: too few arguments to function ‘f’';

/** Of kmod-alpha with every kernel, unless said otherwise. */
export const rule = (of: Partial<Rule> & Pick<Rule, 'result'>): Rule => ({
  kmod: 'kmod-alpha',
  kernel: '*',
  arch: '*',
  log: of.result === 'fails' ? [ERROR] : [],
  times: null,
  ...of,
});

/** Builds that cannot install a package. */
export const lacks = (wanted: string, more: Partial<Rule> = {}): Rule =>
  rule({ result: 'mock-error', log: [`No matching package to install: '${wanted}'`], ...more });

/** NEWEST, with the symbols of another kernel. */
export const withNewest =
  (like = NEW): Change =>
  (small) => {
    const model = small.kernels.find(({ nvr }) => nvr === like);
    if (!model) throw new Error(`no ${like}`);
    const newest = { ...model, ...splitNvr(NEWEST), tags: [], built: false };
    return { ...small, kernels: [...small.kernels, newest] };
  };

/** Kernels, kmods and build tags are of these architectures. */
export const withArches =
  (...arches: string[]): Change =>
  (small) => ({
    ...small,
    arches,
    tags: small.tags.map((tag) => (tag.arches.length > 0 ? { ...tag, arches } : tag)),
  });

/** More tags that kernels may be in. */
export const withTags =
  (...names: string[]): Change =>
  (small) => {
    const empty = { inherits: [], packages: ['kernel'], blocked: [], locked: false, perm: null, arches: [] };
    return { ...small, tags: [...small.tags, ...names.map((name) => ({ name, ...empty }))] };
  };

/** A build target, and its build tag `NAME-build`. */
export const withTarget =
  (name: string, inherits: readonly string[]): Change =>
  (small) => {
    const build_tag = `${name}-build`;
    const tag = { name: build_tag, inherits, packages: [], blocked: [], locked: false, perm: null };
    return {
      ...small,
      tags: [...small.tags, { ...tag, arches: small.arches }],
      targets: [...small.targets, { name, build_tag, dest_tag: 'kmods9s-gate-dest' }],
    };
  };

export const withKmod =
  (name: string, change: Partial<Kmod>): Change =>
  (small) => ({
    ...small,
    kmods: small.kmods.map((kmod) => (kmod.name === name ? { ...kmod, ...change } : kmod)),
  });

export const repo = (mode: Building['repo'], more: Partial<Building> = {}): Partial<Gate> => ({
  build: { ...GATE.build, repo: mode, ...more },
});
export const only = (...include: string[]): Partial<Gate> => ({ kmods: { ...GATE.kmods, include } });
/** kmod-alpha and kmod-beta, which build with every kernel. */
export const FINE = only('kmod-alpha', 'kmod-beta');
export const policy = (more: Partial<Policy>): Partial<Gate> => ({ policy: { ...DEFAULT_POLICY, ...more } });

/** Another gate with a watch tag of its own; its other tags are the first gate's, unless said otherwise. */
export const otherGate = (more: Partial<Gate>): Gate => ({
  ...GATE,
  name: 'other',
  watch: 'c9s-other-gate',
  on_pass: { tag: GATE.on_pass.tag, untag: ['c9s-other-gate'] },
  on_fail: { tag: GATE.on_fail.tag, untag: ['c9s-other-gate'] },
  ...more,
});

/** Let the run of a gate on a kernel come to its end, or to a hold: what came of it, and all that is said of it. */
export async function settled(stage: Stage, nvr: string, { gate = 'c9s', hours = 12 } = {}) {
  const find = async () => stage.store.latestRun(gate, stage.buildId(nvr));
  const isSettled = async () => {
    const run = await find();
    return run?.closing ?? run?.verdict?.verdict === 'hold';
  };
  await stage.until(`${nvr} is settled`, isSettled, hours * 60);
  const run = await find();
  const said = await stage.store.lastSaid(gate, stage.buildId(nvr));
  return {
    verdict: run?.verdict?.verdict,
    why: [...(run?.verdict?.reasons ?? []), said ?? '', run?.closing?.why ?? ''].join('\n'),
    how: run?.closing?.how,
    tags: stage.world.tags(nvr),
  };
}
