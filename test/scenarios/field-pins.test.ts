/** Spec files of the field that name the kernel they are for: with another kernel they test none, so no verdict follows. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Change } from './scenes.ts';
import { all, only, repo, rule, settled, withRules } from './scenes.ts';
import { GATE, NEW, OLD, type Stage, setStage } from './stage.ts';

let stage: Stage;
afterEach(() => stage.end());

/** Of the baseline, and of a kernel that no repo has. */
const BEFORE = OLD.slice('kernel-'.length);
const GONE = '6.1.150-40.el9';
const OWN = NEW.slice('kernel-'.length);
const BAD_EXIT = 'error: Bad exit status from /var/tmp/rpm-tmp.x (%build)';

/** The kernel's build makes these too, as those of Enterprise Linux and SUSE do. */
const withOthers: Change = (small) => ({
  ...small,
  kernels: small.kernels.map((kernel) => ({
    ...kernel,
    others: ['kernel-headers', 'kernel-abi-stablelists', 'kernel-rt-devel', 'kernel-default-devel'],
  })),
});

/** kmod-alpha, tried in a side tag; `kernels` is of which ones it fails with. */
async function play(result: 'mock-error' | 'fails', log: string[], kernels: string) {
  stage = await setStage({
    gate: { ...only('kmod-alpha'), ...repo('sidetag') },
    scenario: all(withOthers, withRules(rule({ result, log, kernel: kernels }))),
  });
  stage.world.completeKernel(NEW, { tag: GATE.watch });
  return { ...(await settled(stage, NEW)), tries: stage.scratchBuilds('kmod-alpha').length };
}

const missing = (wanted: string): string => `No matching package to install: '${wanted}'`;
/** What rpmbuild and dnf say before and after. */
const NOISE = ['a', 'b >= 2', 'perl(c)'].map(missing);
const among = (...lines: string[]): string[] => [...NOISE, ...lines, missing('d')];
const DEVELS = ['kernel-abi-stablelists', 'kernel-core', 'kernel-devel', 'kernel-headers', 'kernel-modules'];

describe.each([
  ['with this kernel', NEW, BEFORE],
  ['with any kernel', '*', GONE],
])('a kmod that asks for a kernel that is not the one under test, and fails %s', (_, kernels, V) => {
  test.each<[string, 'mock-error' | 'fails', string[]]>([
    ['all of its packages, in one version', 'mock-error', DEVELS.map((name) => missing(`${name} = ${V}`))],
    ...DEVELS.map((name): [string, 'mock-error', string[]] => [
      `${name} =, among other complaints`,
      'mock-error',
      among(missing(`${name} = ${V}`)),
    ]),
    ['kernel-rt-devel =', 'mock-error', [missing(`kernel-rt-devel = ${V}`)]],
    ['kernel-default-devel <=', 'mock-error', [missing(`kernel-default-devel <= ${V}`)]],
    ['kernel-devel <', 'mock-error', [missing(`kernel-devel < ${V}`)]],
    ['kernel-devel-VERSION', 'mock-error', among(`No match for argument: kernel-devel-${V}.x86_64`)],
    ['kernel-devel-uname-r =', 'mock-error', [missing(`kernel-devel-uname-r = ${V}.x86_64`)]],
    ['one of several', 'mock-error', [missing(`(kernel-devel = ${V} or kernel-rt-devel = ${V})`)]],
    ['a path, of dnf', 'mock-error', [missing(`/usr/src/kernels/${V}.x86_64`)]],
    [
      'BuildRequires, in build.log',
      'fails',
      [
        'error: Failed build dependencies:',
        `\tmake is needed by kmod-alpha-1.0-1.el9.src`,
        `\tkernel-devel = ${V} is needed by kmod-alpha-1.0-1.el9.src`,
      ],
    ],
    [
      '/usr/src/kernels/VERSION',
      'fails',
      [`make: *** /usr/src/kernels/${V}.x86_64: No such file or directory.  Stop.`, BAD_EXIT],
    ],
    [
      '/lib/modules/VERSION/build',
      'fails',
      [`make[1]: *** /lib/modules/${V}.x86_64/build: No such file or directory.  Stop.`, BAD_EXIT],
    ],
    [
      'a path, of a configure script',
      'fails',
      [
        `checking kernel source directory... /usr/src/kernels/${V}.x86_64`,
        'configure: error:',
        '\t*** Please make sure the kernel devel package for your distribution',
        '\t*** is installed and then try again.',
        BAD_EXIT,
      ],
    ],
  ])('%s', async (_, result, log) => {
    const { verdict, why, tags, tries } = await play(result, log, kernels);
    expect(verdict).toBe('hold');
    expect(why).toContain('kmod-alpha-1.0-1.el9 (inconclusive): tested no kernel on x86_64: its ');
    expect(why).toContain(V);
    expect(tags).toEqual(['c9s-gate']);
    expect(tries).toBe(1);
  });
});

test('a kmod whose configure script says that the kernel is too new is broken by it', async () => {
  const log = [
    `checking kernel source directory... /usr/src/kernels/${OWN}.x86_64`,
    'configure: error: ',
    '\t*** Cannot build against kernel version 6.18.1.',
    '\t*** The maximum supported kernel version is 6.17.',
    BAD_EXIT,
  ];
  const { verdict, why } = await play('fails', log, NEW);
  expect(verdict).toBe('block');
  expect(why).toContain('The maximum supported kernel version is 6.17.');
});

test("a kmod that misses what this kernel's own folder had before is broken by it", async () => {
  const log = [`cp: cannot stat '/usr/src/kernels/${OWN}.x86_64/Module.symvers': No such file or directory`];
  const { verdict, why } = await play('fails', [...log, BAD_EXIT], NEW);
  expect(verdict).toBe('block');
  expect(why).toContain('Module.symvers');
});

test('a repo that did not hold this very kernel is no pin: it is tried again', async () => {
  const { verdict, why, tries } = await play('mock-error', [missing(`kernel-devel = ${OWN}`)], NEW);
  expect(verdict).toBe('hold');
  expect(why).toContain(
    `its build dependencies cannot be met on x86_64: ${missing(`kernel-devel = ${OWN}`)}`,
  );
  expect(tries).toBeGreaterThan(1);
});
