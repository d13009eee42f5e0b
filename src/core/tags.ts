/** A kernel's tags: what a verdict changes, who else changed them, and which kernel may be the latest. */
import type { Gate, Intent, KernelBuild, Run, TagChange, Write } from './model.ts';
import { compareEvr } from './names.ts';
import { isRebuild } from './rebuild.ts';

export type TagIntent = Intent<Extract<Write, { kind: 'tag' | 'untag' }>>;

/** A change of a kernel's tags, as the hub's history has it (`queryHistory`). */
export interface TagMove {
  readonly tag: string;
  /** Whether the kernel came into the tag; else it left it. */
  readonly enters: boolean;
  /** Koji event: of two changes the later one has the higher number; a move is two changes with one number. */
  readonly event: number;
  /** Name of the hub's user who did it. */
  readonly by: string;
  /** Whether that is the user as whom the gate is logged in. */
  readonly own: boolean;
}

/** What is true of a kernel's tags. */
export interface TagsSeen {
  readonly run: Run;
  /** Names of the tags that the kernel is in. */
  readonly tags: readonly string[];
  /** All that was ever done to them, in order. */
  readonly moves: readonly TagMove[];
  /** Koji event with which the kernel came into the watch tag; null: it is not there. */
  readonly entry: number | null;
  /** The build of the kernel's package that was tagged last into each tag of a pass, also where it has left it since. */
  readonly heads: ReadonlyMap<string, KernelBuild>;
  /** What other gates did, or are doing, to the tags of this kernel, in order. */
  readonly otherGates: readonly {
    readonly gate: string;
    readonly write: Write;
    /** Number of the fact that asked for it. */
    readonly fact: number;
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
  const since = doneOf(tagChanges(gate, seen.run).filter(({ fact }) => fact > verdict.fact));
  const wanted = tag.filter((name) => !lastEnters(since, name));
  if (verdict.verdict !== 'promote') return { tag: wanted, untag };
  const others = seen.otherGates.map(({ write }) => write);
  const meanwhile = seen.otherGates.filter(({ fact }) => fact > seen.run.fact).map(({ write }) => write);
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
  { heads, run: { kernel }, tags: now }: Pick<TagsSeen, 'heads' | 'run' | 'tags'>,
): string | undefined {
  for (const tag of tags.filter((name) => !now.includes(name))) {
    const head = heads.get(tag);
    if (head && compareEvr(head, kernel) > 0)
      return `${head.nvr} is newer and came into ${tag} already: an older kernel does not take its place, so ${kernel.nvr} stays where it is; where that is wrong, tag it by hand`;
  }
  return undefined;
}

/**
 * A person who moves the kernel wins, and so does another gate that is done first. The hub says who did what; which of the
 * deeds of its own user are this run's, or another gate's, say the requests in the store. Why the run counts as taken over;
 * undefined when it does not.
 */
export function takenOver(gate: Gate, seen: TagsSeen): string | undefined {
  const { run, tags } = seen;
  if (tagChanges(gate, run).some((intent) => !intent.ending)) return undefined;
  const moves = seen.moves.filter(({ event }) => event > run.entry);
  const isOwn = (move: TagMove) =>
    run.intents.some(({ write, ending }) => ending?.how !== 'failed' && mayComeOf(write, run, move));
  const otherGate = (move: TagMove) =>
    move.own ? seen.otherGates.find(({ write }) => does(write, move))?.gate : undefined;
  const lastOf = (tag: string) => moves.findLast((move) => move.tag === tag);
  const by = (move: TagMove | undefined) => {
    const other = move && otherGate(move);
    if (other !== undefined) return `by gate ${other}`;
    if (!move) return 'by hand';
    return move.own ? `as ${move.by}, and not by this gate` : `by ${move.by}`;
  };
  const watched = lastOf(gate.watch);
  if (seen.entry === null && !(watched && isOwn(watched))) {
    // What another gate does to the kernel is nothing that hinders one which only looks on.
    if (gate.mode === 'enforce' || !watched || otherGate(watched) === undefined)
      return `taken out of ${gate.watch} ${by(watched)}`;
  }
  if (seen.entry !== null && seen.entry !== run.entry)
    return `tagged into ${gate.watch} again ${by(watched)}`;
  for (const tag of [...gate.on_pass.tag, ...gate.on_fail.tag]) {
    const last = lastOf(tag);
    const left = moves.findLast((move) => move.tag === tag && isOwn(move))?.enters;
    const stands = tags.includes(tag);
    if (last && isOwn(last)) continue;
    const other = last && otherGate(last);
    if (stands && !(left ?? run.tags.includes(tag)) && other === undefined)
      return `tagged into ${tag} ${by(last)}`;
    // Who takes a kernel that was tried before out of where it failed then says nothing of this run.
    const isPass = gate.on_pass.tag.includes(tag);
    if (stands || !(left ?? (isPass && run.tags.includes(tag)))) continue;
    // Another gate takes what passes onward, and out of where it was blocked.
    if (other !== undefined && (isPass ? left : run.verdict?.verdict === 'promote')) continue;
    if (other !== undefined && gate.mode === 'observe') continue;
    if (isPass && movedOn(gate, run, moves, isOwn)) continue;
    return `taken out of ${tag} ${by(last)}`;
  }
  return undefined;
}

/** A signer or a compose tool may move on what was promoted: that is what a promotion is for. */
function movedOn(
  gate: Gate,
  run: Run,
  moves: readonly TagMove[],
  isOwn: (move: TagMove) => boolean,
): boolean {
  const passed = moves.find((move) => gate.on_pass.tag.includes(move.tag) && move.enters && isOwn(move));
  const since = run.intents.some(isRebuild) ? run.entry : passed?.event;
  if (since === undefined) return false;
  const known = [gate.watch, ...gate.on_pass.tag, ...gate.on_fail.tag];
  return moves.some((move) => move.enters && !move.own && move.event >= since && !known.includes(move.tag));
}

/** Whether a change of tags may be what came of a request: it is as asked, by the gate's user, and later. */
export function mayComeOf(write: Write, { entry }: Pick<Run, 'entry'>, move: TagMove): boolean {
  if (write.kind !== 'tag' && write.kind !== 'untag') return false;
  return move.own && does(write, move) && move.event > (write.after ?? entry);
}

/** Whether a verdict's changes of tags have begun: what is half done is finished. */
export const hasBegun = (gate: Gate, run: Run): boolean =>
  tagChanges(gate, run).some(
    ({ fact, ending }) => fact > (run.verdict?.fact ?? Infinity) && ending?.how === 'done',
  );

const doneOf = (changes: readonly TagIntent[]): TagIntent['write'][] =>
  changes.filter(({ ending }) => ending?.how === 'done').map(({ write }) => write);

/** Whether what was done last to a tag was to tag the kernel into it; undefined where nothing was done to it. */
function lastEnters(writes: readonly Write[], tag: string): boolean | undefined {
  const last = writes.findLast((write) => enters(tag)(write) || leaves(tag)(write));
  return last && enters(tag)(last);
}

const does = (write: Write, move: TagMove) => (move.enters ? enters : leaves)(move.tag)(write);
const enters = (tag: string) => (write: Write) => write.kind === 'tag' && write.tag === tag;
const leaves = (tag: string) => (write: Write) =>
  (write.kind === 'untag' && write.tag === tag) || (write.kind === 'tag' && write.from === tag);
