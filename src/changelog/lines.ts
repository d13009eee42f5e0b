/** What is new in a kernel's changelog since another kernel's, line by line. Pure. */

/** An entry as a package has it. */
export interface ChangelogEntry {
  /** Seconds since the epoch: rpm makes noon of the day, unless the packager gave a time. */
  readonly at: number;
  /** `Jane Doe <jane@example.org> [5.14.0-503.el9]`. */
  readonly author: string;
  /** Lines, most of which begin with a dash. */
  readonly text: string;
}

/** One change: `net: fix foo (Jane Doe) [RHEL-123] {CVE-2024-1}`. */
export interface ChangelogLine {
  /** Without the dash before it. */
  readonly text: string;
  readonly at: number;
  readonly author: string;
  /** `RHEL-123`, `bsc#123`, of a number in brackets `rhbz#123`. */
  readonly tickets: readonly string[];
  readonly cves: readonly string[];
}

/** What a changelog has that an older one has not. */
export interface NewLines {
  /** The newest first, each once. */
  readonly lines: readonly ChangelogLine[];
  /** How many more there are whose text is in the older changelog under another date: a change that both kernels have. */
  readonly repeated: number;
  /** Why this may not be all that changed, or more than that; null where the newer changelog goes on from the older. */
  readonly gap: string | null;
}

/**
 * The lines of `after` that are not in `before`, by their text and date. What is older than all of `before` is not new: that
 * was cut off there.
 * @param before the older kernel's changelog
 */
export function newLines(before: readonly ChangelogEntry[], after: readonly ChangelogEntry[]): NewLines {
  const [were, are] = [before.flatMap(linesOf), after.flatMap(linesOf)];
  const known = new Set(were.map(({ at, text }) => `${at} ${text}`));
  const texts = new Set(were.map(({ text }) => text));
  const oldest = rangeOf(were).first;
  const fresh = new Map<string, ChangelogLine>();
  for (const line of are.toSorted((a, b) => b.at - a.at))
    if (line.at >= oldest && !known.has(`${line.at} ${line.text}`) && !fresh.has(line.text))
      fresh.set(line.text, line);
  const lines = [...fresh.values()].filter(({ text }) => !texts.has(text));
  return { lines, repeated: fresh.size - lines.length, gap: gapBetween(were, are, known) };
}

type Dated = readonly Pick<ChangelogLine, 'at' | 'text'>[];

function gapBetween(were: Dated, are: Dated, known: ReadonlySet<string>): string | null {
  if (were.length === 0 || are.length === 0)
    return `the ${were.length === 0 ? 'older' : 'newer'} kernel has no changelog`;
  if (are.some(({ at, text }) => known.has(`${at} ${text}`))) {
    const now = new Set(are.map(({ at, text }) => `${at} ${text}`));
    const begins = rangeOf(are).first;
    const lost = were.filter(({ at, text }) => at >= begins && !now.has(`${at} ${text}`)).length;
    return lost > 0
      ? `${lost} ${lost === 1 ? 'line of the older changelog is' : 'lines of the older changelog are'} not in the newer one: it was rebased, or is of another branch`
      : null;
  }
  const [{ last }, { first }] = [rangeOf(were), rangeOf(are)];
  return first > last
    ? `the newer changelog begins on ${dayOf(first)}, after the older one ends on ${dayOf(last)}: what came between is not known`
    : 'the two changelogs share no entry: it was rebased, or is of another branch';
}

/** From the first day on to the last; of nothing, from the end of time on to its beginning. */
const rangeOf = (lines: Dated) =>
  lines.reduce(({ first, last }, { at }) => ({ first: Math.min(first, at), last: Math.max(last, at) }), {
    first: Infinity,
    last: -Infinity,
  });

/** `2026-11-30`, in UTC. */
export const dayOf = (seconds: number): string => {
  const date = new Date(1000 * seconds);
  return Number.isNaN(date.getTime()) ? 'no date' : date.toISOString().slice(0, 10);
};

/** Most characters of a line: a packager's whole story is no line. */
const LINE_MAX = 1000;

/** Each item of a list is a line with what goes on beneath it; where there is no list, each line is. */
function linesOf({ at, author, text }: ChangelogEntry): ChangelogLine[] {
  const lines: string[] = [];
  let isItem = false;
  for (const raw of text.split('\n')) {
    const item = /^\s{0,3}[-*+]\s+(.*)$/.exec(raw)?.[1];
    const said = (item ?? raw).trim();
    if (said === '') isItem = false;
    else if (item === undefined && isItem) lines.push(`${lines.pop()} ${said}`);
    else {
      lines.push(said);
      isItem = item !== undefined;
    }
  }
  return lines.map((line) => {
    const cut = line.slice(0, LINE_MAX);
    return { text: cut, at, author, tickets: ticketsIn(cut), cves: cvesIn(cut) };
  });
}

const cvesIn = (text: string): string[] => [...new Set(text.match(/\bCVE-\d{4}-\d{4,}\b/g) ?? [])];

/**
 * Tickets as makers write them: `[RHEL-123 RHEL-124]` and `[1234567]` of EL, `(bsc#123 jsc#PED-1)` of SUSE, `Closes: #123` of
 * Debian, `[Orabug: 123]` of Oracle, `(rhbz#123)` of Fedora.
 */
const TICKET =
  /\b(?:rhbz|bsc|bnc|boo)#\d+|\bjsc#[A-Z]+-\d+|\b(?!CVE-)[A-Z][A-Z0-9]+-\d+\b(?=[^[\]]*\])|\bOrabug: *\d+|\bCloses: *#\d+/g;
const BUGZILLA = /\[((?:\d{5,8}[ ,]*)+)\]/g;

function ticketsIn(text: string): string[] {
  const named = text.match(TICKET) ?? [];
  const numbers = [...text.matchAll(BUGZILLA)].flatMap(([, all = '']) => all.match(/\d+/g) ?? []);
  return [...new Set([...named, ...numbers.map((number) => `rhbz#${number}`)])];
}
