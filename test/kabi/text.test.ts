import { describe, expect, test } from 'vitest';
import { SymbolFileError } from '../../src/kabi/error.ts';
import { parseModversions, parseStablelist, parseSymvers } from '../../src/kabi/text.ts';

/** `PLACE: problem`, or what was read. */
function told(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SymbolFileError)) throw error;
    expect(error.message).toContain(error.mend);
    return error.message.slice(0, error.message.indexOf(';'));
  }
}

describe('Module.symvers', () => {
  const table = (text: string) => told(() => [...parseSymvers(text, 'symvers').values()]);
  test('with a namespace, with an empty one, and without', () => {
    const text = [
      '0x4c9d28b0\tphys_base\tvmlinux\tEXPORT_SYMBOL\t',
      '0x00000001\tusb_stor\tdrivers/usb/storage/usb-storage\tEXPORT_SYMBOL_GPL\tUSB_STORAGE',
      '',
      '0xffffffff\told\tvmlinux\tEXPORT_SYMBOL_GPL',
    ];
    const expected = [
      {
        ...{ name: 'phys_base', crc: 0x4c9d28b0, provider: 'vmlinux' },
        ...{ exportType: 'EXPORT_SYMBOL', namespace: '' },
      },
      {
        name: 'usb_stor',
        crc: 1,
        provider: 'drivers/usb/storage/usb-storage',
        exportType: 'EXPORT_SYMBOL_GPL',
        namespace: 'USB_STORAGE',
      },
      {
        ...{ name: 'old', crc: 0xffffffff, provider: 'vmlinux' },
        ...{ exportType: 'EXPORT_SYMBOL_GPL', namespace: '' },
      },
    ];
    expect(table(text.join('\n'))).toEqual(expected);
    expect(table(`${text.join('\r\n')}\r\n`)).toEqual(expected);
  });
  test('of Linux 5.4 and 5.5: the namespace is third', () => {
    const text = [
      '0x4c9d28b0\tphys_base\t\tvmlinux\tEXPORT_SYMBOL',
      '0x00000001\tusb_stor\tUSB_STORAGE\tdrivers/usb/storage/usb-storage\tEXPORT_SYMBOL_GPL',
    ];
    const expected = [
      {
        ...{ name: 'phys_base', crc: 0x4c9d28b0, provider: 'vmlinux' },
        ...{ exportType: 'EXPORT_SYMBOL', namespace: '' },
      },
      {
        ...{ name: 'usb_stor', crc: 1, provider: 'drivers/usb/storage/usb-storage' },
        ...{ exportType: 'EXPORT_SYMBOL_GPL', namespace: 'USB_STORAGE' },
      },
    ];
    expect(table(text.join('\n'))).toEqual(expected);
    expect(table(`${text.join('\r\n')}\r\n`)).toEqual(expected);
  });
  test.each([
    ['0x1\ta\t\t\tEXPORT_SYMBOL\n', 'symvers: line 1: "0x1\\ta\\t\\t\\tEXPORT_SYMBOL" is not CRC,'],
    ['0x1\ta\tNS\tvmlinux\tEXPORT_SYMBOL\tmore\n', 'symvers: line 1: '],
    ['0x1\ta\t\tvmlinux\tSYMBOL\n', 'symvers: line 1: '],
    ['0x1\ta\tvmlinux\tEXPORT_SYMBOL\t\n0x2 b\n', 'symvers: line 2: "0x2 b" is not CRC, symbol,'],
    ['0x1\ta\tvmlinux\n0x1\tb\tvmlinux\tEXPORT_SYMBOL\n', 'symvers: line 1: "0x1\\ta\\tvmlinux" is not CRC,'],
    ['\n\n0xg\ta\tvmlinux\tEXPORT_SYMBOL\n', 'symvers: line 3: "0xg\\ta'],
    ['0x1\t\tvmlinux\tEXPORT_SYMBOL\n', 'symvers: line 1: "0x1\\t\\tvmlinux'],
    ['0x123456789\ta\tvmlinux\tEXPORT_SYMBOL\n', 'symvers: line 1: '],
    ['0x0\ta\tvmlinux\tEXPORT_SYMBOL\n', 'symvers: no symbol has a CRC'],
    ['', 'symvers: no symbol has a CRC'],
  ])('%j is no such file', (text, problem) => expect(table(text)).toContain(problem));
});

describe('modversions', () => {
  const list = (text: string) => told(() => parseModversions(text, 'list'));
  test('CRC and symbol, each once', () => {
    expect(list('0xeef138cf\t__class_create\n0x00000000\tmemcpy\n0xeef138cf\t__class_create\n')).toEqual([
      { symbol: '__class_create', crc: 0xeef138cf },
      { symbol: 'memcpy', crc: 0 },
    ]);
  });
  test.each([
    ['0x1\ta\n0x2\tb\tc\n', 'list: line 2: "0x2\\tb\\tc" is not a CRC and a symbol'],
    ['0x1\n', 'list: line 1: '],
    ['x\ta\n', 'list: line 1: '],
  ])('%j is none', (text, problem) => expect(list(text)).toContain(problem));
});

describe('stablelist', () => {
  const list = (text: string) => told(() => parseStablelist(text, 'kabi'));
  test('a header, then indented symbols', () => {
    expect(list('[rhel9_x86_64_stablelist]\n\t__fentry__\n\tprintk\n')).toEqual({
      name: 'rhel9_x86_64_stablelist',
      symbols: new Set(['__fentry__', 'printk']),
    });
  });
  test.each([
    ['\tprintk\n', 'kabi: line 1: "\\tprintk" is not a header'],
    ['[a]\n\tprintk\n\t0x1 b\n', 'kabi: line 3: "\\t0x1 b" is not one symbol'],
    ['[a]\n[b]\n', 'kabi: line 2: "[b]" is not one symbol'],
    ['\n', 'kabi: it is empty'],
  ])('%j is none', (text, problem) => expect(list(text)).toContain(problem));
});
