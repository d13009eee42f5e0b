/** Holds a gate's builds to their numbers (promise 3): one at a time, and no more tries than may be. */
import type { Gate, Intent, Run } from '../../src/core/model.ts';
import { matches, type State, TASK, type Task } from '../../src/sim/state.ts';
import { archesOf } from './held.ts';

/** A build of the gate's that stands by itself on the hub. */
export interface OwnBuild {
  readonly task: Task;
  readonly gate: Gate;
  readonly run: Run;
  readonly intent: Intent;
  /** What there may be one of at a time. */
  readonly key: string;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** What is counted by the day may be counted so much later, since calls take time. */
const LATE = HOUR / 4;

/** One at a time, no more than may be, and no more tries than may be. */
export function checkTries(
  {
    state,
    builds,
    created,
  }: {
    readonly state: State;
    readonly builds: readonly OwnBuild[];
    readonly created: (task: Task) => number;
  },
  build: OwnBuild,
  say: (text: string) => void,
): void {
  const { task, gate, run, intent, key } = build;
  const lives = (other: Task) => other.completion === null || other.completion > task.created;
  const before = builds.filter((other) => other.key === key);
  const twin = before.find((other) => lives(other.task));
  if (twin) say(`tasks ${twin.task.id} and ${task.id} are both alive for ${key}`);
  if (intent.write.kind !== 'scratch-build') return;
  const { kmod } = intent.write;
  const ofGate = builds.filter(
    (other) => other.run.gate === run.gate && other.intent.write.kind === 'scratch-build',
  );
  const alive = ofGate.filter((other) => lives(other.task)).length + 1;
  if (alive > (gate.build?.max_active ?? 0)) say(`gate ${gate.name} has ${alive} builds alive`);
  const retried = run.orders.filter(
    (order) =>
      order.kind === 'retry' &&
      order.at <= created(task) &&
      (order.kmod === null || matches(order.kmod, kmod)),
  );
  const since = retried.at(-1)?.at ?? Number.NEGATIVE_INFINITY;
  const tries = before.filter((other) => created(other.task) >= since);
  if (tries.length === 0) return;
  const { retries } = gate.policy;
  const { arches } = intent.write;
  const all = new Set(tries.flatMap((other) => triedOn(state, other) ?? []));
  for (const arch of arches ?? (all.size > 0 ? all : ['any'])) {
    const of = tries.filter((other) => {
      const { write } = other.intent;
      const asked = write.kind === 'scratch-build' ? write.arches : undefined;
      return (asked?.includes(arch) ?? true) && (triedOn(state, other)?.includes(arch) ?? true);
    }).length;
    if (of > retries.kmod) say(`${key} is tried ${of + 1} times on ${arch}`);
  }
  const anyRetry = run.orders.findLast(({ kind, at }) => kind === 'retry' && at <= created(task))?.at ?? 0;
  if (!before.some((other) => overlap(other, build))) return;
  const ofRun = again(ofGate.filter((other) => other.run.id === run.id && created(other.task) >= anyRetry));
  if (ofRun + 1 > retries.run) say(`${run.id} has had ${ofRun + 1} retries`);
  const today = again(ofGate.filter((other) => created(other.task) > created(task) - DAY + LATE));
  if (today + 1 > retries.day) say(`gate ${gate.name} has had ${today + 1} retries in a day`);
}

/**
 * On which architectures a build was a try: not where Koji cancelled it since it had failed on another. Undefined: on
 * all, since it failed before it came to any.
 */
function triedOn(state: State, { task }: OwnBuild): string[] | undefined {
  const arches = archesOf(state, task).map((one) => one.task);
  if (arches.length === 0) return undefined;
  const failed = arches.some((one) => one.state === TASK.FAILED);
  return arches
    .filter((one) => !failed || one.state !== TASK.CANCELED)
    .map(({ label, arch }) => label ?? arch);
}

/** How many of some builds, in order, were tried on an architecture on which the same was tried before. */
const again = (some: readonly OwnBuild[]): number =>
  some.filter((one, i) => some.slice(0, i).some((other) => other.key === one.key && overlap(other, one)))
    .length;

/** Whether two builds were asked for one architecture, or one of them for whatever there is. */
function overlap({ intent: { write } }: OwnBuild, { intent: { write: other } }: OwnBuild): boolean {
  const [one, two] = [write, other].map((of) => (of.kind === 'scratch-build' ? of.arches : undefined));
  return !one || !two || one.some((arch) => two.includes(arch));
}
