/** What really loads into what, by the rpms that the hub in memory holds. Told anew here, with nothing of the gate's own code. */
import type { Dep, Rpm, State } from '../../src/sim/state.ts';
import { isNth } from './draw.ts';

/** The rpms of a hub. */
export interface Files {
  readonly state: State;
  /** Of every so many-th nobody can read anything; null: of none. */
  readonly unread: number | null;
}

/** `unknown`: the rpms do not tell it, whoever reads them. */
export type Is = 'yes' | 'no' | 'unknown';

/** How a kmod loads on an architecture. */
export interface Loading {
  readonly is: Is;
  /** Not one of its symbols is there: that it does not load is only told by a kernel that has them. */
  readonly gone: boolean;
}

/** Which rpms of a build count: a kmod's, or those of a kernel's variant. */
export interface Loader {
  readonly name: string;
  readonly buildId: number;
}

interface Symbol {
  readonly name: string;
  readonly crc: number;
}

/** `kernel(SYM) = 0xCRC` or `ksym(SYM) = 0xCRC`. */
function symbolsIn(deps: readonly Dep[], kind: 'kernel' | 'ksym'): Symbol[] {
  return deps.flatMap(({ name, version, flags }) => {
    const found = /^(kernel|ksym)\(([^()]+)\)$/.exec(name);
    if (!found?.[2] || found[1] !== kind || (flags & 14) !== 8) return [];
    return [{ name: found[2], crc: Number(version) }];
  });
}

const isLost = ({ id }: Rpm, { unread }: Files): boolean => isNth(unread, id);

const rpmsOf = ({ rpms }: State, build: number): Rpm[] =>
  rpms.filter(({ build_id, arch }) => build_id === build && arch !== 'src');

/** The name that a variant of a kernel goes by: `kernel`, `kernel-rt`. */
const prefixOf = (variant: string, name: string): string => (variant === '' ? name : `${name}-${variant}`);

/** What a kernel is known to export on an architecture, and whether that is all. */
interface Exports {
  readonly crcs: Map<string, number>;
  whole: boolean;
}

/** By architecture: all rpms of a kernel, whatever they are called; worlds have one variant. */
export function exportsOf(files: Files, { name, buildId }: Loader, variant: string): Map<string, Exports> {
  const prefix = prefixOf(variant, name);
  const found = new Map<string, Exports>();
  const rpms = rpmsOf(files.state, buildId);
  // Beside -core, what is called as the kernel is empty; and what is there to build with, or a tool, has no modules.
  const isEmpty = (rpm: string) =>
    /-(devel|headers)$/.test(rpm) ||
    (rpm === prefix && rpms.some((other) => other.name === `${prefix}-core`));
  for (const rpm of rpms) {
    if (rpm.name !== prefix && !rpm.name.startsWith(`${prefix}-`)) continue;
    const exports = found.get(rpm.arch) ?? { crcs: new Map(), whole: true };
    found.set(rpm.arch, exports);
    if (!isLost(rpm, files))
      for (const symbol of symbolsIn(rpm.provides, 'kernel')) exports.crcs.set(symbol.name, symbol.crc);
    else if (!isEmpty(rpm.name)) exports.whole = false;
  }
  return found;
}

/** Architectures that a kmod has modules for. Tools for others, such as 32-bit ones, are no modules. */
export function modulesOn(state: State, { name, buildId }: Loader): string[] {
  const symbols = ({ requires, provides }: Rpm) =>
    symbolsIn(requires, 'kernel').length + symbolsIn(provides, 'ksym').length > 0;
  const rpms = rpmsOf(state, buildId).filter((rpm) => rpm.name === name || symbols(rpm));
  return [...new Set(rpms.map(({ arch }) => arch))];
}

/** One kmod on one architecture. */
interface Side {
  readonly name: string;
  /** None of its rpms is for this variant of the kernel, or one of them cannot be read. */
  readonly untold: boolean;
  /** None of its rpms can be installed with this kernel. */
  readonly refused?: boolean;
  readonly kernel: readonly Symbol[];
  readonly needs: readonly Symbol[];
  readonly offers: readonly Symbol[];
}

/** What rpms of kernels provide and those of kmods for one kernel alone require: what `uname -r` prints. */
const unamesOf = (deps: readonly Dep[]): string[] =>
  deps.flatMap(({ name, version }) => (name === 'kernel-uname-r' ? [version] : []));

/**
 * The rpm of a kmod named like its package is for the plain kernel where there is one more for each variant. Of rpms for one
 * kernel each only that for this one can be installed.
 * @param unames of the kernel, on this architecture
 */
function sideOf(
  name: string,
  files: Files,
  rpms: readonly Rpm[],
  variant: string,
  unames: readonly string[],
): Side {
  if (rpms.some(({ requires }) => unamesOf(requires).length > 0))
    return sideForKernel(name, files, rpms, unames);
  const fit = rpms.filter((rpm) => rpms.length === 1 || rpm.name === (variant ? `${name}-${variant}` : name));
  if (fit.length === 0 || fit.some((rpm) => isLost(rpm, files)))
    return { name, untold: true, kernel: [], needs: [], offers: [] };
  return {
    name,
    untold: false,
    kernel: fit.flatMap(({ requires }) => symbolsIn(requires, 'kernel')),
    needs: fit.flatMap(({ requires }) => symbolsIn(requires, 'ksym')),
    offers: fit.flatMap(({ provides }) => symbolsIn(provides, 'ksym')),
  };
}

function sideForKernel(name: string, files: Files, rpms: readonly Rpm[], unames: readonly string[]): Side {
  const nothing = { name, kernel: [], needs: [], offers: [] };
  if (rpms.some((rpm) => isLost(rpm, files))) return { ...nothing, untold: true };
  const [fit] = rpms.filter(({ requires }) => unamesOf(requires).some((uname) => unames.includes(uname)));
  if (!fit) return { ...nothing, untold: false, refused: true };
  return { ...nothing, untold: false, kernel: symbolsIn(fit.requires, 'kernel') };
}

/** How kmods load into a kernel, all of them installed: by name and architecture. */
export function loadingOf(
  files: Files,
  kernel: Loader,
  variant: string,
  kmods: readonly Loader[],
): Map<string, Map<string, Loading>> {
  const { state } = files;
  const tables = exportsOf(files, kernel, variant);
  const found = new Map<string, Map<string, Loading>>();
  const all = kmods.map((kmod) => ({
    kmod,
    arches: modulesOn(state, kmod),
    rpms: rpmsOf(state, kmod.buildId),
  }));
  for (const arch of new Set(all.flatMap(({ arches }) => arches))) {
    // The rpms that cannot be read are called after the same release as the others.
    const unames = rpmsOf(state, kernel.buildId).flatMap((rpm) =>
      rpm.arch === arch ? unamesOf(rpm.provides) : [],
    );
    const sides = all
      .filter(({ arches }) => arches.includes(arch))
      .map(({ kmod, rpms }) =>
        sideOf(
          kmod.name,
          files,
          rpms.filter((rpm) => rpm.arch === arch),
          variant,
          unames,
        ),
      );
    for (const [name, loading] of loadingOn(tables.get(arch), sides)) {
      const known = found.get(name) ?? new Map<string, Loading>();
      found.set(name, known.set(arch, loading));
    }
  }
  return found;
}

/**
 * A kernel's symbols come from the kernel and other kmods' from kmods, as rpm has it. What needs a kmod that does not
 * load does not load either.
 */
function loadingOn(table: Exports | undefined, sides: readonly Side[]): Map<string, Loading> {
  const found = new Map<string, Loading>(sides.map((side) => [side.name, byItself(table, side)]));
  const givers = ({ name, crc }: Symbol) =>
    sides.filter(({ offers }) => offers.some((offer) => offer.name === name && offer.crc === crc));
  /** It has none to load by that is known to load: whether that is so for good is as unclear as with them. */
  const goneToo = (need: Symbol) => givers(need).some((giver) => found.get(giver.name)?.gone);
  const isGiven = (need: Symbol) => givers(need).some((giver) => found.get(giver.name)?.is === 'yes');
  const known = ({ name }: Symbol) => sides.some(({ offers }) => offers.some((offer) => offer.name === name));
  for (let changed = true; changed; ) {
    changed = false;
    for (const side of sides) {
      if (found.get(side.name)?.is !== 'yes') continue;
      const is = side.needs.some(
        (need) =>
          known(need) && givers(need).every((giver) => giver !== side && found.get(giver.name)?.is === 'no'),
      )
        ? 'no'
        : side.needs.every(isGiven)
          ? 'yes'
          : 'unknown';
      if (is === 'yes') continue;
      found.set(side.name, { is, gone: side.needs.some(goneToo) });
      changed = true;
    }
  }
  return found;
}

function byItself(table: Exports | undefined, { untold, refused, kernel }: Side): Loading {
  if (refused && table?.crcs.size) return { is: 'no', gone: false };
  if (untold || !table?.crcs.size || kernel.length === 0) return { is: 'unknown', gone: false };
  const { crcs, whole } = table;
  const gone = kernel.filter(({ name }) => !crcs.has(name)).length;
  const fits = kernel.every(({ name, crc }) => crcs.get(name) === crc);
  const others = kernel.some(({ name, crc }) => crcs.has(name) && crcs.get(name) !== crc);
  // What is not there may be in an rpm that cannot be read: only another CRC tells then.
  const is = fits ? 'yes' : whole || others ? 'no' : 'unknown';
  return { is, gone: is === 'no' && gone === kernel.length };
}
