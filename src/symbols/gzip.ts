/** gzip files, by node:zlib. */
import { crc32, gunzipSync, inflateRawSync } from 'node:zlib';
import { SymbolFileError } from '../kabi/error.ts';
import { type Bytes, bytesOf } from './bytes.ts';

/**
 * @param file the name to blame in errors
 * @param limit most bytes to unpack to: beyond it nothing more is unpacked
 * @param first only the first member, whatever follows it
 * @throws SymbolFileError; zlib does not tell where data are damaged
 */
export function gunzip(data: Uint8Array, file: string, limit: number, first = false): Uint8Array {
  try {
    if (first) return gunzipFirst(data, file, limit);
    return gunzipSync(data, { maxOutputLength: limit });
  } catch (error) {
    if (error instanceof SymbolFileError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const { fail, size } = bytesOf(data, file, 'little');
    if (code === 'ERR_BUFFER_TOO_LARGE') throw fail(0, `more than ${limit} bytes when unpacked`);
    const place = code === 'Z_BUF_ERROR' ? size : 0;
    throw fail(place, `damaged or cut short gzip data (${message})`);
  }
}

/** node:zlib takes what follows a member for another one, so the header and the checksum are read here (RFC 1952). */
function gunzipFirst(data: Uint8Array, file: string, limit: number): Uint8Array {
  const bytes = bytesOf(data, file, 'little');
  const start = endOfHeader(bytes);
  // With `info`, which its types do not know.
  const inflated: unknown = inflateRawSync(data.subarray(start), { maxOutputLength: limit, info: true });
  const { buffer, engine } = inflated as { buffer: Buffer; engine: { bytesWritten: number } };
  const end = start + engine.bytesWritten;
  if (crc32(buffer) !== bytes.u32(end)) throw bytes.fail(end, 'the checksum of gzip data does not fit');
  return buffer;
}

const FLAG = { CRC: 2, EXTRA: 4, NAME: 8, COMMENT: 16 } as const;

function endOfHeader(bytes: Bytes): number {
  const flags = bytes.u8(3);
  if (bytes.u8(2) !== 8 || flags > 31) throw bytes.fail(2, 'no gzip header');
  let at = 10;
  if (flags & FLAG.EXTRA) at += 2 + bytes.u16(at);
  for (const flag of [FLAG.NAME, FLAG.COMMENT]) if (flags & flag) at += bytes.string(at, 4096).length + 1;
  return flags & FLAG.CRC ? at + 2 : at;
}
