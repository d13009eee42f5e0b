/** `kmod-gate check` and `diff`: what a kernel promises to keep, by stablelists and severities. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { isKept, promiseLines, promiseOf } from '../../src/commands/promise.ts';
import { compareKernels } from '../../src/kabi/compare.ts';
import { parseSeverities, parseSymvers } from '../../src/kabi/text.ts';
import { checked, checkedJson, compared } from './checked.ts';

const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-promise-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, ...lines: string[]) => {
  const path = join(folder, name);
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
  return path;
};

describe('symbols with the same CRC that are exported in another way', () => {
  const VFS = 'VFS_internal_I_am_really_a_filesystem_and_am_NOT_a_driver';
  const files = () => ({
    older: file(
      'older.symvers',
      '0x11111111\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t',
      '0x22222222\tcc_mkdec\tvmlinux\tEXPORT_SYMBOL\t',
      '0x33333333\tfilp_open\tvmlinux\tEXPORT_SYMBOL\t',
    ),
    newer: file(
      'newer.symvers',
      '0x11111111\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t',
      '0x22222222\tcc_mkdec\tvmlinux\tEXPORT_SYMBOL_GPL\t',
      `0x33333333\tfilp_open\tvmlinux\tEXPORT_SYMBOL\t${VFS}`,
    ),
    stablelist: file('listed', '[l]', '\tcc_mkdec', '\tfilp_open'),
  });
  test('diff lists what they were and are; the stablelist is broken', async () => {
    const { older, newer, stablelist } = files();
    const { answer, text } = await compared(older, newer, { stablelist });
    expect(answer).toBe(false);
    expect(text).toContain('0 added, 0 removed, 0 changed, 2 exported in another way.');
    expect(text).toContain('Stablelist: 2 listed symbols changed or went: cc_mkdec, filp_open');
    expect(text).toMatch(/^! cc_mkdec +EXPORT_SYMBOL → EXPORT_SYMBOL_GPL +vmlinux +listed$/m);
    expect(text).toMatch(new RegExp(`^! filp_open +no namespace → namespace ${VFS} +vmlinux +listed$`, 'm'));
  });
  test('the way back is told, and breaks nothing', async () => {
    const { older, newer, stablelist } = files();
    const { answer, text } = await compared(newer, older, { stablelist });
    expect(answer).toBe(true);
    expect(text).toContain('2 exported in another way.\nStablelist: kept\n');
    expect(text).toMatch(/^ {2}cc_mkdec +EXPORT_SYMBOL_GPL → EXPORT_SYMBOL +vmlinux +listed$/m);
  });
  test('check lists them too, and is a no by the stablelist alone', async () => {
    const { older, newer, stablelist } = files();
    const options = { kernel: [newer], baseline: [older], kmods: [] };
    expect((await checked(options)).answer).toBe(true);
    const { answer, text } = await checked({ ...options, stablelist });
    expect(answer).toBe(false);
    expect(text).toMatch(/^cc_mkdec +EXPORT_SYMBOL → EXPORT_SYMBOL_GPL +vmlinux +listed$/m);
  });
  test('JSON has all of it', async () => {
    const { older, newer, stablelist } = files();
    const { text } = await compared(older, newer, { stablelist, json: true });
    const reexported = [
      {
        ...{ symbol: 'cc_mkdec', provider: 'vmlinux', stable: true, narrower: true },
        before: { export_type: 'EXPORT_SYMBOL', namespace: '' },
        after: { export_type: 'EXPORT_SYMBOL_GPL', namespace: '' },
      },
      {
        ...{ symbol: 'filp_open', provider: 'vmlinux', stable: true, narrower: true },
        before: { export_type: 'EXPORT_SYMBOL', namespace: '' },
        after: { export_type: 'EXPORT_SYMBOL', namespace: VFS },
      },
    ];
    expect(JSON.parse(text)).toMatchObject({ baseline: { changed: 0, reexported: 2 }, reexported });
    const options = { kernel: [newer], baseline: [older], kmods: [] };
    expect(await checkedJson(options)).toMatchObject({
      baseline: { reexported: 2 },
      difference: { reexported: reexported.map((it) => ({ ...it, stable: false })) },
    });
  });
});

describe('severities', () => {
  const symvers =
    (name: string, ...lines: string[]) =>
    () =>
      file(`${name}.symvers`, ...lines.map((line) => `${line}\tEXPORT_SYMBOL\t`));
  const older = symvers(
    'then',
    '0x1\tkfree\tvmlinux',
    '0x2\tkvm_get\tvirt/kvm/kvm',
    '0x3\tgone_kvm\tvirt/kvm/kvm',
  );
  const newer = symvers('now', '0x1\tkfree\tvmlinux', '0x9\tkvm_get\tvirt/kvm/kvm');
  const needsKvm = () => file('needs-kvm.modversions', '0x1\tkfree', '0x2\tkvm_get');

  test('what they let change breaks no promise, and a kmod that needs it is broken all the same', async () => {
    const severities = file('kvm', 'virt/kvm/* PASS');
    const options = { kernel: [newer()], baseline: [older()], severities };
    const { answer, text } = await checked(options);
    expect(text).toContain('Severities: kept; 2 changed or went that may\n');
    expect(answer).toBe(true);
    const kmods = [needsKvm()];
    expect((await checked({ ...options, kmods })).answer).toBe(false);
    expect(await checkedJson({ ...options, kmods })).toMatchObject({
      kmods: [{ outcome: 'incompatible' }],
      severities: { broken: [], tolerated: ['gone_kvm', 'kvm_get'], untold: [] },
    });
    expect((await compared(older(), newer(), { severities })).answer).toBe(true);
    expect((await compared(older(), newer())).answer).toBe(false);
  });
  test('without a rule that matches a change is none that may be', async () => {
    const severities = file('get', 'kvm_* PASS');
    const { answer, text } = await compared(older(), newer(), { severities });
    expect(answer).toBe(false);
    expect(text).toMatch(/^- gone_kvm .* promised$/m);
    expect(text).toMatch(/^! kvm_get .*virt\/kvm\/kvm$/m);
    expect(text).toContain(
      'Severities: 1 symbols changed or went that must not: gone_kvm; 1 changed or went that may',
    );
    expect((await checked({ kernel: [newer()], baseline: [older()], severities })).answer).toBe(false);
  });
  test('beside a stablelist they speak of what is listed', async () => {
    const severities = file('get', 'kvm_* PASS');
    const options = { kernel: [newer()], baseline: [older()], severities };
    const stablelist = file('kvm-list', '[list]', '\tkfree', '\tkvm_get');
    expect((await checked({ ...options, stablelist })).answer).toBe(true);
    expect(
      (await checked({ ...options, stablelist: file('gone-list', '[list]', '\tgone_kvm') })).answer,
    ).toBe(false);
    // A list with CRCs needs no baseline.
    const { answer, text } = await checked({
      kernel: [newer()],
      stablelist: older(),
      severities: file('kvm', 'virt/* PASS'),
    });
    expect(text).toContain('Stablelist: kept; 2 changed or went that may');
    expect(answer).toBe(true);
    // It is measured by the list alone: what only differs from the baseline breaks nothing.
    const since = { kernel: [older()], baseline: [newer()], stablelist: older() };
    expect(await checkedJson({ ...since, severities })).toMatchObject({
      baseline: { changed: 1 },
      stablelist: { broken: [] },
      severities: { broken: [], tolerated: [] },
    });
  });
  test('where nothing tells which module a symbol is of, that is said, and is no yes', async () => {
    const [then, now] = [older(), newer()].map((path) => parseSymvers(readFileSync(path, 'utf8'), path));
    const ofRpm = new Map(
      [...(then ?? [])].map(([name, { crc }]) => [name, { name, crc, provider: 'kernel-core' }]),
    );
    const symbols = now ?? new Map();
    const kept = promiseOf(
      { severities: parseSeverities('virt/kvm/* PASS', 'kvm') },
      { arch: null, variant: null, symbols },
      { symbols: ofRpm, difference: compareKernels(ofRpm, symbols) },
    );
    expect(kept).toMatchObject({ broken: [], tolerated: [], untold: ['gone_kvm', 'kvm_get'] });
    expect(isKept(kept)).toBe(false);
    expect(promiseLines(kept)).toEqual([
      'Severities: nothing that must not is known to have changed; 0 changed or went that may',
      'Severities: nothing tells whether 2 that changed or went may, since only Module.symvers names modules and namespaces: gone_kvm, kvm_get',
    ]);
  });
  test('without a baseline, and with a bad line, it is told what to do', async () => {
    const severities = file('bad', 'kfree PASS', 'kfree NO');
    const options = { kernel: [newer()], severities };
    await expect(checked(options)).rejects.toThrow(/bad: line 2: "kfree NO" is not a pattern/);
    await expect(checked({ ...options, severities: file('good', 'kfree PASS') })).rejects.toThrow(
      '--severities tells what must not change: name with --baseline since when',
    );
    await expect(checked({ ...options, severities: join(folder, 'nowhere') })).rejects.toThrow(
      /nowhere: cannot be read: ENOENT/,
    );
  });
});
