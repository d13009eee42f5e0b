/** CRCs as text. */
const HEX = /^(?:0x)?[0-9a-f]{1,8}$/i;

/** A CRC in hexadecimal, 1 to 8 digits, with or without 0x; null where it is none. */
export function parseCrc(text: string): number | null {
  return HEX.test(text) ? Number.parseInt(text, 16) : null;
}

/** A CRC as the kernel's own files write it: `0x0a19b956`. */
export function formatCrc(crc: number): string {
  return `0x${crc.toString(16).padStart(8, '0')}`;
}
