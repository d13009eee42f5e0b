/** What changed in a declaration, in the words of C. */
import { isAlike } from './alike.ts';
import { type Numbers, nameKey, type Shapes, shapesOf } from './declaration.ts';
import type { BtfPair, Node } from './graph.ts';
import { type Part, partsOf, spell } from './parts.ts';
import type { Btf } from './reader.ts';

export type DeclaredKind = 'struct' | 'union' | 'enum' | 'typedef' | 'function' | 'variable';

/** A member, a value of an enum, or all that a function, a variable or a typedef is. */
export interface MemberChange {
  readonly name: string;
  /** As C declares it: `unsigned long flags[1]`; null: it was not there. Both are the same of one that has moved. */
  readonly was: string | null;
  /** Null: it is not there any more. */
  readonly now: string | null;
}

export interface DeclarationChange {
  readonly kind: DeclaredKind;
  readonly name: string;
  /** Those that went or changed, then those that came, then those that moved. */
  readonly members: readonly MemberChange[];
  /** In bytes, a consequence and no change of the declaration; null of what has no size. */
  readonly size: { readonly was: number; readonly now: number } | null;
}

/** What changed of a type that stands in both. */
export function changeOf({
  pair,
  before,
  after,
}: Pick<Node, 'pair' | 'before' | 'after'>): DeclarationChange {
  const [was, now] = [pair.before.type(before), pair.after.type(after)];
  const size = 'size' in was && 'size' in now ? { was: was.size, now: now.size } : null;
  const name = pair.after.name(after);
  const isList = size !== null || now.kind === 'typedef';
  const members = isList
    ? membersOf(pair, before, after)
    : [{ name, was: spell(pair.before, before, ''), now: spell(pair.after, after, '') }];
  return { kind: kindOf(now.kind), name, members: members.length > 0 ? members : [REGROUPED], size };
}

/** Where each member is as it was. */
const REGROUPED: MemberChange = {
  ...{ name: '', was: 'anonymous structs and unions', now: 'the same members in other ones' },
};

const kindOf = (kind: string): DeclaredKind =>
  (['struct', 'union', 'enum', 'typedef', 'variable'] as const).find((it) => it === kind) ?? 'function';

function membersOf({ before, after }: BtfPair, was: number, now: number): MemberChange[] {
  const [old, young] = [membersIn(before, was), membersIn(after, now)];
  const went: MemberChange[] = [];
  const changed: MemberChange[] = [];
  const came: MemberChange[] = [];
  for (const [key, { name, text, type }] of old) {
    const other = young.get(key);
    if (!other) went.push({ name, was: text, now: null });
    else if (other.text !== text) changed.push({ name, was: text, now: other.text });
    else if (type !== null && other.type !== null && !isAlike(before, type, after, other.type))
      changed.push({ name, was: text, now: `${text} of other members` });
  }
  for (const [key, { name, text }] of young) if (!old.has(key)) came.push({ name, was: null, now: text });
  return [...went, ...changed, ...came, ...movedIn(old, young)];
}

type Members = ReadonlyMap<string, Pick<Part, 'name' | 'type'> & { readonly text: string }>;

/** By name, and of those of one name by which it is. */
function membersIn(btf: Btf, id: number): Members {
  const members = new Map<string, Pick<Part, 'name' | 'type'> & { text: string }>();
  for (const part of partsOf(btf, id)) {
    let key = part.name;
    for (let nth = 1; members.has(key); nth++) key = `${part.name} ${nth}`;
    members.set(key, { name: part.name, type: part.type, text: textOf(btf, part) });
  }
  return members;
}

function textOf(btf: Btf, { name, type, bits, within, value }: Part): string {
  if (type === null) return `${name} = ${value}`;
  // What is within a member of anonymous type has its way as its name, which no C declaration has.
  return [
    spell(btf, type, name),
    bits > 0 ? `: ${bits}` : '',
    within === '' ? '' : `in an anonymous ${within.split(' ').at(-1)}`,
  ]
    .filter(Boolean)
    .join(' ');
}

/** Those of both that come after another one than before. */
function movedIn(old: Members, young: Members): MemberChange[] {
  const before = new Map<string, string>();
  let last = '';
  for (const key of old.keys())
    if (young.has(key)) {
      before.set(key, last);
      last = key;
    }
  last = '';
  const moved: MemberChange[] = [];
  for (const [key, { name, text }] of young)
    if (old.has(key)) {
      if (before.get(key) !== last && old.get(key)?.text === text) moved.push({ name, was: text, now: text });
      last = key;
    }
  return moved;
}

/** Named types of a kernel that the next one does not declare in the same way, whether anything reaches them or not. */
export interface TypeDifference {
  /** `struct device`, in both, of which some declaration is not in both. */
  readonly changed: readonly string[];
  readonly gone: readonly string[];
  readonly added: readonly string[];
}

/** Compare all named structs, unions, enums and typedefs. Throws SymbolFileError. */
export function compareTypes({ before, after }: BtfPair): TypeDifference {
  const numbers: Numbers = new Map();
  const [old, young] = [declarationsOf(before, numbers), declarationsOf(after, numbers)];
  const isSame = (a: ReadonlySet<number>, b: ReadonlySet<number>) =>
    a.size === b.size && [...a].every((it) => b.has(it));
  return {
    changed: [...young].flatMap(([name, are]) => {
      const were = old.get(name);
      return were && !isSame(were, are) ? [name] : [];
    }),
    gone: [...old.keys()].filter((name) => !young.has(name)),
    added: [...young.keys()].filter((name) => !old.has(name)),
  };
}

const TYPES: ReadonlySet<string> = new Set(['struct', 'union', 'enum', 'typedef']);

/** Files of one kernel may declare different types of the same name. */
function declarationsOf(btf: Btf, numbers: Numbers): Map<string, Set<number>> {
  const shapes: Shapes = shapesOf(btf, numbers);
  const found = new Map<string, Set<number>>();
  for (let id = btf.first; id < btf.end; id++) {
    const name = TYPES.has(btf.kind(id)) ? nameKey(btf, id) : null;
    if (name === null) continue;
    const known = found.get(name);
    if (known) known.add(shapes.declaration(id));
    else found.set(name, new Set([shapes.declaration(id)]));
  }
  return found;
}
