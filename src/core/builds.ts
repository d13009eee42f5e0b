/** Scratch builds: which are due, where they go so that their build root holds the kernel, and what stops them. */
import { countRetries, type KmodStanding, standings } from './judge.ts';
import { act, ask, type BuildTag, type Decision, type Observation, type Pace, wait } from './look.ts';
import type { Building, Gate, Intent, KernelRef, Run, Write } from './model.ts';
import { compareEvr } from './names.ts';
import { lastRetry } from './people.ts';
import { isAttempt } from './trial.ts';
import { plural } from './wording.ts';

/** Submit what is due: against the kernel, and against the baseline what is broken. */
export function submit(gate: Gate, pace: Pace, seen: Observation, kmods: readonly KmodStanding[]): Decision {
  const { run, now } = seen;
  const progress = describeProgress(kmods);
  const later = now + pace.poll;
  const useless = uselessBuilds(gate, run, now);
  if (useless.length > 0)
    return act(`${progress}; stops what takes too long, or can be of no use any more`, ...useless);
  const wanted = kmods.filter((kmod) => kmod.state === 'wanted');
  const ripe = wanted.filter((kmod) => kmod.notBefore <= now);
  const { retries: most } = gate.policy;
  const refused = ripe.filter(({ retry }) => retry).slice(retriesLeft(gate, run, seen.retriesToday));
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
  const kernels = new Map(due.map(({ against }) => [against?.id, against]));
  for (const against of kernels.values()) {
    const some = due.filter((kmod) => kmod.against?.id === against?.id);
    const place = prepare(gate, seen, later, against);
    if ('decision' in place) {
      if (place.decision.writes.length > 0) return withProgress(place.decision, progress);
      stuck = place.decision;
      continue;
    }
    for (const { kmod, arches } of some.slice(0, slots)) {
      const { name, source } = kmod;
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

export const activeOf = ({ intents }: Run) => intents.filter(isAttempt).filter(({ ending }) => !ending);

/**
 * Cancel what has run for longer than a build may, what is built of a kmod that was chosen anew since, and what waits for a
 * kernel by a name that it has no more: a draft that was promoted.
 */
export function uselessBuilds(gate: Gate, run: Run, now: number): Write[] {
  const sources = new Set(run.kmods.map(({ source }) => source));
  const useless = activeOf(run).filter((intent) => {
    const { source, waitFor, against } = intent.write;
    const renamed = waitFor && !waitFor.includes(against?.nvr ?? run.kernel.nvr);
    return isOverdue(gate, now)(intent) || !sources.has(source) || renamed;
  });
  return cancelsFor(run, now, useless);
}

export const isOverdue =
  ({ policy }: Gate, now: number) =>
  ({ askedAt, ending }: Intent): boolean =>
    !ending && policy.longest_build !== null && askedAt + policy.longest_build <= now;

/** A cancel for each build that runs. One that was lost is sent again, one that the hub refused after a while. */
export function cancelsFor({ intents }: Run, now: number, builds: readonly Intent[]): Write[] {
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
  'target' | 'base' | 'waitFor' | 'repoId' | 'priority' | 'against'
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
  if (build.repo === 'sidetag') return prepareSideTag(build, buildTag, seen, later, against);
  if (against) return prepareBaseline(build, buildTag, seen, later, against);
  const repo = build.repo === 'pin' ? lastRepo(run) : undefined;
  if (repo === 'awaited') return { decision: wait(`waits for a repo of ${buildTag.name}`, later) };
  if (repo !== undefined) return { target, priority, repoId: repo };
  const turn = awaitTurn(gate, buildTag, run);
  if (turn) return { decision: turn };
  if (build.repo === 'wait') return { target, priority, waitFor: [run.kernel.nvr] };
  return { decision: ask({ kind: 'request-repo', tag: buildTag.name }, requestsOf(run), seen.now) };
}

/** A repo that holds a baseline, or one that is requested of the time when it was the newest kernel of the build tag. */
function prepareBaseline(
  { target, priority }: Pick<Building, 'target' | 'priority'>,
  { name }: BuildTag,
  { run, now }: Observation,
  later: number,
  against: KernelRef,
): Prepared {
  const { repo: found, event } = run.baselineRepos[against.id] ?? {};
  const repo = found ?? lastRepo(run, against);
  if (repo === 'awaited') return { decision: wait(`waits for a repo of ${name} with ${against.nvr}`, later) };
  if (repo !== undefined) return { target, priority, repoId: repo, against };
  if (event === undefined) return { decision: wait(`held: no repo with ${against.nvr}`) };
  const request: Write = { kind: 'request-repo', tag: name, against, event };
  return { decision: ask(request, requestsOf(run, against), now) };
}

/** The repos that a run has requested, for its kernel or for a baseline. */
const requestsOf = ({ intents }: Run, against?: KernelRef): Intent[] =>
  intents.filter(({ write }) => write.kind === 'request-repo' && write.against?.id === against?.id);

/** A repo of a shared build tag holds one newest kernel; undefined when it is this one. */
function awaitTurn({ watch }: Gate, { name, latest, leaves }: BuildTag, run: Run): Decision | undefined {
  if (latest?.id === run.kernel.id) return undefined;
  if (!latest) return wait(`held: ${name} shows no kernel; make it inherit from ${watch}`);
  const hidden = `${latest.nvr} is the newest kernel in ${name}`;
  if (leaves) return wait(`waits for its turn: ${hidden}, and is tried first`);
  return wait(`held: ${hidden} and hides this one; untag it there, or set repo = "sidetag"`);
}

/** The repo that was requested last, since a person asked for a retry; undefined where none was, or none came of it. */
function lastRepo(run: Run, against?: KernelRef): number | 'awaited' | undefined {
  const since = lastRetry(run)?.fact ?? -1;
  const last = requestsOf(run, against).findLast(({ fact }) => fact > since);
  if (last && !last.ending) return 'awaited';
  return last?.ending?.how === 'done' ? last.ending.repo : undefined;
}

function prepareSideTag(
  { target, priority }: Pick<Building, 'target' | 'priority'>,
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
    return { target: sideTag, base: target, priority, waitFor: [kernel.nvr], ...forBaseline };
  return { decision: ask({ kind: 'tag', tag: sideTag, ...forBaseline }, tagging, now) };
}

const isSideTagFor =
  (against: KernelRef | undefined) =>
  ({ write }: Intent): boolean =>
    write.kind === 'create-side-tag' && write.against?.id === against?.id;

/** The run's side tags that are still there: Koji removes old ones by itself, and people do. */
export function ownSideTags({ run, sideTags }: Observation, made: readonly Intent[] = run.intents): string[] {
  return made
    .filter(({ write, ending }) => write.kind === 'create-side-tag' && ending?.how === 'done')
    .flatMap(({ receipt }) => receipt?.sideTag ?? [])
    .filter((name) => sideTags.includes(name));
}

/** How many more tries after the first a run may have now. */
const retriesLeft = ({ policy: { retries } }: Gate, run: Run, today: number): number =>
  Math.max(0, Math.min(retries.day - today, retries.run - countRetries(run)));

/**
 * How many scratch builds a run may submit now: what `max_active` leaves, after newer kernels of the gate
 * that are being tried have taken what they want and may have now: not what waits for its pause, or for another day.
 * @param live all runs of the gate that are not closed
 * @param retriesToday of the gate in the last 24 hours
 */
export function slotsFor(
  gate: Gate,
  run: Run,
  live: readonly Run[],
  now: number,
  retriesToday: number,
): number {
  let free = gate.build?.max_active ?? 0;
  for (const other of live) {
    const attempts = other.intents.filter(isAttempt);
    free -= attempts.filter(({ ending }) => !ending).length;
    const newer = other.kernel.id > run.kernel.id && compareEvr(other.kernel, run.kernel) >= 0;
    if (newer && attempts.length > 0 && !other.verdict) {
      const ripe = standings(gate, other, now).filter(
        ({ state, notBefore }) => state === 'wanted' && notBefore <= now,
      );
      const again = ripe.filter(({ retry }) => retry).length;
      free -= ripe.length - again + Math.min(again, retriesLeft(gate, other, retriesToday));
    }
  }
  return Math.max(0, free);
}
