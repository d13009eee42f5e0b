/** Two declarations side by side: are they the same, and which types do they mention at the same places? */
import { nameKey } from './declaration.ts';
import { DEPTH_MAX, NAMED, STEPS_MAX } from './parts.ts';
import type { Btf, BtfType } from './reader.ts';

/** A type before and after. */
export type IdPair = readonly [before: number, after: number];

/**
 * Compare the declarations of two named types, functions or variables, as `shapesOf` does, without making numbers of them:
 * nearly all are the same, and this is the faster way to see it.
 * @returns the named types that they mention, in their order; null where they differ
 * @throws SymbolFileError where anonymous types are within themselves
 */
export function pairUp(before: Btf, was: number, after: Btf, now: number): IdPair[] | null {
  const { declared, pairs } = comparison(before, was, after);
  return declared(before.type(was), after.type(now), 0) ? pairs : null;
}

/** Whether two types are the same where a declaration mentions them: named ones by their names. */
export const isAlike = (before: Btf, was: number, after: Btf, now: number): boolean =>
  comparison(before, was, after).mention(was, now, 0);

/** @param blamed type in errors */
function comparison(before: Btf, blamed: number, after: Btf) {
  const pairs: IdPair[] = [];
  let steps = 0;
  /** A type as the declarations mention it. */
  const mention = (a: number, b: number, depth: number): boolean => {
    if (++steps > STEPS_MAX || depth > DEPTH_MAX)
      throw before.fail(blamed, 'it mentions too many types that have no name');
    const [kind, other] = [before.kind(a), after.kind(b)];
    if (kind === 'tag') return mention(targetOf(before, a), b, depth + 1);
    if (other === 'tag') return mention(a, targetOf(after, b), depth + 1);
    const [name, otherName] = [nameKey(before, a), nameKey(after, b)];
    if (name !== otherName) return false;
    if (name === null) return declared(before.type(a), after.type(b), depth);
    if (NAMED.has(kind)) pairs.push([a, b]);
    return true;
  };
  /** All that a declaration says but for its name. */
  const declared = (a: BtfType, b: BtfType, depth: number): boolean => {
    const inner = (one: number, two: number) => mention(one, two, depth + 1);
    if ((a.kind === 'struct' || a.kind === 'union') && (b.kind === 'struct' || b.kind === 'union'))
      return (
        a.kind === b.kind &&
        a.members.length === b.members.length &&
        a.members.every((one, i) => {
          const two = b.members[i];
          return two && one.name === two.name && one.bits === two.bits && inner(one.type, two.type);
        })
      );
    if (a.kind === 'prototype' && b.kind === 'prototype')
      return (
        a.parameters.length === b.parameters.length &&
        a.variadic === b.variadic &&
        inner(a.returns, b.returns) &&
        a.parameters.every((one, i) => inner(one.type, b.parameters[i]?.type ?? 0))
      );
    if (a.kind === 'enum' && b.kind === 'enum')
      return (
        a.values.length === b.values.length &&
        a.values.every((one, i) => one.name === b.values[i]?.name && one.value === b.values[i]?.value)
      );
    if (a.kind === 'array' && b.kind === 'array') return a.count === b.count && inner(a.type, b.type);
    if (a.kind !== b.kind) return false;
    return 'type' in a && 'type' in b ? inner(a.type, b.type) : true;
  };
  return { mention, declared, pairs };
}

function targetOf(btf: Btf, id: number): number {
  const type = btf.type(id);
  return 'type' in type ? type.type : 0;
}
