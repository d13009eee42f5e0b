/**
 * Which lines of a changelog speak of what changed: of a declaration, a symbol, or a part of the kernel that kmods need. They
 * are candidates and prove nothing: a name in a line says no more than that the change is near. Pure.
 */
import type { ChangelogLine } from './lines.ts';

/** What is looked for in lines. */
export interface Sought {
  /** The declarations that changed: `struct`, `device`, and what of its members did. */
  readonly causes: readonly {
    readonly kind: string;
    readonly name: string;
    readonly members: readonly { readonly name: string }[];
  }[];
  /** Exports that changed. */
  readonly symbols: readonly string[];
  /** Parts of the kernel that kmods need, in small letters: `cfg80211`, `wireless`, `pci`. */
  readonly parts: readonly string[];
}

/** A line, and what it names. */
export interface Candidate extends ChangelogLine {
  /** `struct device`, `pci_enable_device`, `wireless`: what weighs most first. Empty of a line that names nothing. */
  readonly names: readonly string[];
}

/** What a name in a line says: a declaration more than a member of it, that more than the part of the kernel. */
const WEIGHTS = { cause: 8, symbol: 4, member: 2, part: 1 } as const;

interface Term {
  readonly name: string;
  readonly weight: number;
}

/** All lines, those that name most first, and those that name the same in the order that they had. */
export function rankLines(lines: readonly ChangelogLine[], sought: Sought): Candidate[] {
  const words = termsOf(sought);
  const parts = new Map(sought.parts.map((name) => [name, { name, weight: WEIGHTS.part }]));
  const ranked = lines.map((line) => {
    const terms = [...wordsIn(line.text), ...partsIn(line.text)].flatMap(
      ({ word, isPart }) => (isPart ? parts : words).get(word) ?? [],
    );
    const heaviest = terms.toSorted((a, b) => b.weight - a.weight);
    const names = [...new Set(heaviest.map(({ name }) => name))];
    // Of many names of one kind, each further one says little more.
    const weight = (heaviest[0]?.weight ?? 0) + 0.1 * Math.min(9, names.length);
    return { weight, candidate: { ...line, names } };
  });
  return ranked.sort((a, b) => b.weight - a.weight).map(({ candidate }) => candidate);
}

/** Names as a line may have them, each with what it stands for. The heavier of two wins. */
function termsOf({ causes, symbols }: Sought): ReadonlyMap<string, Term> {
  const words = new Map<string, Term>();
  const add = (word: string, term: Term) => {
    if ((words.get(word)?.weight ?? 0) < term.weight) words.set(word, term);
  };
  for (const { kind, name, members } of causes) {
    const term = { name: `${kind} ${name}`, weight: WEIGHTS.cause };
    // `device` alone is a word of English.
    add(`${kind} ${name}`, term);
    if (isTelling(name)) add(name, term);
    for (const member of members) {
      const last = member.name.split('.').at(-1) ?? '';
      if (isTelling(last)) add(last, { name: last, weight: WEIGHTS.member });
    }
  }
  for (const symbol of symbols) {
    const term = { name: symbol, weight: WEIGHTS.symbol };
    add(`${symbol}()`, term);
    if (isTelling(symbol)) add(symbol, term);
  }
  return words;
}

/** A name that is no word of plain text. */
const isTelling = (name: string): boolean => name.length > 4 && /[a-z0-9]_[a-z0-9]/i.test(name);

/** Folders of a tree that say nothing of what is in them. */
const VAGUE: ReadonlySet<string> = new Set(['drivers', 'kernel', 'core', 'lib', 'vmlinux', 'common']);

/**
 * The parts of the kernel that symbols are of: folders and name of a module, and what a symbol's name begins with, as lines
 * do: `pci`.
 * @param symbols each with who exports it: `vmlinux`, `net/wireless/cfg80211`
 */
export function partsOfKernel(
  symbols: readonly { readonly symbol: string; readonly provider: string }[],
): string[] {
  const parts = symbols.flatMap(({ symbol, provider }) => [
    ...(provider.includes('/') ? provider.toLowerCase().split('/') : []),
    /^_*([a-z0-9]{2,})_/i.exec(symbol)?.[1]?.toLowerCase() ?? '',
  ]);
  return [...new Set(parts)].filter((part) => part.length > 1 && !VAGUE.has(part));
}

interface Word {
  readonly word: string;
  readonly isPart: boolean;
}

/** `task_struct`, `kfree()`, `struct device`. */
function wordsIn(text: string): Word[] {
  const plain = [...text.matchAll(/\b[A-Za-z_]\w*\b(?:\(\))?/g)].flatMap(([word]) => [
    word,
    word.replace(/\(\)$/, ''),
  ]);
  const kinds = [...text.matchAll(/\b(struct|union|enum) (\w+)/g)].map(([, kind, name]) => `${kind} ${name}`);
  return [...new Set([...plain, ...kinds])].map((word) => ({ word, isPart: false }));
}

/** What stands before the colons at the beginning: of `net/mlx5e: TC, fix foo` net and mlx5e. */
function partsIn(text: string): Word[] {
  const before = /^(?:\[[^\]]*\] *)?((?:[\w./,+ -]{1,60}: *)+)/.exec(text)?.[1] ?? '';
  const parts = before
    .toLowerCase()
    .split(/[^\w-]+/)
    .filter(Boolean);
  return [...new Set(parts)].map((word) => ({ word, isPart: true }));
}
