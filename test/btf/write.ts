/** BTF of either byte order, written by hand. */

export type Order = 'little' | 'big';

/** A type: its kind's number, name, count, flag and third word, and the words after it; texts become strings' offsets. */
export interface Written {
  readonly kind: number;
  readonly name?: string;
  readonly count?: number;
  readonly flag?: boolean;
  readonly value?: number;
  readonly more?: readonly (number | string)[];
}

/** @param stringsStart of a module: how long the strings of its vmlinux are */
export function writeBtf(types: readonly Written[], order: Order = 'little', stringsStart = 0): Buffer {
  const first = stringsStart === 0 ? '' : 'first';
  let strings = `${first}\0`;
  const offsets = new Map([[first, stringsStart]]);
  const text = (it: string): number => {
    if (it === '') return 0;
    const known = offsets.get(it);
    if (known !== undefined) return known;
    const offset = stringsStart + strings.length;
    offsets.set(it, offset);
    strings += `${it}\0`;
    return offset;
  };
  const words = types.flatMap(({ kind, name = '', count = 0, flag = false, value = 0, more = [] }) => [
    text(name),
    (kind * 2 ** 24 + count + (flag ? 2 ** 31 : 0)) >>> 0,
    value,
    ...more.map((it) => (typeof it === 'string' ? text(it) : it)),
  ]);
  const stringBytes = Buffer.from(strings);
  const header = [24, 0, 4 * words.length, 4 * words.length, stringBytes.length];
  const bytes = Buffer.alloc(4 + 4 * (header.length + words.length));
  const [u16, u32] =
    order === 'little'
      ? (['writeUInt16LE', 'writeUInt32LE'] as const)
      : (['writeUInt16BE', 'writeUInt32BE'] as const);
  bytes[u16](0xeb9f, 0);
  bytes[2] = 1;
  for (const [i, each] of [...header, ...words].entries()) bytes[u32](each >>> 0, 4 + 4 * i);
  return Buffer.concat([bytes, stringBytes]);
}

export const KIND = {
  ...{ INT: 1, PTR: 2, ARRAY: 3, STRUCT: 4, UNION: 5, ENUM: 6, FWD: 7, TYPEDEF: 8, VOLATILE: 9, CONST: 10 },
  ...{
    RESTRICT: 11,
    FUNC: 12,
    PROTO: 13,
    VAR: 14,
    DATASEC: 15,
    FLOAT: 16,
    DECL_TAG: 17,
    TYPE_TAG: 18,
    ENUM64: 19,
  },
} as const;

export const int = (name: string, size = 4, bits = 8 * size): Written => ({
  kind: KIND.INT,
  name,
  value: size,
  more: [bits],
});
export const pointer = (value: number): Written => ({ kind: KIND.PTR, value });
/** Members as name, type and offset in bits, one after the other. */
export const struct = (name: string, size: number, ...more: (number | string)[]): Written => ({
  ...{ kind: KIND.STRUCT, name, value: size, count: more.length / 3, more },
});
export const typedef = (name: string, value: number): Written => ({ kind: KIND.TYPEDEF, name, value });
/** Parameters as name and type. */
export const proto = (value: number, ...more: (number | string)[]): Written => ({
  ...{ kind: KIND.PROTO, value, count: more.length / 2, more },
});
export const func = (name: string, value: number): Written => ({ kind: KIND.FUNC, name, value });
