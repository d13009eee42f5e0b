import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Double, decodeResponse, Fault, type XmlValue } from '../../src/koji/xmlrpc.ts';
import { encodeFault, encodeResponse } from '../../src/sim/replies.ts';
import { anyValue, text } from '../koji/values.ts';

describe('a reply reads as it was written', () => {
  test('a value', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(decodeResponse(encodeResponse(value))).toEqual(value);
      }),
      { numRuns: 400 },
    );
  });

  test('a double, whole or not', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        // `-0` loses its sign.
        expect(decodeResponse(encodeResponse(new Double(value))) === value).toBe(true);
      }),
    );
  });

  test('a fault', () => {
    fc.assert(
      fc.property(fc.integer(), text, (code, words) => {
        expect(() => decodeResponse(encodeFault(code, words))).toThrow(new Fault(code, words));
      }),
    );
  });
});

const recordings = new URL('../recordings/koji/', import.meta.url);

describe('a real hub writes the same document', () => {
  test.each(readdirSync(recordings))('%s', (file) => {
    const { response } = JSON.parse(readFileSync(new URL(file, recordings), 'utf8'));
    // A whole double reads as an integer.
    expect(again(response)).toBe(response.replace(/<double>(-?\d+)\.0<\/double>/g, '<int>$1</int>'));
  });
});

function again(xml: string): string {
  try {
    return encodeResponse(decodeResponse(xml));
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return encodeFault(error.code, error.text);
  }
}

test('refuses what XML-RPC cannot carry', () => {
  expect(() => encodeResponse({ a: [undefined as unknown as XmlValue] })).toThrow(
    'value.a[0]: XML-RPC cannot carry a value of type undefined',
  );
  expect(() => encodeResponse({ 'a\u0000': 1 })).toThrow('value: member name: XML cannot carry U+0000');
  expect(() => encodeFault(1, '\ud83d')).toThrow('fault.faultString: XML cannot carry U+D83D');
});
