/**
 * What a run needs next. `decide` is called again and again with what is true now, and answers with the
 * writes that are due; it remembers nothing, so a lost message or a killed process costs only time.
 */
import {
  countRetries,
  holdOf,
  isAttempt,
  type KmodStanding,
  needRebuild,
  STABLELIST,
  standings,
  unfinished,
  verdictOf,
  waiverFor,
} from './judge.ts';
import type {
  Closing,
  Gate,
  Intent,
  KernelBuild,
  KernelRef,
  Order,
  Run,
  TagChange,
  Verdict,
  Write,
} from './model.ts';
import { compareEvr } from './names.ts';
import { quietUntil } from './policy.ts';
import { describeRebuilds, isBuild, isRebuild, rebuilds, rebuildWrites } from './rebuild.ts';
import { describeTagged, describeWrite, describeWrites, moment, plural, span } from './wording.ts';

/** A target's build tag and the newest build of the kernel's package that is visible in it. */
export interface BuildTag {
  readonly name: string;
  readonly latest: KernelRef | null;
  /** Whether a run of this gate will, in its time, take that build out of the watch tag. */
  readonly leaves: boolean;
}

/** What is true now: the run's facts, and what the hub says beside them. */
export interface Observation {
  readonly now: number;
  readonly run: Run;
  /** Names of the tags that the kernel is in. */
  readonly tags: readonly string[];
  /** Koji event with which the kernel came into the watch tag; null: it is not there. */
  readonly entry: number | null;
  /** Null where nothing is built. */
  readonly buildTag: BuildTag | null;
  /** Newest build of the kernel's package, by order of tagging, in each tag that a verdict may tag into. */
  readonly heads: ReadonlyMap<string, KernelBuild>;
  /** Tags into which another kernel of the package is on its way, by this gate's or another one's hand. */
  readonly incoming: ReadonlySet<string>;
  /** What other gates did, or are doing, to the tags of this kernel. */
  readonly otherGates: readonly { readonly gate: string; readonly write: Write }[];
  /** Names of all own side tags; only needed where the run uses one. */
  readonly sideTags: readonly string[];
  /** Scratch builds of the gate that may be submitted now: what `max_active` and newer kernels leave. */
  readonly slots: number;
  /** Scratch builds of the gate in the last 24 hours that were not the first try. */
  readonly retriesToday: number;
  /** A newer kernel that stands before the same gate, and is not blocked or held there. */
  readonly newer: KernelRef | null;
}

/** How often to look when nothing is heard, in ms. */
export interface Pace {
  readonly poll: number;
}

export interface Decision {
  /** One line for people: where the run stands, and where it is held, who must act. */
  readonly state: string;
  readonly writes: readonly Write[];
  readonly verdict?: { readonly verdict: Verdict; readonly reasons: readonly string[] };
  readonly closing?: Omit<Closing, 'at'>;
  /** Symbols must be read before more can be decided. */
  readonly wantsSymbols?: true;
  /** A repo that still holds the baseline must be found, or not. */
  readonly wantsBaseline?: true;
  /** When to look again; undefined: at the next sweep. */
  readonly wakeAt?: number;
}

const NO_CHANGE: TagChange = { tag: [], untag: [] };

/** Pauses before a write that the hub refused is asked again, in ms; the last one repeats. */
const REFUSED_PAUSES = [60_000, 300_000, 900_000, 3_600_000] as const;

export function decide(gate: Gate, pace: Pace, seen: Observation): Decision {
  const { run } = seen;
  if (run.closing) return { state: run.closing.why, writes: [] };
  const taken = takenOver(gate, seen);
  if (taken) return standDown(pace, seen, { how: 'taken-over', why: taken });
  const cancel = run.orders.find(({ kind }) => kind === 'cancel');
  if (cancel) return standDown(pace, seen, { how: 'cancelled', why: `cancelled by ${wordOf(cancel)}` });
  if (run.verdict) return carryOut(gate, pace, seen, run.verdict);
  return tryKmods(gate, pace, seen);
}

const wordOf = ({ by, reason }: Order): string => (reason ? `${by}: ${reason}` : by);

const wait = (state: string, wakeAt?: number): Decision => ({ state, writes: [], ...(wakeAt && { wakeAt }) });
const act = (state: string, ...writes: Write[]): Decision => ({ state, writes });

// ---- trying the kmods -------------------------------------------------------------------------

function tryKmods(gate: Gate, pace: Pace, seen: Observation): Decision {
  const { run, now } = seen;
  const superseded = yieldTo(gate, pace, seen);
  if (superseded) return superseded;
  const kmods = standings(gate, run, now);
  const over = endOf(gate, run);
  const late = isLate(gate, run, now);
  const unread = (gate.stablelist && !run.symbols) || kmods.some(({ state }) => state === 'unread');
  if (unread && !late) return { state: 'reads symbols', writes: [], wantsSymbols: true };
  if (late || kmods.every((kmod) => kmod.state === 'judged')) {
    const all = kmods.map(
      (kmod): KmodStanding =>
        kmod.state === 'judged' ? kmod : { ...kmod, state: 'judged', finding: unfinished(kmod) },
    );
    const found = verdictOf(gate, run, all, now);
    // A stablelist may be broken, kmod or no kmod.
    if (kmods.length === 0 && found.verdict !== 'block' && !late)
      return wait(
        `held: no kmod in ${gate.kmods.tag} matches the gate's include list; tag one, or mend the list`,
        over,
      );
    return { state: `verdict: ${found.verdict}`, writes: [], verdict: found };
  }
  if (kmods.some(({ state }) => state === 'unsought'))
    return { state: `looks for a repo with ${run.baseline?.nvr}`, writes: [], wantsBaseline: true };
  const decision = submit(gate, pace, seen, kmods);
  return over === undefined ? decision : { ...decision, wakeAt: Math.min(decision.wakeAt ?? over, over) };
}

/** When the run's time is over; a person's retry begins it anew. */
function endOf({ policy }: Gate, run: Run): number | undefined {
  const retried = run.orders.findLast(({ kind }) => kind === 'retry')?.at ?? run.startedAt;
  return policy.longest_run === null ? undefined : Math.max(run.startedAt, retried) + policy.longest_run;
}

function isLate(gate: Gate, run: Run, now: number): boolean {
  const over = endOf(gate, run);
  return over !== undefined && over <= now;
}

/** A newer kernel before the same gate ends this run, or lets it finish what runs; undefined where it does not. */
function yieldTo(gate: Gate, pace: Pace, seen: Observation): Decision | undefined {
  const { newer, run, now } = seen;
  const { supersede } = gate.policy;
  if (!newer || supersede === 'keep') return undefined;
  const running = activeOf(run).length;
  if (supersede === 'finish' && running > 0 && !isLate(gate, run, now)) {
    const state = `${newer.nvr} is newer: only finishes ${plural(running, 'build')}`;
    const overdue = uselessBuilds(gate, run, now);
    return overdue.length > 0 ? act(state, ...overdue) : wait(state, now + pace.poll);
  }
  const why = `${newer.nvr} is newer and stands before the gate, so ${run.kernel.nvr} stays where it is`;
  return standDown(pace, seen, { how: 'superseded', why });
}

/** Submit what is due: against the kernel, and against the baseline what is broken. */
function submit(gate: Gate, pace: Pace, seen: Observation, kmods: readonly KmodStanding[]): Decision {
  const { run, now } = seen;
  const progress = describeProgress(kmods);
  const later = now + pace.poll;
  const useless = uselessBuilds(gate, run, now);
  if (useless.length > 0)
    return act(`${progress}; stops what takes too long, or is built of an older source`, ...useless);
  const wanted = kmods.filter((kmod) => kmod.state === 'wanted');
  const ripe = wanted.filter((kmod) => kmod.notBefore <= now);
  const { retries: most } = gate.policy;
  const left = Math.min(most.day - seen.retriesToday, most.run - countRetries(run));
  const refused = ripe.filter(({ retry }) => retry).slice(Math.max(0, left));
  const due = ripe.filter((kmod) => !refused.includes(kmod));
  if (due.length === 0) {
    if (refused.length > 0)
      return wait(`${progress}; no more retries: the gate has had its ${most.day} of 24 hours`, later);
    const next = Math.min(...wanted.map((kmod) => kmod.notBefore));
    return wait(progress, kmods.some((kmod) => kmod.state === 'active') ? Math.min(later, next) : next);
  }
  let slots = Math.max(0, seen.slots);
  const writes: Write[] = [];
  let stuck: Decision | undefined;
  for (const against of new Set([undefined, run.baseline ?? undefined])) {
    const some = due.filter((kmod) => kmod.against?.id === against?.id);
    if (some.length === 0) continue;
    const place = prepare(gate, seen, later, against);
    if ('decision' in place) {
      if (place.decision.writes.length > 0) return withProgress(place.decision, progress);
      stuck = place.decision;
      continue;
    }
    for (const { kmod } of some.slice(0, slots)) {
      const { name, source, arches } = kmod;
      writes.push({ kind: 'scratch-build', kmod: name, source, ...place, ...(arches && { arches }) });
    }
    slots -= Math.min(slots, some.length);
  }
  if (writes.length === 0 && stuck) return withProgress(stuck, progress);
  return { state: progress, writes, wakeAt: later };
}

const withProgress = (decision: Decision, progress: string): Decision => ({
  ...decision,
  state: `${decision.state} (${progress})`,
});

const activeOf = ({ intents }: Run) => intents.filter(isAttempt).filter(({ ending }) => !ending);

/** Cancel what has run for longer than a build may, and what is built of a kmod that was chosen anew since. */
function uselessBuilds(gate: Gate, run: Run, now: number): Write[] {
  const sources = new Set(run.kmods.map(({ source }) => source));
  const useless = activeOf(run).filter(
    (intent) => isOverdue(gate, now)(intent) || !sources.has(intent.write.source),
  );
  return cancelsFor(run, now, useless);
}

const isOverdue =
  ({ policy }: Gate, now: number) =>
  ({ askedAt, ending }: Intent): boolean =>
    !ending && policy.longest_build !== null && askedAt + policy.longest_build <= now;

/** A cancel for each build that runs. One that was lost is sent again, one that the hub refused after a while. */
function cancelsFor({ intents }: Run, now: number, builds: readonly Intent[]): Write[] {
  return builds.flatMap(({ receipt, ending }): Write[] => {
    const task = receipt?.task;
    if (ending || task === undefined) return [];
    const before = intents.filter(({ write }) => write.kind === 'cancel' && write.task === task);
    const sent = before.some((cancel) => !cancel.ending || cancel.ending.how === 'done');
    return sent ? [] : [...ask({ kind: 'cancel', task }, before, now).writes];
  });
}

function describeProgress(kmods: readonly KmodStanding[]): string {
  const count = (state: KmodStanding['state']) => kmods.filter((kmod) => kmod.state === state).length;
  return `${count('judged')} of ${plural(kmods.length, 'kmod')} judged, ${count('active')} building`;
}

/** Where builds go so that their build root holds this kernel. */
type Place = Pick<
  Extract<Write, { kind: 'scratch-build' }>,
  'target' | 'waitFor' | 'repoId' | 'priority' | 'against'
>;
type Prepared = Place | { readonly decision: Decision };

/** @param against the baseline, where builds are to be made with that one */
function prepare(gate: Gate, seen: Observation, later: number, against: KernelRef | undefined): Prepared {
  const { build } = gate;
  const { buildTag, run } = seen;
  if (!build || !buildTag)
    return {
      decision: wait('held: the configuration names no build target any more; set gate.build.target'),
    };
  const { target, priority } = build;
  if (build.repo === 'sidetag') return prepareSideTag(priority, buildTag, seen, later, against);
  if (against) {
    const repoId = run.baselineRepo?.repo;
    if (repoId == null) return { decision: wait(`held: no repo with ${against.nvr}`) };
    return { target, priority, repoId, against };
  }
  const repo = build.repo === 'pin' ? lastRepo(run) : undefined;
  if (repo === 'awaited') return { decision: wait(`waits for a repo of ${buildTag.name}`, later) };
  if (repo !== undefined) return { target, priority, repoId: repo };
  const turn = awaitTurn(gate, buildTag, run);
  if (turn) return { decision: turn };
  if (build.repo === 'wait') return { target, priority, waitFor: [run.kernel.nvr] };
  const requests = run.intents.filter(({ write }) => write.kind === 'request-repo');
  return { decision: ask({ kind: 'request-repo', tag: buildTag.name }, requests, seen.now) };
}

/** A repo of a shared build tag holds one newest kernel; undefined when it is this one. */
function awaitTurn({ watch }: Gate, { name, latest, leaves }: BuildTag, run: Run): Decision | undefined {
  if (latest?.id === run.kernel.id) return undefined;
  if (!latest) return wait(`held: ${name} shows no kernel; make it inherit from ${watch}`);
  const hidden = `${latest.nvr} is the newest kernel in ${name}`;
  if (leaves) return wait(`waits for its turn: ${hidden}, and is tried first`);
  return wait(`held: ${hidden} and hides this one; untag it there, or set repo = "sidetag"`);
}

/** The repo that was requested last, since a person asked for a retry; undefined where none was, or none came of it. */
function lastRepo({ intents, orders }: Run): number | 'awaited' | undefined {
  const since = orders.findLast(({ kind }) => kind === 'retry')?.at ?? 0;
  const last = intents.findLast(({ write, askedAt }) => write.kind === 'request-repo' && askedAt >= since);
  if (last && !last.ending) return 'awaited';
  return last?.ending?.how === 'done' ? last.ending.repo : undefined;
}

function prepareSideTag(
  priority: number,
  base: BuildTag,
  seen: Observation,
  later: number,
  against: KernelRef | undefined,
): Prepared {
  const { run, sideTags, now } = seen;
  const forBaseline = against && { against };
  const kernel = against ?? run.kernel;
  const made = run.intents.filter(isSideTagFor(against));
  if (made.some(({ ending }) => !ending)) return { decision: wait('waits for its side tag', later) };
  const sideTag = ownSideTags(seen, made)[0];
  if (!sideTag) {
    const create: Write = { kind: 'create-side-tag', base: base.name, known: sideTags, ...forBaseline };
    return { decision: ask(create, made, now) };
  }
  const tagging = run.intents.filter(({ write }) => write.kind === 'tag' && write.tag === sideTag);
  if (tagging.some(({ ending }) => !ending))
    return { decision: wait(`waits for ${kernel.nvr} to be tagged into ${sideTag}`, later) };
  if (tagging.at(-1)?.ending?.how === 'done')
    return { target: sideTag, priority, waitFor: [kernel.nvr], ...forBaseline };
  return { decision: ask({ kind: 'tag', tag: sideTag, ...forBaseline }, tagging, now) };
}

const isSideTagFor =
  (against: KernelRef | undefined) =>
  ({ write }: Intent): boolean =>
    write.kind === 'create-side-tag' && write.against?.id === against?.id;

/** The run's side tags that are still there: Koji removes old ones by itself, and people do. */
function ownSideTags({ run, sideTags }: Observation, made: readonly Intent[] = run.intents): string[] {
  return made
    .filter(({ write, ending }) => write.kind === 'create-side-tag' && ending?.how === 'done')
    .flatMap(({ receipt }) => receipt?.sideTag ?? [])
    .filter((name) => sideTags.includes(name));
}

/**
 * Ask the hub for a write; where it has refused it, wait longer each time.
 * @param before the intents of the same write
 */
function ask(write: Write, before: readonly Intent[], now: number): Decision {
  const refusals = before.flatMap(({ ending }) => (ending?.how === 'failed' ? [ending] : []));
  const last = refusals.at(-1);
  const pause = REFUSED_PAUSES[Math.min(refusals.length, REFUSED_PAUSES.length) - 1] ?? 0;
  if (!last || last.at + pause <= now) return act(describeWrite(write), write);
  return wait(`held: cannot ${describeWrite(write)}: ${last.why}`, last.at + pause);
}

// ---- carrying the verdict out -------------------------------------------------------------------

function carryOut(gate: Gate, pace: Pace, seen: Observation, verdict: NonNullable<Run['verdict']>): Decision {
  const { run, now } = seen;
  const changes = run.intents.filter(isTagChange(gate));
  if (changes.some((intent) => !intent.ending))
    return wait(`${verdict.verdict}: waits for the hub to tag`, now + pace.poll);
  const better = reconsider(gate, run, now);
  if (better) return { state: `verdict: ${better.verdict}`, writes: [], verdict: better };
  const stops = cancelsFor(run, now, activeOf(run));
  if (stops.length > 0) return act('stops what is still built', ...stops);
  const change = changeFor(verdict.verdict, gate);
  const plan = planTagChanges(change, seen.tags);
  if (gate.mode === 'observe') {
    const would = plan.map((write) => describeWrite(write)).join(', ') || 'change no tag';
    const held = verdict.verdict === 'hold' ? `hold, and ` : '';
    const names = rebuildsWanted(gate, run, verdict);
    const build = names.length > 0 ? `, then rebuild ${names.join(', ')} in ${gate.rebuild?.target}` : '';
    return standDown(pace, seen, { how: 'observed', why: `would ${held}${would}${build}` });
  }
  const person = holdOf(run);
  if (person) return tidyUp(pace, seen) ?? wait(`held by ${wordOf(person)}; kmod-gate release ends it`);
  if (verdict.verdict === 'hold') return keepHeld(gate, pace, seen, verdict);
  if (run.intents.some(isRebuild)) return rebuildThenClose(gate, pace, seen, verdict, describeEnd(changes));
  const newer = newerHead(change.tag, seen);
  if (newer) return standDown(pace, seen, { how: 'superseded', why: newer });
  const next = plan[0];
  if (!next) return rebuildThenClose(gate, pace, seen, verdict, describeEnd(changes));
  // What was begun is finished: half of the tags would be neither here nor there.
  const begun = changes.some(({ askedAt, ending }) => askedAt >= verdict.at && ending?.how === 'done');
  const quiet = verdict.verdict === 'promote' && !begun ? quietUntil(gate.policy.quiet, now) : undefined;
  if (quiet !== undefined)
    return wait(`promote: waits for ${moment(quiet)}, the end of the quiet time`, quiet);
  const busy = change.tag.find((tag) => seen.incoming.has(tag));
  if (busy)
    return wait(
      `${verdict.verdict}: waits for another kernel that is being tagged into ${busy}`,
      now + pace.poll,
    );
  const before = changes.filter((intent) => sameWrite(intent.write, next));
  return ask(next, before, now);
}

/** Held by the verdict: until a person acts, or the longest hold is over. */
function keepHeld(
  gate: Gate,
  pace: Pace,
  seen: Observation,
  { at, reasons }: NonNullable<Run['verdict']>,
): Decision {
  // A side tag that the hub does not let go is no reason to hold the kernel for longer.
  const tidy = tidyUp(pace, seen);
  if (tidy && tidy.writes.length > 0) return tidy;
  const superseded = yieldTo(gate, pace, seen);
  if (superseded) return superseded;
  const { policy } = gate;
  const end = policy.longest_hold === null ? undefined : at + policy.longest_hold;
  if (end !== undefined && end <= seen.now) {
    const first = `held for ${span(policy.longest_hold ?? 0)}, and nobody acted`;
    return {
      state: `verdict: ${policy.after_hold}`,
      writes: [],
      verdict: { verdict: policy.after_hold, reasons: [first, ...reasons] },
    };
  }
  if (tidy) return { ...tidy, wakeAt: Math.min(tidy.wakeAt ?? Infinity, end ?? Infinity) };
  const until =
    end === undefined
      ? ''
      : `, or it is ${policy.after_hold === 'block' ? 'blocked' : 'promoted'} at ${moment(end)}`;
  return wait(
    `held: ${reasons[0]}; a person must act: kmod-gate retry or waive, or tag or untag ${seen.run.kernel.nvr}${until}`,
    end,
  );
}

/**
 * What is decided anew though the evidence is the same: a waiver came, or the policy is another one. A hold may
 * become anything, a block only a promotion, and a promotion stays.
 */
function reconsider(gate: Gate, run: Run, now: number): Decision['verdict'] | undefined {
  const { verdict } = run;
  if (!verdict || verdict.verdict === 'promote') return undefined;
  const found = verdictOf(gate, run, standings(gate, run, now), now);
  const better = verdict.verdict === 'hold' ? found.verdict !== 'hold' : found.verdict === 'promote';
  return better ? found : undefined;
}

/** Whether a run that is over, and did not let its kernel through, is to be opened again: a waiver has come that does. */
export function reopens(gate: Gate, run: Run, now: number): string | undefined {
  const { closing, verdict, kmods } = run;
  if (!closing || !verdict || !['done', 'observed'].includes(closing.how)) return undefined;
  const waivers = [...kmods.map(({ name }) => name), STABLELIST].map((name) => waiverFor(run, name, now));
  const fresh = waivers.find((waiver) => waiver && waiver.at > verdict.at);
  if (!fresh || reconsider(gate, run, now)?.verdict !== 'promote') return undefined;
  return `a waiver by ${fresh.by} lets it through: ${fresh.reason}`;
}

/** What a verdict does to tags; a kernel that was blocked before, in this run or another one, also leaves those tags. */
function changeFor(verdict: Verdict, gate: Gate): TagChange {
  const { tag, untag } = { promote: gate.on_pass, block: gate.on_fail, hold: NO_CHANGE }[verdict];
  if (verdict !== 'promote') return { tag, untag };
  return { tag, untag: [...new Set([...untag, ...gate.on_fail.tag])] };
}

/** Whether what the run did last to a tag was to tag the kernel into it; undefined where it did nothing to it. */
function enteredLast(changes: readonly TagIntent[], tag: string): boolean | undefined {
  const done = changes.filter(({ ending }) => ending?.how === 'done').map(({ write }) => write);
  const last = done.findLast((write) => enters(tag)(write) || leaves(tag)(write));
  return last && enters(tag)(last);
}

/** Names of the kmods that are to be built for real after a promotion. */
function rebuildsWanted(gate: Gate, run: Run, { at, verdict }: NonNullable<Run['verdict']>): string[] {
  return gate.rebuild && verdict === 'promote' ? needRebuild(run, standings(gate, run, at)) : [];
}

function rebuildThenClose(
  gate: Gate,
  pace: Pace,
  seen: Observation,
  verdict: NonNullable<Run['verdict']>,
  end: string,
): Decision {
  const found = rebuilds(seen.run, rebuildsWanted(gate, seen.run, verdict));
  const overdue = seen.run.intents.filter(isRebuild).filter(isOverdue(gate, seen.now));
  const writes = [...cancelsFor(seen.run, seen.now, overdue), ...rebuildWrites(gate, seen.run, found)];
  if (writes.length > 0) return act(describeWrites(writes), ...writes);
  const open = found.filter(({ state }) => state === 'active' || state === 'waits').length;
  if (open > 0) return wait(`${end}; waits for ${plural(open, 'rebuild')}`, seen.now + pace.poll);
  const told = describeRebuilds(found);
  return standDown(pace, seen, { how: 'done', why: told ? `${end}; ${told}` : end });
}

function describeEnd(changes: readonly TagIntent[]): string {
  const done = changes
    .filter(({ ending }) => ending?.how === 'done')
    .map(({ write }) => describeTagged(write));
  return done.join(', ') || 'no tag to change';
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

/** The newest in a Koji tag is what was tagged last, so tagging an older kernel would take a newer one's place. */
function newerHead(tags: readonly string[], { heads, run, tags: now }: Observation): string | undefined {
  for (const tag of tags.filter((name) => !now.includes(name))) {
    const head = heads.get(tag);
    if (head && compareEvr(head, run.kernel) > 0) {
      return `${head.nvr} is newer and already in ${tag}: an older kernel does not take its place, so ${run.kernel.nvr} stays where it is`;
    }
  }
  return undefined;
}

type TagIntent = Intent<Extract<Write, { kind: 'tag' | 'untag' }>>;

/** Whether an intent is about one of the gate's tags; the tag of a side tag's own is not. */
const isTagChange = (gate: Gate) => {
  const tags = new Set([gate.on_pass, gate.on_fail].flatMap((change) => [...change.tag, ...change.untag]));
  return (intent: Intent): intent is TagIntent =>
    (intent.write.kind === 'tag' || intent.write.kind === 'untag') && tags.has(intent.write.tag);
};

function sameWrite(a: Write, b: Write): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

// ---- ending -------------------------------------------------------------------------------------

/**
 * A person who moves the kernel wins, and so does another gate that is done first. Why the run counts as
 * taken over; undefined when it does not.
 */
function takenOver(gate: Gate, seen: Observation): string | undefined {
  const { run, tags } = seen;
  const changes = run.intents.filter(isTagChange(gate));
  if (changes.some((intent) => !intent.ending)) return undefined;
  const own = changes.filter(({ ending }) => ending?.how === 'done').map(({ write }) => write);
  const others = seen.otherGates.map(({ write }) => write);
  const by = (did: (write: Write) => boolean) => {
    const other = seen.otherGates.find(({ write }) => did(write));
    return other ? `by gate ${other.gate}` : 'by hand';
  };
  if (seen.entry === null && !own.some(leaves(gate.watch))) {
    return `taken out of ${gate.watch} ${by(leaves(gate.watch))}`;
  }
  if (seen.entry !== null && seen.entry !== run.entry) return `tagged into ${gate.watch} again`;
  const verdicts = [...gate.on_pass.tag, ...gate.on_fail.tag];
  const came = verdicts.find(
    (tag) => tags.includes(tag) && !(enteredLast(changes, tag) ?? run.tags.includes(tag)),
  );
  if (came && !others.some(enters(came))) return `tagged into ${came} by hand`;
  // Who takes a kernel that was tried before out of where it failed then says nothing of this run.
  const passed = (tag: string) => gate.on_pass.tag.includes(tag) && run.tags.includes(tag);
  const gone = verdicts.find((tag) => !tags.includes(tag) && (enteredLast(changes, tag) ?? passed(tag)));
  // Rebuilds begin when the kernel is where it belongs: it may move on from there to another tag.
  const known = [...run.tags, ...gate.on_fail.tag];
  const movedOn = run.intents.some(isRebuild) && tags.some((tag) => !known.includes(tag));
  if (gone && !movedOn) return `taken out of ${gone} ${by(leaves(gone))}`;
  return undefined;
}

const enters = (tag: string) => (write: Write) => write.kind === 'tag' && write.tag === tag;
const leaves = (tag: string) => (write: Write) =>
  (write.kind === 'untag' && write.tag === tag) || (write.kind === 'tag' && write.from === tag);

/** Close the run once nothing of it is left on the hub. */
function standDown(pace: Pace, seen: Observation, closing: Omit<Closing, 'at'>): Decision {
  const cancels = cancelsFor(seen.run, seen.now, seen.run.intents.filter(isBuild));
  if (cancels.length > 0) return act(closing.why, ...cancels);
  // A repo that is still awaited does no harm, and with an older hub it may never come.
  const open = seen.run.intents.filter(
    ({ ending, write }) => !ending && write.kind !== 'request-repo',
  ).length;
  if (open > 0)
    return wait(`${closing.why}; waits for ${plural(open, 'request')} to end`, seen.now + pace.poll);
  return tidyUp(pace, seen) ?? { state: closing.why, writes: [], closing };
}

/** Remove the run's side tags; undefined when there is none left. */
function tidyUp(pace: Pace, seen: Observation): Decision | undefined {
  const tag = ownSideTags(seen)[0];
  if (!tag) return undefined;
  const removals = seen.run.intents.filter(
    ({ write }) => write.kind === 'remove-side-tag' && write.tag === tag,
  );
  if (removals.some(({ ending }) => !ending)) return wait(`removes ${tag}`, seen.now + pace.poll);
  return ask({ kind: 'remove-side-tag', tag }, removals, seen.now);
}

/**
 * How many scratch builds a run may submit now: what `max_active` leaves, after newer kernels of the gate
 * that are being tried have taken what they still want.
 * @param live all runs of the gate that are not closed
 */
export function slotsFor(gate: Gate, run: Run, live: readonly Run[], now: number): number {
  let free = gate.build?.max_active ?? 0;
  for (const other of live) {
    const attempts = other.intents.filter(isAttempt);
    free -= attempts.filter(({ ending }) => !ending).length;
    const newer = other.kernel.id > run.kernel.id && compareEvr(other.kernel, run.kernel) >= 0;
    if (newer && attempts.length > 0 && !other.verdict) {
      free -= standings(gate, other, now).filter(({ state }) => state === 'wanted').length;
    }
  }
  return Math.max(0, free);
}
