/** Names and versions as Koji and RPM treat them. */
import { rpmvercmp } from '../kabi/evr.ts';
import type { KernelBuild } from './model.ts';

/** A shell pattern (`*` any run of characters, `?` any one) as a test of whole names. */
export function matcher(patterns: readonly string[]): (name: string) => boolean {
  return (name) => patterns.some((pattern) => matchesGlob(pattern, name));
}

/**
 * Goes back to the last `*` alone: what an earlier one could take more of, the last one can too. So the time is the product of
 * both lengths at most, where a regular expression takes for ever on a pattern of many stars.
 */
function matchesGlob(pattern: string, name: string): boolean {
  let at = 0;
  let star = -1;
  let taken = 0;
  for (let i = 0; i < name.length; ) {
    if (pattern[at] === '*') {
      star = at++;
      taken = i;
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === name[i])) {
      at++;
      i++;
    } else if (star >= 0) {
      at = star + 1;
      i = ++taken;
    } else return false;
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
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
