/**
 * What the hub in memory really holds, and what a gate may conclude from it. Told anew here, with nothing of the gate's
 * own judgement, so that a mistake there is not made twice.
 */
import type {
  ArchSymbols,
  Attempt,
  Gate,
  Intent,
  KernelRef,
  Kmod,
  Run,
  Waiver,
} from '../../src/core/model.ts';
import {
  type Build,
  type Buildroot,
  type Dep,
  eventTime,
  type Listing,
  matches,
  type Rpm,
  type State,
  TASK,
  type Tag,
  type Task,
  tagById,
} from '../../src/sim/state.ts';
import { packageStatus, taggedBuilds } from '../../src/sim/tags.ts';

/** Of one kmod, from best to worst. */
const WORSE = ['ok', 'already broken', 'inconclusive', 'unattributed', 'broken'] as const;
export type Outcome = (typeof WORSE)[number];

/** A look may be so old when the gate acts on it: its calls take time. In ms. */
const LOOK = 5 * 60_000;

// ---- symbols --------------------------------------------------------------------------------------

type Answer = ArchSymbols['answer'];
interface Symbol {
  readonly name: string;
  readonly crc: number;
  /** Of a kmod's rpm: whether it asks the kernel for it. */
  readonly kernel: boolean;
}

/** `kernel(SYM) = 0xCRC` and `ksym(SYM) = 0xCRC`. */
function symbolsIn(deps: readonly Dep[]): Symbol[] {
  return deps.flatMap(({ name, version, flags }) => {
    const found = /^(kernel|ksym)\(([^()]+)\)$/.exec(name);
    if (!found?.[2] || (flags & 14) !== 8) return [];
    return [{ name: found[2], crc: Number(version), kernel: found[1] === 'kernel' }];
  });
}

const rpmsOf = ({ rpms }: State, build: number): Rpm[] =>
  rpms.filter(({ build_id, arch }) => build_id === build && arch !== 'src');

/** What a kernel exports, by architecture. */
function exportsOf(state: State, build: number, prefix: string): Map<string, Map<string, number>> {
  const parts = new Set(['', '-core', '-modules', '-modules-core', '-modules-extra'].map((p) => prefix + p));
  const tables = new Map<string, Map<string, number>>();
  for (const { name, arch, provides } of rpmsOf(state, build)) {
    if (!parts.has(name)) continue;
    const table = tables.get(arch) ?? new Map<string, number>();
    for (const symbol of symbolsIn(provides)) table.set(symbol.name, symbol.crc);
    tables.set(arch, table);
  }
  return tables;
}

const prefixOf = ({ variant }: Gate, name: string): string => (variant === '' ? name : `${name}-${variant}`);

/** Of one architecture; `other`: none of the kmod's rpms is for this variant of the kernel. */
interface ArchAnswer {
  readonly answer: Answer;
  readonly other: boolean;
  readonly needs: number;
}

/** How the kmods of a run load into a kernel together: by name and architecture. */
function loading(state: State, gate: Gate, run: Run, build: number): Map<string, Map<string, ArchAnswer>> {
  const tables = exportsOf(state, build, prefixOf(gate, run.kernel.name));
  const all = run.kmods.map((kmod) => ({ kmod, rpms: rpmsOf(state, kmod.buildId) }));
  const found = new Map<string, Map<string, ArchAnswer>>(run.kmods.map(({ name }) => [name, new Map()]));
  for (const arch of new Set(all.flatMap(({ rpms }) => rpms.map((rpm) => rpm.arch)))) {
    const sides = all.flatMap(({ kmod, rpms }) => {
      const here = rpms.filter((rpm) => rpm.arch === arch);
      return here.length > 0 ? [sideOf(gate, kmod, here)] : [];
    });
    for (const [name, answer] of answersOn(tables.get(arch), sides)) found.get(name)?.set(arch, answer);
  }
  return found;
}

interface Side {
  readonly name: string;
  readonly other: boolean;
  readonly needs: readonly Symbol[];
  readonly offers: readonly Symbol[];
}

/** The rpm of a kmod named like its package is for the plain kernel where there is one more for each variant. */
function sideOf({ variant }: Gate, { name }: Kmod, rpms: readonly Rpm[]): Side {
  const fit = rpms.filter((rpm) => rpms.length === 1 || rpm.name === (variant ? `${name}-${variant}` : name));
  return {
    name,
    other: fit.length === 0,
    needs: fit.flatMap(({ requires }) => symbolsIn(requires)),
    offers: fit.flatMap(({ provides }) => symbolsIn(provides)),
  };
}

function answersOn(table: Map<string, number> | undefined, sides: readonly Side[]): Map<string, ArchAnswer> {
  const offered = (of: readonly Symbol[], need: Symbol) => of.filter(({ name }) => name === need.name);
  const near = (side: Side, need: Symbol) => [
    ...(table?.has(need.name) ? [table.get(need.name)] : []),
    ...offered(side.offers, need).map(({ crc }) => crc),
  ];
  const givers = (side: Side, need: Symbol) =>
    sides.filter((other) => other !== side && offered(other.offers, need).length > 0);
  const fitting = (side: Side, need: Symbol) =>
    givers(side, need).filter(({ offers }) => offered(offers, need).some(({ crc }) => crc === need.crc));
  const answer = (side: Side): Answer => {
    const kernel = side.needs.filter((need) => need.kernel);
    const gone = side.needs.filter(
      (need) => near(side, need).length === 0 && givers(side, need).length === 0,
    );
    const other = side.needs.filter(
      (need) =>
        !gone.includes(need) && !near(side, need).includes(need.crc) && fitting(side, need).length === 0,
    );
    const lost = gone.filter((need) => need.kernel).length;
    if (side.other || !table?.size || kernel.length === 0 || lost === kernel.length) return 'inconclusive';
    if (gone.length + other.length === 0) return 'compatible';
    return other.length === 0 && lost === 0 ? 'inconclusive' : 'incompatible';
  };
  const found = new Map(sides.map((side) => [side.name, answer(side)]));
  // What needs a kmod that does not load does not load either.
  for (let before = -1; before !== count(found); ) {
    before = count(found);
    for (const side of sides.filter(({ name }) => found.get(name) === 'compatible')) {
      const stranded = side.needs.some(
        (need) =>
          !near(side, need).includes(need.crc) &&
          fitting(side, need).every(({ name }) => found.get(name) === 'incompatible'),
      );
      if (stranded) found.set(side.name, 'incompatible');
    }
  }
  return new Map(
    sides.map(({ name, other, needs }) => {
      return [name, { answer: found.get(name) ?? 'inconclusive', other, needs: needs.length }];
    }),
  );
}

const count = (answers: ReadonlyMap<string, Answer>): number =>
  [...answers.values()].filter((answer) => answer === 'incompatible').length;

/** The architectures that count: where the kmod is tried, and is for this variant, and says anything at all. */
function counted({ arches }: Kmod, answers: ReadonlyMap<string, ArchAnswer>): [string, ArchAnswer][] {
  const tried = [...answers].filter(([arch]) => !arches || arches.includes(arch));
  const own = tried.filter(([, { other }]) => !other);
  if (own.length === 0) return tried;
  return own.every(([, { needs }]) => needs === 0) ? [] : own;
}

/** How a kmod loads into the kernel and the baseline, by architecture. */
export interface Loads {
  readonly arch: string;
  readonly answer: Answer;
  readonly before: Answer | undefined;
}

/** How each kmod of a run loads, by its name. */
export function loadsOf(state: State, gate: Gate, run: Run): Map<string, Loads[]> {
  const now = loading(state, gate, run, run.kernel.id);
  const { baseline, kernel } = run;
  // A kernel is no baseline of its own; and files of old ones may be gone.
  const known = baseline && baseline.id !== kernel.id && !run.symbols?.change?.unreadable;
  const then = known ? loading(state, gate, run, baseline.id) : undefined;
  return new Map(
    run.kmods.map((kmod) => [
      kmod.name,
      counted(kmod, now.get(kmod.name) ?? new Map()).map(([arch, { answer }]) => ({
        arch,
        answer,
        before: then?.get(kmod.name)?.get(arch)?.answer,
      })),
    ]),
  );
}

function bySymbols(loads: readonly Loads[]): Outcome {
  const bad = loads.filter(({ answer }) => answer === 'incompatible');
  if (bad.some(({ before }) => before === 'compatible')) return 'broken';
  if (bad.some(({ before }) => before !== 'incompatible')) return 'unattributed';
  if (bad.length > 0) return 'already broken';
  return loads.length > 0 && loads.every(({ answer }) => answer === 'compatible') ? 'ok' : 'inconclusive';
}

/** What became of the promise to keep the listed symbols since the baseline. */
function promiseOf(state: State, gate: Gate, { kernel, baseline }: Run): 'kept' | 'broken' | 'unclear' {
  if (gate.stablelist?.effect !== 'block' || !baseline) return 'kept';
  const { symbols } = gate.stablelist;
  const prefix = prefixOf(gate, kernel.name);
  const [old, now] = [exportsOf(state, baseline.id, prefix), exportsOf(state, kernel.id, prefix)];
  let unclear = false;
  for (const arch of new Set([...old.keys(), ...now.keys()])) {
    const listed = symbols[arch] ?? symbols['*'];
    unclear ||= !listed;
    for (const symbol of listed ?? []) {
      const before = old.get(arch)?.get(symbol);
      if (before !== undefined && before !== now.get(arch)?.get(symbol)) return 'broken';
    }
  }
  return unclear ? 'unclear' : 'kept';
}

// ---- builds ---------------------------------------------------------------------------------------

/** The `buildArch` tasks of a build, and their last build roots. */
export function archesOf(state: State, build: Task): { task: Task; root: Buildroot | undefined }[] {
  return state.tasks
    .filter(({ parent, method }) => parent === build.id && method === 'buildArch')
    .map((task) => ({ task, root: state.buildroots.findLast(({ task_id }) => task_id === task.id) }));
}

/** Ids of the kernel builds whose devel packages a build root held. */
export const develIn = ({ rpms }: Buildroot, name: string): number[] =>
  rpms
    .filter((rpm) => rpm.name.startsWith(name) && /-devel(-matched)?$/.test(rpm.name))
    .map(({ build_id }) => build_id ?? 0);

/** The kernel that whoever asks a build root's repo for one is given. */
export function newestIn(state: State, { repo_id, tag_id }: Buildroot, name: string): Build | undefined {
  const event = state.repos[repo_id - 1]?.create_event ?? null;
  const query = { event, inherit: true, package: name, latest: 1 };
  return taggedBuilds(state, tagById(state, tag_id), query)[0]?.build;
}

interface Shown {
  readonly what: 'ok' | 'broken' | 'nothing';
  /** Architectures on which it shows that the kmod builds, or that it does not. */
  readonly fine: readonly string[];
  readonly bad: readonly string[];
}

/** What a build shows of a kernel; nothing, where it was not built against that one. */
function shownBy(state: State, { policy }: Gate, build: Task, kernel: KernelRef, name: string): Shown {
  const arches = archesOf(state, build);
  const against = (root: Buildroot | undefined): boolean => {
    if (root && develIn(root, name).includes(kernel.id)) return true;
    if (root && root.rpms.length > 0) return false;
    const newest = root && newestIn(state, root, name);
    if (newest && newest.id !== kernel.id) return false;
    return policy.proof === 'any' || (policy.proof === 'repo' && newest !== undefined);
  };
  if (build.state === TASK.CANCELED || arches.length === 0) return { what: 'nothing', fine: [], bad: [] };
  const failed = arches.some(({ task }) => task.state === TASK.FAILED);
  const counted = arches.filter(({ task }) => !failed || task.state !== TASK.CANCELED);
  const results = counted.map(({ task, root }): Shown['what'] => {
    if (task.state === TASK.CLOSED) return against(root) ? 'ok' : 'nothing';
    if (task.state !== TASK.FAILED) return 'nothing';
    const why = faultOf(task);
    if (why === 'dependency') {
      const newest = root && newestIn(state, root, name);
      return !newest || newest.id === kernel.id ? 'broken' : 'nothing';
    }
    return why === 'source' && against(root) ? 'broken' : 'nothing';
  });
  const of = (what: Shown['what']) =>
    counted.filter((_, i) => results[i] === what).map(({ task }) => task.label ?? task.arch);
  const shown = { fine: of('ok'), bad: of('broken') };
  if (shown.bad.length > 0) return { ...shown, what: 'broken' };
  const ok = build.state === TASK.CLOSED && !results.includes('nothing');
  return { ...shown, what: ok ? 'ok' : 'nothing' };
}

const MACHINE = /No space left on device|Cannot allocate memory|[Oo]ut of memory|\bKilled\b/;
const SOURCE = /\.[chS]:\d+(?::\d+)?: (?:fatal )?error: |ERROR: modpost|undefined reference/;

/** Whose the failure of a `buildArch` is, by its logs; a kernel that is pinned and not there is nobody's. */
function faultOf({ files, result }: Task): 'source' | 'dependency' | 'nobody' {
  const text = result && 'fault' in result ? result.fault.text : '';
  const log = (name: string) => files.get(name)?.content ?? '';
  const wanted = /No matching package to install: '(.+?)'/.exec(log('root.log'))?.[1];
  if (wanted && !log('build.log')) return /^kernel\S*-devel\S* *=/.test(wanted) ? 'nobody' : 'dependency';
  if (MACHINE.test(log('build.log'))) return 'nobody';
  return SOURCE.test(log('build.log')) || /mock exited with status 10\b/.test(text) ? 'source' : 'nobody';
}

/** An attempt's `build` task on the hub. */
export const taskOf = ({ tasks }: State, { receipt }: Intent): Task | undefined =>
  receipt?.task === undefined ? undefined : tasks[receipt.task - 1];

const isAttempt = (intent: Intent): intent is Attempt => intent.write.kind === 'scratch-build';

/** What attempts show of the run's kernel, and whether what is broken was so before it. */
function byRebuild(
  state: State,
  gate: Gate,
  run: Run,
  { name }: Kmod,
  attempts: readonly Attempt[],
  loads: readonly Loads[],
): Outcome {
  const { kernel, baseline } = run;
  const show = (attempt: Attempt | undefined, of: KernelRef): Shown | undefined => {
    const task = attempt && taskOf(state, attempt);
    return task && shownBy(state, gate, task, of, kernel.name);
  };
  const own = show(
    attempts.findLast(({ write }) => !write.against),
    kernel,
  );
  if (!own || own.what === 'nothing') return 'inconclusive';
  if (own.what === 'ok') return 'ok';
  if (!baseline || baseline.id === kernel.id) return 'unattributed';
  if (loads.length > 0 && loads.every(({ before }) => before === 'compatible')) return 'broken';
  const past = run.past
    .filter(({ buildId }) => run.kmods.some((kmod) => kmod.name === name && kmod.buildId === buildId))
    .map(({ build }) => state.tasks[(state.tasks[(build.arches[0]?.task ?? 0) - 1]?.parent ?? 0) - 1])
    .flatMap((task) => (task ? [shownBy(state, gate, task, baseline, kernel.name)] : []))
    .find(({ what }) => what !== 'nothing');
  const last = attempts.findLast(({ write }) => write.against?.id === baseline.id);
  const there = past ?? show(last, baseline);
  if (!there || there.what === 'nothing') return 'unattributed';
  const newly = own.bad.some((arch) => there.fine.includes(arch));
  return there.what === 'ok' || newly ? 'broken' : 'already broken';
}

// ---- the verdict ------------------------------------------------------------------------------------

/** Outcomes that may be said of a kmod at a time: one, and that nothing can be said where the run's time is over. */
function outcomesOf(
  state: State,
  gate: Gate,
  run: Run,
  kmod: Kmod,
  at: number,
  loads: readonly Loads[],
): Outcome[] {
  const ended = run.intents
    .filter(isAttempt)
    .filter(({ write, ending }) => write.kmod === kmod.name && write.source === kmod.source && ending)
    .filter(({ ending }) => ending && ending.at <= at && ending.how !== 'lost');
  const shown = bySymbols(loads);
  const judge = (attempts: readonly Attempt[]): { outcome: Outcome; built: boolean } => {
    const spared = run.strategy === 'symbols-then-rebuild' && shown === 'ok';
    if (run.strategy === 'symbols' || spared) return { outcome: shown, built: true };
    const symbols = run.strategy === 'rebuild' ? [] : loads;
    const built = byRebuild(state, gate, run, kmod, attempts, symbols);
    const worst = WORSE.indexOf(shown) > WORSE.indexOf(built) ? shown : built;
    return {
      outcome: run.strategy === 'symbols-and-rebuild' ? worst : built,
      built: built !== 'inconclusive' && built !== 'unattributed',
    };
  };
  let since = Number.NEGATIVE_INFINITY;
  const retries = run.orders.filter((order) => order.kind === 'retry' && order.at <= at);
  for (const order of retries) {
    const old = ended.filter(({ ending }) => ending && ending.at <= order.at);
    const named = order.kmod !== null && matches(order.kmod, kmod.name);
    if (named || (order.kmod === null && judge(old).outcome !== 'ok')) since = order.at;
  }
  const { outcome, built } = judge(ended.filter(({ ending }) => ending && ending.at > since));
  const begun = Math.max(run.startedAt, retries.at(-1)?.at ?? 0);
  const late = gate.policy.longest_run !== null && begun + gate.policy.longest_run <= at;
  return late && !built ? [outcome, 'inconclusive'] : [outcome];
}

/** A waiver for a kmod, or the `stablelist`, that speaks of the run at a time. */
function waives(run: Run, waiver: Waiver, what: string, at: number, isNext: (waiver: Waiver) => boolean) {
  const { gate, kernel, kmod, until, ended } = waiver;
  return (
    matches(kmod, what) &&
    waiver.at <= at &&
    (until === null || at - LOOK < until) &&
    (!ended || at - LOOK < ended.at) &&
    (gate === null || gate === run.gate) &&
    (kernel === 'next' ? isNext(waiver) : matches(kernel, run.kernel.nvr))
  );
}

/**
 * The verdict that the truth allows at a time, and why it is no better.
 * @param isNext whether a waiver for the next kernel is one for the run's
 */
export function allowed(
  state: State,
  gate: Gate,
  run: Run,
  at: number,
  isNext: (waiver: Waiver) => boolean,
): { verdict: 'promote' | 'hold' | 'block'; why: string } {
  const { policy } = gate;
  const waived = (what: string) => run.waivers.some((waiver) => waives(run, waiver, what, at, isNext));
  const loads = loadsOf(state, gate, run);
  const kmods = run.kmods.map((kmod) => ({
    kmod,
    outcomes: outcomesOf(state, gate, run, kmod, at, loads.get(kmod.name) ?? []),
    waived: waived(kmod.name),
  }));
  const effects = kmods
    .filter(({ kmod, waived }) => kmod.required && !waived)
    .map(({ kmod, outcomes }) => {
      const all = outcomes.map((outcome) => {
        if (outcome === 'ok' || outcome === 'already broken') return 'pass';
        return outcome === 'broken' ? 'block' : policy[outcome];
      });
      const effect = all.includes('pass') ? 'pass' : all.includes('hold') ? 'hold' : 'block';
      return { effect, why: `${kmod.nvr} is ${outcomes.join(' or ')}` };
    });
  const promise = waived('stablelist') ? 'kept' : promiseOf(state, gate, run);
  const advisory = kmods.filter(
    ({ kmod, outcomes, waived }) => !kmod.required && !waived && outcomes.every((of) => of === 'broken'),
  ).length;
  const bad = effects.find(({ effect }) => effect === 'block');
  if (bad) return { verdict: 'block', why: bad.why };
  if (promise === 'broken') return { verdict: 'block', why: 'the stablelist is broken' };
  if (policy.advisory_limit !== null && advisory > policy.advisory_limit)
    return { verdict: 'block', why: `${advisory} advisory kmods are broken` };
  const unclear = effects.find(({ effect }) => effect === 'hold');
  if (unclear) return { verdict: 'hold', why: unclear.why };
  if (promise === 'unclear') return { verdict: 'hold', why: 'the stablelist has none for an architecture' };
  if (!kmods.some(({ outcomes, waived }) => waived || outcomes[0] !== 'inconclusive'))
    return { verdict: 'hold', why: 'no kmod is proven or waived' };
  return { verdict: 'promote', why: 'all is well' };
}

// ---- which kmods --------------------------------------------------------------------------------------

/** What is wrong with the kmods that a run chose: one that stood there is left out, or one did not stand there. */
export function wrongChoice(state: State, gate: Gate, run: Run, clock: Clock): string | undefined {
  const tag = state.tags.find(({ name }) => name === gate.kmods.tag);
  if (!tag) return undefined;
  const [from, to] = [run.chosenAt - LOOK, run.chosenAt];
  const all = listingsIn(state, tag, clock).filter(({ build }) => isChosen(state, gate, tag, build));
  // What the world began with was there all the time.
  const begin = Math.max(from, clock(state.events[0]?.time ?? 0));
  const stood = all.filter(({ since, till }) => since <= begin && till > to);
  const missing = stood.find(({ build }) => !run.kmods.some(({ name }) => name === build.name));
  if (missing) return `${missing.build.nvr} stands in ${tag.name} and is not tried`;
  for (const kmod of run.kmods) {
    const listed = all.findLast(
      ({ build, since, till }) => build.id === kmod.buildId && since <= to && till >= from,
    );
    if (!listed) return `${kmod.nvr} is tried and does not stand in ${tag.name}`;
    const newer = stood.find(
      ({ build, listing }) => build.name === kmod.name && listing.create_event > listed.listing.create_event,
    );
    if (newer) return `${kmod.nvr} is tried in place of ${newer.build.nvr}`;
    if (kmod.required === gate.kmods.advisory.some((pattern) => matches(pattern, kmod.name)))
      return `${kmod.nvr} is ${kmod.required ? 'advisory and' : 'required, but not'} taken as required`;
  }
  return undefined;
}

function isChosen(state: State, { kernels, kmods }: Gate, tag: Tag, { name }: Build): boolean {
  const among = (patterns: readonly string[]) => patterns.some((pattern) => matches(pattern, name));
  if (kernels.includes(name) || packageStatus(state, tag, name) !== 'listed') return false;
  return among(kmods.include) && !among(kmods.exclude);
}

/** What the gate's clock shows at a time of the hub's. */
type Clock = (at: number) => number;

interface Stay {
  readonly listing: Listing;
  readonly build: Build;
  readonly since: number;
  readonly till: number;
}

/** All stays in a tag, oldest first, with their times as the gate's clock shows them. */
export function listingsIn(state: State, tag: Tag, clock: Clock): Stay[] {
  return state.listings
    .filter(({ tag_id }) => tag_id === tag.id)
    .flatMap((listing) => {
      const build = state.builds[listing.build_id - 1];
      const { create_event, revoke_event } = listing;
      const till = revoke_event === null ? Number.POSITIVE_INFINITY : clock(eventTime(state, revoke_event));
      return build ? [{ listing, build, since: clock(eventTime(state, create_event)), till }] : [];
    });
}
