/** Which kernels a gate let through before, and so what a new one is measured by: no more than when, and the truth. */
import type { Gate } from '../../src/core/model.ts';
import { compareEvr } from '../../src/core/names.ts';
import type { Build, State } from '../../src/sim/state.ts';
import { type Clock, LOOK, listingsIn } from './held.ts';

/** A kernel that a gate let through. */
export interface Pass {
  readonly gate: string;
  readonly kernel: Build;
  readonly at: number;
  /** Its kmods then: name to build. */
  readonly kmods: ReadonlyMap<string, number>;
  /**
   * `let`: by a gate that only observes, or one that had nothing to tag; whether that counts is the gate's choice. `kept`: it
   * did not pass, but was blocked, so that it is no measure for what was broken in it, whoever lets it in.
   */
  readonly how: 'moved' | 'let' | 'kept';
}

export interface Question {
  readonly state: State;
  readonly clock: Clock;
  readonly gate: Gate;
  readonly kernel: number;
  readonly startedAt: number;
  readonly at: number;
}

/** What a kernel that passed was really worth, of what is asked about. */
export interface Worth {
  /** It was really fine with that kernel. */
  readonly fine: (pass: Pass) => boolean;
  /** And the hub has what shows it, so that a gate may know. */
  readonly shown: (pass: Pass) => boolean;
}

/** Any of the kernels will do; with `orNone` a gate may as well find none. */
export interface References {
  readonly kernels: readonly Build[];
  readonly orNone: boolean;
}

/**
 * Kernels that one may be measured by: the newest that this gate let through before, with the kmod really fine; where
 * there is none, the newest in the pass tag. A gate may have looked when the run began, or later, so there may be several
 * in time. Nor can a gate know that a kernel was fine that it let through without having seen it: then what it
 * would take in its place is as good.
 */
export function referencesFor(
  passes: readonly Pass[],
  question: Question,
  { fine, shown }: Worth,
): References {
  const { state, gate, kernel, startedAt, at } = question;
  if (gate.baseline !== null) {
    const kernels = state.builds.filter(({ nvr, id }) => nvr === gate.baseline && id !== kernel);
    return { kernels, orNone: kernels.length === 0 };
  }
  const found = new Set<Build>();
  let orNone = false;
  const add = (build: Build | undefined) => build && found.add(build);
  const own = passes.filter((pass) => pass.gate === gate.name && pass.kernel.id !== kernel && pass.at <= at);
  // A pass and a look may come in one moment.
  const times = [startedAt - LOOK, startedAt, ...own.map((pass) => pass.at), at].filter(
    (time) => time >= startedAt - LOOK,
  );
  for (const time of new Set(times)) {
    const judged = own.filter((pass) => pass.at <= time);
    const before = judged.filter(({ how }) => how !== 'kept');
    for (const all of [before.filter(({ how }) => how === 'moved'), before]) {
      const good = all.filter(fine);
      for (const last of [good.at(-1), newestOf(good)]) {
        add(last?.kernel);
        if (last && shown(last)) continue;
        add(good.findLast(shown)?.kernel);
        // What this gate let through although it was broken is no measure for that: a waiver ends with its kernel.
        const broken = new Set(judged.filter((pass) => !fine(pass)).map((pass) => pass.kernel.id));
        const sound = newestStanding(question, time, broken);
        for (const build of sound) add(build);
        if (sound.length > 0) continue;
        orNone = true;
        // What a release took from the pass tag is in the repositories.
        for (const build of [...newestReleased(question, time, broken), ...newestReleased(question, time)])
          add(build);
        // What a kernel was measured by that passed all the same is as good, though a release has emptied the tag since.
        for (const pass of before) for (const build of newestStanding(question, pass.at, broken)) add(build);
        for (const build of newestStanding(question, time)) add(build);
        add(all.at(-1)?.kernel);
      }
    }
  }
  return { kernels: [...found], orNone };
}

/** Not always the one that passed last. */
function newestOf(passes: readonly Pass[]): Pass | undefined {
  const evr = ({ kernel }: Pass) => ({ ...kernel, epoch: null });
  return passes.toSorted((a, b) => compareEvr(evr(a), evr(b))).at(-1);
}

/** What was tagged last into a pass tag, of what stands there at a time, or stood a look ago. */
function newestStanding(question: Question, time: number, without: ReadonlySet<number> = new Set()): Build[] {
  const stays = staysIn(question, question.gate.on_pass.tag, without);
  return [time, time - LOOK].flatMap(
    (then) => stays.findLast(({ since, till }) => since <= then && till > then)?.build ?? [],
  );
}

/** The same, of what has left the tag and stands elsewhere: not before the gate, or where it puts what fails. */
function newestReleased(question: Question, time: number, without: ReadonlySet<number> = new Set()): Build[] {
  const { state, gate } = question;
  const none = [gate.watch, ...gate.on_fail.tag];
  const other = state.tags.flatMap(({ name }) => (none.includes(name) ? [] : name));
  const elsewhere = staysIn(question, other, without);
  const stays = staysIn(question, gate.on_pass.tag, without);
  return [time, time - LOOK].flatMap((then) => {
    const standing = elsewhere.filter(({ since, till }) => since <= then && till > then);
    const isReleased = (build: Build) => standing.some((stay) => stay.build === build);
    return stays.findLast(({ since, build }) => since <= then && isReleased(build))?.build ?? [];
  });
}

/** Stays of other kernels of the gate in tags, but for those `without`, in the order in which they came. */
function staysIn(
  { state, clock, gate, kernel }: Question,
  tags: readonly string[],
  without: ReadonlySet<number>,
) {
  return state.tags
    .filter(({ name }) => tags.includes(name))
    .flatMap((tag) => listingsIn(state, tag, clock))
    .filter(({ build: { name, id } }) => gate.kernels.includes(name) && id !== kernel && !without.has(id))
    .toSorted((a, b) => a.listing.create_event - b.listing.create_event);
}
