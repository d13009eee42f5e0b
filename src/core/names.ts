/** Names and versions as Koji and RPM treat them. */
import { rpmvercmp } from '../kabi/evr.ts';
import { matchesGlob } from '../kabi/glob.ts';
import type { KernelBuild } from './model.ts';

/** A shell pattern (`*` any run of characters, `?` any one) as a test of whole names. */
export function matcher(patterns: readonly string[]): (name: string) => boolean {
  return (name) => patterns.some((pattern) => matchesGlob(pattern, name));
}

/**
 * Where a build's source rpm lies, relative to the hub's `work` folder (koji.PathInfo): `build` accepts
 * such a path as its source.
 */
export function sourceRpmPath(build: {
  readonly name: string;
  readonly version: string;
  readonly release: string;
  readonly volume_name?: string | null | undefined;
}): string {
  const { name, version, release } = build;
  const volume = build.volume_name && build.volume_name !== 'DEFAULT' ? `vol/${build.volume_name}/` : '';
  const rpm = `${name}-${version}-${releasedNvr(release)}.src.rpm`;
  return `../${volume}packages/${name}/${version}/${release}/src/${rpm}`;
}

type Evr = Pick<KernelBuild, 'epoch' | 'version' | 'release'>;

/** A draft build's release carries `,draft_N` until it is promoted (Koji 1.33); its rpms never do. */
const DRAFT = /,draft_\d+$/;
export const isDraft = ({ release }: Pick<KernelBuild, 'release'>): boolean => DRAFT.test(release);
/** A release, or an NVR, as it is once a draft is promoted. */
export const releasedNvr = (name: string): string => name.replace(DRAFT, '');

/** Order of two builds by epoch, version, release as rpm does: negative when `a` is older. A draft is as old as its rpms. */
export function compareEvr(a: Evr, b: Evr): number {
  return (
    (a.epoch ?? 0) - (b.epoch ?? 0) ||
    rpmvercmp(a.version, b.version) ||
    rpmvercmp(releasedNvr(a.release), releasedNvr(b.release))
  );
}
