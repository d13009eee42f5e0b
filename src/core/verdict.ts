/** From outcomes to a verdict: what blocks, what holds, what a person waived, and the proof that a promotion needs. */
import { type Judging, type KmodStanding, standings, unfinished } from './judge.ts';
import type { Found, Gate, KernelBuild, Policy, Run } from './model.ts';
import { STABLELIST, waiverFor } from './people.ts';
import { describeEverything, describeStablelist, keepsPromise, tellsOfList } from './symbols.ts';
import { describeWaiver, plural, span } from './wording.ts';

/** A verdict, and every reason in order: what blocks, what holds, what was waived or is only told, what is fine. */
export interface Weighed extends Omit<Found, 'overdue'> {
  /** Something required was really tried and is fine, or a person has waived all of it. */
  readonly proven: boolean;
}

/** The verdict over all kmods of a run as they stand at a time; what is not judged by then is not judged in time. */
export function verdictOf(gate: Judging, run: Run, now: number, all = standings(gate, run, now)): Weighed {
  const { policy, stablelist } = gate;
  const { symbols } = run;
  // What a change does is the gate's to say now, not when it was read.
  const listed =
    stablelist && symbols?.stablelist ? { ...symbols, stablelist: stablelist.effect } : undefined;
  const kmods = all.map(unfinished);
  const sorted = kmods.map((standing) => ({ standing, effect: effectOf(policy, standing) }));
  const of = (effect: Effect) =>
    sorted.flatMap(({ standing, effect: has }) => (has === effect ? [standing] : []));
  const say = (effect: Effect, note: (standing: KmodStanding) => string = noteOf) =>
    of(effect).map((standing) => `${standing.kmod.nvr}${note(standing)}: ${standing.finding?.cause}`);
  const advisory = kmods.filter(
    ({ kmod, finding, waiver }) => !kmod.required && !waiver && finding?.outcome === 'broken',
  ).length;
  const tooMany = policy.advisory_limit !== null && advisory > policy.advisory_limit;
  // A list that was to be looked at, and was not in time, is no promise kept.
  const unread = stablelist?.effect === 'block' && !listed;
  const promised = unread ? 'unclear' : listed?.stablelist === 'block' ? keepsPromise(listed) : 'kept';
  const leave = waiverFor(run, STABLELIST, now);
  const promise = unread
    ? ["stablelist: the kernel's symbols could not be read in time"]
    : listed
      ? [describeStablelist(listed)]
      : [];
  const everything = symbols?.change && describeEverything(symbols.change);
  const needing = needRebuild(run, kmods);
  const required = kmods.filter(({ kmod }) => kmod.required);
  const proven =
    required.some(({ cells }) => cells.some(({ finding }) => finding?.outcome === 'ok')) ||
    (required.length > 0 && required.every(({ waiver }) => waiver));
  const reasons = [
    ...(everything ? [everything] : []),
    ...(promised === 'kept' || leave ? [] : promise),
    ...say('block'),
    ...(tooMany
      ? [
          `${plural(advisory, 'advisory kmod')} broken by this kernel, where the gate takes ${policy.advisory_limit}`,
        ]
      : []),
    ...say('hold'),
    ...(proven ? [] : ['no required kmod was tried and is fine, so nothing shows that the kernel is']),
    ...say(
      'waived',
      (standing) => `${noteOf(standing)} (${standing.waiver && describeWaiver(standing.waiver)})`,
    ),
    ...say('told'),
    ...(promised === 'kept'
      ? promise
      : leave
        ? promise.map((text) => `${text} (${describeWaiver(leave)})`)
        : []),
    summary(run.kernel, kmods),
    ...(needing.length > 0 ? [`needs a rebuild: ${needing.join(', ')}`] : []),
  ];
  const blocked = (promised === 'broken' && !leave) || of('block').length > 0 || tooMany;
  const held = of('hold').length > 0 || (promised === 'unclear' && !leave) || !proven;
  return { verdict: blocked ? 'block' : held ? 'hold' : 'promote', reasons, proven };
}

/** What a judged kmod does to its kernel. `told`: nothing, but people should know. */
type Effect = 'block' | 'hold' | 'waived' | 'told' | 'fine';

function effectOf(policy: Policy, { kmod, finding, waiver }: KmodStanding): Effect {
  if (!finding || finding.outcome === 'ok') return 'fine';
  if (finding.outcome === 'already-broken') return 'told';
  if (waiver) return 'waived';
  if (!kmod.required) return 'told';
  if (finding.outcome === 'broken') return 'block';
  const effect = policy[finding.outcome];
  return effect === 'pass' ? 'told' : effect;
}

function noteOf({ kmod, finding }: KmodStanding): string {
  const notes = [
    ...(kmod.required ? [] : ['advisory']),
    ...(finding?.outcome === 'inconclusive' ? ['inconclusive'] : []),
    ...(finding?.outcome === 'already-broken' ? ['already broken'] : []),
  ];
  return notes.length > 0 ? ` (${notes.join(', ')})` : '';
}

/** Names of the kmods that build against the kernel and, as their symbols show, do not load as they are. */
export function needRebuild(
  { strategy, symbols }: Pick<Run, 'strategy' | 'symbols'>,
  kmods: readonly KmodStanding[],
): string[] {
  if (strategy !== 'symbols-then-rebuild') return [];
  const changed = symbols?.kmods.filter(({ arches }) =>
    arches?.some(({ answer }) => answer === 'incompatible'),
  );
  return kmods
    .filter(({ finding, cells }) => finding?.outcome === 'ok' && cells.some((cell) => !cell.finding?.loads))
    .filter(({ kmod }) => changed?.some((one) => one.kmod === kmod.name))
    .map(({ kmod }) => kmod.name);
}

/** `7 of 12 kmods load into kernel-… as they are, 4 build against it`. */
function summary({ nvr }: KernelBuild, kmods: readonly KmodStanding[]): string {
  const fine = kmods.filter(({ finding }) => finding?.outcome === 'ok');
  const loading = fine.filter(({ cells }) => cells.every(({ finding }) => finding?.loads)).length;
  const building = fine.length - loading;
  const all = plural(kmods.length, 'kmod');
  const built = kmods.some(({ attempts }) => attempts.length > 0);
  if (loading === 0 && built)
    return `${building} of ${all} ${building === 1 ? 'builds' : 'build'} against ${nvr}`;
  const loads = `${loading} of ${all} ${loading === 1 ? 'loads' : 'load'} into ${nvr} as ${loading === 1 ? 'it is' : 'they are'}`;
  return building === 0
    ? loads
    : `${loads}, ${building} more ${building === 1 ? 'builds' : 'build'} against it`;
}

/**
 * What is decided anew though the evidence is the same: a waiver came or ended, or the policy is another one. A hold may
 * become anything, a block only a promotion, and a promotion anything for as long as no tag was changed for it.
 */
export function reconsider(gate: Judging, run: Run, now: number): Weighed | undefined {
  const { verdict } = run;
  if (!verdict) return undefined;
  const found = verdictOf(gate, run, now);
  const stands =
    found.verdict === verdict.verdict ||
    (verdict.verdict === 'block' && found.verdict !== 'promote') ||
    // The end of a hold has let it through as it is.
    (verdict.overdue && verdict.verdict === 'promote' && found.verdict === 'hold' && found.proven);
  return stands ? undefined : found;
}

/** What the end of a hold comes to: nothing passes by it of which nothing was tried and fine. */
export function afterHold(gate: Judging, run: Run, now: number): Found {
  const { after_hold, longest_hold } = gate.policy;
  const refused = after_hold === 'promote' && !verdictOf(gate, run, now).proven;
  const first = `held for ${span(longest_hold ?? 0)}, and nobody acted`;
  const reason = refused ? `${first}; the end of a hold promotes nothing of which nothing is fine` : first;
  return { verdict: refused ? 'block' : after_hold, reasons: [reason, ...(run.verdict?.reasons ?? [])] };
}

/** Whether a run that is over, and did not let its kernel through, is to be opened again: a waiver has come that does. */
export function reopens(gate: Judging, run: Run, now: number): string | undefined {
  const { closing, verdict, kmods } = run;
  if (!closing || !verdict || verdict.verdict === 'promote') return undefined;
  if (!['done', 'observed'].includes(closing.how)) return undefined;
  const waivers = [...kmods.map(({ name }) => name), STABLELIST].map((name) => waiverFor(run, name, now));
  const fresh = waivers.find((waiver) => waiver && waiver.fact > verdict.fact);
  // A list that was set since is looked at before the kernel's tags are changed.
  const known = tellsOfList(gate, run.symbols) ? gate : { ...gate, stablelist: null };
  if (!fresh || reconsider(known, run, now)?.verdict !== 'promote') return undefined;
  return `a waiver by ${fresh.by} lets it through: ${fresh.reason}`;
}

/**
 * Whether a kernel that still stands in the watch tag is tried anew though its run is over: what ended that is no more so.
 * @param newer whether a newer kernel stands before the gate and may still be promoted, or was
 */
export function returns(
  { mode, policy }: Pick<Gate, 'mode' | 'policy'>,
  { closing, verdict, orders }: Run,
  newer: boolean,
): boolean {
  // It was only observed, and the gate enforces now.
  if (closing?.how === 'observed') return mode === 'enforce';
  // Not by a person: the configuration listed its package no more, and lists it again.
  if (closing?.how === 'cancelled') return !orders.some(({ kind }) => kind === 'cancel');
  const yielded = closing?.how === 'superseded' && (!verdict || verdict.verdict === 'hold');
  return yielded && (!newer || policy.supersede === 'keep');
}
