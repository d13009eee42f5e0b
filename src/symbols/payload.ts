/** Single files out of an rpm's payload, which is never unpacked as a whole: those of kernels have hundreds of megabytes. */
import { createGunzip } from 'node:zlib';
import { SymbolFileError } from '../kabi/error.ts';
import { bytesOf, DAMAGED } from './bytes.ts';
import { CPIO_HEADER_SIZE, CPIO_TRAILER, cpioHeaders, padded, STRIPPED_SIZE } from './cpio.ts';
import { RPM_MAGIC, type RpmFile, readRpm, readRpmFiles, sizeOfHeaders } from './rpm.ts';
import { bytesFrom, PART, partsOfSource, type Source, sourceWithin } from './source.ts';
import { packingOf } from './unpack.ts';

export interface PayloadFile {
  /** As the archive has it: `./lib/modules/5.14.0-70.el9.x86_64/vmlinuz`; without the dot in rpm's format 6. */
  readonly name: string;
  readonly data: Buffer;
}

/** Most bytes of a payload that are gone through: those of the largest kernels have one billion. */
const PAYLOAD_MAX = 4 * 1024 ** 3;
/** Most bytes of one file: a vmlinux with all it has is half as large. */
const FILE_MAX = 256 * 1024 * 1024;

/**
 * The wanted files of an rpm, in their order. What is not asked for after one, and what is behind the last of them, is
 * neither read nor unpacked.
 * @param isWanted by name, of regular files that are not empty
 * @throws SymbolFileError
 */
export async function* filesOfRpm(
  rpm: Source,
  isWanted: (name: string) => boolean,
): AsyncGenerator<PayloadFile> {
  const headers = await headersOfRpm(rpm);
  const { payload } = readRpm(headers, rpm.file);
  const files = readRpmFiles(headers, rpm.file);
  let missing = files.filter(({ path, size, isGhost }) => size > 0 && !isGhost && isWanted(path)).length;
  if (missing === 0) return;
  const packed = sourceWithin(rpm, payload.offset, `${rpm.file}: payload`);
  const archive = createArchive(unpackInParts(packed, payload.compressor), packed.file, files);
  try {
    for (;;) {
      const { name, kind, size, isLast } = await archive.next();
      if (isLast) return;
      if (kind === 'file' && size > 0 && isWanted(name)) {
        yield { name, data: await archive.take(size) };
        if (--missing === 0) return;
      } else await archive.skip(size);
    }
  } finally {
    await archive.close();
  }
}

/** The headers of an rpm, which tell all but its files' content. Throws SymbolFileError of what is no rpm. */
export async function headersOfRpm(rpm: Source): Promise<Uint8Array> {
  for (let wanted = PART; ; ) {
    const bytes = await bytesFrom(rpm, 0, wanted, 'big');
    if (bytes.u32(0) !== RPM_MAGIC) throw bytes.fail(0, 'no rpm', WHOLE);
    const upTo = (offset: number, length: number) =>
      bytes.slice(Math.min(offset, bytes.size), Math.max(0, Math.min(length, bytes.size - offset)));
    const size = sizeOfHeaders(upTo);
    if (size + HEADER_INTRO <= wanted) return upTo(0, size);
    wanted = size + HEADER_INTRO;
  }
}

/** What of a header tells its size. */
const HEADER_INTRO = 16;

const WHOLE = 'fetch the whole rpm';

// ---- the archive ------------------------------------------------------------------------------------

/** A cpio archive that comes in parts. */
function createArchive(parts: AsyncGenerator<Uint8Array>, file: string, files: readonly RpmFile[]) {
  const { readHeader, readStripped } = cpioHeaders(file, files);
  let held: Uint8Array = new Uint8Array(0);
  /** Of the archive: where `held` begins. */
  let at = 0;
  const more = async (): Promise<Uint8Array> => {
    const { value, done } = await parts.next();
    if (done) throw bytesOf(held, file, 'little').fail(at + held.length, 'the cpio archive ends too early');
    if (at + held.length > PAYLOAD_MAX)
      throw new SymbolFileError(file, { offset: at }, `more than ${PAYLOAD_MAX} bytes when unpacked`, WHOLE);
    return value;
  };
  const take = async (size: number): Promise<Buffer> => {
    if (size > FILE_MAX) throw new SymbolFileError(file, { offset: at }, `a file of ${size} bytes`, WHOLE);
    const taken: Uint8Array[] = [];
    let missing = size;
    while (missing > 0) {
      if (held.length === 0) held = await more();
      const part = held.subarray(0, missing);
      // A part is good until the next one comes.
      taken.push(Uint8Array.from(part));
      missing -= part.length;
      at += part.length;
      held = held.subarray(part.length);
    }
    return Buffer.concat(taken, size);
  };
  const skip = async (size: number): Promise<void> => {
    for (let missing = size; missing > 0; ) {
      if (held.length === 0) held = await more();
      const length = Math.min(missing, held.length);
      held = held.subarray(length);
      at += length;
      missing -= length;
    }
  };
  return {
    take,
    skip,
    /** Go on to the next entry, behind whatever was taken of the last. */
    async next() {
      await skip(padded(at) - at);
      const start = at;
      const first = await take(STRIPPED_SIZE);
      const stripped = readStripped(first, start);
      if (stripped) {
        await skip(padded(at) - at);
        return { ...stripped, isLast: false };
      }
      const others = await take(CPIO_HEADER_SIZE - STRIPPED_SIZE);
      const { nameSize, ...entry } = readHeader(Buffer.concat([first, others]), start);
      const name = (await take(nameSize)).toString('latin1').replace(/\0.*$/s, '');
      await skip(padded(at) - at);
      return { ...entry, name, isLast: name === CPIO_TRAILER };
    },
    close: () => parts.return(undefined),
  };
}

// ---- unpacking in parts -----------------------------------------------------------------------------

async function* unpackInParts(source: Source, compressor: string): AsyncGenerator<Uint8Array> {
  const { data, start } = await source.from(0, BEGINNING);
  const packed = data.subarray(-start);
  if (packed.length === 0) throw new SymbolFileError(source.file, { offset: 0 }, 'it has no payload', WHOLE);
  const packing = packingOf(packed.subarray(0, BEGINNING));
  if (packing === 'gzip') yield* gunzipInParts(source);
  else if (packing === 'zstd') yield* unzstdInParts(source);
  else if (packing === 'xz') {
    const { unxzInParts } = await import('./xz.ts');
    yield* unxzInParts(source);
  } else {
    const mend = 'unpack it by rpm2cpio and cpio, and name the files';
    throw new SymbolFileError(source.file, { offset: 0 }, `it is compressed by ${compressor}`, mend);
  }
}

/** What tells how something is packed. */
const BEGINNING = 64;

const damaged = ({ file }: Source, offset: number, problem: string) =>
  new SymbolFileError(file, { offset }, problem, DAMAGED);

/** With backpressure: the stream is given a part when it has given what it made of the last ones. */
async function* gunzipInParts(source: Source): AsyncGenerator<Uint8Array> {
  const { pipeline, Readable } = await import('node:stream');
  const input = Readable.from(partsOfSource(source), { objectMode: false });
  const stream = createGunzip();
  // What goes wrong on either side is thrown where the parts are taken.
  pipeline(input, stream, () => undefined);
  try {
    for await (const part of stream) yield part as Buffer;
  } catch (error) {
    const isZlibs = (error as NodeJS.ErrnoException).code?.startsWith('Z_');
    if (!isZlibs) throw error;
    throw damaged(source, 0, `damaged or cut short gzip data (${(error as Error).message})`);
  } finally {
    stream.destroy();
  }
}

/** libzstd says nothing where data are damaged, but then makes nothing of them either. */
const SILENT_MAX = 1000;

/** The decoder takes no more than one part for each that it gives: so the next one is fetched before it is asked on. */
async function* unzstdInParts(source: Source): AsyncGenerator<Uint8Array> {
  const { ZSTDDecoder } = await import('zstddec/stream');
  const decoder = new ZSTDDecoder();
  await decoder.init();
  const parts = partsOfSource(source);
  const ready: Uint8Array[] = [];
  const input = function* () {
    for (let part = ready.shift(); part; part = ready.shift()) yield part;
  };
  const output = decoder.decodeStreaming(input());
  let silent = 0;
  for (let given = 0; ; ) {
    const fetched = ready.length === 0 ? await parts.next() : null;
    if (fetched && !fetched.done) {
      ready.push(fetched.value);
      given += fetched.value.length;
    }
    const made = nextOrNull(output);
    if (!made) throw damaged(source, given, 'the zstd data are cut short');
    if (made.done) return;
    silent = made.value.length === 0 ? silent + 1 : 0;
    if (silent > SILENT_MAX) throw damaged(source, given, 'damaged zstd data');
    if (made.value.length > 0) yield made.value;
  }
}

/** The decoder throws an Error of its own where its input ends too early; null then. */
function nextOrNull(output: Iterator<Uint8Array>): IteratorResult<Uint8Array> | null {
  try {
    return output.next();
  } catch {
    return null;
  }
}
