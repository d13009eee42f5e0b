/**
 * BTF, the types of a kernel in its own binary form (kernel: Documentation/bpf/btf.rst, include/uapi/linux/btf.h): `.BTF` of
 * vmlinux, and of a module, which goes on where that of its vmlinux ends. All of it is checked once, when it is read.
 */
import { type Bytes, bytesOf } from '../symbols/bytes.ts';

/** A member of a struct or union. */
export interface Member {
  /** `''` of an anonymous struct or union. */
  readonly name: string;
  readonly type: number;
  /** Bits from the beginning of the struct. */
  readonly offset: number;
  /** Bits of a bit-field; 0 of any other member. */
  readonly bits: number;
}

export interface EnumValue {
  readonly name: string;
  readonly value: bigint;
}

export interface Parameter {
  /** Of a function; a pointer to one has none. */
  readonly name: string;
  readonly type: number;
}

/** A type by what it is; `type` and `returns` are ids of other types, sizes are bytes, `name` may be `''`. */
export type BtfType =
  | { readonly kind: 'void' }
  | { readonly kind: 'int' | 'float'; readonly name: string; readonly size: number }
  | { readonly kind: 'pointer' | 'const' | 'volatile' | 'restrict' | 'tag'; readonly type: number }
  | { readonly kind: 'array'; readonly type: number; readonly count: number }
  | {
      readonly kind: 'struct' | 'union';
      readonly name: string;
      readonly size: number;
      readonly members: readonly Member[];
    }
  | {
      readonly kind: 'enum';
      readonly name: string;
      readonly size: number;
      readonly values: readonly EnumValue[];
    }
  | { readonly kind: 'forward'; readonly name: string; readonly of: 'struct' | 'union' }
  | { readonly kind: 'typedef' | 'function' | 'variable'; readonly name: string; readonly type: number }
  | {
      readonly kind: 'prototype';
      readonly returns: number;
      readonly parameters: readonly Parameter[];
      readonly variadic: boolean;
    }
  | { readonly kind: 'other' };

/** The types of a vmlinux or of a module; ids count from 1 in vmlinux, and go on in its modules. 0 is `void`. */
export interface Btf {
  readonly file: string;
  /** Of a module: that of its vmlinux. */
  readonly base: Btf | null;
  /** Its own types are from here … */
  readonly first: number;
  /** … up to before here. */
  readonly end: number;
  /** Any type below `end`. */
  type(id: number): BtfType;
  /** The kind of a type, and its name where it has one; without its members, which take longer. */
  kind(id: number): BtfType['kind'];
  name(id: number): string;
  /** A string by its offset. */
  text(offset: number): string;
  /** The error to throw about one type. */
  fail(id: number, problem: string): Error;
  /** Where its own strings begin in the numbering, and end. */
  readonly strings: { readonly start: number; readonly end: number };
}

const MAGIC = 0xeb9f;
const HEADER_SIZE = 24;
/** The kernel's BTF_MAX_TYPE. */
const TYPES_MAX = 0xfffff;

/** Kinds by their numbers, how a type is told of them, and how many words they have after the common three. */
const INT = 1;
const ARRAY = 3;
const STRUCT = 4;
const UNION = 5;
const ENUM = 6;
const PROTOTYPE = 13;
const VARIABLE = 14;
const SECTION = 15;
const DECL_TAG = 17;
const ENUM64 = 19;
const KINDS = [
  ...[
    'void',
    'int',
    'pointer',
    'array',
    'struct',
    'union',
    'enum',
    'forward',
    'typedef',
    'volatile',
    'const',
  ],
  ...['restrict', 'function', 'prototype', 'variable', 'other', 'float', 'other', 'tag', 'enum'],
] as readonly BtfType['kind'][];
/** Words that follow once, and for each member, value or parameter. */
const ONCE: Readonly<Record<number, number>> = { [INT]: 1, [ARRAY]: 3, [VARIABLE]: 1, [DECL_TAG]: 1 };
const EACH: Readonly<Record<number, number>> = {
  ...{ [STRUCT]: 3, [UNION]: 3, [ENUM]: 2, [PROTOTYPE]: 2, [SECTION]: 3, [ENUM64]: 3 },
};
/** Kinds whose third word is another type; of the others it is a size, or nothing. */
const REFERRING: ReadonlySet<number> = new Set([2, 8, 9, 10, 11, 12, PROTOTYPE, VARIABLE, DECL_TAG, 18]);

/** Whether the bytes begin as BTF does, in either byte order. */
export const isBtf = (data: Uint8Array): boolean =>
  data.length >= 4 &&
  ((data[0] === 0x9f && data[1] === 0xeb) || (data[0] === 0xeb && data[1] === 0x9f)) &&
  data[2] === 1;

/**
 * Read BTF.
 * @param data a `.BTF` section, or a file of one
 * @param file the name to blame in errors
 * @param base of a module: the BTF of the vmlinux that it was built with
 * @throws SymbolFileError
 */
export function readBtf(data: Uint8Array, file: string, base: Btf | null = null): Btf {
  const head = bytesOf(data, file, 'big');
  if (!isBtf(data)) throw head.fail(0, 'no BTF');
  const bytes = bytesOf(data, file, head.u16(0) === MAGIC ? 'big' : 'little');
  const { types, strings } = readHeader(bytes);
  const words = wordsOf(data.subarray(types.start, types.end), head.u16(0) === MAGIC);
  const text = bytes.slice(strings.start, strings.end - strings.start).toString('latin1');
  const stringsStart = base?.strings.end ?? 0;
  if (text.length === 0 || (!base && text.charCodeAt(0) !== 0) || text.charCodeAt(text.length - 1) !== 0)
    throw bytes.fail(strings.start, 'BTF strings that do not begin and end with a NUL');
  const first = base?.end ?? 1;
  const starts = readStarts(bytes, words, types.start, first);
  const end = first + starts.length;
  const owned: Owned = { words, starts, first, text, stringsStart, base };
  const result: Btf = {
    ...{ file, base, first, end, strings: { start: stringsStart, end: stringsStart + text.length } },
    type: (id) => (id < first && base ? base.type(id) : readType(owned, id)),
    kind: (id) => (id < first && base ? base.kind(id) : (KINDS[kindAt(owned, id)] ?? 'void')),
    name: (id) =>
      id < first && base ? base.name(id) : id === 0 ? '' : textAt(owned, word(words, startOf(owned, id))),
    text: (offset) => textAt(owned, offset),
    fail: (id, problem) =>
      id < first && base
        ? base.fail(id, problem)
        : bytes.fail(types.start + 4 * startOf(owned, id), `type ${id}: ${problem}`),
  };
  for (let id = first; id < end; id++) checkType(owned, id, result);
  return result;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Where types and strings are. Newer headers are longer; what they add is not needed. */
function readHeader(bytes: Bytes): { types: Range; strings: Range } {
  const size = bytes.u32(4);
  if (size < HEADER_SIZE) throw bytes.fail(4, `a BTF header of ${size} bytes`);
  const range = (at: number, what: string): Range => {
    const start = size + bytes.u32(at);
    const end = start + bytes.u32(at + 4);
    if (end > bytes.size)
      throw bytes.fail(at, `BTF ${what} up to ${end}, and the file ends at ${bytes.size}`);
    return { start, end };
  };
  const types = range(8, 'types');
  const strings = range(16, 'strings');
  if ((types.end - types.start) % 4 !== 0) throw bytes.fail(12, 'BTF types that are no whole words');
  return { types, strings };
}

/** All of the types' section is words of 32 bits. They are copied: a section may begin anywhere. */
function wordsOf(section: Uint8Array, isBig: boolean): Uint32Array {
  const view = new DataView(section.buffer, section.byteOffset, section.byteLength);
  const words = new Uint32Array(section.length / 4);
  for (let i = 0; i < words.length; i++) words[i] = view.getUint32(4 * i, !isBig);
  return words;
}

interface Owned {
  readonly words: Uint32Array;
  /** The first word of each type. */
  readonly starts: Uint32Array;
  readonly first: number;
  readonly text: string;
  readonly stringsStart: number;
  readonly base: Btf | null;
}

const word = (words: Uint32Array, at: number): number => words[at] ?? 0;
const startOf = ({ starts, first }: Owned, id: number): number => word(starts, id - first);
const kindAt = (it: Owned, id: number): number =>
  id === 0 ? 0 : (word(it.words, startOf(it, id) + 1) >>> 24) & 0x1f;

/** Walk the types: each says by its kind and count how long it is. */
function readStarts(bytes: Bytes, words: Uint32Array, offset: number, first: number): Uint32Array {
  const starts: number[] = [];
  for (let at = 0; at < words.length; ) {
    const info = word(words, at + 1);
    const kind = (info >>> 24) & 0x1f;
    const length = 3 + (ONCE[kind] ?? 0) + (info & 0xffff) * (EACH[kind] ?? 0);
    const problem =
      kind === 0 || kind >= KINDS.length
        ? `a BTF type of kind ${kind}, which is not known`
        : at + length > words.length
          ? 'the BTF types end within this one'
          : first + starts.length > TYPES_MAX
            ? `more than ${TYPES_MAX} BTF types`
            : null;
    if (problem) throw bytes.fail(offset + 4 * at, problem);
    starts.push(at);
    at += length;
  }
  return Uint32Array.from(starts);
}

/** Throws where a type names a string or another type that is not there. */
function checkType({ words, starts, first, text, stringsStart }: Owned, id: number, btf: Btf): void {
  const start = word(starts, id - first);
  const info = word(words, start + 1);
  const kind = (info >>> 24) & 0x1f;
  const strings = stringsStart + text.length;
  const name = (at: number) => {
    if (word(words, at) >= strings)
      throw btf.fail(id, `a name at ${word(words, at)} of ${strings} bytes of strings`);
  };
  const type = (at: number) => {
    if (word(words, at) >= btf.end)
      throw btf.fail(id, `it names type ${word(words, at)}, and there are ${btf.end - 1}`);
  };
  name(start);
  if (REFERRING.has(kind)) type(start + 2);
  if (kind === ARRAY) type(start + 3);
  const each = EACH[kind];
  if (each === undefined) return;
  const end = start + 3 + each * (info & 0xffff);
  for (let at = start + 3; at < end; at += each) {
    if (kind !== SECTION) name(at);
    if (kind === STRUCT || kind === UNION || kind === PROTOTYPE) type(at + 1);
    if (kind === SECTION) type(at);
  }
}

/** A string by its offset, which counts on from the base's. */
function textAt({ text, stringsStart, base }: Owned, offset: number): string {
  if (offset < stringsStart) return base?.text(offset) ?? '';
  const start = offset - stringsStart;
  return text.slice(start, text.indexOf('\0', start));
}

function readType(it: Owned, id: number): BtfType {
  const kind = kindAt(it, id);
  const start = startOf(it, id);
  const [info, value] = [word(it.words, start + 1), word(it.words, start + 2)];
  const [count, flag] = [info & 0xffff, info >>> 31 === 1];
  const name = id === 0 ? '' : textAt(it, word(it.words, start));
  const each = <T>(size: number, read: (at: number) => T): T[] => {
    const all: T[] = [];
    for (let i = 0; i < count; i++) all.push(read(start + 3 + i * size));
    return all;
  };
  const nameAt = (at: number) => textAt(it, word(it.words, at));
  const told = KINDS[kind];
  switch (told) {
    case 'int':
    case 'float':
      return { kind: told, name, size: value };
    case 'pointer':
    case 'const':
    case 'volatile':
    case 'restrict':
    case 'tag':
      return { kind: told, type: value };
    case 'array':
      return { kind: told, type: word(it.words, start + 3), count: word(it.words, start + 5) };
    case 'struct':
    case 'union':
      return {
        kind: told,
        name,
        size: value,
        members: each(3, (at) => readMember(it, at, flag, nameAt(at))),
      };
    case 'enum':
      return {
        kind: told,
        name,
        size: value,
        values: each(EACH[kind] ?? 0, (at) => readValue(it, at, kind, flag, nameAt(at))),
      };
    case 'forward':
      return { kind: told, name, of: flag ? 'union' : 'struct' };
    case 'typedef':
    case 'function':
    case 'variable':
      return { kind: told, name, type: value };
    case 'prototype': {
      const all = each(2, (at): Parameter => ({ name: nameAt(at), type: word(it.words, at + 1) }));
      const variadic = all.at(-1)?.type === 0;
      return { kind: told, returns: value, parameters: variadic ? all.slice(0, -1) : all, variadic };
    }
    case 'other':
      return { kind: told };
    default:
      return { kind: 'void' };
  }
}

/** With the flag, an offset has a bit-field's width in its upper byte; without, a bit-field has an int of its own width. */
function readMember(it: Owned, at: number, flag: boolean, name: string): Member {
  const [type, offset] = [word(it.words, at + 1), word(it.words, at + 2)];
  return flag
    ? { name, type, offset: offset & 0xffffff, bits: offset >>> 24 }
    : { name, type, offset, bits: narrowInt(it, type) };
}

/** Bits of an int that is narrower than its bytes; 0 of any other type. */
function narrowInt(it: Owned, id: number): number {
  if (id < it.first || kindAt(it, id) !== INT) return 0;
  const start = startOf(it, id);
  const bits = word(it.words, start + 3) & 0xff;
  return bits === 8 * word(it.words, start + 2) ? 0 : bits;
}

function readValue(it: Owned, at: number, kind: number, signed: boolean, name: string): EnumValue {
  const low = word(it.words, at + 1);
  const whole = kind === ENUM64 ? (BigInt(word(it.words, at + 2)) << 32n) | BigInt(low) : BigInt(low);
  return { name, value: signed ? BigInt.asIntN(kind === ENUM64 ? 64 : 32, whole) : whole };
}
