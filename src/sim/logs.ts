/** What mock and rpmbuild leave behind: build.log and root.log, as far as anybody reads them. */
import type { Kernel, Kmod } from './scenario.ts';
import { digest } from './state.ts';

/** What to write about: a kmod, the kernel in its build root, the architecture. */
export interface BuildSubject {
  readonly kmod: Kmod;
  readonly kernel: Kernel;
  readonly arch: string;
}

/** A build.log up to the compiler's work, with nothing after it. */
function compiling({ kmod, kernel, arch }: BuildSubject): string[] {
  const dir = buildDir(kmod);
  const headers = headersDir(kernel, arch);
  return [
    `Building target platforms: ${arch}`,
    `Building for target ${arch}`,
    `Executing(%prep): /bin/sh -e ${tmp(kmod, 'prep')}`,
    '+ umask 022',
    `+ cd ${dir}`,
    '+ exit 0',
    `Executing(%build): /bin/sh -e ${tmp(kmod, 'build')}`,
    '+ umask 022',
    `+ cd ${dir}`,
    `+ make -C ${headers} M=${dir} modules`,
    `make: Entering directory '${headers}'`,
    `  CC [M]  ${dir}/${module(kmod)}.o`,
  ];
}

/** build.log of a build that worked. */
export function goodBuildLog(subject: BuildSubject): string {
  const { kmod, kernel, arch } = subject;
  const dir = buildDir(kmod);
  return text([
    ...compiling(subject),
    `  MODPOST ${dir}/Module.symvers`,
    `  LD [M]  ${dir}/${module(kmod)}.ko`,
    `make: Leaving directory '${headersDir(kernel, arch)}'`,
    '+ RPM_EC=0',
    '+ exit 0',
    `Processing files: ${kmod.nvr}.${arch}`,
    `Wrote: /builddir/build/RPMS/${arch}/${kmod.nvr}.${arch}.rpm`,
    `Executing(%clean): /bin/sh -e ${tmp(kmod, 'clean')}`,
    '+ exit 0',
  ]);
}

/** The end of a build.log that tells of nothing but the rpms that were written. */
export function writtenLog(files: readonly string[], arch: string): string {
  return text([
    ...files.map((file) => `Wrote: /builddir/build/RPMS/${arch}/${file}`),
    '+ RPM_EC=0',
    '+ exit 0',
  ]);
}

/** build.log of a build that failed with these lines of the compiler. */
export function badBuildLog(subject: BuildSubject, errors: readonly string[]): string {
  const { kmod, kernel, arch } = subject;
  const dir = buildDir(kmod);
  const headers = headersDir(kernel, arch);
  return text([
    ...compiling(subject),
    ...errors,
    `make[2]: *** [${headers}/scripts/Makefile.build:250: ${dir}/${module(kmod)}.o] Error 1`,
    `make[1]: *** [${headers}/Makefile:1992: ${dir}] Error 2`,
    'make: *** [Makefile:236: __sub-make] Error 2',
    `make: Leaving directory '${headers}'`,
    '+ exit 1',
    `error: Bad exit status from ${tmp(kmod, 'build')} (%build)`,
    '',
    'RPM build errors:',
    `    Bad exit status from ${tmp(kmod, 'build')} (%build)`,
  ]);
}

/** What gcc says about calls of functions that no header of this kernel declares. */
export function missingSymbols(kmod: Kmod, symbols: readonly string[]): string[] {
  const source = `${buildDir(kmod)}/${module(kmod)}.c`;
  const errors = symbols.flatMap((symbol) => {
    const line = 20 + (Number.parseInt(digest(symbol).slice(0, 4), 16) % 900);
    return [
      `${source}:${line}:9: error: implicit declaration of function '${symbol}' [-Werror=implicit-function-declaration]`,
      ` ${String(line).padStart(4)} |         ${symbol}(dev);`,
      `      |         ${'^'.padEnd(symbol.length, '~')}`,
    ];
  });
  return [...errors, 'cc1: some warnings being treated as errors'];
}

/** root.log: what was installed, then what went wrong, if anything did. */
export function rootLog(installed: readonly string[], errors: readonly string[] = []): string {
  const said = [
    ...(installed.length > 0 ? ['Installed:'] : []),
    ...installed.map((nvra) => `  ${nvra}`),
    ...errors,
  ];
  return text([
    ...said.map((line) => `DEBUG util.py:461:  ${line}`),
    `DEBUG util.py:610:  Child return code was: ${errors.length === 0 ? 0 : 1}`,
  ]);
}

/** What dnf says when a repository cannot be reached. */
export const NO_METADATA: readonly string[] = [
  "Errors during downloading metadata for repository 'build':",
  '  - Status code: 503 for http://koji.example.org/kojifiles/repos/repodata/repomd.xml',
  "Error: Failed to download metadata for repo 'build': Cannot download repomd.xml: Cannot download repodata/repomd.xml: All mirrors were tried",
];

/** What dnf says when the package that a spec file asks for is in no repo. */
export function noSuchPackage(wanted: string): string[] {
  return [
    `No matching package to install: '${wanted}'`,
    'Not all dependencies satisfied',
    'Error: Some packages could not be found.',
  ];
}

function module(kmod: Kmod): string {
  return kmod.name.replace(/^kmod-/, '').replaceAll('-', '_');
}

function buildDir(kmod: Kmod): string {
  return `/builddir/build/BUILD/${kmod.name}-${kmod.version}`;
}

function headersDir(kernel: Kernel, arch: string): string {
  return `/usr/src/kernels/${kernel.version}-${kernel.release}.${arch}`;
}

function tmp(kmod: Kmod, stage: string): string {
  return `/var/tmp/rpm-tmp.${digest(`${kmod.nvr} ${stage}`).slice(0, 6)}`;
}

function text(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}
