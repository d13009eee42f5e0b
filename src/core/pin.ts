/** Which kernel a build wants by its version, as its log tells: a build that wants another one tests no kernel. */
import { rpmvercmp } from '../kabi/evr.ts';
import type { KernelBuild, LogError } from './model.ts';
import { releasedNvr } from './names.ts';

/** A kernel by its name and NVR; a version is compared without an epoch. */
type Named = Pick<KernelBuild, 'nvr' | 'name'>;

/**
 * The folder of one kernel's headers, by its version: `/lib/modules/VERSION/build`, `/usr/src/kernels/VERSION`, SUSE's
 * `/usr/src/linux-VERSION-obj/ARCH/FLAVOUR`. The source of a regular expression; its two groups are the folder and, in one
 * of two places, the version.
 */
export const KERNEL_FOLDER =
  '((?:/usr)?/lib/modules/(\\d[^\\s/:\'"’]*)/(?:build|source)|/usr/src/(?:kernels/|linux-)(\\d[^\\s/:\'"’]*)(?:(?<=-obj)/\\w+/\\w+)?)';
const FOLDER = new RegExp(KERNEL_FOLDER);

/** Packages that some kernel's build makes, by name: of kernel-rt, kernel-uek, SUSE's flavours too. */
const OF_KERNEL =
  /^kernel(?:-(?:\S+-)?(?:core|devel|devel-matched|headers|modules|modules-[a-z]+|uname-r|syms|source|base|abi-[a-z]+))?$/;
/** `NAME = VERSION`, also `NAME(ARCH) = VERSION`; a symbol's CRC is no version. */
const REQUIRED = /^([^\s<>=(]+)(?:\([^()]*\))?\s*(<=|>=|=|<|>)\s*(?!0x)(\S+)$/;
const VERSIONED = /^(\S+?)-(\d+\.\S*)$/;
/** Rpm's rich dependencies, taken apart. */
const RICH = / (?:or|and|with|without|if|unless|else) /;

/**
 * What an error of a build says that it wants of another kernel than the one under test: a path, or a requirement as it was
 * written (`kernel-devel = 5.14.0-427.el9`). Undefined where there is no such thing.
 */
export function pinIn({ kind, message, identifier = '' }: LogError, kernel: Named): string | undefined {
  const folder = FOLDER.exec(identifier) ?? FOLDER.exec(message);
  if (folder) return isVersionOf(folder[2] ?? folder[3] ?? '', kernel) ? undefined : folder[1];
  if ((kind !== 'kernel' && kind !== 'dependency') || isKernels(message)) return undefined;
  return wishesIn(identifier).find((part) => isPin(part, kind, kernel));
}

/** What is wanted, of a rich dependency each of its parts. */
export const wishesIn = (wanted: string): string[] =>
  wanted
    .replace(/^\((.*)\)$/, '$1')
    .split(RICH)
    .map((part) => part.replace(/^\(+| from \S+$/g, '').replace(/^([^(]*?)\)+$/, '$1'));

/** Whether an error is about the folder of this very kernel. */
export function isInFolderOf({ identifier = '' }: LogError, kernel: Named): boolean {
  const folder = FOLDER.exec(identifier);
  return folder !== null && isVersionOf(folder[2] ?? folder[3] ?? '', kernel);
}

/** What a package of a kernel needs is no wish of the kmod's: dnf tells of each kernel why it cannot be installed. */
function isKernels(message: string): boolean {
  const [, by = ''] =
    /(?:^(?:installed )?package |needed by |^(?=\S+ (?:\(\S+\) )?requires ))(\S+)/.exec(message) ?? [];
  return (
    !/^package \S+ (?:from \S+ )?(?:is|does) /.test(message) && OF_KERNEL.test(VERSIONED.exec(by)?.[1] ?? '')
  );
}

function isPin(wanted: string, kind: LogError['kind'], kernel: Named): boolean {
  const [, name = '', how = '=', version = ''] = REQUIRED.exec(wanted) ?? versioned(wanted);
  const counts = kind === 'kernel' || OF_KERNEL.test(name);
  return counts && version !== '' && !isMet(how, version, kernel);
}

function versioned(wanted: string): string[] {
  const [, name = '', version = ''] = VERSIONED.exec(wanted) ?? [];
  return ['', name, '=', version];
}

function isMet(how: string, wanted: string, kernel: Named): boolean {
  const version = wanted.replace(/^\d+:/, '');
  if (isVersionOf(version, kernel)) return how.includes('=');
  const own = versionOf(kernel);
  // Without a release all of them are meant.
  const same = version.includes('-') ? own : own.replace(/-[^-]*$/, '');
  const order = rpmvercmp(same, version);
  return (order === 0 && how.includes('=')) || (order < 0 && how[0] === '<') || (order > 0 && how[0] === '>');
}

const versionOf = ({ nvr, name }: Named): string => releasedNvr(nvr).slice(name.length + 1);

/**
 * Whether a version, as folders and `uname -r` have it, is a kernel's: with its architecture and variant behind it; SUSE
 * leaves out the release's last number.
 */
function isVersionOf(version: string, kernel: Named): boolean {
  const own = versionOf(kernel);
  const bare = version.replace(/-[a-z]\w*$/i, '');
  return (
    version === own ||
    bare === own ||
    /^[.+][a-z]/.test(after(own, version)) ||
    /^\.\d+$/.test(after(bare, own))
  );
}

const after = (start: string, text: string): string =>
  text.startsWith(start) ? text.slice(start.length) : '';
