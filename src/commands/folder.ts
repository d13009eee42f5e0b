/** Folders as people have them: which of their files may tell symbols, and what the others are. */

import { closeSync, openSync, readdirSync, readSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { readBytes } from '../files/read.ts';
import { SymbolFileError } from '../kabi/error.ts';
import { KERNEL_FILE } from '../symbols/image.ts';
import { readSymbolFile, type SymbolFile } from '../symbols/read.ts';
import { RPM_MAGIC, sizeOfHeaders } from '../symbols/rpm.ts';

/** What holds no symbols that count here: one and several of it. */
export const KINDS = {
  source: ['source rpm', 'source rpms'],
  debuginfo: ['debuginfo rpm', 'debuginfo rpms'],
  devel: ['devel rpm', 'devel rpms'],
  noarch: ['noarch rpm', 'noarch rpms'],
  silent: ['rpm without symbols', 'rpms without symbols'],
  kmod: ['kmod', 'kmods'],
  kernel: ["kernel's rpm", "kernel's rpms"],
  arch: ['rpm for another architecture', 'rpms for other architectures'],
  variant: ['rpm of another variant', 'rpms of other variants'],
  build: ['build that is no kmod', 'builds that are no kmods'],
  own: ["module of the kernel's own", "modules of the kernel's own"],
  foreign: ["module that is not the kernel's own", "modules that are not the kernel's own"],
  lists: ['list of symbols', 'lists of symbols'],
  logs: ['log', 'logs'],
  repodata: ['file of repodata', 'files of repodata'],
  conf: ['configuration file', 'configuration files'],
  links: ['link that leads nowhere', 'links that lead nowhere'],
  other: ['other file', 'other files'],
} as const;
export type Kind = keyof typeof KINDS;

/** What was found below a folder. */
export interface Found {
  readonly files: readonly SymbolFile[];
  readonly passed: readonly Kind[];
  readonly unread: readonly Unread[];
  /** It is `/lib/modules/VERSION`, or has one: where the kernel's own modules are. */
  readonly trees: readonly string[];
  /** One of the kernel's own modules of each, where a symvers tells what all export: what it was built for. */
  readonly samples: readonly SymbolFile[];
}

/** A file that should tell symbols, and cannot be read. */
export interface Unread {
  readonly file: string;
  /** In words, the file's name too. */
  readonly problem: string;
}

const PACKED = String.raw`(\.(gz|xz|zst|bz2|lzma))?$`;
/** What names promise to hold symbols: where such a file cannot be read, that is told. */
const PROMISING = new RegExp(
  String.raw`\.rpm$|\.ko${PACKED}|(^|/)(symvers(-[^/]*?)?|Module\.(symvers|kabi_[^/]+?)|[^/]+\.(symvers|modversions)|kabi_(stable|white)list_[^/]+?)${PACKED}`,
);
const MODULE = new RegExp(String.raw`\.ko${PACKED}`);
const SYMVERS = new RegExp(String.raw`(^|/)(symvers(-[^/]*?)?|[^/]*\.symvers)${PACKED}`);
const NAMES: readonly (readonly [RegExp, Kind])[] = [
  [/(^|\/)repodata\//, 'repodata'],
  [new RegExp(String.raw`\.log${PACKED}`), 'logs'],
  [/\.conf$/, 'conf'],
  [/\.debug$/, 'other'],
];
/** What depmod and kbuild leave in `/lib/modules/VERSION`. */
const OF_TREE: ReadonlySet<string> = new Set(['modules.order', 'modules.builtin', 'modules.dep']);
/** Largest file of which no name tells what it is that is looked into. */
const GUESS_MAX = 16 * 1024 * 1024;

/**
 * Read all below a folder that may tell symbols. What cannot be read stops nothing.
 * @param wanted `own`: the kernel's own modules even where a symvers tells what they export; `image`: the kernel's own file
 * (vmlinuz) too, unless a symvers tells what it exports and `own` is not wanted: it takes long to unpack
 */
export async function readFolder(
  folder: string,
  { own, image }: { readonly own: boolean; readonly image: boolean },
): Promise<Found> {
  const { paths, dead, closed } = walk(folder);
  const trees = [...new Set(paths.filter((path) => OF_TREE.has(basename(path))).map(dirname))];
  const told = !own && paths.some((path) => SYMVERS.test(path) && !isWithin(path, trees));
  const files: SymbolFile[] = [];
  const passed: Kind[] = dead.map(() => 'links');
  const unread: Unread[] = [...closed];
  const samples = new Map<string, SymbolFile>();
  for (const path of paths) {
    const inside = relative(folder, path);
    const kind = NAMES.find(([name]) => name.test(inside))?.[1];
    if (kind) passed.push(kind);
    else if (told && MODULE.test(inside) && isOwn(path, trees)) {
      passed.push('own');
      const tree = trees.find((it) => isOwn(path, [it])) ?? '';
      const sample = samples.has(tree) ? null : await readFile(path).catch(unlessBroken);
      if (sample) samples.set(tree, sample);
    } else {
      const promised = PROMISING.test(inside);
      const isImage = image && !told && KERNEL_FILE.test(inside);
      try {
        const file = await readFile(path, promised || isImage);
        // What is a module by its content alone is on the way to one: `foo.o` of a build.
        if (file && (promised || file.format !== 'module')) files.push(file);
        else passed.push('other');
      } catch (error) {
        if (promised || !(error instanceof SymbolFileError))
          unread.push({ file: path, problem: problemOf(error, path) });
        else passed.push('other');
      }
    }
  }
  return { files, passed, unread, trees, samples: [...samples.values()] };
}

/** One that cannot be read is not missed: another tells the same. */
function unlessBroken(error: unknown): null {
  problemOf(error, '');
  return null;
}

/** Whether a module is one of the kernel itself, and not one that somebody added. */
export const isOwn = (path: string, trees: readonly string[]): boolean =>
  trees.some((tree) => path.startsWith(join(tree, 'kernel', '/')));

/** Whether a file is deeper in such a tree than what the kernel itself leaves there. */
export const isWithin = (path: string, trees: readonly string[]): boolean =>
  trees.some((tree) => path.startsWith(join(tree, '/')) && dirname(path) !== tree);

/** What to say of an error of reading; throws what is none. */
export function problemOf(error: unknown, path: string): string {
  if (error instanceof SymbolFileError) return error.message;
  if (error instanceof Error && 'code' in error) return `${path}: cannot be read: ${error.message}`;
  throw error;
}

/**
 * All files below a folder, sorted. Links to files count, as weak-updates has them, and links to folders, but for `build`
 * and `source` of /lib/modules/VERSION, which lead to a kernel's sources. No folder is gone through twice.
 */
function walk(top: string): { paths: string[]; dead: string[]; closed: Unread[] } {
  const [paths, dead, closed]: [string[], string[], Unread[]] = [[], [], []];
  const known = new Set([realpathSync(top)]);
  const folders = [top];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    try {
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        const path = join(folder, entry.name);
        const stat = statSync(path, { throwIfNoEntry: false });
        if (!stat) dead.push(path);
        else if (stat.isFile()) paths.push(path);
        else if (stat.isDirectory() && !(entry.isSymbolicLink() && /^(build|source)$/.test(entry.name))) {
          const real = realpathSync(path);
          if (!known.has(real)) folders.push(path);
          known.add(real);
        }
      }
    } catch (error) {
      closed.push({ file: folder, problem: problemOf(error, folder) });
    }
  }
  return { paths: paths.sort(), dead, closed };
}

/**
 * Read a file as far as its symbols need it.
 * @param promised whether its name says what it is; else it is only read where its first bytes do
 * @returns null where nothing speaks for symbols
 * @throws SymbolFileError, and what the system says
 */
export async function readFile(path: string, promised = true): Promise<SymbolFile | null> {
  const stat = statSync(path);
  // A pipe has no size: it is read to its end.
  if (!stat.isFile()) return readSymbolFile(bytesOfPipe(path), path);
  const handle = openSync(path, 'r');
  try {
    const read = (offset: number, length: number) => {
      const buffer = Buffer.alloc(Math.max(0, Math.min(length, stat.size - offset)));
      return buffer.subarray(0, readSync(handle, buffer, 0, buffer.length, offset));
    };
    const head = read(0, 512);
    const isRpm = head.length >= 4 && head.readUInt32BE(0) === RPM_MAGIC;
    if (!promised && !isRpm && (stat.size > GUESS_MAX || !mayTell(head))) return null;
    if (stat.size > FILE_MAX)
      throw new SymbolFileError(
        path,
        null,
        'it is larger than 2 GiB',
        'name the kernel, module or rpm itself',
      );
    return await readSymbolFile(read(0, isRpm ? sizeOfHeaders(read) : stat.size), path, () =>
      read(0, stat.size),
    );
  } finally {
    closeSync(handle);
  }
}

function bytesOfPipe(path: string): Buffer {
  try {
    return readBytes(path, PIPE_MAX);
  } catch (error) {
    if (error instanceof Error && 'code' in error) throw error;
    throw new SymbolFileError(path, null, (error as Error).message, 'name a file');
  }
}

/** Most bytes of a file: a kernel with all that a debugger wants has half of it. And of a pipe, which is held as it grows. */
const FILE_MAX = 2 * 1024 ** 3;
const PIPE_MAX = 256 * 1024 ** 2;

/** How files begin that may tell symbols: gzip, xz, zstd, bzip2, lzma and types (BTF) in hexadecimal, and lists. */
const MAGIC = /^(1f8b|fd377a58|28b52ffd|425a68|5d0000|9feb01|eb9f01)/;
const TELLING = /^(0x[0-9a-f]+\t|\[\S+\]\r?\n\s+\S+\r?\n)/i;
const mayTell = (head: Buffer): boolean =>
  MAGIC.test(head.toString('hex', 0, 4)) || TELLING.test(head.toString('latin1'));

/** `3 debuginfo rpms, 2 logs`, the most first. */
export function countText(passed: readonly Kind[]): string {
  return Object.entries(countKinds(passed))
    .map(([kind, count]) => `${count} ${KINDS[kind as Kind][count === 1 ? 0 : 1]}`)
    .join(', ');
}

/** How many of each kind, the most first. */
export function countKinds(passed: readonly Kind[]): Partial<Record<Kind, number>> {
  const kinds = Object.keys(KINDS) as Kind[];
  const counts = kinds.map((kind) => [kind, passed.filter((it) => it === kind).length] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]));
}
