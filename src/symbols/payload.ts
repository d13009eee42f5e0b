/** Single files out of an rpm's payload, which is never unpacked as a whole: those of kernels have hundreds of megabytes. */
import { createGunzip } from 'node:zlib';
import { SymbolFileError } from '../kabi/error.ts';
import { bytesOf } from './bytes.ts';
import { CPIO_HEADER_SIZE, CPIO_TRAILER, cpioHeaders, padded, STRIPPED_SIZE } from './cpio.ts';
import { type RpmFile, readRpm, readRpmFiles } from './rpm.ts';
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
 * The wanted files of an rpm, in their order. What is not asked for after one is not unpacked, and nothing where the header
 * has none of them.
 * @param data the whole rpm
 * @param file the name to blame in errors
 * @param isWanted by name, of regular files that are not empty
 * @throws SymbolFileError
 */
export async function* filesOfRpm(
  data: Uint8Array,
  file: string,
  isWanted: (name: string) => boolean,
): AsyncGenerator<PayloadFile> {
  const { payload } = readRpm(data, file);
  const inside = `${file}: payload`;
  const packed = data.subarray(payload.offset);
  if (packed.length === 0)
    throw new SymbolFileError(file, { offset: data.length }, 'it has no payload', WHOLE);
  const files = readRpmFiles(data, file);
  if (!files.some(({ path }) => isWanted(path))) return;
  const archive = createArchive(unpackInParts(packed, inside, payload.compressor), inside, files);
  try {
    for (;;) {
      const { name, kind, size, isLast } = await archive.next();
      if (isLast) return;
      if (kind === 'file' && size > 0 && isWanted(name)) yield { name, data: await archive.take(size) };
      else await archive.skip(size);
    }
  } finally {
    await archive.close();
  }
}

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

/** How much is handed to a decoder at once. */
const PART = 256 * 1024;

function unpackInParts(data: Uint8Array, file: string, compressor: string): AsyncGenerator<Uint8Array> {
  const packing = packingOf(data);
  if (packing === 'gzip') return gunzipInParts(data, file);
  if (packing === 'zstd') return unzstdInParts(data, file);
  if (packing === 'xz') return unxzInParts(data, file);
  const mend = 'unpack it by rpm2cpio and cpio, and name the files';
  throw new SymbolFileError(file, { offset: 0 }, `it is compressed by ${compressor}`, mend);
}

function* inParts(data: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < data.length; at += PART) yield data.subarray(at, at + PART);
}

/** With backpressure: the stream is given a part when it has given what it made of the last ones. */
async function* gunzipInParts(data: Uint8Array, file: string): AsyncGenerator<Uint8Array> {
  const { Readable } = await import('node:stream');
  const stream = Readable.from(inParts(data), { objectMode: false }).pipe(createGunzip());
  try {
    for await (const part of stream) yield part as Buffer;
  } catch (error) {
    throw bytesOf(data, file, 'little').fail(
      0,
      `damaged or cut short gzip data (${(error as Error).message})`,
    );
  } finally {
    stream.destroy();
  }
}

/** libzstd says nothing where data are damaged, but then makes nothing of them either. */
const SILENT_MAX = 1000;

async function* unzstdInParts(data: Uint8Array, file: string): AsyncGenerator<Uint8Array> {
  const { fail } = bytesOf(data, file, 'little');
  const { ZSTDDecoder } = await import('zstddec/stream');
  const decoder = new ZSTDDecoder();
  await decoder.init();
  let silent = 0;
  let given = 0;
  const input = function* () {
    for (const part of inParts(data)) {
      yield part;
      given += part.length;
    }
  };
  try {
    for (const part of decoder.decodeStreaming(input())) {
      silent = part.length === 0 ? silent + 1 : 0;
      if (silent > SILENT_MAX) throw fail(given, 'damaged zstd data');
      if (part.length > 0) yield part;
    }
  } catch (error) {
    if (error instanceof SymbolFileError) throw error;
    throw fail(data.length, 'the zstd data are cut short');
  }
}

async function* unxzInParts(data: Uint8Array, file: string): AsyncGenerator<Uint8Array> {
  const { unxzInParts: parts } = await import('./xz.ts');
  yield* parts(data, file);
}
