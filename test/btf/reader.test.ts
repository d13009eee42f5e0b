import { describe, expect, test } from 'vitest';
import { findCauses } from '../../src/btf/causes.ts';
import { partsOf, spell } from '../../src/btf/parts.ts';
import { type Btf, readBtf } from '../../src/btf/reader.ts';
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

const ORDERS: readonly Order[] = ['little', 'big'];
const read = (types: readonly Written[], order: Order = 'little') => readBtf(writeBtf(types, order), 'it');

describe.each(ORDERS)('each kind, %s endian', (order) => {
  const types: readonly (readonly [Written, object])[] = [
    [int('long unsigned int', 8), { kind: 'int', name: 'long unsigned int', size: 8 }],
    [pointer(0), { kind: 'pointer', type: 0 }],
    [
      { kind: KIND.ARRAY, more: [1, 1, 7] },
      { kind: 'array', type: 1, count: 7 },
    ],
    [
      struct('s', 16, 'a', 1, 0, 'b', 2, 64),
      {
        ...{ kind: 'struct', name: 's', size: 16 },
        members: [
          { name: 'a', type: 1, offset: 0, bits: 0 },
          { name: 'b', type: 2, offset: 64, bits: 0 },
        ],
      },
    ],
    [
      { ...struct('fields', 8, 'x', 1, 3 * 2 ** 24 + 5), flag: true },
      { kind: 'struct', name: 'fields', size: 8, members: [{ name: 'x', type: 1, offset: 5, bits: 3 }] },
    ],
    [
      { ...struct('u', 8, '', 4, 0), kind: KIND.UNION },
      { kind: 'union', name: 'u', size: 8, members: [{ name: '', type: 4, offset: 0, bits: 0 }] },
    ],
    [
      { kind: KIND.ENUM, name: 'e', value: 4, count: 2, flag: true, more: ['A', 0, 'B', 0xffffffff] },
      {
        kind: 'enum',
        name: 'e',
        size: 4,
        values: [
          { name: 'A', value: 0n },
          { name: 'B', value: -1n },
        ],
      },
    ],
    [
      { kind: KIND.ENUM, name: 'unsigned', value: 4, count: 1, more: ['B', 0xffffffff] },
      { kind: 'enum', name: 'unsigned', size: 4, values: [{ name: 'B', value: 0xffffffffn }] },
    ],
    [
      { kind: KIND.FWD, name: 'f' },
      { kind: 'forward', name: 'f', of: 'struct' },
    ],
    [
      { kind: KIND.FWD, name: 'g', flag: true },
      { kind: 'forward', name: 'g', of: 'union' },
    ],
    [typedef('t', 1), { kind: 'typedef', name: 't', type: 1 }],
    [
      { kind: KIND.VOLATILE, value: 1 },
      { kind: 'volatile', type: 1 },
    ],
    [
      { kind: KIND.CONST, value: 1 },
      { kind: 'const', type: 1 },
    ],
    [
      { kind: KIND.RESTRICT, value: 2 },
      { kind: 'restrict', type: 2 },
    ],
    [
      proto(1, 'a', 1, '', 2),
      {
        kind: 'prototype',
        returns: 1,
        parameters: [
          { name: 'a', type: 1 },
          { name: '', type: 2 },
        ],
        variadic: false,
      },
    ],
    [
      proto(0, 'a', 1, '', 0),
      { kind: 'prototype', returns: 0, parameters: [{ name: 'a', type: 1 }], variadic: true },
    ],
    [func('call', 15), { kind: 'function', name: 'call', type: 15 }],
    [
      { kind: KIND.VAR, name: 'v', value: 1, more: [1] },
      { kind: 'variable', name: 'v', type: 1 },
    ],
    [{ kind: KIND.DATASEC, name: '.data', value: 8, count: 1, more: [18, 0, 8] }, { kind: 'other' }],
    [
      { kind: KIND.FLOAT, name: 'double', value: 8 },
      { kind: 'float', name: 'double', size: 8 },
    ],
    [{ kind: KIND.DECL_TAG, name: 'kfunc', value: 17, more: [0xffffffff] }, { kind: 'other' }],
    [
      { kind: KIND.TYPE_TAG, name: 'user', value: 1 },
      { kind: 'tag', type: 1 },
    ],
    [
      {
        kind: KIND.ENUM64,
        name: 'e64',
        value: 8,
        count: 2,
        flag: true,
        more: ['L', 1, 2, 'M', 0xffffffff, 0xffffffff],
      },
      {
        kind: 'enum',
        name: 'e64',
        size: 8,
        values: [
          { name: 'L', value: 2n ** 33n + 1n },
          { name: 'M', value: -1n },
        ],
      },
    ],
  ];
  const btf = read(
    types.map(([type]) => type),
    order,
  );
  test.each(types.map(([, expected], i) => [i + 1, expected] as const))('type %d', (id, expected) => {
    expect(btf.type(id)).toEqual(expected);
    if ('name' in expected) expect(btf.name(id)).toBe(expected.name);
    expect({ kind: btf.kind(id) }).toEqual({ kind: (expected as { kind: string }).kind });
  });
});

test('an int that is narrower than its bytes is a bit-field, as old BTF has it', () => {
  const btf = read([int('int', 4, 3), struct('s', 4, 'x', 1, 5)]);
  expect(btf.type(2)).toMatchObject({ members: [{ name: 'x', type: 1, offset: 5, bits: 3 }] });
});

test('types and strings of a module go on from those of vmlinux', () => {
  const base = read([int('int'), struct('inner', 4, 'a', 1, 0)]);
  const types = [struct('outer', 4, 'it', 2, 0), pointer(3)];
  const module = readBtf(writeBtf(types, 'little', base.strings.end), 'module', base);
  expect([module.first, module.end, module.name(2), module.name(3)]).toEqual([3, 5, 'inner', 'outer']);
  expect(spell(module, 4, 'p')).toBe('struct outer *p');
});

describe('C', () => {
  const types = [
    int('long unsigned int', 8),
    int('char', 1),
    { kind: KIND.CONST, value: 2 },
    pointer(3),
    { kind: KIND.CONST, value: 4 },
    { kind: KIND.ARRAY, more: [1, 1, 2] },
    proto(0, '', 4, '', 1),
    pointer(7),
    { kind: KIND.ARRAY, more: [8, 1, 3] },
    proto(8, '', 0),
    pointer(10),
    pointer(6),
  ];
  test.each([
    [1, 'flags', 'unsigned long flags'],
    [4, 'text', 'const char *text'],
    [5, 'text', 'const char *const text'],
    [6, 'flags', 'unsigned long flags[2]'],
    [6, '', 'unsigned long[2]'],
    [8, 'call', 'void (*call)(const char *, unsigned long)'],
    [9, 'calls', 'void (*calls[3])(const char *, unsigned long)'],
    [11, 'get', 'void (*(*get)(...))(const char *, unsigned long)'],
    [12, 'p', 'unsigned long (*p)[2]'],
  ])('type %d as %j', (id, name, expected) => {
    expect(spell(read(types), id, name)).toBe(expected);
  });
  test('members of anonymous structs are those of what they are in', () => {
    const inner = { ...struct('', 8, 'a', 1, 0, 'b', 1, 0), kind: KIND.UNION };
    const btf = read([int('int'), inner, struct('s', 16, '', 2, 0, 'in', 2, 64)]);
    expect(partsOf(btf, 3).map(({ name, within }) => [name, within])).toEqual([
      ['a', 'union'],
      ['b', 'union'],
      ['in.a', 'union'],
      ['in.b', 'union'],
    ]);
  });
});

/** Which parts of a declaration count: two small kernels, of which one thing is different. */
describe('what is a change', () => {
  const kernel = (members: (number | string)[], more: Partial<Written> = {}): Btf =>
    read([
      int('int'),
      int('unsigned int'),
      { ...struct('s', 8, ...members), ...more },
      pointer(3),
      proto(0, 'it', 4),
      func('call', 5),
      func('other', 8),
      proto(1, 'name', 1),
    ]);
  const membersOf = (before: Btf, after: Btf) => {
    const exports = ['call', 'other'].map((symbol) => ({ symbol, provider: 'vmlinux', isChanged: true }));
    return findCauses({ before, after, modules: new Map() }, exports).causes.flatMap(
      ({ members }) => members,
    );
  };
  const plain = kernel(['a', 1, 0, 'b', 1, 32]);
  test.each<[string, Btf, object[]]>([
    ['nothing', kernel(['a', 1, 0, 'b', 1, 32]), []],
    ['offsets alone', kernel(['a', 1, 0, 'b', 1, 64]), []],
    ['the size alone', kernel(['a', 1, 0, 'b', 1, 32], { value: 16 }), []],
    [
      'a name',
      kernel(['a', 1, 0, 'c', 1, 32]),
      [
        { name: 'b', was: 'int b', now: null },
        { name: 'c', was: null, now: 'int c' },
      ],
    ],
    ['a type', kernel(['a', 1, 0, 'b', 2, 32]), [{ name: 'b', was: 'int b', now: 'unsigned int b' }]],
    [
      'a width',
      kernel(['a', 1, 0, 'b', 1, 3 * 2 ** 24 + 32], { flag: true }),
      [{ name: 'b', was: 'int b', now: 'int b : 3' }],
    ],
    [
      'the order',
      kernel(['b', 1, 0, 'a', 1, 32]),
      ['b', 'a'].map((name) => ({ name, was: `int ${name}`, now: `int ${name}` })),
    ],
  ])('%s', (_, after, expected) => {
    expect(membersOf(plain, after)).toEqual(expected);
  });
  test('what is behind a pointer to an anonymous struct, and how anonymous unions are made up', () => {
    const union = (...members: string[]) => ({
      ...struct('', 4, ...members.flatMap((name) => [name, 1, 0])),
      kind: KIND.UNION,
    });
    const side = (inner: Written, first: Written, second: Written) =>
      read([
        ...[int('int'), inner, pointer(2), first, second],
        ...[struct('s', 16, 'p', 3, 0, '', 4, 64, '', 5, 96), proto(0, '', 6), func('call', 7)],
      ]);
    const one = struct('', 4, 'x', 1, 0);
    const before = side(one, union('a', 'b'), union('c'));
    expect(membersOf(before, side(struct('', 4, 'y', 1, 0), union('a', 'b'), union('c')))).toEqual([
      { name: 'p', was: 'struct {…} *p', now: 'struct {…} *p of other members' },
    ]);
    expect(membersOf(before, side(one, union('a'), union('b', 'c')))).toEqual([
      { name: '', was: 'anonymous structs and unions', now: 'the same members in other ones' },
    ]);
  });
  test('names of parameters are none, nor what a forward declaration leaves out', () => {
    const side = (name: string, target: Written) =>
      read([int('int'), target, pointer(2), proto(0, name, 3), func('call', 4)]);
    expect(membersOf(side('a', struct('s', 4, 'x', 1, 0)), side('b', { kind: KIND.FWD, name: 's' }))).toEqual(
      [],
    );
  });
});

describe('what makes no sense is refused, with file and offset', () => {
  const damaged = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = writeBtf([int('int'), struct('s', 4, 'x', 1, 0)]);
    change(bytes);
    return bytes;
  };
  test.each<[string, Buffer, string]>([
    ['no BTF', Buffer.from('\u007fELF'), 'it: byte 0: no BTF'],
    ['cut short', damaged(() => undefined).subarray(0, 68), 'it: byte 16: BTF strings up to '],
    [
      'a kind of the future',
      damaged((it) => it.writeUInt32LE(25 * 2 ** 24, 28)),
      'it: byte 24: a BTF type of kind 25',
    ],
    [
      'a type that is not there',
      damaged((it) => it.writeUInt32LE(9, 56)),
      'it: byte 40: type 2: it names type 9, and there are 2',
    ],
    [
      'a name that is not there',
      damaged((it) => it.writeUInt32LE(999, 24)),
      'it: byte 24: type 1: a name at 999 of ',
    ],
    [
      'more members than there is room',
      damaged((it) => it.writeUInt32LE(4 * 2 ** 24 + 9, 44)),
      'it: byte 40: the BTF types end',
    ],
  ])('%s', (_, data, message) => {
    expect(() => readBtf(data, 'it')).toThrow(message);
  });
  test('anonymous types within themselves', () => {
    const btf = read([struct('', 4, 'x', 2, 0), pointer(1), proto(0, 'a', 2), func('call', 3)]);
    const exports = [{ symbol: 'call', provider: 'vmlinux', isChanged: true }];
    expect(() => findCauses({ before: btf, after: btf, modules: new Map() }, exports)).toThrow(
      /^it: byte \d+: type \d: /,
    );
  });
});
