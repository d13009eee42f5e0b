/** The symbols of builds on the hub, kernels and kmods, for `check` and `diff`. */
import type { Config } from '../config/config.ts';
import { type KernelKind, type KmodRpm, kmodOfBuild, variantsOfRpms } from '../kabi/kmod.ts';
import { type KernelSymbols, type Kmod, machineOf } from '../kabi/model.ts';
import { asksForKernel } from '../kabi/requires.ts';
import { variantOf } from '../kabi/rpm.ts';
import * as koji from '../koji/calls.ts';
import { connectHub } from '../koji/client.ts';
import type { Hub } from '../koji/hub.ts';
import { type Lose, readKernel, readKmodRpms, type SymbolSource } from '../reconciler/rpms.ts';
import { CheckError } from './error.ts';
import { countText, type Kind, type Unread } from './folder.ts';

export interface HubOptions {
  readonly arch: string;
  readonly config: () => Promise<Config>;
}

/** A build id, or an NVR; and what is named as files are. */
const BUILD = /^(\d+|[^/\s]+-[^-/\s]+-[^-/\s]+)$/;
const FILE = /\.(rpm|ko|gz|xz|zst|bz2|lzma|symvers|modversions)$/;

/**
 * What a kernel build provides for one architecture, from its rpms' headers.
 * @param ref NVR or build id
 * @param options.variant '' is the plain kernel
 * @throws CheckError where there is none, HubError
 */
export async function kernelOnHub(
  ref: string,
  options: HubOptions & { readonly variant: string },
): Promise<KernelSymbols & KernelKind> {
  const { arch, variant } = options;
  assertBuild(ref);
  return withHub(options, async (source) => {
    const build = await buildOf(source.hub, ref);
    const kernel = { id: build.build_id, name: build.name, variant };
    const { tables, rpms, variant: own, siblings } = await readKernel(source, kernel);
    const symbols = tables.get(arch);
    const beside = rpms.get(arch);
    if (symbols && symbols.size > 0)
      return { arch, variant: own, siblings, symbols, ...(beside && { rpms: beside }) };
    const there = [...tables].filter(([, table]) => table.size > 0).map(([name]) => name);
    throw new CheckError(
      `${ref}: its ${variant && `${variant} `}rpms provide no symbol for ${arch}${butFor(there)}`,
    );
  });
}

/**
 * What kmod builds need and offer for one architecture, each of those of its rpms that are for the kernel and its variant.
 * @param refs NVRs or build ids
 * @param against the kernel that they are to be compared with
 * @throws CheckError where one is not there, has nothing for that architecture, or is for several variants and it is
 * not known which is meant; HubError
 */
export async function kmodsOnHub(
  refs: readonly string[],
  against: KernelSymbols,
  kind: KernelKind,
  options: HubOptions,
): Promise<Kmod[]> {
  const { arch } = options;
  for (const ref of refs) assertBuild(ref);
  return withHub(options, async (source) => {
    const builds = await Promise.all(refs.map((ref) => buildOf(source.hub, ref)));
    const rpms = await readKmodRpms(
      source,
      builds.map(({ build_id }) => build_id),
    );
    return builds.map(({ nvr }, i) => {
      const of = rpms[i] ?? [];
      const kmod = kmodFor(nvr, of, against, kind, arch);
      if (kmod) return kmod;
      throw new CheckError(`${nvr}: it has no rpm for ${arch}${butFor(of.map((rpm) => rpm.arch))}`);
    });
  });
}

/** Undefined where it has no rpm for that architecture. */
function kmodFor(
  nvr: string,
  rpms: readonly KmodRpm[],
  against: KernelSymbols,
  kind: KernelKind,
  arch: string,
): Kmod | undefined {
  const kmod = kmodOfBuild(nvr, rpms, { ...against, arch }, kind);
  if (!kmod || kind.variant !== null) return kmod;
  const variants = new Set([...variantsOfRpms(rpms, []).values()].filter((variant) => variant !== null));
  if (variants.size <= 1) return kmod;
  const names = [...variants].map((variant) => variant || 'plain').join(', ');
  throw new CheckError(`${nvr}: it has rpms for several variants of the kernel (${names}): see --variant`);
}

/** The kmods of a tag, and what was found beside. */
export interface TaggedKmods {
  readonly kmods: readonly Kmod[];
  readonly passed: readonly Kind[];
  readonly unread: readonly Unread[];
}

/**
 * All kmods among the latest builds of a tag, inherited ones too: those whose rpms hold modules, need symbols or ask for a
 * kernel. The headers of all rpms are read, but for those of builds that make kernels.
 * @param against, kind, options as `kmodsOnHub` has them
 * @throws CheckError where there is none, or one is for several variants and it is not known which is meant; HubError
 */
export async function kmodsOfTag(
  tag: string,
  against: KernelSymbols,
  kind: KernelKind,
  options: HubOptions,
): Promise<TaggedKmods> {
  const { arch } = options;
  return withHub(options, async (source) => {
    const tagged = await source.hub.read(koji.getLatestBuilds(tag));
    const builds = tagged.toSorted((a, b) => (a.nvr < b.nvr ? -1 : 1));
    const lost = new Map<number, string>();
    const lose: Lose = ({ build_id, nvr, arch: of }, { kind: why, message }) => {
      if (why !== 'refused' || build_id === null) return false;
      const isOurs = machineOf(of) === machineOf(arch);
      if (isOurs) lost.set(build_id, `${nvr}.${of} in ${tag}: cannot be read: ${message}`);
      return true;
    };
    const rpms = await readKmodRpms(
      source,
      builds.map(({ build_id }) => build_id),
      lose,
      (all) => !all.some(isOfKernel),
    );
    const kmods: Kmod[] = [];
    const passed: Kind[] = [];
    const unread: Unread[] = [];
    for (const [i, { nvr, build_id }] of builds.entries()) {
      const problem = lost.get(build_id);
      const isKmod = rpms[i]?.some(isForKernel) === true;
      const kmod = isKmod ? kmodFor(nvr, rpms[i] ?? [], against, kind, arch) : undefined;
      if (problem !== undefined) unread.push({ file: nvr, problem });
      else if (kmod) kmods.push(kmod);
      else passed.push(isKmod ? 'arch' : 'build');
    }
    if (kmods.length > 0 || unread.length > 0) return { kmods, passed, unread };
    const others = passed.length > 0 ? ` (passed over: ${countText(passed)})` : '';
    throw new CheckError(`--kmods-tag ${tag}: there is no kmod for ${arch} in it${others}`);
  });
}

/** Whether it is a kernel's by its name. A kmod's may begin with `kernel-` too, and must not be taken for one. */
const isOfKernel = ({ name }: Pick<koji.Rpm, 'name'>): boolean =>
  variantOf(name) !== null || /^kernel[\d.]*$/.test(name);

/** Whether it holds modules, needs symbols, or asks for a kernel. */
const isForKernel = ({ requires, packaging }: KmodRpm): boolean =>
  requires.length > 0 ||
  (packaging !== undefined && (packaging.releases.length > 0 || asksForKernel(packaging)));

const butFor = (arches: readonly string[]): string =>
  arches.length > 0 ? `, but for ${[...new Set(arches)].join(', ')}: see --arch` : '';

/** Ask the hub, and keep nothing. Anybody may read. */
async function withHub<T>(
  { config }: HubOptions,
  ask: (source: SymbolSource & { readonly hub: Hub }) => Promise<T>,
): Promise<T> {
  const { koji: settings } = await config();
  const hub = connectHub({ ...settings, authtype: 'noauth' });
  try {
    return await ask({ hub, store: { rpmSymbols: async () => new Map(), keepRpmSymbols: async () => {} } });
  } finally {
    await hub.close();
  }
}

/** Throws CheckError where it names no build of any hub; before the hub is known. */
function assertBuild(ref: string): void {
  if (BUILD.test(ref) && !FILE.test(ref)) return;
  throw new CheckError(
    `${ref}: there is no such file, and it is no build of a hub either (NAME-VERSION-RELEASE)`,
  );
}

async function buildOf(hub: Hub, ref: string): Promise<koji.Build> {
  const build = await hub.read(koji.getBuild(/^\d+$/.test(ref) ? Number(ref) : ref));
  if (!build) throw new CheckError(`${ref}: there is no such file, and the hub has no such build`);
  return build;
}
