/** `kmod-gate check` on what people reported: what loads into a kernel, and what can be installed beside it. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { check, diff } from '../../src/commands/check.ts';

const FIELD = fileURLToPath(new URL('../field/', import.meta.url));
const noConfig = async () => {
  throw new Error('no configuration is needed');
};

async function printed(command: (output: { write(text: string): void; colour: false }) => Promise<boolean>) {
  let text = '';
  const answer = await command({
    write: (more) => {
      text += more;
    },
    colour: false,
  });
  return { answer, text };
}
const run = (kernel: readonly string[], kmods: readonly string[], json = false) =>
  printed((output) =>
    check(output, {
      kernel: kernel.map((path) => join(FIELD, path)),
      kmods: kmods.map((path) => join(FIELD, path)),
      json,
      config: noConfig,
    }),
  );
const asJson = async (kernel: readonly string[], kmods: readonly string[]) =>
  JSON.parse((await run(kernel, kmods, true)).text);

const KERNEL = ['core', 'modules', 'modules-core'].map(
  (part) => `kernel-folder/kernel/kernel-${part}-5.14.0-503.el9.x86_64.rpm`,
);

test.each<[string, string[], string[], boolean, RegExp[]]>([
  [
    'a module of another license, and a namespace that it does not import',
    ['export-type/new.symvers'],
    ['export-type/gdrdrv.ko'],
    false,
    [
      /^gdrdrv +3 +0 +0 +incompatible +cc_mkdec is exported to GPL modules only, and its license is MIT; filp_open is in the namespace VFS_internal_I_am_really_a_filesystem_and_am_NOT_a_driver, which it does not import$/m,
    ],
  ],
  [
    'the same with the kernel before',
    ['export-type/old.symvers'],
    ['export-type/gdrdrv.ko'],
    true,
    [/^gdrdrv +3 +0 +0 +compatible$/m],
  ],
  [
    'an undefined symbol without a CRC',
    ['unversioned-imports/new.symvers'],
    ['unversioned-imports/pf_ring.ko'],
    false,
    [
      /^pf_ring +2 +0 +0 +incompatible +it needs __x86_indirect_thunk_rax, of which it has no CRC, and which nobody exports$/m,
    ],
  ],
  [
    'rpms that require another kernel',
    KERNEL,
    ['pinned-requires'],
    false,
    [
      /^kmod-pin-1\.0-1\.el9 +0 +0 +0 +incompatible +it requires kernel-uname-r = 5\.14\.0-427\.el9\.x86_64, and this kernel has 5\.14\.0-503\.el9\.x86_64$/m,
      /^kmod-pin2-1\.0-1\.el9 +1 +0 +0 +incompatible +it requires kernel < 5\.14\.0-400, and this kernel has 5\.14\.0-503\.el9; it requires kernel-core-uname-r >= 5\.14\.0-570\.el9, and this kernel has 5\.14\.0-503\.el9\.x86_64$/m,
    ],
  ],
  [
    'an rpm for each of two kernels',
    ['several-kernels/kernel'],
    ['several-kernels/two'],
    true,
    [
      /^kmod-zfs-5\.14\.0-503\.el9\.x86_64-2\.2\.7-1\.el9 +2 +0 +0 +compatible$/m,
      /^Passed over, for other kernels: kmod-zfs-5\.14\.0-427\.el9\.x86_64-2\.2\.7-1\.el9$/m,
    ],
  ],
  [
    'one rpm with modules for two kernels',
    ['several-kernels/kernel'],
    ['several-kernels/one'],
    false,
    [
      /^kmod-lis-4\.2\.5-1 +2 +0 +0 +inconclusive +it holds modules for several kernels, and nothing tells whether those that are for this one fit; it is built for 2 kernels: it requires ksym_a as 0xaaaa0001 and 0xaaaa0002, and no kernel has both$/m,
    ],
  ],
  [
    'a kernel for a level of the architecture',
    ['x86-64-v2/kernel-core-6.12.0-55.el10.x86_64_v2.rpm'],
    ['x86-64-v2/kmod-foo-1.0-1.el10.x86_64.rpm'],
    true,
    [/^kmod-foo-1\.0-1\.el10 +1 +0 +0 +compatible$/m],
  ],
])('%s', async (_, kernel, kmods, expected, lines) => {
  const { answer, text } = await run(kernel, kmods);
  for (const line of lines) expect(text).toMatch(line);
  expect(answer).toBe(expected);
});

test('as JSON, each remark with what it is about', async () => {
  const { kmods } = await asJson(['export-type/new.symvers'], ['export-type/gdrdrv.ko']);
  expect(kmods[0].remarks).toMatchObject([
    { kind: 'gpl-only', symbol: 'cc_mkdec', provider: 'vmlinux', license: 'MIT' },
    { kind: 'namespace', symbol: 'filp_open', provider: 'vmlinux' },
  ]);
  const pinned = await asJson(KERNEL, ['pinned-requires/kmod-pin-1.0-1.el9.x86_64.rpm']);
  expect(pinned.kmods).toMatchObject([
    {
      outcome: 'incompatible',
      remarks: [
        {
          kind: 'requires',
          requires: 'kernel-uname-r = 5.14.0-427.el9.x86_64',
          provided: '5.14.0-503.el9.x86_64',
          text: 'it requires kernel-uname-r = 5.14.0-427.el9.x86_64, and this kernel has 5.14.0-503.el9.x86_64',
        },
      ],
    },
  ]);
  const several = await asJson(['several-kernels/kernel'], ['several-kernels/one', 'several-kernels/two']);
  expect(several).toMatchObject({
    kmods: [
      {
        outcome: 'inconclusive',
        remarks: [{ kind: 'several-crcs', symbol: 'ksym_a', crcs: ['0xaaaa0001', '0xaaaa0002'] }],
      },
      { outcome: 'compatible' },
    ],
    for_other_kernels: ['kmod-zfs-5.14.0-427.el9.x86_64-2.2.7-1.el9'],
  });
});

test('without a kernel’s rpms nothing tells of a requirement: the symbols decide, and it is said', async () => {
  const { text } = await run(['several-kernels/kernel'], ['pinned-requires']);
  expect(text).toMatch(/^kmod-pin-1\.0-1\.el9 .* incompatible/m);
  const symvers = await run(['export-type/new.symvers'], ['pinned-requires/kmod-pin-1.0-1.el9.x86_64.rpm']);
  expect(symvers.text).toMatch(
    /^kmod-pin-1\.0-1\.el9 .* inconclusive .*; it requires kernel-uname-r = 5\.14\.0-427\.el9\.x86_64, and nothing tells whether this kernel has that$/m,
  );
});

test('diff tells what became GPL-only or came into a namespace at the same CRC, and that a promise is broken', async () => {
  const { answer, text } = await printed((output) =>
    diff(output, [join(FIELD, 'export-type/old.symvers'), join(FIELD, 'export-type/new.symvers')], {
      stablelist: join(FIELD, 'export-type/stablelist'),
      json: false,
      config: noConfig,
    }),
  );
  expect(answer).toBe(false);
  expect(text).toContain('Stablelist: 2 listed symbols changed or went: cc_mkdec, filp_open');
  expect(text).toMatch(/^! cc_mkdec +EXPORT_SYMBOL → EXPORT_SYMBOL_GPL +vmlinux +listed$/m);
});
