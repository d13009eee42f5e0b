/** The kernel's text files about symbols. */
import { parseCrc } from './crc.ts';
import { SymbolFileError } from './error.ts';
import {
  type ExportedSymbol,
  type ImportedSymbol,
  type Stablelist,
  SYMBOL,
  type SymbolTable,
} from './model.ts';
import { KINDS_OF_RULES, type Severities, type SeverityRule, VERDICTS } from './severities.ts';

const EXPORT_TYPE = /^EXPORT_(UNUSED_)?SYMBOL/;

/**
 * `Module.symvers`, or dist-git's `Module.kabi_ARCH`: tab separated CRC, symbol, module, export type and, since
 * 5.6, namespace (kernel: Documentation/kbuild/modules.rst). In 5.4 and 5.5 the namespace came third, before the module
 * (kernel: commit 5190044c2965, "modpost: move the namespace field in Module.symvers last").
 * @param file the name to blame in errors
 * @throws SymbolFileError with the line
 */
export function parseSymvers(text: string, file: string): SymbolTable {
  const table = new Map<string, ExportedSymbol>();
  let versioned = false;
  eachLine(text, (start, end, number) => {
    const symbol = parseExport(text, start, end);
    if (!symbol) {
      const expected = 'CRC, symbol, module and export type, with tabs between';
      throw lineError(file, number, text.slice(start, end), expected);
    }
    versioned ||= symbol.crc !== 0;
    table.set(symbol.name, symbol);
  });
  if (!versioned) {
    const mend = 'take that of a kernel with CONFIG_MODVERSIONS';
    throw new SymbolFileError(file, null, 'no symbol has a CRC', mend);
  }
  return table;
}

/** A line of Module.symvers, from `start` to `end` in the text: cut in place, for there are 25,000. */
function parseExport(text: string, start: number, end: number): ExportedSymbol | null {
  const afterCrc = text.indexOf('\t', start);
  const afterName = text.indexOf('\t', afterCrc + 1);
  const afterProvider = text.indexOf('\t', afterName + 1);
  const tab = text.indexOf('\t', afterProvider + 1);
  const afterType = tab < 0 || tab > end ? end : tab;
  const crc = parseCrc(text.slice(start, afterCrc));
  const name = text.slice(afterCrc + 1, afterName);
  const provider = text.slice(afterName + 1, afterProvider);
  const exportType = text.slice(afterProvider + 1, afterType);
  const last = text.slice(afterType + 1, end);
  // A tab that is missing is found in a later line or nowhere, and one of these fails.
  if (afterProvider < 0 || afterProvider > end || crc === null || !SYMBOL.test(name)) return null;
  if (provider && EXPORT_TYPE.test(exportType)) return { name, crc, provider, exportType, namespace: last };
  // With the namespace third, what would be the module is that, and what would be the export type the module.
  if (!exportType || !EXPORT_TYPE.test(last) || last.includes('\t')) return null;
  return { name, crc, provider: exportType, exportType: last, namespace: provider };
}

/**
 * What `modprobe --dump-modversions` prints of a module: CRC and symbol, with a tab between. In a list of several
 * modules the same import comes again; it is given once.
 * @param file the name to blame in errors
 * @throws SymbolFileError with the line
 */
export function parseModversions(text: string, file: string): ImportedSymbol[] {
  const imports: ImportedSymbol[] = [];
  const known = new Set<string>();
  eachLine(text, (start, end, number) => {
    const line = text.slice(start, end);
    const [first = '', symbol = '', more] = line.split('\t');
    const crc = parseCrc(first);
    if (crc === null || !SYMBOL.test(symbol) || more !== undefined)
      throw lineError(file, number, line, 'a CRC and a symbol, with a tab between');
    if (!known.has(line)) imports.push({ symbol, crc });
    known.add(line);
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
  eachLine(text, (start, end, number) => {
    const line = text.slice(start, end);
    const word = line.trim();
    const header = /^\[(.+)\]$/.exec(word)?.[1];
    if (name === undefined && header) name = header;
    else if (name !== undefined && SYMBOL.test(word)) symbols.add(word);
    else throw lineError(file, number, line, name === undefined ? 'a header such as [list]' : 'one symbol');
  });
  if (name !== undefined) return { name, symbols };
  throw new SymbolFileError(file, null, 'it is empty', 'take a kabi_stablelist file');
}

/**
 * SUSE's `kabi/severities`: a rule a line, `[KIND] PATTERN VERDICT`, and comments from a `#` on. Without a kind, a pattern with
 * a slash, and `vmlinux`, is of modules, one without a small letter is of namespaces, any other of symbols (SUSE:
 * suse-kabi-tools(5), "kABI severity rules"). What that tool and kernel-source's rpm/kabi.pl read in two ways is refused.
 * @param file the name to blame in errors
 * @throws SymbolFileError with the line
 */
export function parseSeverities(text: string, file: string): Severities {
  const rules: SeverityRule[] = [];
  eachLine(text, (start, end, line) => {
    const words = text.slice(start, end).replace(/#.*/, '').split(/\s+/).filter(Boolean);
    if (words.length === 0) return;
    const [first = '', pattern = first] = words.slice(0, -1);
    const kind = words.length === 3 ? KINDS_OF_RULES.find((it) => it === first) : kindOf(first);
    const verdict = VERDICTS.find((it) => it === words.at(-1));
    if (words.length > 3 || !kind || !verdict || !PATTERN.test(pattern)) {
      const expected =
        'a pattern (* and ?) and PASS or FAIL, with SYMBOL, MODULE or NAMESPACE before it at most';
      throw lineError(file, line, text.slice(start, end), expected, 'mend the line');
    }
    rules.push({ kind, pattern, verdict, line });
  });
  if (rules.length > 0) return { file, rules };
  throw new SymbolFileError(file, null, 'there is no rule in it', 'take a kabi/severities file');
}

/** Of brackets and backslashes SUSE's two programs make different things. */
const PATTERN = /^[^[\]\\]+$/;

function kindOf(pattern: string): SeverityRule['kind'] {
  if (pattern.includes('/') || pattern === 'vmlinux') return 'MODULE';
  return pattern === pattern.toUpperCase() ? 'NAMESPACE' : 'SYMBOL';
}

/** Call `visit` for each line that is not empty, with where it starts and ends and its number from 1. */
function eachLine(text: string, visit: (start: number, end: number, number: number) => void): void {
  for (let start = 0, number = 1; start < text.length; number++) {
    const newline = text.indexOf('\n', start);
    const next = newline < 0 ? text.length : newline;
    const end = text[next - 1] === '\r' ? next - 1 : next;
    if (end > start) visit(start, end, number);
    start = next + 1;
  }
}

function lineError(
  file: string,
  line: number,
  found: string,
  expected: string,
  mend = 'take an unchanged copy of the file',
): SymbolFileError {
  const shown = JSON.stringify(found.length > 60 ? `${found.slice(0, 60)}…` : found);
  return new SymbolFileError(file, { line }, `${shown} is not ${expected}`, mend);
}
