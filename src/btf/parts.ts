/** The parts of a declaration: members, values of an enum, parameters; and how C spells them. */
import type { Btf, Member } from './reader.ts';

/** A part; those of an anonymous struct or union belong to what it stands in. */
export interface Part {
  /** `flags`, or `rcu.next` within a member of anonymous type; `''` of what has no name, as parameters. */
  readonly name: string;
  /** Its type; null of an enum's value, and of no parameter at all. */
  readonly type: number | null;
  readonly bits: number;
  /** The anonymous structs and unions that it is in, where not straight in the declared one: `union`. */
  readonly within: string;
  /** Of an enum's value. */
  readonly value: bigint | null;
}

/** Most types that are looked at for one declaration: those of real kernels need a tenth. */
export const STEPS_MAX = 200_000;
/** How deep types without a name are followed; `shapesOf` refuses what is deeper. */
export const DEPTH_MAX = 64;

/** The parts of a named type, function or variable, in their order. Throws SymbolFileError where they are too many. */
export function partsOf(btf: Btf, id: number): Part[] {
  const parts: Part[] = [];
  let steps = 0;
  const add = (part: Partial<Part>) =>
    parts.push({ name: '', type: null, bits: 0, within: '', value: null, ...part });
  const members = (all: readonly Member[], prefix: string, within: string) => {
    for (const { name, type, bits } of all) {
      if (++steps > STEPS_MAX) throw btf.fail(id, 'a declaration of too many parts');
      const it = anonymous(btf, type);
      if (!it) add({ name: `${prefix}${name}`, type, bits, within });
      else members(it.members, name === '' ? prefix : `${prefix}${name}.`, `${within} ${it.kind}`.trim());
    }
  };
  const values = (of: number) => {
    const it = btf.type(of);
    if (it.kind === 'enum') for (const value of it.values) add(value);
  };
  /** Of a typedef's or function's type; what is no list of parts is one itself. */
  const visit = (type: number) => {
    const inner = anonymous(btf, type);
    if (inner) members(inner.members, '', '');
    else if (btf.kind(type) === 'enum' && btf.name(type) === '') values(type);
    else {
      const it = btf.type(type);
      const types =
        it.kind === 'prototype' ? [it.returns, ...it.parameters.map((each) => each.type)] : [type];
      for (const each of types) add({ type: each });
    }
  };
  const type = btf.type(id);
  if (type.kind === 'struct' || type.kind === 'union') members(type.members, '', '');
  else if (type.kind === 'enum') values(id);
  else if (type.kind === 'typedef' || type.kind === 'function' || type.kind === 'variable') visit(type.type);
  return parts;
}

/** A struct or union without a name. Names are looked at first: of a large struct the members take long to read. */
function anonymous(btf: Btf, id: number) {
  const kind = btf.kind(id);
  if ((kind !== 'struct' && kind !== 'union') || btf.name(id) !== '') return null;
  const it = btf.type(id);
  return it.kind === 'struct' || it.kind === 'union' ? it : null;
}

/** Kinds that have a declaration of their own, where they have a name. */
export const NAMED: ReadonlySet<string> = new Set(['struct', 'union', 'enum', 'forward', 'typedef']);

/** The named types that a type mentions, in their order; a named type mentions itself. */
export function namesIn(btf: Btf, id: number): number[] {
  const names: number[] = [];
  let steps = 0;
  const visit = (type: number, depth: number) => {
    if (++steps > STEPS_MAX || depth > DEPTH_MAX)
      throw btf.fail(id, 'a type of too many others without a name');
    if (NAMED.has(btf.kind(type)) && btf.name(type) !== '') {
      names.push(type);
      return;
    }
    const it = btf.type(type);
    if (it.kind === 'struct' || it.kind === 'union')
      for (const member of it.members) visit(member.type, depth + 1);
    else if (it.kind === 'prototype') {
      visit(it.returns, depth + 1);
      for (const parameter of it.parameters) visit(parameter.type, depth + 1);
    } else if ('type' in it) visit(it.type, depth + 1);
  };
  visit(id, 0);
  return names;
}

/** DWARF's names of integers, as C programmers write them. */
const INTS: Readonly<Record<string, string>> = {
  ...{ 'long long unsigned int': 'unsigned long long', 'long long int': 'long long' },
  ...{ 'long unsigned int': 'unsigned long', 'long int': 'long' },
  ...{ 'short unsigned int': 'unsigned short', 'short int': 'short' },
};
/** The same in a type that a compiler prints. */
export const plainInts = (text: string): string =>
  Object.entries(INTS).reduce((plain, [long, short]) => plain.replaceAll(long, short), text);

/** A spelling is for people: deeper and longer than that it is cut. */
const SPELL_STEPS = 60;
const SPELL_MAX = 240;

/**
 * A declaration in C: `unsigned long flags[1]`.
 * @param declarator what is declared: a name, or `''`
 */
export function spell(btf: Btf, id: number, declarator: string): string {
  const text = spellDeep(btf, id, declarator, { steps: 0 });
  return text.length > SPELL_MAX ? `${text.slice(0, SPELL_MAX)}…` : text;
}

function spellDeep(btf: Btf, id: number, declarator: string, done: { steps: number }): string {
  const before = (type: string) =>
    declarator === '' || /^\[/.test(declarator) ? `${type}${declarator}` : `${type} ${declarator}`;
  if (++done.steps > SPELL_STEPS) return before('…');
  const inner = (type: number, text: string) => spellDeep(btf, type, text, done);
  const it = btf.type(id);
  switch (it.kind) {
    case 'int':
    case 'float':
      return before(INTS[it.name] ?? it.name);
    case 'struct':
    case 'union':
    case 'enum':
      return before(`${it.kind} ${it.name || '{…}'}`);
    case 'forward':
      return before(`${it.of} ${it.name}`);
    case 'typedef':
      return before(it.name);
    case 'tag':
      return inner(it.type, declarator);
    case 'const':
    case 'volatile':
    case 'restrict':
      return btf.kind(it.type) === 'pointer'
        ? inner(it.type, declarator === '' ? it.kind : `${it.kind} ${declarator}`)
        : `${it.kind} ${inner(it.type, declarator)}`;
    case 'pointer': {
      const isBound = ['array', 'prototype'].includes(btf.kind(it.type));
      return inner(it.type, isBound ? `(*${declarator})` : `*${declarator}`);
    }
    case 'array':
      return inner(it.type, `${declarator}[${it.count || ''}]`);
    case 'prototype': {
      const all = it.parameters.slice(0, 24).map(({ type }) => inner(type, ''));
      if (it.parameters.length > 24 || it.variadic) all.push('...');
      return inner(it.returns, `${declarator}(${all.join(', ') || 'void'})`);
    }
    case 'function':
    case 'variable':
      return inner(it.type, it.name);
    default:
      return before('void');
  }
}
