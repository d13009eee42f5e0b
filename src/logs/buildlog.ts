/** What a build.log or a root.log says went wrong. */

import type { LogError } from '../core/model.ts';
import { KERNEL_FOLDER } from '../core/pin.ts';
import { createFinder, type ErrorFinder, type Follower, findAll, type Parser } from './logfinder.ts';

/**
 * Finds the first errors of a build.log, in order, each of them once. Warnings and notes never count. Only the worst is
 * told: that the builder itself failed, if it did before `most` errors were seen; else that a kernel or a package is not
 * there; else what tools named; else what stopped the build without being an error of a tool; else the last words before
 * rpmbuild gave up; else what make and rpmbuild say of somebody else's failure.
 * @param most how many at the most
 */
export function createErrorFinder(most = 5): ErrorFinder {
  const missing = createMissing();
  const parsers = [machineError, missing, sourceError, lesserError, createLastWords(), outcomeLine];
  const finder = createFinder({ parsers, main: sourceError, followers: FOLLOWERS, answered: CHECKING }, most);
  return { ...finder, finish: () => ownFirst(finder.finish()) };
}

/** The same of a log that is here as a whole. */
export function findErrors(log: string, most = 5): LogError[] {
  return findAll(createErrorFinder(most), log);
}

/**
 * The errors of mock's root.log: all build dependencies that cannot be met, since one that pins a kernel may be any of
 * them; unless repositories or the disk failed, which is told alone and is no fault of the package.
 */
export function findRootErrors(log: string, most = 20): LogError[] {
  const parsers = [repoError, dependencyError, mirrorError, rootOutcome];
  return findAll(createFinder({ parsers, main: dependencyError, followers: [] }, most), log);
}

// ------------------------------------------------------------------------------------------------ build.log

const anyOf = (...patterns: readonly RegExp[]): RegExp =>
  new RegExp(patterns.map(({ source }) => source).join('|'));

/** Errors that are no fault of the package, whoever reports them. */
const MACHINE = anyOf(
  // They end the line: in source they are text.
  /(?:^|[:\]-] )(?:No space left on device|Cannot allocate memory|Disk quota exceeded|Read-only file system|Input\/output error|Cannot fork|[Mm]emory exhausted|(?:LLVM ERROR: )?[Oo]ut of memory)(?: \(\d+\)|: '[^']*')?(?:\.(?: +Stop\.)?)?$/,
  /virtual memory exhausted|out of memory allocating \d+ bytes/,
  /fatal error: Killed signal terminated|internal compiler error: Killed|unable to execute command: Killed/,
  // A shell says which of its commands was killed; make, that the shell said 128 + 9, or + 15.
  /^\S+: line \d+: +\d+ (?:Killed|Terminated)\b|^Killed$|^make(?:\[\d+\])?: \*\*\* .*\b(?:Killed|Terminated|Error 1(?:37|43))$/,
  /^\S+: [^"]*\bterminated (?:with|by) signal (?:9|15)\b|\(signal: (?:9, SIGKILL|15, SIGTERM): [a-z ]+\)$/,
  /^[^"]*\b(?:v?fork|posix_spawn|pthread_create)(?:\(\))?(?: for [^":]{1,99})?: (?:retry: )?(?:Resource temporarily unavailable|No child processes)\b/,
  /^MemoryError$|^terminate called after throwing an instance of 'std::bad_alloc'$/,
);
/** Source code that gcc shows beneath what it says, what is only said by the way, commands that a shell shows. */
const ASIDE = /^\s*\d* \||: (?:warning|note): |: error: #error |^\+/;

function machineError(line: string): LogError | undefined {
  return MACHINE.test(line) && !ASIDE.test(line) ? machine(line) : undefined;
}

const NO_KERNEL = new RegExp(
  `^make(?:\\[\\d+\\])?: \\*\\*\\* ${KERNEL_FOLDER}/?: No such file or directory\\.`,
);
/** rpmbuild found its BuildRequires not met, and lists them. */
const UNMET_LIST = /^error: Failed build dependencies:$/;
const NEEDED = /^\s+(\S.*) is needed by \S+$/;
/** dkms, and configure scripts of whole sentences. */
const NOT_FOUND = new RegExp(
  `^(?:Error! Your kernel headers for kernel \\S+ cannot be found at|configure: error:|\\s+\\*{3} ).*?[ '"]${KERNEL_FOLDER}['"]?(?:\\.?$| (?:or|could not|does not|is not|not) )`,
);
/** Where a configure script looks, and what it says when the kernel is not there: it does not say where again. */
const LOOKS = new RegExp(`^checking [^.]{1,99}\\.\\.\\. ${KERNEL_FOLDER}/?$`);
const DEVEL_WANTED = /kernel[- ](?:devel|headers)|Cannot find UTS_RELEASE|Cannot determine kernel version/i;

/** A kernel, or a package, that the build looks for and that is not there. */
function createMissing(): Parser {
  let looked = '';
  return (line, before) => {
    looked = LOOKS.exec(line)?.[1] ?? looked;
    const kernel = NO_KERNEL.exec(line)?.[1];
    if (kernel) return nowhere('dependency', `${kernel}: No such file or directory`, kernel);
    const isListed = UNMET_LIST.test(before) || NEEDED.test(before);
    const wanted = NOT_FOUND.exec(line)?.[1] ?? (isListed ? NEEDED.exec(line)?.[1] : undefined);
    if (wanted) return nowhere('dependency', withoutStars(line), wanted);
    if (!looked || !(CONFIGURE.test(line) || CONFIGURE.test(before)) || !DEVEL_WANTED.test(line))
      return undefined;
    return nowhere('dependency', `${withoutStars(line)} (in ${looked})`, looked);
  };
}

const withoutStars = (line: string): string =>
  line.trim().replace(/^(?:configure: error: *)?(?:\*{3} *)?/, '');

/** gcc says `error` in the language of the locale; `Error` is the assembler's. */
const ERROR =
  '(?:(?:[Ff]atal )?[Ee]rror(?: fatal)?|(?:schwerwiegender )?Fehler|erreur(?: fatale)?|(?:фатальная )?ошибка|(?:致命的)?エラー|(?:致命)?错误)';
/** `FILE:LINE[:COLUMN]: error: MESSAGE`. */
const COMPILER = new RegExp(`^([^\\s:]+):(\\d+):(?:\\d+:)? ${ERROR}[:：] ?(.*)$`);
/** `FILE: error: MESSAGE` of objtool, `TOOL: error: MESSAGE` of a compiler that does not like its options. */
const TOOL =
  /^(?:(\S+\.(?:k?o|[achS]))|(?:\S*\/)?(?:[\w.]+-)*(?:gcc|clang|cc1|as|objtool|pahole)(?:-[\d.]+)?): (?:fatal )?error: (?!linker command failed)(.+)$/;
/** clang names no file where a warning about options is made an error, nor does objtool always. */
const BARE = /^error: (objtool: .+|.+ \[-W[^\]]+\])$/;
/** rustc names it beneath. */
const RUST = /^error\[E\d+\]: (.+)$/;
const RUST_PLACE = /^\s*--> (\S+?):(\d+):\d+$/;
/** A configure script goes on: what its compiler said before was no more than an answer. */
const CHECKING = /^checking .*\.\.\. ?(?:yes|no)$/;

/** What explains it follows in lines of its own. */
const CONFIGURE = /^configure: error: ?(?:\*{3} *)?(.*)$/;
/** What rpmbuild finds wrong in a spec file, or in what the build left. */
const RPMBUILD =
  /^error: ((?:Installed \(but unpackaged\)|(?:File|Directory) not found|Bad (?:file|source): |line \d+: |Empty %files|Arch dependent binaries|Architecture is (?:not included|excluded)|Unclosed %if|parse error in expression|Macro %\S+ (?:failed|has empty)|Duplicate build-ids|Missing build-id|(?:Package|Provides|Group) already exists: ).*)$/;
/** CMake says what in the lines beneath. */
const CMAKE = /^CMake Error at (\S+):(\d+) \((\w+)\):$/;

function sourceError(line: string, before: string): LogError | undefined {
  const compiler = COMPILER.exec(line);
  if (compiler) return source(compiler[1], Number(compiler[2]), compiler[3]);
  const tool = TOOL.exec(line);
  if (tool) return source(tool[1], 0, tool[2]);
  const bare = BARE.exec(line) ?? RUST.exec(line) ?? CONFIGURE.exec(line) ?? RPMBUILD.exec(line);
  if (bare) return source('', 0, bare[1] || 'configure failed:');
  const cmake = CMAKE.exec(line);
  if (cmake) return source(cmake[1], Number(cmake[2]), `${cmake[3]}:`);
  const rust = RUST_PLACE.exec(line);
  const message = rust && /^error: (.+)$/.exec(before)?.[1];
  if (message) return source(rust[1], Number(rust[2]), message);
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
  /^(?:\S*\/)?(?:[\w.]+-)*ld(?:\.\w+)?: (?:error: (.+)|(?:(\S+?): )?((?:undefined|cannot find|unrecognized option) .+))$/;
/** With its place, the linker's name may be missing. */
const PLACED =
  /^(?:(?:\S*\/)?(?:[\w.]+-)*ld(?:\.\w+)?: )?(\S+?):(?:(\d+)|\([^()]*\)): ((?:undefined reference to|multiple definition of) .*)$/;

function linkerError(line: string): LogError | undefined {
  const placed = PLACED.exec(line);
  if (placed) return source(placed[1], Number(placed[2] ?? 0), placed[3]);
  const linker = LINKER.exec(line);
  return linker ? source(linker[2], 0, linker[1] ?? linker[3]) : undefined;
}

/** What stops a build, mostly: a tool that goes on, or a script that does not mind, says the same. */
const LESSER = anyOf(
  /^(?:\S*\/)?(?:cp|mv|ln|install|strip|objcopy|patch|sign-file): .*: No such file or directory$/,
  /^depmod: (?:FATAL|ERROR): |^FATAL: |^ERROR: Kernel configuration is invalid|^patch: \*{4} /,
  /^cc1(?:plus)?: (?:all|some) warnings being treated as errors$/,
  /^(?:error: patch failed: .+|error: \S+: patch does not apply|can't find file to patch at input line \d+)$/,
);
const HUNK =
  /^(?:Hunk #\d+ FAILED at .+|\d+ out of \d+ hunks? FAILED(?: -- saving rejects to file (.+)\.rej)?)$/;
/** A folder that is no kernel's, or one without what every kernel's has. */
const ELSEWHERE = new RegExp(
  `${KERNEL_FOLDER}/?(?:Makefile|Module\\.symvers|\\.config|include/(?:config|generated)/[\\w.-]{1,64})?['’]?: No such file or directory\\.?$`,
);
const NO_RULE = new RegExp(`^make(?:\\[\\d+\\])?: \\*\\*\\* No rule to make target ['\`]${KERNEL_FOLDER}`);
/** As rpm answers a spec file that asks for it. */
const NO_PACKAGE = /^package (kernel-\S+-\d\S*) is not installed$/;

function lesserError(line: string, before: string): LogError | undefined {
  const kernel = ELSEWHERE.exec(line)?.[1] ?? NO_RULE.exec(line)?.[1] ?? NO_PACKAGE.exec(line)?.[1];
  if (kernel) return nowhere('dependency', line.trim(), kernel);
  const hunk = HUNK.exec(line);
  if (hunk) return source(hunk[1] ?? /^patching file (.+)$/.exec(before)?.[1], 0, line);
  return LESSER.test(line) ? nowhere('source', line.replace(/^error: /, '')) : undefined;
}

/** The kernel's headers, as kbuild names them. */
const HEADER =
  /^(?:\/usr\/src\/\S+\/|\/lib\/modules\/\S+\/|\.\/)?(?:source\/)?(?:arch\/\w+\/)?include\/(?:uapi\/)?(?:linux|net|asm|asm-generic|drm|crypto|scsi|rdma|sound|trace|media|generated)\//;

/** What the kernel's headers say is mostly about a line of the kmod: the kmod's own lines come first. */
const ownFirst = (errors: readonly LogError[]): LogError[] =>
  errors.toSorted((a, b) => Number(HEADER.test(a.file)) - Number(HEADER.test(b.file)));

const MAKE = /^make(?:\[\d+\])?: \*\*\* (.+)$/;
const BAD_EXIT = /^error: (Bad exit status from .+)$/;
/** Lines that explain no failure: the shell's commands, make's and kbuild's progress, rpmbuild's. */
const NO_WORDS =
  /^\+|^make(?:\[\d+\])?: (?!\S+: (?:No such file|Command not found))|^ninja: build stopped|^\s+[A-Z][A-Z0-9_]*(?:\s|$)|^(?:Executing|Building|Processing|RPM_EC|warning)\b/;

/**
 * The package's own build failed, and no tool that is known says why: told are the last words before that. Where make
 * gave up, those are the words before it, or its own: its other jobs go on.
 */
function createLastWords(): Parser {
  let words = '';
  let make = '';
  return (line, before) => {
    const made = MAKE.exec(line)?.[1];
    const end = BAD_EXIT.exec(line)?.[1];
    if (line.startsWith('Executing(%')) words = make = '';
    else if (before === 'RPM build errors:' && /^ +\S/.test(line) && !/^ +Bad exit status /.test(line))
      return nowhere('source', line.trim());
    else if (made && !make) {
      make = made;
      if (!/\] Error \d+$/.test(made)) words = made;
    } else if (end && /\(%(?:prep|conf|build|install|check)\)$/.test(end))
      return nowhere('source', words || make || end);
    else if (!make && !NO_WORDS.test(line)) words = line.trim();
    return undefined;
  };
}

/** Last resort: what make or rpmbuild say after somebody else's failure. */
function outcomeLine(line: string): LogError | undefined {
  const said = MAKE.exec(line)?.[1] ?? BAD_EXIT.exec(line)?.[1];
  return said ? nowhere('outcome', said) : undefined;
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
export const QUOTES = '\'‘’"`“”„«»「」';
export const QUOTED = `[${QUOTES}]\\s?([^${QUOTES}]+?)\\s?[${QUOTES}]`;

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
export const FOREIGN = /[^\p{ASCII}‘’]/u;
const ANY_NAME = new RegExp(`[${QUOTES}]\\s?(?!(?:struct|union|int|void)\\b)(\\w+)\\s?[${QUOTES}]`);

function nameIn(message: string): string | undefined {
  for (const pattern of [...NAMED, ...NAMED_BARE, ...(FOREIGN.test(message) ? [ANY_NAME] : [])]) {
    const name = pattern.exec(message)?.[1]?.replace(/^(?:const )?(?:struct|union|enum) /, '');
    if (name && /^[\w./+-]+$/.test(name)) return name;
  }
  return undefined;
}

/**
 * The kmod's line, of a macro that a header has. Where the name stands: a field's initializer; where clang shows the function.
 * Where rustc's error is. A text's rest.
 */
const FOLLOWERS: readonly Follower[] = [
  {
    of: new RegExp(`${HEADER.source}\\S+?: (?:fatal )?error: `),
    lines: 16,
    always: true,
    add({ file, line: at, ...error }, line) {
      const [, path = '', number] = /^([^\s:]+):(\d+):\d+: note: in expansion of macro /.exec(line) ?? [];
      if (!path || HEADER.test(path)) return undefined;
      return {
        ...error,
        file: path.replace(BUILD_DIR, ''),
        line: Number(number),
        message: `${error.message} (${file}:${at})`,
      };
    },
  },
  named(/: .*initializ/, /^\s*(?:\d+ \|)?\s*\.(\w+)\s*=|near initialization for \S*\.(\w+)\S\)$/),
  named(/arguments to function call/, /: note: '(\w+)' declared here$/),
  {
    of: /^error\[E\d+\]: /,
    lines: 2,
    add(error, line) {
      const place = RUST_PLACE.exec(line);
      return place ? source(place[1], Number(place[2]), error.message) : undefined;
    },
  },
  {
    of: /^(?:configure: error:|error: Installed|ERROR: Kernel configuration|CMake Error at )/,
    lines: 8,
    isText: true,
    add(error, line) {
      const more = /^\s+(?:\*{3} *)?(.*)$/.exec(line)?.[1];
      return more === undefined ? undefined : { ...error, message: `${error.message} ${more}`.trim() };
    },
  },
];

function named(of: RegExp, name: RegExp): Follower {
  const add = (error: LogError, line: string) => {
    const found = name.exec(line);
    const identifier = found?.[1] ?? found?.[2];
    return identifier ? { ...error, identifier } : undefined;
  };
  return { of, lines: 4, add };
}

// ------------------------------------------------------------------------------------------------- root.log

/** `DEBUG util.py:461:  `, as mock's logging puts it before each line of a command. */
const LOGGED = /^[A-Z]+ \w+\.py:(?:\d+:)?\s*/;
const unlogged = (line: string): string => line.replace(LOGGED, '').trim();

/** dnf and yum gave up on a repository or a package of it, or went on without the repository. */
const REPO =
  /Failed to (?:download (?:metadata|packages|files)|synchronize cache)|Ignoring repositories: |Error downloading packages|Cannot (?:retrieve|find) .*(?:metadata|mirrorlist|baseurl)|Cannot prepare internal mirrorlist|No more mirrors to try|All mirrors were (?:already )?tried|Failed to load repositories|needs \d+\S* more space on the \S+ filesystem|more space needed on the /i;
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
  /^No package (.+) available\.?$/i,
  /^No provider of '(.+)' found\.?$/,
  /^No package matches '(.+)'$/,
  /^(.+) is needed by \S+$/,
  /^nothing provides (?:requested )?'?(.+?)'?(?: needed by .+)?$/,
  /^package (\S+) (?:from \S+ )?(?:is filtered out by (?:exclude|modular) filtering|is not installable|does not have a compatible architecture)$/,
  /^cannot install both (\S+ .*?\band \S+)(?: from \S+)?$/,
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
