/** Files that a person named: read as far as they may go, whatever a name leads to. */
import { closeSync, openSync, readSync } from 'node:fs';

const MIB = 1024 * 1024;

/** Most bytes of what people write and programs keep for them: configurations, profiles, certificates, lists, scenarios. */
export const TEXT_MAX = 16 * MIB;
/** Most bytes of a secret: a token, a password. */
export const SECRET_MAX = 64 * 1024;
/** Most bytes of a package of lists, or of one list of all that a kernel exports. */
export const LIST_MAX = 64 * MIB;

/** How much is asked for at first, where nothing tells how much there is. */
const PART = 64 * 1024;

/**
 * The bytes of a file, a device or a pipe.
 * @param most how many it may have: of one that has no end no more is read
 * @throws Error of the system, which names the file; and of one that is longer
 */
export function readBytes(file: string | number, most: number): Buffer {
  const handle = typeof file === 'number' ? file : openSync(file, 'r');
  try {
    let held = Buffer.allocUnsafe(Math.min(PART, most + 1));
    let size = 0;
    for (;;) {
      const read = readSync(handle, held, size, held.length - size, null);
      size += read;
      if (size > most) throw new Error(`it is larger than ${sizeOf(most)}, which none of its kind is`);
      if (read === 0) return held.subarray(0, size);
      if (size === held.length) {
        const longer = Buffer.allocUnsafe(Math.min(2 * size, most + 1));
        held.copy(longer);
        held = longer;
      }
    }
  } finally {
    if (typeof file !== 'number') closeSync(handle);
  }
}

/** The same as text. */
export const readText = (
  file: string | number,
  most = TEXT_MAX,
  encoding: 'utf8' | 'latin1' = 'utf8',
): string => readBytes(file, most).toString(encoding);

const sizeOf = (bytes: number): string => (bytes >= MIB ? `${bytes / MIB} MiB` : `${bytes / 1024} KiB`);
