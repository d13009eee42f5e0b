/**
 * Two kernels' types side by side. A node is a type before and the same type after, as both are reached from exported
 * functions of the same name along members of the same name; so two types that share a name are kept apart.
 */
import { type IdPair, pairUp } from './alike.ts';
import { type Numbers, nameKey, type Shapes, shapesOf } from './declaration.ts';
import { namesIn, partsOf } from './parts.ts';
import type { Btf } from './reader.ts';

/** The same vmlinux or module before and after. */
export interface BtfPair {
  readonly before: Btf;
  readonly after: Btf;
}

/** A kernel's vmlinux, and modules whose BTF goes on from it, by their names. */
export interface KernelBtfs extends BtfPair {
  readonly modules: ReadonlyMap<string, BtfPair>;
}

/** A named type, a function or a variable, before and after: ids in `pair`. */
export interface Node {
  readonly pair: BtfPair;
  readonly before: number;
  readonly after: number;
  /** Its own declaration is not the same. */
  readonly isChanged: boolean;
  /** The same of nodes of the same kind and name that changed in the same way. */
  readonly key: string;
}

export interface Graph {
  readonly nodes: readonly Node[];
  /** For each node those that its declaration mentions, before and after. */
  readonly edges: readonly (readonly number[])[];
  /** Where each function is, of those asked for that both kernels have. */
  readonly roots: ReadonlyMap<string, number>;
}

/** What is asked for: a function or variable that the kernel or one of its modules exports. */
export interface Root {
  readonly name: string;
  /** Where it may be, the likeliest first: modules by their names, null for vmlinux. */
  readonly places: readonly (string | null)[];
}

/**
 * All types that these functions reach.
 * @throws SymbolFileError of BTF with declarations that make no sense
 */
export function buildGraph({ modules, ...vmlinux }: KernelBtfs, roots: readonly Root[]): Graph {
  const shared: Shared = { numbers: new Map(), wanted: new Set(roots.map(({ name }) => name)) };
  const kernel = createSide(vmlinux, shared, null);
  const sides = new Map<string, Side>();
  const nodes: Node[] = [];
  const edges: number[][] = [];
  const found = new Map<string, number>();
  const open: { side: Side; node: number; mentions: readonly IdPair[] }[] = [];
  const enter = (from: Side, was: number, is: number): number => {
    const [before, after] = [wholeOf(from.before, was), wholeOf(from.after, is)];
    // What both have from vmlinux is vmlinux's.
    const isKernels = before < vmlinux.before.end && after < vmlinux.after.end;
    const side = isKernels ? kernel : from;
    const id = before * 2 ** 20 + after;
    const known = side.nodes.get(id);
    if (known !== undefined) return known;
    const node = nodes.length;
    const [it, mentions] = nodeOf(side, before, after);
    nodes.push(it);
    edges.push([]);
    side.nodes.set(id, node);
    open.push({ side, node, mentions });
    return node;
  };
  const sideOf = (module: string): Side | null => {
    const pair = modules.get(module);
    const known = sides.get(module) ?? (pair ? createSide(pair, shared, kernel) : null);
    if (known) sides.set(module, known);
    return known;
  };
  for (const { name, places } of roots)
    for (const place of places) {
      const side = place === null ? kernel : sideOf(place);
      const ids = side && functionOf(side, name);
      if (!side || !ids || found.has(name)) continue;
      found.set(name, enter(side, ...ids));
    }
  for (let next = open.pop(); next; next = open.pop()) {
    const { side, node, mentions } = next;
    edges[node] = [...new Set(mentions.map(([before, after]) => enter(side, before, after)))];
  }
  return { nodes, edges, roots: found };
}

/** One of several BTFs of two kernels, with what is looked up in it. */
interface Side {
  readonly pair: BtfPair;
  readonly before: Lookup;
  readonly after: Lookup;
  readonly nodes: Map<number, number>;
}

interface Lookup {
  readonly btf: Btf;
  readonly shapes: Shapes;
  /** Functions and variables by name; some names are there several times, as of assembly and of C. */
  readonly functions: ReadonlyMap<string, readonly number[]>;
  /** Structs and unions by `struct NAME`; null where there are several of that name. */
  readonly definitions: ReadonlyMap<string, number | null>;
}

/** What all BTFs of two kernels share: numbers of declarations, and which functions are looked for. */
interface Shared {
  readonly numbers: Numbers;
  readonly wanted: ReadonlySet<string>;
}

function createSide(pair: BtfPair, shared: Shared, kernel: Side | null): Side {
  const before = createLookup(pair.before, shared, kernel?.before ?? null);
  return { pair, before, after: createLookup(pair.after, shared, kernel?.after ?? null), nodes: new Map() };
}

function createLookup(btf: Btf, { numbers, wanted }: Shared, base: Lookup | null): Lookup {
  const functions = new Map<string, number[]>();
  const definitions = new Map(base?.definitions);
  for (let id = btf.first; id < btf.end; id++) {
    const kind = btf.kind(id);
    if (kind === 'function' || kind === 'variable') {
      const name = btf.name(id);
      const same = functions.get(name);
      if (same) same.push(id);
      else if (wanted.has(name)) functions.set(name, [id]);
    } else if (kind === 'struct' || kind === 'union') {
      const key = `${kind} ${btf.name(id)}`;
      definitions.set(key, definitions.has(key) ? null : id);
    }
  }
  return { btf, shapes: shapesOf(btf, numbers, base?.shapes), functions, definitions };
}

/**
 * A function before and after. Of several of its name, two that are declared in the same way; else the first of those that
 * are declared in more than assembly's way.
 */
function functionOf({ before, after }: Side, name: string): [before: number, after: number] | null {
  const [were, are] = [before, after].map(({ btf, functions }) => {
    const all = functions.get(name) ?? [];
    return all.length < 2 ? all : all.toSorted((a, b) => partsOf(btf, b).length - partsOf(btf, a).length);
  });
  const [was, is] = [were?.[0], are?.[0]];
  if (was === undefined || is === undefined) return null;
  for (const one of were ?? [])
    for (const other of are ?? [])
      if (before.shapes.declaration(one) === after.shapes.declaration(other)) return [one, other];
  return [was, is];
}

/** The node of a pair, and the pairs that it mentions: where it changed, those of the same name at the same place. */
function nodeOf(
  { pair, before: was, after: is }: Side,
  before: number,
  after: number,
): [Node, readonly IdPair[]] {
  const node = { pair, before, after, isChanged: false, key: '' };
  const [a, b] = [was.btf.kind(before), is.btf.kind(after)];
  // Of a forward declaration nothing is known.
  if (a === 'forward' || b === 'forward') return [node, []];
  const alike = pairUp(was.btf, before, is.btf, after);
  if (alike) return [node, alike];
  const key = `${b} ${is.btf.name(after)} ${was.shapes.declaration(before)} ${is.shapes.declaration(after)}`;
  const were = new Map(placesOf(was, before));
  const mentions = placesOf(is, after).flatMap(([place, id]): IdPair[] => {
    const other = were.get(place);
    return other === undefined ? [] : [[other, id]];
  });
  return [{ ...node, isChanged: true, key }, mentions];
}

/** Each by the name of its part, its own name, and which of that name it is in that part. */
function placesOf(lookup: Lookup, id: number): [place: string, id: number][] {
  const counts = new Map<string, number>();
  return partsOf(lookup.btf, id).flatMap(({ name, type }) =>
    (type === null ? [] : namesIn(lookup.btf, type)).map((other): [string, number] => {
      const place = `${name} ${nameKey(lookup.btf, other)}`;
      const nth = counts.get(place) ?? 0;
      counts.set(place, nth + 1);
      return [`${place} ${nth}`, other];
    }),
  );
}

/** For a forward declaration the definition, where the kernel has just one of that name. */
function wholeOf({ btf, definitions }: Lookup, id: number): number {
  if (btf.kind(id) !== 'forward') return id;
  return definitions.get(nameKey(btf, id) ?? '') ?? id;
}
