/**
 * Why CRCs changed: a CRC is made of declarations, so where an export's changed, a declaration that it reaches has. Pure:
 * from the BTF of two kernels and which of their exports changed.
 */
import { changeOf, type DeclarationChange } from './changes.ts';
import { buildGraph, type Graph, type KernelBtfs, type Root } from './graph.ts';
import { namesIn, partsOf, spell } from './parts.ts';

/** A declaration that changed, and what that hits. */
export interface Cause extends DeclarationChange {
  /** How many exported functions whose CRC changed reach it. */
  readonly symbols: number;
  /** How many reach it by their types, and have their CRC of before: their source files do not see its declaration. */
  readonly unchanged: number;
}

/** A cause that an export reaches. */
export interface Reached {
  /** In Causes.causes. */
  readonly cause: number;
  /** How many declarations away; 0: it is the export itself. */
  readonly distance: number;
}

/** The way from an export to a cause. */
export interface Way {
  readonly cause: number;
  /** Members on the way: `pci_dev.dev`. Empty where the export's own declaration names or is the cause. */
  readonly steps: readonly string[];
}

export interface Causes {
  /** What hits most first. Those that hit nothing are not among them. */
  readonly causes: readonly Cause[];
  readonly symbols: {
    /** Exports whose CRC changed; `functions`, `variables` and `modules` are all of them. */
    readonly changed: number;
    /** Functions that the BTF at hand tells of. */
    readonly functions: number;
    /** Of those, how many reach a cause. */
    readonly explained: number;
    /** Of vmlinux, and no function in its BTF, which has nothing on most variables. */
    readonly variables: number;
    /** Of modules whose BTF is not at hand. */
    readonly modules: number;
  };
  /** The declaration of an export as it is now; null where the BTF does not tell of it. */
  declared(symbol: string): string | null;
  /** The causes that an export reaches, nearest first. */
  reached(symbol: string): readonly Reached[];
  /** The same with a shortest way to each. */
  ways(symbol: string): Way[];
}

/** An export that both kernels have. */
export interface ComparedExport {
  readonly symbol: string;
  /** `vmlinux`, a module as Module.symvers has it (`net/wireless/cfg80211`), or an rpm. */
  readonly provider: string;
  readonly isChanged: boolean;
}

/**
 * Find the causes.
 * @param exports all that both kernels export
 * @throws SymbolFileError of BTF with declarations that make no sense
 */
export function findCauses(btfs: KernelBtfs, exports: readonly ComparedExport[]): Causes {
  const graph = buildGraph(
    btfs,
    exports.map((it) => rootOf(it, btfs)),
  );
  const isFunction = (name: string) => {
    const node = graph.nodes[graph.roots.get(name) ?? -1];
    return node?.pair.after.kind(node.after) === 'function';
  };
  const changed = exports.filter((it) => it.isChanged);
  const functions = exports.filter(({ symbol }) => isFunction(symbol));
  const groups = groupChanged(graph);
  const hits = countHits(graph, groups, functions);
  const found = groups.map(([first], i) => {
    const node = graph.nodes[first ?? -1];
    if (!node) throw new Error('a group of changed declarations is empty');
    return { group: i, cause: { ...changeOf(node), ...(hits.counts[i] ?? { symbols: 0, unchanged: 0 }) } };
  });
  const ordered = found.filter(({ cause }) => cause.symbols > 0).sort((a, b) => byWeight(a.cause, b.cause));
  const causeOfNode = new Map<number, number>();
  for (const [i, { group }] of ordered.entries())
    for (const node of groups[group] ?? []) causeOfNode.set(node, i);
  const known = new Map<string, readonly Reached[]>();
  const searchFrom = (symbol: string) => search(graph, graph.roots.get(symbol), causeOfNode);
  const told = changed.filter(({ symbol }) => isFunction(symbol)).length;
  const modules = changed.filter((it) => !isFunction(it.symbol) && isOfModule(it)).length;
  return {
    causes: ordered.map(({ cause }) => cause),
    symbols: {
      ...{ changed: changed.length, functions: told, explained: hits.explained },
      ...{ variables: changed.length - told - modules, modules },
    },
    declared: (symbol) => {
      const node = graph.nodes[graph.roots.get(symbol) ?? -1];
      return node ? spell(node.pair.after, node.after, '') : null;
    },
    reached(symbol) {
      // Kmods need much the same symbols.
      const found = known.get(symbol) ?? searchFrom(symbol).ends;
      known.set(symbol, found);
      return found;
    },
    ways(symbol) {
      const { cameFrom, ends } = searchFrom(symbol);
      return ends.map(({ cause, node }) => ({ cause, steps: stepsTo(graph, cameFrom, node) }));
    },
  };
}

/** As a module names itself: `cfg80211` of `net/wireless/cfg80211`, and with `_` for each `-`, as the kernel has it. */
export const moduleName = (path: string): string => path.replace(/^.*\//, '').replaceAll('-', '_');

/** Rpms of kernels are called `kernel-core`, `kernel-default`; those of modules alone, `kernel-modules-extra`. */
const isOfModule = ({ provider }: ComparedExport): boolean =>
  provider !== 'vmlinux' && (/-modules/.test(provider) || !/^kernel(-|$)/.test(provider));

/** Of an rpm's export nothing tells whether it is vmlinux's or a module's. */
function rootOf({ symbol: name, provider }: ComparedExport, { modules }: KernelBtfs): Root {
  if (provider === 'vmlinux') return { name, places: [null] };
  const module = moduleName(provider);
  if (provider.includes('/') || modules.has(module)) return { name, places: [module] };
  return { name, places: [null, ...modules.keys()] };
}

/** The nodes that changed, those together that changed from the same declaration to the same. */
function groupChanged({ nodes }: Graph): number[][] {
  const groups = new Map<string, number[]>();
  for (const [i, { isChanged, key }] of nodes.entries()) {
    if (!isChanged) continue;
    const group = groups.get(key);
    if (group) group.push(i);
    else groups.set(key, [i]);
  }
  return [...groups.values()];
}

interface Hits {
  readonly symbols: number;
  readonly unchanged: number;
}

/** Causes are counted so many at a time: a bit each for every part of the graph. */
const AT_A_TIME = 1024;

/** How many functions reach each group, and how many of those that changed reach any. */
function countHits(
  graph: Graph,
  groups: readonly (readonly number[])[],
  functions: readonly ComparedExport[],
) {
  const parts = componentsOf(graph.edges);
  const partOf = ({ symbol }: ComparedExport) => parts.of[graph.roots.get(symbol) ?? -1] ?? -1;
  const [changed, same] = [functions.filter((it) => it.isChanged), functions.filter((it) => !it.isChanged)];
  const tallies = [changed, same].map((some) => tally(some.map(partOf), parts.count));
  const counts: Hits[] = [];
  const explained = new Uint8Array(parts.count);
  for (let from = 0; from < groups.length; from += AT_A_TIME) {
    const some = groups.slice(from, from + AT_A_TIME);
    const width = Math.ceil(some.length / 32);
    const bits = reachOf(graph.edges, parts, some, width);
    const sums = tallies.map(() => new Array<number>(some.length).fill(0));
    for (let part = 0; part < parts.count; part++)
      for (let word = 0; word < width; word++) {
        let rest = bits[part * width + word] ?? 0;
        if (rest !== 0) explained[part] = 1;
        if (tallies.every((each) => each[part] === 0)) continue;
        for (; rest !== 0; rest &= rest - 1) {
          const group = 32 * word + 31 - Math.clz32(rest & -rest);
          for (const [i, sum] of sums.entries()) sum[group] = (sum[group] ?? 0) + (tallies[i]?.[part] ?? 0);
        }
      }
    counts.push(...some.map((_, i) => ({ symbols: sums[0]?.[i] ?? 0, unchanged: sums[1]?.[i] ?? 0 })));
  }
  return { counts, explained: changed.filter((it) => explained[partOf(it)] === 1).length };
}

/** How often each number is there. */
function tally(numbers: readonly number[], count: number): Uint32Array {
  const found = new Uint32Array(count);
  for (const each of numbers) found[each] = (found[each] ?? 0) + 1;
  return found;
}

/** For each component a bit of each group that it reaches, itself included. */
function reachOf(
  edges: Graph['edges'],
  { of, count, members }: Components,
  groups: readonly (readonly number[])[],
  width: number,
): Int32Array {
  const bits = new Int32Array(count * width);
  for (const [group, nodes] of groups.entries())
    for (const node of nodes) {
      const at = (of[node] ?? 0) * width + (group >>> 5);
      bits[at] = (bits[at] ?? 0) | (1 << (group & 31));
    }
  // What a component reaches has a lower number.
  for (let part = 0; part < count; part++)
    for (const node of members[part] ?? [])
      for (const next of edges[node] ?? []) {
        const other = of[next] ?? 0;
        if (other !== part)
          for (let word = 0; word < width; word++)
            bits[part * width + word] = (bits[part * width + word] ?? 0) | (bits[other * width + word] ?? 0);
      }
  return bits;
}

/** Parts of a graph in which every node reaches every other. */
interface Components {
  /** The part of each node. */
  readonly of: Int32Array;
  readonly count: number;
  readonly members: readonly (readonly number[])[];
}

/** By Tarjan's algorithm, with a stack of its own: ways go thousands of types deep. */
function componentsOf(edges: Graph['edges']): Components {
  const of = new Int32Array(edges.length).fill(-1);
  const order = new Int32Array(edges.length);
  const low = new Int32Array(edges.length);
  const members: number[][] = [];
  const open: number[] = [];
  let time = 0;
  for (let start = 0; start < edges.length; start++) {
    if (order[start] !== 0) continue;
    const stack = [{ node: start, next: 0 }];
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const { node } = top;
      if (top.next === 0) {
        time += 1;
        order[node] = low[node] = time;
        open.push(node);
      }
      const target = edges[node]?.[top.next++];
      if (target === undefined) {
        stack.pop();
        const parent = stack.at(-1);
        if (parent) low[parent.node] = Math.min(low[parent.node] ?? 0, low[node] ?? 0);
        if (low[node] === order[node]) {
          const part = open.splice(open.lastIndexOf(node));
          for (const each of part) of[each] = members.length;
          members.push(part);
        }
      } else if (order[target] === 0) stack.push({ node: target, next: 0 });
      else if (of[target] === -1) low[node] = Math.min(low[node] ?? 0, order[target] ?? 0);
    }
  }
  return { of, count: members.length, members };
}

/** Most exports first, of equals those that say most: few that could see it have not changed. */
const byWeight = (a: Cause, b: Cause): number =>
  b.symbols - a.symbols || a.unchanged - b.unchanged || (a.name < b.name ? -1 : 1);

interface Search {
  /** For each node that is reached the one before it; the root's is itself, -1 of all others. */
  readonly cameFrom: Int32Array;
  /** The first node of each cause, nearest first. */
  readonly ends: readonly { readonly cause: number; readonly node: number; readonly distance: number }[];
}

/** Breadth first: the first way to a cause is a shortest one. */
function search(graph: Graph, root: number | undefined, causeOfNode: ReadonlyMap<number, number>): Search {
  const cameFrom = new Int32Array(graph.nodes.length).fill(-1);
  const distances = new Int32Array(graph.nodes.length);
  const ends = new Map<number, Search['ends'][number]>();
  const open = root === undefined ? [] : [root];
  if (root !== undefined) cameFrom[root] = root;
  for (const node of open) {
    const cause = causeOfNode.get(node);
    const distance = distances[node] ?? 0;
    if (cause !== undefined && !ends.has(cause)) ends.set(cause, { cause, node, distance });
    for (const next of graph.edges[node] ?? [])
      if (cameFrom[next] === -1) {
        cameFrom[next] = node;
        distances[next] = distance + 1;
        open.push(next);
      }
  }
  return { cameFrom, ends: [...ends.values()] };
}

function stepsTo(graph: Graph, cameFrom: Int32Array, end: number): string[] {
  const steps: string[] = [];
  for (let node = end; ; ) {
    const from = cameFrom[node] ?? node;
    if (from === node) return steps.reverse();
    const step = stepBetween(graph, from, node);
    if (step !== '') steps.push(step);
    node = from;
  }
}

/** The member by which one declaration mentions another; empty of a typedef or a function, which have none. */
function stepBetween({ nodes }: Graph, from: number, to: number): string {
  const node = nodes[from];
  const target = nodes[to];
  if (!node || !target) return '';
  const { after: btf } = node.pair;
  const part = partsOf(btf, node.after).find(
    ({ type }) => type !== null && namesIn(btf, type).some((it) => btf.name(it) === btf.name(target.after)),
  );
  return part && part.name !== '' ? `${btf.name(node.after)}.${part.name}` : '';
}
