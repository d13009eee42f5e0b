/** What rpms ask of a kernel beside its symbols, and whether it meets that. */
import { COMPARISON, type Dependency, describeDependency, overlaps, SENSE } from './evr.ts';
import { evaluate, leavesOf, parseRich } from './rich.ts';
import { type DependencyArrays, kernelOfPart } from './rpm.ts';

/** What an rpm, or some together, say beside symbols. */
export interface Packaging {
  readonly provides: readonly Dependency[];
  readonly requires: readonly Dependency[];
  /** VERSION of each `/lib/modules/VERSION` that it has files in. */
  readonly releases: readonly string[];
}

/**
 * Of an rpm's header what a kernel may have to do with: names with brackets are those of symbols, modules, libraries, and
 * of rpm itself, a path is a file's. All but a few of the thousands of lines go.
 * @param rpm.folders DIRNAMES: those that it has files in, each with a slash at its end
 */
export function packagingOf(rpm: {
  readonly provides: DependencyArrays;
  readonly requires: DependencyArrays;
  readonly folders: readonly string[];
}): Packaging {
  const releases = rpm.folders.flatMap((folder) => MODULES.exec(folder)?.[1] ?? []);
  return {
    provides: plain(rpm.provides),
    requires: plain(rpm.requires),
    releases: [...new Set(releases)],
  };
}

/** Links in weak-updates are for kernels that it was not built for; `kabi-rhel90` holds stablelists. */
const MODULES = /^(?:\/usr)?\/lib\/modules\/(\d[^/]*)\/(?!weak-updates\/)/;

function plain({ names, versions, flags }: DependencyArrays): Dependency[] {
  const found = new Map<string, Dependency>();
  for (const [i, name] of names.entries()) {
    if (name.startsWith('/') || name.indexOf('(') > 0) continue;
    const sense = (flags?.[i] ?? SENSE.EQUAL) & COMPARISON;
    const dependency = { name, flags: sense, version: versions[i] ?? '' };
    found.set(describeDependency(dependency), dependency);
  }
  return [...found.values()];
}

/** Of several rpms together. */
export const mergePackaging = (all: readonly Packaging[]): Packaging => ({
  provides: all.flatMap(({ provides }) => provides),
  requires: all.flatMap(({ requires }) => requires),
  releases: [...new Set(all.flatMap(({ releases }) => releases))],
});

/** What the rpms of a kernel say beside symbols. */
export interface KernelRpms {
  /** What their names begin with: `kernel`, `kernel-rt`. */
  readonly prefix: string;
  readonly provides: readonly Dependency[];
  /** VERSION-RELEASE of its rpms, with an epoch where they have one; null: not known. */
  readonly evr: string | null;
  /** What `uname -r` prints; empty: not known. */
  readonly releases: readonly string[];
}

/**
 * @param prefix what the names of the kernel's rpms begin with
 * @param rpms those that hold a part of it, for one architecture
 */
export function kernelRpms(
  prefix: string,
  rpms: readonly { readonly name: string; readonly packaging: Packaging }[],
  arch: string | null,
): KernelRpms {
  const provides = rpms.flatMap(({ packaging }) => packaging.provides);
  // Every rpm provides itself.
  const itself = rpms.map(({ name, packaging }) => packaging.provides.find((it) => it.name === name));
  const evr = itself.find((it) => it !== undefined)?.version ?? null;
  const told = [
    ...provides.filter(({ name }) => name.endsWith(UNAME)).map(({ version }) => version),
    ...rpms.flatMap(({ packaging }) => packaging.releases),
  ];
  // Variants have an ending of their own, which each maker writes in another way.
  const guessed =
    evr !== null && arch !== null && prefix === 'kernel' ? [`${evr.replace(/^\d+:/, '')}.${arch}`] : [];
  return { prefix, provides, evr, releases: told.length > 0 ? [...new Set(told)] : guessed };
}

const UNAME = '-uname-r';
/** What kmods that keep to the kABI provide, and may require: VERSION is a kernel's that has that kABI. */
const KABI = 'kabi-modules';

/** Whether an rpm requires a kernel by what only kernels provide. */
export const asksForKernel = ({ requires }: Packaging): boolean =>
  requires.some(({ name }) => name.endsWith(UNAME) || name === KABI);

/** A requirement of a kernel: `provided` is what the kernel has of it; null: nothing tells. */
export interface Requirement {
  readonly requires: string;
  readonly provided: string | null;
}

/**
 * The requirements that a kernel does not meet, and those of which nothing tells. What no kernel's rpm provides by name is
 * no requirement of a kernel, and what the kmod provides itself is met.
 * @param kernel undefined of a kernel that is known by its symbols alone
 */
export function unmetRequirements(
  { requires, provides }: Packaging,
  kernel: KernelRpms | undefined,
): Requirement[] {
  const offers = (asked: Dependency) => (kernel ? offersOf(asked.name, kernel) : ofAnyKernel(asked));
  const isMet = (asked: Dependency): boolean | null =>
    provides.some((own) => own.name === asked.name && overlaps(asked, own)) ||
    (offers(asked)?.some((offer) => overlaps(asked, offer)) ?? null);
  return requires.flatMap((asked) => {
    const rich = parseRich(asked.name) ?? asked;
    if (evaluate(rich, isMet) !== false) return [];
    const all = leavesOf(rich).flatMap((one) => offers(one) ?? []);
    const tells = kernel !== undefined && asked.name !== KABI && all.length > 0;
    const provided = tells ? [...new Set(all.map(({ version }) => version))].join(', ') : null;
    return [{ requires: describeDependency(asked), provided }];
  });
}

/** What a kernel has under a name; empty: nothing tells; null: it is no name of a kernel's. */
function offersOf(
  name: string,
  { prefix, provides, evr, releases }: KernelRpms,
): readonly Dependency[] | null {
  const said = provides.filter((offer) => offer.name === name);
  if (said.length > 0) return said;
  const versions = (all: readonly string[]) => all.map((version) => ({ name, flags: SENSE.EQUAL, version }));
  if (name === KABI) return versions(releases);
  const rpm = rpmOfUname(name);
  // Not every rpm of the kernel is always at hand: all have its version.
  if (rpm !== prefix && kernelOfPart(rpm) !== prefix) return null;
  return versions(rpm === name ? (evr === null ? [] : [evr]) : releases);
}

/** Without a kernel's rpms: nothing tells of a version. */
function ofAnyKernel({ name, flags }: Dependency): readonly Dependency[] | null {
  const rpm = rpmOfUname(name);
  const isKernels = rpm === 'kernel' || /^kernel(-|$)/.test(kernelOfPart(rpm) ?? '');
  return flags !== 0 && (isKernels || name === KABI) ? [] : null;
}

/** The rpm that provides its kernel's release under a name; any other name as it is. */
const rpmOfUname = (name: string): string => (name.endsWith(UNAME) ? name.slice(0, -UNAME.length) : name);

/**
 * The kernels that a package is built for, as far as it tells: that which it requires by `uname -r`, else that in
 * whose folder its modules are, else one in its name.
 * @param name of its rpm: `kmod-zfs-5.14.0-427.el9.x86_64`
 */
export function builtFor(name: string, { requires, releases }: Packaging): readonly string[] {
  const pinned = requires.filter((it) => it.name.endsWith(UNAME) && it.flags === SENSE.EQUAL);
  if (pinned.length > 0) return [...new Set(pinned.map(({ version }) => version))];
  if (releases.length > 0) return releases;
  return NAMED_KERNEL.exec(name)?.slice(1) ?? [];
}

/** `kmod-NAME-VERSION-RELEASE.ARCH`, as kmodtool calls the rpm for one kernel. */
const NAMED_KERNEL = /-(\d+\.\d+\.\d+[-_]\d[\w.+~^-]*)$/;

/** The name without the kernel that it is for: rpms that share it are one package for several kernels. */
export const nameWithoutKernel = (name: string): string => name.replace(NAMED_KERNEL, '');
