/**
 * An rpm file (rpm: docs/manual/format_v4.md) with files in it: what a file server has, for those who read more of a kernel
 * than the hub tells. Nothing is signed.
 */
import { gzipSync } from 'node:zlib';
import type { Rpm } from './state.ts';

export interface PackedFile {
  readonly path: string;
  readonly data: Uint8Array;
}

type Value =
  | { readonly type: 'int16' | 'int32'; readonly values: readonly number[] }
  | { readonly type: 'string' | 'strings'; readonly values: readonly string[] };

/** rpm's types of header entries, and at which multiples each stands. */
const TYPES = {
  int16: { code: 3, size: 2 },
  int32: { code: 4, size: 4 },
  string: { code: 6, size: 1 },
  strings: { code: 8, size: 1 },
} as const;

const one = (text: string): Value => ({ type: 'string', values: [text] });
const many = (type: 'int16' | 'int32', values: readonly number[]): Value => ({ type, values });

const FILE_MODE = 0o100644;
const LEAD_SIZE = 96;

/** The bytes of an rpm. */
export function writeRpm(
  { name, version, release, arch }: Pick<Rpm, 'name' | 'version' | 'release' | 'arch'>,
  files: readonly PackedFile[],
): Buffer {
  const folders = files.map(({ path }) => path.slice(0, path.lastIndexOf('/') + 1));
  const dirs = [...new Set(folders)];
  const header = writeHeader([
    [1000, one(name)],
    [1001, one(version)],
    [1002, one(release)],
    [1022, one(arch)],
    ...(files.length > 0 ? filesOf(files, folders, dirs) : []),
    [1124, one('cpio')],
    [1125, one('gzip')],
  ]);
  const lead = Buffer.alloc(LEAD_SIZE);
  lead.writeUInt32BE(0xedabeedb, 0);
  lead.writeUInt8(3, 4);
  lead.write(`${name}-${version}-${release}`.slice(0, 65), 10);
  lead.writeUInt16BE(5, 78);
  const payload = gzipSync(cpioOf(files), { level: 1 });
  // SIGSIZE, without which rpm takes it for no rpm; what follows begins at a multiple of 8.
  const signature = writeHeader([[1000, many('int32', [header.length + payload.length])]]);
  const gap = Buffer.alloc((8 - (signature.length % 8)) % 8);
  return Buffer.concat([lead, signature, gap, header, payload]);
}

/** FILESIZES, FILEMODES, FILEFLAGS, FILEINODES, DIRINDEXES, BASENAMES, DIRNAMES. */
const filesOf = (
  files: readonly PackedFile[],
  folders: readonly string[],
  dirs: readonly string[],
): [number, Value][] => [
  [
    1028,
    many(
      'int32',
      files.map(({ data }) => data.length),
    ),
  ],
  [
    1030,
    many(
      'int16',
      files.map(() => FILE_MODE),
    ),
  ],
  [
    1037,
    many(
      'int32',
      files.map(() => 0),
    ),
  ],
  [
    1096,
    many(
      'int32',
      files.map((_, i) => i + 1),
    ),
  ],
  [
    1116,
    many(
      'int32',
      folders.map((folder) => dirs.indexOf(folder)),
    ),
  ],
  [1117, { type: 'strings', values: files.map(({ path }) => path.slice(path.lastIndexOf('/') + 1)) }],
  [1118, { type: 'strings', values: dirs }],
];

/** Tags must come in their order. */
function writeHeader(entries: readonly (readonly [tag: number, Value])[]): Buffer {
  const index: Buffer[] = [];
  const store: Buffer[] = [];
  let at = 0;
  for (const [tag, { type, values }] of entries) {
    const { code, size } = TYPES[type];
    const padding = (size - (at % size)) % size;
    const data = Buffer.concat(values.map((value) => bytesOf(value, size)));
    const entry = Buffer.alloc(16);
    for (const [i, number] of [tag, code, at + padding, values.length].entries())
      entry.writeUInt32BE(number, 4 * i);
    index.push(entry);
    store.push(Buffer.alloc(padding), data);
    at += padding + data.length;
  }
  const intro = Buffer.from('8eade801000000000000000000000000', 'hex');
  intro.writeUInt32BE(index.length, 8);
  intro.writeUInt32BE(at, 12);
  return Buffer.concat([intro, ...index, ...store]);
}

function bytesOf(value: string | number, size: number): Buffer {
  if (typeof value === 'string') return Buffer.from(`${value}\0`);
  const bytes = Buffer.alloc(size);
  bytes.writeUIntBE(value, 0, size);
  return bytes;
}

/** The archive in it (cpio's `newc`), which names files from `.` on. */
function cpioOf(files: readonly PackedFile[]): Buffer {
  const entry = (path: string, data: Uint8Array, inode: number, mode: number) => {
    const name = `${path}\0`;
    const numbers = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length, 0];
    const head = `070701${numbers.map((number) => number.toString(16).padStart(8, '0')).join('')}${name}`;
    return [Buffer.from(head), padding(head.length), data, padding(data.length)];
  };
  return Buffer.concat([
    ...files.flatMap(({ path, data }, i) => entry(`.${path}`, data, i + 1, FILE_MODE)),
    ...entry('TRAILER!!!', new Uint8Array(0), 0, 0),
  ]);
}

const padding = (length: number): Buffer => Buffer.alloc((4 - (length % 4)) % 4);
