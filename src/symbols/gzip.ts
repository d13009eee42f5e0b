/** gzip files, by node:zlib. */
import { gunzipSync } from 'node:zlib';
import { bytesOf } from './bytes.ts';

/**
 * @param file the name to blame in errors
 * @param limit most bytes to unpack to: beyond it nothing more is unpacked
 * @throws SymbolFileError; zlib does not tell where data are damaged
 */
export function gunzip(data: Uint8Array, file: string, limit: number): Uint8Array {
  try {
    return gunzipSync(data, { maxOutputLength: limit });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const { fail, size } = bytesOf(data, file, 'little');
    if (code === 'ERR_BUFFER_TOO_LARGE') throw fail(0, `more than ${limit} bytes when unpacked`);
    const place = code === 'Z_BUF_ERROR' ? size : 0;
    throw fail(place, `damaged or cut short gzip data (${message})`);
  }
}
