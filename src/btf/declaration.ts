/**
 * What the compiler was told of a type: the declaration, as far as genksyms makes a CRC of it (kernel: scripts/genksyms):
 * names, order and types of members, widths of bit-fields, values of enums, types of parameters. Offsets and sizes are
 * no part of it, and neither are names of parameters.
 */
import { DEPTH_MAX } from './parts.ts';
import type { Btf, BtfType } from './reader.ts';

/** Equal numbers are equal declarations, also of two kernels that share it. */
export type Numbers = Map<string, number>;

function numberOf(numbers: Numbers, key: string): number {
  const known = numbers.get(key);
  if (known !== undefined) return known;
  numbers.set(key, numbers.size + 1);
  return numbers.size;
}

/** The types of one BTF as numbers. */
export interface Shapes {
  /** All that the declaration of a named type, a function or a variable says; other named types go by their names. */
  declaration(id: number): number;
  /** A type as another declaration mentions it: a named one by its name. */
  mention(id: number): number;
}

/**
 * Every type is worked out once.
 * @param base of a module: that of its vmlinux, with the same numbers
 * @throws SymbolFileError from both functions, where anonymous types are within themselves
 */
export function shapesOf(btf: Btf, numbers: Numbers, base: Shapes | null = null): Shapes {
  const declarations = new Int32Array(btf.end - btf.first + 1);
  const mentions = new Int32Array(btf.end - btf.first + 1);
  const mention = (id: number, depth = 0): number => {
    if (id < btf.first && base) return base.mention(id);
    // Of vmlinux, void stands before the first.
    const at = id - btf.first + (base ? 0 : 1);
    const known = mentions[at] ?? 0;
    if (known !== 0) return known;
    if (depth > DEPTH_MAX)
      throw btf.fail(id, `more than ${DEPTH_MAX} types in each other, none of which has a name`);
    const name = nameKey(btf, id);
    const type = name === null ? btf.type(id) : null;
    const inner = (other: number) => mention(other, depth + 1);
    const number =
      type?.kind === 'tag'
        ? inner(type.type)
        : numberOf(numbers, name ?? (type ? declarationKey(type, inner) : ''));
    mentions[at] = number;
    return number;
  };
  const declaration = (id: number): number => {
    if (id < btf.first && base) return base.declaration(id);
    const at = id - btf.first;
    const known = declarations[at] ?? 0;
    if (known !== 0) return known;
    const number = numberOf(
      numbers,
      declarationKey(btf.type(id), (other) => mention(other)),
    );
    declarations[at] = number;
    return number;
  };
  return { mention, declaration };
}

/** Kind and name of a type that has one, `struct device`; else null. A forward declaration is as good as the whole. */
export function nameKey(btf: Btf, id: number): string | null {
  const kind = btf.kind(id);
  const name = NAMELESS.has(kind) ? '' : btf.name(id);
  return name === '' ? null : `${kind === 'forward' ? forwardOf(btf, id) : kind} ${name}`;
}

const NAMELESS: ReadonlySet<string> = new Set([
  'void',
  'pointer',
  'array',
  'const',
  'volatile',
  'restrict',
  'prototype',
  'tag',
  'other',
]);

function forwardOf(btf: Btf, id: number): string {
  const type = btf.type(id);
  return type.kind === 'forward' ? type.of : type.kind;
}

function declarationKey(type: BtfType, mention: (id: number) => number): string {
  switch (type.kind) {
    case 'struct':
    case 'union':
      return `${type.kind} {${type.members.map((it) => `${it.name} ${mention(it.type)}:${it.bits}`).join(';')}`;
    case 'enum':
      return `enum {${type.values.map(({ name, value }) => `${name} ${value}`).join(';')}`;
    case 'prototype':
      return `(${type.parameters.map((it) => mention(it.type)).join(',')}${type.variadic ? '...' : ''}) ${mention(type.returns)}`;
    case 'array':
      return `[${type.count}] ${mention(type.type)}`;
    case 'pointer':
    case 'const':
    case 'volatile':
    case 'restrict':
    case 'typedef':
    case 'function':
    case 'variable':
      return `${type.kind} ${mention(type.type)}`;
    default:
      return type.kind;
  }
}
