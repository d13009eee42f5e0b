/** Whatever the types are: causes or a SymbolFileError, soon, and in little memory. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findCauses } from '../../src/btf/causes.ts';
import { compareTypes } from '../../src/btf/changes.ts';
import { type Btf, readBtf } from '../../src/btf/reader.ts';
import { SymbolFileError } from '../../src/kabi/error.ts';
import { mutated } from '../symbols/mutate.ts';
import {
  func,
  int,
  KIND,
  type Order,
  pointer,
  proto,
  struct,
  typedef,
  type Written,
  writeBtf,
} from './write.ts';

const MiB = 2 ** 20;

/** A bit of everything, small so that mutations hit what matters. */
const small = (order: Order) =>
  writeBtf(
    [
      int('int'),
      { ...struct('', 8, 'a', 1, 0, 'b', 1, 32), kind: KIND.UNION },
      struct('device', 24, '', 2, 0, 'parent', 4, 64, 'ops', 6, 128),
      pointer(3),
      proto(1, '', 4, '', 7),
      pointer(5),
      typedef('state_t', 8),
      { kind: KIND.ENUM, value: 4, count: 2, more: ['ON', 1, 'OFF', 2] },
      { kind: KIND.ARRAY, more: [3, 1, 4] },
      struct('many', 96, 'all', 9, 0, 'f', 11, 96),
      { kind: KIND.FWD, name: 'device' },
      proto(4, 'it', 13),
      pointer(10),
      func('call', 12),
      { kind: KIND.ENUM64, name: 'wide', value: 8, count: 1, more: ['W', 1, 2] },
      { kind: KIND.VAR, name: 'here', value: 3, more: [1] },
      { kind: KIND.DATASEC, name: '.data', value: 24, count: 1, more: [16, 0, 24] },
      { kind: KIND.DECL_TAG, name: 'tag', value: 14, more: [0xffffffff] },
    ],
    order,
  );

const exports = ['call', 'here'].map((symbol) => ({ symbol, provider: 'vmlinux', isChanged: true }));

/** All that is done with the types of two kernels. */
function explain(before: Btf, after: Btf): void {
  const pair = { before, after };
  const found = findCauses({ ...pair, modules: new Map() }, exports);
  for (const { symbol } of exports) found.ways(symbol);
  compareTypes(pair);
}

/** Whether it was read; what is refused must be in words. */
function attempt(data: Uint8Array, whole: Btf): boolean {
  try {
    const btf = readBtf(data, 'hostile');
    explain(whole, btf);
    explain(btf, whole);
    return true;
  } catch (error) {
    if (!(error instanceof SymbolFileError)) throw error;
    expect(error.message).toMatch(/^hostile: byte \d+: .+; .+/s);
    return false;
  }
}

test.each<Order>(['little', 'big'])('mutations, %s endian', (order) => {
  const original = small(order);
  const whole = readBtf(original, 'whole');
  expect(attempt(original, whole)).toBe(true);
  const before = process.memoryUsage.rss();
  const run = fc.property(mutated(original), (data) => void attempt(data, whole));
  fc.assert(run, { numRuns: 3000 });
  for (let at = 0; at < original.length; at++)
    for (const value of [0, 1, 0xff]) {
      const data = Buffer.from(original);
      data[at] = value;
      attempt(data, whole);
    }
  expect(process.memoryUsage.rss() - before).toBeLessThan(200 * MiB);
});

/** Few types that ask for much. */
describe('greed', () => {
  const call = (types: readonly Written[], argument: number): Buffer =>
    writeBtf([...types, proto(0, 'it', argument), func('call', types.length + 1)]);
  const nest = (count: number, each: (id: number) => Written): Written[] =>
    Array.from({ length: count }, (_, i) => each(i + 1));
  test.each<[string, Buffer, boolean]>([
    ['a pointer to itself', call([pointer(1)], 1), false],
    ['a thousand pointers to each other', call([int('int'), ...nest(1000, pointer)], 1001), false],
    [
      'anonymous structs, each twice in the next',
      call([int('int'), ...nest(50, (id) => struct('', 8, 'a', id, 0, 'b', id, 0))], 51),
      false,
    ],
    ['a struct in itself', call([struct('s', 8, 's', 1, 0)], 1), true],
    ['a typedef of itself', call([typedef('t', 1)], 1), true],
    [
      'functions of functions of functions',
      call([int('int'), ...nest(60, (id) => proto(id, 'a', id, 'b', id, 'c', id))], 61),
      false,
    ],
    [
      'a way of 50,000 structs',
      call([...nest(50_000, (id) => struct(`s${id}`, 8, 'next', id + 1, 0)), int('int')], 1),
      true,
    ],
  ])('%s', (_, data, isRead) => {
    const whole = readBtf(small('little'), 'whole');
    const before = process.memoryUsage.rss();
    const btf = readBtf(data, 'hostile');
    let wasRead = true;
    try {
      explain(btf, btf);
    } catch (error) {
      if (!(error instanceof SymbolFileError)) throw error;
      wasRead = false;
    }
    expect(wasRead).toBe(isRead);
    attempt(data, whole);
    expect(process.memoryUsage.rss() - before).toBeLessThan(300 * MiB);
  });
});
