/** The types of a kernel that is a build on the hub: `.BTF` of its vmlinuz, out of the one rpm that holds it. */

import { SymbolFileError } from '../kabi/error.ts';
import { type KernelName, rpmsOfKernel } from '../kabi/rpm.ts';
import type { Build, Rpm } from '../koji/calls.ts';
import * as koji from '../koji/calls.ts';
import { createFetch, DownloadError, type Fetch, rpmUrl } from '../koji/download.ts';
import { type Hub, HubError, SettingsError, unwrap } from '../koji/hub.ts';
import { holdsKernel, imageOfRpm } from '../symbols/kernelrpm.ts';
import { streamSource } from '../symbols/source.ts';
import type { KernelTypes, TypesOf } from './context.ts';
import type { KernelOfBuild } from './rpms.ts';

/** Where files are fetched from: `topurl` of the configuration. */
export interface FileServer {
  readonly topurl: string | undefined;
  readonly fetch: Fetch;
}

/**
 * The types of a kernel of a build for one architecture. The rpm is told by its list of files, and fetched up to the end of
 * the kernel in it; nothing is kept. With its first two arguments given, it is a `TypesOf`.
 */
export async function typesOfBuild(
  hub: Pick<Hub, 'read' | 'readAll'>,
  files: FileServer,
  kernel: KernelOfBuild & { readonly arch: string },
): Promise<KernelTypes> {
  const none = (why: string, later = false) => ({ btf: null, why, later });
  if (files.topurl === undefined) return none("topurl in [koji] does not say where the hub's files are");
  try {
    const build = await hub.read(koji.getBuild(kernel.id));
    if (!build) return none(`the hub has no build ${kernel.id}`);
    const rpms = await kernelRpms(hub, build, kernel);
    let without: string | null = null;
    for (const rpm of rpms) {
      const image = await imageAt(rpmUrl(files.topurl, build, rpm), rpm, files.fetch);
      if (image?.btf) return { btf: image.btf, file: image.file };
      without ??= image?.file ?? null;
    }
    const why = without
      ? `${without} was built without types (CONFIG_DEBUG_INFO_BTF)`
      : `none of its rpms for ${kernel.arch} holds a kernel that is known here`;
    return none(why);
  } catch (error) {
    if (!isExpected(error)) throw error;
    const passes =
      error instanceof DownloadError ? error.passes : error instanceof HubError && error.kind !== 'refused';
    return none(error.message, passes);
  }
}

const isExpected = (error: unknown): error is Error =>
  [DownloadError, HubError, SettingsError, SymbolFileError].some((known) => error instanceof known);

/** The same for a configured hub; undefined where nothing says where its files are. */
export function typesFrom(
  koji: Parameters<typeof createFetch>[0] & { readonly topurl?: string },
  hub: Pick<Hub, 'read' | 'readAll'>,
): TypesOf | undefined {
  const { topurl } = koji;
  if (topurl === undefined) return undefined;
  const files = { topurl, fetch: createFetch(koji) };
  return (kernel) => typesOfBuild(hub, files, kernel);
}

/** The rpms of a kernel that hold a kernel file. */
async function kernelRpms(
  hub: Pick<Hub, 'read' | 'readAll'>,
  build: Build,
  { arch, ...kernel }: KernelName & { readonly arch: string },
): Promise<Rpm[]> {
  const all = rpmsOfKernel(kernel, await hub.read(koji.listBuildRPMs(build.build_id)));
  const rpms = all.filter((rpm) => rpm.arch === arch);
  const lists = await hub.readAll(rpms.map(({ id }) => koji.getRPMFiles(id)));
  return rpms.filter((_, i) => holdsKernel(unwrap(lists[i])));
}

async function imageAt(url: string, { name, version, release, arch }: Rpm, fetch: Fetch) {
  const download = await fetch(url);
  try {
    return await imageOfRpm(streamSource(download.parts, `${name}-${version}-${release}.${arch}.rpm`));
  } finally {
    download.close();
  }
}
