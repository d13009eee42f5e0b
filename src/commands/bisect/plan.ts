/** What a bisection is about, from reads alone: the kmod's build, the architecture, and the kernels between the two. */
import type { Config } from '../../config/config.ts';
import type { Building, Gate, KernelBuild, Kmod } from '../../core/model.ts';
import { BUILD } from '../../core/model.ts';
import { compareEvr } from '../../core/names.ts';
import { selectKmods } from '../../core/select.ts';
import { isDevel } from '../../core/trial.ts';
import * as koji from '../../koji/calls.ts';
import { type Hub, readGroups, unwrap } from '../../koji/hub.ts';
import { CheckError } from '../error.ts';

export interface Subject {
  /** Package name of the kmod. */
  readonly kmod: string;
  /** NVRs or build ids. */
  readonly good: string;
  readonly bad: string;
  /** Without it the only gate. */
  readonly gate?: string;
  /** NVR or id of the kmod's build; without it the newest in the gate's tag of kmods. */
  readonly build?: string;
  /** Without it x86_64, or the first for which both are built. */
  readonly arch?: string;
  /** Only kernels that were ever in this tag; without it, in those of the gate. */
  readonly tag?: string;
}

export interface Plan {
  readonly gate: Gate & { readonly build: Building };
  readonly kmod: Pick<Kmod, 'name' | 'nvr' | 'buildId' | 'source'>;
  readonly arch: string;
  /** The tag that side tags are made of: the build tag of the gate's target. */
  readonly base: string;
  /** The kernels, oldest first: from the good one to the bad one. */
  readonly row: readonly KernelBuild[];
  /** Kernels between the two that cannot be tried. */
  readonly leftOut: readonly { readonly kernel: string; readonly why: string }[];
}

/** Lists of a kernel's rpms are long: so many are asked for at a time. */
const LISTS = 8;

/** Throws CheckError for what cannot be meant, HubError. */
export async function makePlan(
  hub: Pick<Hub, 'read' | 'readAll'>,
  config: Config,
  subject: Subject,
): Promise<Plan> {
  const gate = gateOf(config, subject.gate);
  const [good, bad] = [
    await kernelOf(hub, gate, '--good', subject.good),
    await kernelOf(hub, gate, '--bad', subject.bad),
  ];
  if (good.name !== bad.name) throw new CheckError(`${good.nvr} and ${bad.nvr} are builds of two packages`);
  if (compareEvr(good, bad) >= 0)
    throw new CheckError(
      `--good ${good.nvr}: it must be older than --bad ${bad.nvr}, by version and release`,
    );
  const { build_tag_name: base } = await hub.read(koji.getBuildTarget(gate.build.target));
  const kmod = await kmodOf(hub, gate, subject);
  const { between, leftOut } = await buildsBetween(hub, gate, subject.tag, good, bad);
  const rpms = new Map<number, readonly koji.Rpm[]>();
  const all = [good, ...between, bad];
  for (let i = 0; i < all.length; i += LISTS) {
    const some = all.slice(i, i + LISTS);
    const lists = await hub.readAll(some.map(({ id }) => koji.listBuildRPMs(id)));
    for (const [n, { id }] of some.entries()) rpms.set(id, unwrap(lists[n]));
  }
  const arch = await archOf(hub, kmod, rpms.get(bad.id) ?? [], subject.arch);
  const missing = await withoutFiles(hub, all, rpms, arch);
  for (const [option, { id, nvr }] of [['--good', good] as const, ['--bad', bad] as const])
    if (missing.has(id)) throw new CheckError(`${option} ${nvr}: ${missing.get(id)}`);
  return {
    ...{ gate, kmod, arch, base },
    row: all.filter(({ id }) => !missing.has(id)),
    leftOut: [
      ...leftOut,
      ...between.flatMap(({ id, nvr }) => {
        const why = missing.get(id);
        return why === undefined ? [] : [{ kernel: nvr, why }];
      }),
    ],
  };
}

function gateOf({ gates }: Config, name: string | undefined): Plan['gate'] {
  const names = gates.map((gate) => gate.name).join(', ');
  const gate = name === undefined ? gates[0] : gates.find((one) => one.name === name);
  if (name === undefined && gates.length > 1) throw new CheckError(`--gate: say which of ${names}`);
  if (!gate) throw new CheckError(`--gate ${name}: no such gate, only ${names}`);
  if (!gate.build)
    throw new CheckError(
      `gate ${gate.name} builds nothing: set gate.build.target, of whose build tag side tags are made`,
    );
  return { ...gate, build: gate.build };
}

const refOf = (ref: string): number | string => (/^\d+$/.test(ref) ? Number(ref) : ref);

async function buildOf(hub: Pick<Hub, 'read'>, option: string, ref: string): Promise<koji.Build> {
  const build = await hub.read(koji.getBuild(refOf(ref)));
  if (!build) throw new CheckError(`${option} ${ref}: the hub has no such build`);
  if (build.state === BUILD.COMPLETE) return build;
  throw new CheckError(`${option} ${ref}: ${stateOf(build)}`);
}

/** Of a build that is not complete. */
const stateOf = ({ state }: koji.Build): string =>
  state === BUILD.DELETED
    ? 'it was deleted'
    : state === BUILD.BUILDING
      ? 'it is not built yet'
      : 'its build failed';

const kernelBuild = ({ build_id: id, nvr, name, epoch, version, release }: koji.Build): KernelBuild => ({
  ...{ id, nvr, name, epoch, version, release },
});

async function kernelOf(
  hub: Pick<Hub, 'read'>,
  gate: Gate,
  option: string,
  ref: string,
): Promise<KernelBuild> {
  const build = await buildOf(hub, option, ref);
  if (gate.kernels.includes(build.name)) return kernelBuild(build);
  throw new CheckError(
    `${option} ${ref}: gate ${gate.name} is for ${gate.kernels.join(', ')}, not for ${build.name}`,
  );
}

/** What the gate's patterns leave out may be asked for, too. */
async function kmodOf(hub: Pick<Hub, 'read'>, gate: Gate, { kmod, build }: Subject): Promise<Kmod> {
  const { tag } = gate.kmods;
  const found =
    build === undefined
      ? (await hub.read(koji.listTagged(tag, { package: kmod, latest: true })))[0]
      : await buildOf(hub, '--build', build);
  if (!found) throw new CheckError(`--kmod ${kmod}: ${tag} has no build of it; see --build`);
  if (found.name !== kmod)
    throw new CheckError(`--build ${build}: it is a build of ${found.name}, not of ${kmod}`);
  const [chosen] = selectKmods({ ...gate, kmods: { ...gate.kmods, include: ['*'], exclude: [] } }, [found]);
  if (!chosen) throw new CheckError(`--kmod ${kmod}: that is the kernel itself`);
  return chosen;
}

/** What was ever in those tags, strictly between the two by version and release. */
async function buildsBetween(
  hub: Pick<Hub, 'readAll'>,
  gate: Gate,
  tag: string | undefined,
  good: KernelBuild,
  bad: KernelBuild,
): Promise<{ between: KernelBuild[]; leftOut: Plan['leftOut'] }> {
  const tags = tag === undefined ? [gate.watch, ...gate.on_pass.tag, ...gate.on_fail.tag] : [tag];
  const { stays } = await readGroups(hub, {
    stays: [...new Set(tags)].map((name) => koji.queryPackageHistory(name, good.name)),
  });
  const ids = stays
    .flat()
    .filter((one) => compareEvr(good, one) < 0 && compareEvr(one, bad) < 0)
    .map(({ build_id }) => build_id);
  const { builds } = await readGroups(hub, { builds: [...new Set(ids)].map((id) => koji.getBuild(id)) });
  const known = builds
    .flatMap((build) => build ?? [])
    .toSorted((a, b) => compareEvr(a, b) || a.build_id - b.build_id);
  const gone = known.filter(({ state }) => state !== BUILD.COMPLETE);
  return {
    between: known.filter((build) => !gone.includes(build)).map(kernelBuild),
    leftOut: gone.map((build) => ({ kernel: build.nvr, why: stateOf(build) })),
  };
}

/** One for which both the kmod and the kernel are built. */
async function archOf(
  hub: Pick<Hub, 'read'>,
  { nvr, buildId, arches: configured }: Kmod,
  rpms: readonly koji.Rpm[],
  wanted: string | undefined,
): Promise<string> {
  const isBuilt = (arch: string) => arch !== 'src' && arch !== 'noarch';
  const ofKernel = new Set(rpms.map(({ arch }) => arch).filter(isBuilt));
  const own =
    configured ?? (await hub.read(koji.listBuildRPMs(buildId))).map(({ arch }) => arch).filter(isBuilt);
  const both = [...new Set(own)].filter((arch) => ofKernel.has(arch));
  const arches = both.length > 0 ? both : [...ofKernel];
  const arch = wanted ?? (arches.includes('x86_64') ? 'x86_64' : arches[0]);
  if (arch !== undefined && arches.includes(arch)) return arch;
  throw new CheckError(
    `--arch ${arch ?? ''}: ${nvr} and the kernel are built for ${arches.join(', ') || 'none'}`,
  );
}

/** Kernels that a kmod cannot be built against, and why: an rpm without its file provides nothing, not even itself. */
async function withoutFiles(
  hub: Pick<Hub, 'readAll'>,
  kernels: readonly KernelBuild[],
  rpms: ReadonlyMap<number, readonly koji.Rpm[]>,
  arch: string,
): Promise<ReadonlyMap<number, string>> {
  const devels = kernels.map(({ id, name }) =>
    rpms.get(id)?.find((rpm) => rpm.arch === arch && isDevel(name, rpm.nvr)),
  );
  const there = devels.flatMap((rpm) => rpm ?? []);
  const { headers } = await readGroups(hub, { headers: there.map(({ id }) => koji.getRPMHeaders(id)) });
  const gone = new Set(there.filter((_, i) => headers[i]?.PROVIDENAME.length === 0).map(({ id }) => id));
  return new Map(
    kernels.flatMap(({ id }, i): [number, string][] => {
      const devel = devels[i];
      if (!devel) return [[id, `it has no devel package for ${arch}`]];
      return gone.has(devel.id) ? [[id, `the hub has no file of ${devel.nvr}.${arch} any more`]] : [];
    }),
  );
}
