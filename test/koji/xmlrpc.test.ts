import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  Double,
  decodeCall,
  decodeResponse,
  encodeCall,
  Fault,
  kwargs,
  XmlRpcError,
  type XmlStruct,
  type XmlValue,
} from '../../src/koji/xmlrpc.ts';
import { encodeResponse } from '../../src/sim/replies.ts';
import { anyValue } from './values.ts';

const recordings = new URL('../recordings/koji/', import.meta.url);
const expected: Record<string, { value?: unknown; fault?: { code: number; text: string } }> = JSON.parse(
  readFileSync(new URL('../recordings/koji-expected.json', import.meta.url), 'utf8'),
);

/** Wrap the XML of one value as a reply. */
const reply = (value: string) =>
  `<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value>${value}</value>\n</param>\n</params>\n</methodResponse>\n`;
const read = (value: string) => decodeResponse(reply(value));
const thrownBy = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
};

describe('round trip', () => {
  test('a call', () => {
    fc.assert(
      fc.property(fc.constantFrom('getBuild', 'repo.request'), fc.array(anyValue), (method, params) => {
        expect(decodeCall(encodeCall(method, params))).toEqual({ method, params });
      }),
      { numRuns: 400 },
    );
  });
});

describe('writing', () => {
  test.each<[value: XmlValue, xml: string]>([
    [1, '<int>1</int>'],
    [-(2 ** 31), '<int>-2147483648</int>'],
    [2 ** 31, '<i8>2147483648</i8>'],
    [2n ** 63n - 1n, '<i8>9223372036854775807</i8>'],
    [new Double(3), '<double>3</double>'],
    [1.5, '<double>1.5</double>'],
    [null, '<nil/>'],
    [true, '<boolean>1</boolean>'],
    [new Uint8Array([1, 2, 3]), '<base64>AQID</base64>'],
    [new Date('2026-01-31T13:14:15.9Z'), '<dateTime.iso8601>20260131T13:14:15</dateTime.iso8601>'],
    ['a\r<b>&]]>', '<string>a&#xD;&lt;b&gt;&amp;]]&gt;</string>'],
    [
      { '<&>': [] },
      '<struct><member><name>&lt;&amp;&gt;</name><value><array><data/></array></value></member></struct>',
    ],
  ])('%#: $1', (value, xml) => {
    expect(encodeCall('hello', [value])).toContain(`<value>${xml}</value>`);
  });

  test('keyword arguments', () => {
    expect(kwargs({ latest: true, package: undefined })).toEqual({ latest: true, __starstar: true });
    expect(Object.keys(kwargs({ package: undefined }))).toEqual(['__starstar']);
  });

  const cycle: XmlValue[] = [];
  cycle.push(cycle);
  test.each<[string, unknown, string]>([
    [
      'undefined',
      { opts: { repo_id: undefined } },
      'params[1].opts.repo_id: XML-RPC cannot carry a value of type undefined',
    ],
    ['a hole', new Array(1), 'params[1][0]: XML-RPC cannot carry a value of type undefined'],
    ['a function', [() => 1], 'params[1][0]: XML-RPC cannot carry a value of type function'],
    ['NaN', Number.NaN, 'params[1]: XML-RPC cannot carry NaN'],
    [
      'a double that is infinite',
      new Double(Number.POSITIVE_INFINITY),
      'params[1]: XML-RPC cannot carry Infinity',
    ],
    ['an inexact integer', 2 ** 60, 'params[1]: 1152921504606847000 is not exact'],
    ['a big bigint', 2n ** 63n, 'params[1]: 9223372036854775808 does not fit 64 bits'],
    ['a control character', ['ok\u0007'], 'params[1][0]: XML cannot carry U+0007 (character 2)'],
    ['a lone surrogate', '\ud83d', 'params[1]: XML cannot carry U+D83D'],
    ['a member name', { 'a\u0000': 1 }, 'params[1]: member name: XML cannot carry U+0000'],
    ['an invalid date', new Date(Number.NaN), 'params[1]: not a date'],
    ['a Map', new Map(), 'params[1]: XML-RPC cannot carry a Map'],
    ['a cycle', cycle, 'nested deeper than 64'],
  ])('refuses %s', (_, value, message) => {
    expect(() => encodeCall('build', [1, value as XmlValue])).toThrow(message);
  });

  test('refuses a bad method name', () => {
    expect(() => encodeCall('', [])).toThrow('method name is empty');
    expect(() => encodeCall('a\u0001', [])).toThrow('method name: XML cannot carry U+0001');
  });
});

describe('reading', () => {
  test.each<[string, XmlValue]>([
    ['', ''],
    [' bare <![CDATA[&<]]> text\n', ' bare &< text\n'],
    ['<string/>', ''],
    ['<string> a\r\nb&#xD;&amp; </string>', ' a\nb\r& '],
    ['<nil/>', null],
    ['<ex:nil xmlns:ex="http://ws.apache.org/xmlrpc/namespaces/extensions"/>', null],
    ['<i1>-1</i1>', -1],
    ['<i2>2</i2>', 2],
    ['<i4> 4 </i4>', 4],
    ['<int>+5</int>', 5],
    ['<ex:i8>9007199254740991</ex:i8>', 9007199254740991],
    ['<i8>9007199254740993</i8>', 9007199254740993n],
    ['<i8>-9223372036854775808</i8>', -(2n ** 63n)],
    ['<boolean>0</boolean>', false],
    ['<boolean>1</boolean>', true],
    ['<double>1795439593.087276</double>', 1795439593.087276],
    ['<double>1e-07</double>', 1e-7],
    ['<base64>\nAQI\nD\n</base64>', new Uint8Array([1, 2, 3])],
    ['<base64/>', new Uint8Array()],
    ['<dateTime.iso8601>20260131T13:14:15</dateTime.iso8601>', new Date('2026-01-31T13:14:15Z')],
    ['<dateTime.iso8601>2026-01-31T13:14:15+01:00</dateTime.iso8601>', new Date('2026-01-31T12:14:15Z')],
    [' <array> <data/> </array> ', []],
    ['<struct/>', {}],
    ['<struct><member><name/><value/></member></struct>', { '': '' }],
  ])('%s', (xml, value) => {
    expect(read(xml)).toStrictEqual(value);
  });

  test('a member named __proto__ is a member', () => {
    const struct = read(
      '<struct><member><name>__proto__</name><value><struct><member><name>a</name><value>b</value></member></struct></value></member></struct>',
    );
    expect(Object.getPrototypeOf(struct)).toBe(Object.prototype);
    expect((struct as XmlStruct)['a']).toBeUndefined();
    expect(Object.entries(struct as XmlStruct)).toEqual([['__proto__', { a: 'b' }]]);
  });

  test('a call without params', () => {
    expect(decodeCall('<methodCall><methodName>logout</methodName></methodCall>')).toEqual({
      method: 'logout',
      params: [],
    });
  });

  test.each<[string, string]>([
    ['', 'not XML: document must contain a root element'],
    ['Bad Request', 'not XML: '],
    ['<html><title>403</title></html>', '<html> is not XML-RPC'],
    ['<methodCall/>', '<methodCall> instead of <methodResponse>'],
    ['<methodResponse/>', '<methodResponse> ends too soon'],
    ['<methodResponse><params/></methodResponse>', 'a reply has one value'],
    ['<methodResponse><fault><value>x</value></fault></methodResponse>', '<fault> without faultCode'],
    [reply('').slice(0, -30), 'not XML: '],
    [`${reply('')}<x/>`, 'not XML: '],
    [`${reply('')}<!\ud83d`, 'not XML: half a character at 9:2'],
    [reply('<int></int>'), '"" is not a <int>'],
    [reply('<int>1.5</int>'), '"1.5" is not a <int>'],
    [reply('<double>inf</double>'), '"inf" is not a <double>'],
    [reply('<double>1e999</double>'), '"1e999" is not a <double>'],
    [reply('<boolean>true</boolean>'), '"true" is not a <boolean>'],
    [reply('<boolean>toString</boolean>'), '"toString" is not a <boolean>'],
    [reply('<base64>A</base64>'), '"A" is not a <base64>'],
    [reply('<dateTime.iso8601>today</dateTime.iso8601>'), '"today" is not a <dateTime.iso8601>'],
    [reply('<int>1</int><int>2</int>'), 'unexpected <int> inside <value>'],
    [reply('x<int>1</int>'), 'text inside <value>'],
    [reply('<array/>'), '<array> ends too soon'],
    [reply('<array><data>x</data></array>'), 'text inside <data>'],
    [reply('<struct><member><value/></member></struct>'), 'unexpected <value> inside <member>'],
    [reply('<struct><member><name>a</name></member></struct>'), '<member> ends too soon'],
    [reply('&nbsp;'), 'not XML: '],
    [
      `<!DOCTYPE x [<!ENTITY a "b">]>${reply('&a;')}`.replace("<?xml version='1.0'?>\n", ''),
      'document type declaration',
    ],
    [
      reply(`${'<array><data><value>'.repeat(65)}${'</value></data></array>'.repeat(65)}`),
      'nested deeper than 64',
    ],
  ])('refuses %j', (xml, message) => {
    const error = thrownBy(() => decodeResponse(xml));
    expect(error).toBeInstanceOf(XmlRpcError);
    expect((error as XmlRpcError).message).toContain(message);
  });

  test('an error says where', () => {
    expect(() => read('<int>x</int>')).toThrow(/at 5:19, near ".*<int>x<\/int>/);
  });

  test('the fast way for plain documents reads nothing that saxes would not, and the same', () => {
    const xml = encodeResponse([{ a: 1, b: [null, 'x'], '': '' }, 2.5]);
    const piece = fc.constantFrom(
      ...['<', '>', '/', '<value>', '</value>', '<nil/>', '<x/>', '<?xml?>', '<!', '-->', ']]>', '&', ' '],
      ...['\r', '\n', '\u00a0', '\ufeff', '\u0001', '\ud83d'],
    );
    const outcome = (document: string) => {
      try {
        return decodeResponse(document);
      } catch (error) {
        return (error as Error).name;
      }
    };
    const junkOf = fc.array(piece, { maxLength: 3 }).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(fc.nat(xml.length), fc.nat(20), junkOf, (at, length, junk) => {
        const changed = xml.slice(0, at) + junk + xml.slice(at + length);
        // The comment makes it a document for saxes.
        expect(outcome(changed)).toEqual(outcome(`${changed}<!-- -->`));
      }),
      { numRuns: 2000 },
    );
  });

  test('never throws anything but XmlRpcError or Fault, whatever is cut out or put in', () => {
    const xml = encodeResponse([{ a: 1, b: [null, 'x'] }, 2.5]);
    fc.assert(
      fc.property(fc.nat(xml.length), fc.nat(20), fc.string(), (at, length, junk) => {
        try {
          decodeResponse(xml.slice(0, at) + junk + xml.slice(at + length));
        } catch (error) {
          expect(error instanceof XmlRpcError || error instanceof Fault).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('recordings of a real hub read as Python reads them', () => {
  test.each(readdirSync(recordings))('%s', (file) => {
    const { response, request } = JSON.parse(readFileSync(new URL(file, recordings), 'utf8'));
    const { value, fault } = expected[file] ?? {};
    if (fault !== undefined) {
      expect(thrownBy(() => decodeResponse(response))).toMatchObject(fault);
    } else {
      expect(decodeResponse(response)).toEqual(value);
    }
    const call = decodeCall(request);
    expect(decodeCall(encodeCall(call.method, call.params))).toEqual(call);
  });
});
