/** Layouts of kmod packages as people really ship them, built by rpmbuild; rpm itself says what can be installed. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareKmods } from '../../src/kabi/compare.ts';
import { combineKernel } from '../../src/kabi/kernel.ts';
import { forKernel } from '../../src/kabi/kmod.ts';
import { describeRemark } from '../../src/kabi/remark.ts';
import { readSymbolFile } from '../../src/symbols/read.ts';
import { buildRpms, rpmbuild, type Spec } from './rpmbuild.ts';

const R427 = '5.14.0-427.el9.x86_64';
const R503 = '5.14.0-503.el9.x86_64';
const symbols = (crcs: Readonly<Record<string, string>>) =>
  Object.entries(crcs).map(([symbol, crc]) => `kernel(${symbol}) = ${crc}`);
const module = (release: string, folder: string) => ({
  [`/lib/modules/${release}/${folder}/foo.ko`]: 'no ELF\n',
});

/** As EL's kernel.spec has it. */
const CORE: Spec = {
  name: 'kernel-core',
  release: '503.el9',
  provides: [
    'kernel = 5.14.0-503.el9',
    `kernel-uname-r = ${R503}`,
    `kernel-core-uname-r = ${R503}`,
    ...symbols({ printk: '0x00000002', kfree: '0x00000001' }),
  ],
  files: module(R503, 'kernel'),
};
const UEK: Spec = {
  ...{ name: 'kernel-uek-core', version: '5.15.0', release: '200.131.27.el9uek' },
  provides: ['kernel-uek = 5.15.0-200.131.27.el9uek', ...symbols({ printk: '0x00000002' })],
  files: module('5.15.0-200.131.27.el9uek.x86_64', 'kernel'),
};
const AMAZON: Spec = {
  ...{ name: 'kernel', version: '6.1.141', release: '155.222.amzn2023', epoch: 1 },
  provides: ['kernel-uname-r = 6.1.141-155.222.amzn2023.x86_64', ...symbols({ printk: '0x00000002' })],
  files: module('6.1.141-155.222.amzn2023.x86_64', 'kernel'),
};
const SUSE: Spec = {
  ...{ name: 'kernel-default', version: '6.4.0', release: '150600.23.7.1' },
  provides: ['kernel = 6.4.0-150600.23.7.1', 'ksym(default:printk) = 2'],
  files: module('6.4.0-150600.23.7-default', 'kernel'),
};
/** All that is built, at once. */
const SPECS: Spec[] = [CORE, UEK, AMAZON, SUSE];
const kmod = (more: Partial<Spec>): Spec => {
  const spec = { name: `kmod-foo${SPECS.length}`, version: '1.0', release: '1.el9', ...more };
  SPECS.push(spec);
  return spec;
};
let rpms: readonly Buffer[] = [];
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-db-'));
  if (rpmbuild()) rpms = await buildRpms(SPECS);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const dataOf = (spec: Spec): Buffer => rpms[SPECS.indexOf(spec)] as Buffer;
const read = (spec: Spec) => readSymbolFile(dataOf(spec), `${spec.name}.rpm`);
const FITS = symbols({ printk: '0x00000002' });

/** One kmod against one kernel. */
async function told(kernel: Spec, spec: Spec) {
  const [found] = compareKmods([await read(spec)], combineKernel([await read(kernel)]));
  return [found?.answer, ...(found?.remarks ?? []).map(describeRemark)].join('; ');
}

const rpm = (db: string, ...args: string[]) =>
  execFileSync('rpm', ['--dbpath', join(folder, db), ...args], { stdio: 'pipe' });
const fileOf = (spec: Spec) => {
  const file = join(folder, `${spec.name}.rpm`);
  writeFileSync(file, dataOf(spec));
  return file;
};
/** A database of rpm's in which that kernel is installed, and nothing else. */
const dbOf = (kernel: Spec) => {
  if (!existsSync(join(folder, kernel.name))) rpm(kernel.name, '-i', '--justdb', '--nodeps', fileOf(kernel));
  return kernel.name;
};

/** Whether rpm installs a kmod there. */
function installs(kernel: Spec, spec: Spec): boolean {
  const db = dbOf(kernel);
  try {
    rpm(db, '-i', '--test', fileOf(spec));
    return true;
  } catch (error) {
    expect(String((error as { stderr?: unknown }).stderr)).toContain('Failed dependencies');
    return false;
  }
}

describe.runIf(rpmbuild())('a kmod whose rpm', () => {
  const weak = { files: module('5.14.0-70.el9.x86_64', 'extra') };
  test.each<[string, Spec, Spec, string]>([
    [
      'keeps to the kABI, of an older kernel by its folder',
      CORE,
      kmod({ requires: ['kernel >= 5.14.0-70.el9', ...FITS], ...weak }),
      'compatible',
    ],
    [
      'requires an older kernel, as kmodtool writes it',
      CORE,
      kmod({ requires: [`kernel-uname-r = ${R427}`, ...FITS] }),
      `incompatible; it requires kernel-uname-r = ${R427}, and this kernel has ${R503}`,
    ],
    [
      'requires a newer one',
      CORE,
      kmod({ requires: ['kernel-core >= 5.14.0-570', ...FITS] }),
      'incompatible; it requires kernel-core >= 5.14.0-570, and this kernel has 5.14.0-503.el9',
    ],
    [
      'requires one before',
      CORE,
      kmod({ requires: ['kernel < 5.14.0-400', ...FITS] }),
      'incompatible; it requires kernel < 5.14.0-400, and this kernel has 5.14.0-503.el9',
    ],
    ['requires this one', CORE, kmod({ requires: ['kernel = 5.14.0-503.el9', ...FITS] }), 'compatible'],
    [
      'requires this one of any release',
      CORE,
      kmod({ requires: ['kernel = 5.14.0', ...FITS] }),
      'compatible',
    ],
    [
      'requires a range of kernels',
      CORE,
      kmod({ requires: ['(kernel >= 5.14.0-427 with kernel < 5.14.0-504)', ...FITS] }),
      'compatible',
    ],
    [
      'requires a range that this one is not in',
      CORE,
      kmod({ requires: ['(kernel >= 5.14.0-427 with kernel < 5.14.0-428)', ...FITS] }),
      'incompatible; it requires (kernel >= 5.14.0-427 with kernel < 5.14.0-428), and this kernel has 5.14.0-503.el9',
    ],
    [
      'requires UEK of an older release',
      UEK,
      kmod({ requires: ['kernel-uek = 5.15.0-100.96.32.el9uek', ...FITS] }),
      'incompatible; it requires kernel-uek = 5.15.0-100.96.32.el9uek, and this kernel has 5.15.0-200.131.27.el9uek',
    ],
    [
      'requires a kernel without the epoch that Amazon’s has',
      AMAZON,
      kmod({ requires: ['kernel = 6.1.141-155.222.amzn2023', ...FITS] }),
      'incompatible; it requires kernel = 6.1.141-155.222.amzn2023, and this kernel has 1:6.1.141-155.222.amzn2023',
    ],
    [
      'requires it by its release',
      AMAZON,
      kmod({ requires: ['kernel-uname-r = 6.1.141-155.222.amzn2023.x86_64', ...FITS] }),
      'compatible',
    ],
    [
      'is a KMP of SUSE',
      SUSE,
      kmod({ name: 'foo-kmp-default', requires: ['kernel >= 6.4.0', 'ksym(default:printk) = 2'] }),
      'compatible',
    ],
  ])('%s', async (_, kernel, spec, expected) => {
    expect(await told(kernel, spec)).toBe(expected);
    expect(installs(kernel, spec)).toBe(expected === 'compatible');
  });

  const requires = [...symbols({ kfree: '0x00000001', printk: '0x00000001' }), ...FITS];
  const both = kmod({ requires });
  const folders = kmod({ requires, files: { ...module(R427, 'extra'), ...module(R503, 'extra') } });
  test('has modules of two kernels cannot be installed beside one of them alone', async () => {
    expect(installs(CORE, both)).toBe(false);
    expect(await told(CORE, both)).toBe(
      'inconclusive; it is built for 2 kernels: it requires printk as 0x00000001 and 0x00000002, and no kernel has both',
    );
    expect(await told(CORE, folders)).toMatch(/^compatible/);
  });

  const parts = (package_: string, more: (release: string) => Partial<Spec>) => {
    const each = (release: string, printk: string) => {
      const { requires = [], ...rest } = more(release);
      const name = `kmod-${package_}-${release}`;
      return kmod({ ...rest, name, requires: [...requires, ...symbols({ printk })] });
    };
    return [each(R427, '0x00000001'), each(R503, '0x00000002')] as const;
  };
  test.each([
    ['by what it requires', parts('pinned', (release) => ({ requires: [`kernel-uname-r = ${release}`] }))],
    ['by its folder', parts('placed', (release) => ({ files: module(release, 'extra') }))],
    ['by its name', parts('named', () => ({}))],
  ])('is one of several for a kernel each is told apart %s', async (_, [old, own]) => {
    const kernel = combineKernel([await read(CORE)]);
    const { kmods, others } = forKernel([await read(old), await read(own)], kernel);
    expect(kmods.map(({ name }) => name)).toEqual([`${own.name}-1.0-1.el9`]);
    expect(others.map(({ name }) => name)).toEqual([`${old.name}-1.0-1.el9`]);
    expect(compareKmods(kmods, kernel).map(({ answer }) => answer)).toEqual(['compatible']);
  });
});
