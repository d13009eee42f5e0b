/** Arguments of the hub's methods: positional and keyword, as Python takes them, and `queryOpts`. */
import { Double, Fault, type XmlStruct, type XmlValue } from '../koji/xmlrpc.ts';
import { FAULT, type Session, type State, type User } from './state.ts';

/** Who calls; `user` is null for an anonymous call. */
export interface Caller {
  readonly state: State;
  readonly session: Session | null;
  /** Whom the web server in front has verified, for `sslLogin`. */
  readonly verified: string | null;
  readonly user: User | null;
}

/** Arguments by name; what was left out is null. */
export type Args = Readonly<Record<string, XmlValue>>;

/**
 * Methods by signature: the name, then its parameters in order, with `?` on those that may be left out.
 * They return what the hub sends, and throw Faults.
 */
export type Methods = Readonly<Record<string, (caller: Caller, args: Args) => XmlValue>>;

/** Positional and keyword arguments by name, as Python binds them. Throws fault 1019. */
export function bind(method: string, parameters: readonly string[], params: readonly XmlValue[]): Args {
  const wrong = (text: string): never => {
    const signature = `${method.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}()`;
    throw new Fault(FAULT.PARAMETER, `${signature} ${text}`);
  };
  const last = struct(params.at(-1) ?? null);
  const keywords = last['__starstar'] === true ? last : {};
  const positional = keywords === last ? params.slice(0, -1) : params;
  const names = parameters.map((each) => each.replace('?', ''));
  if (positional.length > names.length) {
    wrong(`takes ${names.length} positional arguments but ${positional.length} were given`);
  }
  const args: Record<string, XmlValue> = {};
  for (const [name, value] of Object.entries(keywords)) {
    if (name === '__starstar') continue;
    if (!names.includes(name)) wrong(`got an unexpected keyword argument '${name}'`);
    if (names.indexOf(name) < positional.length) wrong(`got multiple values for argument '${name}'`);
    args[name] = value;
  }
  for (const [i, name] of names.entries()) {
    if (i < positional.length) args[name] = positional[i] ?? null;
    else if (!(name in args) && parameters[i] === name)
      wrong(`missing 1 required positional argument: '${name}'`);
    args[name] ??= null;
  }
  return args;
}

/** An argument; null where it was left out. */
export function arg(args: Args, name: string): XmlValue {
  return args[name] ?? null;
}

/** An argument that must be an integer. Throws fault 1019. */
export function integer(args: Args, name: string): number {
  const value = arg(args, name);
  if (typeof value === 'number') return value;
  throw new Fault(FAULT.PARAMETER, `Invalid type for value '${String(value)}' of ${name}, expected type int`);
}

/** An integer or null. */
export function optionalInteger(args: Args, name: string): number | null {
  return arg(args, name) === null ? null : integer(args, name);
}

/** The items of an array; a single value as a list of one, null as none. */
export function list(value: XmlValue): readonly XmlValue[] {
  if (value === null) return [];
  return Array.isArray(value) ? value : [value];
}

/** The members of a struct; none of anything else. */
export function struct(value: XmlValue): XmlStruct {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as XmlStruct) : {};
}

/** Rows as `queryOpts` orders and cuts them: `order` (a field, `-` for falling), `offset`, `limit`. */
export function query(rows: readonly XmlStruct[], queryOpts: XmlValue): XmlValue {
  const { order, offset, limit, countOnly } = struct(queryOpts);
  if (countOnly === true) return rows.length;
  const sorted = [...rows];
  if (typeof order === 'string') {
    const field = order.replace(/^-/, '');
    const sign = order.startsWith('-') ? -1 : 1;
    sorted.sort((a, b) => sign * compare(a[field], b[field]));
  }
  const start = typeof offset === 'number' ? offset : 0;
  return sorted.slice(start, typeof limit === 'number' ? start + limit : undefined);
}

function compare(a: XmlValue | undefined, b: XmlValue | undefined): number {
  const [x, y] = [a, b].map((value) => (value instanceof Double ? value.value : value));
  if (typeof x === 'string' && typeof y === 'string') return x < y ? -1 : Number(x > y);
  return Number(x) - Number(y);
}

/** The user who calls. Throws fault 1004 for an anonymous call. */
export function loggedIn({ user }: Caller): User {
  if (user === null) throw new Fault(FAULT.NOT_ALLOWED, 'you must be logged in for this operation');
  return user;
}

/** The answer of a look-up: the struct, or null; with `strict` its absence is a fault. */
export function lookUp<T>(
  found: T | undefined,
  strict: XmlValue,
  missing: string,
  show: (row: T) => XmlValue,
): XmlValue {
  if (found !== undefined) return show(found);
  if (strict === true) throw new Fault(FAULT.GENERIC, missing);
  return null;
}
