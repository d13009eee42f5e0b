/**
 * What a function, a type, a member or another name is in one kernel and was in another: the kernel's own words on what a
 * compiler says. Pure.
 */
import { isAlike, pairUp } from './alike.ts';
import type { BtfPair, KernelBtfs } from './graph.ts';
import { plainInts, spell } from './parts.ts';
import type { Btf, BtfType } from './reader.ts';

/** What is asked about. Types by kind and name, `struct file`, or a typedef by its name alone. */
export type Subject =
  | { readonly kind: 'function' | 'type' | 'name'; readonly name: string }
  | { readonly kind: 'member'; readonly of: string; readonly name: string }
  /** A member of whatever struct: one whose type the compiler prints, or, without, one that went. */
  | { readonly kind: 'field'; readonly name: string; readonly type: string | null };

/** A declaration in both kernels. */
export interface Declared {
  /** `function class_create`, `struct file.f_dentry`, `struct device`, `enum value PF_IDLE`. */
  readonly what: string;
  /** In C, as it was and as it is; null where that kernel does not have it. Of several of one name, those that differ. */
  readonly was: string | null;
  readonly now: string | null;
  readonly changed: boolean;
}

/**
 * Looks things up in two kernels; null where neither has it, or where the types do not tell: of macros and inline functions
 * they know nothing.
 * @throws SymbolFileError of declarations that make no sense, when they are looked at
 */
export function createWords({ modules, ...vmlinux }: KernelBtfs): (subject: Subject) => Declared | null {
  const pairs = [vmlinux, ...modules.values()].map((pair) => ({
    ...pair,
    old: indexOf(pair.before),
    young: indexOf(pair.after),
  }));
  const named = (key: string): Named => ({
    were: pairs.flatMap(({ old, before }) => (old.get(key) ?? []).map((id) => ({ btf: before, id }))),
    are: pairs.flatMap(({ young, after }) => (young.get(key) ?? []).map((id) => ({ btf: after, id }))),
  });
  const declaration = (key: string, what = key): Declared | null => {
    const { were, are } = named(key);
    return were.length + are.length > 0 ? compared(what, were, are, isSame, textOf) : null;
  };
  return (subject) => {
    const { kind, name } = subject;
    if (kind === 'function') return declaration(`function ${name}`);
    if (kind === 'type') return declaration(/ /.test(name) ? name : `typedef ${name}`);
    if (kind === 'member') return memberOf(named(keyOf(subject.of)), subject.of, name);
    if (kind === 'field') return fieldOf(pairs, name, subject.type);
    return (
      declaration(`function ${name}`) ??
      enumValueOf(pairs, name) ??
      declaration(`variable ${name}`) ??
      declaration(`typedef ${name}`)
    );
  };
}

const keyOf = (type: string): string => (/ /.test(type) ? type : `typedef ${type}`);

/** One type, function or variable of one BTF. */
interface Place {
  readonly btf: Btf;
  readonly id: number;
}

interface Named {
  readonly were: readonly Place[];
  readonly are: readonly Place[];
}

const INDEXED: ReadonlySet<string> = new Set(['function', 'variable', 'struct', 'union', 'enum', 'typedef']);

/** What a BTF itself declares, by kind and name. */
function indexOf(btf: Btf): ReadonlyMap<string, readonly number[]> {
  const index = new Map<string, number[]>();
  for (let id = btf.first; id < btf.end; id++) {
    const kind = btf.kind(id);
    if (!INDEXED.has(kind)) continue;
    const key = `${kind} ${btf.name(id)}`;
    const known = index.get(key);
    if (known) known.push(id);
    else index.set(key, [id]);
  }
  return index;
}

const isSame = (was: Place, is: Place): boolean => pairUp(was.btf, was.id, is.btf, is.id) !== null;

/** Of several of one name in a kernel those count that the other does not have. */
function compared<T>(
  what: string,
  were: readonly T[],
  are: readonly T[],
  same: (was: T, is: T) => boolean,
  text: (it: T) => string,
): Declared {
  const went = were.filter((was) => !are.some((is) => same(was, is)));
  const came = are.filter((is) => !were.some((was) => same(was, is)));
  const changed = went.length + came.length > 0;
  const spelled = (some: readonly T[], all: readonly T[]) => joined((some.length > 0 ? some : all).map(text));
  return { what, was: spelled(went, were), now: spelled(came, are), changed };
}

/** Most declarations of one name that are told. */
const TOLD = 3;

function joined(texts: readonly string[]): string | null {
  const all = [...new Set(texts)];
  if (all.length > TOLD) return `one of ${all.length} of that name`;
  return all.length > 0 ? all.join(' or ') : null;
}

function textOf({ btf, id }: Place): string {
  const it = btf.type(id);
  if (it.kind === 'typedef') return `typedef ${spell(btf, it.type, it.name)}`;
  if (it.kind === 'struct' || it.kind === 'union')
    return `${it.kind} ${it.name} of ${it.members.length} members, ${it.size} bytes`;
  return it.kind === 'enum' ? `enum ${it.name} of ${it.values.length} values` : spell(btf, id, '');
}

// ---- members ----------------------------------------------------------------------------------------

/** A member as it is declared; `bits` of a bit-field. */
interface Member {
  readonly btf: Btf;
  readonly type: number;
  readonly bits: number;
  readonly name: string;
}

/** A member's declaration in C. */
const memberText = ({ btf, type, bits, name }: Member): string =>
  `${spell(btf, type, name)}${bits > 0 ? ` : ${bits}` : ''}`;

const isSameMember = (was: Member, is: Member): boolean =>
  was.bits === is.bits && isAlike(was.btf, was.type, is.btf, is.type);

/** Tells of it too where neither kernel's type has it; null where neither has the type. */
function memberOf({ were, are }: Named, of: string, name: string): Declared | null {
  if (were.length + are.length === 0) return null;
  const find = (place: Place) => memberIn(place, name);
  return compared(`${of}.${name}`, were.flatMap(find), are.flatMap(find), isSameMember, memberText);
}

/** How deep typedefs and anonymous structs are followed. */
const DEEP = 16;

/** The member of that name, also where it is in a struct or union without a name; none or one. */
function memberIn({ btf, id }: Place, name: string, depth = 0): Member[] {
  const it: BtfType = btf.type(id);
  if (depth > DEEP) return [];
  if (it.kind === 'typedef' || it.kind === 'const' || it.kind === 'volatile' || it.kind === 'tag')
    return memberIn({ btf, id: it.type }, name, depth + 1);
  if (it.kind !== 'struct' && it.kind !== 'union') return [];
  for (const member of it.members) {
    if (member.name === name) return [{ btf, ...member }];
    const inner = member.name === '' ? memberIn({ btf, id: member.type }, name, depth + 1) : [];
    if (inner.length > 0) return inner;
  }
  return [];
}

/**
 * A member of which only the name is known, and its type as it is now or, without, that it is gone. It must have changed, and
 * be the only such one.
 */
function fieldOf(pairs: readonly BtfPair[], name: string, type: string | null): Declared | null {
  const wanted = type === null ? null : normal(type);
  const found = new Map<string, Declared>();
  for (const { before, after } of pairs) {
    const [were, are] = [structsWith(before, name), structsWith(after, name)];
    for (const of of new Set([...were.keys(), ...are.keys()])) {
      const [was, is] = [were.get(of), are.get(of)];
      const fits = wanted === null ? !is : is && wanted === normal(spell(is.btf, is.type, ''));
      if (!was || !fits || (is && isSameMember(was, is))) continue;
      const told = compared(`${of}.${name}`, [was], is ? [is] : [], isSameMember, memberText);
      // That a type is gone as a whole says nothing of its member.
      if (is || hasType(after, of)) found.set(of, told);
    }
  }
  const [only] = found.values();
  return only && found.size === 1 ? only : null;
}

const normal = (type: string): string =>
  plainInts(type)
    .replace(/\s+/g, ' ')
    .replace(/ ?\* ?/g, '*')
    .trim();

/** The structs and unions of a BTF that have a member of that name, by `struct NAME`. */
function structsWith(btf: Btf, name: string): Map<string, Member> {
  const found = new Map<string, Member>();
  for (let id = btf.first; id < btf.end; id++) {
    const kind = btf.kind(id);
    if ((kind !== 'struct' && kind !== 'union') || btf.name(id) === '') continue;
    const [member] = memberIn({ btf, id }, name);
    if (member) found.set(`${kind} ${btf.name(id)}`, member);
  }
  return found;
}

function hasType(btf: Btf, key: string): boolean {
  for (let id = btf.first; id < btf.end; id++) if (key === `${btf.kind(id)} ${btf.name(id)}`) return true;
  return false;
}

// ---- values of enums --------------------------------------------------------------------------------

interface Value {
  readonly value: bigint;
  readonly of: string;
}

function enumValueOf(pairs: readonly BtfPair[], name: string): Declared | null {
  const were = pairs.flatMap(({ before }) => valuesIn(before, name));
  const are = pairs.flatMap(({ after }) => valuesIn(after, name));
  if (were.length + are.length === 0) return null;
  const same = (was: Value, is: Value) => was.value === is.value && was.of === is.of;
  const text = ({ value, of }: Value) => `${name} = ${value}${of === '' ? '' : ` in enum ${of}`}`;
  return compared(`enum value ${name}`, were, are, same, text);
}

function valuesIn(btf: Btf, name: string): Value[] {
  const found: Value[] = [];
  for (let id = btf.first; id < btf.end; id++) {
    const it = btf.kind(id) === 'enum' ? btf.type(id) : null;
    if (it?.kind === 'enum')
      for (const each of it.values) if (each.name === name) found.push({ value: each.value, of: it.name });
  }
  return found;
}
