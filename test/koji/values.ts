/** Values for XML-RPC to carry, for properties. */
import fc from 'fast-check';
import type { XmlValue } from '../../src/koji/xmlrpc.ts';

/** Text that XML can carry, with the characters that are easily garbled. */
export const text = fc.oneof(
  fc
    .string({ unit: 'binary' })
    .map((s) => s.replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '')),
  fc.string({
    unit: fc.constantFrom('\r', '\n', '\t', ' ', '<', '>', '&', ']]>', '"', '&amp;', '\u{1f427}', 'é'),
  }),
);
/** Whatever reads as it was written: no doubles that are whole. */
export const { value: anyValue } = fc.letrec<{ value: XmlValue; leaf: XmlValue }>((tie) => ({
  leaf: fc.oneof<fc.Arbitrary<XmlValue>[]>(
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.integer(),
    fc
      .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
      .filter((n) => n > BigInt(Number.MAX_SAFE_INTEGER) || n < BigInt(Number.MIN_SAFE_INTEGER)),
    fc.double({ noNaN: true, noDefaultInfinity: true }).filter((n) => !Number.isInteger(n)),
    text,
    fc.uint8Array(),
    fc
      .date({
        min: new Date('0000-01-01T00:00:00Z'),
        max: new Date('9999-12-31T23:59:59Z'),
        noInvalidDate: true,
      })
      .map((date) => new Date(Math.floor(date.getTime() / 1000) * 1000)),
  ),
  value: fc.oneof(
    { maxDepth: 5 },
    tie('leaf'),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(fc.oneof(text, fc.constantFrom('__proto__', 'constructor', '')), tie('value'), {
      maxKeys: 5,
    }),
  ),
}));
