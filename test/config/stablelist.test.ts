import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeConfig, prepareConfig } from '../../src/config/config.ts';
import { rpmbuild, withRpm } from '../symbols/rpmbuild.ts';
import { parseGate } from './gate.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-stablelist-'));
  write('kabi_stablelist_x86_64', '[rhel9_x86_64_stablelist]\n\tkfree\n\tseq_printf\n');
  write('kabi_stablelist_aarch64', '[rhel9_aarch64_stablelist]\n\tkfree\n');
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, text: string | Buffer) => writeFileSync(join(folder, name), text);

/** The configuration of a gate with these keys; a ConfigError's text where there is none. */
const parse = (keys: string) => parseGate({ gate: keys }, { HOME: folder });
const stablelistOf = (keys: string) => {
  const config = parse(keys);
  return typeof config === 'string' ? config : config.gates[0]?.stablelist;
};

describe('a stablelist', () => {
  it('is none unless one is named', () => {
    expect(stablelistOf('')).toBeNull();
  });
  it('of one file counts on every architecture, and blocks', () => {
    expect(stablelistOf('stablelist = "~/kabi_stablelist_x86_64"')).toEqual({
      effect: 'block',
      symbols: { '*': ['kfree', 'seq_printf'] },
    });
  });
  it('of one file an architecture', () => {
    const keys = `stablelist = "${folder}/kabi_stablelist_{arch}"\non_stablelist = "warn"`;
    expect(stablelistOf(keys)).toEqual({
      effect: 'warn',
      symbols: { x86_64: ['kfree', 'seq_printf'], aarch64: ['kfree'] },
    });
    const config = parse(keys);
    expect(typeof config === 'string' ? config : describeConfig(config)).toMatch(
      /^ {2}kABI {5}stablelist, \d symbols? of \w+, \d symbols? of \w+: a change is only told$/m,
    );
  });
  it('with CRCs, packed, or of several architectures and releases in one package', async () => {
    write(
      'Module.kabi_x86_64.bz2',
      execFileSync('bzip2', { input: '0x1\tkfree\tvmlinux\tEXPORT_SYMBOL\t\n' }),
    );
    const kfree = { name: 'kfree', crc: 1, provider: 'vmlinux', exportType: 'EXPORT_SYMBOL', namespace: '' };
    const exports = new Map([['kfree', kfree]]);
    expect(stablelistOf('stablelist = "~/Module.kabi_x86_64.bz2"')).toEqual({
      effect: 'block',
      symbols: { '*': ['kfree'] },
      exports: { x86_64: exports },
    });
    const config = parse('stablelist = "~/Module.kabi_x86_64.bz2"');
    expect(typeof config === 'string' ? config : describeConfig(config)).toMatch(
      /^ {2}kABI {5}stablelist, 1 symbol, 1 CRC of x86_64: a change blocks$/m,
    );
    const symvers = '0x1\tkfree\tvmlinux\tEXPORT_SYMBOL\n';
    write('symvers-default', symvers);
    expect(stablelistOf('stablelist = "~/symvers-default"')).toMatchObject({
      symbols: { '*': ['kfree'] },
      exports: { '*': exports },
    });
    mkdirSync(join(folder, 'kabi/s390x'), { recursive: true });
    write('kabi/s390x/symvers-default', symvers);
    write('Module.kabi_dup_aarch64', symvers);
    for (const [file, arch] of [
      ['kabi/s390x/symvers-default', 's390x'],
      ['Module.kabi_dup_aarch64', 'aarch64'],
      ['Module.kabi_dup_{arch}', 'aarch64'],
    ])
      expect(stablelistOf(`stablelist = "~/${file}"`)).toMatchObject({ exports: { [arch ?? '']: exports } });
    const list = (arch: string, symbol: string) => `[rhel9_${arch}_stablelist]\n\t${symbol}\n`;
    const spec = {
      name: 'kernel-abi-stablelists',
      files: {
        '/lib/modules/kabi-rhel94/kabi_stablelist_x86_64': list('x86_64', 'old'),
        '/lib/modules/kabi-rhel95/kabi_stablelist_x86_64': list('x86_64', 'kfree'),
        '/lib/modules/kabi-rhel95/kabi_stablelist_aarch64': list('aarch64', 'printk'),
      },
      links: { '/lib/modules/kabi-current': 'kabi-rhel95' },
    };
    if (!rpmbuild()) return;
    await withRpm({ ...spec, payload: 'xz' }, ({ data }) => write('lists.rpm', data));
    expect(stablelistOf('stablelist = "~/lists.rpm"')).toMatchObject({
      symbols: { x86_64: ['kfree'], aarch64: ['printk'] },
    });
    await withRpm({ ...spec, payload: 'zstd' }, ({ data }) => write('zstd.rpm', data));
    expect(stablelistOf('stablelist = "~/zstd.rpm"')).toMatch(
      /gate\[0\]\.stablelist: .*zstd\.rpm: payload: byte 0: packed by zstd, which is not read here; name what is in it$/,
    );
    write('gate.toml', 'stablelist = "~/zstd.rpm"');
    await prepareConfig(join(folder, 'gate.toml'));
    expect(stablelistOf('stablelist = "~/zstd.rpm"')).toMatchObject({
      symbols: { x86_64: ['kfree'], aarch64: ['printk'] },
    });
  });
  it('that is a kmod is told', () => {
    write('kmod.modversions', '0x1\tkfree\n');
    expect(stablelistOf('stablelist = "~/kmod.modversions"')).toMatch(
      /kmod\.modversions: holds no stablelist$/,
    );
  });
  it.each([
    ['~/nowhere', /^gate\.toml:10: gate\[0\]\.stablelist: cannot be read: ENOENT/],
    ['~/list_{arch}', /^gate\.toml:10: gate\[0\]\.stablelist: no file .*list_\{arch\} for any architecture$/],
  ])('that is not there (%s) is told with its key', (file, expected) => {
    expect(stablelistOf(`stablelist = "${file}"`)).toMatch(expected);
  });
  it('that is none is told with the line', () => {
    write('garbage', '[list]\n\tkfree\n\tnot a symbol\n');
    expect(stablelistOf('stablelist = "~/garbage"')).toMatch(/garbage: line 3: .* is not one symbol/);
  });
});
