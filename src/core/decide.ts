/**
 * What a run needs next. `decide` is called again and again with what is true now, and answers with the
 * writes that are due; it remembers nothing, so a lost message or a killed process costs only time.
 */
import { isAttempt, type KmodStanding, standings, verdictOf } from './judge.ts';
import type {
  Closing,
  Gate,
  Intent,
  KernelBuild,
  KernelRef,
  Run,
  TagChange,
  Verdict,
  Write,
} from './model.ts';
import { compareEvr } from './names.ts';
import { describeTagged, describeWrite, plural } from './wording.ts';

/** What is true now: the run's facts, and what the hub says beside them. */
export interface Observation {
  readonly now: number;
  readonly run: Run;
  /** Names of the tags that the kernel is in. */
  readonly tags: readonly string[];
  /** Koji event with which the kernel came into the watch tag; null: it is not there. */
  readonly entry: number | null;
  /** The target's build tag and the newest build of the kernel's package that is visible in it. */
  readonly buildTag: { readonly name: string; readonly latest: KernelRef | null };
  /** Newest build of the kernel's package, by order of tagging, in each tag that a verdict may tag into. */
  readonly heads: ReadonlyMap<string, KernelBuild>;
  /** Names of the gate's own side tags of the build tag; only needed with `repo = "sidetag"`. */
  readonly sideTags: readonly string[];
  /** Scratch builds of the gate that may be submitted now: what `max_active` and newer kernels leave. */
  readonly slots: number;
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
  /** When to look again; undefined: at the next sweep. */
  readonly wakeAt?: number;
}

/** Pauses before a tag change that the hub refused is asked again, in ms; the last one repeats. */
const REFUSED_PAUSES = [60_000, 300_000, 900_000, 3_600_000] as const;

export function decide(gate: Gate, pace: Pace, seen: Observation): Decision {
  const { run } = seen;
  if (run.closing) return { state: run.closing.why, writes: [] };
  const hand = movedByHand(gate, seen);
  if (hand) return standDown(pace, seen, { how: 'taken-over', why: hand });
  if (run.verdict) return carryOut(gate, pace, seen, run.verdict);
  if (run.kmods.length === 0)
    return wait(
      `held: no kmod in ${gate.kmods.tag} matches the gate's include list; tag one, or mend the list`,
    );
  return tryKmods(gate, pace, seen);
}

const wait = (state: string, wakeAt?: number): Decision => ({ state, writes: [], ...(wakeAt && { wakeAt }) });
const act = (state: string, ...writes: Write[]): Decision => ({ state, writes });

// ---- trying the kmods -------------------------------------------------------------------------

function tryKmods(gate: Gate, pace: Pace, seen: Observation): Decision {
  const { run, now } = seen;
  const kmods = standings(run);
  if (kmods.every((kmod) => kmod.state === 'judged')) {
    const found = verdictOf(run.kernel, kmods);
    return { state: `verdict: ${found.verdict}`, writes: [], verdict: found };
  }
  const progress = describeProgress(kmods);
  const later = now + pace.poll;
  const wanted = kmods.filter((kmod) => kmod.state === 'wanted');
  const due = wanted.filter((kmod) => kmod.notBefore <= now);
  if (due.length === 0) {
    const next = Math.min(...wanted.map((kmod) => kmod.notBefore));
    return wait(progress, kmods.some((kmod) => kmod.state === 'active') ? Math.min(later, next) : next);
  }
  const place = prepare(gate, seen, later);
  if ('decision' in place) return { ...place.decision, state: `${place.decision.state} (${progress})` };
  const writes = due.slice(0, Math.max(0, seen.slots)).map(({ kmod }): Write => {
    const { name, source } = kmod;
    return { kind: 'scratch-build', kmod: name, source, priority: gate.build.priority, ...place };
  });
  return { state: progress, writes, wakeAt: later };
}

function describeProgress(kmods: readonly KmodStanding[]): string {
  const count = (state: KmodStanding['state']) => kmods.filter((kmod) => kmod.state === state).length;
  return `${count('judged')} of ${plural(kmods.length, 'kmod')} judged, ${count('active')} building`;
}

/** Where builds go so that their build root holds this kernel. */
type Place = Pick<Extract<Write, { kind: 'scratch-build' }>, 'target' | 'waitFor' | 'repoId'>;
type Prepared = Place | { readonly decision: Decision };

function prepare(gate: Gate, seen: Observation, later: number): Prepared {
  if (gate.build.repo === 'sidetag') return prepareSideTag(seen, later);
  if (gate.build.repo === 'pin') return preparePin(gate, seen, later);
  const turn = awaitTurn(gate, seen);
  return turn ? { decision: turn } : { target: gate.build.target, waitFor: [seen.run.kernel.nvr] };
}

/** A repo of a shared build tag holds one newest kernel; undefined when it is this one. */
function awaitTurn(gate: Gate, seen: Observation): Decision | undefined {
  const { name, latest } = seen.buildTag;
  if (latest?.id === seen.run.kernel.id) return undefined;
  if (!latest) return wait(`held: ${name} shows no kernel; make it inherit from ${gate.watch}`);
  return wait(
    `waits for its turn: ${latest.nvr} is the newest kernel in ${name}; once that one has left ${gate.watch} this one is tried (or set repo = "sidetag")`,
  );
}

function preparePin(gate: Gate, seen: Observation, later: number): Prepared {
  const requests = seen.run.intents.filter((intent) => intent.write.kind === 'request-repo');
  const last = requests.at(-1);
  if (last && !last.ending) return { decision: wait(`waits for a repo of ${seen.buildTag.name}`, later) };
  if (last?.ending?.how === 'done' && last.ending.repo !== undefined) {
    return { target: gate.build.target, repoId: last.ending.repo };
  }
  const turn = awaitTurn(gate, seen);
  if (turn) return { decision: turn };
  const refused = pauseAfterRefusals(requests, seen.now);
  if (refused)
    return {
      decision: wait(`held: the hub gives no repo of ${seen.buildTag.name}: ${refused.why}`, refused.until),
    };
  return {
    decision: act(`requests a repo of ${seen.buildTag.name}`, {
      kind: 'request-repo',
      tag: seen.buildTag.name,
    }),
  };
}

function prepareSideTag(seen: Observation, later: number): Prepared {
  const { run, buildTag } = seen;
  const made = run.intents.filter((intent) => intent.write.kind === 'create-side-tag');
  const last = made.at(-1);
  if (last && !last.ending) return { decision: wait('waits for its side tag', later) };
  const sideTag = last?.ending?.how === 'done' ? last.receipt?.sideTag : undefined;
  if (!sideTag) {
    const refused = pauseAfterRefusals(made, seen.now);
    if (refused)
      return {
        decision: wait(
          `held: the hub creates no side tag of ${buildTag.name}: ${refused.why}`,
          refused.until,
        ),
      };
    const create: Write = { kind: 'create-side-tag', base: buildTag.name, known: seen.sideTags };
    return { decision: act(`creates a side tag of ${buildTag.name}`, create) };
  }
  const tagging = run.intents.filter(({ write }) => write.kind === 'tag' && write.tag === sideTag);
  if (tagging.some((intent) => !intent.ending))
    return { decision: wait(`waits to be tagged into ${sideTag}`, later) };
  if (tagging.at(-1)?.ending?.how !== 'done') {
    const refused = pauseAfterRefusals(tagging, seen.now);
    if (refused)
      return {
        decision: wait(
          `held: the hub does not tag the kernel into ${sideTag}: ${refused.why}`,
          refused.until,
        ),
      };
    return { decision: act(`goes into ${sideTag}`, { kind: 'tag', tag: sideTag }) };
  }
  return { target: sideTag, waitFor: [run.kernel.nvr] };
}

/** Why and until when a write is not asked again; undefined when it may be. */
function pauseAfterRefusals(
  intents: readonly Intent[],
  now: number,
): { why: string; until: number } | undefined {
  const refusals = intents.flatMap(({ ending }) => (ending?.how === 'failed' ? [ending] : []));
  const last = refusals.at(-1);
  if (!last) return undefined;
  const until = last.at + (REFUSED_PAUSES[Math.min(refusals.length, REFUSED_PAUSES.length) - 1] ?? 0);
  return until > now ? { why: last.why, until } : undefined;
}

// ---- carrying the verdict out -------------------------------------------------------------------

function carryOut(
  gate: Gate,
  pace: Pace,
  seen: Observation,
  { verdict, reasons }: { verdict: Verdict; reasons: readonly string[] },
): Decision {
  const { run } = seen;
  const plan = planOf(gate, seen, verdict);
  if (gate.mode === 'observe') {
    const would = plan.map((write) => describeWrite(write)).join(', ') || 'change no tag';
    return standDown(pace, seen, { how: 'observed', why: `would ${would}` });
  }
  if (verdict === 'hold') {
    return (
      tidyUp(pace, seen) ??
      wait(`held: ${reasons[0]}; a person must look, then tag or untag ${run.kernel.nvr}`)
    );
  }
  const newer = verdict === 'promote' ? newerHead(gate.on_pass.tag, seen) : undefined;
  if (newer) return standDown(pace, seen, { how: 'superseded', why: newer });
  const changes = run.intents.filter(isTagChange(gate));
  if (changes.some((intent) => !intent.ending))
    return wait(`${verdict}: waits for the hub to tag`, seen.now + pace.poll);
  const next = plan[0];
  if (!next) return standDown(pace, seen, { how: 'done', why: describeEnd(changes) });
  const refused = pauseAfterRefusals(
    changes.filter((intent) => sameWrite(intent.write, next)),
    seen.now,
  );
  const what = describeWrite(next);
  if (refused) return wait(`held: the hub does not ${what}: ${refused.why}`, refused.until);
  return act(`${verdict}: ${what}`, next);
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

/** The tag changes that are left to do for a verdict. A block leaves out tags in which a newer kernel stands. */
function planOf(gate: Gate, seen: Observation, verdict: Verdict) {
  if (verdict === 'hold') return [];
  if (verdict === 'promote') return planTagChanges(gate.on_pass, seen.tags);
  const tag = gate.on_fail.tag.filter((name) => !newerHead([name], seen));
  return planTagChanges({ tag, untag: gate.on_fail.untag }, seen.tags);
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

/** A person who moves the kernel wins. Why the run counts as taken over; undefined when it does not. */
function movedByHand(gate: Gate, seen: Observation): string | undefined {
  const { run, tags } = seen;
  const changes = run.intents.filter(isTagChange(gate));
  if (changes.some((intent) => !intent.ending)) return undefined;
  const own = changes.filter(({ ending }) => ending?.how === 'done').map(({ write }) => write);
  const came = (tag: string) => own.some((write) => write.kind === 'tag' && write.tag === tag);
  const left = (tag: string) =>
    own.some(
      (write) =>
        (write.kind === 'untag' && write.tag === tag) || (write.kind === 'tag' && write.from === tag),
    );
  const { nvr } = run.kernel;
  if (seen.entry !== run.entry && !(seen.entry === null && left(gate.watch))) {
    return `${nvr} was ${seen.entry === null ? 'taken out of' : 'tagged again into'} ${gate.watch} by hand`;
  }
  const verdicts = [...gate.on_pass.tag, ...gate.on_fail.tag];
  const stranger = verdicts.find((tag) => tags.includes(tag) && !run.tags.includes(tag) && !came(tag));
  if (stranger) return `${nvr} was tagged into ${stranger} by hand`;
  const gone = verdicts.find((tag) => came(tag) && !tags.includes(tag));
  if (gone) return `${nvr} was taken out of ${gone} by hand`;
  return undefined;
}

/** Close the run once nothing of it is left on the hub. */
function standDown(pace: Pace, seen: Observation, closing: Omit<Closing, 'at'>): Decision {
  const { intents } = seen.run;
  const cancelled = new Set(intents.flatMap(({ write }) => (write.kind === 'cancel' ? [write.task] : [])));
  const cancels = intents.filter(isAttempt).flatMap(({ ending, receipt }): Write[] => {
    const task = ending ? undefined : receipt?.task;
    return task === undefined || cancelled.has(task) ? [] : [{ kind: 'cancel', task }];
  });
  if (cancels.length > 0) return act(closing.why, ...cancels);
  const open = intents.filter(({ ending }) => !ending).length;
  if (open > 0)
    return wait(`${closing.why}; waits for ${plural(open, 'request')} to end`, seen.now + pace.poll);
  return tidyUp(pace, seen) ?? { state: closing.why, writes: [], closing };
}

/** Remove the run's side tag; undefined when there is none left. */
function tidyUp(pace: Pace, { run, now }: Observation): Decision | undefined {
  const sideTag = run.intents.find(
    ({ write, ending }) => write.kind === 'create-side-tag' && ending?.how === 'done',
  )?.receipt?.sideTag;
  if (!sideTag) return undefined;
  const removals = run.intents.filter(({ write }) => write.kind === 'remove-side-tag');
  if (removals.some(({ ending }) => ending?.how === 'done')) return undefined;
  if (removals.some(({ ending }) => !ending)) return wait(`removes ${sideTag}`, now + pace.poll);
  const refused = pauseAfterRefusals(removals, now);
  if (refused) return wait(`held: the hub does not remove ${sideTag}: ${refused.why}`, refused.until);
  return act(`removes ${sideTag}`, { kind: 'remove-side-tag', tag: sideTag });
}

/**
 * How many scratch builds a run may submit now: what `max_active` leaves, after newer kernels of the gate
 * that are being tried have taken what they still want.
 * @param live all runs of the gate that are not closed
 */
export function slotsFor(gate: Gate, run: Run, live: readonly Run[]): number {
  let free = gate.build.max_active;
  for (const other of live) {
    const attempts = other.intents.filter(isAttempt);
    free -= attempts.filter(({ ending }) => !ending).length;
    const newer = other.kernel.id > run.kernel.id && compareEvr(other.kernel, run.kernel) >= 0;
    if (newer && attempts.length > 0 && !other.verdict) {
      free -= standings(other).filter(({ state }) => state === 'wanted').length;
    }
  }
  return Math.max(0, free);
}
