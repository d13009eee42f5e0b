/** `kmod-gate why` on real kernels and kmods: what broke them, in which order, and what it says where something is missing. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { check, diff } from '../../src/commands/check.ts';
import type { Output } from '../../src/commands/text.ts';
import { type WhyOptions, why } from '../../src/commands/why.ts';
import { BTF, VERSIONS, type Version } from '../btf/kernels.ts';
import { func, int, pointer, proto, struct, writeBtf } from '../btf/write.ts';
import { writeElf } from '../symbols/elf.ts';
import { bzImage, vmlinux } from '../symbols/images.ts';
import { rpmbuild, withRpm } from '../symbols/rpmbuild.ts';

const DEMO = fileURLToPath(new URL('../../config/demo/', import.meta.url));
const KMODS = join(DEMO, 'kmods');
const JOOL = join(KMODS, 'kmod-jool-dkms-4.1.9-1.el9.modversions');

const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-why-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, data: Uint8Array | string): string => {
  writeFileSync(join(folder, name), data);
  return join(folder, name);
};
for (const version of VERSIONS) file(`${version}.btf`, BTF[version]);
/** The files of a kernel: its types alone, and its symbols. */
const kernel = (version: Version) => [join(folder, `${version}.btf`), join(DEMO, `${version}.symvers.gz`)];

const config = async () => {
  throw new Error('no configuration is needed');
};

/** What it printed, and its answer. */
async function asked(options: Partial<WhyOptions>) {
  let text = '';
  const write = (more: string) => {
    text += more;
  };
  const all: WhyOptions = {
    ...{ baseline: kernel('6.1.170'), kernel: kernel('6.1.176'), kmods: [], json: false, config },
    ...options,
  };
  const answer = await why({ write, colour: false }, all);
  return { answer, text };
}
const askedJson = async (options: Partial<WhyOptions>) =>
  JSON.parse((await asked({ json: true, ...options })).text);

describe('what broke the kmods', () => {
  test('comes first, in three lines, and fits a terminal', async () => {
    const { answer, text } = await asked({ kmods: [KMODS] });
    expect(answer).toBe(false);
    const lines = text.split('\n');
    expect(lines.slice(0, 4)).toEqual([
      '6 declarations changed in the kernel, which breaks 12 of 12 kmods:',
      '  struct device: + unsigned long flags[1] (752 bytes, was 744)',
      '  struct fwnode_handle: u8 flags → unsigned long flags',
      '  struct task_struct: + unsigned int user_dumpable : 1, + u32 kstack_offset',
    ]);
    expect(text).toMatch(/^struct device +12 +6143 +461$/m);
    expect(text).toMatch(
      /^kmod-jool-dkms-4\.1\.9-1\.el9 +53 +struct device, struct task_struct and 2 more$/m,
    );
    expect(text).toContain('Of 24618 symbols 18107 changed.');
    expect(lines.filter((it) => it.length > 100)).toEqual([]);
  });

  test('as JSON', async () => {
    const { symbols, causes, kmods } = await askedJson({ kmods: [JOOL] });
    expect(symbols).toEqual({
      changed: 18107,
      functions: 6150,
      explained: 6150,
      variables: 300,
      modules: 11657,
    });
    expect(causes[0]).toEqual({
      ...{ kind: 'struct', name: 'device', size: { was: 744, now: 752 }, symbols: 6143, unchanged: 461 },
      members: [{ name: 'flags', was: null, now: 'unsigned long flags[1]' }],
    });
    expect(kmods).toEqual([
      {
        ...{ name: 'kmod-jool-dkms-4.1.9-1.el9', changed: 53 },
        causes: expect.arrayContaining(['struct device', 'struct fwnode_handle', 'struct task_struct']),
      },
    ]);
  });

  test('causes that many unchanged exports share are less sure', async () => {
    const { text } = await asked({ baseline: kernel('6.1.176'), kernel: kernel('6.1.187'), kmods: [JOOL] });
    expect(text).toMatch(/^struct Qdisc +1 +3104 +3501$/m);
    expect(text).toContain('less sure');
    expect((await asked({ kmods: [JOOL] })).text).not.toContain('less sure');
  });

  test('nothing, where nothing changed', async () => {
    const { answer, text } = await asked({ kernel: kernel('6.1.170'), kmods: [KMODS] });
    expect(answer).toBe(true);
    expect(text).toContain('Of 24618 symbols none changed.');
  });
});

describe('one symbol', () => {
  test('its ways, the shortest first', async () => {
    const { answer, text } = await asked({ symbol: 'pci_enable_device' });
    expect(answer).toBe(false);
    expect(text.split('\n').slice(0, 4)).toEqual([
      'pci_enable_device: 0x195e512d → 0xe153bc2d',
      'int pci_enable_device(struct pci_dev *)',
      '  → pci_dev.dev → struct device',
      '      struct device: + unsigned long flags[1] (752 bytes, was 744)',
    ]);
  });
  test('as JSON', async () => {
    const { symbol } = await askedJson({ symbol: 'pci_enable_device' });
    expect(symbol.declaration).toBe('int pci_enable_device(struct pci_dev *)');
    expect(symbol.ways[0]).toEqual({ cause: 'struct device', steps: ['pci_dev.dev'] });
  });
  test('one that has not changed, and a variable', async () => {
    const { answer, text } = await asked({ symbol: 'kfree' });
    expect(answer).toBe(true);
    expect(text).toContain('No declaration that it reaches has changed.');
    expect((await asked({ symbol: 'init_task' })).text).toContain('it is a variable');
  });
  test('one that is not there', async () => {
    await expect(asked({ symbol: 'nothing' })).rejects.toThrow(
      '--symbol nothing: is not exported by both kernels',
    );
  });
});

test('without the types it says what is needed', async () => {
  const symvers = [join(DEMO, '6.1.170.symvers.gz')];
  await expect(asked({ baseline: symvers })).rejects.toThrow(
    '--baseline: no kernel with its types (BTF) is among the files: name its vmlinuz, vmlinux or kernel-core rpm too',
  );
  const bare = file('vmlinuz', bzImage(vmlinux({}, Buffer.alloc(0))));
  await expect(asked({ kernel: [bare, ...symvers] })).rejects.toThrow();
  await expect(asked({ kernel: [join(folder, 'nowhere')] })).rejects.toThrow(
    'nowhere: there is no such file',
  );
});

const moduleOf = (btf: Buffer): Buffer =>
  writeElf(
    { wordSize: 64, littleEndian: true, machine: 62 },
    { '.modinfo': Buffer.from('name=it_self\0intree=Y\0'), '.BTF': btf },
  );

describe('check and diff', () => {
  const printed = async (command: (output: Output) => Promise<boolean>) => {
    let text = '';
    await command({
      write: (more) => {
        text += more;
      },
      colour: false,
    });
    return text;
  };
  const options = { baseline: kernel('6.1.170'), kernel: kernel('6.1.176'), kmods: [JOOL], config };

  test('check says the same first, where the types are among the files', async () => {
    const text = await printed((output) => check(output, { ...options, json: false }));
    expect(text).toMatch(
      /^4 declarations changed in the kernel, which breaks 1 of 1 kmod:\n {2}struct device: \+ unsigned/,
    );
    expect(text).toMatch(/^kmod-jool-dkms-4\.1\.9-1\.el9 +126 +0 +53 +incompatible$/m);
    const { why: told } = JSON.parse(await printed((output) => check(output, { ...options, json: true })));
    expect(told.causes[0].name).toBe('device');
  });
  test('diff of two kernels’ own files', async () => {
    const [older = '', newer = ''] = [1, 2].map((width) =>
      file(`${width}.vmlinux`, vmlinux({}, small(width).base, { call: width })),
    );
    const text = await printed((output) => diff(output, [older, newer], { json: false, config }));
    expect(text).toMatch(
      /^1 declaration changed in the kernel, which changes 1 exported function:\n {2}struct s: \+ int m1 \(8 bytes, was 4\)\n/,
    );
    expect(text).toContain('Since the baseline, of 1 symbols: 0 added, 0 removed, 1 changed.');
  });
});

/** A kernel of one struct and one function, and a module that goes on from it. */
const small = (width: number) => {
  const base = writeBtf([
    int('int'),
    struct('s', 4 * width, ...Array.from({ length: width }, (_, i) => [`m${i}`, 1, 32 * i]).flat()),
    pointer(2),
    proto(0, '', 3),
    func('call', 4),
  ]);
  const strings = base.readUInt32LE(20);
  const module = writeBtf(
    [struct('own', 8, 's', 3, 0), pointer(6), proto(0, '', 7), func('of_module', 8)],
    'little',
    strings,
  );
  return { base, module };
};

describe.runIf(rpmbuild())('a kernel-core rpm', () => {
  const CHANGELOG = '* Thu Nov 26 2026 Ann <ann@example.org> [5.14.0-69.el9]\n- fs: older (Ann) [RHEL-1]';
  const built = (width: number, name: string, changelog = CHANGELOG) =>
    withRpm(
      {
        ...{ name: 'kernel-core', version: '5.14.0', payload: 'gzip', changelog },
        provides: [`kernel(call) = 0x0000000${width}`],
        files: {
          '/lib/modules/5.14.0/System.map': 'x'.repeat(100_000),
          '/lib/modules/5.14.0/vmlinuz': bzImage(gzipSync(vmlinux({}, small(width).base))),
        },
      },
      ({ data }) => file(name, data),
    );
  test('is all that is needed: its header tells symbols, the kernel in it types', async () => {
    const options = { baseline: [await built(1, 'old.rpm')], kernel: [await built(2, 'new.rpm')] };
    const { causes } = await askedJson(options);
    expect(causes).toEqual([
      {
        ...{ kind: 'struct', name: 's', size: { was: 4, now: 8 }, symbols: 1, unchanged: 0 },
        members: [{ name: 'm1', was: null, now: 'int m1' }],
      },
    ]);
  });
  test('tells who changed it, too', async () => {
    const newer = `* Mon Nov 30 2026 Bob <bob@example.org> [5.14.0-70.el9]\n- fs: struct s gets m1 (Bob) [RHEL-2]\n\n${CHANGELOG}`;
    const options = {
      baseline: [await built(1, 'old.rpm')],
      kernel: [await built(2, 'new.rpm', newer)],
    };
    const { changelog } = await askedJson(options);
    expect(changelog).toMatchObject({
      ...{ new: 1, gap: null },
      candidates: [{ date: '2026-11-30', tickets: ['RHEL-2'], names: ['struct s'] }],
    });
    expect((await asked(options)).text).toContain(
      'They are candidates and no proof:\n  fs: struct s gets m1 (Bob) [RHEL-2]\n',
    );
  });
});

describe('errors of a build', () => {
  const log = (name: string, text: string) => file(name, `${text}\n`);
  test('come first, in the words of both kernels, with how many there are besides', async () => {
    const { text } = await asked({
      kmods: [JOOL],
      logs: [
        log('one.log', "a.c:12:3: error: 'struct fb_deferred_io' has no member named 'lock'"),
        log(
          'two.log',
          "b.c:1:3: error: unused variable 'x' [-Werror]\nb.c:4:5: error: too many arguments to function 'netif_rx'",
        ),
      ],
    });
    expect(text.split('\n').slice(0, 7)).toEqual([
      'Errors of the build, and what the kernels declare:',
      "  a.c:12: 'struct fb_deferred_io' has no member named 'lock'",
      '    struct mutex lock: the newer kernel does not have it, or not as a function or type',
      "  b.c:4: too many arguments to function 'netif_rx'",
      '    int netif_rx(struct sk_buff *): the same in both kernels',
      '  Of 1 of 3 errors the types do not tell: they know no macros and inline functions.',
      '',
    ]);
  });
  test.each([
    ['that is not there', () => 'nowhere.log', /^--log nowhere\.log: cannot be read: ENOENT/],
    [
      'without an error',
      () => log('fine.log', 'all is well'),
      /no error of a compiler is found in it; name the build\.log/,
    ],
  ])('of a log %s', async (_, name, message) => {
    await expect(asked({ logs: [name()] })).rejects.toThrow(message);
  });
  test('what a log says orders nothing of a terminal', async () => {
    const evil = log(
      'evil.log',
      "a.c:1:2: error: 'struct fb_deferred_io' has no member named 'lock' \u009b31m\u202e",
    );
    expect((await asked({ logs: [evil] })).text).not.toMatch(/[\u009b\u202e]/);
  });
});

describe('exports of modules', () => {
  const symvers = (crc: number, name: string) =>
    file(
      name,
      `0x0000000${crc}\tcall\tvmlinux\tEXPORT_SYMBOL\t\n0x0000000${crc}\tof_module\tnet/it-self\tEXPORT_SYMBOL\t\n`,
    );
  const options = {
    baseline: [file('a.btf', small(1).base), symvers(1, 'a.symvers')],
    kernel: [file('b.btf', small(2).base), symvers(2, 'b.symvers')],
  };
  test('are counted apart where the modules are not at hand', async () => {
    expect((await askedJson(options)).symbols).toEqual({
      changed: 2,
      functions: 1,
      explained: 1,
      variables: 0,
      modules: 1,
    });
  });
  test('and of folders with all that is in them', async () => {
    const tree = (width: number, version: string) => {
      mkdirSync(join(folder, version, 'kernel'), { recursive: true });
      file(`${version}/modules.order`, '');
      file(`${version}/vmlinuz`, bzImage(gzipSync(vmlinux({}, small(width).base))));
      file(`${version}/kernel/it-self.ko`, moduleOf(small(width).module));
      symvers(width, `${version}/Module.symvers`);
      return join(folder, version);
    };
    const { symbols, symbol, passed_over } = await askedJson({
      ...{ baseline: [tree(1, '5.14.0-1')], kernel: [tree(2, '5.14.0-2')], symbol: 'of_module' },
    });
    expect(symbols).toMatchObject({ functions: 2, explained: 2, modules: 0 });
    expect(symbol.ways).toEqual([{ cause: 'struct s', steps: ['own.s'] }]);
    expect(passed_over).toEqual({ 'other files': 2 });
  });
  test('are explained by the modules’ own types', async () => {
    const ko = (width: number, name: string) => file(name, moduleOf(small(width).module));
    const { symbols, symbol } = await askedJson({
      baseline: [...options.baseline, ko(1, 'old.ko')],
      kernel: [...options.kernel, ko(2, 'new.ko')],
      symbol: 'of_module',
    });
    expect(symbols).toMatchObject({ functions: 2, explained: 2, modules: 0 });
    expect(symbol.ways).toEqual([{ cause: 'struct s', steps: ['own.s'] }]);
  });
});
