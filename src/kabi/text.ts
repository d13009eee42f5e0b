/** The kernel's text files about symbols. */
import { parseCrc } from './dependency.ts';
import { SymbolFileError } from './error.ts';
import type { ExportedSymbol, ImportedSymbol, Stablelist, SymbolTable } from './model.ts';

/**
 * `Module.symvers`, or dist-git's `Module.kabi_ARCH`: tab separated CRC, symbol, module, export type and
 * namespace (kernel: Documentation/kbuild/modules.rst). Older kernels have no namespace, or (5.4, 5.5) have it
 * third; 2.6 had no export type either.
 * @param file the name to blame in errors
 * @throws SymbolFileError with the line
 */
export function parseSymvers(text: string, file: string): SymbolTable {
  const table = new Map<string, ExportedSymbol>();
  let versioned = false;
  eachLine(text, (line, number) => {
    const symbol = parseExport(line);
    if (!symbol)
      throw lineError(file, number, line, 'CRC, symbol, module and export type, with tabs between');
    versioned ||= symbol.crc !== 0;
    table.set(symbol.name, symbol);
  });
  if (!versioned) {
    const mend = 'take that of a kernel with CONFIG_MODVERSIONS';
    throw new SymbolFileError(file, { line: 1 }, 'no symbol has a CRC', mend);
  }
  return table;
}

function parseExport(line: string): ExportedSymbol | null {
  const [first = '', name, third, fourth, fifth] = line.split('\t');
  const crc = parseCrc(first);
  if (crc === null || !name || !third) return null;
  if (fifth?.startsWith('EXPORT_') && fourth !== undefined) return exported(name, crc, fourth, fifth, third);
  if (fourth !== undefined && !fourth.startsWith('EXPORT_')) return null;
  return exported(name, crc, third, fourth, fifth);
}

function exported(
  name: string,
  crc: number,
  provider: string,
  exportType: string | undefined,
  namespace: string | undefined,
): ExportedSymbol {
  if (exportType === undefined) return { name, crc, provider };
  return namespace ? { name, crc, provider, exportType, namespace } : { name, crc, provider, exportType };
}

/**
 * What `modprobe --dump-modversions` prints of a module: CRC and symbol, with a tab between.
 * @param file the name to blame in errors
 * @throws SymbolFileError with the line
 */
export function parseModversions(text: string, file: string): ImportedSymbol[] {
  const imports: ImportedSymbol[] = [];
  eachLine(text, (line, number) => {
    const [first = '', symbol, more] = line.split('\t');
    const crc = parseCrc(first);
    if (crc === null || !symbol || more !== undefined)
      throw lineError(file, number, line, 'a CRC and a symbol, with a tab between');
    imports.push({ symbol, crc });
  });
  return imports;
}

/**
 * A file of `kernel-abi-stablelists`, such as `kabi_stablelist_x86_64`: a header line `[…]`, then one symbol a
 * line, indented.
 * @param file the name to blame in errors
 * @throws SymbolFileError with the line
 */
export function parseStablelist(text: string, file: string): Stablelist {
  let name: string | undefined;
  const symbols = new Set<string>();
  eachLine(text, (line, number) => {
    const word = line.trim();
    const header = /^\[(.+)\]$/.exec(word)?.[1];
    if (name === undefined && header) name = header;
    else if (name !== undefined && /^[A-Za-z_][\w.$]*$/.test(word)) symbols.add(word);
    else throw lineError(file, number, line, name === undefined ? 'a header such as [list]' : 'one symbol');
  });
  if (name !== undefined) return { name, symbols };
  throw new SymbolFileError(file, { line: 1 }, 'the file is empty', 'take a kabi_stablelist file');
}

/** Call `visit` for each line that is not blank, with its number from 1. */
function eachLine(text: string, visit: (line: string, number: number) => void): void {
  for (let start = 0, number = 1; start < text.length; number++) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(start, text[end - 1] === '\r' ? end - 1 : end);
    if (line.trim() !== '') visit(line, number);
    start = end + 1;
  }
}

function lineError(file: string, line: number, found: string, expected: string): SymbolFileError {
  const shown = JSON.stringify(found.length > 60 ? `${found.slice(0, 60)}…` : found);
  return new SymbolFileError(
    file,
    { line },
    `${shown} is not ${expected}`,
    'take an unchanged copy of the file',
  );
}
