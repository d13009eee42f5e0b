/** CRCs as text. */
/** A CRC in hexadecimal, 1 to 8 digits, with or without 0x; null where it is none. A kernel has 25,000 of them. */
export function parseCrc(text: string): number | null {
  const first = text.startsWith('0x') ? 2 : 0;
  const digits = text.length - first;
  if (digits < 1 || digits > 8) return null;
  let crc = 0;
  for (let i = first; i < text.length; i++) {
    const digit = hexDigit(text.charCodeAt(i));
    if (digit < 0) return null;
    crc = crc * 16 + digit;
  }
  return crc;
}

/** What a character is worth as a hexadecimal digit; -1 where it is none. */
function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

/** A CRC as the kernel's own files write it: `0x0a19b956`. */
export function formatCrc(crc: number): string {
  return `0x${crc.toString(16).padStart(8, '0')}`;
}
