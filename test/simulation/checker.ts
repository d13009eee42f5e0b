/**
 * Holds a gate to what it promises (DESIGN.md, "What is always true"), from what the hub in memory really holds and what
 * the store recorded. It looks at what is new since its last look, and knows nothing of the code that it checks.
 */
import type { Entry, Gate, Intent, Run, Waiver, Write } from '../../src/core/model.ts';
import { compareEvr } from '../../src/core/names.ts';
import { type Build, eventTime, type Listing, type State, type Tag, type Task } from '../../src/sim/state.ts';
import type { Claimed } from './claims.ts';
import { READABLE, type Unreadable } from './draw.ts';
import { checkEvidence, checkSymbols } from './evidence.ts';
import { type Hub, isTouched, movedByHand, wasEverIn } from './hands.ts';
import { LOOK, listingsIn, wrongChoice } from './held.ts';
import type { Pass } from './passed.ts';
import { createTrials } from './trials.ts';
import { checkTries, type OwnBuild } from './tries.ts';
import { type Compiles, truthOf } from './truth.ts';
import { type Said, subjectOf, wrongBlock, wrongPromotion } from './verdicts.ts';

/** What there is to see. */
export interface View {
  readonly state: State;
  /** All runs; those that a new line of the journal names will do, the others are remembered. */
  readonly runs: readonly Run[];
  /** All lines so far, in the order in which they were recorded. */
  readonly journal: readonly Entry[];
  readonly now: number;
  /** What the gate's clock shows at a time of the hub's; as long as nobody sets it, the same. */
  readonly clock?: (at: number) => number;
}

export interface Violation {
  /** 1 to 9, as DESIGN.md counts. */
  readonly promise: number;
  readonly text: string;
}

export interface Setting {
  /** As they are configured now. What was recorded before the last look was so with those of then. */
  readonly gates: () => readonly Gate[];
  /** Name of the hub's user that the gate is. */
  readonly gateUser: string;
  /** What the hub can never give; by default it gives all. */
  readonly unreadable?: Unreadable;
  /** Id of the store. */
  readonly installation: () => string;
  /** Other instances with the same user; by default there are none. */
  readonly others?: Others;
}

/** What other instances of the program have done on the same hub, as the same user. */
export interface Others {
  /** Whether a task, a tag or a request for a repo came of what one of them asked for. */
  made(what: Claimed, id: number): boolean;
  /** Names of the tags that are theirs to change. */
  tags(): ReadonlySet<string>;
  /** Ids of what side tags of theirs this one has removed. */
  removed(): readonly number[];
}

const ALONE: Others = { made: () => false, tags: () => new Set(), removed: () => [] };

export interface Checker {
  /** What is newly broken. Costs as much as there is new. */
  check(view: View): Violation[];
  /** The same, and what must hold once faults have stopped and everything had time to end. */
  final(view: View): Violation[];
}

type Say = (promise: number, text: string) => void;
type TagWrite = Intent<Extract<Write, { kind: 'tag' | 'untag' }>>;

const HOUR = 3_600_000;

export function createChecker({
  gates,
  gateUser,
  installation,
  unreadable = READABLE,
  others = ALONE,
}: Setting): Checker {
  const runs = new Map<string, Run>();
  /** Runs as they were before they were last given. */
  const earlier = new Map<string, Run>();
  const intents = new Map<string, { run: Run; intent: Intent }>();
  const ended = new Set<string>();
  const verdicts = new Map<string, Said[]>();
  const said = new Map<string, string>();
  const seen = { journal: 0, listings: 0, tasks: 0, tags: 0, requests: 0, removed: 0 };
  const open = new Set<Listing>();
  const builds: OwnBuild[] = [];
  const attempts = new Map<string, Task>();
  const passes: Pass[] = [];
  /** What is judged once all that is new is taken in. */
  const judgements: (() => void)[] = [];
  let compiles: Compiles | undefined;
  let me = -1;
  let clock = (at: number) => at;

  /** All gates that were ever configured: what was asked for under one may come to be under the next. */
  const configured = new Set<Gate>();
  const into = new Set<string>();
  const outOf = new Set<string>();
  const packages = new Set<string>();
  /** The gate when a choice of kmods, or an intent, was recorded; and its stablelist when symbols were. */
  const then = new Map<string, Gate>();
  const listed = new Map<string, Gate['stablelist']>();
  const gateOf = (run: Run) => gates().find(({ name }) => name === run.gate);
  const enforcing = () => gates().filter(({ mode }) => mode === 'enforce');
  const choiceOf = ({ id, chosen }: Run) => `${id} ${chosen.fact}`;
  const isOwn = (task: Task) => task.owner === me && !others.made('task', task.id);
  const trials = createTrials(packages, isOwn, unreadable.logs);
  const nameOf = (state: State, tag: number) => state.tags.find(({ id }) => id === tag)?.name ?? `tag ${tag}`;
  const isOwnSideTag = ({ id, extra }: Tag) =>
    extra['sidetag'] === true && extra['sidetag_user_id'] === me && !others.made('tag', id);
  /** Whether it is for another instance to say what stands in a tag, or what was built was built for it. */
  const isOthers = (state: State, { tag_id, build_id }: Listing) =>
    others.made('tag', tag_id) ||
    others.made('task', state.builds[build_id - 1]?.task_id ?? 0) ||
    others.tags().has(nameOf(state, tag_id));
  const timeOf = (state: State, event: number) => clock(eventTime(state, event));
  const created = (task: Task) => clock(task.created);
  const hubOf = (state: State): Hub => ({ state, me, clock });
  const ofKernel = (build: number) => [...runs.values()].filter(({ kernel }) => kernel.id === build);

  function look(view: View, say: Say): void {
    clock = view.clock ?? clock;
    me = view.state.users.find(({ name }) => name === gateUser)?.id ?? -1;
    configure();
    trials.look(view.state, clock);
    const fresh = remember(view, say);
    const lines = view.journal.slice(seen.journal);
    seen.journal = view.journal.length;
    for (const line of lines) hear(view, line, say);
    for (const { run, intent } of fresh.intents) checkAsked(view, run, intent, say);
    for (const { run, intent } of fresh.ended) {
      const { write, ending, id } = intent;
      if (write.kind !== 'scratch-build') continue;
      const task = ending?.how === 'lost' ? attempts.get(id) : undefined;
      if (task) say(3, `${id} was given up, and is task ${task.id}`);
      checkEvidence(view.state, run, intent, (text) => say(6, text));
    }
    for (const tag of view.state.tags.slice(seen.tags)) checkSideTag(view, tag, say);
    seen.tags = view.state.tags.length;
    for (const task of view.state.tasks.slice(seen.tasks)) checkTask(view, task, say);
    seen.tasks = view.state.tasks.length;
    for (const { id, owner, tag_id } of view.state.requests.slice(seen.requests))
      if (owner === me && !others.made('request', id) && !buildsIn(view.state, tag_id))
        say(4, `a repo of ${nameOf(view.state, tag_id)} is requested`);
    seen.requests = view.state.requests.length;
    for (const listing of view.state.listings.slice(seen.listings)) {
      open.add(listing);
      if (listing.creator_id === me && !isOthers(view.state, listing)) checkTagged(view, listing, say);
    }
    seen.listings = view.state.listings.length;
    for (const listing of open) {
      if (listing.revoke_event === null) continue;
      open.delete(listing);
      if (listing.revoker_id === me && !isOthers(view.state, listing)) checkUntagged(view, listing, say);
    }
    for (const id of others.removed().slice(seen.removed)) {
      seen.removed += 1;
      if (view.state.listings.some(({ tag_id }) => tag_id === id))
        say(4, `${nameOf(view.state, id)} is removed, in which another instance has tried a kernel`);
    }
    for (const run of fresh.closed) checkClosing(view, run, say);
    for (const judge of judgements.splice(0)) judge();
  }

  function configure(): void {
    for (const gate of gates()) {
      if (configured.has(gate)) continue;
      configured.add(gate);
      for (const name of gate.kernels) packages.add(name);
      if (gate.mode === 'observe') continue;
      const { on_pass, on_fail } = gate;
      for (const tag of [...on_pass.tag, ...on_fail.tag]) into.add(tag);
      for (const tag of [...on_pass.untag, ...on_fail.untag, ...on_fail.tag]) outOf.add(tag);
    }
  }

  // ---- what was recorded ----------------------------------------------------------------------------

  /** Take in runs; what was once recorded of them must be there still. */
  function remember(view: View, say: Say) {
    const fresh: Record<'intents' | 'ended', { run: Run; intent: Intent }[]> & { closed: Run[] } = {
      intents: [],
      ended: [],
      closed: [],
    };
    for (const run of view.runs) {
      const before = runs.get(run.id);
      if (before === run) continue;
      if (before) {
        earlier.set(run.id, before);
        const lost = lostOf(before, run);
        if (lost) say(8, `${run.id} has lost ${lost}`);
      }
      runs.set(run.id, run);
      const gate = gateOf(run);
      if (gate && !then.has(choiceOf(run))) then.set(choiceOf(run), gate);
      for (const intent of run.intents) {
        if (!intents.has(intent.id)) fresh.intents.push({ run, intent });
        if (gate && !intents.has(intent.id)) then.set(intent.id, gate);
        intents.set(intent.id, { run, intent });
        if (!intent.ending || ended.has(intent.id)) continue;
        ended.add(intent.id);
        fresh.ended.push({ run, intent });
      }
      if (run.closing && run.closing.at !== before?.closing?.at) fresh.closed.push(run);
    }
    return fresh;
  }

  function hear(view: View, { kind, gate, build, run: id, text, at }: Entry, say: Say): void {
    if (kind === 'state') said.set(`${gate} ${build}`, text);
    const run = id === null ? undefined : runs.get(id);
    const own = run && gateOf(run);
    if (!run || !own) return;
    if (kind === 'symbols') {
      listed.set(choiceOf(run), own.stablelist);
      checkSymbols({ state: view.state, unread: unreadable.rpms }, own, run, (text) => say(6, text));
    }
    if (kind !== 'verdict') return;
    const verdict = /^verdict (\w+)/.exec(text)?.[1] ?? '';
    const all = verdicts.get(run.id) ?? [];
    verdicts.set(run.id, [...all, { at, verdict }]);
    if (verdict === 'block') judge(view, own, run, at, all, wrongBlock, say);
  }

  // ---- 1: no kernel passes, and none is blocked, unless -----------------------------------------------

  /**
   * Have a verdict judged, once what else is new is known. A promotion is one when its tags are about to move: until then
   * it may come otherwise.
   * @param before the verdicts before it
   */
  function judge(
    view: View,
    configuredGate: Gate,
    given: Run,
    at: number,
    before: readonly Said[],
    wrong: typeof wrongBlock,
    say: Say,
  ): void {
    // Since then a retry may have chosen kmods anew.
    const known = given.chosen.at > at ? earlier.get(given.id) : given;
    if (!known || known.chosen.at > at) return;
    const { state } = view;
    const chosenBy = then.get(choiceOf(known)) ?? configuredGate;
    // A run keeps the strategy with which it began, and the stablelist by which its symbols were looked at.
    const { stablelist } = {
      stablelist: configuredGate.stablelist,
      ...(listed.has(choiceOf(known)) && { stablelist: listed.get(choiceOf(known)) ?? null }),
    };
    const gate: Gate = { ...configuredGate, strategy: known.strategy, stablelist };
    if (wrong === wrongBlock) notePass(state, gate, given, at, 'kept');
    judgements.push(() => {
      const subject = subjectOf(state, { ...known, intents: given.intents });
      if (!subject) return;
      compiles ??= truthOf(state.scenario);
      const files = { state, unread: unreadable.rpms };
      const one = { files, state, clock, compiles, trials, passes, gate, subject, at, before };
      const found = wrong({ ...one, isNext: (waiver) => isNext(waiver, known) });
      const done = wrong === wrongBlock ? 'blocked' : 'promoted';
      if (found) say(1, `${given.id} is ${done}: ${found}`);
      const chosen = wrong === wrongBlock ? undefined : wrongChoice(state, chosenBy, known, clock);
      if (chosen) say(1, `${given.id} is promoted, and ${chosen}`);
    });
  }

  /** A kernel passes, by tags that are about to move (`at`: when that is asked for), or where there are none to move. */
  function judgePromotion(view: View, gate: Gate, run: Run, at: number, say: Say): void {
    const said = (verdicts.get(run.id) ?? []).filter((one) => one.at <= at);
    if (said.at(-1)?.verdict === 'promote')
      judge(view, gate, run, at, said.slice(0, -1), wrongPromotion, say);
  }

  function notePass(state: State, gate: Gate, run: Run, at: number, how: Pass['how']): void {
    const kernel = state.builds[run.kernel.id - 1];
    const kmods = new Map(run.kmods.map(({ name, buildId }) => [name, buildId]));
    if (kernel) passes.push({ gate: gate.name, kernel, at, kmods, how });
  }

  /** Whether a run's kernel was the first to come before its gate after the waiver was made. */
  function isNext({ at }: Waiver, { gate, kernel }: Run): boolean {
    const since = [...runs.values()].filter((one) => one.gate === gate && one.startedAt >= at);
    const first = Math.min(...since.map(({ startedAt }) => startedAt));
    // Which of two that came in one moment was the first is nobody's to tell.
    return since.some((one) => one.kernel.id === kernel.id && one.startedAt === first);
  }

  // ---- 3 and 4: tasks ---------------------------------------------------------------------------------

  function checkTask(view: View, task: Task, say: Say): void {
    if (!isOwn(task) || task.parent !== null) return;
    if (task.method === 'build') checkBuild(view, task, say);
    else if (task.method === 'tagBuild') checkTagTask(view, task, say);
    else say(4, `task ${task.id} is a ${task.method}`);
  }

  function checkTagTask({ state }: View, { id, request }: Task, say: Say): void {
    const [to, build, , from] = request;
    const allows = (tag: unknown, names: ReadonlySet<string>) =>
      state.tags.some((one) => one.id === tag && (names.has(one.name) || isOwnSideTag(one)));
    if (!allows(to, into)) say(4, `task ${id} tags into ${nameOf(state, Number(to))}`);
    if (from != null && !allows(from, outOf)) say(4, `task ${id} untags from ${nameOf(state, Number(from))}`);
    if (!packages.has(state.builds[Number(build) - 1]?.name ?? '')) say(4, `task ${id} tags no kernel`);
  }

  function checkBuild(view: View, task: Task, say: Say) {
    const [source, target, options] = task.request;
    const opts = (options ?? {}) as Record<string, unknown>;
    const mark = (opts['custom_user_metadata'] as Record<string, Record<string, unknown>> | undefined)?.[
      'kmod-gate'
    ];
    const known = intents.get(String(mark?.['attempt']));
    if (mark?.['store'] !== installation()) return say(3, `task ${task.id} does not tell whose it is`);
    const gate = known && then.get(known.intent.id);
    if (!known || !gate) return say(8, `task ${task.id} was recorded nowhere before it was sent`);
    const { run, intent } = known;
    const same = attempts.get(intent.id);
    if (same) say(3, `tasks ${same.id} and ${task.id} are both ${intent.id}`);
    attempts.set(intent.id, task);
    if (intent.ending?.how === 'lost') say(3, `${intent.id} was given up, and is task ${task.id}`);
    const waitsFor = Array.isArray(opts['wait_builds']) ? opts['wait_builds'] : [];
    const renamed = view.state.builds.find(
      ({ promoted }) => promoted && waitsFor.includes(promoted.from) && promoted.at + LOOK < task.created,
    );
    if (renamed) say(6, `task ${task.id} waits for a draft that is ${renamed.nvr} now`);
    if (intent.askedAt > created(task)) say(8, `task ${task.id} was recorded after it was sent`);
    const { write } = intent;
    const kmod = 'kmod' in write ? write.kmod : '';
    if (write.kind === 'scratch-build') {
      const own = view.state.tags.some((tag) => tag.name === target && isOwnSideTag(tag));
      if (opts['scratch'] !== true) say(4, `task ${task.id} is no scratch build`);
      if (target !== gate.build?.target && !own) say(4, `task ${task.id} builds in ${String(target)}`);
      if (
        !run.kmods.some((one) => one.name === kmod && one.source === source) &&
        run.chosen.at <= created(task)
      )
        say(3, `task ${task.id} builds ${String(source)}, which ${run.id} did not choose`);
    } else if (write.kind === 'rebuild') {
      if (opts['scratch'] === true || target !== gate.rebuild?.target || gate.mode === 'observe')
        say(4, `task ${task.id} rebuilds in ${String(target)}`);
      if (verdicts.get(run.id)?.at(-1)?.verdict !== 'promote')
        say(4, `task ${task.id} rebuilds ${kmod} for a kernel that was not promoted`);
    } else say(3, `task ${task.id} was recorded as ${write.kind}`);
    const against = write.kind === 'scratch-build' ? (write.against?.id ?? '') : 'rebuild';
    const build = { task, gate, run, intent, key: `${run.id} ${kmod} ${against}` };
    checkTries({ state: view.state, builds, created }, build, (text) => say(3, text));
    builds.push(build);
  }

  /** Whether a gate may want repos of a tag. */
  function buildsIn(state: State, id: number): boolean {
    const names = [...configured].flatMap(({ build, rebuild }) => [build?.target, rebuild?.target]);
    return (
      state.targets.some(({ name, build_tag }) => build_tag === id && names.includes(name)) ||
      state.tags.some((tag) => tag.id === id && isOwnSideTag(tag))
    );
  }

  function checkSideTag({ state }: View, tag: Tag, say: Say): void {
    if (!isOwnSideTag(tag)) return;
    const bases = [...configured]
      .filter(({ build }) => build?.repo === 'sidetag')
      .map(({ build }) => state.targets.find(({ name }) => name === build?.target)?.build_tag);
    if (!tag.parents.some(({ id }) => bases.includes(id))) say(4, `${tag.name} is made of another tag`);
    const asked = [...runs.values()].some((run) =>
      run.intents.some(
        ({ write, askedAt }) =>
          write.kind === 'create-side-tag' && askedAt <= timeOf(state, tag.create_event),
      ),
    );
    if (!asked) say(8, `${tag.name} was recorded nowhere before it was made`);
  }

  // ---- 4 and 5: tags ------------------------------------------------------------------------------------

  const tagWrites = (run: Run, does: (write: Write) => boolean) =>
    run.intents.filter((intent): intent is TagWrite => does(intent.write));

  /** Intents that a change of a tag may come from. */
  const causes = (build: number, time: number, does: (write: Write) => boolean) =>
    ofKernel(build).flatMap((run) =>
      tagWrites(run, does)
        .filter(({ askedAt, ending }) => askedAt <= time && (!ending || ending.at >= time))
        .map((intent) => ({ run, intent })),
    );

  function checkTagged({ state }: View, listing: Listing, say: Say) {
    const tag = state.tags.find(({ id }) => id === listing.tag_id);
    const build = state.builds[listing.build_id - 1];
    if (!tag || !build || isOwnSideTag(tag)) return;
    const what = `${build.nvr} into ${tag.name}`;
    if (!packages.has(build.name)) {
      if (!isRebuilt(state, build.task_id, tag)) say(4, `tagged ${what}`);
      return;
    }
    if (!into.has(tag.name)) return say(4, `tagged ${what}`);
    const time = timeOf(state, listing.create_event);
    const asked = causes(
      build.id,
      time,
      (write) => write.kind === 'tag' && write.tag === tag.name && !write.against,
    );
    if (asked.length === 0) say(8, `tagged ${what}, and it was recorded nowhere before`);
    const fits = asked.filter(({ run, intent }) => {
      const gate = then.get(intent.id);
      const verdict = verdicts.get(run.id)?.findLast(({ at }) => at <= intent.askedAt)?.verdict;
      if (verdict === 'promote' && gate?.on_pass.tag.includes(tag.name)) {
        notePass(state, gate, run, time, 'moved');
        return true;
      }
      return verdict === 'block' && gate?.on_fail.tag.includes(tag.name);
    });
    if (fits.length === 0) say(1, `tagged ${what} without a verdict for it`);
    const stays = listingsIn(state, tag, clock).filter((stay) => stay.build.name === build.name);
    const before = stays.filter((stay) => stay.listing.create_event < listing.create_event);
    const last = before.at(-1);
    const reopened = fits.some(
      ({ run }) =>
        verdicts.get(run.id)?.some(({ verdict }) => verdict === 'block') &&
        gateOf(run)?.on_pass.tag.includes(tag.name),
    );
    if (last && reopened && last.listing.creator_id === me && isOlder(build, last.build))
      say(1, `P: a waiver brings ${what}, which had ${last.build.nvr} last`);
    const latest = before.findLast(
      (stay) => (stay.listing.revoke_event ?? Number.POSITIVE_INFINITY) > listing.create_event,
    );
    // A blocked kernel always leaves: only tags of a pass keep an order.
    const keepsOrder = gates().some(({ on_pass }) => on_pass.tag.includes(tag.name));
    if (!keepsOrder || !latest || !isOlder(build, latest.build)) return;
    // What a person tags while the hub has the gate's order cannot be known.
    const crossed =
      latest.listing.creator_id !== me && asked.every(({ intent }) => intent.askedAt <= latest.since);
    if (!crossed) say(5, `tagged ${what}, in place of ${latest.build.nvr}`);
  }

  /** Whether a build comes from a rebuild, and belongs where its target says. */
  function isRebuilt(state: State, task: number, tag: Tag): boolean {
    return builds.some(
      (build) =>
        build.task.id === task &&
        build.intent.write.kind === 'rebuild' &&
        state.targets.some(({ name, dest_tag }) => name === build.task.request[1] && dest_tag === tag.id),
    );
  }

  function checkUntagged({ state }: View, listing: Listing, say: Say) {
    const tag = state.tags.find(({ id }) => id === listing.tag_id);
    const build = state.builds[listing.build_id - 1];
    if (!tag || !build || listing.revoke_event === null || isOwnSideTag(tag)) return;
    const what = `${build.nvr} from ${tag.name}`;
    if (!outOf.has(tag.name) || !packages.has(build.name)) return say(4, `untagged ${what}`);
    const asked = causes(
      build.id,
      timeOf(state, listing.revoke_event),
      (write) =>
        (write.kind === 'untag' && write.tag === tag.name) ||
        (write.kind === 'tag' && write.from === tag.name),
    );
    if (asked.length === 0) say(8, `untagged ${what}, and it was recorded nowhere before`);
    for (const gate of enforcing()) {
      if (!gate.on_fail.tag.includes(tag.name) || asked.some(({ run }) => run.gate === gate.name)) continue;
      const run = ofKernel(build.id).findLast((one) => one.gate === gate.name);
      const blocks = run && verdicts.get(run.id)?.at(-1)?.verdict === 'block' && run.closing?.how === 'done';
      if (blocks) say(1, `B: untagged ${what}, into which gate ${gate.name} has blocked it`);
    }
  }

  // ---- 7: persons -------------------------------------------------------------------------------------------

  function checkAsked(view: View, run: Run, { write, askedAt, id }: Intent, say: Say): void {
    const { state } = view;
    const gate = gateOf(run);
    if (!gate || (write.kind !== 'tag' && write.kind !== 'untag')) return;
    if (state.tags.some((tag) => tag.name === write.tag && tag.extra['sidetag'] === true)) return;
    if (!gate.kernels.includes(run.kernel.name))
      say(4, `${id} changes a tag, and gate ${gate.name} does not list ${run.kernel.name}`);
    if (gate.mode === 'observe') say(4, `${id} changes a tag, and gate ${gate.name} only observes`);
    if (write.kind === 'tag' && gate.on_pass.tag.includes(write.tag))
      judgePromotion(view, gate, run, askedAt, say);
    const again =
      write.kind === 'tag' &&
      run.intents.some(
        (one) =>
          one.id !== id && one.askedAt < askedAt && one.write.kind === 'tag' && one.write.tag === write.tag,
      );
    // What was moved on from a pass tag is not to be put there again; else it is over, and nobody took it.
    const moved = movedByHand(hubOf(state), gate, run, askedAt, again ? undefined : 'moved on');
    if (moved) say(7, `${id} is asked although ${moved}`);
  }

  function checkClosing(view: View, run: Run, say: Say): void {
    const { state } = view;
    const gate = gateOf(run);
    const { closing } = run;
    if (!gate || !closing) return;
    // Only what passes keeps an order: a blocked kernel leaves, whatever newer one was blocked before it.
    if (closing.how === 'superseded' && run.verdict?.verdict === 'block')
      say(2, `${run.id} is blocked, and is left where it stands: ${closing.why}`);
    const passed = closing.how === 'observed' || closing.how === 'done';
    const moves = run.intents.some(
      ({ write }) => write.kind === 'tag' && gate.on_pass.tag.includes(write.tag),
    );
    const said = verdicts.get(run.id)?.at(-1);
    if (passed && !moves && said?.verdict === 'promote') {
      // A waiver that ends while the rest is tidied up comes too late: what is begun is finished.
      const begun = run.intents.find(
        ({ write, askedAt }) =>
          write.kind === 'untag' && gate.on_pass.untag.includes(write.tag) && askedAt >= said.at,
      );
      judgePromotion(view, gate, run, begun?.askedAt ?? closing.at, say);
      notePass(state, gate, run, closing.at, 'let');
    }
    // Of another watch tag it is no run of the gate's any more, whatever was done to the kernel.
    if (closing.how === 'cancelled' && !wasEverIn(hubOf(state), gate.watch, run)) return;
    if (closing.how !== 'taken-over') {
      const moved = movedByHand(hubOf(state), gate, run, closing.at, 'moved on');
      if (moved) say(7, `${run.id} is closed as ${closing.how} although ${moved}`);
      return;
    }
    if (!isTouched(hubOf(state), gate, run, closing.at))
      say(7, `${run.id} is taken over by hand, and nobody touched it`);
  }

  // ---- 2, 7 and 9: the end --------------------------------------------------------------------------------------

  function end(view: View, say: Say): void {
    for (const gate of gates()) checkWatched(view, gate, say);
    for (const run of runs.values()) {
      const gate = gateOf(run);
      if (!gate) {
        if (!run.closing)
          say(9, `${run.id} is of a gate that is no more: ${said.get(`${run.gate} ${run.kernel.id}`)}`);
        continue;
      }
      if (run.closing) {
        // A repo that never comes is nothing of the run's that is left.
        const left = run.intents
          .filter(({ write, ending }) => !ending && write.kind !== 'request-repo')
          .map(({ id }) => id);
        if (left.length > 0) say(9, `${run.id} is closed, and ${left.join(', ')} open`);
        continue;
      }
      const moved = movedByHand(hubOf(view.state), gate, run, view.now, 'moved on');
      if (moved) say(7, `${run.id} still goes on although ${moved}`);
      const stuck = stuckOf(view, gate, run);
      if (stuck) say(9, `${run.id} does not end: ${stuck}`);
    }
    const live = [...runs.values()].filter(({ closing }) => !closing);
    for (const tag of view.state.tags) {
      if (!isOwnSideTag(tag) || tag.revoke_event !== null) continue;
      const used = live.some((run) => run.intents.some(({ receipt }) => receipt?.sideTag === tag.name));
      if (!used) say(9, `${tag.name} is left`);
    }
    for (const task of view.state.live) {
      if (!isOwn(task) || task.parent !== null) continue;
      const used = live.some((run) => run.intents.some(({ receipt }) => receipt?.task === task.id));
      if (!used) say(9, `task ${task.id} (${task.method}) is left`);
    }
  }

  /** Every kernel in a watched tag has a run for this stay, or it is said why it has none. */
  function checkWatched({ state }: View, gate: Gate, say: Say): void {
    const tag = state.tags.find(({ name }) => name === gate.watch);
    for (const { listing, build } of tag ? listingsIn(state, tag, clock) : []) {
      if (listing.revoke_event !== null || !gate.kernels.includes(build.name)) continue;
      const stay = ofKernel(build.id).filter((run) => run.gate === gate.name);
      const known = stay.findLast(({ entry }) => entry === listing.create_event);
      const forgotten = known && isForgotten(gate, known);
      if (forgotten) say(2, `${build.nvr} stands in ${gate.watch}, and ${known.id} is over: ${forgotten}`);
      if (known || isHeld(said.get(`${gate.name} ${build.id}`))) continue;
      say(2, `${build.nvr} stands in ${gate.watch}, and gate ${gate.name} has no run for that`);
    }
  }

  /** What ended a run, where that was the configuration, and is no more so. */
  function isForgotten({ mode }: Gate, { closing, orders }: Run): string | undefined {
    if (closing?.how === 'observed' && mode === 'enforce') return 'it was only observed';
    const byPerson = orders.some(({ kind }) => kind === 'cancel');
    return closing?.how === 'cancelled' && !byPerson ? closing.why : undefined;
  }

  const isHeld = (state: string | undefined) => /^held( by .|: .)/.test(state ?? '');

  /** Why a live run should have ended; undefined where it is held, and somebody is named who must act. */
  function stuckOf({ now }: View, { policy, name, mode }: Gate, run: Run): string | undefined {
    const state = said.get(`${name} ${run.kernel.id}`);
    const order = run.orders.findLast(({ kind }) => kind === 'hold' || kind === 'release');
    const byPerson = order?.kind === 'hold';
    const { verdict } = run;
    const { longest_hold, longest_build, longest_run } = policy;
    if (verdict?.verdict === 'hold' && longest_hold !== null && mode === 'enforce' && !byPerson)
      if (verdict.at + longest_hold + HOUR < now) return `held for longer than ${longest_hold} ms`;
    if (isHeld(state)) return undefined;
    if (!state) return 'nothing is said of it';
    if (state.startsWith('promote: waits for ') && state.endsWith('the end of the quiet time'))
      return policy.quiet.length > 0 ? undefined : state;
    // One that waits behind a held one is held by it, and says which.
    const ahead = [...runs.values()].find(
      (other) =>
        other.gate === run.gate &&
        other !== run &&
        !other.closing &&
        state.includes(`: ${other.kernel.nvr} `),
    );
    if (state.startsWith('waits for its turn: ') && ahead && isHeld(said.get(`${name} ${ahead.kernel.id}`)))
      return undefined;
    const endless = longest_build === null && longest_run === null;
    if (endless && run.intents.some(({ write, ending }) => write.kind === 'scratch-build' && !ending))
      return undefined;
    return state;
  }

  const collect = (work: (say: Say) => void): Violation[] => {
    const found: Violation[] = [];
    work((promise, text) => void found.push({ promise, text }));
    return found;
  };
  return {
    check: (view) => collect((say) => look(view, say)),
    final: (view) =>
      collect((say) => {
        look(view, say);
        end(view, say);
      }),
  };
}

const isOlder = (build: Build, than: Build): boolean =>
  compareEvr({ ...build, epoch: null }, { ...than, epoch: null }) < 0;

/** What a run no longer has that was once recorded; nothing may ever go. */
function lostOf(before: Run, run: Run): string | undefined {
  for (const [i, old] of before.intents.entries()) {
    const now = run.intents[i];
    if (now?.id !== old.id) return old.id;
    if (old.receipt && JSON.stringify(now.receipt) !== JSON.stringify(old.receipt))
      return `the receipt of ${old.id}`;
    if (old.ending && (now.ending?.at !== old.ending.at || now.ending.how !== old.ending.how))
      return `the ending of ${old.id}`;
  }
  if (run.orders.length < before.orders.length) return 'an order';
  if (run.waivers.length < before.waivers.length) return 'a waiver';
  if (before.symbols && !run.symbols && run.chosen.at === before.chosen.at) return 'its symbols';
  return undefined;
}

/** All that is shown, as text: before and after the store is opened again it must be the same. */
export function digestOf({ runs, journal }: Pick<View, 'runs' | 'journal'>): string {
  const sorted = runs.toSorted((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  return [...sorted, ...journal].map((one) => JSON.stringify(one)).join('\n');
}
