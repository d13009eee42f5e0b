/** Logs of the field with mock's status 1, played to a verdict: whose failure it is decides, and its words are told. */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { only, repo, rule, STANDS, settled, withRules } from './scenes.ts';
import { NEW, type Stage, setStage } from './stage.ts';

let stage: Stage;
afterEach(() => stage.end());

/** kmod-alpha fails so with NEW, and builds with the baseline. */
async function play(log: readonly string[]) {
  stage = await setStage({
    gate: { ...only('kmod-alpha'), ...repo('sidetag') },
    scenario: withRules(rule({ result: 'fails', kernel: NEW, log: [...log] })),
  });
  stage.world.completeKernel(NEW, STANDS);
  const found = await settled(stage, NEW);
  return { ...found, tries: stage.scratchBuilds('kmod-alpha').length };
}

const real = (name: string): string[] =>
  readFileSync(new URL(`../logs/real/status1/${name}.build.txt`, import.meta.url), 'utf8').split('\n');

describe("is the package's own, and blocks the kernel that brought it", () => {
  test.each<[string, string]>([
    ['arch-not-included', 'Architecture is not included: i686'],
    ['clang-options', "unknown argument: '-fmin-function-alignment=16'"],
    ['configure-kernel-too-new', 'The maximum supported kernel version is 6.17.'],
    ['configure-tries-before-error', "too few arguments to function 'foo'"],
    ['file-not-found', 'File not found: '],
    ['gcc-plugin', 'incompatible gcc/plugin versions'],
    ['kernel-config-invalid', 'Kernel configuration is invalid.'],
    ['modpost-fatal-gpl-only', "uses GPL-only symbol 'delayed_work_timer_fn'"],
    ['modpost-missing-license', 'missing MODULE_LICENSE()'],
    ['modpost-namespace', 'uses symbol kernel_write from namespace'],
    // What rpmbuild says last makes it the package's own, and the warning is all there is before it.
    ['modpost-warning-only', 'foo_table'],
    ['objtool', 'sibling call from callable instruction'],
    ['rust-crate-mismatch', "couldn't find crate `core`"],
    ['signing-key-missing', 'signing_key.priv: No such file'],
    ['warnings-as-errors', 'all warnings being treated as errors'],
  ])('%s', async (name, words) => {
    const { verdict, why, tries } = await play(real(name));
    expect(verdict).toBe('block');
    expect(why).toContain(words);
    // One with this kernel, one with the baseline.
    expect(tries).toBe(2);
  });
});

describe("is not the package's own: the kernel is held", () => {
  test.each<[string, readonly string[], RegExp, 'once' | 'again']>([
    [
      'another kernel is looked for',
      real('kernel-folder-missing'),
      /tested no kernel .*6\.12\.0-55\.el10/,
      'once',
    ],
    [
      'a compiler was killed',
      ['gcc: fatal error: Killed signal terminated program cc1', ...real('warnings-as-errors')],
      /trouble in the build system .*Killed signal terminated/,
      'again',
    ],
    [
      'pahole was killed',
      ['/bin/sh: line 1: 123 Killed    pahole -J k.ko', 'make[2]: *** [k.ko] Error 137', ...real('objtool')],
      /trouble in the build system .*pahole/,
      'again',
    ],
  ])('%s', async (_, log, words, tried) => {
    const { verdict, why, tries } = await play(log);
    expect(verdict).toBe('hold');
    expect(why).toMatch(words);
    expect(tries > 1 ? 'again' : 'once').toBe(tried);
  });
});
