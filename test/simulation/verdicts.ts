/**
 * Judges promotions and blocks by the truth: what really compiles and loads, what stood where and when, what persons and
 * policies say. What the gate recorded as evidence, its baseline and its findings count for nothing here.
 *
 * P: no kernel passes that newly breaks a kmod. B: none is blocked that breaks none. H: what no trial could show is held.
 */
import type { Gate, Kmod, Order, Run, Waiver } from '../../src/core/model.ts';
import { type Build, matches, type State } from '../../src/sim/state.ts';
import { type Clock, LOOK, listingsIn } from './held.ts';
import { type Pass, type References, referencesFor, type Worth } from './passed.ts';
import { exportsOf, type Files, type Is, type Loader, type Loading, loadingOf } from './symbols.ts';
import type { Trial, Trials } from './trials.ts';
import { buildTagOf, type Compiles, expectedOf, plainNvr } from './truth.ts';

/** All that is read of a run: what it was about, whom it was told what by, and what it asked for. */
export interface Subject {
  readonly id: string;
  readonly kernel: Build;
  readonly kmods: readonly Kmod[];
  readonly startedAt: number;
  readonly waivers: readonly Waiver[];
  readonly orders: readonly Order[];
  /** Scratch builds; `against` another kernel than its own. */
  readonly attempts: readonly {
    readonly id: string;
    readonly source: string;
    readonly against: number | null;
    readonly at: number;
  }[];
}

export function subjectOf(state: State, run: Run): Subject | undefined {
  const kernel = state.builds[run.kernel.id - 1];
  if (!kernel) return undefined;
  const { id, kmods, startedAt, waivers, orders } = run;
  const attempts = run.intents.flatMap(({ id, write, askedAt }) =>
    write.kind === 'scratch-build'
      ? [{ id, source: write.source, against: write.against?.id ?? null, at: askedAt }]
      : [],
  );
  return { id, kernel, kmods, startedAt, waivers, orders, attempts };
}

/** A verdict of a run, by the journal. */
export interface Said {
  readonly at: number;
  readonly verdict: string;
}

export interface Case {
  readonly state: State;
  readonly files: Files;
  readonly clock: Clock;
  readonly compiles: Compiles;
  readonly trials: Trials;
  readonly passes: readonly Pass[];
  readonly gate: Gate;
  readonly subject: Subject;
  readonly at: number;
  /** Verdicts before this one. */
  readonly before: readonly Said[];
  /** Whether a waiver for the next kernel is one for this one. */
  readonly isNext: (waiver: Waiver) => boolean;
}

/** One way in which a kmod must be fine on an architecture: by its symbols, by a build, or by either. */
type Aspect = 'loads' | 'compiles' | 'either';
const ASPECTS: Readonly<Record<Gate['strategy'], readonly Aspect[]>> = {
  symbols: ['loads'],
  rebuild: ['compiles'],
  'symbols-then-rebuild': ['either'],
  'symbols-and-rebuild': ['loads', 'compiles'],
};

/** A kmod on an architecture in one aspect, with a kernel. */
interface Cell {
  readonly kmod: Kmod;
  readonly arch: string;
  readonly aspect: Aspect;
}

function truthIn(one: Case) {
  const { state, files, clock, compiles, trials, passes, gate, subject, at } = one;
  const tag = buildTagOf(state, gate);
  const loadings = new Map<number, Map<string, Map<string, Loading>>>();
  const loads = (kernel: Build, { kmod, arch }: Cell): Loading => {
    const known = loadings.get(kernel.id) ?? loadingOf(files, of(kernel), gate.variant, subject.kmods);
    loadings.set(kernel.id, known);
    return known.get(kmod.name)?.get(arch) ?? { is: 'unknown', gone: false };
  };
  const builds = (kernel: Build, { kmod, arch }: Cell): boolean =>
    compiles(kmod.name, plainNvr(kernel.nvr), arch, tag);
  /** How it really is. */
  const isFine = (kernel: Build, cell: Cell): Is => {
    const loading = cell.aspect === 'compiles' ? undefined : loads(kernel, cell).is;
    if (cell.aspect === 'loads' || loading === 'yes') return loading ?? 'unknown';
    return builds(kernel, cell) ? 'yes' : 'no';
  };
  /** A look comes right after a step: what is over by then was so when the gate decided, whatever became of its clock. */
  const tried = (kernel: Build, { kmod, arch }: Cell, until = Number.POSITIVE_INFINITY): Trial[] =>
    trials
      .of(kmod.source, arch)
      .filter((trial) => trial.kernel === kernel.id && trial.tag === tag && trial.at <= until);
  /** Whether anything on the hub shows that it is so, to anybody who asks. */
  const isShown = (kernel: Build, cell: Cell): boolean => {
    const { aspect } = cell;
    if (aspect === 'loads') return loads(kernel, cell).is !== 'unknown';
    if (aspect === 'either' && loads(kernel, cell).is === 'yes') return true;
    const what = builds(kernel, cell) ? 'fine' : 'own';
    return tried(kernel, cell).some((trial) => trial.what === what);
  };
  const cellsOf = (kmod: Kmod): Cell[] =>
    expectedOf(state, gate, kmod).flatMap((arch) =>
      ASPECTS[gate.strategy].map((aspect) => ({ kmod, arch, aspect })),
    );
  const worth = (kmod: Kmod): Worth => ({
    fine: ({ kernel }) => cellsOf(kmod).every((cell) => isFine(kernel, cell) === 'yes'),
    shown: ({ kernel, kmods }) =>
      kmods.get(kmod.name) === kmod.buildId && cellsOf(kmod).every((cell) => isShown(kernel, cell)),
  });
  const question = { state, clock, gate, kernel: subject.kernel.id, startedAt: subject.startedAt, at };
  const known = new Map<string, References>();
  const references = (kmod: Kmod): References => {
    const found = known.get(kmod.name) ?? referencesFor(passes, question, worth(kmod));
    known.set(kmod.name, found);
    return found;
  };
  return { question, loads, isFine, isShown, tried, cellsOf, references };
}

const of = ({ name, id }: Build): Loader => ({ name, buildId: id });

/** The newest retry that speaks of a kmod: what was built before it need not count any more. */
const retriedAt = ({ orders }: Subject, kmod: Kmod, at: number): number =>
  orders.findLast(
    (order) =>
      order.kind === 'retry' && order.at <= at && (order.kmod === null || matches(order.kmod, kmod.name)),
  )?.at ?? Number.NEGATIVE_INFINITY;

/** A trial that the gate must know when it decides: one of this run, since it was last told to try again. */
function mustKnow({ subject, at }: Case, kmod: Kmod, trial: Trial): boolean {
  const asked = subject.attempts.find(({ id }) => id === trial.attempt);
  return !!asked && asked.at > retriedAt(subject, kmod, at) && trial.at <= at - LOOK;
}

// ---- waivers and holds ------------------------------------------------------------------------------

/** A clock that is set by less than that (ms) is not noted, and persons say things by it. */
const UNNOTED = 10_000;

/**
 * Whether a kmod, or the `stablelist`, is waived at a time. A look may be minutes old: `may` is whether a gate can believe
 * it, `must` whether it cannot believe otherwise.
 */
function isWaived({ subject, gate, at, isNext }: Case, what: string, how: 'may' | 'must'): boolean {
  // One that was given for a draft is for what became of it.
  const names = [subject.kernel.nvr, subject.kernel.promoted?.from ?? subject.kernel.nvr];
  return subject.waivers.some((waiver) => {
    if (!matches(waiver.kmod, what) || (waiver.gate !== null && waiver.gate !== gate.name)) return false;
    const ends = Math.min(
      waiver.ends ?? Number.POSITIVE_INFINITY,
      waiver.ended?.at ?? Number.POSITIVE_INFINITY,
    );
    // Which kernel was the next one is a matter of moments.
    const speaks =
      waiver.kernel === 'next'
        ? how === 'may' && isNext(waiver)
        : names.some((nvr) => matches(waiver.kernel, nvr));
    const [given, over] = how === 'may' ? [at, at - LOOK] : [at - LOOK, at];
    return speaks && waiver.at - UNNOTED <= given && over < ends;
  });
}

/** Since when it is held, by verdicts: a retry begins anew. */
function heldSince({ subject: { orders }, at, before }: Case): number | undefined {
  const retry = orders.findLast((order) => order.kind === 'retry' && order.at <= at)?.at ?? 0;
  const other = before.findLastIndex(({ verdict, at }) => verdict !== 'hold' || at < retry - UNNOTED);
  return before[other + 1]?.at;
}

/** Whether a run's time was over when it was judged or, where that was a hold, held: what is not known then stays so. */
function isLate(one: Case): boolean {
  if (hasLeft(one)) return true;
  const { longest_run } = one.gate.policy;
  const judged = heldSince(one) ?? one.at;
  return longest_run !== null && judged >= startOf(one, judged) + longest_run - LOOK;
}

/** Whether another gate has moved the kernel on: one that only observes judges by what it has then. */
function hasLeft({ gate, state, clock, subject, at }: Case): boolean {
  const tag = state.tags.find(({ name }) => name === gate.watch);
  if (gate.mode !== 'observe' || !tag) return false;
  const stays = listingsIn(state, tag, clock).filter(({ build }) => build.id === subject.kernel.id);
  return !stays.some(({ since, till }) => since <= at && till > at);
}

/** When a run began, or began anew. */
const startOf = ({ subject }: Case, at: number): number =>
  Math.max(
    subject.startedAt,
    subject.orders.findLast((order) => order.kind === 'retry' && order.at <= at)?.at ?? 0,
  );

/** Whether a hold has lasted so long that the policy ends it. The time in which a person held it does not count. */
function isHeldOut(one: Case, end: 'block' | 'promote'): boolean {
  const {
    gate,
    subject: { orders },
    at,
  } = one;
  const { longest_hold, after_hold } = gate.policy;
  const since = heldSince(one);
  if (after_hold !== end || longest_hold === null || since === undefined) return false;
  let [byPerson, from] = [0, undefined as number | undefined];
  for (const order of orders) {
    if (order.at > at) continue;
    if (order.kind === 'hold') from ??= Math.max(since, order.at);
    if (order.kind !== 'release' || from === undefined) continue;
    byPerson += Math.max(0, order.at - from);
    from = undefined;
  }
  return from === undefined && at - since - byPerson >= longest_hold;
}

// ---- the stablelist, and advisory kmods -----------------------------------------------------------------

/**
 * Whether the listed symbols are those of the kernels that may be the baseline. `either`: that depends on which of them it
 * is; `unknown`: rpms that cannot be read may have what is missing.
 */
function promiseIn(one: Case): 'kept' | 'broken' | 'either' | 'unknown' {
  const { gate, files, subject, passes } = one;
  if (gate.stablelist?.effect !== 'block') return 'kept';
  const { symbols } = gate.stablelist;
  const now = exportsOf(files, of(subject.kernel), gate.variant);
  const isKept = (old: Build): Is => {
    const told = [...exportsOf(files, of(old), gate.variant)].flatMap(([arch, before]) => {
      const after = now.get(arch);
      return (symbols[arch] ?? symbols['*'] ?? []).map((symbol): Is => {
        const [then, is] = [before.crcs.get(symbol), after?.crcs.get(symbol)];
        if (then === undefined) return before.whole ? 'yes' : 'unknown';
        if (is === undefined) return after?.whole === false ? 'unknown' : 'no';
        return then === is ? 'yes' : 'no';
      });
    });
    return told.includes('no') ? 'no' : told.includes('unknown') ? 'unknown' : 'yes';
  };
  // Which kernel it is measured by is the gate's choice: the newest of all, the newest that kept it, or the newest that the
  // gate has not blocked: another gate may have let that into the same tag.
  const { question } = truthIn(one);
  const all = { fine: () => true, shown: () => true };
  const kept = { fine: (pass: Pass) => isKept(pass.kernel) === 'yes', shown: () => false };
  const own = { fine: ({ how }: Pass) => how !== 'kept', shown: () => false };
  const found = [all, kept, own].map((worth) => referencesFor(passes, question, worth));
  const answers = new Set(found.flatMap(({ kernels }) => kernels).map(isKept));
  const orNone = found.some((references) => references.orNone);
  if (answers.size === 0 || (answers.size === 1 && answers.has('yes'))) return 'kept';
  if (answers.size > 1 || orNone) return 'either';
  return answers.has('no') ? 'broken' : 'unknown';
}

// ---- P: what passes -------------------------------------------------------------------------------------

/** Why a kernel should not have passed; undefined where it may. */
export function wrongPromotion(one: Case): string | undefined {
  const { gate, subject } = one;
  const { policy } = gate;
  const truth = truthIn(one);
  const heldOut = isHeldOut(one, 'promote');
  const may = {
    inconclusive: policy.inconclusive === 'pass' || heldOut,
    unattributed: policy.unattributed === 'pass' || heldOut,
  };
  const required = subject.kmods.filter((kmod) => kmod.required);
  const promise = promiseIn(one);
  const wrong = heldOut ? ['broken'] : ['broken', 'unknown'];
  if (wrong.includes(promise) && !isWaived(one, 'stablelist', 'may'))
    return promise === 'broken'
      ? 'P: it breaks the stablelist'
      : 'H: nothing can show that it keeps the stablelist';
  for (const kmod of required) {
    if (isWaived(one, kmod.name, 'may')) continue;
    const cells = truth.cellsOf(kmod);
    const wrong = cells.flatMap((cell) => wrongCell(one, truth, cell, may) ?? []);
    // A kmod is as its worst cell is, and unattributed is worse than inconclusive: what the one may, both may.
    const excused = may.unattributed && cells.some((cell) => isUnattributed(one, truth, cell));
    const first = wrong.find((text) => !excused || !text.startsWith('H'));
    if (first) return first;
  }
  const proven = required.some(
    (kmod) =>
      isWaived(one, kmod.name, 'may') ||
      archesIn(truth.cellsOf(kmod)).some((cells) =>
        cells.every(
          (cell) => truth.isFine(subject.kernel, cell) === 'yes' && truth.isShown(subject.kernel, cell),
        ),
      ),
  );
  if (!proven) return 'P: no required kmod was really tried and fine';
  const advisory = subject.kmods.filter((kmod) => !kmod.required && isSurelyBroken(one, truth, kmod)).length;
  if (policy.advisory_limit !== null && advisory > policy.advisory_limit)
    return `P: it newly breaks ${advisory} advisory kmods`;
  return undefined;
}

type Truth = ReturnType<typeof truthIn>;

const archesIn = (cells: readonly Cell[]): Cell[][] =>
  [...new Set(cells.map(({ arch }) => arch))].map((arch) => cells.filter((cell) => cell.arch === arch));

/** Whether an architecture on which a kmod is not fine, or on which nothing shows that it is, keeps a kernel back. */
function wrongCell(
  one: Case,
  truth: Truth,
  cell: Cell,
  may: Readonly<Record<'inconclusive' | 'unattributed', boolean>>,
): string | undefined {
  const { subject } = one;
  const { kernel } = subject;
  const where = `${cell.kmod.nvr} on ${cell.arch}`;
  const shown = truth.isShown(kernel, cell);
  const is = truth.isFine(kernel, cell);
  if (is === 'yes') return shown || may.inconclusive ? undefined : `H: nothing showed that ${where} is fine`;
  if (is === 'unknown') return may.inconclusive ? undefined : `H: nothing can show that ${where} loads`;
  const { kernels, orNone } = truth.references(cell.kmod);
  const before = kernels.map((reference) => ({ reference, is: truth.isFine(reference, cell) }));
  const [first] = before;
  const known = isKnownBad(one, truth, cell);
  // What no trial of its own has shown is inconclusive to the gate, whatever the truth is.
  if (!known && may.inconclusive) return undefined;
  if (orNone && may.unattributed) return undefined;
  if (!first) return may.unattributed ? undefined : `P: ${where} is broken, and nothing tells since when`;
  if (before.every(({ is }) => is === 'yes')) {
    const seen = before.every(({ reference }) => isKnownFine(one, truth, reference, cell));
    if (may.unattributed && !seen) return undefined;
    return `P: it newly breaks ${where}, fine with ${first.reference.nvr}`;
  }
  if (!shown) return `H: nothing showed that ${where} is broken already`;
  const already = before.some(({ reference, is }) => is === 'no' && truth.isShown(reference, cell));
  if (already || may.unattributed) return undefined;
  return `H: nothing showed that ${where} is broken with ${first.reference.nvr} too`;
}

/** Whether a gate may say that nothing shows since when it is broken. */
function isUnattributed(one: Case, truth: Truth, cell: Cell): boolean {
  const { kernels, orNone } = truth.references(cell.kmod);
  const unknown = orNone || kernels.length === 0 || kernels.some((of) => !truth.isShown(of, cell));
  return unknown && truth.isFine(one.subject.kernel, cell) === 'no';
}

/** Whether the gate cannot but know that it is broken with the kernel under test. */
function isKnownBad(one: Case, truth: Truth, cell: Cell): boolean {
  const { kernel } = one.subject;
  // Symbols tell at once, but that a hub can keep them from the gate until its time is over.
  if (cell.aspect === 'loads') {
    // All that it needs is gone: that may be another kernel than it was made for, unless it loads into one before.
    const { kernels, orNone } = truth.references(cell.kmod);
    const was = !orNone && kernels.length > 0 && kernels.every((of) => truth.loads(of, cell).is === 'yes');
    return (!truth.loads(kernel, cell).gone || was) && !isLate(one);
  }
  return truth.tried(kernel, cell).some((trial) => trial.what === 'own' && mustKnow(one, cell.kmod, trial));
}

/** Whether the gate cannot but know that it was fine with another: from builds that are no older than evidence may be. */
function isKnownFine(one: Case, truth: Truth, reference: Build, cell: Cell): boolean {
  if (cell.aspect === 'loads') return true;
  if (cell.aspect === 'either' && truth.loads(reference, cell).is === 'yes') return true;
  const { evidence_age: age } = one.gate.policy as { readonly evidence_age?: number };
  return truth
    .tried(reference, cell, one.at - LOOK)
    .some(({ what, at }) => what === 'fine' && (age === undefined || at > one.at - age));
}

const isSurelyBroken = (one: Case, truth: Truth, kmod: Kmod): boolean =>
  !isWaived(one, kmod.name, 'may') &&
  truth.cellsOf(kmod).some((cell) => {
    const { kernels, orNone } = truth.references(kmod);
    return (
      truth.isFine(one.subject.kernel, cell) === 'no' &&
      isKnownBad(one, truth, cell) &&
      !orNone &&
      kernels.length > 0 &&
      kernels.every((of) => truth.isFine(of, cell) === 'yes' && isKnownFine(one, truth, of, cell))
    );
  });

// ---- B: what is blocked -----------------------------------------------------------------------------------

/** Why a kernel should not have been blocked; undefined where it may be. */
export function wrongBlock(one: Case): string | undefined {
  const { gate, subject } = one;
  const { policy } = gate;
  const truth = truthIn(one);
  const promise = isWaived(one, 'stablelist', 'must') ? 'kept' : promiseIn(one);
  if (promise === 'broken' || promise === 'either') return undefined;
  const required = subject.kmods.filter((kmod) => kmod.required && !isWaived(one, kmod.name, 'must'));
  const cells = required.flatMap(truth.cellsOf);
  const reasons = cells.map((cell) => mayBlame(one, truth, cell));
  if (reasons.includes('yes')) return undefined;
  if (policy.unattributed === 'block' && reasons.includes('unattributed')) return undefined;
  const { advisory_limit } = policy;
  const advisory = subject.kmods.filter(
    (kmod) =>
      !kmod.required &&
      !isWaived(one, kmod.name, 'must') &&
      truth.cellsOf(kmod).some((cell) => mayBlame(one, truth, cell) !== 'no'),
  );
  if (advisory_limit !== null && advisory.length > advisory_limit) return undefined;
  const unclear = cells.filter((cell) => !isKnownGood(one, truth, cell));
  if (policy.inconclusive === 'block' && unclear.some((cell) => !hasTries(one, truth, cell)))
    return undefined;
  // The end of a hold promotes nothing of which nothing was tried and fine.
  const isProven = required
    .flatMap((kmod) => archesIn(truth.cellsOf(kmod)))
    .some((some) => some.every((cell) => isKnownGood(one, truth, cell)));
  if (isHeldOut(one, 'promote') && !isProven) return undefined;
  // Where all is waived, or nothing is required, nothing was proven, and that holds.
  const untold = promise === 'unknown' || unclear.length > 0 || cells.length === 0;
  if (isHeldOut(one, 'block') && untold) return undefined;
  const [some] = unclear;
  const why = some ? `; nothing shows how ${some.kmod.nvr} is on ${some.arch}` : '';
  return `${some ? 'H' : 'B'}: it newly breaks none of ${required.map(({ nvr }) => nvr).join(', ') || 'nothing'}${why}`;
}

/** Whether a kernel may be blamed for a kmod: it is broken, and was not so before, or nothing could show that it was. */
function mayBlame(one: Case, truth: Truth, cell: Cell): 'yes' | 'unattributed' | 'no' {
  if (truth.isFine(one.subject.kernel, cell) !== 'no') return 'no';
  const { kernels, orNone } = truth.references(cell.kmod);
  const before = kernels.map((build) => ({ build, is: truth.isFine(build, cell) }));
  if (before.some(({ is }) => is === 'yes')) return 'yes';
  // A kmod that was broken elsewhere in the kernel that passed last may have been fine here.
  const { gate, subject, at } = one;
  const last = one.passes.findLast(
    (pass) =>
      pass.gate === gate.name && pass.how !== 'kept' && pass.kernel.id !== subject.kernel.id && pass.at <= at,
  );
  if (last && truth.isFine(last.kernel, cell) === 'yes') return 'yes';
  if (orNone || before.every(({ is }) => is === 'unknown')) return 'unattributed';
  // It was broken before. The symbols tell that at once, and in side tags a build does, if any can be made.
  const couldShow =
    cell.aspect === 'loads' || before.some(({ build }) => isSurelyBadBefore(one, truth, build, cell));
  if (couldShow) return 'no';
  const { build } = one.gate;
  const vain = one.subject.attempts.some(
    ({ source, against }) => source === cell.kmod.source && against !== null,
  );
  return build?.repo === 'sidetag' && !isLate(one) && !vain ? 'no' : 'unattributed';
}

/** A build of this run has shown that it was broken with a kernel before. */
const isSurelyBadBefore = (one: Case, truth: Truth, build: Build, cell: Cell): boolean =>
  truth.tried(build, cell).some((trial) => trial.what === 'own' && mustKnow(one, cell.kmod, trial));

/** Whether the gate cannot but know that it is fine. */
function isKnownGood(one: Case, truth: Truth, cell: Cell): boolean {
  const { kernel } = one.subject;
  if (truth.isFine(kernel, cell) !== 'yes') return false;
  if (cell.aspect === 'loads' || (cell.aspect === 'either' && truth.loads(kernel, cell).is === 'yes'))
    return !isLate(one);
  return truth.tried(kernel, cell).some((trial) => trial.what === 'fine' && mustKnow(one, cell.kmod, trial));
}

// ---- H: what is held ----------------------------------------------------------------------------------------

/**
 * Whether trouble in the build system has left tries of a kmod: then it may end in nothing yet. Judged only where nothing
 * else can have used them up: the caps of run and day are wide, the run's time is not over, and nobody cancelled.
 */
function hasTries(one: Case, truth: Truth, { kmod, arch, aspect }: Cell): boolean {
  const { gate, subject, at } = one;
  const { retries } = gate.policy;
  if (aspect === 'loads' || retries.run < 50 || retries.day < 200) return false;
  if (isLate(one)) return false;
  const since = retriedAt(subject, kmod, at);
  const own = subject.attempts.filter(
    ({ source, against, at: asked }) =>
      source === kmod.source && against === null && asked > since && asked <= at,
  );
  const tried = truth.tried(subject.kernel, { kmod, arch, aspect });
  const last = one.trials.of(kmod.source, arch).findLast(({ attempt }) => attempt === own.at(-1)?.id);
  if (last?.what !== 'trouble' || tried.some(({ what }) => what === 'fine')) return false;
  return own.length <= retries.kmod;
}
