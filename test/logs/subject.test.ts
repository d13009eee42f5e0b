/**
 * Errors of compilers in the kernel's words: gcc's own about programs that use two real kernels' declarations, those of the
 * logs in `real/`, and the forms of clang and rustc.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readBtf } from '../../src/btf/reader.ts';
import { findErrors } from '../../src/logs/buildlog.ts';
import { explainErrors } from '../../src/logs/subject.ts';
import { btfsOf } from '../btf/kernels.ts';
import { func, int, KIND, pointer, proto, struct, typedef, writeBtf } from '../btf/write.ts';
import { installed } from '../services.ts';

const FIRST = btfsOf('6.1.170', '6.1.176');
const SECOND = btfsOf('6.1.176', '6.1.187');

const explain = (log: string, btfs = SECOND) => explainErrors(findErrors(log, 20), btfs);
const real = (name: string) => readFileSync(new URL(`real/${name}.txt`, import.meta.url), 'utf8');

/** Kernel headers as the newer kernel has them, shortened, and a kmod written for the older one. */
const KMODS: readonly (readonly [
  name: string,
  headers: string,
  kmod: string,
  btfs: typeof FIRST,
  told: object,
])[] = [
  [
    'a function that takes more',
    'struct pci_dev; int pci_resize_resource(struct pci_dev *, int, int, int);',
    'int f(struct pci_dev *dev) { return pci_resize_resource(dev, 0, 1); }',
    SECOND,
    {
      what: 'function pci_resize_resource',
      was: 'int pci_resize_resource(struct pci_dev *, int, int)',
      now: 'int pci_resize_resource(struct pci_dev *, int, int, int)',
      changed: true,
    },
  ],
  [
    'a function that takes something else',
    'struct gpio_chip; int pinctrl_gpio_direction_input(struct gpio_chip *, unsigned int);',
    'int f(struct gpio_chip **chip) { return pinctrl_gpio_direction_input(chip, 1); }',
    SECOND,
    {
      was: 'int pinctrl_gpio_direction_input(unsigned int)',
      now: 'int pinctrl_gpio_direction_input(struct gpio_chip *, unsigned int)',
    },
  ],
  [
    'a member that went',
    'struct mutex { int a; }; struct fb_deferred_io { unsigned long delay; };',
    'struct mutex *f(struct fb_deferred_io *io) { return &io->lock; }',
    FIRST,
    { what: 'struct fb_deferred_io.lock', was: 'struct mutex lock', now: null, changed: true },
  ],
  [
    'a member that went, as an initializer has it',
    'struct genl_multicast_group { char name[16]; };',
    'struct genl_multicast_group g = { .cap_sys_admin = 1 };',
    FIRST,
    { what: 'struct genl_multicast_group.cap_sys_admin', was: 'u8 cap_sys_admin : 1', now: null },
  ],
  [
    'a callback that takes something else',
    'struct super_block; struct block_device; struct fscrypt_operations { unsigned int (*get_devices)(struct super_block *, struct block_device **); };',
    'struct block_device **get(struct super_block *, unsigned int *);\nstruct fscrypt_operations ops = {\n  .get_devices = get,\n};',
    SECOND,
    {
      what: 'struct fscrypt_operations.get_devices',
      was: 'struct block_device **(*get_devices)(struct super_block *, unsigned int *)',
      now: 'unsigned int (*get_devices)(struct super_block *, struct block_device **)',
    },
  ],
  [
    'a value of an enum that went',
    'enum cpuhp_state { CPUHP_INVALID = -1 };',
    'int f(void) { return CPUHP_PADATA_DEAD; }',
    FIRST,
    { what: 'enum value CPUHP_PADATA_DEAD', was: 'CPUHP_PADATA_DEAD = 39 in enum cpuhp_state', now: null },
  ],
  [
    'a type that went',
    '',
    'struct fbcon_ops;\nint f(struct fbcon_ops *ops) { return ops->p; }',
    SECOND,
    {
      what: 'struct fbcon_ops',
      was: expect.stringMatching(/^struct fbcon_ops of \d+ members, \d+ bytes$/),
      now: null,
    },
  ],
  [
    'what is as it was',
    'struct sk_buff; int netif_rx(struct sk_buff *);',
    'int f(struct sk_buff *skb) { return netif_rx(skb, 1); }',
    SECOND,
    { was: 'int netif_rx(struct sk_buff *)', now: 'int netif_rx(struct sk_buff *)', changed: false },
  ],
];

describe.runIf(installed('/usr/bin/gcc', 'Debian package gcc'))('what gcc says of', () => {
  test.each(KMODS)('%s', (_, headers, kmod, btfs, told) => {
    const options = [
      '-fsyntax-only',
      '-Werror=incompatible-pointer-types',
      '-Werror=implicit-function-declaration',
    ];
    const { stderr } = spawnSync('gcc', [...options, '-xc', '-'], {
      input: `${headers}\n${kmod}\n`,
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
    });
    // A build's log names a file.
    const found = explain(stderr.replaceAll('<stdin>', 'kmod.c'), btfs);
    expect(found.map(({ declared }) => declared)).toContainEqual(expect.objectContaining(told));
  });
});

test('real logs: what both kernels declare in the same way, what neither has, and what they do not tell of', () => {
  const said = explain(real('changed-signature')).map(
    ({ declared }) => declared && [declared.now, declared.changed],
  );
  expect(said).toEqual([
    null,
    null,
    [
      'struct proc_dir_entry *proc_create(const char *, umode_t, struct proc_dir_entry *, const struct proc_ops *)',
      false,
    ],
    ['int netif_rx(struct sk_buff *)', false],
    ['int netif_rx(struct sk_buff *)', false],
  ]);
  const nobody = { was: null, now: null, changed: false };
  for (const log of ['missing-member', 'clang-missing-member', 'colored'])
    expect(explain(real(log)).flatMap(({ declared }) => declared ?? [])).toEqual([
      { what: 'struct file.f_dentry', ...nobody },
      { what: 'struct task_struct.state', ...nobody },
      { what: 'struct task_struct.cpu_allowed', ...nobody },
      { what: 'struct file_operations.aio_read', ...nobody },
    ]);
  for (const log of ['removed-function', 'modpost-undefined', 'werror', 'link-undefined', 'missing-header'])
    expect(explain(real(log)).flatMap(({ declared }) => declared ?? [])).toEqual([]);
});

test('real logs against a kernel that did change what they name', () => {
  const kernel = (name: string, ...more: (string | number)[]) =>
    readBtf(
      writeBtf([
        struct('net_device', 0),
        pointer(1),
        struct('napi_struct', 0),
        pointer(3),
        int('int'),
        proto(5, 'napi', 4, 'budget', 5),
        pointer(6),
        proto(0, 'dev', 2, 'napi', 4, 'poll', 7, ...more),
        func('netif_napi_add', 8),
      ]),
      name,
    );
  const both = { before: kernel('old', 'weight', 5), after: kernel('new'), modules: new Map() };
  const poll = 'struct net_device *, struct napi_struct *, int (*)(struct napi_struct *, int)';
  for (const log of ['changed-signature', 'clang-changed-signature'])
    expect(explain(real(log), both).flatMap(({ declared }) => declared ?? [])).toEqual([
      {
        ...{ what: 'function netif_napi_add', changed: true },
        was: `void netif_napi_add(${poll}, int)`,
        now: `void netif_napi_add(${poll})`,
      },
    ]);
});

describe('other compilers', () => {
  test.each([
    ["a.c:1:2: error: no member named 'lock' in 'struct fb_deferred_io'", FIRST, 'struct mutex lock'],
    [
      "a.c:1:2: error: field designator 'cap_sys_admin' does not refer to any field in type 'struct genl_multicast_group'",
      FIRST,
      'u8 cap_sys_admin : 1',
    ],
    [
      "a.c:1:2: error: use of undeclared identifier 'CPUHP_PADATA_DEAD'",
      FIRST,
      'CPUHP_PADATA_DEAD = 39 in enum cpuhp_state',
    ],
    ['a.c:1:2: Fehler: »struct fb_deferred_io« hat kein Element namens »lock«', FIRST, 'struct mutex lock'],
    [
      'error[E0609]: no field `lock` on type `bindings::fb_deferred_io`\n --> a.rs:1:2',
      FIRST,
      'struct mutex lock',
    ],
    ['error[E0412]: cannot find type `mk_nothing` in this scope\n --> a.rs:1:2', FIRST, undefined],
    [
      "a.c:1:2: error: incompatible function pointer types initializing 'unsigned int (*)(struct super_block *, struct block_device **)' with an expression of type 'int (void)' [-Werror]\n   .get_devices = get,",
      SECOND,
      'struct block_device **(*get_devices)(struct super_block *, unsigned int *)',
    ],
    [
      'ERROR: modpost: "pci_resize_resource" [a.ko] undefined!',
      SECOND,
      'int pci_resize_resource(struct pci_dev *, int, int)',
    ],
  ])('%s', (log, btfs, was) => {
    expect(explain(log, btfs).map(({ declared }) => declared?.was)).toEqual([was]);
  });
});

describe('what is not guessed', () => {
  const one = (log: string) => explain(`a.c:1:2: error: ${log}`, FIRST)[0]?.declared;
  test.each([
    ['unused variable of that name', "unused variable 'km_migrate' [-Werror=unused-variable]"],
    ['a name in a language that is not known, where nothing changed', 'abweichende Typen für »netif_rx«'],
    ['a pointer to a type', "passing 'struct fbcon_ops *' to parameter of incompatible type 'int *'"],
    [
      'a member of any struct, of another type than the compiler says',
      "initialization of 'int (*)(void)' from incompatible pointer type 'void (*)(void)'",
    ],
  ])('%s', (_, said) => {
    expect(one(said) ?? null).toBeNull();
  });
});

describe('declarations', () => {
  const btfs = (before: Parameters<typeof writeBtf>[0], after: Parameters<typeof writeBtf>[0]) => ({
    before: readBtf(writeBtf(before), 'old'),
    after: readBtf(writeBtf(after), 'new'),
    modules: new Map(),
  });
  const declared = (said: string, both: ReturnType<typeof btfs>) =>
    explain(`a.c:1:2: error: ${said}`, both)[0]?.declared;

  test('typedefs, and structs behind them', () => {
    const both = btfs(
      [int('int'), struct('', 8, 'a', 1, 0, 'b', 1, 32), typedef('pair_t', 2), typedef('old_t', 1)],
      [int('int'), struct('', 4, 'a', 1, 0), typedef('pair_t', 2)],
    );
    expect(declared("'pair_t' {aka 'struct <anonymous>'} has no member named 'b'", both)).toMatchObject({
      ...{ what: 'pair_t.b', was: 'int b', now: null },
    });
    expect(declared("unknown type name 'old_t'", both)).toMatchObject({
      was: 'typedef int old_t',
      now: null,
    });
  });
  test('members of anonymous structs and unions within', () => {
    const both = btfs(
      [int('int'), { kind: KIND.UNION, value: 4, count: 1, more: ['x', 1, 0] }, struct('s', 4, '', 2, 0)],
      [int('int'), struct('s', 4, 'y', 1, 0)],
    );
    expect(declared("'struct s' has no member named 'x'", both)).toMatchObject({ was: 'int x', now: null });
  });
  test('of several of one name those that differ', () => {
    const both = btfs(
      [int('int'), proto(0), proto(1), func('f', 2), func('f', 3)],
      [int('int'), proto(0), proto(0, '', 1), func('f', 2), func('f', 3)],
    );
    expect(declared("too many arguments to function 'f'", both)).toEqual({
      ...{ what: 'function f', was: 'int f(void)', now: 'void f(int)', changed: true },
    });
  });
  test('those of modules', () => {
    const base = btfs([int('int')], [int('int')]);
    const strings = base.before.strings.end;
    const module = (more: (string | number)[]) =>
      writeBtf([proto(0, ...more), func('of_module', 2)], 'little', strings);
    const pair = {
      before: readBtf(module([]), 'old.ko', base.before),
      after: readBtf(module(['', 1]), 'new.ko', base.after),
    };
    const both = { ...base, modules: new Map([['it', pair]]) };
    expect(declared("too few arguments to function 'of_module'", both)).toMatchObject({
      ...{ was: 'void of_module(void)', now: 'void of_module(int)' },
    });
  });
});
