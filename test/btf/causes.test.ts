/** What changed from one real stable update to the next, and what that did to the CRCs of their exports. */
import { describe, expect, test } from 'vitest';
import { type Causes, findCauses } from '../../src/btf/causes.ts';
import { compareTypes } from '../../src/btf/changes.ts';
import { btfsOf, exportsOf } from './kernels.ts';

const UPDATES = [
  ['6.1.170', '6.1.176'],
  ['6.1.176', '6.1.187'],
] as const;
const found = UPDATES.map(([from, to]) => {
  const btfs = btfsOf(from, to);
  return { causes: findCauses(btfs, exportsOf(from, to)), types: compareTypes(btfs) };
});
const [first, second] = found.map(({ causes }) => causes) as [Causes, Causes];
const named = ({ causes }: Causes, name: string) => causes.find((it) => `${it.kind} ${it.name}` === name);

describe('the counts', () => {
  // A throw-away script of others counted the same functions and explained ones, and 23 and 30 types: with the one that
  // went, `struct fbcon_ops`, which is now called fbcon_par.
  test.each([
    [0, { changed: 18_107, functions: 6_150, explained: 6_150, variables: 300, modules: 11_657 }, 23, 0],
    [1, { changed: 8_905, functions: 3_108, explained: 3_106, variables: 166, modules: 5_631 }, 29, 1],
  ])('of update %d', (update, symbols, changed, gone) => {
    const { causes, types } = found[update] ?? {};
    expect(causes?.symbols).toEqual(symbols);
    expect([types?.changed.length, types?.gone.length]).toEqual([changed, gone]);
    expect(symbols.functions + symbols.variables + symbols.modules).toBe(symbols.changed);
  });
  test('the two functions that nothing explains mention only what did not change', () => {
    const changed = exportsOf('6.1.176', '6.1.187').filter((it) => it.isChanged && it.provider === 'vmlinux');
    const untold = changed.filter((it) => second.declared(it.symbol) && second.ways(it.symbol).length === 0);
    expect(untold.map((it) => second.declared(it.symbol))).toEqual([
      'int security_xfrm_policy_alloc(struct xfrm_sec_ctx **, struct xfrm_user_sec_ctx *, gfp_t)',
      'void security_xfrm_policy_free(struct xfrm_sec_ctx *)',
    ]);
  });
});

describe('three declarations explain nearly all of the first update', () => {
  const size = (was: number, now: number) => ({ was, now });
  test.each([
    ['struct device', [{ name: 'flags', was: null, now: 'unsigned long flags[1]' }], size(744, 752)],
    ['struct fwnode_handle', [{ name: 'flags', was: 'u8 flags', now: 'unsigned long flags' }], size(64, 64)],
    [
      'struct task_struct',
      [
        { name: 'user_dumpable', was: null, now: 'unsigned int user_dumpable : 1' },
        { name: 'kstack_offset', was: null, now: 'u32 kstack_offset' },
      ],
      size(9792, 9792),
    ],
  ])('%s', (name, members, sizes) => {
    const cause = named(first, name);
    expect(cause?.members).toEqual(members);
    expect(cause?.size).toEqual(sizes);
    expect(cause?.symbols).toBe(6_143);
    expect(cause?.unchanged).toBe(461);
  });
  test('they come first', () => {
    expect(first.causes.slice(0, 3).map(({ name }) => name)).toEqual([
      'device',
      'fwnode_handle',
      'task_struct',
    ]);
  });
  // Who takes the last of several functions of one name counts 6,141: of user_read and user_destroy it is a static one of
  // another file, before the update one and after it another.
  test('two more than 6,141 reach them, which have namesakes', () => {
    for (const symbol of ['user_read', 'user_destroy'])
      expect(first.ways(symbol).map(({ cause }) => first.causes[cause]?.name)).toContain('device');
  });
});

describe('ways', () => {
  const waysOf = (causes: Causes, symbol: string) =>
    causes.ways(symbol).map(({ cause, steps }) => [...steps, causes.causes[cause]?.name].join(' → '));
  test('the shortest come first', () => {
    expect(first.declared('pci_enable_device')).toBe('int pci_enable_device(struct pci_dev *)');
    expect(waysOf(first, 'pci_enable_device').slice(0, 2)).toEqual([
      'pci_dev.dev → device',
      'pci_dev.dev → device.fwnode → fwnode_handle',
    ]);
  });
  test('a function whose own parameters changed is a cause itself', () => {
    expect(named(second, 'function pci_resize_resource')).toMatchObject({
      members: [
        {
          was: 'int pci_resize_resource(struct pci_dev *, int, int)',
          now: 'int pci_resize_resource(struct pci_dev *, int, int, int)',
        },
      ],
      ...{ size: null, symbols: 1, unchanged: 0 },
    });
    expect(waysOf(second, 'pci_resize_resource')[0]).toBe('pci_resize_resource');
  });
  test('what reaches nothing, and what the types do not tell of', () => {
    expect([first.declared('kfree'), waysOf(first, 'kfree')]).toEqual(['void kfree(const void *)', []]);
    expect([first.declared('init_task'), waysOf(first, 'init_task')]).toEqual([null, []]);
  });
});

test('an enum that lost a value has other numbers in all that follow', () => {
  const cause = named(first, 'enum cpuhp_state');
  expect(cause?.members[0]).toEqual({ name: 'CPUHP_PADATA_DEAD', was: 'CPUHP_PADATA_DEAD = 39', now: null });
  expect(cause?.members.slice(1).every(({ was, now }) => was !== now && was !== null && now !== null)).toBe(
    true,
  );
});

test('nothing changed from a kernel to itself', () => {
  const { causes, symbols } = findCauses(btfsOf('6.1.170', '6.1.170'), exportsOf('6.1.170', '6.1.170'));
  expect([causes, symbols.changed]).toEqual([[], 0]);
});
