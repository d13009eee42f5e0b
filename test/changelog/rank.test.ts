/** Which lines of a changelog name what changed. */
import { describe, expect, test } from 'vitest';
import { findCauses } from '../../src/btf/causes.ts';
import type { ChangelogLine } from '../../src/changelog/lines.ts';
import { partsOfKernel, rankLines, type Sought } from '../../src/changelog/rank.ts';
import { btfsOf, exportsOf } from '../btf/kernels.ts';

const lines = (...texts: string[]): ChangelogLine[] =>
  texts.map((text) => ({ text, at: 0, author: '', tickets: [], cves: [] }));
const none: Sought = { causes: [], symbols: [], parts: [] };
const cause = (kind: string, name: string, ...members: string[]) => ({
  kind,
  name,
  members: members.map((member) => ({ name: member })),
});

describe('names', () => {
  const namesIn = (text: string, sought: Partial<Sought>) =>
    rankLines(lines(text), { ...none, ...sought })[0]?.names;
  test.each<[string, string, Partial<Sought>, string[]]>([
    [
      'of a struct',
      'sched: grow task_struct',
      { causes: [cause('struct', 'task_struct')] },
      ['struct task_struct'],
    ],
    [
      'that are plain words, after their kind',
      'driver core: struct device gets flags',
      { causes: [cause('struct', 'device')] },
      ['struct device'],
    ],
    ['that are plain words, alone', 'usb: a new device', { causes: [cause('struct', 'device')] }, []],
    [
      'of a member',
      'fix mm->user_dumpable',
      { causes: [cause('struct', 'task_struct', 'user_dumpable')] },
      ['user_dumpable'],
    ],
    [
      'of a member within another',
      'use rcu_next',
      { causes: [cause('struct', 'a', 'rcu.rcu_next')] },
      ['rcu_next'],
    ],
    [
      'of a symbol',
      'PCI: let pci_enable_device() fail',
      { symbols: ['pci_enable_device'], parts: ['pci'] },
      ['pci_enable_device', 'pci'],
    ],
    ['of a symbol that is a word, with brackets', 'mm: make kfree() fast', { symbols: ['kfree'] }, ['kfree']],
    ['of a symbol that is a word, alone', 'work is complete', { symbols: ['complete'] }, []],
    ['of a folder and a module', 'wifi: cfg80211: check', { parts: ['wireless', 'cfg80211'] }, ['cfg80211']],
    ['of a folder, not in the text', 'x86: no net here', { parts: ['net'] }, []],
    ['of Object.prototype', 'constructor and toString()', {}, []],
  ])('%s', (_, text, sought, names) => {
    expect(namesIn(text, sought)).toEqual(names);
  });
});

test('declarations come before symbols, those before members and parts, and equals as they were', () => {
  const sought: Sought = {
    causes: [cause('struct', 'sk_buff', 'skb_dev')],
    symbols: ['netif_rx'],
    parts: ['netif'],
  };
  const ranked = rankLines(
    lines('a: nothing', 'netif: part', 'b: netif_rx', 'c: skb_dev', 'd: sk_buff', 'e: sk_buff', 'f: nothing'),
    sought,
  );
  expect(ranked.map(({ text }) => text)).toEqual([
    'd: sk_buff',
    'e: sk_buff',
    'b: netif_rx',
    'c: skb_dev',
    'netif: part',
    'a: nothing',
    'f: nothing',
  ]);
});

// The lines are made up; what changed is real.
test('what changed in a real update is found in lines that speak of it', () => {
  const exports = exportsOf('6.1.176', '6.1.187');
  const { causes } = findCauses(btfsOf('6.1.176', '6.1.187'), exports);
  const symbols = exports.flatMap(({ symbol, isChanged }) => (isChanged ? symbol : []));
  const ranked = rankLines(
    lines(
      'Bluetooth: hci: fix a typo in a comment',
      'PCI: Move Resizable BAR code, pci_resize_resource() takes the BARs to skip',
      'writeback: avoid contention on wb->list_lock when switching inodes, in bdi_writeback',
    ),
    { causes, symbols, parts: [] },
  );
  expect(ranked.map(({ names }) => names[0])).toEqual([
    'function pci_resize_resource',
    'struct bdi_writeback',
    undefined,
  ]);
});

test('parts of the kernel are folders, modules, and what names of symbols begin with', () => {
  expect(
    partsOfKernel([
      { symbol: 'cfg80211_rx', provider: 'net/wireless/cfg80211' },
      { symbol: '__pci_enable', provider: 'vmlinux' },
      { symbol: 'kfree', provider: 'vmlinux' },
      { symbol: 'usb_put', provider: 'drivers/usb/core/usbcore' },
      { symbol: 'snd_x', provider: 'kernel-modules' },
    ]),
  ).toEqual(['net', 'wireless', 'cfg80211', 'pci', 'usb', 'usbcore', 'snd']);
});
