/** Kernel modules of either word size and byte order, written by hand: Debian's compiler makes only one of them. */

export interface Shape {
  readonly wordSize: 32 | 64;
  readonly littleEndian: boolean;
  readonly machine: number;
  /** A linked program, as vmlinux is, and no object file: with addresses, which are offsets in the file. */
  readonly isLinked?: boolean;
}

interface Label {
  readonly name: string;
  /** Index in the given sections from 0, or an absolute symbol. */
  readonly section: number | 'absolute';
  readonly value: number;
  readonly weak?: boolean;
}

/** Numbers one after the other, each of so many bytes. */
export function packed(
  { littleEndian }: Shape,
  ...fields: readonly (readonly [value: number, size: number])[]
) {
  return Buffer.concat(
    fields.map(([value, size]) => {
      const bytes = Buffer.alloc(size);
      for (let i = 0; i < size; i++) {
        const shift = littleEndian ? i : size - 1 - i;
        bytes[i] = Math.floor(value / 256 ** shift) % 256;
      }
      return bytes;
    }),
  );
}

/** `struct modversion_info`, one for each. */
export function modversions(shape: Shape, imports: Readonly<Record<string, number>>): Buffer {
  const word = shape.wordSize / 8;
  const entry = ([name, crc]: readonly [string, number]) =>
    Buffer.concat([packed(shape, [crc, word]), Buffer.from(name.padEnd(64 - word, '\0'))]);
  return Buffer.concat(Object.entries(imports).map(entry));
}

/** An ELF object with these sections, and these symbols. */
export function writeElf(
  shape: Shape,
  contents: Readonly<Record<string, Buffer>>,
  labels: readonly Label[] = [],
): Buffer {
  const wide = shape.wordSize === 64;
  const word = wide ? 8 : 4;
  const texts: Buffer[] = [Buffer.from('\0')];
  const text = (it: string) => {
    const offset = texts.reduce((sum, { length }) => sum + length, 0);
    texts.push(Buffer.from(`${it}\0`));
    return offset;
  };
  const symbols = labels.map(({ name, section, value, weak }) => {
    const index = section === 'absolute' ? 0xfff1 : section + 1;
    const nameAt = text(name);
    const info = (weak ? 2 : 1) << 4;
    return wide
      ? packed(shape, [nameAt, 4], [info, 1], [0, 1], [index, 2], [value, 8], [0, 8])
      : packed(shape, [nameAt, 4], [value, 4], [0, 4], [info, 1], [0, 1], [index, 2]);
  });
  const names = Object.keys(contents).map(text);
  const [symtabName, strtabName] = [text('.symtab'), text('.strtab')];
  const count = names.length + 3;
  const strtab = Buffer.concat(texts);
  const bodies = [...Object.values(contents), Buffer.concat(symbols), strtab];
  let at = wide ? 64 : 52;
  const header = (name: number, type: number, size: number, link: number) => {
    const fields = [
      [name, 4],
      [type, 4],
      [0, word],
      [shape.isLinked ? at : 0, word],
      [at, word],
      [size, word],
      [link, 4],
    ] as const;
    at += size;
    return packed(shape, ...fields, [0, 4], [1, word], [0, word]);
  };
  const sections = [
    Buffer.alloc(wide ? 64 : 40),
    ...names.map((name, i) => header(name, 1, bodies[i]?.length ?? 0, 0)),
    header(symtabName, 2, bodies.at(-2)?.length ?? 0, count - 1),
    header(strtabName, 3, strtab.length, 0),
  ];
  const ident = Buffer.from([
    0x7f,
    0x45,
    0x4c,
    0x46,
    wide ? 2 : 1,
    shape.littleEndian ? 1 : 2,
    1,
    ...Array(9).fill(0),
  ]);
  const sizes = [
    [wide ? 64 : 52, 2],
    [0, 2],
    [0, 2],
    [wide ? 64 : 40, 2],
    [count, 2],
    [count - 1, 2],
  ] as const;
  const head = packed(
    shape,
    [shape.isLinked ? 2 : 1, 2],
    [shape.machine, 2],
    [1, 4],
    [0, word],
    [0, word],
    [at, word],
    [0, 4],
    ...sizes,
  );
  return Buffer.concat([ident, head, ...bodies, ...sections]);
}
