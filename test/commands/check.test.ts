/** `kmod-gate check` and `diff` on four real kernels and twelve real kmods, which the demo has too. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CheckOptions } from '../../src/commands/check.ts';
import { checked, checkedJson, compared, JOOL, KMODS, kernel } from './checked.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-check-'));
  mkdirSync(join(folder, 'empty'));
  writeFileSync(join(folder, 'stable'), '[list]\n\tmodule_layout\n\tkfree\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('check', () => {
  test('of the kernel that they were built against: all are compatible', async () => {
    const { answer, text } = await checked({ kernel: [kernel('6.1.170')], kmods: [KMODS] });
    expect(answer).toBe(true);
    expect(text.match(/ compatible$/gm)).toHaveLength(12);
    expect(text).toContain('The kernel exports 24618 symbols.');
  });

  test('of the next kernel: what changed, how many of it each needs, and which symbol hits most', async () => {
    const { answer, text } = await checked({
      kernel: [kernel('6.1.176')],
      baseline: [kernel('6.1.170')],
      kmods: [KMODS],
    });
    expect(answer).toBe(false);
    expect(text).toContain('Since the baseline, of 24618 symbols: 7 added, 3 removed, 18107 changed.');
    expect(text).toMatch(/^kmod-jool-dkms-4\.1\.9-1\.el9 +126 +0 +53 +incompatible$/m);
    expect(text).toMatch(/^module_layout +0x160c03af → 0xbce1a965 +vmlinux +kmod-acpi-call.* and 9 more$/m);
  });

  test('of a kernel with all CRCs anew: no kmod loads, and why is said of those large enough to tell', async () => {
    const symvers = gunzipSync(readFileSync(kernel('6.1.170'))).toString();
    const rebuilt = join(folder, 'rebuilt.symvers');
    writeFileSync(
      rebuilt,
      symvers.replaceAll(/^0x(.)/gm, (_, digit) => `0x${digit === '0' ? 1 : 0}`),
    );
    const { answer, text } = await checked({
      kernel: [rebuilt],
      baseline: [kernel('6.1.170')],
      kmods: [KMODS],
    });
    expect(answer).toBe(false);
    expect(text).toContain('Nearly every CRC changed: the compiler or the CRC generator did, not the code.');
    expect(text.match(/ incompatible( |$)/gm)).toHaveLength(12);
    expect(text).toMatch(
      /^kmod-jool-dkms-4\.1\.9-1\.el9 .* incompatible +not one CRC fits: it was built for another kernel or variant, or by another compiler or generator of CRCs$/m,
    );
    expect(text).not.toContain('Symbols that are not as kmods need them');
  });

  test('as JSON: counts, and each symbol with its CRCs', async () => {
    const result = await checkedJson({
      kernel: [kernel('6.1.176')],
      baseline: [kernel('6.1.170')],
      kmods: [JOOL],
    });
    expect(result).toMatchObject({
      kernel: { symbols: 24622 },
      baseline: { symbols: 24618, added: 7, removed: 3, changed: 18107 },
      kmods: [{ name: 'kmod-jool-dkms-4.1.9-1.el9', imports: 126, missing: [], outcome: 'incompatible' }],
    });
    expect(result.kmods[0].changed).toHaveLength(53);
    expect(result.kmods[0].changed).toContainEqual({
      symbol: 'module_layout',
      required: '0x160c03af',
      provided: '0xbce1a965',
      provider: 'vmlinux',
    });
  });

  test('all that a small kmod needs is gone: incompatible where the baseline had it, else nothing is told', async () => {
    const file = (name: string, ...lines: string[]) => {
      writeFileSync(join(folder, name), lines.map((line) => `${line}\n`).join(''));
      return join(folder, name);
    };
    const options = {
      kernel: [file('now.symvers', '0x00000001\tprintk\tvmlinux\tEXPORT_SYMBOL')],
      kmods: [file('small.modversions', '0x00000002\tgone_1', '0x00000003\tgone_2')],
    };
    const then = ['0x00000002\tgone_1\tvmlinux\tEXPORT_SYMBOL', '0x00000003\tgone_2\tvmlinux\tEXPORT_SYMBOL'];
    const baseline = [file('then.symvers', ...then)];
    const { answer, text } = await checked({ ...options, baseline });
    expect(answer).toBe(false);
    expect(text).toMatch(/^small +2 +2 +0 +incompatible$/m);
    expect(text).toMatch(/^gone_1 +0x00000002 → gone +- +small$/m);
    const cause = 'nothing that it needs is in this kernel: wrong architecture, variant or kernel';
    expect(await checkedJson(options)).toMatchObject({ kmods: [{ outcome: 'inconclusive', cause }] });
    const other = file('other.symvers', then[0] ?? '', '0x00000009\tgone_2\tvmlinux\tEXPORT_SYMBOL');
    const result = await checkedJson({ ...options, baseline: [other] });
    expect(result).toMatchObject({ kmods: [{ outcome: 'inconclusive', cause }] });
  });

  test('takes kmods behind the files of the kernel, as a shell hands them over', async () => {
    expect(await checkedJson({ kernel: [kernel('6.1.170'), JOOL, KMODS] })).toMatchObject({
      kernel: { symbols: 24618 },
      kmods: { length: 13 },
    });
  });

  test('goes into folders, and along links', async () => {
    const modules = join(folder, 'weak-updates', 'deep');
    mkdirSync(modules, { recursive: true });
    symlinkSync(JOOL, join(modules, 'jool.modversions'));
    const options = { kernel: [kernel('6.1.170')], kmods: [join(folder, 'weak-updates')] };
    expect(await checkedJson(options)).toMatchObject({ kmods: [{ imports: 126, outcome: 'compatible' }] });
  });

  test('a list of nothing but a kernel and its baseline is a comparison of kernels', async () => {
    const { answer } = await checked({ kernel: [kernel('6.1.192')], baseline: [kernel('6.1.187')] });
    expect(answer).toBe(true);
  });

  test('a listed symbol that changed is a no, though every kmod loads', async () => {
    const options = { kernel: [kernel('6.1.176')], baseline: [kernel('6.1.170')], kmods: [] };
    const { answer, text } = await checked({ ...options, stablelist: join(folder, 'stable') });
    expect(answer).toBe(false);
    expect(text).toContain('Stablelist: 1 listed symbols changed or went: module_layout');
  });

  test.each<[string, () => Partial<CheckOptions> & Pick<CheckOptions, 'kernel'>, RegExp]>([
    [
      'no such kernel',
      () => ({ kernel: ['nope'], kmods: [JOOL] }),
      /^nope: there is no such file, and it is no build/,
    ],
    [
      'no such kmod',
      () => ({ kernel: [kernel('6.1.170')], kmods: ['nope'] }),
      /^nope: there is no such file, and it is no build of a hub either \(NAME-VERSION-RELEASE\)$/,
    ],
    ['no kmod', () => ({ kernel: [kernel('6.1.170')] }), /^no kmod to check: name rpms/],
    [
      'nothing but kmods',
      () => ({ kernel: [KMODS] }),
      /^--kernel: .*kmods is a kmod's; name Module\.symvers/,
    ],
    [
      'an empty folder',
      () => ({ kernel: [join(folder, 'empty')] }),
      /empty: there is no file in this folder$/,
    ],
    [
      'a kernel that is a stablelist',
      () => ({ kernel: [join(folder, 'stable')], kmods: [JOOL] }),
      /no kernel symbol in it; take kernel-core and kernel-modules rpms/,
    ],
    [
      'files of two kernels',
      () => ({ kernel: [kernel('6.1.170'), kernel('6.1.176')], kmods: [JOOL] }),
      /another has .*; take the files of one kernel$/,
    ],
    [
      'a stablelist that is a kmod',
      () => ({
        kernel: [kernel('6.1.170')],
        baseline: [kernel('6.1.170')],
        kmods: [JOOL],
        stablelist: JOOL,
      }),
      /: holds no stablelist$/,
    ],
    [
      'a stablelist with nothing to compare with',
      () => ({ kernel: [kernel('6.1.170')], kmods: [JOOL], stablelist: join(folder, 'stable') }),
      /^--stablelist tells what must not change: name with --baseline/,
    ],
    [
      'a kmod among the files of the kernel',
      () => ({ kernel: [kernel('6.1.170'), JOOL], kmods: [KMODS] }),
      /kmod-jool-dkms.*: is a kmod's, not a kernel's; put all kmods behind --$/,
    ],
    [
      'an rpm that is not there',
      () => ({ kernel: ['kernel-core-6.1.170-47.el9.x86_64.rpm'], kmods: [JOOL] }),
      /^kernel-core-.*\.rpm: there is no such file/,
    ],
  ])('%s is told', async (_, options, expected) => {
    await expect(checked(options())).rejects.toThrow(expected);
  });
});

describe('diff', () => {
  test('of equal kernels is a yes', async () => {
    const { answer, text } = await compared(kernel('6.1.187'), kernel('6.1.187'));
    expect(answer).toBe(true);
    expect(text).toBe('Since the baseline, of 24643 symbols: 0 added, 0 removed, 0 changed.\n');
  });
  test('tells what is gone, what changed, and where', async () => {
    const { answer, text } = await compared(kernel('6.1.170'), kernel('6.1.176'));
    expect(answer).toBe(false);
    expect(text).toMatch(/^Most are in vmlinux \(\d+\)/m);
    expect(text.match(/^- /gm)).toHaveLength(3);
    expect(text).toMatch(/^… and 18097 more; --json has them all$/m);
  });
  test('as JSON has all of it', async () => {
    const { text } = await compared(kernel('6.1.176'), kernel('6.1.187'), { json: true });
    const result = JSON.parse(text);
    expect(result.baseline).toMatchObject({ changed: result.changed.length, removed: result.removed.length });
    expect(result.changed[0]).toEqual({
      symbol: expect.any(String),
      before: expect.stringMatching(/^0x[0-9a-f]{8}$/),
      after: expect.stringMatching(/^0x[0-9a-f]{8}$/),
      provider: expect.any(String),
      stable: false,
    });
  });
});
