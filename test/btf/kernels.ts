/**
 * Three real kernels, Debian's 6.1.170, 6.1.176 and 6.1.187 for amd64: the BTF of vmlinux, and what they export.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { ComparedExport } from '../../src/btf/causes.ts';
import type { KernelBtfs } from '../../src/btf/graph.ts';
import { readBtf } from '../../src/btf/reader.ts';
import type { SymbolTable } from '../../src/kabi/model.ts';
import { parseSymvers } from '../../src/kabi/text.ts';
import { unpack } from '../../src/symbols/unpack.ts';

export const VERSIONS = ['6.1.170', '6.1.176', '6.1.187'] as const;
export type Version = (typeof VERSIONS)[number];

/** A file of the demo, which has these kernels' types and Module.symvers. */
const demo = (name: string) => readFileSync(new URL(`../../config/demo/${name}`, import.meta.url));

/** `.BTF` of each. */
export const BTF = Object.fromEntries(
  await Promise.all(
    VERSIONS.map(async (version) => {
      const file = `${version}.btf.xz`;
      return [version, Buffer.from(await unpack(demo(file), file))] as const;
    }),
  ),
) as Record<Version, Buffer>;

export const symbolsOf = (version: Version): SymbolTable =>
  parseSymvers(gunzipSync(demo(`${version}.symvers.gz`)).toString('latin1'), version);

export const btfsOf = (from: Version, to: Version): KernelBtfs => ({
  before: readBtf(BTF[from], from),
  after: readBtf(BTF[to], to),
  modules: new Map(),
});

/** What both export. */
export function exportsOf(from: Version, to: Version): ComparedExport[] {
  const before = symbolsOf(from);
  return [...symbolsOf(to).values()].flatMap(({ name: symbol, crc, provider }) => {
    const was = before.get(symbol);
    return was ? [{ symbol, provider, isChanged: was.crc !== crc }] : [];
  });
}
