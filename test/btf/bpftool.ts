/** The same BTF read by another program, Debian's bpftool. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Btf, BtfType } from '../../src/btf/reader.ts';
import { installed } from '../services.ts';

const BPFTOOL = '/usr/sbin/bpftool';
export const bpftool = (): boolean => installed(BPFTOOL, 'Debian package bpftool');

/** A type as bpftool prints it as JSON, as far as it is looked at. */
interface Dumped {
  readonly id: number;
  readonly kind: string;
  readonly name: string;
  readonly size?: number;
  readonly type_id?: number;
  readonly ret_type_id?: number;
  readonly nr_elems?: number;
  readonly fwd_kind?: string;
  readonly params?: readonly { readonly name: string; readonly type_id: number }[];
  readonly members?: readonly {
    readonly name: string;
    readonly type_id: number;
    readonly bits_offset: number;
    readonly bitfield_size?: number;
  }[];
  readonly values?: readonly { readonly name: string; readonly val: number | bigint }[];
}

/** Its numbers may be larger than JSON's are exact; those of values are compared as texts. */
function dump(data: Uint8Array, base?: Uint8Array): Dumped[] {
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-btf-'));
  try {
    writeFileSync(join(folder, 'it'), data);
    if (base) writeFileSync(join(folder, 'base'), base);
    const onBase = base ? ['--base-btf', join(folder, 'base')] : [];
    const options = { encoding: 'utf8', maxBuffer: 2 ** 30 } as const;
    const text = execFileSync(
      BPFTOOL,
      ['--json', ...onBase, 'btf', 'dump', 'file', join(folder, 'it')],
      options,
    );
    return JSON.parse(text.replaceAll(/"val":(-?\d+)/g, '"val":"$1"')).types;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const nameless = (name: string) => (name === '(anon)' ? '' : name);

/** What bpftool says of a type, in our words. */
function told(it: Dumped): BtfType {
  const name = nameless(it.name);
  const { type_id: type = 0, size = 0 } = it;
  switch (it.kind) {
    case 'INT':
    case 'FLOAT':
      return { kind: it.kind === 'INT' ? 'int' : 'float', name, size };
    case 'PTR':
      return { kind: 'pointer', type };
    case 'CONST':
    case 'VOLATILE':
    case 'RESTRICT':
      return { kind: it.kind.toLowerCase() as 'const', type };
    case 'ARRAY':
      return { kind: 'array', type, count: it.nr_elems ?? 0 };
    case 'STRUCT':
    case 'UNION':
      return {
        ...{ kind: it.kind.toLowerCase() as 'struct', name, size },
        members: (it.members ?? []).map((member) => ({
          ...{ name: nameless(member.name), type: member.type_id },
          ...{ offset: member.bits_offset, bits: member.bitfield_size ?? 0 },
        })),
      };
    case 'ENUM':
    case 'ENUM64':
      return {
        ...{ kind: 'enum', name, size },
        values: (it.values ?? []).map((value) => ({ name: value.name, value: BigInt(value.val) })),
      };
    case 'FWD':
      return { kind: 'forward', name, of: it.fwd_kind === 'union' ? 'union' : 'struct' };
    case 'TYPEDEF':
    case 'FUNC':
    case 'VAR':
      return {
        kind: ({ TYPEDEF: 'typedef', FUNC: 'function', VAR: 'variable' } as const)[it.kind],
        name,
        type,
      };
    case 'FUNC_PROTO': {
      const all = (it.params ?? []).map((each) => ({ name: nameless(each.name), type: each.type_id }));
      const variadic = all.at(-1)?.type === 0;
      const parameters = variadic ? all.slice(0, -1) : all;
      return { kind: 'prototype', returns: it.ret_type_id ?? 0, parameters, variadic };
    }
    case 'TYPE_TAG':
      return { kind: 'tag', type };
    default:
      return { kind: 'other' };
  }
}

/** Values of an enum without a sign are printed with one by some versions of bpftool, and the other way round. */
const unsigned = (type: BtfType): unknown =>
  type.kind === 'enum'
    ? {
        ...type,
        values: type.values.map(
          ({ name, value }) => `${name} ${BigInt.asUintN(8 * Math.max(type.size, 4), value)}`,
        ),
      }
    : type;

/** Keys in one order, and numbers of any size. */
const show = (value: unknown): string =>
  JSON.stringify(value, (_, it: unknown) => {
    if (typeof it === 'bigint') return String(it);
    if (typeof it !== 'object' || it === null || Array.isArray(it)) return it;
    return Object.fromEntries(Object.entries(it).sort(([a], [b]) => (a < b ? -1 : 1)));
  });

/**
 * Types of which bpftool says something else, each with both readings.
 * @param data the BTF that was read
 * @param base of a module: that of its vmlinux
 * @throws Error where it finds more types or fewer
 */
export function differences(btf: Btf, data: Uint8Array, base?: Uint8Array): unknown[] {
  const types = dump(data, base);
  if (types.length !== btf.end - btf.first) throw new Error(`bpftool finds ${types.length} types`);
  return types
    .filter((it) => show(unsigned(told(it))) !== show(unsigned(btf.type(it.id))))
    .map((it) => [told(it), btf.type(it.id)]);
}
