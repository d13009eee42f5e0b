/**
 * What a build.log or a root.log says went wrong. Logs may be huge, so they are taken in pieces as they come:
 * no more is kept of them than the line that is being read, and what was found.
 */
import type { LogError } from './model.ts';

/** Takes a log in pieces, cut anywhere. */
export interface ErrorFinder {
  /** The log goes on with this text. */
  push(text: string): void;
  /** Something was left out here: what follows counts from its first whole line on. */
  skip(): void;
  /** True once the rest of the log cannot change the answer. */
  done(): boolean;
  /** The errors found, once the log is over: an unfinished last line counts. */
  finish(): LogError[];
}

/** What a line says, given the line before it. */
type Parser = (line: string, before: string) => LogError | undefined;

/** More of a line than this is not looked at. */
const LINE_MOST = 4096;

/**
 * Finds the first errors of a build.log, in order, each of them once. Warnings and notes never count. Where the
 * builder itself failed before `most` errors were seen, only that is told; lines of make and rpmbuild are told
 * only where no tool named an error.
 * @param most how many at the most
 */
export function createErrorFinder(most = 5): ErrorFinder {
  return createFinder([machineError, sourceError, outcomeLine], most);
}

/** The same of a log that is here as a whole. */
export function findErrors(log: string, most = 5): LogError[] {
  return findAll(createErrorFinder(most), log);
}

/**
 * The first errors of mock's root.log: a build dependency that cannot be met, unless repositories or the disk
 * failed, which is told alone and is no fault of the package.
 */
export function findRootErrors(log: string, most = 5): LogError[] {
  return findAll(createFinder([repoError, dependencyError, mirrorError, rootOutcome], most), log);
}

function findAll(finder: ErrorFinder, log: string): LogError[] {
  finder.push(log);
  return finder.finish();
}

/**
 * The answer is what the first of the parsers found that found anything. The first one's word is final at
 * once; the second one's as soon as it has enough.
 */
function createFinder(parsers: readonly Parser[], most: number): ErrorFinder {
  const found = parsers.map((): LogError[] => []);
  const [final = [], main = []] = found;
  let line = '';
  let before = '';
  let skipping = false;
  let finished = false;
  /** Lines in which the last error, which named nothing, may still be told by name. */
  let following = 0;

  const keep = (list: LogError[], error: LogError): void => {
    if (list.length >= most || list.some((known) => isSame(known, error))) return;
    list.push(error);
    if (list !== main) return;
    following = FOLLOWERS.some(({ of }) => of.test(error.message)) && !error.identifier ? FOLLOW_LINES : 0;
  };
  /** What gcc and clang show beneath an error may name what its message does not. */
  const follow = (text: string): void => {
    const last = main.at(-1);
    const identifier = last && followingName(last.message, text);
    following = identifier ? 0 : following - 1;
    if (identifier) main.splice(-1, 1, { ...last, identifier });
  };
  const take = (raw: string): void => {
    const text = plain(raw);
    if (following > 0) follow(text);
    for (const [i, parse] of parsers.entries()) {
      const error = parse(text, before);
      if (!error) continue;
      keep(found[i] ?? [], error);
      break;
    }
    before = text;
    finished = final.length > 0 || (main.length >= most && following === 0);
  };

  return {
    push(text) {
      let start = 0;
      while (!finished && start < text.length) {
        const newline = text.indexOf('\n', start);
        const end = newline < 0 ? text.length : newline;
        if (!skipping) line += text.slice(start, Math.min(end, start + LINE_MOST - line.length));
        start = end + 1;
        if (newline < 0) break;
        if (!skipping) take(line);
        line = '';
        skipping = false;
      }
    },
    skip() {
      line = '';
      before = '';
      following = 0;
      skipping = true;
    },
    done: () => finished,
    finish() {
      if (!finished && line) take(line);
      line = '';
      return found.find((errors) => errors.length > 0) ?? [];
    },
  };
}

const isSame = (a: LogError, b: LogError): boolean =>
  a.file === b.file && a.line === b.line && a.message === b.message;

const ESC = '\u001b';
/** Colours, and the links that gcc makes of its options. */
const ESCAPES = new RegExp(`${ESC}(?:\\[[0-?]*[ -/]*[@-~]|\\][^\u0007${ESC}]*(?:\u0007|${ESC}\\\\))`, 'g');

function plain(line: string): string {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  return text.includes(ESC) ? text.replace(ESCAPES, '') : text;
}

// ------------------------------------------------------------------------------------------------ build.log

/** Errors that are no fault of the package, whoever reports them. They end the line: in source they are text. */
const MACHINE =
  /(?:^|[:\]-] )(?:No space left on device|Cannot allocate memory|Disk quota exceeded|Read-only file system|Input\/output error|(?:LLVM ERROR: )?[Oo]ut of memory)(?: \(\d+\)|: '[^']*')?\.?$|virtual memory exhausted|out of memory allocating \d+ bytes|fatal error: Killed signal terminated|internal compiler error: Killed|unable to execute command: Killed|^make(?:\[\d+\])?: \*\*\* .*\bKilled$/;
/** Source code that gcc shows beneath what it says, and what is only said by the way. */
const ASIDE = /^\s*\d* \||: (?:warning|note): /;

function machineError(line: string): LogError | undefined {
  return MACHINE.test(line) && !ASIDE.test(line) ? machine(line) : undefined;
}

/** gcc says `error` in the language of the locale; `Error` is the assembler's. */
const ERROR =
  '(?:(?:[Ff]atal )?[Ee]rror(?: fatal)?|(?:schwerwiegender )?Fehler|erreur(?: fatale)?|(?:фатальная )?ошибка|(?:致命的)?エラー|(?:致命)?错误)';
/** `FILE:LINE[:COLUMN]: error: MESSAGE`. */
const COMPILER = new RegExp(`^([^\\s:]+):(\\d+):(?:\\d+:)? ${ERROR}[:：] ?(.*)$`);
/** `FILE: error: MESSAGE` of objtool, `TOOL: error: MESSAGE` of a compiler that does not like its options. */
const TOOL =
  /^(?:(\S+\.(?:k?o|[achS]))|(?:\S*\/)?(?:[\w.]+-)*(?:gcc|clang|cc1|as|objtool|pahole|configure)(?:-[\d.]+)?): (?:fatal )?error: (?!linker command failed)(.+)$/;
/** clang names no file where a warning about options is made an error, nor does objtool always. */
const BARE = /^error: (objtool: .+|.+ \[-W[^\]]+\])$/;

function sourceError(line: string): LogError | undefined {
  const compiler = COMPILER.exec(line);
  if (compiler) return source(compiler[1], Number(compiler[2]), compiler[3]);
  const tool = TOOL.exec(line) ?? BARE.exec(line);
  if (tool) return tool.length > 2 ? source(tool[1], 0, tool[2]) : source('', 0, tool[1]);
  return modpostError(line) ?? linkerError(line);
}

/** Linux 5.10 added `modpost: `; before it, only what is surely modpost's counts. */
const MODPOST = /^(?:ERROR|FATAL): (modpost: )?(.+)$/;
const UNDEFINED = /^"?([^"\s]+)"? \[(.+)\] undefined!$/;
const NAMESPACE = /^module (\S+) (uses symbol (\S+) from namespace \S+, but does not import it)\.?$/;
const GPL_ONLY = /^GPL-incompatible module (\S+) (uses GPL-only symbol '(\S+)')$/;

function modpostError(line: string): LogError | undefined {
  const [, prefix, said = ''] = MODPOST.exec(line) ?? [];
  const undefinedOne = UNDEFINED.exec(said);
  if (undefinedOne) return source(undefinedOne[2], 0, `${undefinedOne[1]} undefined`, undefinedOne[1]);
  const [, module, message, symbol] = NAMESPACE.exec(said) ?? GPL_ONLY.exec(said) ?? [];
  if (module) return source(module.replace(/(?:\.ko)?$/, '.ko'), 0, message, symbol);
  return prefix ? source('', 0, said) : undefined;
}

const LINKER =
  /^(?:\S*\/)?(?:[\w.]+-)*ld(?:\.\w+)?: (?:error: (.+)|(?:(\S+?): )?((?:undefined|cannot find) .+))$/;
/** With its place, the linker's name may be missing. */
const PLACED =
  /^(?:(?:\S*\/)?(?:[\w.]+-)*ld(?:\.\w+)?: )?(\S+?):(?:(\d+)|\([^()]*\)): ((?:undefined reference to|multiple definition of) .*)$/;

function linkerError(line: string): LogError | undefined {
  const placed = PLACED.exec(line);
  if (placed) return source(placed[1], Number(placed[2] ?? 0), placed[3]);
  const linker = LINKER.exec(line);
  return linker ? source(linker[2], 0, linker[1] ?? linker[3]) : undefined;
}

/** Last resort: what make or rpmbuild say after somebody else's failure. */
const OUTCOME = /^(?:make(?:\[\d+\])?: \*\*\* (.+)|error: (Bad exit status from .+))$/;

function outcomeLine(line: string): LogError | undefined {
  const found = OUTCOME.exec(line);
  return found ? nowhere('outcome', found[1] ?? found[2] ?? '') : undefined;
}

/** mock builds under /builddir/build/BUILD: what follows is the path that the kmod's author knows. */
const BUILD_DIR = /^\/builddir\/build\/BUILD\/(?:[^/]+-build\/)?[^/]+\//;

function source(path = '', line: number, message = '', identifier = nameIn(message)): LogError {
  return {
    kind: 'source',
    file: path.replace(BUILD_DIR, ''),
    line,
    message,
    ...(identifier && { identifier }),
  };
}

const machine = (line: string): LogError => nowhere('machine', line.trim());

function nowhere(kind: LogError['kind'], message: string, identifier?: string): LogError {
  return { kind, file: '', line: 0, message, ...(identifier && { identifier }) };
}

// ------------------------------------------------------------------------------------------ what is named

/** `'x'` in the C locale, `‘x’` in a UTF-8 one, the linker's `` `x' ``, and those of other languages. */
const QUOTES = '\'‘’"`“”„«»「」';
const QUOTED = `[${QUOTES}]\\s?([^${QUOTES}]+?)\\s?[${QUOTES}]`;

/** How gcc, clang and the linker say what they miss, or find other than expected. `%` is the name. */
const NAMED = [
  'implicit declaration of function %',
  'call to undeclared (?:library )?function %',
  '^% undeclared',
  'use of undeclared (?:identifier|label) %',
  'no member named %',
  'too (?:few|many) arguments to function %',
  'conflicting types for %',
  'passing argument \\d+ of %',
  'incompatible type for argument \\d+ of %',
  'unknown type name %',
  'unknown field %',
  'field designator %',
  'invalid use of undefined type %',
  'incomplete (?:definition of )?type %',
  're(?:definition|declaration) of %',
  '^% redeclared',
  'static declaration of %',
  'macro % (?:passed|requires)',
  'called object % is not',
  '^% is deprecated',
  '^% file not found',
  'undefined reference to %',
  'multiple definition of %',
].map((text) => new RegExp(text.replace('%', QUOTED)));
const NAMED_BARE = [/^([^\s:]+): No such file or directory$/, /^(?:undefined|duplicate) symbol: (\S+)$/];
/** Of another language only this is known: what stands in quotes and is a name, is one. */
const FOREIGN = /[^\p{ASCII}‘’]/u;
const ANY_NAME = new RegExp(`[${QUOTES}]\\s?(?!(?:struct|union|int|void)\\b)(\\w+)\\s?[${QUOTES}]`);

function nameIn(message: string): string | undefined {
  for (const pattern of [...NAMED, ...NAMED_BARE, ...(FOREIGN.test(message) ? [ANY_NAME] : [])]) {
    const name = pattern.exec(message)?.[1]?.replace(/^(?:const )?(?:struct|union|enum) /, '');
    if (name && /^[\w./+-]+$/.test(name)) return name;
  }
  return undefined;
}

/** Where the name stands in the lines beneath: a field's initializer; where clang shows the function. */
const FOLLOWERS = [
  { of: /initializ/, name: /^\s*(?:\d+ \|)?\s*\.(\w+)\s*=|near initialization for \S*\.(\w+)\S\)$/ },
  { of: /arguments to function call/, name: /: note: '(\w+)' declared here$/ },
];
const FOLLOW_LINES = 4;

function followingName(message: string, line: string): string | undefined {
  const found = FOLLOWERS.find(({ of }) => of.test(message))?.name.exec(line);
  return found?.[1] ?? found?.[2];
}

// ------------------------------------------------------------------------------------------------- root.log

/** `DEBUG util.py:461:  `, as mock's logging puts it before each line of a command. */
const LOGGED = /^[A-Z]+ \w+\.py:(?:\d+:)?\s*/;
const unlogged = (line: string): string => line.replace(LOGGED, '').trim();

/** dnf and yum gave up on a repository or a package of it, or went on without the repository. */
const REPO =
  /Failed to (?:download (?:metadata|packages|files)|synchronize cache)|Ignoring repositories: |Error downloading packages|Cannot (?:retrieve|find) .*(?:metadata|mirrorlist)|Cannot prepare internal mirrorlist|No more mirrors to try|All mirrors were (?:already )?tried/i;
/** One mirror failed; another one may have had it. */
const MIRROR =
  /Curl error|Cannot download |Status code: [45]\d\d |HTTP Error [45]\d\d|Could not resolve host/i;

function repoError(line: string): LogError | undefined {
  const said = unlogged(line);
  return REPO.test(said) || MACHINE.test(said) ? machine(said) : undefined;
}

function mirrorError(line: string): LogError | undefined {
  const said = unlogged(line);
  return MIRROR.test(said) ? machine(said) : undefined;
}

/** What dnf 4, dnf 5 and yum say of something that is in no repository, or cannot be installed. */
const UNMET = [
  /^No matching package to install: '?(.+?)'?$/,
  /^No match for argument: (.+)$/,
  /^No package found for (.+)$/i,
  /^No package (.+) available\.?$/,
  /^nothing provides (?:requested )?(.+?)(?: needed by .+)?$/,
  /^(?:installed )?package .+? requires (.+), but none of the providers can be installed$/,
  /^(?:installed )?package .+? conflicts with (.+?)(?: provided by .+)?$/,
];
/** dnf numbers its problems and lists their causes; yum names package and requirement in two lines. */
const LEAD = /^(?:Error: ?)?(?:Problem(?: \d+)?: )?(?:- )?/;

function dependencyError(line: string, before: string): LogError | undefined {
  const said = unlogged(line).replace(LEAD, '');
  for (const pattern of UNMET) {
    const wanted = pattern.exec(said)?.[1];
    if (wanted) return nowhere('dependency', said, wanted);
  }
  const package_ = /^Error: Package: (.+)$/.exec(unlogged(before))?.[1];
  const wanted = /^Requires: (.+)$/.exec(said)?.[1];
  return package_ && wanted ? nowhere('dependency', `${package_} requires ${wanted}`, wanted) : undefined;
}

function rootOutcome(line: string): LogError | undefined {
  const said = unlogged(line);
  const found = /^(?:Error: (.+)|(Failed to resolve the transaction):?)$/.exec(said);
  return found ? nowhere('outcome', found[1] ?? found[2] ?? '') : undefined;
}
