/** Builds on the hub, kernels and kmods: their symbols, types and changelogs, for `check`, `diff` and `why`. */
import type { ChangelogEntry } from '../changelog/lines.ts';
import type { Config, KojiSettings } from '../config/config.ts';
import { type KernelKind, type KmodRpm, kmodOfBuild, variantsOfRpms } from '../kabi/kmod.ts';
import { type KernelSymbols, type Kmod, machineOf } from '../kabi/model.ts';
import { asksForKernel } from '../kabi/requires.ts';
import { variantOf } from '../kabi/rpm.ts';
import * as koji from '../koji/calls.ts';
import { connectHub } from '../koji/client.ts';
import { createFetch } from '../koji/download.ts';
import { type Hub, HubError } from '../koji/hub.ts';
import type { KernelTypes } from '../reconciler/context.ts';
import { typesOfBuild } from '../reconciler/kerneltypes.ts';
import { type Lose, readKernel, readKmodRpms, type SymbolSource, silentIn } from '../reconciler/rpms.ts';
import { CheckError } from './error.ts';
import { countText, type Kind, type Unread } from './folder.ts';

export interface HubOptions {
  readonly arch: string;
  readonly config: () => Promise<Config>;
  /** Gets the rpms for that architecture that the hub does not give. */
  readonly unread: Unread[];
}

/** A build id, or an NVR; and what is named as files are. */
const BUILD = /^(\d+|[^/\s]+-[^-/\s]+-[^-/\s]+)$/;
const FILE = /\.(rpm|ko|gz|xz|zst|bz2|lzma|symvers|modversions)$/;

/**
 * What a kernel build provides for one architecture, from its rpms' headers; partial where one cannot be read.
 * @param ref NVR or build id
 * @param options.variant '' is the plain kernel
 * @throws CheckError where there is none, HubError
 */
export async function kernelOnHub(
  ref: string,
  options: HubOptions & { readonly variant: string },
): Promise<KernelSymbols & KernelKind & { readonly silent: readonly string[] }> {
  const { arch, variant } = options;
  assertBuild(ref);
  return withHub(options, async (source) => {
    const build = await buildOf(source.hub, ref);
    const kernel = { id: build.build_id, name: build.name, variant };
    const read = await readKernel(source, kernel, noting(options));
    const { tables, variant: own, siblings } = read;
    const [symbols, rpms, partial] = [tables.get(arch), read.rpms.get(arch), read.partial.get(arch)];
    const beside = { ...(rpms && { rpms }), ...(partial !== undefined && { partial }) };
    if (symbols && symbols.size > 0)
      return { arch, variant: own, siblings, symbols, silent: silentIn(read, arch), ...beside };
    if (partial !== undefined)
      throw new CheckError(`${ref}: nothing tells its symbols for ${arch}: ${partial}`);
    const there = [...tables].filter(([, table]) => table.size > 0).map(([name]) => name);
    throw new CheckError(
      `${ref}: its ${variant && `${variant} `}rpms provide no symbol for ${arch}${butFor(there)}`,
    );
  });
}

/**
 * What kmod builds need and offer for one architecture, each of those of its rpms that are for the kernel and its variant;
 * without the builds of which an rpm cannot be read.
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
    const rpms = await rpmsOf(source, builds, options);
    return builds.flatMap(({ nvr }, i) => {
      const of = rpms[i];
      if (!of) return [];
      const kmod = kmodFor(nvr, of, against, kind, arch);
      if (kmod) return kmod;
      throw new CheckError(`${nvr}: it has no rpm for ${arch}${butFor(of.map((rpm) => rpm.arch))}`);
    });
  });
}

/**
 * What the rpms of kmods' builds have, in the order of the builds; null of a build of which one for that architecture cannot
 * be read.
 * @param isWanted see `readKmodRpms`
 */
async function rpmsOf(
  source: SymbolSource,
  builds: readonly koji.Build[],
  options: HubOptions,
  isWanted?: (rpms: readonly koji.Rpm[]) => boolean,
): Promise<(readonly KmodRpm[] | null)[]> {
  const lost = new Set<number | null>();
  const note = noting(options);
  const ids = builds.map(({ build_id }) => build_id);
  const lose: Lose = (rpm, error) => {
    if (isFor(rpm, options.arch)) lost.add(rpm.build_id);
    return note(rpm, error);
  };
  const rpms = await readKmodRpms(source, ids, lose, isWanted);
  return ids.map((id, i) => (lost.has(id) ? null : (rpms[i] ?? [])));
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

/**
 * All kmods among the latest builds of a tag, inherited ones too: those whose rpms hold modules, need symbols or ask for a
 * kernel; without the builds of which an rpm cannot be read. The headers of all rpms are read, but for those of builds that
 * make kernels.
 * @param against, kind, options as `kmodsOnHub` has them
 * @param options.passed gets what else is in the tag
 * @throws CheckError where there is none, or one is for several variants and it is not known which is meant; HubError
 */
export async function kmodsOfTag(
  tag: string,
  against: KernelSymbols,
  kind: KernelKind,
  options: HubOptions & { readonly passed: Kind[] },
): Promise<Kmod[]> {
  const { arch } = options;
  return withHub(options, async (source) => {
    const tagged = await source.hub.read(koji.getLatestBuilds(tag));
    const builds = tagged.toSorted((a, b) => (a.nvr < b.nvr ? -1 : 1));
    const rpms = await rpmsOf(source, builds, options, (all) => !all.some(isOfKernel));
    const passed: Kind[] = [];
    const kmods = builds.flatMap(({ nvr }, i) => {
      const of = rpms[i];
      if (!of) return [];
      const isKmod = of.some(isForKernel);
      const kmod = isKmod ? kmodFor(nvr, of, against, kind, arch) : undefined;
      if (!kmod) passed.push(isKmod ? 'arch' : 'build');
      return kmod ?? [];
    });
    options.passed.push(...passed);
    if (kmods.length > 0 || rpms.includes(null)) return kmods;
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

/**
 * The types of a kernel build's vmlinux, or why they cannot be had.
 * @throws CheckError where there is no such build, HubError
 */
export function typesOnHub(
  ref: string,
  options: Pick<HubOptions, 'arch' | 'config'> & { readonly variant: string },
): Promise<KernelTypes> {
  const { arch, variant } = options;
  return withHub(options, async ({ hub }, settings) => {
    const build = await buildOf(hub, ref);
    const files = { topurl: settings.topurl, fetch: createFetch(settings) };
    return typesOfBuild(hub, files, { id: build.build_id, name: build.name, variant, arch });
  });
}

/** The changelog of a build, which the hub reads from its source rpm, or why it cannot be had. Throws CheckError, HubError. */
export function changelogOnHub(
  ref: string,
  options: Pick<HubOptions, 'config'>,
): Promise<readonly ChangelogEntry[] | { readonly why: string }> {
  return withHub(options, async ({ hub }) => {
    const { build_id } = await buildOf(hub, ref);
    return hub.read(koji.getChangelogEntries(build_id)).catch((error: unknown) => {
      if (error instanceof HubError) return { why: `${ref}: ${error.message}` };
      throw error;
    });
  });
}

/** Whether an rpm is for an architecture, or for a level of it. */
const isFor = (rpm: koji.Rpm, arch: string): boolean => machineOf(rpm.arch) === machineOf(arch);

/** Bears with what the hub has no file of, or will not give, and notes it where that is for the wanted architecture. */
const noting =
  ({ arch, unread }: HubOptions): Lose =>
  (rpm, { kind, message }) => {
    if (kind !== 'refused') return false;
    if (isFor(rpm, arch)) unread.push({ file: `${rpm.nvr}.${rpm.arch}.rpm`, problem: message });
    return true;
  };

const butFor = (arches: readonly string[]): string =>
  arches.length > 0 ? `, but for ${[...new Set(arches)].join(', ')}: see --arch` : '';

/** Ask the hub, and keep nothing. Anybody may read. */
async function withHub<T>(
  { config }: Pick<HubOptions, 'config'>,
  ask: (source: SymbolSource & { readonly hub: Hub }, settings: KojiSettings) => Promise<T>,
): Promise<T> {
  const { koji: settings } = await config();
  const hub = connectHub({ ...settings, authtype: 'noauth' });
  try {
    const store = { rpmSymbols: async () => new Map(), keepRpmSymbols: async () => {} };
    return await ask({ hub, store }, settings);
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
