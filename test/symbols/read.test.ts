import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { compareKmod } from '../../src/kabi/compare.ts';
import { combineKernel } from '../../src/kabi/kernel.ts';
import { readSymbolFile } from '../../src/symbols/read.ts';
import { installed } from '../services.ts';
import { tarOf } from './tar.ts';

const DEMO = new URL('../../config/demo/', import.meta.url);
const demo = (path: string) => readFileSync(new URL(path, DEMO));
const read = (text: string, file = 'it') => readSymbolFile(Buffer.from(text), file);

describe('what a file holds counts, not its name', () => {
  test('Module.symvers, compressed', async () => {
    const { format, exports, imports, name, arch } = await readSymbolFile(demo('6.1.170.symvers.gz'), 'a.ko');
    expect({ format, name, arch }).toEqual({ format: 'symvers', name: 'a.ko', arch: null });
    expect([exports.size, imports.length]).toEqual([24_618, 0]);
    expect(exports.get('phys_base')).toEqual({
      ...{ name: 'phys_base', crc: 0x4c9d28b0, provider: 'vmlinux' },
      ...{ exportType: 'EXPORT_SYMBOL', namespace: '' },
    });
  });
  test('dist-git’s Module.kabi', async () => {
    const file = await read('0x4c9d28b0\tphys_base\tvmlinux\tEXPORT_SYMBOL\n', 'x/Module.kabi_x86_64');
    expect(file).toMatchObject({ format: 'symvers', name: 'Module.kabi_x86_64' });
    expect(file.exports.size).toBe(1);
  });
  test('modversions, and whether the kmod loads', async () => {
    const path = 'kmods/kmod-vpoll-0.1-1.el9.modversions';
    const kmod = await readSymbolFile(gzipSync(demo(path)), `${path}.gz`);
    expect(kmod).toMatchObject({ format: 'modversions', name: 'kmod-vpoll-0.1-1.el9' });
    const kernel = combineKernel([await readSymbolFile(demo('6.1.170.symvers.gz'), 'kernel')]);
    expect(compareKmod(kmod, kernel)).toMatchObject({ imports: 21, answer: 'compatible' });
  });
  test('a stablelist', async () => {
    const { format, stablelists } = await read('[rhel9_x86_64_stablelist]\n\tprintk\n');
    expect(format).toBe('stablelist');
    expect(stablelists).toEqual([{ name: 'rhel9_x86_64_stablelist', symbols: new Set(['printk']) }]);
  });
});

describe.runIf(installed('/bin/tar', 'tar'))('an archive of stablelists, as dist-git has it', () => {
  const text = '[rhel9_x86_64_stablelist]\n\tprintk\n';
  const expected = {
    ...{ name: 'rhel9_x86_64_stablelist', arch: 'x86_64', symbols: new Set(['printk']) },
    ...{ release: 'kabi-rhel94', current: true },
  };
  test.each(['--format=gnu', '--format=ustar', '--format=pax'])('by tar %s', async (format) => {
    for (const packing of ['--xz', '--bzip2', '--gzip', '--no-auto-compress']) {
      const tar = tarOf('kabi-rhel94/kabi_stablelist_x86_64', text, format, packing);
      const { format: told, stablelists } = await readSymbolFile(tar, 'lists.tar.xz');
      expect([told, stablelists]).toEqual(['archive', [expected]]);
    }
  });
  test('without a list is none', async () => {
    const tar = tarOf('kabi-rhel94/README', text);
    await expect(readSymbolFile(tar, 'it')).rejects.toThrow(
      /^it: an archive without a stablelist; name an rpm/,
    );
    const cut = tarOf('kabi-rhel94/kabi_stablelist_x86_64', text).subarray(0, 1500);
    await expect(readSymbolFile(cut, 'it')).rejects.toThrow(
      /^it: byte 1024: 512 bytes wanted, and the file ends at 1500; /,
    );
  });
});

describe('anything else is refused, with what to do', () => {
  const KINDS =
    'nothing that tells kernel symbols; name an rpm, a .ko, a vmlinuz, a Module.symvers, a list of modversions';
  test.each([
    ['', `it: byte 0: ${KINDS}`],
    ['\n\n', `it: byte 0: ${KINDS}`],
    ['root:x:0:0:root\n', `it: byte 0: ${KINDS}`],
    ['0x12345678\n', `it: byte 0: ${KINDS}`],
    ['\u007fELF', 'it: byte 4: 1 bytes wanted, and the file ends at 4; the file is damaged or not complete'],
    [
      '0x1\ta\tvmlinux\tEXPORT_SYMBOL\n0x2\tb\n',
      'it: line 2: "0x2\\tb" is not CRC, symbol, module and export',
    ],
  ])('%j', (text, problem) => expect(read(text)).rejects.toThrow(problem));
});
