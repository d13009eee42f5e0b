/** Debian's kernels, where packages and .ci/run put them: folders that are called as `uname -r` prints it. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export const FOLDERS = {
  /** This machine's. */
  x86_64: '/usr/lib/modules',
  /** Big-endian. */
  s390x: '/usr/local/lib/s390x-modules',
} as const;
export type Arch = keyof typeof FOLDERS;

/** The folder of the first kernel that has all of these in it; one that is not there, to be named, where none has. */
export function kernelWith(arch: Arch, ...paths: readonly string[]): string {
  const folder = FOLDERS[arch];
  const versions = existsSync(folder) ? readdirSync(folder) : [];
  const found = versions.find((version) => paths.every((path) => existsSync(join(folder, version, path))));
  return join(folder, found ?? '*');
}

/** Its modules' paths, sorted. */
export function modulesBelow(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return files
    .filter((file) => /\.ko(\.(gz|xz|zst))?$/.test(file))
    .sort()
    .map((file) => join(folder, file));
}
