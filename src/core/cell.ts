/** One cell, one judgement: a kmod build on one architecture, by its trials and symbols. The tables of DESIGN.md. */
import type { ArchSymbols, Attempt, Baseline, Gate, KernelRef, Kmod, Run } from './model.ts';
import { lastRetry } from './people.ts';
import { describeSymbols, remarksOf } from './symbols.ts';
import { isProof, type Kernel, type Trial, trialOf, type Whose } from './trial.ts';
import { plural } from './wording.ts';

/**
 * What the evidence proves. `broken`: by this kernel. `already-broken`: with the baseline too. `unattributed`: broken,
 * and nothing shows whether it was so before.
 */
export type Outcome = 'ok' | 'already-broken' | 'inconclusive' | 'unattributed' | 'broken';

/** From best to worst. */
const SEVERITY: readonly Outcome[] = ['ok', 'already-broken', 'inconclusive', 'unattributed', 'broken'];

export interface Finding {
  readonly outcome: Outcome;
  /** For people: why. */
  readonly cause: string;
  /** Null of `ok`. */
  readonly whose: Whose | null;
  /** Of `ok`: it loads as it is, by its symbols, and need not be built. */
  readonly loads?: true;
}

/** Whether a finding is worse than an outcome. */
export const isWorse = ({ outcome }: Finding, than: Outcome): boolean =>
  SEVERITY.indexOf(outcome) > SEVERITY.indexOf(than);

/** The worst of some; of equals the first. */
export const worst = (findings: readonly Finding[]): Finding | undefined =>
  findings.reduce<Finding | undefined>(
    (bad, one) => (!bad || isWorse(one, bad.outcome) ? one : bad),
    undefined,
  );

/** Where a cell stands. */
export interface Cell {
  readonly arch: string;
  /**
   * `unread`: its symbols are wanted first; `wanted`: to be built at or after `notBefore`; `active`: being built;
   * `unsought`: a repo with a baseline is wanted.
   */
  readonly state: 'unread' | 'wanted' | 'active' | 'unsought' | 'judged';
  readonly notBefore: number;
  /** Of `wanted`: not the first try. */
  readonly retry?: true;
  /** Of `wanted` and `unsought`: the baseline; absent: the run's kernel. */
  readonly against?: KernelRef;
  /** What is known so far. */
  readonly finding?: Finding;
}

/** A run, how it is judged, and how many of its builds were tries after the first. */
export interface Context extends Pick<Gate, 'policy' | 'build' | 'stablelist'> {
  readonly run: Run;
  readonly spent: number;
}

/** A kmod, its attempts that count, oldest first, and what its symbols show by architecture; null: not yet. */
export interface Subject {
  readonly kmod: Kmod;
  readonly attempts: readonly Attempt[];
  readonly symbols: readonly ArchSymbols[] | null;
}

/** Pauses before the second, third … try of a build that failed by no fault of the kmod, in ms; the last one repeats. */
export const RETRY_PAUSES = [60_000, 300_000, 900_000, 3_600_000] as const;

/** The pause before the next try, in ms, after so many. */
export const pauseBefore = (tries: number): number =>
  RETRY_PAUSES[Math.min(tries, RETRY_PAUSES.length) - 1] ?? RETRY_PAUSES[0];

/** One that was lost is sent again at once; then it may be there, and only not found. */
const pauseAfterLost = (tries: number): number => (tries === 1 ? 0 : pauseBefore(tries - 1));

/** A submission that was lost more often than this is lost for good. */
export const LOST_MOST = 3;

/** Stands for the architectures of a kmod of which none is known yet. */
export const ANYWHERE = 'any architecture';

/** The cells of a kmod: where it is expected beforehand, and never only where it happened to be built. */
export function cellsOf(context: Context, subject: Subject): Cell[] {
  const { kmod, symbols, attempts } = subject;
  const { strategy } = context.run;
  const tried = attempts.flatMap(({ write, ending }) =>
    write.against || !ending || ending.how === 'lost' ? [] : (ending.build?.arches ?? []),
  );
  const first = kmod.arches ?? kmod.expected ?? [];
  const built = first.length > 0 ? first : [...new Set(tried.map(({ arch }) => arch))];
  const read = symbols?.map(({ arch }) => arch) ?? [];
  const arches = strategy === 'symbols' && read.length > 0 ? read : [...new Set([...read, ...built])];
  return (arches.length > 0 ? arches : [ANYWHERE]).map((arch) => judgeCell(context, subject, arch));
}

function judgeCell(context: Context, subject: Subject, arch: string): Cell {
  const { strategy } = context.run;
  if (strategy === 'rebuild') return byRebuild(context, subject, arch);
  if (!subject.symbols) return { arch, state: 'unread', notBefore: 0 };
  const found = subject.symbols.find((one) => one.arch === arch);
  const shown = bySymbols(found, measuredBy(subject.kmod, context.run));
  const spared = strategy === 'symbols-then-rebuild' && shown.outcome === 'ok';
  if (strategy === 'symbols' || spared) return judged(arch, shown);
  const built = byRebuild(context, subject, arch, strategy === 'symbols-then-rebuild' ? found : undefined);
  const finding = built.finding ?? shown;
  if (strategy === 'symbols-and-rebuild')
    return { ...built, finding: isWorse(shown, finding.outcome) ? shown : finding };
  const anew = built.state === 'judged' && finding.outcome === 'ok';
  return anew ? { ...built, finding: { ...finding, cause: 'needs a rebuild, and builds' } } : built;
}

const judged = (arch: string, finding: Finding): Cell => ({ arch, state: 'judged', notBefore: 0, finding });

/** What a kmod of a run is measured by: in runs of older versions all by the same. */
export const measuredBy = ({ baselines }: Kmod, { baseline }: Pick<Run, 'baseline'>): readonly Baseline[] =>
  baselines ?? (baseline ? [baseline] : []);

// ---- the rows that begin with "symbols" -----------------------------------------------------------

function bySymbols(found: ArchSymbols | undefined, baselines: readonly Baseline[]): Finding {
  const say = (outcome: Outcome, cause: string): Finding => ({ outcome, cause, whose: 'kmod' });
  if (!found) return say('inconclusive', 'none of its rpms requires a symbol of a kernel');
  const { arch, answer, before, imports, missing, cause } = found;
  if (answer === 'compatible')
    return {
      outcome: 'ok',
      cause: `loads as it is: ${plural(imports, 'symbol')} fit`,
      whose: null,
      loads: true,
    };
  // All that it needs is gone: that may be another kernel than it was made for, unless it fits the baseline.
  const gone = imports > 0 && missing.count === imports && before === 'compatible';
  if (answer === 'inconclusive' && !gone)
    return say(
      'inconclusive',
      `its symbols on ${arch} tell nothing: ${[cause, ...remarksOf(found)].join('; ')}`,
    );
  const why = `does not load on ${arch}: ${describeSymbols(gone ? { ...found, cause: null } : found)}`;
  const [baseline] = baselines;
  if (!baseline) return say('unattributed', `${why}; no kernel has passed yet to compare with`);
  if (before === 'compatible') return say('broken', `${why}; ${loadsInto(baselines)}`);
  if (before === 'incompatible')
    return say('already-broken', `${why}; nor does it load into ${namesOf(baselines)}`);
  return say('unattributed', `${why}; nothing shows whether it loads into ${namesOf(baselines)}`);
}

const loadsInto = (baselines: readonly Baseline[]): string =>
  `it loads into ${namesOf(baselines)} as it is${sinceOf(baselines[0])}`;

const namesOf = (baselines: readonly Baseline[]): string => baselines.map(({ nvr }) => nvr).join(' or ');

const sinceOf = (baseline: Baseline | undefined): string =>
  baseline?.since ? `; broken since ${baseline.since}` : '';

// ---- the rows that begin with "rebuild" -----------------------------------------------------------

function byRebuild(context: Context, subject: Subject, arch: string, symbols?: ArchSymbols): Cell {
  const { run } = context;
  const tries = subject.attempts.filter(({ write }) => !write.against && isFor(write, arch));
  const { trial, at, ...progress } = tryOn(context, tries, arch, run.kernel);
  const finding = trial && findingOf(trial);
  if (progress.state !== 'judged' || trial?.shows !== 'fails')
    return { arch, ...progress, ...(finding && { finding }) };
  return blame(context, subject, arch, trial, at, symbols);
}

function findingOf({ shows, cause, whose }: Trial): Finding {
  return { outcome: shows === 'builds' ? 'ok' : shows === 'fails' ? 'broken' : 'inconclusive', cause, whose };
}

/** Whether a build was asked for an architecture, or for whatever there is. */
const isFor = ({ arches }: Attempt['write'], arch: string): boolean => !arches || arches.includes(arch);

/** What tries on one architecture against one kernel come to. */
interface Progress extends Pick<Cell, 'notBefore' | 'retry'> {
  readonly state: 'wanted' | 'active' | 'judged';
  readonly trial?: Trial;
  /** When that ended. */
  readonly at: number;
}

function tryOn(
  { policy, run, spent }: Context,
  tries: readonly Attempt[],
  arch: string,
  kernel: Kernel,
): Progress {
  const last = tries.at(-1);
  if (!last) return { state: 'wanted', notBefore: 0, at: 0 };
  if (!last.ending) return { state: 'active', notBefore: 0, at: 0 };
  const told = (attempt: Attempt) => ({
    trial: trialOf(policy, run, kernel, attempt, arch),
    lost: attempt.ending?.how === 'lost',
    at: attempt.ending?.at ?? 0,
  });
  const all = tries.map(told);
  const { at } = last.ending;
  const found = all.findLast(({ trial }) => trial.shows !== 'nothing') ?? told(last);
  const { trial, lost } = found;
  if (trial.shows !== 'nothing' || !trial.again)
    return { state: 'judged', notBefore: 0, trial, at: found.at };
  const over = (note: string): Progress => ({
    state: 'judged',
    notBefore: 0,
    trial: { ...trial, cause: `${trial.cause}${note}` },
    at,
  });
  const again = (pause: number, retry = true): Progress => ({
    state: 'wanted',
    ...(retry && { retry: true as const }),
    notBefore: at + pause,
    trial,
    at,
  });
  const count = all.filter((one) => one.lost === lost && !one.trial.untried).length;
  // A submission that never reached the hub is no try; but one that is only not found again is a build each.
  if (lost && count > LOST_MOST) return over('');
  const pause = lost ? pauseAfterLost(count) : trial.untried ? 0 : pauseBefore(count);
  if (all.every((one) => one.lost)) return again(pause, false);
  if (!lost && !trial.untried && count > policy.retries.kmod)
    return over(count > 1 ? `, after ${count} tries` : '');
  if (spent >= policy.retries.run)
    return over(`; the run has used up its ${plural(policy.retries.run, 'retry', 'retries')}`);
  return again(pause);
}

/**
 * Blame needs a pair on the same cell. What fails of its own against the kernel is tried against the baselines: broken by
 * this kernel where it builds with one of them, already broken where it fails of its own with all, else unattributed.
 * @param at when it failed
 */
function blame(
  context: Context,
  subject: Subject,
  arch: string,
  failed: Trial,
  at: number,
  symbols: ArchSymbols | undefined,
): Cell {
  const say = (outcome: Outcome, note: string): Finding => ({
    outcome,
    cause: note ? `${failed.cause}; ${note}` : failed.cause,
    whose: failed.whose,
  });
  const baselines = measuredBy(subject.kmod, context.run);
  if (baselines.length === 0)
    return judged(arch, say('unattributed', 'no kernel has passed yet to compare with'));
  if (symbols?.before === 'compatible') return judged(arch, say('broken', loadsInto(baselines)));
  const failing: string[] = [];
  let unknown: string | undefined;
  for (const baseline of baselines) {
    const there = withBaseline(context, subject, arch, baseline, at);
    if ('state' in there) return { arch, ...there, against: baseline, finding: say('unattributed', '') };
    if (there.shows === 'builds')
      return judged(arch, say('broken', `it builds against ${there.text}${sinceOf(baseline)}`));
    if (there.shows === 'fails') failing.push(there.text);
    else unknown ??= there.text;
  }
  if (unknown !== undefined) return judged(arch, say('unattributed', unknown));
  return judged(arch, say('already-broken', `nor does it build against ${failing.join(' or ')}`));
}

type There =
  | Pick<Cell, 'state' | 'notBefore' | 'retry'>
  | { readonly shows: Trial['shows']; readonly text: string };

/** What is known of a cell with a baseline, by this run or another one in the same target, or what is to be done to know. */
function withBaseline(
  context: Context,
  { kmod, attempts }: Subject,
  arch: string,
  baseline: Baseline,
  at: number,
): There {
  const { run, build, policy } = context;
  const nothing = (text: string): There => ({ shows: 'nothing', text });
  if (baseline.id === run.kernel.id) return nothing('the baseline is this very kernel');
  const oldest = policy.evidence_age === null ? Number.NEGATIVE_INFINITY : at - policy.evidence_age;
  const tries = attempts.filter(
    ({ write, ending }) =>
      write.against?.id === baseline.id && isFor(write, arch) && (ending?.at ?? at) >= oldest,
  );
  if (tries.length === 0) {
    const past = run.past.find(
      (one) =>
        one.kmodBuild === kmod.buildId &&
        one.kernelBuild === baseline.id &&
        one.arch === arch &&
        one.target === build?.target &&
        one.at >= oldest &&
        isProof(policy, one.proof),
    );
    if (past) return { shows: past.shows, text: `${baseline.nvr}, as run ${past.run} showed` };
    const refused = refusedPlace(run, baseline);
    if (refused) return nothing(`${baseline.nvr} cannot be tried: ${refused}`);
    const found = run.baselineRepos[baseline.id];
    if (build?.repo !== 'sidetag' && !found) return { state: 'unsought', notBefore: 0 };
    if (build?.repo !== 'sidetag' && found?.repo === null && found.event === undefined)
      return nothing(found.why);
  }
  const { trial, ...there } = tryOn(context, tries, arch, { ...baseline, name: run.kernel.name });
  if (there.state !== 'judged' || !trial) return there;
  if (trial.shows !== 'nothing') return { shows: trial.shows, text: baseline.nvr };
  return nothing(`nothing shows whether it builds against ${baseline.nvr}: ${trial.cause}`);
}

/**
 * So often the hub may refuse to tag a baseline into a side tag, or a repo with it may fail: for ever where the build was
 * deleted.
 */
const REFUSED_MOST = 3;

/** Why there is no place to try a baseline in; undefined while there may be one yet. */
function refusedPlace(run: Run, baseline: Baseline): string | undefined {
  const since = lastRetry(run)?.fact ?? -1;
  const failed = run.intents.flatMap(({ write, ending, fact }) => {
    const places = write.kind === 'tag' || write.kind === 'request-repo';
    const isFor = places && write.against?.id === baseline.id && fact > since;
    return isFor && ending?.how === 'failed' ? ending.why : [];
  });
  return failed.length >= REFUSED_MOST ? failed.at(-1) : undefined;
}
