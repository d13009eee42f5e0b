/** What a build.log says went wrong. */
import type { LogError } from './model.ts';

/** gcc and clang: `FILE:LINE[:COLUMN]: [fatal ]error: MESSAGE`. */
const COMPILER = /^(.+?):(\d+):(?:\d+:)? (?:fatal )?error: (.*)$/;
/** modpost, with and without the colon that Linux 5.10 added: an import that nothing exports. */
const MODPOST = /^ERROR: (?:modpost: )?"?([^"\s]+)"? \[(.+)\] undefined!$/;
const LINKER = /^(?:\S*\/)?(?:ld|ld\.\S+): (?:(\S+?):\s)?(.*(?:undefined reference|cannot find|error:).*)$/;
/** Last resort: what make or rpmbuild say after somebody else's failure. */
const OUTCOME = /^(?:make(?:\[\d+\])?: \*\*\* (.+)|error: (Bad exit status from .+))$/;
/** Errors that are no fault of the package, whoever reports them. */
const MACHINE =
  /No space left on device|Cannot allocate memory|virtual memory exhausted|Killed signal terminated/;

/**
 * The first errors in a build.log, in order. Warnings and notes never count. Where the builder itself failed,
 * only that is told; lines of make and rpmbuild are told only where no tool named an error.
 * @param most how many at the most
 */
export function findErrors(log: string, most = 5): LogError[] {
  const lines = log.split(/\r?\n/);
  const found = (parse: (line: string) => LogError | undefined) => lines.flatMap((line) => parse(line) ?? []);
  for (const parse of [machineError, sourceError, outcomeLine]) {
    const errors = found(parse);
    if (errors.length > 0) return errors.slice(0, most);
  }
  return [];
}

function machineError(line: string): LogError | undefined {
  return MACHINE.test(line) ? { kind: 'machine', file: '', line: 0, message: line.trim() } : undefined;
}

function sourceError(line: string): LogError | undefined {
  const compiler = COMPILER.exec(line);
  if (compiler) return source(compiler[1], Number(compiler[2]), compiler[3]);
  const modpost = MODPOST.exec(line);
  if (modpost) return source(modpost[2], 0, `${modpost[1]} undefined`);
  const linker = LINKER.exec(line);
  if (linker) return source(linker[1], 0, linker[2]);
  return undefined;
}

function outcomeLine(line: string): LogError | undefined {
  const found = OUTCOME.exec(line);
  return found ? { kind: 'outcome', file: '', line: 0, message: found[1] ?? found[2] ?? '' } : undefined;
}

/** mock builds under /builddir/build/BUILD/PACKAGE/: what follows is the path that the kmod's author knows. */
function source(path = '', line: number, message = ''): LogError {
  return { kind: 'source', file: path.replace(/^\/builddir\/build\/BUILD\/[^/]+\//, ''), line, message };
}
