/** Files that are read from their beginning on and as far as they are needed: in memory, on disk, or still on their way. */
import { closeSync, openSync, readSync } from 'node:fs';
import { type Bytes, bytesOf } from './bytes.ts';

/** A part of a file, and where in it that begins. */
export interface Window {
  readonly data: Uint8Array;
  readonly start: number;
}

/** A file whose bytes come when they are asked for. */
export interface Source {
  /** The name to blame in errors. */
  readonly file: string;
  /**
   * So many bytes from an offset on, or more; fewer only at the file's end. What is before the offset may be let go.
   * Throws what its maker throws.
   */
  from(offset: number, length: number): Promise<Window>;
}

/** How much is read at once, at least. */
export const PART = 256 * 1024;

/** A file that is there as a whole. */
export const wholeSource = (data: Uint8Array, file: string): Source => ({
  file,
  from: async () => ({ data, start: 0 }),
});

/** A file on disk, of which no more is held than is asked for at once. Throws what the system says. */
export function fileSource(path: string): Source {
  let held: Window = { data: new Uint8Array(0), start: 0 };
  return {
    file: path,
    async from(offset, length) {
      const end = held.start + held.data.length;
      if (offset >= held.start && offset + length <= end) return held;
      const handle = openSync(path, 'r');
      try {
        const buffer = Buffer.alloc(Math.max(length, PART));
        held = {
          data: buffer.subarray(0, readSync(handle, buffer, 0, buffer.length, offset)),
          start: offset,
        };
      } finally {
        closeSync(handle);
      }
      return held;
    },
  };
}

/** A file that comes in parts, one after the other. Throws what the parts throw. */
export function streamSource(parts: AsyncIterator<Uint8Array>, file: string): Source {
  let held: Window = { data: new Uint8Array(0), start: 0 };
  let isOver = false;
  return {
    file,
    async from(offset, length) {
      const kept = held.data.subarray(Math.max(0, offset - held.start));
      const start = held.start + held.data.length - kept.length;
      const all = [kept];
      let end = start + kept.length;
      while (!isOver && end < offset + length) {
        const { value, done } = await parts.next();
        if (done) isOver = true;
        else {
          all.push(value);
          end += value.length;
        }
      }
      if (all.length > 1) held = { data: Buffer.concat(all), start };
      return held;
    },
  };
}

/** What of a file begins at an offset, as a file of its own. */
export const sourceWithin = (source: Source, at: number, file: string): Source => ({
  file,
  async from(offset, length) {
    const { data, start } = await source.from(at + offset, length);
    return { data, start: start - at };
  },
});

/** The same as `from`, to be read by numbers. */
export async function bytesFrom(
  source: Source,
  offset: number,
  length: number,
  order: 'little' | 'big' = 'little',
): Promise<Bytes> {
  const { data, start } = await source.from(offset, length);
  return bytesOf(data, source.file, order, start);
}

/** All of it in parts, each of which is good until the next one is asked for. */
export async function* partsOfSource(source: Source): AsyncGenerator<Uint8Array> {
  for (let at = 0; ; ) {
    const { data, start } = await source.from(at, PART);
    const part = data.subarray(at - start, at - start + PART);
    if (part.length === 0) return;
    yield part;
    at += part.length;
  }
}
