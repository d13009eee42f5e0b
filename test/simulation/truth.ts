/**
 * Which kmod really compiles against which kernel, where and in which build tag: what the world was drawn with. Nothing
 * of what a gate saw, recorded or concluded is asked here.
 */
import type { Gate } from '../../src/core/model.ts';
import type { Rule, Scenario } from '../../src/sim/scenario.ts';
import { matches, type State } from '../../src/sim/state.ts';
import { type Loader, modulesOn } from './symbols.ts';

/** A kmod, a kernel's NVR, an architecture, the name of a build tag. */
export type Compiles = (kmod: string, kernel: string, arch: string, tag: string) => boolean;

/** Holds at any time, so that it is no trouble that comes and goes, but how things are. */
const isTruth = ({ result, times, after, before }: Rule): boolean =>
  (result === 'fails' || result === 'builds') && times === null && !after && before == null;

/** The table of truth of a world: rules that hold for ever, else whether the kernel has all symbols that the kmod imports. */
export function truthOf({ rules, kernels, kmods }: Scenario): Compiles {
  const truths = rules.filter(isTruth);
  const known = new Map<string, boolean>();
  const judge: Compiles = (name, nvr, arch, tag) => {
    const rule = truths.find(
      (of) =>
        matches(of.kmod, name) &&
        matches(of.kernel, nvr) &&
        matches(of.arch, arch) &&
        matches(of.tag ?? '*', tag),
    );
    if (rule) return rule.result === 'builds';
    const kernel = kernels.find((of) => plainNvr(of.nvr) === nvr);
    const kmod = kmods.findLast((of) => of.name === name);
    return !!kernel && !!kmod && kmod.imports.every((symbol) => kernel.exports.has(symbol.name));
  };
  return (...cell) => {
    const key = cell.join(' ');
    const value = known.get(key) ?? judge(...cell);
    known.set(key, value);
    return value;
  };
}

/** A draft's release ends with `,draft_ID`; what it is made of is that of the real one. */
export const plainNvr = (nvr: string): string => nvr.replace(/,draft_\d+$/, '');

/** Architectures on which a kmod must be fine: as the gate says for it, or for all, else those that it has modules for. */
export function expectedOf(state: State, { kmods, arches }: Gate, kmod: Loader): readonly string[] {
  const named = Object.entries(kmods.arches).find(([pattern]) => matches(pattern, kmod.name))?.[1];
  return named ?? arches ?? modulesOn(state, kmod);
}

/** Name of the tag that a gate's builds find their packages in; a side tag counts as its base. */
export function buildTagOf(state: State, { build }: Gate): string {
  const target = state.targets.find(({ name }) => name === build?.target);
  return state.tags.find(({ id }) => id === target?.build_tag)?.name ?? '';
}
