/** SUSE's severities: which rule counts, what cannot be told, and lines that are none. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SymbolFileError } from '../../src/kabi/error.ts';
import { matchesGlob } from '../../src/kabi/glob.ts';
import { isPromised, mayChange, type Whose } from '../../src/kabi/severities.ts';
import { parseSeverities } from '../../src/kabi/text.ts';

const rules = (...lines: string[]) => parseSeverities(lines.join('\n'), 'severities');
/** As Module.symvers tells it. */
const of = (name: string, provider = 'vmlinux', namespace = ''): Whose => ({ name, provider, namespace });

describe('a rule', () => {
  test('is of symbols, of modules by a slash or as vmlinux, of namespaces without small letters', () => {
    const { rules: found } = rules(
      '# comment',
      'kvm_x86_ops\tFAIL',
      'arch/x86/kvm/*  PASS # why',
      'vmlinux PASS#too',
      '',
      'CRYPTO_* PASS',
      '  NAMESPACE local FAIL\r',
    );
    expect(found).toEqual([
      { kind: 'SYMBOL', pattern: 'kvm_x86_ops', verdict: 'FAIL', line: 2 },
      { kind: 'MODULE', pattern: 'arch/x86/kvm/*', verdict: 'PASS', line: 3 },
      { kind: 'MODULE', pattern: 'vmlinux', verdict: 'PASS', line: 4 },
      { kind: 'NAMESPACE', pattern: 'CRYPTO_*', verdict: 'PASS', line: 6 },
      { kind: 'NAMESPACE', pattern: 'local', verdict: 'FAIL', line: 7 },
    ]);
  });
  test.each([
    ['kfree'],
    ['PASS'],
    ['kfree pass'],
    ['kfree OK'],
    ['MOD lib/foo PASS'],
    ['SYMBOL kfree PASS more'],
    ['k[fm]ree PASS'],
    ['k\\free PASS'],
  ])('that is none is refused with file and line: %s', (line) => {
    const read = () => rules('# first', 'kmalloc PASS', line);
    expect(read).toThrow(SymbolFileError);
    expect(read).toThrow(/^severities: line 3: .* is not a pattern .*; mend the line$/);
  });
  test('a file without any is refused', () => {
    expect(() => rules('# nothing')).toThrow('severities: there is no rule in it');
  });
});

describe('of an export', () => {
  const kvm = rules('kvm_x86_ops FAIL', 'arch/x86/kvm/* PASS', 'kvm_* PASS', 'VFIO PASS');
  test.each<[Whose, boolean]>([
    [of('kvm_x86_ops', 'arch/x86/kvm/kvm'), false],
    [of('load_pdptrs', 'arch/x86/kvm/kvm'), true],
    [of('kvm_get', 'virt/kvm'), true],
    [of('kfree'), false],
    [of('pci_thing', 'drivers/pci/pci', 'VFIO'), true],
    [of('pci_thing', 'drivers/pci/pci', 'VFIO_2'), false],
  ])('the first rule that matches counts, and without any it must not change: %o', (symbol, may) => {
    expect(mayChange(kvm, symbol)).toBe(may);
  });
  test('a namespace is looked for only where there is one', () => {
    expect(mayChange(rules('* PASS'), of('kfree'))).toBe(false);
    expect(mayChange(rules('SYMBOL * PASS'), of('kfree'))).toBe(true);
  });
  test('where it depends on what nothing tells, that is said', () => {
    const ofRpm: Whose = { name: 'load_pdptrs', provider: 'kernel-core' };
    expect(mayChange(kvm, ofRpm)).toBeNull();
    expect(mayChange(kvm, { ...ofRpm, name: 'kvm_x86_ops' })).toBe(false);
    // A rule that cannot be told says what the others say.
    expect(mayChange(rules('drivers/* FAIL', 'kvm_* PASS'), { name: 'kvm_get' })).toBeNull();
    expect(mayChange(rules('drivers/* PASS', 'kvm_* PASS'), { name: 'kvm_get' })).toBe(true);
    expect(mayChange(rules('drivers/* FAIL'), { name: 'kvm_get' })).toBe(false);
  });
  test('a list says what is promised at all, and whose it is', () => {
    const list = { name: 'list', symbols: new Set(['load_pdptrs', 'kfree']) };
    const exports = new Map([
      [
        'load_pdptrs',
        { name: 'load_pdptrs', crc: 1, provider: 'arch/x86/kvm/kvm', exportType: '', namespace: '' },
      ],
    ]);
    expect(isPromised({ list }, { name: 'kfree' })).toBe(true);
    expect(isPromised({ list, severities: kvm }, { name: 'printk' })).toBe(false);
    expect(isPromised({ list, severities: kvm }, { name: 'load_pdptrs' })).toBeNull();
    expect(isPromised({ list: { ...list, exports }, severities: kvm }, { name: 'load_pdptrs' })).toBe(false);
    expect(isPromised({ severities: kvm }, of('kfree'))).toBe(true);
  });
});

test('a pattern matches what a regular expression made of it does', () => {
  const letters = fc.array(fc.constantFrom('a', 'b', '/', '*', '?'), { maxLength: 8 });
  const names = fc.array(fc.constantFrom('a', 'b', '/'), { maxLength: 10 });
  fc.assert(
    fc.property(letters, names, (pattern, name) => {
      const source = pattern.map((it) => (it === '*' ? '.*' : it === '?' ? '.' : it)).join('');
      expect(matchesGlob(pattern.join(''), name.join(''))).toBe(
        new RegExp(`^${source}$`).test(name.join('')),
      );
    }),
  );
});
