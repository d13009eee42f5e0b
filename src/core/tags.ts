/** A kernel's tags: what a verdict changes, who else changed them, and which kernel may be the latest. */
import type { Gate, Intent, KernelBuild, Run, TagChange, Write } from './model.ts';
import { compareEvr } from './names.ts';
import { isRebuild } from './rebuild.ts';

export type TagIntent = Intent<Extract<Write, { kind: 'tag' | 'untag' }>>;

/** What is true of a kernel's tags. */
export interface TagsSeen {
  readonly run: Run;
  /** Names of the tags that the kernel is in. */
  readonly tags: readonly string[];
  /** Koji event with which the kernel came into the watch tag; null: it is not there. */
  readonly entry: number | null;
  /** The build of the kernel's package that was tagged last into each tag of a pass, also where it has left it since. */
  readonly heads: ReadonlyMap<string, KernelBuild>;
  /** What other gates did, or are doing, to the tags of this kernel, in order. */
  readonly otherGates: readonly {
    readonly gate: string;
    readonly write: Write;
    readonly at: number;
    readonly done: boolean;
  }[];
  /** Fail tags of other gates that block this kernel: also where a person had put it there before. */
  readonly blockedIn: readonly string[];
}

const NO_CHANGE: TagChange = { tag: [], untag: [] };

/** The run's changes of the gate's tags; the tag of a side tag's own is none. */
export function tagChanges(gate: Gate, { intents }: Pick<Run, 'intents'>): TagIntent[] {
  const tags = new Set([gate.on_pass, gate.on_fail].flatMap((change) => [...change.tag, ...change.untag]));
  return intents.filter(
    (intent): intent is TagIntent =>
      (intent.write.kind === 'tag' || intent.write.kind === 'untag') && tags.has(intent.write.tag),
  );
}

/**
 * What a verdict is to change. A kernel that passes also leaves the tags into which it was blocked before, in this run or
 * another one, but for those where another gate has put it. What the verdict, or another gate meanwhile, has tagged once is
 * not tagged again: it may have been moved on.
 */
export function changeFor(verdict: NonNullable<Run['verdict']>, gate: Gate, seen: TagsSeen): TagChange {
  const { tag, untag } = { promote: gate.on_pass, block: gate.on_fail, hold: NO_CHANGE }[verdict.verdict];
  const since = doneOf(tagChanges(gate, seen.run).filter(({ askedAt }) => askedAt >= verdict.at));
  const wanted = tag.filter((name) => !lastEnters(since, name));
  if (verdict.verdict !== 'promote') return { tag: wanted, untag };
  const others = seen.otherGates.map(({ write }) => write);
  const meanwhile = seen.otherGates.filter(({ at }) => at >= seen.run.startedAt).map(({ write }) => write);
  const left = gate.on_fail.tag.filter((name) => !lastEnters(others, name) && !seen.blockedIn.includes(name));
  const missing = wanted.filter((name) => !lastEnters(meanwhile, name));
  return { tag: missing, untag: [...new Set([...untag, ...left])] };
}

/**
 * The writes that make `change` true for a build that is in `tags` now. What is tagged and what is untagged
 * at once becomes one move, the last tag in: the build is never in none of its tags.
 */
export function planTagChanges(
  change: TagChange,
  tags: readonly string[],
): Extract<Write, { kind: 'tag' | 'untag' }>[] {
  const wanted = change.tag.filter((tag) => !tags.includes(tag));
  const unwanted = change.untag.filter((tag) => tags.includes(tag));
  const untags = (list: readonly string[]) => list.map((tag) => ({ kind: 'untag' as const, tag }));
  const [from, ...others] = unwanted;
  const last = wanted.at(-1);
  if (from === undefined || last === undefined) {
    return [...wanted.map((tag) => ({ kind: 'tag' as const, tag })), ...untags(unwanted)];
  }
  const first = wanted.slice(0, -1).map((tag) => ({ kind: 'tag' as const, tag }));
  return [...first, { kind: 'tag', tag: last, from }, ...untags(others)];
}

/**
 * The newest in a Koji tag is what was tagged last, so tagging an older kernel would take a newer one's place, also where
 * that was released since and has left the tag. Only tags of a pass keep an order: a blocked kernel always leaves.
 */
export function newerHead(
  tags: readonly string[],
  { heads, run: { kernel }, tags: now }: TagsSeen,
): string | undefined {
  for (const tag of tags.filter((name) => !now.includes(name))) {
    const head = heads.get(tag);
    if (head && compareEvr(head, kernel) > 0)
      return `${head.nvr} is newer and came into ${tag} already: an older kernel does not take its place, so ${kernel.nvr} stays where it is; where that is wrong, tag it by hand`;
  }
  return undefined;
}

/**
 * A person who moves the kernel wins, and so does another gate that is done first. Why the run counts as
 * taken over; undefined when it does not.
 */
export function takenOver(gate: Gate, seen: TagsSeen): string | undefined {
  const { run, tags } = seen;
  const changes = tagChanges(gate, run);
  if (changes.some((intent) => !intent.ending)) return undefined;
  const done = doneOf(changes);
  const others = seen.otherGates.map(({ write }) => write);
  const by = (did: (write: Write) => boolean) => {
    const other = seen.otherGates.find(({ write }) => did(write));
    return other ? `by gate ${other.gate}` : 'by hand';
  };
  if (seen.entry === null && !done.some(leaves(gate.watch)))
    return `taken out of ${gate.watch} ${by(leaves(gate.watch))}`;
  if (seen.entry !== null && seen.entry !== run.entry) return `tagged into ${gate.watch} again`;
  const verdicts = [...gate.on_pass.tag, ...gate.on_fail.tag];
  // A signer or a compose tool may move on what was promoted: that is what a promotion is for.
  const sideTags = run.intents.flatMap(({ receipt }) => receipt?.sideTag ?? []);
  const entered = others.flatMap((write) => (write.kind === 'tag' ? write.tag : []));
  const known = [...run.tags, ...gate.on_fail.tag, ...sideTags, ...entered];
  const passed = gate.on_pass.tag.some((tag) => lastEnters(done, tag));
  const movedOn =
    (passed || run.intents.some(isRebuild)) &&
    tags.some((tag) => !known.includes(tag) && !gate.on_pass.tag.includes(tag));
  // Another gate has put it there, or has not taken it out yet.
  const isTheirs = (tag: string) => {
    const last = seen.otherGates.findLast(({ write }) => moves(tag)(write));
    return last !== undefined && (enters(tag)(last.write) || !last.done);
  };
  const came = verdicts.find(
    (tag) => tags.includes(tag) && !(lastEnters(done, tag) ?? run.tags.includes(tag)) && !isTheirs(tag),
  );
  if (came) return `tagged into ${came} by hand`;
  // Who takes a kernel that was tried before out of where it failed then says nothing of this run.
  const before = (tag: string) => gate.on_pass.tag.includes(tag) && run.tags.includes(tag);
  const gone = verdicts.find((tag) => !tags.includes(tag) && (lastEnters(done, tag) ?? before(tag)));
  return gone && !movedOn ? `taken out of ${gone} ${by(leaves(gone))}` : undefined;
}

const doneOf = (changes: readonly TagIntent[]): TagIntent['write'][] =>
  changes.filter(({ ending }) => ending?.how === 'done').map(({ write }) => write);

/** Whether what was done last to a tag was to tag the kernel into it; undefined where nothing was done to it. */
function lastEnters(writes: readonly Write[], tag: string): boolean | undefined {
  const last = writes.findLast(moves(tag));
  return last && enters(tag)(last);
}

const enters = (tag: string) => (write: Write) => write.kind === 'tag' && write.tag === tag && !write.against;
const leaves = (tag: string) => (write: Write) =>
  (write.kind === 'untag' && write.tag === tag) || (write.kind === 'tag' && write.from === tag);
const moves = (tag: string) => (write: Write) => enters(tag)(write) || leaves(tag)(write);
