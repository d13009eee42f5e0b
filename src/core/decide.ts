/**
 * What a run needs next. `decide` is called again and again with what is true now, and answers with the
 * writes that are due; it remembers nothing, so a lost message or a killed process costs only time.
 */
import { activeOf, cancelsFor, isOverdue, ownSideTags, submit, uselessBuilds } from './builds.ts';
import { isConfigured } from './gate.ts';
import { standings } from './judge.ts';
import { act, ask, conclude, type Decision, type Observation, type Pace, wait } from './look.ts';
import type { Closing, Gate, Order, Run } from './model.ts';
import { asOf, holdOf, lastRetry } from './people.ts';
import { quietUntil } from './policy.ts';
import { describeRebuilds, isBuild, isRebuild, rebuilds, rebuildWrites } from './rebuild.ts';
import { tellsOfList } from './symbols.ts';
import {
  changeFor,
  hasBegun,
  newerHead,
  planTagChanges,
  type TagIntent,
  tagChanges,
  takenOver,
} from './tags.ts';
import { afterHold, needRebuild, reconsider, verdictOf } from './verdict.ts';
import { describeTagged, describeWrite, describeWrites, moment, plural } from './wording.ts';

export function decide(gate: Gate, pace: Pace, seen: Observation): Decision {
  const decision = decideByFacts(gate, pace, seen);
  const [why] = seen.unread;
  return why === undefined
    ? decision
    : { ...decision, state: `${decision.state}; cannot be read yet: ${why}` };
}

function decideByFacts(gate: Gate, pace: Pace, seen: Observation): Decision {
  const { run } = seen;
  if (run.closing) return { state: run.closing.why, writes: [] };
  if (!isConfigured(gate)) {
    const why = `the configuration has no gate ${gate.name} any more`;
    return standDown(pace, seen, { how: 'cancelled', why });
  }
  if (seen.entry === null && !seen.moves.some(({ tag }) => tag === gate.watch)) {
    const why = `gate ${gate.name} watches ${gate.watch} now, and ${run.kernel.nvr} never was there`;
    return standDown(pace, seen, { how: 'cancelled', why });
  }
  const taken = takenOver(gate, seen);
  if (taken) return standDown(pace, seen, { how: 'taken-over', why: taken });
  const cancel = run.orders.find(({ kind }) => kind === 'cancel');
  if (cancel) return standDown(pace, seen, { how: 'cancelled', why: `cancelled by ${wordOf(cancel)}` });
  if (!gate.kernels.includes(run.kernel.name)) {
    const why = `the configuration of gate ${gate.name} does not list ${run.kernel.name} any more`;
    return standDown(pace, seen, { how: 'cancelled', why });
  }
  if (run.verdict) return carryOut(gate, pace, seen, run.verdict);
  return tryKmods(gate, pace, seen);
}

const wordOf = ({ by, reason }: Order): string => (reason ? `${by}: ${reason}` : by);

// ---- trying the kmods -------------------------------------------------------------------------

function tryKmods(gate: Gate, pace: Pace, seen: Observation): Decision {
  const { run, now } = seen;
  const superseded = yieldTo(gate, pace, seen);
  if (superseded) return superseded;
  const kmods = standings(gate, run, now);
  const over = endOf(gate, run);
  const late = isLate(gate, run, now);
  const unread = !tellsOfList(gate, run.symbols) || kmods.some(({ state }) => state === 'unread');
  if (unread && !late) return { state: 'reads symbols', writes: [], wantsSymbols: true };
  const isOver = late || isOut(gate, seen);
  // It ended within its time: a gate that was away for long must not judge before it has read that.
  if (isOver && seen.ended) return { state: 'reads what its builds have come to', writes: [] };
  if (isOver || kmods.every((kmod) => kmod.state === 'judged')) {
    const found = verdictOf(gate, run, now, kmods);
    // A stablelist may be broken, kmod or no kmod.
    if (kmods.length === 0 && found.verdict !== 'block' && !isOver)
      return wait(
        `held: no kmod in ${gate.kmods.tag} matches the gate's include list; tag one, or mend the list`,
        over,
      );
    // What is "already broken" may be measured by the kernel that is on its way.
    const incoming = gate.on_pass.tag.find((tag) => seen.incoming.has(tag));
    const excused = kmods.some(({ finding }) => finding?.outcome === 'already-broken');
    if (found.verdict === 'promote' && excused && incoming !== undefined)
      return wait(`waits for another kernel that is being tagged into ${incoming}`, now + pace.poll);
    return conclude(found);
  }
  const unsought = kmods.find(({ state }) => state === 'unsought')?.against;
  if (unsought)
    return { state: `looks for a repo with ${unsought.nvr}`, writes: [], wantsBaseline: unsought };
  const decision = submit(gate, pace, seen, kmods);
  return over === undefined ? decision : { ...decision, wakeAt: Math.min(decision.wakeAt ?? over, over) };
}

/** When the run's time is over; a person's retry begins it anew. */
function endOf({ policy }: Gate, run: Run): number | undefined {
  const retried = lastRetry(run)?.at ?? run.startedAt;
  return policy.longest_run === null ? undefined : Math.max(run.startedAt, retried) + policy.longest_run;
}

function isLate(gate: Gate, run: Run, now: number): boolean {
  const over = endOf(gate, run);
  return over !== undefined && over <= now;
}

/**
 * Whether a gate that only looks on has nothing more to wait for: another gate has taken the kernel out of the watch tag,
 * it is not in the build tag any more, and nothing is built.
 */
function isOut({ mode, build }: Gate, { run, entry, buildTag }: Observation): boolean {
  if (mode === 'enforce' || entry !== null || !build || build.repo === 'sidetag') return false;
  return buildTag?.latest?.id !== run.kernel.id && activeOf(run).length === 0;
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

// ---- carrying the verdict out -------------------------------------------------------------------

function carryOut(gate: Gate, pace: Pace, seen: Observation, verdict: NonNullable<Run['verdict']>): Decision {
  const { run, now } = seen;
  const changes = tagChanges(gate, run);
  if (changes.some((intent) => !intent.ending))
    return wait(`${verdict.verdict}: waits for the hub to tag`, now + pace.poll);
  // What was begun is finished: half of the tags would be neither here nor there.
  const begun = hasBegun(gate, run);
  if (!begun && gate.stablelist?.effect === 'block' && !tellsOfList(gate, run.symbols))
    return { state: 'reads symbols: a stablelist was set', writes: [], wantsSymbols: true };
  const other = begun && verdict.verdict === 'promote' ? undefined : reconsider(gate, run, now);
  if (other) return conclude(other);
  const stops = cancelsFor(run, now, activeOf(run));
  if (stops.length > 0) return act('stops what is still built', ...stops);
  const change = changeFor(verdict, gate, seen);
  const plan = planTagChanges(change, seen.tags);
  const promotes = verdict.verdict === 'promote';
  if (gate.mode === 'observe') {
    const would = plan.map((write) => describeWrite(write)).join(', ') || 'change no tag';
    const held = verdict.verdict === 'hold' ? `hold, and ` : '';
    const names = rebuildsWanted(gate, run, verdict);
    const build = names.length > 0 ? `, then rebuild ${names.join(', ')} in ${gate.rebuild?.target}` : '';
    const once = promotes && gate.policy.wait_for === 'greenwave' ? ' once Greenwave lets it through' : '';
    return standDown(pace, seen, { how: 'observed', why: `would ${held}${would}${once}${build}` });
  }
  const person = holdOf(run);
  if (person) return tidyUp(pace, seen) ?? wait(`held by ${wordOf(person)}; kmod-gate release ends it`);
  if (verdict.verdict === 'hold') return keepHeld(gate, pace, seen, verdict);
  if (run.intents.some(isRebuild)) return rebuildThenClose(gate, pace, seen, verdict, describeEnd(changes));
  const newer = promotes && newerHead(change.tag, seen);
  if (newer) return standDown(pace, seen, { how: 'superseded', why: newer });
  const next = plan[0];
  if (!next) return rebuildThenClose(gate, pace, seen, verdict, describeEnd(changes));
  const { blockedBy } = seen;
  if (promotes && !begun && blockedBy) {
    const why = `gate ${blockedBy.gate} blocks it, and lets kernels into ${blockedBy.tag} too`;
    const end = endOfHold(gate, run, verdict.at);
    if (end !== undefined && end <= now) return standDown(pace, seen, { how: 'superseded', why });
    const act = `kmod-gate waive at gate ${blockedBy.gate}, or tag or untag ${run.kernel.nvr}`;
    return wait(`held: ${why}; a person must act: ${act}`, now + pace.poll);
  }
  const quiet = promotes && !begun ? quietUntil(gate.policy.quiet, now + seen.ahead) : undefined;
  if (quiet !== undefined)
    return wait(`promote: waits for ${moment(quiet)}, the end of the quiet time`, quiet - seen.ahead);
  const waiting = promotes && !begun ? waitForGreenwave(gate, pace, seen, verdict.at) : undefined;
  if (waiting) return waiting;
  const busy = change.tag.find((tag) => seen.incoming.has(tag));
  if (busy)
    return wait(
      `${verdict.verdict}: waits for another kernel that is being tagged into ${busy}`,
      now + pace.poll,
    );
  const what = describeWrite(next);
  const before = changes.filter(({ write }) => describeWrite(write) === what);
  return ask({ ...next, after: seen.moves.at(-1)?.event ?? run.entry }, before, now);
}

/** Where nothing is promoted before Greenwave lets it through, too; undefined where it does, or is not waited for. */
function waitForGreenwave(gate: Gate, pace: Pace, seen: Observation, since: number): Decision | undefined {
  const { run, now } = seen;
  if (gate.policy.wait_for !== 'greenwave' || seen.greenwave?.says === 'yes') return undefined;
  const { says, why } = seen.greenwave ?? { says: 'later', why: 'it is not asked yet' };
  const end = endOfHold(gate, run, since);
  if (end !== undefined && end <= now) {
    const nvr = `${run.kernel.nvr} stays where it is`;
    return standDown(pace, seen, { how: 'superseded', why: `Greenwave lets it not through: ${why}; ${nvr}` });
  }
  const next = now + pace.poll;
  if (says === 'later') return wait(`promote: waits for Greenwave: ${why}`, next);
  const acts = `mend or waive there what it wants, or tag or untag ${run.kernel.nvr}`;
  return wait(`held: Greenwave lets it not through: ${why}; a person must act: ${acts}`, next);
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
  const { after_hold } = gate.policy;
  const end = endOfHold(gate, seen.run, at);
  if (end !== undefined && end <= seen.now) return conclude(afterHold(gate, seen.run, seen.now), true);
  if (tidy) return { ...tidy, wakeAt: Math.min(tidy.wakeAt ?? Infinity, end ?? Infinity) };
  const until =
    end === undefined
      ? ''
      : `, or it is ${after_hold === 'block' ? 'blocked' : 'promoted'} at ${moment(end + seen.ahead)}`;
  return wait(
    `held: ${reasons[0]}; a person must act: kmod-gate retry or waive, or tag or untag ${seen.run.kernel.nvr}${until}`,
    end,
  );
}

/** When a hold since a time is over; while a person held the kernel, nobody had to act. */
function endOfHold({ policy }: Gate, { orders }: Run, since: number): number | undefined {
  const released = orders.findLast(({ kind }) => kind === 'release')?.at ?? since;
  return policy.longest_hold === null ? undefined : Math.max(since, released) + policy.longest_hold;
}

/** Names of the kmods that are to be built for real after a promotion. */
function rebuildsWanted(gate: Gate, run: Run, verdict: NonNullable<Run['verdict']>): string[] {
  if (!gate.rebuild || verdict.verdict !== 'promote') return [];
  return needRebuild(run, standings(gate, asOf(run, verdict), verdict.at));
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

// ---- ending -------------------------------------------------------------------------------------

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
  return (
    tidyUp(pace, seen) ??
    removeOrphans(closing.why, pace, seen) ?? { state: closing.why, writes: [], closing }
  );
}

/** Another instance with the same user has a build in its side tag within minutes; one that stays empty for so long is nobody's. */
const ORPHANED = 3_600_000;

/** Remove what requests for side tags without a reply have left; undefined when there is none. */
function removeOrphans(
  why: string,
  { poll }: Pace,
  { run, orphans, now }: Observation,
): Decision | undefined {
  const [orphan] = orphans.toSorted((a, b) => a.since - b.since);
  if (!orphan) return undefined;
  const { name: tag, since } = orphan;
  const ripe = since + ORPHANED;
  if (ripe > now)
    return wait(`${why}; ${tag} may be left of a lost reply: removes it if it stays empty`, ripe);
  const removals = run.intents.filter(({ write }) => write.kind === 'remove-side-tag' && write.tag === tag);
  if (removals.some(({ ending }) => !ending)) return wait(`removes ${tag}`, now + poll);
  return ask({ kind: 'remove-side-tag', tag }, removals, now);
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
