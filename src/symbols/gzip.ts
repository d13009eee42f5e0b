/** gzip files, by node:zlib. */
import { createGunzip } from 'node:zlib';
import { bytesOf } from './bytes.ts';

/**
 * @param file the name to blame in errors
 * @param limit most bytes to unpack to: beyond it nothing more is read
 * @throws SymbolFileError
 */
export async function gunzip(data: Uint8Array, file: string, limit: number): Promise<Uint8Array> {
  const bytes = bytesOf(data, file, 'little');
  const stream = createGunzip({ chunkSize: 256 * 1024 });
  stream.end(data);
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of stream) {
      size += chunk.length;
      if (size > limit) break;
      chunks.push(chunk);
    }
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    throw bytes.fail(stream.bytesWritten, `damaged or cut short gzip data (${words})`);
  }
  if (size > limit)
    throw bytes.fail(
      stream.bytesWritten,
      `more than ${limit} bytes when unpacked`,
      'unpack the file by gzip',
    );
  return Buffer.concat(chunks, size);
}
