/**
 * XML-RPC as Koji speaks it, both directions: with `<nil/>`, `<i8>` and keyword arguments.
 *
 * Writing goes through the `xmlrpc` package's serializer, behind a guard that refuses what the package would
 * drop or garble in silence. Reading is done here: plain documents at once, for speed, and all others on `saxes`,
 * for errors that say where.
 */
import { SaxesParser } from 'saxes';
import CustomType from 'xmlrpc/lib/customtype.js';
import serializer from 'xmlrpc/lib/serializer.js';

/**
 * What XML-RPC can carry. Reading yields a `bigint` only for an integer that a `number` cannot hold exactly,
 * and never a `Double`.
 */
export type XmlValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Double
  | Date
  | Uint8Array
  | readonly XmlValue[]
  | XmlStruct;

/** A `<struct>`. */
export interface XmlStruct {
  readonly [name: string]: XmlValue;
}

/** A number that travels as `<double>` even when it is whole, such as a Koji timestamp. */
export class Double {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** A fault reply: Koji's `faultCode` (1000 and up, 1 for an unexpected exception) and `faultString`. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly code: number;
  readonly text: string;

  constructor(code: number, text: string) {
    super(`fault ${code}: ${text}`);
    this.code = code;
    this.text = text;
  }
}

/** A document that is not XML, or not XML-RPC. `line` counts from 1, `column` from 0. */
export class XmlRpcError extends Error {
  override readonly name = 'XmlRpcError';
  readonly line: number;
  readonly column: number;

  constructor(problem: string, line: number, column: number, excerpt: string) {
    super(`${problem} at ${line}:${column}, near ${JSON.stringify(excerpt)}`);
    this.line = line;
    this.column = column;
  }
}

/** Arrays and structs may be nested this deep, in both directions. */
const MAX_DEPTH = 64;

// ---------------------------------------------------------------------------------------------- writing

/**
 * Koji's keyword arguments: the last positional argument of a call. Members that are `undefined` are left out.
 */
export function kwargs(members: Readonly<Record<string, XmlValue | undefined>>): XmlStruct {
  const given: Record<string, XmlValue> = {};
  for (const [name, value] of Object.entries(members)) if (value !== undefined) given[name] = value;
  return { ...given, __starstar: true };
}

/** A `<methodCall>` document. Throws a TypeError that names the path of a value XML-RPC cannot carry. */
export function encodeCall(method: string, params: readonly XmlValue[]): string {
  if (method === '') throw new TypeError('method name is empty');
  assertXmlText(method, 'method name');
  return serializer.serializeMethodCall(method, write(PACKAGE, params, 'params') as unknown[]);
}

/**
 * How a value is written that XML-RPC can carry. Every scalar but null comes as its element's name and text, since the
 * package itself writes whole doubles and big integers as `<int>`, local times without a zone, and strings
 * with `<` or `&` as CDATA, which loses carriage returns.
 */
export interface Form<T> {
  readonly nil: T;
  scalar(tag: string, text: string): T;
  array(items: readonly T[]): T;
  struct(names: readonly string[], members: readonly T[]): T;
}

/** Values as the package writes them right. */
const PACKAGE: Form<unknown> = {
  nil: null,
  scalar(tag, text) {
    const node = new CustomType(text);
    node.tagName = tag;
    return node;
  },
  array: (items) => items,
  struct(names, members) {
    // No prototype: `__proto__` is a name like any other.
    const struct: Record<string, unknown> = Object.create(null);
    for (const [i, name] of names.entries()) struct[name] = members[i];
    return struct;
  },
};

/**
 * Write a value in a form, unless XML-RPC cannot carry it.
 * @param path what to call the value in the TypeError that is then thrown
 */
export function write<T>(form: Form<T>, value: unknown, path: string, depth = 0): T {
  switch (typeof value) {
    case 'boolean':
      return form.scalar('boolean', value ? '1' : '0');
    case 'string':
      assertXmlText(value, path);
      return form.scalar('string', value);
    case 'number':
      if (Number.isSafeInteger(value)) return integer(form, value);
      if (Number.isInteger(value))
        throw new TypeError(`${path}: ${value} is not exact, use a bigint or Double`);
      return double(form, value, path);
    case 'bigint':
      if (BigInt.asIntN(64, value) !== value) throw new TypeError(`${path}: ${value} does not fit 64 bits`);
      return integer(form, value);
    case 'object':
      return value === null ? form.nil : writeObject(form, value, path, depth);
    default:
      throw new TypeError(`${path}: XML-RPC cannot carry a value of type ${typeof value}`);
  }
}

function writeObject<T>(form: Form<T>, value: object, path: string, depth: number): T {
  if (value instanceof Double) return double(form, value.value, path);
  if (value instanceof Date) return form.scalar('dateTime.iso8601', formatDate(value, path));
  if (value instanceof Uint8Array) return form.scalar('base64', Buffer.from(value).toString('base64'));
  if (depth === MAX_DEPTH) throw new TypeError(`${path}: nested deeper than ${MAX_DEPTH}; is it a cycle?`);
  if (Array.isArray(value)) {
    // Array.from, unlike map, also visits holes.
    return form.array(Array.from(value, (item, i) => write(form, item, `${path}[${i}]`, depth + 1)));
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(`${path}: XML-RPC cannot carry a ${value.constructor.name}, only plain objects`);
  }
  const names = Object.keys(value);
  const members = names.map((name) => {
    assertXmlText(name, `${path}: member name`);
    return write(form, (value as XmlStruct)[name], `${path}.${name}`, depth + 1);
  });
  return form.struct(names, members);
}

function integer<T>(form: Form<T>, value: number | bigint): T {
  const fits = value >= -(2 ** 31) && value < 2 ** 31;
  return form.scalar(fits ? 'int' : 'i8', String(value));
}

function double<T>(form: Form<T>, value: number, path: string): T {
  if (!Number.isFinite(value)) throw new TypeError(`${path}: XML-RPC cannot carry ${value}`);
  return form.scalar('double', String(value));
}

/** XML-RPC dates have no zone: UTC on both sides, whole seconds. */
function formatDate(date: Date, path: string): string {
  const iso = Number.isNaN(date.getTime()) ? '' : date.toISOString();
  const match = /^(\d{4})-(\d\d)-(\d\dT\d\d:\d\d:\d\d)/.exec(iso);
  if (match === null) throw new TypeError(`${path}: not a date of the years 0 to 9999`);
  return `${match[1]}${match[2]}${match[3]}`;
}

/** Whatever is not `Char` of XML 1.0: most control characters, lone surrogates, U+FFFE, U+FFFF. */
const NOT_XML = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;

function assertXmlText(text: string, path: string): void {
  const match = NOT_XML.exec(text);
  if (match === null) return;
  const code = match[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
  throw new TypeError(`${path}: XML cannot carry U+${code} (character ${match.index})`);
}

// ---------------------------------------------------------------------------------------------- reading

/** Read a `<methodCall>`. Throws XmlRpcError. */
export function decodeCall(xml: string): { readonly method: string; readonly params: readonly XmlValue[] } {
  const root = parse(xml, 'methodCall');
  return { method: root.name, params: (root.value ?? []) as readonly XmlValue[] };
}

/** Read the value of a `<methodResponse>`. Throws Fault for a fault, XmlRpcError for anything else. */
export function decodeResponse(xml: string): XmlValue {
  const { name, value } = parse(xml, 'methodResponse');
  if (name === 'params') return (value as readonly XmlValue[])[0] ?? null;
  const { faultCode, faultString } = value as XmlStruct;
  throw new Fault(Number(faultCode), String(faultString));
}

/** How the text of a scalar reads; `undefined` if it is not one. */
const SCALARS: Readonly<Record<string, (text: string) => XmlValue | undefined>> = {
  nil: (text) => (text.trim() === '' ? null : undefined),
  boolean: readBoolean,
  i1: readInteger,
  i2: readInteger,
  i4: readInteger,
  i8: readInteger,
  int: readInteger,
  biginteger: readInteger,
  double: readDouble,
  float: readDouble,
  string: (text) => text,
  base64: readBase64,
  'dateTime.iso8601': readDate,
};

/** What an element may hold. */
interface Rule {
  readonly tag: string;
  /** Its children: one of each step in turn, or (`many`) any number of the first. */
  readonly steps: readonly ReadonlySet<string>[];
  readonly many: boolean;
  readonly required: number;
  /** Whether its text is white space, and means nothing. */
  readonly blank: boolean;
  /** Of a scalar, how its text reads. */
  readonly read: ((text: string) => XmlValue | undefined) | undefined;
}

const inTurn = (tag: string, steps: string[][], required = steps.length): Rule => ({
  tag,
  steps: steps.map((tags) => new Set(tags)),
  many: false,
  required,
  blank: steps.length > 0 && tag !== 'value',
  read: SCALARS[tag],
});
const manyOf = (tag: string, child: string): Rule => ({ ...inTurn(tag, [[child]], 0), many: true });
const textOnly = (tag: string): Rule => inTurn(tag, []);

const RULES: ReadonlyMap<string, Rule> = new Map(
  [
    inTurn('methodCall', [['methodName'], ['params']], 1),
    inTurn('methodResponse', [['params', 'fault']]),
    textOnly('methodName'),
    manyOf('params', 'param'),
    inTurn('param', [['value']]),
    inTurn('fault', [['value']]),
    // An untyped <value> is a string.
    inTurn('value', [['array', 'struct', ...Object.keys(SCALARS)]], 0),
    inTurn('array', [['data']]),
    manyOf('data', 'value'),
    manyOf('struct', 'member'),
    inTurn('member', [['name'], ['value']]),
    textOnly('name'),
    ...Object.keys(SCALARS).map(textOnly),
  ].map((rule) => [rule.tag, rule]),
);

/** An open element, with what its closed children left in it. */
interface Element {
  readonly tag: string;
  readonly rule: Rule;
  readonly parent: Element | undefined;
  /** Arrays and structs that it is in, itself included. */
  readonly depth: number;
  /** Closed children so far. */
  children: number;
  text: string;
  /** Of a `<member>` its name, of a `<methodCall>` its method, of a `<methodResponse>` `params` or `fault`. */
  name: string;
  value: XmlValue | undefined;
}

/** How far a document is read. */
interface Reading {
  readonly root: 'methodCall' | 'methodResponse';
  /** The innermost element that is open. */
  open: Element | undefined;
  /** The root element, once it is closed. */
  done: Element | undefined;
}

/** Read a document whose root must be `root`; the root element holds the result. */
function parse(xml: string, root: Reading['root']): Element {
  return parsePlain(xml, root) ?? parseXml(xml, root);
}

/** What may come before the root element of a plain document. */
const PLAIN_START = /^(<\?xml version=(['"])1\.0\2\?>)?[\t\n ]*/;
/** What XML gives a meaning, or forbids, in text; so does NOT_XML. */
const NOT_PLAIN = ['&', '\r', ']]>'];

/**
 * Read a document of nothing but bare tags and text, such as the replies of thousands of rows; twice as fast as on
 * saxes. Any other document, and one with anything wrong in it, is left to saxes: the answer is `undefined`.
 */
function parsePlain(xml: string, root: Reading['root']): Element | undefined {
  if (NOT_XML.test(xml) || NOT_PLAIN.some((part) => xml.includes(part))) return undefined;
  const reading: Reading = { root, open: undefined, done: undefined };
  let at = PLAIN_START.exec(xml)?.[0].length ?? 0;
  while (reading.done === undefined) {
    const start = xml.indexOf('<', at);
    const end = xml.indexOf('>', start);
    if (start === -1 || end === -1) return undefined;
    if (start !== at && !takeText(reading, xml, at, start)) return undefined;
    if (!takeTag(reading, xml, start + 1, end)) return undefined;
    at = end + 1;
  }
  return /^[\t\n ]*$/.test(xml.slice(at)) ? reading.done : undefined;
}

/** Take the text from `start` to `end`; answers whether there may be any. */
function takeText({ open }: Reading, xml: string, start: number, end: number): boolean {
  if (open === undefined) return false;
  // Between the tags of a hub's reply stand as many single line breaks.
  const nothing = end === start + 1 && xml[start] === '\n' && open.rule.blank;
  if (!nothing) open.text += xml.slice(start, end);
  return true;
}

/** Take what stands between `<` and `>`, from `start` to `end`; answers whether that was in order. */
function takeTag(reading: Reading, xml: string, start: number, end: number): boolean {
  if (xml[start] === '/') {
    const { tag } = reading.open ?? {};
    const ends = tag !== undefined && end - start === tag.length + 1 && xml.startsWith(tag, start + 1);
    return ends && closeElement(reading) === undefined;
  }
  if (xml[end - 1] !== '/') return openElement(reading, xml.slice(start, end)) === undefined;
  return openElement(reading, xml.slice(start, end - 1)) === undefined && closeElement(reading) === undefined;
}

/** Read any document, and say where it is wrong. */
function parseXml(xml: string, root: Reading['root']): Element {
  const parser = new SaxesParser({ forceXMLVersion: true, defaultXMLVersion: '1.0' });
  const reading: Reading = { root, open: undefined, done: undefined };

  const refuse = (problem: string): never => {
    const excerpt = xml.slice(Math.max(0, parser.position - 40), parser.position + 20);
    throw new XmlRpcError(problem, parser.line, parser.column, excerpt);
  };
  const addText = (text: string) => {
    if (reading.open !== undefined) reading.open.text += text;
  };

  // At the very end of a document saxes would stumble over it in its own way.
  const half = xml.search(/\p{Surrogate}/u);
  if (half !== -1) {
    const lines = xml.slice(0, half).split('\n');
    const excerpt = xml.slice(Math.max(0, half - 40), half);
    throw new XmlRpcError('not XML: half a character', lines.length, lines.at(-1)?.length ?? 0, excerpt);
  }

  // saxes itself sees to matching tags and a single root, and knows no entities but XML's own five.
  parser.on('error', (error) => refuse(`not XML: ${error.message.replace(/^\d+:\d+: /, '')}`));
  parser.on('doctype', () => refuse('a document type declaration is not allowed'));
  parser.on('text', addText);
  parser.on('cdata', addText);
  parser.on('opentag', ({ name }) => {
    // The prefix of extension types (`ex:i8`) is the sender's choice and means nothing here.
    const problem = openElement(reading, name.slice(name.indexOf(':') + 1));
    if (problem !== undefined) refuse(problem);
  });
  parser.on('closetag', () => {
    const problem = closeElement(reading);
    if (problem !== undefined) refuse(problem);
  });

  parser.write(xml).close();
  return reading.done ?? refuse('no document');
}

/** Open an element inside the innermost one; answers what is wrong with it, if anything. */
function openElement(reading: Reading, name: string): string | undefined {
  const { root, open: parent } = reading;
  const rule = RULES.get(name);
  if (rule === undefined) return `<${name}> is not XML-RPC`;
  // Of the same letters as `name`, but the rule's own string: V8 compares that faster than one cut out of a document.
  const { tag } = rule;
  if (parent === undefined && tag !== root) return `unexpected <${tag}> instead of <${root}>`;
  if (parent !== undefined && !mayOpen(parent, tag)) return `unexpected <${tag}> inside <${parent.tag}>`;
  const depth = (parent?.depth ?? 0) + (tag === 'array' || tag === 'struct' ? 1 : 0);
  if (depth > MAX_DEPTH) return `nested deeper than ${MAX_DEPTH}`;
  reading.open = { tag, rule, parent, depth, children: 0, text: '', name: '', value: emptyValue(tag) };
  return undefined;
}

/** Close the innermost element; answers what is wrong with it, if anything. */
function closeElement(reading: Reading): string | undefined {
  const { open: element } = reading;
  if (element === undefined) return undefined;
  const problem = finish(element);
  if (problem !== undefined) return problem;
  reading.open = element.parent;
  if (element.parent === undefined) reading.done = element;
  else attach(element.parent, element);
  return undefined;
}

/** What children are collected in. */
function emptyValue(tag: string): XmlValue | undefined {
  if (tag === 'params' || tag === 'data') return [];
  return tag === 'struct' ? {} : undefined;
}

function mayOpen(parent: Element, tag: string): boolean {
  const { many, steps } = parent.rule;
  return steps[many ? 0 : parent.children]?.has(tag) === true;
}

/** Settle a closing element's value; answers what is wrong with it, if anything. */
function finish(element: Element): string | undefined {
  const { tag, rule, children, text, value } = element;
  if (children < rule.required) return `<${tag}> ends too soon`;
  if (rule.read !== undefined) {
    element.value = rule.read(text);
    return element.value === undefined ? `${JSON.stringify(text.slice(0, 40))} is not a <${tag}>` : undefined;
  }
  if (tag === 'value' && children === 0) element.value = text;
  else if (rule.steps.length > 0 && text.trim() !== '') return `text inside <${tag}>`;
  if (tag === 'methodResponse' && Array.isArray(value) && value.length !== 1) return 'a reply has one value';
  if (tag === 'fault' && !isFault(value)) return '<fault> without faultCode and faultString';
  return undefined;
}

function isFault(value: XmlValue | undefined): boolean {
  const { faultCode, faultString } = (value ?? {}) as XmlStruct;
  return typeof faultCode === 'number' && typeof faultString === 'string';
}

/** Hand a closed child's value to its parent. */
function attach(parent: Element, child: Element): void {
  parent.children += 1;
  const { tag, value = null } = child;
  if (tag === 'name' || tag === 'methodName') parent.name = child.text;
  else if (tag === 'member') setMember(parent.value as Record<string, XmlValue>, child.name, value);
  else if (parent.tag === 'params' || parent.tag === 'data') (parent.value as XmlValue[]).push(value);
  else parent.value = value;
  if (parent.tag === 'methodResponse') parent.name = tag;
}

function setMember(struct: Record<string, XmlValue>, name: string, value: XmlValue): void {
  if (name !== '__proto__') struct[name] = value;
  else Object.defineProperty(struct, name, { value, enumerable: true, configurable: true, writable: true });
}

function readBoolean(text: string): boolean | undefined {
  const digit = text.trim();
  return digit === '1' || (digit === '0' ? false : undefined);
}

/** A `number` if that is exact, else a `bigint`. */
function readInteger(text: string): number | bigint | undefined {
  const digits = text.trim();
  if (!/^[+-]?\d{1,40}$/.test(digits)) return undefined;
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : BigInt(digits.replace('+', ''));
}

function readDouble(text: string): number | undefined {
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : Number.NaN;
  return Number.isFinite(value) ? value : undefined;
}

function readBase64(text: string): Uint8Array | undefined {
  const digits = text.replace(/\s+/g, '');
  if (digits.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(digits)) return undefined;
  return new Uint8Array(Buffer.from(digits, 'base64'));
}

/** `20260131T13:00:00`, also with hyphens, a fraction and a zone; no zone means UTC. */
function readDate(text: string): Date | undefined {
  const match = /^(\d{4})-?(\d\d)-?(\d\d)T(\d\d:\d\d:\d\d(?:\.\d+)?)(Z|[+-]\d\d:\d\d)?$/.exec(text.trim());
  if (match === null) return undefined;
  const [, year, month, day, time, zone = 'Z'] = match;
  const date = new Date(`${year}-${month}-${day}T${time}${zone}`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
