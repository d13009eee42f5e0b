/** What a build.log says went wrong. */
import type { LogError } from './model.ts';

/** gcc and clang: `FILE:LINE[:COLUMN]: [fatal ]error: MESSAGE`. */
const COMPILER = /^(.+?):(\d+):(?:\d+:)? (?:fatal )?error: (.*)$/;
/** modpost, with and without the colon that Linux 5.10 added: an import that nothing exports. */
const MODPOST = /^ERROR: (?:modpost: )?"?([^"\s]+)"? \[(.+)\] undefined!$/;
const LINKER = /^(?:\S*\/)?(?:ld|ld\.\S+): (?:(\S+?):\s)?(.*(?:undefined reference|cannot find|error:).*)$/;
/** Last resort: what make or rpmbuild say after somebody else's failure. */
const OUTCOME = /^(?:make(?:\[\d+\])?: \*\*\* (.+)|error: (Bad exit status from .+))$/;

/**
 * The first errors in (a part of) a build.log, in order. Warnings and notes never count; lines of make
 * and rpmbuild count only where no tool named an error.
 * @param most how many at the most
 */
export function findErrors(log: string, most = 5): LogError[] {
  const lines = log.split(/\r?\n/);
  const named = lines.flatMap((line) => namedError(line) ?? []).slice(0, most);
  if (named.length > 0) return named;
  return lines.flatMap((line) => outcomeLine(line) ?? []).slice(0, most);
}

function namedError(line: string): LogError | undefined {
  const compiler = COMPILER.exec(line);
  if (compiler)
    return { file: inPackage(compiler[1] ?? ''), line: Number(compiler[2]), message: compiler[3] ?? '' };
  const modpost = MODPOST.exec(line);
  if (modpost) return { file: inPackage(modpost[2] ?? ''), line: 0, message: `${modpost[1]} undefined` };
  const linker = LINKER.exec(line);
  if (linker) return { file: inPackage(linker[1] ?? ''), line: 0, message: linker[2] ?? '' };
  return undefined;
}

function outcomeLine(line: string): LogError | undefined {
  const found = OUTCOME.exec(line);
  return found ? { file: '', line: 0, message: found[1] ?? found[2] ?? '' } : undefined;
}

/** mock builds under /builddir/build/BUILD/PACKAGE/: what follows is the path that the kmod's author knows. */
function inPackage(path: string): string {
  return path.replace(/^\/builddir\/build\/BUILD\/[^/]+\//, '');
}
