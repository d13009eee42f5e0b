import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { compareKmod } from '../../src/kabi/compare.ts';
import { formatCrc } from '../../src/kabi/crc.ts';
import { combineKernel } from '../../src/kabi/kernel.ts';
import type { Stablelist } from '../../src/kabi/model.ts';
import { parseModversions } from '../../src/kabi/text.ts';
import { readCpio } from '../../src/symbols/cpio.ts';
import { readSymbolFile } from '../../src/symbols/read.ts';
import { readRpm, readRpmChangelog, readRpmFiles } from '../../src/symbols/rpm.ts';
import { readTar } from '../../src/symbols/tar.ts';
import { unpack } from '../../src/symbols/unpack.ts';
import { PAYLOADS, rpmbuild, type Spec, stripped, withRpm } from './rpmbuild.ts';

const KMODS = new URL('../../config/demo/kmods/', import.meta.url);
const imports = (kmod: string) => {
  const file = fileURLToPath(new URL(`${kmod}.modversions`, KMODS));
  return parseModversions(readFileSync(file, 'utf8'), file);
};
/** Another CRC. */
const flipped = (crc: number) => (crc ^ 1) >>> 0;
const ofKernel = (symbols: readonly { symbol: string; crc: number }[]) =>
  symbols.map(({ symbol, crc }) => `kernel(${symbol}) = ${formatCrc(crc)}`);

/** What an rpm's header says of symbols, as rpm itself prints it. */
const shown = (dependencies: { names: readonly string[]; versions: readonly string[] }) =>
  dependencies.names.map((name, i) =>
    dependencies.versions[i] ? `${name} = ${dependencies.versions[i]}` : name,
  );

const CHANGELOG = `* Mon Nov 30 2026 Jörg Müller <joerg@example.org> [5.14.0-70.el9]
- net: foo (Jörg Müller) [RHEL-2]
- mm: bar (Ann) [RHEL-3] {CVE-2026-12345}

* Thu Nov 26 2026 Ann <ann@example.org> [5.14.0-69.el9]
- fs: older (Ann) [RHEL-1]`;

test.runIf(rpmbuild())('the changelog, as rpm prints it', async () => {
  await withRpm({ name: 'kernel-core', changelog: CHANGELOG }, ({ data, query }) => {
    const format = '[%{CHANGELOGTIME}\\t%{CHANGELOGNAME}\\t%{CHANGELOGTEXT}@@\\n]';
    const printed = query('--qf', format)
      .join('\n')
      .split('@@')
      .map((it) => it.trim())
      .filter(Boolean);
    const read = readRpmChangelog(data, 'kernel-core');
    expect(read.map(({ at, author, text }) => `${at}\t${author}\t${text}`)).toEqual(printed);
    expect(read[0]).toMatchObject({
      at: Date.UTC(2026, 10, 30, 12) / 1000,
      author: 'Jörg Müller <joerg@example.org> [5.14.0-70.el9]',
    });
  });
  await withRpm({ name: 'kernel-core' }, ({ data }) => {
    expect(readRpmChangelog(data, 'kernel-core')).toEqual([]);
  });
});

describe.runIf(rpmbuild())('rpms that rpmbuild builds', () => {
  const jool = imports('kmod-jool-dkms-4.1.9-1.el9');

  test('a kmod, kernel-core and kernel-modules are compared', async () => {
    const [core, modules] = [jool.slice(0, 80), jool.slice(80)];
    const build = (name: string, provides: string[], requires: string[] = []) =>
      withRpm({ name, provides, requires }, async ({ data, query }) => {
        const rpm = readRpm(data, name);
        expect(shown(rpm.provides)).toEqual(query('--provides'));
        const required = query('--requires').map((it) => it.replace(/ [<>]=? /, ' = '));
        expect(shown(rpm.requires).toSorted()).toEqual(required.toSorted());
        return readSymbolFile(data, `${name}.rpm`);
      });
    const parts = [
      await build('kernel-core', ['kernel-uname-r = 5.14.0-70.el9.x86_64', ...ofKernel(core)]),
      await build(
        'kernel-modules',
        ofKernel(modules.map((it, i) => ({ ...it, crc: i ? it.crc : flipped(it.crc) }))),
      ),
    ];
    const kernel = combineKernel(parts);
    expect(kernel).toMatchObject({ arch: 'x86_64', variant: '' });
    expect(kernel.symbols.size).toBe(jool.length);

    const kmod = await build(
      'kmod-jool',
      ['ksym(jool_xlator) = 0x0000abcd', 'kmod(jool.ko)'],
      ['kernel >= 5.14.0', 'kernel-modules', ...ofKernel(jool)],
    );
    const changed = modules[0];
    expect(kmod.exports.get('jool_xlator')).toMatchObject({ crc: 0xabcd, provider: 'kmod-jool' });
    expect(compareKmod(kmod, kernel)).toEqual({
      kmod: 'kmod-jool-5.14.0-70.el9',
      imports: jool.length,
      missing: [],
      changed: [
        {
          symbol: changed?.symbol,
          required: changed?.crc,
          provided: flipped(changed?.crc ?? 0),
          provider: 'kernel-modules',
        },
      ],
      fromKmods: [],
      fromBroken: [],
      remarks: [],
      answer: 'incompatible',
      cause: null,
    });
  });

  const list = (arch: string, ...symbols: string[]) =>
    `[rhel9_${arch}_stablelist]\n${symbols.map((it) => `\t${it}\n`).join('')}`;
  const lists: Spec = {
    name: 'kernel-abi-stablelists',
    files: {
      '/lib/modules/kabi-rhel90/kabi_stablelist_x86_64': list('x86_64', 'printk'),
      '/lib/modules/kabi-rhel91/kabi_stablelist_x86_64': list('x86_64', 'printk', '__fentry__'),
      '/lib/modules/kabi-rhel91/kabi_stablelist_aarch64': list('aarch64', 'printk'),
      '/lib/modules/kabi-rhel91/Module.kabi_s390x': '0x0000000a\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n',
      '/usr/share/doc/kernel-abi-stablelists/README': 'no list\n',
    },
    links: { '/lib/modules/kabi-current': 'kabi-rhel91' },
  };
  const current = { release: 'kabi-rhel91', current: true };
  const exported = {
    name: 'printk',
    crc: 10,
    provider: 'vmlinux',
    exportType: 'EXPORT_SYMBOL',
    namespace: '',
  };
  const found = [
    {
      ...{ name: 'Module.kabi_s390x', arch: 's390x', symbols: new Set(['printk']), ...current },
      exports: new Map([['printk', exported]]),
    },
    { name: 'rhel9_aarch64_stablelist', arch: 'aarch64', symbols: new Set(['printk']), ...current },
    { name: 'rhel9_x86_64_stablelist', arch: 'x86_64', symbols: new Set(['printk']), release: 'kabi-rhel90' },
    {
      ...{ name: 'rhel9_x86_64_stablelist', arch: 'x86_64', symbols: new Set(['printk', '__fentry__']) },
      ...current,
    },
  ];
  const sorted = (lists: readonly Stablelist[]) =>
    lists.toSorted((a, b) => a.name.localeCompare(b.name) || a.symbols.size - b.symbols.size);

  test.each(Object.keys(PAYLOADS) as (keyof typeof PAYLOADS)[])(
    'stablelists in a payload by %s',
    async (payload) => {
      await withRpm({ ...lists, payload }, async ({ data, file, query }) => {
        const { compressor, offset } = readRpm(data, 'it').payload;
        expect(compressor).toBe(payload);
        const { format, stablelists, exports } = await readSymbolFile(data, 'it.rpm');
        expect(format).toBe('rpm');
        expect(exports.size).toBe(0);
        expect(sorted(stablelists)).toEqual(found);
        expect(readRpmFiles(data, 'it').map(({ path }) => path)).toEqual(query('--list'));
        const cpio = execFileSync('rpm2cpio', [file]);
        expect(Buffer.compare(await unpack(data.subarray(offset), 'it'), cpio)).toBe(0);
      });
    },
  );

  test('a payload without names, as format 6 has it', async () => {
    await withRpm(lists, async ({ data, file }) => {
      const { offset } = readRpm(data, 'it').payload;
      const files = readRpmFiles(data, 'it');
      const entries = [...readCpio(gunzipSync(data.subarray(offset)), 'it')];
      const numbers = entries.map(({ name }) => files.findIndex(({ path }) => name === `.${path}`));
      const anew = stripped(entries.map(({ data }, i) => [numbers[i] ?? -1, data]));
      const rebuilt = Buffer.concat([data.subarray(0, offset), gzipSync(anew)]);
      expect(sorted((await readSymbolFile(rebuilt, 'it.rpm')).stablelists)).toEqual(found);
      // rpm itself reads it so.
      writeFileSync(file, rebuilt);
      const tar = gunzipSync(
        execFileSync('rpm2archive', ['--nosignature', '--nodigest', '-'], { input: rebuilt }),
      );
      const told = [...readTar(tar, 'it')].map(({ name, kind, data }) => [name, kind, data.toString()]);
      expect(told).toEqual(entries.map(({ name, kind, data }) => [name, kind, data.toString()]));
      const beyond = Buffer.concat([data.subarray(0, offset), gzipSync(stripped([[99, Buffer.from('x')]]))]);
      await expect(readSymbolFile(beyond, 'it.rpm')).rejects.toThrow(
        /^it\.rpm: payload: byte 0: file 99 in the payload, and the rpm's header has 6; /,
      );
    });
  });

  test('every payload may be missing: the header is enough', async () => {
    for (const payload of Object.keys(PAYLOADS) as (keyof typeof PAYLOADS)[])
      await withRpm({ name: 'kmod-a', payload, requires: ['kernel(printk) = 0x1'] }, async ({ data }) => {
        const header = data.subarray(0, readRpm(data, 'it').payload.offset);
        expect((await readSymbolFile(header, 'it')).kernelImports).toEqual([{ symbol: 'printk', crc: 1 }]);
      });
  });

  test('epoch, version, release, architecture and source', async () => {
    const query = '%{EPOCH} %{VERSION} %{RELEASE} %{ARCH} %{SOURCERPM}\n';
    const spec = { name: 'kmod-e', epoch: 3, version: '1.2~rc1', release: '4.el9' };
    await withRpm(spec, (rpm) => {
      const { epoch, version, release, arch, sourceRpm } = readRpm(rpm.data, 'it');
      expect([epoch, version, release, arch, sourceRpm].join(' ')).toBe(rpm.query('--qf', query)[0]);
      expect(epoch).toBe(3);
    });
    await withRpm({ name: 'kmod-n' }, ({ data }) => expect(readRpm(data, 'it').epoch).toBeNull());
  });

  test('SUSE: the flavour is the variant', async () => {
    const requires = ['ksym(default:printk) = a19b956', 'ksym(default:kfree) = 1'];
    await withRpm({ name: 'foo-kmp-default', requires }, async ({ data }) => {
      const kmod = await readSymbolFile(data, 'it');
      expect(kmod).toMatchObject({ variant: 'default', kmodImports: [] });
      expect(kmod.imports.toSorted((a, b) => a.crc - b.crc)).toEqual([
        { symbol: 'kfree', crc: 1 },
        { symbol: 'printk', crc: 0x0a19b956 },
      ]);
    });
  });
});
