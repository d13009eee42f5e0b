/** Where the keys of a TOML text are: the parser tells values only, and a mistake is best shown by its line. */
import { parse } from 'smol-toml';

/** Keys and list indexes from the top of a document down to one value, such as `['gate', 0, 'build', 'repo']`. */
export type KeyPath = readonly PropertyKey[];

const KEY = String.raw`(?:[\w-]+|"(?:[^"\\]|\\.)*"|'[^']*')`;
const DOTTED_KEY = new RegExp(String.raw`${KEY}(?:[ \t]*\.[ \t]*${KEY})*`, 'y');
/** What may stand between two keys or values. A comma tells nothing here: the text is known to be valid. */
const BETWEEN = /(?:[\s,]|#.*)+/y;
const EQUALS = /[ \t]*=/y;
const OPENING = /\[\[?[ \t]*/y;
const CLOSING = /[ \t]*\]\]?/y;
const BRACKET = /[[\]{}]/y;
const SCALAR = /"""(?:[^\\]|\\[\s\S])*?"{3,5}|'''[\s\S]*?'{3,5}|"(?:[^"\\]|\\.)*"|'[^']*'|[^,\]}#\n]+/y;

/**
 * Index a TOML text that has been parsed without an error.
 * Answers a function from a path to the line (from 1) of its key, or of the nearest table or list around it;
 * undefined where nothing of the path is in the text.
 */
export function locator(text: string): (path: KeyPath) => number | undefined {
  const lines = indexKeys(text);
  return (path) => {
    for (let length = path.length; length > 0; length--) {
      const line = lines.get(JSON.stringify(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return undefined;
  };
}

/** Lines by path, a path being written as JSON. */
function indexKeys(text: string): Map<string, number> {
  const { take, next, line } = reader(text);
  const lines = new Map<string, number>();
  const tableCounts = new Map<string, number>();

  /** Note the line of a path, and of the tables that it opens on the way. */
  const mark = (path: KeyPath, at: number) => {
    for (let length = 1; length <= path.length; length++) {
      const key = JSON.stringify(path.slice(0, length));
      if (!lines.has(key)) lines.set(key, at);
    }
  };
  const readHeader = (): KeyPath => {
    const at = line();
    const isArray = take(OPENING).startsWith('[[');
    const path = headerPath(splitKey(take(DOTTED_KEY)), isArray, tableCounts);
    take(CLOSING);
    mark(path, at);
    return path;
  };
  const readPair = (table: KeyPath) => {
    const at = line();
    const path = [...table, ...splitKey(take(DOTTED_KEY))];
    take(EQUALS);
    mark(path, at);
    readValue(path);
  };
  const readItem = (path: KeyPath) => {
    mark(path, line());
    readValue(path);
  };
  const readValue = (path: KeyPath) => {
    const first = next();
    if (first !== '[' && first !== '{') {
      take(SCALAR);
      return;
    }
    take(BRACKET);
    for (let index = 0; !/[\]}]/.test(next() ?? '}'); index++) {
      if (first === '{') readPair(path);
      else readItem([...path, index]);
    }
    take(BRACKET);
  };

  let table: KeyPath = [];
  for (let first = next(); first !== undefined; first = next()) {
    if (first === '[') table = readHeader();
    else readPair(table);
  }
  return lines;
}

/** Walks through a text from its start. */
function reader(text: string) {
  let offset = 0;
  /** Move past what `pattern` matches here, and answer it. */
  const take = (pattern: RegExp): string => {
    pattern.lastIndex = offset;
    const found = pattern.exec(text)?.[0] ?? '';
    offset += found.length;
    return found;
  };
  /** Move to the next key, value or bracket; answer its first character, undefined at the end. */
  const next = (): string | undefined => {
    take(BETWEEN);
    return text[offset];
  };
  const line = () => text.slice(0, offset).split('\n').length;
  return { take, next, line };
}

/** The path that a header means: a key of an array of tables stands for the table of it that came last. */
function headerPath(keys: readonly string[], isArray: boolean, tableCounts: Map<string, number>): KeyPath {
  const path: PropertyKey[] = [];
  for (const [depth, key] of keys.entries()) {
    path.push(key);
    const id = JSON.stringify(path);
    if (isArray && depth === keys.length - 1) tableCounts.set(id, (tableCounts.get(id) ?? 0) + 1);
    const count = tableCounts.get(id);
    if (count !== undefined) path.push(count - 1);
  }
  return path;
}

/** `gate."a b".c` → `['gate', 'a b', 'c']`; the parser knows best what quotes and escapes mean. */
function splitKey(dotted: string): string[] {
  const keys: string[] = [];
  let value: unknown = parse(`${dotted} = 0`);
  while (typeof value === 'object' && value !== null) {
    const [[key, inner] = []] = Object.entries(value);
    if (key === undefined) break;
    keys.push(key);
    value = inner;
  }
  return keys;
}
