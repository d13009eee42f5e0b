/** The kernel's own file in an rpm that may still be on its way. */
import { KERNEL_FILE, type KernelImage, readImage } from './image.ts';
import { filesOfRpm } from './payload.ts';
import type { Source } from './source.ts';

/** A kernel's own file, and its name for errors. */
export interface FoundImage extends KernelImage {
  readonly file: string;
}

/**
 * Whether one of an rpm's files is a kernel: that tells the rpm that holds it, whatever it is called (`kernel-core`,
 * `kernel`, `kernel-default`, `kernel-uek-core`).
 */
export const holdsKernel = (paths: readonly string[]): boolean => paths.some((it) => KERNEL_FILE.test(it));

/**
 * The kernel in an rpm, with its types if it has them. No more of the rpm is read than up to the end of that file.
 * @returns the first that has types, else the first; null where there is none
 * @throws SymbolFileError, and what the source throws
 */
export async function imageOfRpm(rpm: Source): Promise<FoundImage | null> {
  let first: FoundImage | null = null;
  for await (const { name, data } of filesOfRpm(rpm, (it) => KERNEL_FILE.test(it))) {
    const file = `${rpm.file}: ${name.replace(/^.*\//, '')}`;
    const image = await readImage(data, file);
    if (!image) continue;
    // A copy: the kernel around it is ten times as large.
    if (image.btf) return { ...image, btf: Uint8Array.from(image.btf), file };
    first ??= { ...image, file };
  }
  return first;
}
