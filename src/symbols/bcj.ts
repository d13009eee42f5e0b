/**
 * xz's filter for x86 code, which kernel builds put before LZMA2 (xz: doc/xz-file-format.txt, 5.3.2). The targets of
 * calls and jumps were made absolute, so that they pack better; this makes them relative again.
 */

/** By the last three bytes, a bit for each that was an opcode: whether a target is still looked at after them. */
const LOOKED_AT: readonly boolean[] = [true, true, true, false, true, false, false, false];
/** How many bytes of the target are those of the earlier opcode's. */
const SHARED: readonly number[] = [0, 1, 2, 2, 3, 3, 3, 3];

/** Only targets within 16 MiB are made absolute: those whose upper byte is all 0 or all 1. */
const isNear = (byte: number | undefined): boolean => byte === 0 || byte === 0xff;

/** Undo the filter in place, of a whole block. */
export function unfilterX86(data: Uint8Array): void {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let opcodes = 0;
  let last = -1;
  for (let at = 0; at < data.length - 4; at++) {
    if (((data[at] ?? 0) & 0xfe) !== 0xe8) continue;
    const distance = at - last;
    last = at;
    opcodes = distance > 3 ? 0 : (opcodes << (distance - 1)) & 7;
    const shared = SHARED[opcodes] ?? 0;
    const isSkipped = opcodes !== 0 && (!LOOKED_AT[opcodes] || isNear(data[at + 4 - shared]));
    if (isSkipped || !isNear(data[at + 4])) {
      opcodes = (opcodes << 1) | 1;
      continue;
    }
    const target = relative(view.getInt32(at + 1, true), at + 5, opcodes === 0 ? 0 : 8 * shared);
    // 25 bits, the highest of which is the sign.
    view.setInt32(at + 1, (target << 7) >> 7, true);
    at += 4;
    opcodes = 0;
  }
}

/** @param shared bits that the filter left alone, from the top */
function relative(absolute: number, next: number, shared: number): number {
  for (let target = absolute; ; ) {
    const found = (target - next) | 0;
    if (shared === 0 || !isNear((found >>> (24 - shared)) & 0xff)) return found;
    target = found ^ ((1 << (32 - shared)) - 1);
  }
}
