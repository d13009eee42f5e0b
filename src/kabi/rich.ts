/** Boolean dependencies (rpm: docs/manual/boolean_dependencies): `(kernel >= 5.14 with kernel < 5.15)`. */
import { type Dependency, SENSE } from './evr.ts';

/** A requirement, or several joined. `else` may follow `if` and `unless`. */
export type Rich =
  | Dependency
  | {
      readonly operator: Operator;
      readonly left: Rich;
      readonly right: Rich;
      readonly otherwise?: Rich;
    };
type Operator = (typeof OPERATORS)[number];
const OPERATORS = ['and', 'or', 'with', 'without', 'if', 'unless'] as const;

/** A bracket, or a word, which may have brackets of its own: `libfoo.so(64bit)`. */
const TOKEN = /[^\s()]+(?:\([^\s()]*\))*|[()]/g;

/** @returns null where it is no boolean dependency, or one that is not understood */
export function parseRich(text: string): Rich | null {
  if (!text.startsWith('(')) return null;
  const tokens = text.match(TOKEN) ?? [];
  let at = 0;
  const operand = (): Rich | null => {
    const word = tokens[at++];
    if (word === undefined || word === ')') return null;
    if (word === '(') return group();
    const sign = /^[<>=]+$/.test(tokens[at] ?? '') ? tokens[at++] : undefined;
    if (sign === undefined) return { name: word, flags: 0, version: '' };
    const version = tokens[at++];
    return version === undefined ? null : { name: word, flags: senseOf(sign), version };
  };
  const group = (): Rich | null => {
    let left = operand();
    while (left && tokens[at] !== ')') {
      const operator = OPERATORS.find((one) => one === tokens[at]);
      at++;
      const right = operand();
      if (!operator || !right) return null;
      const hasElse = tokens[at] === 'else';
      if (hasElse) at++;
      const otherwise = hasElse ? operand() : undefined;
      if (otherwise === null) return null;
      left = { operator, left, right, ...(otherwise && { otherwise }) };
    }
    at++;
    return left;
  };
  const whole = operand();
  return at === tokens.length ? whole : null;
}

const senseOf = (sign: string): number =>
  (sign.includes('<') ? SENSE.LESS : 0) |
  (sign.includes('>') ? SENSE.GREATER : 0) |
  (sign.includes('=') ? SENSE.EQUAL : 0);

/**
 * What becomes of a boolean dependency.
 * @param of what becomes of one requirement: null: it is met or not by what is not known here
 */
export function evaluate(rich: Rich, of: (asked: Dependency) => boolean | null): boolean | null {
  if (!('operator' in rich)) return of(rich);
  const { operator, otherwise } = rich;
  const [left, right] = [() => evaluate(rich.left, of), () => evaluate(rich.right, of)];
  const instead = () => (otherwise ? evaluate(otherwise, of) : true);
  switch (operator) {
    case 'and':
    case 'with':
      return both(left(), right());
    case 'without':
      return both(left(), not(right()));
    case 'or':
      return not(both(not(left()), not(right())));
    case 'if':
      return chosen(right(), left, instead);
    case 'unless':
      return chosen(right(), instead, left);
  }
}

const both = (a: boolean | null, b: boolean | null): boolean | null =>
  a === false || b === false ? false : a === null || b === null ? null : true;
const not = (a: boolean | null): boolean | null => (a === null ? null : !a);
const chosen = (which: boolean | null, a: () => boolean | null, b: () => boolean | null): boolean | null =>
  which === null ? null : which ? a() : b();

/** All that it names. */
export const leavesOf = (rich: Rich): Dependency[] =>
  'operator' in rich
    ? [rich.left, rich.right, ...(rich.otherwise ? [rich.otherwise] : [])].flatMap(leavesOf)
    : [rich];
