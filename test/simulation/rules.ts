/** Draws which builds fail: by how kmods and kernels are, and by trouble that comes and goes. */
import type { Rule } from '../../src/sim/scenario.ts';
import { type Cast, MINUTE } from './draw.ts';
import type { Random } from './random.ts';

/** A draft has another name once it is promoted. */
export const anyNameOf = (nvr: string): string => `${nvr.replace(/,draft_\d+$/, '')}*`;

const TRYING = ['try-build', 'try2-build'] as const;
export const ERROR = (kmod: string) =>
  `/builddir/build/BUILD/${kmod}-1/${kmod.slice(5)}.c:7:1: error: unknown type name ‘x’`;

/**
 * What really compiles, beside what the symbols say: a rule that holds for ever for each cell of kmod, kernel and
 * architecture that does not, in one build tag or in all. Mostly it is broken from a kernel on; else it always was, or
 * is mended by one, or one alone breaks it. Architectures mostly agree.
 */
export function drawTruth(random: Random, { kernels, kmods, arches }: Cast): Rule[] {
  const drawBreak = (): ((i: number) => boolean) => {
    const at = random.int(1, kernels.length - 1);
    return random.pick<(i: number) => boolean>([
      () => false,
      () => false,
      () => false,
      (i) => i >= at,
      (i) => i >= at,
      (i) => i === at,
      (i) => i < at,
      () => true,
    ]);
  };
  const fails = (kmod: string, kernel: string, arch: string, tag: string): Rule => ({
    kmod,
    kernel,
    arch,
    tag,
    result: 'fails',
    log: [ERROR(kmod)],
    times: null,
  });
  return kmods.flatMap(({ name }) => {
    const most = drawBreak();
    const rules = arches.flatMap((arch) => {
      const breaks = random.chance(0.65) ? most : drawBreak();
      return kernels.filter((_, i) => breaks(i)).map(({ nvr }) => fails(name, anyNameOf(nvr), arch, '*'));
    });
    // The compilers of a build tag may not like a kmod at all.
    const local = random.chance(0.12) ? [fails(name, '*', '*', random.pick(TRYING))] : [];
    return [...rules, ...local];
  });
}

/** Packages that kmods need to be built, as theirs or everybody's: no kernel's build makes them. */
const NEEDED = ['kernel-rpm-macros', 'elfutils-libelf-devel', 'libnl3-devel', 'python3dist(setuptools)'];

/** What a build.log says where the machine killed something. */
export const KILLED: readonly (readonly string[])[] = [
  ['make[2]: *** [Makefile:12: a.o] Killed'],
  [
    '/bin/sh: line 1: 4711 Killed                  LLVM_OBJCOPY="objcopy" pahole -J --btf_gen_floats a.ko',
    'make[2]: *** [scripts/Makefile.modfinal:57: a.ko] Error 137',
  ],
  ['collect2: fatal error: ld terminated with signal 9 [Killed]', 'compilation terminated.'],
  ['/bin/sh: fork: retry: Resource temporarily unavailable', 'sh: fork: Resource temporarily unavailable'],
];

/** What builds come to by no fault of a kmod: for a time, or for the first tries, or for one kernel. */
export function drawTrouble(
  random: Random,
  { kernels, kmods, arches, stormEnds }: Omit<Cast, 'gates'> & { readonly stormEnds: number },
): Rule[] {
  const kinds = ['needs', 'needs', 'needs', 'killed', 'killed', 'mock-error', 'init-error'] as const;
  const more = ['traceback', 'restart', 'hangs'] as const;
  return Array.from({ length: random.int(0, 3) }, (): Rule => {
    const kind = random.pick([...kinds, ...more]);
    const needs = kind === 'needs';
    const killed = kind === 'killed';
    // What is missing comes back after a time, or never; a machine fails a few times.
    const passes = kind === 'restart' || random.chance(needs ? 0.2 : 0.7);
    const after = needs && random.chance(0.6) ? random.int(0, stormEnds) : 0;
    const ends = needs && random.chance(0.7) ? after + random.int(10, 12 * 60) * MINUTE : null;
    return {
      kmod: random.pick(['*', ...kmods.map(({ name }) => name)]),
      kernel: random.pick(['*', '*', ...kernels.map(({ nvr }) => nvr)]),
      arch: random.pick(['*', '*', ...arches]),
      tag: random.pick(['*', ...TRYING]),
      after,
      before: ends,
      result: needs ? 'mock-error' : killed ? 'fails' : kind,
      log: needs
        ? [`No matching package to install: '${random.pick(NEEDED)}'`, 'Not all dependencies satisfied']
        : killed
          ? random.pick(KILLED)
          : [],
      ...(killed && { status: random.pick([1, 10]) }),
      times: passes || (killed && ends === null) ? random.int(1, 4) : null,
    };
  });
}
