/** From evidence to outcomes, from outcomes to a verdict: the decision tables of DESIGN.md. */
import {
  archesOf,
  type Finding,
  inconclusive,
  judgeBuild,
  judgeSymbols,
  type Kernel,
  type Outcome,
  SEVERITY,
} from './finding.ts';
import type {
  ArchSymbols,
  Attempt,
  BuildEvidence,
  Gate,
  Intent,
  KernelBuild,
  KernelRef,
  Kmod,
  Order,
  Policy,
  Run,
  Verdict,
  Waiver,
} from './model.ts';
import { matcher } from './names.ts';
import {
  describeEverything,
  describeStablelist,
  describeWaiver,
  keepsPromise,
  plural,
  span,
} from './wording.ts';

/** Where a kmod stands in a run. */
export interface KmodStanding {
  readonly kmod: Kmod;
  /** The scratch builds that count, oldest first: none that a person's retry made void, none of another build of it. */
  readonly attempts: readonly Attempt[];
  /**
   * `unread`: its symbols are wanted first; `wanted`: to be submitted at or after `notBefore`; `active`: not ended;
   * `unsought`: a repo with the baseline is wanted.
   */
  readonly state: 'unread' | 'wanted' | 'active' | 'unsought' | 'judged';
  /** Of `wanted`: to be tried against it, and not the run's kernel. */
  readonly against?: KernelRef;
  /** Of `wanted`: not the first try. */
  readonly retry?: true;
  readonly notBefore: number;
  /** What is known so far. */
  readonly finding?: Finding;
  readonly waiver?: Waiver;
}

/** What of a gate judges. */
export type Judging = Pick<Gate, 'policy' | 'build' | 'stablelist'>;

/** Pauses before the second, third … try of a build that failed by no fault of the kmod, in ms; the last one repeats. */
export const RETRY_PAUSES = [60_000, 300_000, 900_000, 3_600_000] as const;

const pauseBefore = (tries: number): number =>
  RETRY_PAUSES[Math.min(tries, RETRY_PAUSES.length) - 1] ?? RETRY_PAUSES[0];

export function isAttempt(intent: Intent): intent is Attempt {
  return intent.write.kind === 'scratch-build';
}

/** Where each kmod of the run stands, in the run's order; `now` tells which waivers hold. */
export function standings(gate: Judging, run: Run, now: number): KmodStanding[] {
  const tries = new Map<string, Attempt[]>(run.kmods.map(({ name }) => [name, []]));
  for (const attempt of run.intents.filter(isAttempt)) tries.get(attempt.write.kmod)?.push(attempt);
  const context: Context = { ...gate, run, spent: countRetries(run) };
  return run.kmods.map((kmod) => {
    const all = ofThisBuild(kmod, tries.get(kmod.name));
    const standing = late(run, afterRetries(context, kmod, all));
    const waiver = waiverFor(run, kmod.name, now);
    return waiver ? { ...standing, waiver } : standing;
  });
}

/** A run, how it is judged, and how many of its builds were tries after the first. */
interface Context extends Judging {
  readonly run: Run;
  readonly spent: number;
}

/** Attempts of this very build of a kmod: an older one says nothing of it. */
const ofThisBuild = ({ source }: Kmod, attempts: readonly Attempt[] = []): Attempt[] =>
  attempts.filter(({ write }) => write.source === source);

/** Tries after the first of each kmod and kernel since a person last asked for a retry; none that never reached the hub. */
export function countRetries({ intents, orders }: Pick<Run, 'intents' | 'orders'>): number {
  const since = orders.findLast(({ kind }) => kind === 'retry')?.at ?? 0;
  const sent = intents
    .filter(isAttempt)
    .filter(({ askedAt, ending }) => askedAt >= since && ending?.how !== 'lost');
  const firsts = new Set(sent.map(({ write }) => `${write.source} ${write.against?.id ?? ''}`));
  return sent.length - firsts.size;
}

/** A verdict does not wait for what took too long. */
function late(run: Run, standing: KmodStanding): KmodStanding {
  if (!run.verdict || standing.state === 'judged') return standing;
  return { ...standing, state: 'judged', finding: unfinished(standing) };
}

/** What is to be said of a kmod that is not judged when the run's time is over; what is worse than that stays. */
export function unfinished({ finding }: KmodStanding): Finding {
  const worseThan = finding && SEVERITY.indexOf(finding.outcome) > SEVERITY.indexOf('inconclusive');
  if (worseThan) return { ...finding, again: false, cause: `${finding.cause}; no more is known in time` };
  return inconclusive(`not judged in time${finding ? `; so far: ${finding.cause}` : ''}`, 'time', false);
}

/** A person's retry makes what ended before it void: of the kmods that it names, or else of those that were not fine. */
function afterRetries(context: Context, kmod: Kmod, all: readonly Attempt[]): KmodStanding {
  let standing = stand(context, kmod, all);
  for (const order of context.run.orders.filter(({ kind }) => kind === 'retry')) {
    const named = order.kmod !== null && matcher([order.kmod])(kmod.name);
    const since = all.filter(
      (attempt) =>
        (!attempt.ending || attempt.ending.at > order.at) &&
        !isStopped(context.run, attempt, ({ askedAt }) => askedAt <= order.at),
    );
    const old = order.kmod === null ? stand(context, kmod, without(all, since)) : undefined;
    if (named || (old && old.finding?.outcome !== 'ok')) standing = stand(context, kmod, since);
  }
  return standing;
}

const without = <T>(all: readonly T[], some: readonly T[]): T[] => all.filter((one) => !some.includes(one));

function stand(context: Context, kmod: Kmod, attempts: readonly Attempt[]): KmodStanding {
  const { run } = context;
  if (run.strategy === 'rebuild') return attributed(context, standing(context, kmod, attempts), []);
  const arches = run.symbols?.kmods.find((of) => of.kmod === kmod.name)?.arches;
  if (!arches) return { kmod, attempts, state: 'unread', notBefore: 0 };
  const shown = judgeSymbols(arches, run.baseline);
  const spared = run.strategy === 'symbols-then-rebuild' && shown.outcome === 'ok';
  if (run.strategy === 'symbols' || spared) return judged(kmod, attempts, shown);
  const built = attributed(context, standing(context, kmod, attempts), arches);
  if (run.strategy === 'symbols-and-rebuild')
    return { ...built, finding: built.finding ? worse(shown, built.finding) : shown };
  return built.state === 'judged' && built.finding ? { ...built, finding: anew(built.finding) } : built;
}

const judged = (kmod: Kmod, attempts: readonly Attempt[], finding: Finding): KmodStanding => ({
  kmod,
  attempts,
  state: 'judged',
  notBefore: 0,
  finding,
});

/** Of a kmod that does not load as it is the rebuild decides. */
const anew = (built: Finding): Finding =>
  built.outcome === 'ok' ? { ...built, cause: 'needs a rebuild, and builds' } : built;

/** The worst of two; of equals, what the build shows. */
function worse(shown: Finding, built: Finding): Finding {
  return SEVERITY.indexOf(shown.outcome) > SEVERITY.indexOf(built.outcome) ? shown : built;
}

/** By the tries against the run's own kernel. */
function standing(context: Context, kmod: Kmod, attempts: readonly Attempt[]): KmodStanding {
  const own = attempts.filter(({ write }) => !write.against);
  return { ...tryOn(context, kmod, own, context.run.kernel), attempts };
}

/** What tries against one kernel come to. */
function tryOn(
  { policy, run, spent }: Context,
  kmod: Kmod,
  attempts: readonly Attempt[],
  kernel: Kernel,
): KmodStanding {
  const last = attempts.at(-1);
  if (!last) return { kmod, attempts, state: 'wanted', notBefore: 0 };
  if (!last.ending) return { kmod, attempts, state: 'active', notBefore: 0 };
  const finding = findingOf(policy, run, kernel, last);
  const lost = last.ending.how === 'lost';
  const tries = attempts.filter(({ ending }) => (ending?.how === 'lost') === lost).length;
  if (!finding.again) return judged(kmod, attempts, finding);
  // A submission that never reached the hub is no try; but one that is only not found again is a build each.
  if (lost) {
    if (tries > LOST_MOST) return judged(kmod, attempts, finding);
    const pause = tries === 1 ? 0 : pauseBefore(tries - 1);
    return { kmod, attempts, state: 'wanted', notBefore: last.ending.at + pause, finding };
  }
  if (tries > policy.retries.kmod)
    return judged(kmod, attempts, { ...finding, cause: `${finding.cause}${after(tries)}` });
  if (spent >= policy.retries.run) {
    const cause = `${finding.cause}; the run has used up its ${plural(policy.retries.run, 'retry', 'retries')}`;
    return judged(kmod, attempts, { ...finding, cause });
  }
  return {
    kmod,
    attempts,
    state: 'wanted',
    retry: true,
    notBefore: last.ending.at + pauseBefore(tries),
    finding,
  };
}

/** A submission that was lost more often than this is lost for good. */
export const LOST_MOST = 3;

const after = (tries: number): string => (tries > 1 ? `, after ${tries} tries` : '');

/** Whether the gate itself has asked the hub to cancel a build. */
export function isStopped(
  { intents }: Pick<Run, 'intents'>,
  { receipt }: Intent,
  counts: (cancel: Intent) => boolean = () => true,
): boolean {
  return intents.some(
    (intent) => intent.write.kind === 'cancel' && intent.write.task === receipt?.task && counts(intent),
  );
}

/** What an ended attempt proves about `kernel`. */
export function findingOf(
  policy: Policy,
  run: Pick<Run, 'intents'>,
  kernel: Kernel,
  attempt: Attempt,
): Finding {
  const { ending, askedAt } = attempt;
  if (!ending || ending.how === 'lost')
    return inconclusive('its build never reached the hub', 'system', true);
  if (isStopped(run, attempt) && ending.build?.state === 'canceled')
    return inconclusive(`its build did not end within ${span(ending.at - askedAt)}`, 'time', true);
  if (!ending.build)
    return inconclusive(ending.how === 'failed' ? ending.why : 'the hub tells nothing of it', 'system', true);
  return judgeBuild(kernel, ending.build, policy.proof);
}

/**
 * Whether a person's retry makes a verdict void: not once the run has changed tags, since nothing can be tried where the
 * kernel is then.
 */
export function isVoid(lastOrder: number, { orders, intents }: Pick<Run, 'orders' | 'intents'>): boolean {
  return orders.some(
    ({ kind, id, at }) =>
      kind === 'retry' && id > lastOrder && !hasChangedTags(intents.filter(({ askedAt }) => askedAt <= at)),
  );
}

/** Whether a run has changed tags of its kernel, or asked for it; side tags do not count. */
export function hasChangedTags(intents: readonly Intent[]): boolean {
  const sideTags = intents.flatMap(({ receipt }) => receipt?.sideTag ?? []);
  return intents.some(
    ({ write, ending }) =>
      (write.kind === 'tag' || write.kind === 'untag') &&
      !sideTags.includes(write.tag) &&
      ending?.how !== 'failed' &&
      ending?.how !== 'lost',
  );
}

// ---- whose fault it is --------------------------------------------------------------------------

/** A kmod that is broken is tried against the baseline: what fails there too is no fault of this kernel. */
function attributed(context: Context, own: KmodStanding, symbols: readonly ArchSymbols[]): KmodStanding {
  const { finding, kmod, attempts } = own;
  const { run, policy, build } = context;
  if (own.state !== 'judged' || finding?.outcome !== 'broken') return own;
  const say = (outcome: Outcome, note: string): KmodStanding => ({
    ...own,
    finding: { ...finding, outcome, cause: `${finding.cause}; ${note}` },
  });
  const { baseline } = run;
  if (!baseline) return say('unattributed', 'no kernel has passed yet to compare with');
  if (baseline.id === run.kernel.id) return say('unattributed', 'the baseline is this very kernel');
  const kernel = { ...baseline, name: run.kernel.name };
  const candidate = lastBuild(attempts.filter(({ write }) => !write.against));
  const failing = candidate ? archesOf(candidate, run.kernel, policy.proof, 'broken') : [];
  if (symbols.some(({ arch, before }) => before === 'compatible' && failing.includes(arch)))
    return say('broken', `it loads into ${baseline.nvr} as it is`);
  const compare = (shown: Finding, build: BuildEvidence | undefined, where: string): KmodStanding => {
    if (shown.outcome === 'ok') return say('broken', `it builds against ${baseline.nvr}${where}`);
    if (shown.outcome !== 'broken')
      return say('unattributed', `nothing shows whether it builds against ${baseline.nvr}: ${shown.cause}`);
    const fine = build ? archesOf(build, kernel, policy.proof, 'ok') : [];
    const fresh = failing.find((arch) => fine.includes(arch));
    if (fresh) return say('broken', `on ${fresh} it builds against ${baseline.nvr}${where}`);
    return say('already-broken', `nor does it build against ${baseline.nvr}${where}`);
  };
  const past = run.past.filter(
    ({ buildId, build }) =>
      buildId === kmod.buildId && build.arches.some(({ arch }) => failing.includes(arch)),
  );
  for (const one of past) {
    const shown = judgeBuild(kernel, one.build, policy.proof);
    if (shown.outcome === 'ok' || shown.outcome === 'broken')
      return compare(shown, one.build, `, as run ${one.run} showed`);
  }
  const tries = attempts.filter(({ write }) => write.against?.id === baseline.id);
  const open: KmodStanding = { ...own, finding: { ...finding, outcome: 'unattributed' } };
  const shared = build?.repo !== 'sidetag';
  if (tries.length === 0 && shared) {
    if (!run.baselineRepo) return { ...open, state: 'unsought' };
    if (run.baselineRepo.repo === null) return say('unattributed', run.baselineRepo.why);
  }
  const there = tryOn(context, kmod, tries, kernel);
  if (there.state === 'judged' && there.finding) {
    return compare(there.finding, lastBuild(there.attempts), '');
  }
  const { state, notBefore, retry } = there;
  return {
    ...open,
    state,
    notBefore,
    ...(retry && { retry }),
    ...(state === 'wanted' && { against: baseline }),
  };
}

/** What the last attempt that has ended left to be read. */
function lastBuild(attempts: readonly Attempt[]): BuildEvidence | undefined {
  const last = attempts.findLast(({ ending }) => ending)?.ending;
  return last && last.how !== 'lost' ? last.build : undefined;
}

// ---- waivers, holds and the verdict ---------------------------------------------------------------------------

/** What a waiver names to speak of the gate's stablelist; no pattern of kmods does. */
export const STABLELIST = 'stablelist';

/** The newest waiver that speaks of a kmod, or of the `stablelist`, at a time. */
export function waiverFor({ waivers }: Pick<Run, 'waivers'>, kmod: string, now: number): Waiver | undefined {
  return waivers.findLast(
    (waiver) =>
      (kmod === STABLELIST ? waiver.kmod === kmod : matcher([waiver.kmod])(kmod)) &&
      (!waiver.ended || now < waiver.ended.at) &&
      waiver.at <= now &&
      (waiver.until === null || now < waiver.until),
  );
}

/** The person's hold that nobody has released. */
export function holdOf({ orders }: Pick<Run, 'orders'>): Order | undefined {
  const last = orders.findLast(({ kind }) => kind === 'hold' || kind === 'release');
  return last?.kind === 'hold' ? last : undefined;
}

/**
 * The verdict over all kmods, and every reason in order: what blocks, what holds, what was waived or is only told,
 * what is fine. Call it when each kmod is judged; an empty list holds.
 */
export function verdictOf(
  { policy, stablelist }: Judging,
  run: Run,
  kmods: readonly KmodStanding[],
  now: number,
): { verdict: Verdict; reasons: string[] } {
  const { symbols } = run;
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
  const unread = stablelist?.effect === 'block' && !symbols;
  const promised = unread ? 'unclear' : symbols?.stablelist === 'block' ? keepsPromise(symbols) : 'kept';
  const leave = waiverFor(run, STABLELIST, now);
  const promise = unread
    ? ["stablelist: the kernel's symbols could not be read in time"]
    : symbols?.stablelist
      ? [describeStablelist(symbols)]
      : [];
  const everything = symbols?.change && describeEverything(symbols.change);
  const needing = needRebuild(run, kmods);
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
  if (blocked) return { verdict: 'block', reasons };
  const proven = kmods.some(
    ({ finding, waiver }) => waiver || (finding && finding.outcome !== 'inconclusive'),
  );
  const held = of('hold').length > 0 || (promised === 'unclear' && !leave) || !proven;
  return { verdict: held ? 'hold' : 'promote', reasons };
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

/** Names of the kmods that build against the kernel and do not load as they are. */
export function needRebuild(run: Pick<Run, 'strategy'>, kmods: readonly KmodStanding[]): string[] {
  if (run.strategy !== 'symbols-then-rebuild') return [];
  return kmods
    .filter(({ finding }) => finding?.outcome === 'ok' && !finding.loads)
    .map(({ kmod }) => kmod.name);
}

/** `7 of 12 kmods load into kernel-… as they are, 4 build against it`. */
function summary({ nvr }: KernelBuild, kmods: readonly KmodStanding[]): string {
  const fine = kmods.filter(({ finding }) => finding?.outcome === 'ok');
  const loading = fine.filter(({ finding }) => finding?.loads).length;
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
